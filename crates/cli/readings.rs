//! The numbers of a step or an evaluation in a line.

use slm_run::{Event, Rewards, Taught};

use crate::table::{duration, figure, percent, thousands};

/// `loss 1.2345, accuracy 61.2 %, entropy 1.1000, gradient 0.5000, lr 2.00e-4, 512 learned, 1,234 tokens/s, 3m 05s left`;
/// where answers are judged or a teacher is followed, what [`judged`] or [`follows`] says stands in place of accuracy and entropy.
pub(crate) fn step(event: &Event) -> String {
    let [numbers, left] = [numbers(event), left(event)];
    match left.is_empty() {
        true => numbers,
        false => format!("{numbers}, {left}"),
    }
}

/// The same with the time left in front, for a line that may be cut.
pub(crate) fn step_by_time(event: &Event) -> String {
    let [numbers, left] = [numbers(event), left(event)];
    match left.is_empty() {
        true => numbers,
        false => format!("{left}, {numbers}"),
    }
}

fn numbers(event: &Event) -> String {
    let Event::Step {
        loss,
        entropy,
        token_accuracy,
        rewards,
        taught,
        lr,
        grad_norm,
        learned_tokens,
        tokens_per_s,
        ..
    } = event
    else {
        return String::new();
    };
    let said = match (rewards, taught) {
        (Some(rewards), _) => judged(rewards),
        (None, Some(taught)) => follows(taught),
        (None, None) => format!(
            "accuracy {}, entropy {entropy:.4}",
            percent(*token_accuracy)
        ),
    };
    let learned = thousands(*learned_tokens);
    let speed = thousands(tokens_per_s.max(0.0) as usize);
    format!(
        "loss {loss:.4}, {said}, gradient {grad_norm:.4}, lr {lr:.2e}, {learned} learned, {speed} tokens/s"
    )
}

/// Empty where nobody knows.
fn left(event: &Event) -> String {
    match event {
        Event::Step { eta_s, .. } if eta_s.is_finite() => format!("{} left", duration(*eta_s)),
        _ => String::new(),
    }
}

/// `held-out loss 1.2345, accuracy 61.2 %, intents/accuracy 0.8125, the best so far`
pub(crate) fn evaluation(event: &Event) -> String {
    let Event::Eval {
        loss,
        token_accuracy,
        rewards,
        metric,
        best,
        ..
    } = event
    else {
        return String::new();
    };
    let mut said = Vec::new();
    if !loss.is_nan() {
        said.push(format!("held-out loss {loss:.4}"));
        said.push(match rewards {
            Some(rewards) => judged(rewards),
            None => format!("accuracy {}", percent(*token_accuracy)),
        });
    }
    said.extend(
        metric
            .iter()
            .map(|it| format!("{} {}", it.name, figure(it.value))),
    );
    if *best {
        said.push("the best so far".into());
    }
    said.join(", ")
}

/// `cross entropy 1.2345, divergence 0.4210, agreement 87.5 %`: what the loss consists of, and how often student and teacher
/// have the same likeliest token; how far mapped layers are from the teacher's, and what share of the tokens the student wrote itself,
/// where it may. What was not measured is left out.
fn follows(taught: &Taught) -> String {
    let mut said = Vec::new();
    if !taught.cross_entropy.is_nan() {
        said.push(format!("cross entropy {:.4}", taught.cross_entropy));
    }
    said.push(format!("divergence {:.4}", taught.divergence));
    if !taught.agreement.is_nan() {
        said.push(format!("agreement {}", percent(taught.agreement)));
    }
    said.extend(taught.hidden.map(|it| format!("layers {it:.4} apart")));
    let own = taught.own_share;
    said.extend(own.map(|share| format!("{} its own words", percent(share))));
    said.join(", ")
}

/// `right 87.5 %, margin 0.4210`: the share of the pairs whose chosen answer has the larger reward, where there are pairs, and by
/// how much the chosen ones are ahead; with KTO the divergence from the reference as well.
fn judged(rewards: &Rewards) -> String {
    let mut said = Vec::new();
    if !rewards.accuracies.is_nan() {
        said.push(format!("right {}", percent(rewards.accuracies)));
    }
    said.push(format!("margin {}", figure(rewards.margins)));
    said.extend(rewards.kl.map(|kl| format!("divergence {kl:.4}")));
    said.join(", ")
}

#[cfg(test)]
mod tests {
    use slm_run::TaskMetric;

    use super::*;

    #[test]
    fn an_evaluation_is_told_by_what_was_measured() {
        let event = |loss: f64, metric: Option<f64>, best| Event::Eval {
            step: 3,
            loss,
            entropy: 1.0,
            token_accuracy: loss / 4.0,
            rewards: None,
            metric: metric.map(|value| TaskMetric {
                name: "intents/accuracy".into(),
                value,
            }),
            best,
        };
        let told = |event| evaluation(&event);
        assert_eq!(
            told(event(2.0, None, true)),
            "held-out loss 2.0000, accuracy 50.0 %, the best so far"
        );
        assert_eq!(
            told(event(f64::NAN, Some(0.5), false)),
            "intents/accuracy 0.5000"
        );
    }

    #[test]
    fn a_teacher_is_told_by_what_was_measured() {
        let taught = Taught {
            divergence: 0.421,
            agreement: 0.875,
            cross_entropy: 1.2345,
            own_share: None,
            hidden: None,
        };
        let said = "cross entropy 1.2345, divergence 0.4210, agreement 87.5 %";
        assert_eq!(follows(&taught), said);
        let own = Taught {
            agreement: f64::NAN,
            cross_entropy: f64::NAN,
            own_share: Some(1.0),
            hidden: Some(0.5),
            ..taught
        };
        let said = "divergence 0.4210, layers 0.5000 apart, 100.0 % its own words";
        assert_eq!(follows(&own), said);
    }

    #[test]
    fn judged_answers_are_told_by_their_rewards() {
        let rewards = Rewards {
            chosen: 0.5,
            rejected: -0.25,
            margins: 0.75,
            accuracies: 0.875,
            kl: None,
        };
        assert_eq!(judged(&rewards), "right 87.5 %, margin 0.7500");
        let alone = Rewards {
            accuracies: f64::NAN,
            kl: Some(0.125),
            ..rewards
        };
        assert_eq!(judged(&alone), "margin 0.7500, divergence 0.1250");
    }
}
