//! The course of training.

use slm_run::Event;

use super::chart::{Line, chart};

/// The course of training, by step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// Logged steps.
    pub steps: Vec<StepPoint>,
    /// Evaluations on held-out rows.
    pub evals: Vec<EvalPoint>,
}

/// A logged step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepPoint {
    /// The step.
    pub step: usize,
    /// Loss per learned token, in nats.
    pub loss: f64,
    /// Learning rate.
    pub lr: f64,
}

/// An evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EvalPoint {
    /// Steps taken.
    pub step: usize,
    /// Loss per scored token, in nats.
    pub loss: f64,
}

impl Curves {
    /// From the events in `metrics.jsonl`. A run that was resumed has some steps twice: the later record counts.
    pub fn from_events(events: &[Event]) -> Self {
        let mut curves = Self::default();
        for event in events {
            match event {
                Event::Step { step, loss, lr, .. } => {
                    drop_from(&mut curves.steps, |point| point.step >= *step);
                    curves.steps.push(StepPoint {
                        step: *step,
                        loss: *loss,
                        lr: *lr,
                    });
                }
                Event::Eval { step, loss, .. } => {
                    drop_from(&mut curves.evals, |point| point.step >= *step);
                    curves.evals.push(EvalPoint {
                        step: *step,
                        loss: *loss,
                    });
                }
                _ => {}
            }
        }
        curves
    }
}

/// Drops the last points that are taken again.
fn drop_from<T>(points: &mut Vec<T>, again: impl Fn(&T) -> bool) {
    while points.pop_if(|point| again(point)).is_some() {}
}

pub(super) fn section(curves: &Curves) -> String {
    let over = |value: fn(&StepPoint) -> f64| -> Vec<(f64, f64)> {
        curves
            .steps
            .iter()
            .map(|point| (point.step as f64, value(point)))
            .collect()
    };
    let evals = curves
        .evals
        .iter()
        .filter(|point| point.loss.is_finite())
        .map(|point| (point.step as f64, point.loss))
        .collect();
    let loss = chart(
        "Loss by step, nats per token",
        &[
            Line {
                name: "training",
                class: "train",
                points: over(|point| point.loss),
                dots: false,
            },
            Line {
                name: "held out",
                class: "eval",
                points: evals,
                dots: true,
            },
        ],
    );
    let lr = chart(
        "Learning rate by step",
        &[Line {
            name: "learning rate",
            class: "lr",
            points: over(|point| point.lr),
            dots: false,
        }],
    );
    if loss.is_empty() {
        return String::new();
    }
    format!("<section><h2>Training</h2>\n<div class=\"charts\">{loss}{lr}</div>\n</section>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(step: usize, loss: f64) -> Event {
        Event::Eval {
            step,
            loss,
            entropy: 1.0,
            token_accuracy: 0.5,
            rewards: None,
            metric: None,
            best: true,
        }
    }

    #[test]
    fn a_resumed_run_counts_each_step_once() {
        let events = [eval(10, 3.0), eval(20, 2.0), eval(30, 9.0), eval(20, 2.1)];
        let curves = Curves::from_events(&events);
        let points: Vec<_> = curves.evals.iter().map(|p| (p.step, p.loss)).collect();
        assert_eq!(points, [(10, 3.0), (20, 2.1)]);
    }
}
