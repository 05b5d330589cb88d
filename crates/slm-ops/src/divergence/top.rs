//! The student's logits of a cached teacher's likeliest tokens.

use super::row::{Softmax, slope};
use super::{NEVER, UNUSED};

/// Places of a row of logits, and what was there.
pub(super) struct Top {
    /// `None` where a place is not used.
    places: Vec<Option<(usize, f32)>>,
}

impl Top {
    /// Takes them out of the row, where they count for nothing from then on.
    pub(super) fn take(row: &mut [f32], ids: &[i64], teacher: &[f32]) -> Self {
        /// Far below all logits, and small enough to be squared.
        const NOTHING: f32 = -1e9;
        let used = |t: &f32| *t > UNUSED as f32;
        let ids = ids.iter().zip(teacher);
        let places = ids.map(|(id, t)| used(t).then(|| (*id as usize, row[*id as usize])));
        let places: Vec<_> = places.collect();
        for (place, _) in places.iter().flatten() {
            row[*place] = NOTHING;
        }
        Self { places }
    }

    /// The logit of the token that is likeliest to the teacher.
    pub(super) fn likeliest(&self, teacher: &[f32]) -> f32 {
        let pairs = self.places.iter().zip(teacher);
        let pairs = pairs.filter_map(|(place, t)| place.map(|(_, logit)| (*t, logit)));
        let best = pairs.reduce(|a, b| if b.0 > a.0 { b } else { a });
        best.map_or(f32::NEG_INFINITY, |(_, logit)| logit)
    }

    /// The student's log-probabilities of `n` outcomes; the rest is one if they are more than the places.
    pub(super) fn outcomes(&self, n: usize, softmax: &Softmax, others: &Softmax) -> Vec<f32> {
        let never = NEVER as f32;
        let top = self.places.iter();
        let top = top.map(|place| place.map_or(never, |(_, x)| softmax.log_probability(x)));
        let mut outcomes: Vec<f32> = top.collect();
        if n > outcomes.len() {
            let rest = softmax.log_probability(others.largest) + others.log_sum;
            outcomes.push(rest.max(never));
        } else {
            let among = Softmax::of(&outcomes);
            let log = |x: &mut f32| *x = among.log_probability(*x);
            outcomes.iter_mut().for_each(log);
        }
        outcomes
    }

    /// Puts the gradients of logits where these were taken from.
    pub(super) fn put(&mut self, row: &mut [f32], gradients: &[f32], bend: f32) {
        for (place, gradient) in self.places.iter().zip(gradients) {
            if let Some((place, logit)) = *place {
                row[place] = gradient * slope(logit, bend);
            }
        }
    }
}
