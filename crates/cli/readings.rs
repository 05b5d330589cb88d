//! The numbers of a step or an evaluation in a line.

use slm_run::Event;

use crate::table::{duration, figure, percent, thousands};

/// `loss 1.2345, accuracy 61.2 %, entropy 1.1000, gradient 0.5000, lr 2.00e-4, 512 learned, 1,234 tokens/s, 3m 05s left`
pub(crate) fn step(event: &Event) -> String {
    let Event::Step {
        loss,
        entropy,
        token_accuracy,
        lr,
        grad_norm,
        learned_tokens,
        tokens_per_s,
        eta_s,
        ..
    } = event
    else {
        return String::new();
    };
    let accuracy = percent(*token_accuracy);
    let learned = thousands(*learned_tokens);
    let speed = thousands(tokens_per_s.max(0.0) as usize);
    let left = if eta_s.is_finite() {
        format!(", {} left", duration(*eta_s))
    } else {
        String::new()
    };
    format!(
        "loss {loss:.4}, accuracy {accuracy}, entropy {entropy:.4}, gradient {grad_norm:.4}, lr {lr:.2e}, \
         {learned} learned, {speed} tokens/s{left}"
    )
}

/// `held-out loss 1.2345, accuracy 61.2 %, intents/accuracy 0.8125, the best so far`
pub(crate) fn evaluation(event: &Event) -> String {
    let Event::Eval {
        loss,
        token_accuracy,
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
        said.push(format!("accuracy {}", percent(*token_accuracy)));
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
}
