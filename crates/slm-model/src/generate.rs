//! Text generation with a KV cache, batched.

use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;

use slm_grammar::{Constraint, GrammarError};
use slm_ops::step::{Team, argmax};

use crate::host::HostDecoder;
use crate::step::Step;
use crate::{Decoder, KvCache, Tokens, device, random};

/// How tokens are chosen, and when to stop.
#[derive(Clone, Debug)]
pub struct Sampling {
    pub max_new_tokens: usize,
    /// 0 takes the likeliest token.
    pub temperature: f32,
    /// The smallest set of tokens whose probability reaches this is drawn from; 1 draws from all.
    pub top_p: f32,
    pub seed: u64,
    /// A row ends with any of these; the stop token is not part of the answer.
    pub stop_ids: Vec<u32>,
}

/// What one prompt was continued with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Generated {
    pub ids: Vec<u32>,
    /// Ended by a stop token, by `on_token`, or because its constraint allows nothing more; not by the limit.
    pub stopped: bool,
}

/// Continues every prompt; rows of one call are read together, padded on the left.
///
/// `on_token(row, id)` is told each token as it is chosen, and ends its row by returning false. The draws of a row
/// depend on its seed and number alone.
pub fn generate(
    decoder: &Decoder,
    prompts: &[Vec<u32>],
    sampling: &Sampling,
    on_token: &mut dyn FnMut(usize, u32) -> bool,
) -> Vec<Generated> {
    start(decoder, prompts, sampling, &mut Bounds::none(), on_token)
}

/// [`generate`] with each row inside the constraint of its number.
///
/// A token is drawn from those that the constraint allows, as if there were no others; a stop token is among them where
/// the answer may end. A row that was not cut short is whole: [`Constraint::may_end`].
///
/// # Errors
/// The vocabulary lacks what a constraint needs, or the constraint is too large.
///
/// # Panics
/// There are more prompts than constraints.
pub fn generate_within(
    decoder: &Decoder,
    prompts: &[Vec<u32>],
    sampling: &Sampling,
    constraints: &mut [Constraint],
    on_token: &mut dyn FnMut(usize, u32) -> bool,
) -> Result<Vec<Generated>, GrammarError> {
    assert!(
        prompts.len() <= constraints.len(),
        "a constraint for each prompt"
    );
    let mut bounds = Bounds {
        constraints,
        failed: None,
    };
    let generated = start(decoder, prompts, sampling, &mut bounds, on_token);
    bounds.failed.map_or(Ok(generated), Err)
}

fn start(
    decoder: &Decoder,
    prompts: &[Vec<u32>],
    sampling: &Sampling,
    bounds: &mut Bounds<'_>,
    on_token: &mut dyn FnMut(usize, u32) -> bool,
) -> Vec<Generated> {
    let decoder = decoder.inference();
    let rows = Rows::new(prompts, sampling.seed);
    // One row on the processor goes on in steps of its own.
    let host = (prompts.len() == 1).then(|| HostDecoder::of(&decoder));
    match host.flatten() {
        Some(host) => Team::of_all(|team| {
            let reader = Reader::Host(&host, team, None);
            go_on(&decoder, rows, reader, sampling, bounds, on_token)
        }),
        None => {
            let reader = Reader::Tensors(KvCache::new());
            go_on(&decoder, rows, reader, sampling, bounds, on_token)
        }
    }
}

/// Reads prompts, and token after token.
fn go_on<'a>(
    decoder: &'a Decoder,
    mut rows: Rows,
    mut reader: Reader<'a, '_>,
    sampling: &Sampling,
    bounds: &mut Bounds<'_>,
    on_token: &mut dyn FnMut(usize, u32) -> bool,
) -> Vec<Generated> {
    let mut logits = reader.read_whole(&rows, decoder);
    for _ in 0..sampling.max_new_tokens {
        let chosen = rows.choose(logits, sampling, bounds);
        for (row, id) in chosen.into_iter().enumerate() {
            if rows.stopped[row] {
                continue;
            }
            let Some(id) = id else {
                rows.stopped[row] = true;
                continue;
            };
            rows.last[row] = id as i32;
            if sampling.stop_ids.contains(&id) {
                rows.stopped[row] = true;
            } else {
                rows.answers[row].push(id);
                let can_go_on = bounds.take(row, id);
                rows.stopped[row] = !on_token(row, id) || !can_go_on;
            }
        }
        if rows.stopped.iter().all(|&stopped| stopped) || bounds.failed.is_some() {
            break;
        }
        rows.note_read();
        let longest = rows.longest();
        logits = match decoder.config().keeps_keys(longest - 1, longest) {
            true => reader.read_last(&rows, decoder),
            false => reader.read_whole(&rows, decoder),
        };
    }
    rows.answers
        .into_iter()
        .zip(rows.stopped)
        .map(|(ids, stopped)| Generated { ids, stopped })
        .collect()
}

/// What rows are held to, if to anything.
struct Bounds<'a> {
    /// One for each row, or none at all.
    constraints: &'a mut [Constraint],
    /// The first thing that a constraint could not go on with.
    failed: Option<GrammarError>,
}

impl Bounds<'_> {
    fn none() -> Self {
        Self {
            constraints: &mut [],
            failed: None,
        }
    }

    /// Takes the token that a row goes on with; whether anything can follow it.
    fn take(&mut self, row: usize, id: u32) -> bool {
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
    fn choose(
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

/// Logits of the next token of each row.
enum Logits {
    /// `[rows, vocab]`
    Rows(Box<Tensor<2>>),
    /// Of the only row, on the host.
    Row(Vec<f32>),
}

/// Who reads tokens, and what is kept of those that were read.
enum Reader<'a, 'team> {
    Tensors(KvCache),
    /// On the processor, a row by itself; the step begins after the prompt.
    Host(&'a HostDecoder, &'a mut Team<'team>, Option<Box<Step<'a>>>),
}

impl<'a> Reader<'a, '_> {
    /// Reads everything, into an empty cache.
    fn read_whole(&mut self, rows: &Rows, decoder: &'a Decoder) -> Logits {
        let mut read = KvCache::new();
        let logits = rows.read_whole(decoder, &mut read);
        match self {
            Self::Tensors(cache) => *cache = read,
            Self::Host(host, _, step) => {
                *step = Some(Box::new(Step::after(decoder.config(), host, &read)))
            }
        }
        Logits::Rows(Box::new(logits))
    }

    /// Reads the token just chosen of each row.
    fn read_last(&mut self, rows: &Rows, decoder: &'a Decoder) -> Logits {
        match self {
            Self::Tensors(cache) => Logits::Rows(Box::new(rows.read_last(decoder, cache))),
            Self::Host(_, team, Some(step)) => Logits::Row(step.read(rows.last[0] as u32, team)),
            Self::Host(_, _, None) => self.read_whole(rows, decoder),
        }
    }
}

/// The state of a batch between steps.
struct Rows {
    /// Left padding per row.
    pads: Vec<usize>,
    last: Vec<i32>,
    /// Prompts, and everything that was read after them.
    read: Vec<Vec<u32>>,
    answers: Vec<Vec<u32>>,
    stopped: Vec<bool>,
    draws: Vec<ChaCha8Rng>,
}

impl Rows {
    fn new(prompts: &[Vec<u32>], seed: u64) -> Self {
        let n = prompts.len();
        let time = prompts.iter().map(Vec::len).max().unwrap_or(0);
        Self {
            pads: prompts.iter().map(|prompt| time - prompt.len()).collect(),
            last: vec![0; n],
            read: prompts.to_vec(),
            answers: vec![Vec::new(); n],
            stopped: vec![false; n],
            draws: (0..n)
                .map(|row| random::stream(seed, &format!("generate row {row}")))
                .collect(),
        }
    }

    /// The next token of each row from its logits, `[rows, vocab]`; `None` where its answer ends. A GPU looks for the
    /// likeliest itself.
    fn choose(
        &mut self,
        logits: Logits,
        sampling: &Sampling,
        bounds: &mut Bounds<'_>,
    ) -> Vec<Option<u32>> {
        let logits = match logits {
            Logits::Rows(logits) => *logits,
            Logits::Row(logits) => {
                return vec![bounds.choose(0, &logits, sampling, &mut self.draws[0])];
            }
        };
        let is_free = bounds.constraints.is_empty();
        if is_free && sampling.temperature <= 0.0 && device::is_gpu(&logits.device()) {
            let likeliest = logits.argmax(1).into_data();
            return likeliest.iter::<u32>().map(Some).collect();
        }
        let vocab = logits.dims()[1];
        let values = logits.into_data().try_into_vec::<f32>().unwrap_or_default();
        let rows = values.chunks(vocab).zip(&mut self.draws).enumerate();
        let stopped = self.stopped.iter();
        rows.zip(stopped)
            .map(|((row, (logits, draws)), stopped)| match stopped {
                true => None,
                false => bounds.choose(row, logits, sampling, draws),
            })
            .collect()
    }

    /// Each row goes on with the token just chosen.
    fn note_read(&mut self) {
        for (row, &last) in self.read.iter_mut().zip(&self.last) {
            row.push(last as u32);
        }
    }

    fn longest(&self) -> usize {
        self.read.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Reads everything into an empty cache; logits of the next token of each row, `[rows, vocab]`.
    fn read_whole(&self, decoder: &Decoder, cache: &mut KvCache) -> Tensor<2> {
        let time = self.longest();
        let padded = self.read.iter().zip(&self.pads);
        let ids: Vec<i32> = padded
            .clone()
            .flat_map(|(prompt, &pad)| {
                std::iter::repeat_n(0, pad).chain(prompt.iter().map(|&id| id as i32))
            })
            .collect();
        let positions = padded
            .flat_map(|(_, &pad)| (0..time).map(move |t| t.saturating_sub(pad) as i32))
            .collect();
        let tokens = Tokens::with_sight(
            &ids,
            positions,
            [self.read.len(), time],
            time,
            decoder.device(),
            |r, _| self.pads[r],
        );
        let states = decoder.hidden(&tokens, Some(cache), None);
        let [rows, _, hidden] = states.dims();
        decoder.logits(states.narrow(1, time - 1, 1).reshape([rows, hidden]))
    }

    /// Reads the token just chosen of each row.
    fn read_last(&self, decoder: &Decoder, cache: &mut KvCache) -> Tensor<2> {
        let (n, seen) = (self.last.len(), cache.seen());
        let positions = self.pads.iter().map(|&pad| (seen - pad) as i32).collect();
        let tokens = Tokens::with_sight(
            &self.last,
            positions,
            [n, 1],
            seen + 1,
            decoder.device(),
            |r, _| self.pads[r],
        );
        let states = decoder.hidden(&tokens, Some(cache), None);
        let hidden = states.dims()[2];
        decoder.logits(states.reshape([n, hidden]))
    }
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
