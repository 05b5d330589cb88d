//! Which token comes next: the likeliest or a draw, of all or of those that a constraint allows.

use rand_chacha::ChaCha8Rng;
use slm_grammar::{Constraint, GrammarError};
use slm_ops::step::argmax;

use super::Sampling;
use crate::random;

/// What rows are held to, if to anything.
pub(super) struct Bounds<'a> {
    /// One for each row, or none at all.
    pub(super) constraints: &'a mut [Constraint],
    /// The first thing that a constraint could not go on with.
    pub(super) failed: Option<GrammarError>,
}

impl Bounds<'_> {
    pub(super) fn none() -> Self {
        Self {
            constraints: &mut [],
            failed: None,
        }
    }

    /// Takes the token that a row goes on with; whether anything can follow it.
    pub(super) fn take(&mut self, row: usize, id: u32) -> bool {
        let Some(constraint) = self.constraints.get_mut(row) else {
            return true;
        };
        match constraint.advance(id) {
            Ok(()) => !constraint.is_complete(),
            Err(error) => {
                self.failed.get_or_insert(error);
                false
            }
        }
    }

    /// The next token of a row from its logits; `None` where its answer ends.
    pub(super) fn choose(
        &mut self,
        row: usize,
        logits: &[f32],
        sampling: &Sampling,
        draws: &mut ChaCha8Rng,
    ) -> Option<u32> {
        let Some(constraint) = self.constraints.get_mut(row) else {
            return Some(choose(logits, sampling, draws));
        };
        match candidates(constraint, &sampling.stop_ids, logits.len()) {
            Ok(ids) if ids.is_empty() => None,
            Ok(ids) => {
                let logits: Vec<f32> = ids.iter().map(|id| logits[*id as usize]).collect();
                Some(ids[choose(&logits, sampling, draws) as usize])
            }
            Err(error) => {
                self.failed.get_or_insert(error);
                None
            }
        }
    }
}

/// The tokens that may come next, those that end an answer behind the others; none where it can only end.
fn candidates(
    constraint: &mut Constraint,
    stop_ids: &[u32],
    vocab: usize,
) -> Result<Vec<u32>, GrammarError> {
    let mut ids = Vec::new();
    let has_logit = |id: u32| (id as usize) < vocab;
    constraint.for_each_allowed(|id| {
        if has_logit(id) && !stop_ids.contains(&id) {
            ids.push(id);
        }
    })?;
    match (constraint.may_end()?, ids.is_empty()) {
        (true, false) => ids.extend(stop_ids.iter().copied().filter(|id| has_logit(*id))),
        (false, true) => return Err(constraint.dead_end()),
        _ => {}
    }
    Ok(ids)
}

/// The next token from one row of logits.
fn choose(logits: &[f32], sampling: &Sampling, draws: &mut ChaCha8Rng) -> u32 {
    let best = argmax(logits);
    if sampling.temperature <= 0.0 {
        return best as u32;
    }
    let top = logits[best];
    let mut weights: Vec<(usize, f32)> = logits
        .iter()
        .map(|l| ((l - top) / sampling.temperature).exp())
        .enumerate()
        .collect();
    weights.sort_by(|a, b| b.1.total_cmp(&a.1));
    let total: f32 = weights.iter().map(|(_, w)| w).sum();
    let mut kept = 0.0;
    let cut = weights.iter().position(|(_, w)| {
        kept += w / total;
        kept >= sampling.top_p
    });
    weights.truncate(cut.map_or(weights.len(), |last| last + 1));
    let mut draw = random::unit(draws) * weights.iter().map(|(_, w)| w).sum::<f32>();
    let chosen = weights.iter().find(|(_, w)| {
        draw -= w;
        draw < 0.0
    });
    chosen.or(weights.last()).map_or(best, |(id, _)| *id) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling(temperature: f32, top_p: f32) -> Sampling {
        Sampling {
            max_new_tokens: 1,
            temperature,
            top_p,
            seed: 1,
            stop_ids: vec![],
        }
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        let mut draws = random::stream(1, "test");
        assert_eq!(choose(&[0.0, 2.0, 2.0], &sampling(0.0, 1.0), &mut draws), 1);
    }

    #[test]
    fn top_p_leaves_the_tail_out() {
        let mut draws = random::stream(1, "test");
        // Probabilities 0.665, 0.245, 0.090: the first two reach 0.9.
        let drawn: Vec<u32> = (0..200)
            .map(|_| choose(&[2.0, 1.0, 0.0], &sampling(1.0, 0.9), &mut draws))
            .collect();
        assert!(drawn.contains(&0) && drawn.contains(&1) && !drawn.contains(&2));
    }
}
