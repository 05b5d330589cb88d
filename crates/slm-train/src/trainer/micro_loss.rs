//! What some rows say.

use slm_dist::DistError;
use slm_ops::{DeviceSums, TokenSums};

use crate::{JudgedSums, Ranks, TokenMeans};

/// What a micro-batch says, or what held-out rows do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct MicroLoss {
    pub(super) tokens: TokenSums,
    /// Tokens that the sums are over.
    pub(super) n_tokens: usize,
    /// Of judged answers.
    pub(super) judged: Option<JudgedSums>,
}

/// Figures that a [`MicroLoss`] consists of: those of tokens, their number, those of judged answers.
const FIGURES: usize = 4 + JudgedSums::FIGURES;

impl MicroLoss {
    /// Waits for the device.
    pub(super) fn each(sums: Vec<DeviceSums>, rest: Vec<(usize, Option<JudgedSums>)>) -> Vec<Self> {
        let sums = DeviceSums::read_each(sums).into_iter();
        let of = |(tokens, (n_tokens, judged))| Self {
            tokens,
            n_tokens,
            judged,
        };
        sums.zip(rest).map(of).collect()
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
        let TokenSums {
            loss,
            entropy,
            correct,
        } = self.tokens;
        figures[..4].copy_from_slice(&[loss, entropy, correct, self.n_tokens as f64]);
        figures[4..].copy_from_slice(&self.judged.unwrap_or_default().figures());
        figures
    }

    /// The same with other figures.
    fn with(&self, figures: &[f64]) -> Self {
        let tokens = TokenSums {
            loss: figures[0],
            entropy: figures[1],
            correct: figures[2],
        };
        let judged = self.judged.map(|_| JudgedSums::of_figures(&figures[4..]));
        Self {
            tokens,
            n_tokens: figures[3] as usize,
            judged,
        }
    }

    /// All together.
    pub(super) fn total(each: &[Self]) -> Self {
        Self {
            tokens: each.iter().map(|it| it.tokens).sum(),
            n_tokens: each.iter().map(|it| it.n_tokens).sum(),
            judged: each.iter().filter_map(|it| it.judged).reduce(|a, b| a + b),
        }
    }

    /// The means; the loss of judged answers is theirs.
    pub(super) fn means(&self) -> TokenMeans {
        let means = TokenMeans::new(self.tokens, self.n_tokens.max(1));
        TokenMeans {
            loss: self.judged.map_or(means.loss, |judged| judged.loss),
            ..means
        }
    }

    /// Orders micro-batches from good to bad by their mean loss, or their part of a mean: what is no number is worst.
    pub(super) fn badness(&self) -> f64 {
        let loss = self.means().loss;
        if loss.is_nan() { f64::INFINITY } else { loss }
    }
}

#[cfg(test)]
mod tests {
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
        };
        assert_eq!(it.with(&it.figures()), it);
        let unjudged = MicroLoss { judged: None, ..it };
        assert_eq!(unjudged.with(&unjudged.figures()), unjudged);
        assert_eq!((it.means().loss, unjudged.means().loss), (0.5, 3.0));
    }
}
