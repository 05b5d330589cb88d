//! What some rows say.

use slm_dist::DistError;
use slm_ops::{DeviceSums, TokenSums};
use slm_run::Taught;

use crate::{JudgedSums, Measure, Ranks, TokenMeans};

/// What a micro-batch says, or what held-out rows do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct MicroLoss {
    pub(super) tokens: TokenSums,
    /// Tokens that the sums are over.
    pub(super) n_tokens: usize,
    /// Of judged answers.
    pub(super) judged: Option<JudgedSums>,
    /// Of the divergence from a teacher, and what is made of it.
    pub(super) taught: Option<(Measure, TokenSums)>,
}

/// The same while its sums are on the device.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread {
    pub(super) sums: DeviceSums,
    pub(super) n_tokens: usize,
    pub(super) judged: Option<JudgedSums>,
    /// Of the divergence from a teacher.
    pub(super) taught: DeviceSums,
    /// What is made of it, where there is one.
    pub(super) teaching: Option<Measure>,
}

/// Figures that a [`MicroLoss`] consists of: those of tokens, their number, those of judged answers, those of a teacher.
const FIGURES: usize = 4 + JudgedSums::FIGURES + 3;

impl MicroLoss {
    /// Waits for the device.
    pub(super) fn each(unread: Vec<Unread>) -> Vec<Self> {
        let (mut sums, mut rest) = (Vec::new(), Vec::new());
        for it in unread {
            sums.extend([it.sums, it.taught]);
            rest.push((it.n_tokens, it.judged, it.teaching));
        }
        let sums = DeviceSums::read_each(sums);
        let of =
            |(sums, (n_tokens, judged, teaching)): (&[TokenSums], (_, _, Option<Measure>))| Self {
                tokens: sums[0],
                n_tokens,
                judged,
                taught: teaching.map(|measure| (measure, sums[1])),
            };
        sums.chunks(2).zip(rest).map(of).collect()
    }

    /// Each, summed over all processes: each of them has said what it knows, and zero of the rest.
    pub(super) fn over(ranks: &Ranks, each: Vec<Self>) -> Result<Vec<Self>, DistError> {
        let figures = each.iter().flat_map(Self::figures).collect();
        let sums = ranks.sum(figures)?;
        let pairs = each.iter().zip(sums.chunks(FIGURES));
        Ok(pairs.map(|(it, sums)| it.with(sums)).collect())
    }

    fn figures(&self) -> [f64; FIGURES] {
        let mut figures = [0.0; FIGURES];
        figures[..3].copy_from_slice(&parts(self.tokens));
        figures[3] = self.n_tokens as f64;
        let taught = FIGURES - 3;
        figures[4..taught].copy_from_slice(&self.judged.unwrap_or_default().figures());
        let sums = self.taught.map(|(_, sums)| sums);
        figures[taught..].copy_from_slice(&parts(sums.unwrap_or_default()));
        figures
    }

    /// The same with other figures.
    fn with(&self, figures: &[f64]) -> Self {
        let taught = &figures[FIGURES - 3..];
        Self {
            tokens: sums_of(figures),
            n_tokens: figures[3] as usize,
            judged: self.judged.map(|_| JudgedSums::of_figures(&figures[4..])),
            taught: self.taught.map(|(measure, _)| (measure, sums_of(taught))),
        }
    }

    /// All together.
    pub(super) fn total(each: &[Self]) -> Self {
        let taught = each.iter().filter_map(|it| it.taught);
        let taught = taught.reduce(|a, b| (a.0, [a.1, b.1].into_iter().sum()));
        Self {
            tokens: each.iter().map(|it| it.tokens).sum(),
            n_tokens: each.iter().map(|it| it.n_tokens).sum(),
            judged: each.iter().filter_map(|it| it.judged).reduce(|a, b| a + b),
            taught,
        }
    }

    /// The means; the loss of judged answers is theirs, and that of a teacher is in it.
    pub(super) fn means(&self) -> TokenMeans {
        let means = self.token_means();
        let loss = match (self.judged, self.taught, self.taught()) {
            (Some(judged), ..) => judged.loss,
            (None, Some((measure, _)), Some(taught)) => measure.loss(&taught),
            _ => means.loss,
        };
        TokenMeans { loss, ..means }
    }

    fn token_means(&self) -> TokenMeans {
        TokenMeans::new(self.tokens, self.n_tokens.max(1))
    }

    /// How the student follows its teacher, where it has one.
    pub(super) fn taught(&self) -> Option<Taught> {
        let (_, sums) = self.taught?;
        let of_teacher = TokenMeans::new(sums, self.n_tokens.max(1));
        Some(Taught {
            divergence: of_teacher.loss,
            agreement: of_teacher.token_accuracy,
            cross_entropy: self.token_means().loss,
        })
    }

    /// Orders micro-batches from good to bad by their mean loss, or their part of a mean: what is no number is worst.
    pub(super) fn badness(&self) -> f64 {
        let loss = self.means().loss;
        if loss.is_nan() { f64::INFINITY } else { loss }
    }
}

fn parts(sums: TokenSums) -> [f64; 3] {
    [sums.loss, sums.entropy, sums.correct]
}

fn sums_of(figures: &[f64]) -> TokenSums {
    TokenSums {
        loss: figures[0],
        entropy: figures[1],
        correct: figures[2],
    }
}

#[cfg(test)]
mod tests {
    use slm_ops::Divergence;

    use super::*;

    #[test]
    fn figures_are_what_a_loss_consists_of() {
        let judged = JudgedSums::of_figures(&[0.5, 1.5, 2.0, -1.0, 3.0, 1.0, 4.0, 0.25, 5.0]);
        let it = MicroLoss {
            tokens: TokenSums {
                loss: 6.0,
                entropy: 4.0,
                correct: 1.0,
            },
            n_tokens: 2,
            judged: Some(judged),
            taught: None,
        };
        assert_eq!(it.with(&it.figures()), it);
        let unjudged = MicroLoss { judged: None, ..it };
        assert_eq!(unjudged.with(&unjudged.figures()), unjudged);
        assert_eq!((it.means().loss, unjudged.means().loss), (0.5, 3.0));
        let measure = Measure {
            alpha: 0.25,
            temperature: 2.0,
            divergence: Divergence::ForwardKl,
            vocab: 9,
        };
        let sums = TokenSums {
            loss: 1.0,
            entropy: 3.0,
            correct: 2.0,
        };
        let taught = MicroLoss {
            taught: Some((measure, sums)),
            ..unjudged
        };
        assert_eq!(taught.with(&taught.figures()), taught);
        // 3/4 of the cross entropy, and 1/4 of the divergence by the square of the temperature.
        assert_eq!(taught.means().loss, 0.75 * 3.0 + 0.25 * 4.0 * 0.5);
        let said = MicroLoss::total(&[taught, taught]).taught().unwrap();
        assert_eq!(
            (said.divergence, said.agreement, said.cross_entropy),
            (0.5, 1.0, 3.0)
        );
    }
}
