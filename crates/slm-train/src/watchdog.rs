//! Whether a step may be taken: what is not finite or far off is not learned from.

use std::collections::VecDeque;
use std::fmt;

/// Steps whose median a loss is compared with.
const WINDOW: usize = 50;
/// Steps before a median means something.
const FEWEST: usize = 10;

/// What is wrong with a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The loss is not finite.
    Loss(f64),
    /// The norm of the gradient is not finite.
    GradNorm(f64),
    /// The loss is far above those of the last steps.
    Spike {
        loss: f64,
        median: f64,
        /// How many steps the median is of.
        of_steps: usize,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loss(loss) => write!(f, "the loss is {loss}"),
            Self::GradNorm(norm) => write!(f, "the norm of the gradient is {norm}"),
            Self::Spike {
                loss,
                median,
                of_steps,
            } => write!(
                f,
                "the loss is {loss:.4}, {:.1} times the median of the last {of_steps} steps, {median:.4}",
                loss / median
            ),
        }
    }
}

/// Looks at a loss; `spike_factor` is `train.loss_spike_factor`, 0 = finite is good enough.
pub(crate) fn watch(loss: f64, recent: &VecDeque<f64>, spike_factor: f64) -> Option<Fault> {
    if !loss.is_finite() {
        return Some(Fault::Loss(loss));
    }
    if spike_factor == 0.0 || recent.len() < FEWEST {
        return None;
    }
    let mut sorted: Vec<f64> = recent.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    };
    (loss > spike_factor * median).then_some(Fault::Spike {
        loss,
        median,
        of_steps: recent.len(),
    })
}

/// Takes the loss of a good step in.
pub(crate) fn remember(recent: &mut VecDeque<f64>, loss: f64) {
    if recent.len() == WINDOW {
        recent.pop_front();
    }
    recent.push_back(loss);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_compared_with_the_median_of_the_last_steps() {
        let mut recent = VecDeque::new();
        for step in 0..FEWEST {
            assert_eq!(
                watch(100.0, &recent, 3.0),
                None,
                "step {step}: too early to say"
            );
            // One wild step does not move the median.
            remember(&mut recent, if step == 4 { 50.0 } else { 1.0 });
        }
        assert_eq!(watch(3.0, &recent, 3.0), None);
        assert_eq!(watch(3.1, &recent, 0.0), None);
        let fault = watch(3.1, &recent, 3.0).unwrap();
        let text = "the loss is 3.1000, 3.1 times the median of the last 10 steps, 1.0000";
        assert_eq!(fault.to_string(), text);
        for _ in 0..WINDOW {
            remember(&mut recent, 2.0);
        }
        assert_eq!(recent.len(), WINDOW);
        assert_eq!(watch(5.9, &recent, 3.0), None);
    }

    #[test]
    fn what_is_not_finite_is_never_learned_from() {
        for loss in [f64::NAN, f64::INFINITY] {
            assert!(matches!(
                watch(loss, &VecDeque::new(), 0.0),
                Some(Fault::Loss(_))
            ));
        }
    }
}
