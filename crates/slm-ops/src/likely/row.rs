//! One position: which tokens are kept, and what they are at another temperature.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::Choice;
use crate::vector::{exp, largest_of, sum_of, vectorised};

/// What is kept of a position.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LikelyRow {
    pub(super) ids: Vec<u32>,
    pub(super) logprobs: Vec<f32>,
    pub(super) rest: f32,
    pub(super) rest_roots: f32,
}

impl LikelyRow {
    /// Of logits, of which those that are kept are used up.
    pub(super) fn of(logits: &mut [f32], choice: &Choice) -> Self {
        /// Far below all logits.
        const NOTHING: f32 = -1e9;
        let log_sum = log_sum(logits);
        let (ids, mut logprobs) = largest(logits, choice.top_k);
        logprobs.iter_mut().for_each(|x| *x -= log_sum);
        let count = enough(&logprobs, choice.mass);
        for id in &ids[..count] {
            logits[*id as usize] = NOTHING;
        }
        let [rest, roots] = sums(logits, log_sum);
        Self {
            ids: ids[..count].to_vec(),
            logprobs: logprobs[..count].to_vec(),
            rest: rest.ln(),
            rest_roots: roots.ln(),
        }
    }

    /// Of the likeliest, in order, and the logarithms of the sums over all others: those that are not needed for `mass` join
    /// them.
    pub(super) fn kept(
        mut ids: Vec<u32>,
        mut logprobs: Vec<f32>,
        sums: [f32; 2],
        mass: f64,
    ) -> Self {
        let count = enough(&logprobs, mass);
        let [rest, rest_roots] = [(sums[0], 1.0), (sums[1], 0.5)].map(|(sum, power)| {
            let joining = logprobs[count..].iter();
            let joined = joining.map(|x| f64::from(power * x).exp()).sum::<f64>();
            (f64::from(sum).exp() + joined).ln() as f32
        });
        ids.truncate(count);
        logprobs.truncate(count);
        Self {
            ids,
            logprobs,
            rest,
            rest_roots,
        }
    }
}

/// How many of the likeliest have `mass` together; all, if they have less.
fn enough(logprobs: &[f32], mass: f64) -> usize {
    let mut sum = 0.0;
    let reaches = |x: &f32| {
        sum += f64::from(*x).exp();
        sum >= mass
    };
    let place = logprobs.iter().position(reaches);
    place.map_or(logprobs.len(), |place| place + 1)
}

vectorised! {
    /// ln Σ eˣ
    fn log_sum(logits: &[f32]) -> f32 {
        let largest = largest_of(logits);
        largest + sum_of(logits, logits, |x, _, sum| sum + exp(x - largest)).ln()
    }
}

vectorised! {
    /// Σ p and Σ √p
    fn sums(logits: &[f32], log_sum: f32) -> [f32; 2] {
        let all = sum_of(logits, logits, |x, _, sum| sum + exp(x - log_sum));
        let roots = sum_of(logits, logits, |x, _, sum| sum + exp(0.5 * (x - log_sum)));
        [all, roots]
    }
}

/// A logit and its place; of equal ones the first is larger.
#[derive(PartialEq)]
struct Placed(f32, u32);

impl Eq for Placed {}

impl Ord for Placed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}

impl PartialOrd for Placed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The places of the `k` largest, from large to small, and what is there.
fn largest(logits: &[f32], k: usize) -> (Vec<u32>, Vec<f32>) {
    let mut held = BinaryHeap::with_capacity(k + 1);
    let mut least = f32::NEG_INFINITY;
    for (place, x) in logits.iter().enumerate() {
        if held.len() < k || *x > least {
            held.push(Reverse(Placed(*x, place as u32)));
            if held.len() > k {
                held.pop();
            }
            if let Some(Reverse(Placed(x, _))) = held.peek().filter(|_| held.len() == k) {
                least = *x;
            }
        }
    }
    let sorted = held.into_sorted_vec();
    let sorted = sorted
        .into_iter()
        .map(|Reverse(Placed(x, place))| (place, x));
    sorted.unzip()
}

/// The log-probabilities of kept tokens and of all `n_others` together at a temperature, from those at 1.
pub(super) fn at(
    kept: &[f32],
    [rest, roots]: [f32; 2],
    n_others: usize,
    temperature: f64,
) -> (Vec<f32>, f32) {
    let power = 1.0 / temperature;
    let rest = match n_others {
        0 => f64::NEG_INFINITY,
        n => log_power_sum((n as f64).ln(), f64::from(roots), f64::from(rest), power),
    };
    let scaled = kept.iter().map(|x| f64::from(*x) * power);
    let largest = scaled.clone().fold(rest, f64::max);
    let sum: f64 = scaled
        .clone()
        .chain([rest])
        .map(|x| (x - largest).exp())
        .sum();
    let log_sum = largest + sum.ln();
    let kept = scaled.map(|x| (x - log_sum) as f32).collect();
    (kept, (rest - log_sum) as f32)
}

/// ln Σ pᵃ from its values at 0, ½ and 1: a parabola up to 1, and on from there along its tangent, which falls.
fn log_power_sum(at_0: f64, at_half: f64, at_1: f64, a: f64) -> f64 {
    if !at_1.is_finite() || !at_half.is_finite() {
        return at_1;
    }
    let bend = 2.0 * (at_1 - 2.0 * at_half + at_0);
    if a > 1.0 {
        return at_1 + (a - 1.0) * (at_1 - at_0 + bend).min(0.0);
    }
    let slope = at_1 - at_0 - bend;
    at_0 + a * (slope + a * bend)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zipf's law with noise, as the distribution of a model over its vocabulary is.
    fn logits(n: usize) -> Vec<f32> {
        let noise = |i: usize| (i as f32 * 12.9898).sin() * 0.8;
        (0..n)
            .map(|i| -1.3 * ((i + 1) as f32).ln() + noise(i))
            .collect()
    }

    fn exact(logits: &[f32], temperature: f64) -> Vec<f64> {
        let powers = logits.iter().map(|x| (f64::from(*x) / temperature).exp());
        let sum: f64 = powers.clone().sum();
        powers.map(|p| p / sum).collect()
    }

    #[test]
    fn few_tokens_and_two_sums_stand_for_the_distribution_at_any_temperature() {
        let all = logits(5000);
        let choice = Choice {
            vocab: 5000,
            top_k: 16,
            mass: 1.0,
        };
        let row = LikelyRow::of(&mut all.clone(), &choice);
        assert_eq!(row.ids.len(), 16);
        for (temperature, within) in [
            (1.0, 1e-5),
            (2.0, 1e-5),
            (1.5, 0.02),
            (4.0, 0.05),
            (0.7, 0.4),
        ] {
            let exact = exact(&all, temperature);
            let (kept, rest) = at(
                &row.logprobs,
                [row.rest, row.rest_roots],
                5000 - 16,
                temperature,
            );
            let mut left = 1.0;
            for (id, logprob) in row.ids.iter().zip(&kept) {
                let p = exact[*id as usize];
                left -= p;
                let error = (f64::from(*logprob) - p.ln()).abs();
                assert!(error < within, "{temperature}: {error}");
            }
            let error = (f64::from(rest) - left.ln()).abs();
            assert!(error < within, "rest at {temperature}: {error}");
        }
    }

    #[test]
    fn as_many_are_kept_as_the_mass_needs() {
        let row = [0.5_f32.ln(), 0.1_f32.ln(), 0.3_f32.ln(), 0.1_f32.ln()];
        let choice = |top_k, mass| Choice {
            vocab: 4,
            top_k,
            mass,
        };
        let kept = |top_k, mass| LikelyRow::of(&mut row.clone(), &choice(top_k, mass));
        assert_eq!(kept(4, 0.45).ids, [0]);
        assert_eq!(kept(4, 0.75).ids, [0, 2]);
        assert_eq!(kept(4, 0.85).ids, [0, 2, 1], "of equal ones the first");
        assert_eq!(kept(1, 0.99).ids, [0]);
        let two = kept(2, 0.99);
        assert!((two.rest - 0.2_f32.ln()).abs() < 1e-6);
        assert!((two.rest_roots - (2.0 * 0.1_f32.sqrt()).ln()).abs() < 1e-6);
        let all = kept(4, 1.0);
        assert_eq!(all.rest, f32::NEG_INFINITY);
        let (scaled, rest) = at(&all.logprobs, [all.rest, all.rest_roots], 0, 2.0);
        assert_eq!(rest, f32::NEG_INFINITY);
        let sum: f32 = scaled.iter().map(|x| x.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_a_device_found_joins_the_rest_where_it_is_not_needed() {
        let all = logits(300);
        let choice = |top_k, mass| Choice {
            vocab: 300,
            top_k,
            mass,
        };
        let more = LikelyRow::of(&mut all.clone(), &choice(20, 1.0));
        let fewer = LikelyRow::of(&mut all.clone(), &choice(20, 0.6));
        assert!(fewer.ids.len() < 20);
        let joined = LikelyRow::kept(more.ids, more.logprobs, [more.rest, more.rest_roots], 0.6);
        assert_eq!(joined.ids, fewer.ids);
        assert!((joined.rest - fewer.rest).abs() < 1e-5);
        assert!((joined.rest_roots - fewer.rest_roots).abs() < 1e-5);
    }
}
