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
    /// Of a teacher.
    pub(super) taught: Option<OfTeacher>,
}

/// What a micro-batch says of a teacher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OfTeacher {
    /// What is made of the divergence.
    measure: Measure,
    /// Of the divergence.
    sums: TokenSums,
    /// Tokens that the student wrote itself, and the sum of their cross entropies; none where it never does.
    own: Option<[f64; 2]>,
    /// Of the distances from the teacher's layers, the mean over the layers summed over the tokens; none where none is mapped.
    layers: Option<f64>,
}

/// The same while its sums are on the device.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread {
    pub(super) sums: DeviceSums,
    pub(super) n_tokens: usize,
    pub(super) judged: Option<JudgedSums>,
    /// Of the divergence from a teacher.
    pub(super) taught: DeviceSums,
    /// Of the distances from its layers.
    pub(super) layers: DeviceSums,
    /// How many of them are mapped; none where none is.
    pub(super) n_pairs: Option<usize>,
    /// What is made of it, where there is one.
    pub(super) teaching: Option<Measure>,
    /// Whether the student wrote the tokens itself; none where it never does.
    pub(super) is_own: Option<bool>,
}

/// Figures that a [`MicroLoss`] consists of: those of tokens, their number, those of judged answers, those of a teacher.
const FIGURES: usize = 4 + JudgedSums::FIGURES + OfTeacher::FIGURES;

impl MicroLoss {
    /// Waits for the device.
    pub(super) fn each(unread: Vec<Unread>) -> Vec<Self> {
        let (mut sums, mut rest) = (Vec::new(), Vec::new());
        for mut it in unread {
            sums.extend([&mut it.sums, &mut it.taught, &mut it.layers].map(std::mem::take));
            rest.push(it);
        }
        let sums = DeviceSums::read_each(sums);
        let of = |(sums, it): (&[TokenSums], Unread)| Self {
            tokens: sums[0],
            n_tokens: it.n_tokens,
            judged: it.judged,
            taught: it.teaching.map(|measure| OfTeacher {
                measure,
                sums: sums[1],
                own: it.is_own.map(|is_own| match is_own {
                    true => [it.n_tokens as f64, sums[0].loss],
                    false => [0.0; 2],
                }),
                layers: it.n_pairs.map(|n| sums[2].loss / n as f64),
            }),
        };
        sums.chunks(3).zip(rest).map(of).collect()
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
        let taught = FIGURES - OfTeacher::FIGURES;
        figures[4..taught].copy_from_slice(&self.judged.unwrap_or_default().figures());
        if let Some(it) = &self.taught {
            figures[taught..].copy_from_slice(&it.figures());
        }
        figures
    }

    /// The same with other figures.
    fn with(&self, figures: &[f64]) -> Self {
        let taught = &figures[FIGURES - OfTeacher::FIGURES..];
        Self {
            tokens: sums_of(figures),
            n_tokens: figures[3] as usize,
            judged: self.judged.map(|_| JudgedSums::of_figures(&figures[4..])),
            taught: self.taught.map(|it| it.with(taught)),
        }
    }

    /// All together.
    pub(super) fn total(each: &[Self]) -> Self {
        let taught = each.iter().filter_map(|it| it.taught);
        let taught = taught.reduce(OfTeacher::and);
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
            (None, Some(it), Some(taught)) => it.measure.loss(&taught),
            _ => means.loss,
        };
        TokenMeans { loss, ..means }
    }

    fn token_means(&self) -> TokenMeans {
        TokenMeans::new(self.tokens, self.n_tokens.max(1))
    }

    /// How the student follows its teacher, where it has one.
    pub(super) fn taught(&self) -> Option<Taught> {
        let it = self.taught?;
        let n = self.n_tokens.max(1);
        let of_teacher = TokenMeans::new(it.sums, n);
        let [own_tokens, own_loss] = it.own.unwrap_or_default();
        // Of a teacher of another vocabulary there may be no token that both begin.
        let is_compared = parts(it.sums).iter().any(|sum| *sum != 0.0);
        Some(Taught {
            divergence: of_teacher.loss,
            agreement: match is_compared {
                true => of_teacher.token_accuracy,
                false => f64::NAN,
            },
            cross_entropy: (self.tokens.loss - own_loss) / (n as f64 - own_tokens),
            own_share: it.own.map(|_| own_tokens / n as f64),
            hidden: it.layers.map(|sum| sum / n as f64),
        })
    }

    /// Orders micro-batches from good to bad by their mean loss, or their part of a mean: what is no number is worst.
    pub(super) fn badness(&self) -> f64 {
        let loss = self.means().loss;
        if loss.is_nan() { f64::INFINITY } else { loss }
    }
}

impl OfTeacher {
    const FIGURES: usize = 6;

    fn figures(&self) -> [f64; Self::FIGURES] {
        let [loss, entropy, correct] = parts(self.sums);
        let [own_tokens, own_loss] = self.own.unwrap_or_default();
        let layers = self.layers.unwrap_or_default();
        [loss, entropy, correct, own_tokens, own_loss, layers]
    }

    /// The same with other figures.
    fn with(self, figures: &[f64]) -> Self {
        Self {
            sums: sums_of(figures),
            own: self.own.map(|_| [figures[3], figures[4]]),
            layers: self.layers.map(|_| figures[5]),
            ..self
        }
    }

    fn and(self, other: Self) -> Self {
        let sum = |(a, b): ([f64; 2], [f64; 2])| [a[0] + b[0], a[1] + b[1]];
        Self {
            sums: [self.sums, other.sums].into_iter().sum(),
            own: self.own.zip(other.own).map(sum),
            layers: self.layers.zip(other.layers).map(|(a, b)| a + b),
            ..self
        }
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
            hidden: 0.5,
        };
        let sums = TokenSums {
            loss: 1.0,
            entropy: 3.0,
            correct: 2.0,
        };
        let taught = MicroLoss {
            taught: Some(OfTeacher {
                measure,
                sums,
                own: None,
                layers: None,
            }),
            ..unjudged
        };
        assert_eq!(taught.with(&taught.figures()), taught);
        // 3/4 of the cross entropy, and 1/4 of the divergence by the square of the temperature.
        assert_eq!(taught.means().loss, 0.75 * 3.0 + 0.25 * 4.0 * 0.5);
        // And half of the mean distance of its layers, where they are mapped.
        let mut aligned = taught;
        aligned.taught.as_mut().unwrap().layers = Some(6.0);
        assert_eq!(aligned.with(&aligned.figures()), aligned);
        assert_eq!(aligned.means().loss, taught.means().loss + 0.5 * 3.0);
        let both = MicroLoss::total(&[aligned, aligned]).taught().unwrap();
        assert_eq!(
            (both.hidden, taught.taught().unwrap().hidden),
            (Some(3.0), None)
        );
        let said = MicroLoss::total(&[taught, taught]).taught().unwrap();
        assert_eq!(
            (said.divergence, said.agreement, said.cross_entropy),
            (0.5, 1.0, 3.0)
        );
    }

    #[test]
    fn of_the_students_own_tokens_the_divergence_alone_counts() {
        let measure = Measure {
            alpha: 0.25,
            temperature: 1.0,
            divergence: Divergence::ReverseKl,
            vocab: 9,
            hidden: 0.0,
        };
        let of = |n_tokens: usize, own: [f64; 2]| MicroLoss {
            tokens: TokenSums {
                loss: 6.0,
                ..TokenSums::default()
            },
            n_tokens,
            judged: None,
            taught: Some(OfTeacher {
                measure,
                sums: TokenSums {
                    loss: 4.0,
                    ..TokenSums::default()
                },
                own: Some(own),
                layers: None,
            }),
        };
        let (given, own) = (of(2, [0.0; 2]), of(6, [6.0, 6.0]));
        assert_eq!(own.with(&own.figures()), own);
        assert_eq!(own.means().loss, 0.25 * 4.0 / 6.0);
        let both = MicroLoss::total(&[given, own]);
        let taught = both.taught().unwrap();
        assert_eq!((taught.cross_entropy, taught.own_share), (3.0, Some(0.75)));
        // Eight tokens, of which two are learned as such.
        assert_eq!(both.means().loss, (0.25 * 8.0 + 0.75 * 6.0) / 8.0);
    }
}
