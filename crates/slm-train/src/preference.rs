//! Learning from judged answers: DPO, ORPO and KTO, as TRL computes them.
//!
//! With l = ln p of an answer given its prompt (the sum over the answer's tokens), r the same by the student before its first
//! step, β, ε, w₊ and w₋ the keys of `[preference]`, and n the pairs, or the answers, of the whole step:
//!
//! - DPO: Δ = (l₊ − r₊) − (l₋ − r₋) of a pair, chosen minus rejected; `sigmoid`: mean of −ln σ(βΔ); `robust`: mean of
//!   (−(1 − ε) ln σ(βΔ) + ε ln σ(−βΔ)) / (1 − 2ε)
//! - ORPO: with a = l / tokens of the answer and o(a) = a − ln(1 − eᵃ), the mean of −β ln σ(o(a₊) − o(a₋)), and the cross entropy
//!   of all tokens of the chosen rows, prompts included
//! - KTO: z = max(0, mean of l − r over the micro-batch's mismatched answers), a constant; mean of w₊ (1 − σ(β(l − r − z))) over the
//!   desirable answers and of w₋ (1 − σ(β(z − l + r))) over the others
//!
//! All of them are functions of a few numbers per answer, so a token's weight in the gradient is −d(objective) / d(ln p).

use std::borrow::Cow;
use std::iter::Sum;
use std::ops::Add;

use slm_data::{Batch, PreferenceBatch};
use slm_recipe::{LossType, Objective, PreferenceSection};
use slm_run::Rewards;

/// What is learned from judged answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Preference {
    /// Any but `sft`.
    pub objective: Objective,
    /// The figures.
    pub section: PreferenceSection,
}

/// What the means of a step are over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JudgedCounts {
    /// Pairs, or answers that were judged alone.
    pub units: usize,
    /// Tokens of chosen rows that something precedes; counted for ORPO.
    pub chosen_tokens: usize,
}

/// How the answers of one batch are judged.
#[derive(Clone, Debug)]
pub struct Judging {
    preference: Preference,
    counts: JudgedCounts,
    pairs: usize,
    chosen: Vec<bool>,
    /// ln p of each row's answer by the reference.
    reference: Vec<f64>,
    /// Mean divergence from the reference, in nats; KTO's z.
    kl: f64,
    /// The row of each position that is scored, in order.
    rows: Vec<usize>,
    /// Whether that position predicts a token of the answer.
    of_answer: Vec<bool>,
}

/// What a batch adds to the means of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JudgedSums {
    /// The batch's part of the step's mean loss.
    pub loss: f64,
    /// Rewards of chosen answers, and how many there are.
    chosen: (f64, usize),
    /// Rewards of rejected answers, and how many there are.
    rejected: (f64, usize),
    /// Pairs whose chosen answer has the larger reward, and pairs.
    right: (usize, usize),
    /// Divergences, and batches that have one.
    kl: (f64, usize),
}

impl Preference {
    /// What is counted of a batch.
    pub fn counts(&self, it: &PreferenceBatch) -> JudgedCounts {
        let chosen_tokens = match self.objective {
            Objective::Orpo => self.scored(it).learned - learned_in_rows(&it.batch, it.pairs..),
            _ => 0,
        };
        JudgedCounts {
            units: if it.pairs > 0 {
                it.pairs
            } else {
                it.batch.rows
            },
            chosen_tokens,
        }
    }

    /// The batch with every position learned that is scored: the answers, with ORPO the chosen rows' prompts as well.
    pub fn scored<'a>(&self, it: &'a PreferenceBatch) -> Cow<'a, Batch> {
        if self.objective != Objective::Orpo {
            return Cow::Borrowed(&it.batch);
        }
        let mut batch = it.batch.clone();
        for place in 0..it.pairs * batch.cols {
            let next = place + 1;
            let follows = !next.is_multiple_of(batch.cols)
                && batch.segments[next] != 0
                && batch.segments[next] == batch.segments[place];
            batch.learn[place] = follows;
        }
        batch.learned = batch.learn.iter().filter(|learn| **learn).count();
        Cow::Owned(batch)
    }

    /// How a batch is judged.
    ///
    /// - `reference`: ln p of every sample's answer by the reference, at the samples' places; not read with ORPO
    /// - `kl`: the divergence of the batch, for KTO
    /// - `counts`: those of the whole step
    pub fn judging(
        &self,
        it: &PreferenceBatch,
        reference: &[f64],
        kl: f64,
        counts: JudgedCounts,
    ) -> Judging {
        let scored = self.scored(it);
        let places = (0..scored.learn.len()).filter(|place| scored.learn[*place]);
        let (rows, of_answer) = places
            .map(|place| (place / scored.cols, it.batch.learn[place]))
            .unzip();
        let needs_reference = self.objective != Objective::Orpo;
        let reference = it.samples.iter().map(|sample| match needs_reference {
            true => reference[*sample],
            false => 0.0,
        });
        Judging {
            preference: self.clone(),
            counts,
            pairs: it.pairs,
            chosen: it.chosen.clone(),
            reference: reference.collect(),
            kl: kl.max(0.0),
            rows,
            of_answer,
        }
    }
}

fn learned_in_rows(batch: &Batch, rows: std::ops::RangeFrom<usize>) -> usize {
    let learn = &batch.learn[rows.start * batch.cols..];
    learn.iter().filter(|learn| **learn).count()
}

impl Judging {
    /// The weight of each scored position in the gradient, and the batch's part of the step's means; `logprobs` are the ln p of
    /// the tokens that the positions predict.
    pub fn weigh(&self, logprobs: &[f32]) -> (Vec<f32>, JudgedSums) {
        let mut answers = vec![(0.0, 0_usize); self.chosen.len()];
        for ((row, of_answer), logprob) in self.rows.iter().zip(&self.of_answer).zip(logprobs) {
            if *of_answer {
                answers[*row].0 += f64::from(*logprob);
                answers[*row].1 += 1;
            }
        }
        let (slopes, mut sums) = match self.preference.objective {
            Objective::Orpo => self.odds(&answers),
            Objective::Kto => self.singles(&answers),
            Objective::Dpo | Objective::Sft => self.pairs(&answers),
        };
        // With ORPO, every scored token of a chosen row also counts as one to write.
        let of_text = match self.preference.objective {
            Objective::Orpo => 1.0 / self.counts.chosen_tokens.max(1) as f64,
            _ => 0.0,
        };
        let mut weights = Vec::with_capacity(logprobs.len());
        for ((row, of_answer), logprob) in self.rows.iter().zip(&self.of_answer).zip(logprobs) {
            let of_answer = if *of_answer { slopes[*row] } else { 0.0 };
            let of_text = if self.chosen[*row] { of_text } else { 0.0 };
            sums.loss -= of_text * f64::from(*logprob);
            weights.push((of_answer + of_text) as f32);
        }
        (weights, sums)
    }

    /// DPO: −d(loss) / d(ln p) of each row's answer.
    fn pairs(&self, answers: &[(f64, usize)]) -> (Vec<f64>, JudgedSums) {
        let PreferenceSection {
            beta,
            label_smoothing: eps,
            ..
        } = self.preference.section;
        let n = self.counts.units as f64;
        let mut slopes = vec![0.0; answers.len()];
        let mut sums = JudgedSums::default();
        for pair in 0..self.pairs {
            let [one, other] = [pair, self.pairs + pair];
            let reward = |row: usize| beta * (answers[row].0 - self.reference[row]);
            let (better, worse) = (reward(one), reward(other));
            let margin = better - worse;
            let (loss, slope) = match self.preference.section.loss_type {
                LossType::Sigmoid => (-ln_sigmoid(margin), beta * sigmoid(-margin)),
                LossType::Robust => {
                    let loss = eps * ln_sigmoid(-margin) - (1.0 - eps) * ln_sigmoid(margin);
                    let slope = (1.0 - eps) * sigmoid(-margin) + eps * sigmoid(margin);
                    let scale = 1.0 / (1.0 - 2.0 * eps);
                    (scale * loss, beta * scale * slope)
                }
            };
            sums.loss += loss / n;
            slopes[one] = slope / n;
            slopes[other] = -slope / n;
            sums.take_pair(better, worse);
        }
        (slopes, sums)
    }

    /// ORPO's odds ratio.
    fn odds(&self, answers: &[(f64, usize)]) -> (Vec<f64>, JudgedSums) {
        let beta = self.preference.section.beta;
        let n = self.counts.units as f64;
        let mut slopes = vec![0.0; answers.len()];
        let mut sums = JudgedSums::default();
        for pair in 0..self.pairs {
            let [one, other] = [pair, self.pairs + pair];
            let mean = |row: usize| answers[row].0 / answers[row].1.max(1) as f64;
            let (better, worse) = (mean(one), mean(other));
            let log_odds = |a: f64| a - ln_one_minus_exp(a);
            let ratio = log_odds(better) - log_odds(worse);
            sums.loss -= beta * ln_sigmoid(ratio) / n;
            // d o(a) / da = 1 / (1 − eᵃ)
            let slope = |row: usize, a: f64| {
                beta * sigmoid(-ratio) / (-a.exp_m1()) / n / answers[row].1.max(1) as f64
            };
            slopes[one] = slope(one, better);
            slopes[other] = -slope(other, worse);
            sums.take_pair(beta * better, beta * worse);
        }
        (slopes, sums)
    }

    /// KTO.
    fn singles(&self, answers: &[(f64, usize)]) -> (Vec<f64>, JudgedSums) {
        let PreferenceSection {
            beta,
            desirable_weight,
            undesirable_weight,
            ..
        } = self.preference.section;
        let n = self.counts.units as f64;
        let mut sums = JudgedSums {
            kl: (self.kl, 1),
            ..JudgedSums::default()
        };
        let mut slopes = Vec::with_capacity(answers.len());
        for (row, (logp, _)) in answers.iter().enumerate() {
            let ratio = logp - self.reference[row];
            let (weight, sign) = match self.chosen[row] {
                true => (desirable_weight, 1.0),
                false => (undesirable_weight, -1.0),
            };
            let value = sigmoid(beta * sign * (ratio - self.kl));
            sums.loss += weight * (1.0 - value) / n;
            slopes.push(sign * weight * beta * value * (1.0 - value) / n);
            let side = match self.chosen[row] {
                true => &mut sums.chosen,
                false => &mut sums.rejected,
            };
            side.0 += beta * ratio;
            side.1 += 1;
        }
        (slopes, sums)
    }
}

impl JudgedSums {
    pub(crate) const FIGURES: usize = 9;

    /// What it consists of; see [`Self::of_figures`].
    pub(crate) fn figures(&self) -> [f64; Self::FIGURES] {
        let (chosen, rejected, right, kl) = (self.chosen, self.rejected, self.right, self.kl);
        let counts = [chosen.1, rejected.1, right.0, right.1, kl.1].map(|n| n as f64);
        let [n_chosen, n_rejected, n_right, n_pairs, n_kl] = counts;
        [
            self.loss, chosen.0, n_chosen, rejected.0, n_rejected, n_right, n_pairs, kl.0, n_kl,
        ]
    }

    pub(crate) fn of_figures(figures: &[f64]) -> Self {
        let count = |at: usize| figures[at] as usize;
        Self {
            loss: figures[0],
            chosen: (figures[1], count(2)),
            rejected: (figures[3], count(4)),
            right: (count(5), count(6)),
            kl: (figures[7], count(8)),
        }
    }

    fn take_pair(&mut self, better: f64, worse: f64) {
        self.chosen = (self.chosen.0 + better, self.chosen.1 + 1);
        self.rejected = (self.rejected.0 + worse, self.rejected.1 + 1);
        self.right = (self.right.0 + usize::from(better > worse), self.right.1 + 1);
    }

    /// The means; NaN where there is nothing to take one of.
    pub fn rewards(&self) -> Rewards {
        let mean = |(sum, n): (f64, usize)| if n > 0 { sum / n as f64 } else { f64::NAN };
        let (chosen, rejected) = (mean(self.chosen), mean(self.rejected));
        Rewards {
            chosen,
            rejected,
            margins: chosen - rejected,
            accuracies: mean((self.right.0 as f64, self.right.1)),
            kl: (self.kl.1 > 0).then(|| mean(self.kl)),
        }
    }
}

impl Add for JudgedSums {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let both = |a: (f64, usize), b: (f64, usize)| (a.0 + b.0, a.1 + b.1);
        Self {
            loss: self.loss + other.loss,
            chosen: both(self.chosen, other.chosen),
            rejected: both(self.rejected, other.rejected),
            right: (self.right.0 + other.right.0, self.right.1 + other.right.1),
            kl: both(self.kl, other.kl),
        }
    }
}

impl Sum for JudgedSums {
    fn sum<I: Iterator<Item = Self>>(sums: I) -> Self {
        sums.fold(Self::default(), Self::add)
    }
}

impl Add for JudgedCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            units: self.units + other.units,
            chosen_tokens: self.chosen_tokens + other.chosen_tokens,
        }
    }
}

impl Sum for JudgedCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Self::add)
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// ln σ(x), without loss of digits on either side.
fn ln_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

/// ln(1 − eˣ) for x < 0.
fn ln_one_minus_exp(x: f64) -> f64 {
    if x > -std::f64::consts::LN_2 {
        (-x.exp_m1()).ln()
    } else {
        (-x.exp()).ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pairs, or four single answers, of one to three tokens behind a prompt of one.
    fn batch(pairs: usize) -> PreferenceBatch {
        let lengths = [2, 3, 3, 1];
        let cols = 4;
        let at = |row: usize, col: usize| col <= lengths[row];
        let cells: Vec<(usize, usize)> = (0..4)
            .flat_map(|row| (0..cols).map(move |col| (row, col)))
            .collect();
        let learn: Vec<bool> = cells
            .iter()
            .map(|(row, col)| *col < lengths[*row])
            .collect();
        PreferenceBatch {
            batch: Batch {
                rows: 4,
                cols,
                ids: vec![5; 16],
                segments: cells
                    .iter()
                    .map(|(row, col)| i32::from(at(*row, *col)))
                    .collect(),
                learned: learn.iter().filter(|learn| **learn).count(),
                learn,
                ..Batch::default()
            },
            samples: vec![0, 1, 2, 3],
            chosen: match pairs {
                0 => vec![true, false, true, false],
                _ => vec![true, true, false, false],
            },
            pairs,
            mismatched: None,
        }
    }

    fn preference(objective: Objective, loss_type: LossType) -> Preference {
        Preference {
            objective,
            section: PreferenceSection {
                beta: 0.7,
                loss_type,
                label_smoothing: 0.1,
                desirable_weight: 1.5,
                undesirable_weight: 0.5,
            },
        }
    }

    /// Weights are slopes: moving a log-probability by a little moves the loss by −weight times as much.
    #[test]
    fn weights_are_the_slopes_of_the_loss() {
        for (objective, loss_type, pairs) in [
            (Objective::Dpo, LossType::Sigmoid, 2),
            (Objective::Dpo, LossType::Robust, 2),
            (Objective::Orpo, LossType::Sigmoid, 2),
            (Objective::Kto, LossType::Sigmoid, 0),
        ] {
            let (it, preference) = (batch(pairs), preference(objective, loss_type));
            let counts = preference.counts(&it);
            let judging = preference.judging(&it, &[-1.0, -2.0, -0.5, -3.0], 0.25, counts);
            let n = preference.scored(&it).learned;
            let logprobs: Vec<f32> = (0..n).map(|i| -0.25 * (i % 5 + 1) as f32).collect();
            let (weights, sums) = judging.weigh(&logprobs);
            assert_eq!(weights.len(), n);
            for i in 0..n {
                let moved = |by: f32| {
                    let mut logprobs = logprobs.clone();
                    logprobs[i] += by;
                    judging.weigh(&logprobs).1.loss
                };
                let slope = (moved(0.015625) - moved(-0.015625)) / 0.03125;
                assert!(
                    (slope + f64::from(weights[i])).abs() < 2e-4,
                    "{objective:?} {loss_type:?}, token {i}: {slope} against {}",
                    weights[i]
                );
            }
            assert!(sums.loss.is_finite());
        }
    }

    #[test]
    fn orpo_scores_the_prompts_of_chosen_rows_as_well() {
        let it = batch(2);
        let preference = preference(Objective::Orpo, LossType::Sigmoid);
        let scored = preference.scored(&it);
        assert_eq!(
            scored.learned, it.batch.learned,
            "a prompt of one token adds none"
        );
        assert_eq!(
            preference.counts(&it),
            JudgedCounts {
                units: 2,
                chosen_tokens: 5
            }
        );
        let mut longer = it.clone();
        longer.batch.learn[0] = false;
        longer.batch.learned -= 1;
        assert_eq!(preference.counts(&longer).chosen_tokens, 5);
        let judging = preference.judging(&longer, &[], 0.0, preference.counts(&longer));
        assert_eq!(judging.of_answer[..2], [false, true]);
    }

    #[test]
    fn a_step_in_two_batches_is_one_step() {
        let preference = preference(Objective::Dpo, LossType::Sigmoid);
        let it = batch(2);
        let reference = [-1.0, -2.0, -0.5, -3.0];
        let logprobs: Vec<f32> = (0..it.batch.learned)
            .map(|i| -0.5 * (i + 1) as f32)
            .collect();
        let whole = preference.judging(&it, &reference, 0.0, preference.counts(&it));
        let of_more = JudgedCounts {
            units: 4,
            chosen_tokens: 0,
        };
        let half = preference.judging(&it, &reference, 0.0, of_more);
        let (one, two) = (whole.weigh(&logprobs).1, half.weigh(&logprobs).1);
        let twice = two + two;
        assert!((twice.loss - one.loss).abs() < 1e-12);
        assert_eq!(twice.rewards(), one.rewards());
    }

    #[test]
    fn logarithms_keep_their_digits() {
        assert!((ln_sigmoid(-800.0) + 800.0).abs() < 1e-9);
        assert!(ln_sigmoid(800.0) > -1e-300);
        assert!((ln_one_minus_exp(-1e-12) + 27.631_021_115_9).abs() < 1e-6);
        assert!((ln_one_minus_exp(-40.0) + 4.248_354_255_3e-18).abs() < 1e-24);
    }
}
