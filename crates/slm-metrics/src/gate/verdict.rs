//! From evidence to PASS, FAIL or INCONCLUSIVE, for all gates of a file together.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Evidence;
use crate::statistics::holm;

/// What a gate, or all gates of a file, come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The claim holds.
    Pass,
    /// These items do not tell.
    Inconclusive,
    /// The claim does not hold, or could not be looked at.
    Fail,
}

impl Verdict {
    /// Of all gates: the worst one. Without gates nothing was shown: [`Verdict::Fail`].
    pub fn of_all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().max().unwrap_or(Self::Fail)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "PASS",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Fail => "FAIL",
        })
    }
}

/// A verdict and the p-value that it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The p-value against the claim being true, adjusted for the number of gates.
    pub p_fail_adjusted: f64,
}

/// Judges the gates of one file together; of each, the evidence and its `alpha`.
pub fn judge(gates: &[(&Evidence, f64)]) -> Vec<Judgement> {
    let p_fail: Vec<f64> = gates.iter().map(|(evidence, _)| evidence.p_fail).collect();
    gates
        .iter()
        .zip(holm(&p_fail))
        .map(|((evidence, alpha), p_fail_adjusted)| Judgement {
            verdict: if evidence.p_pass <= *alpha {
                Verdict::Pass
            } else if p_fail_adjusted <= *alpha {
                Verdict::Fail
            } else {
                Verdict::Inconclusive
            },
            p_fail_adjusted,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::GateMethod;
    use crate::statistics::Interval;

    fn evidence(p_pass: f64, p_fail: f64) -> Evidence {
        Evidence {
            figure: 0.0,
            interval: Interval::NAN,
            method: GateMethod::Binomial,
            p_pass,
            p_fail,
            n: 1,
            n_groups: None,
            undecided: None,
        }
    }

    fn verdicts(gates: &[(f64, f64)]) -> Vec<Verdict> {
        let evidence: Vec<_> = gates
            .iter()
            .map(|(pass, fail)| evidence(*pass, *fail))
            .collect();
        let gates: Vec<_> = evidence.iter().map(|it| (it, 0.05)).collect();
        judge(&gates).into_iter().map(|it| it.verdict).collect()
    }

    #[test]
    fn either_side_is_shown_or_neither() {
        assert_eq!(verdicts(&[(0.05, 0.9)]), [Verdict::Pass]);
        assert_eq!(verdicts(&[(0.9, 0.05)]), [Verdict::Fail]);
        assert_eq!(verdicts(&[(0.06, 0.9)]), [Verdict::Inconclusive]);
    }

    /// Two failures at 0.03 might be one in two chances; PASS is not adjusted.
    #[test]
    fn failures_are_adjusted_for_each_other() {
        use Verdict::*;
        assert_eq!(verdicts(&[(0.9, 0.03), (0.9, 0.9)]), [Inconclusive; 2]);
        assert_eq!(verdicts(&[(0.9, 0.02), (0.9, 0.9)]), [Fail, Inconclusive]);
        assert_eq!(verdicts(&[(0.04, 0.9), (0.04, 0.9)]), [Pass; 2]);
    }

    #[test]
    fn the_worst_one_is_the_file() {
        use Verdict::*;
        assert_eq!(Verdict::of_all([Pass, Inconclusive, Pass]), Inconclusive);
        assert_eq!(Verdict::of_all([Pass, Fail, Inconclusive]), Fail);
        assert_eq!(Verdict::of_all([]), Fail);
        assert_eq!(format!("{:<6}|", Pass), "PASS  |");
    }
}
