//! Text generation with a KV cache, batched.

mod choice;

use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;

use slm_grammar::{Constraint, GrammarError};
use slm_ops::Sight;
use slm_ops::step::Team;

use crate::host::HostDecoder;
use crate::step::Step;
use crate::{Decoder, KvCache, Tokens, device, random};
use choice::Bounds;

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
    /// The stop token that ended it, if one did.
    pub stop_id: Option<u32>,
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
                rows.stop_ids[row] = Some(id);
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
    let ends = rows.stopped.into_iter().zip(rows.stop_ids);
    rows.answers
        .into_iter()
        .zip(ends)
        .map(|(ids, (stopped, stop_id))| Generated {
            ids,
            stopped,
            stop_id,
        })
        .collect()
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
    stop_ids: Vec<Option<u32>>,
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
            stop_ids: vec![None; n],
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
        let sight = Sight::new([self.read.len(), time, time], |row, _| self.pads[row]);
        let tokens = Tokens::seeing(&ids, positions, sight, decoder.device());
        let states = decoder.hidden(&tokens, Some(cache), None);
        let [rows, _, hidden] = states.dims();
        decoder.logits(states.narrow(1, time - 1, 1).reshape([rows, hidden]))
    }

    /// Reads the token just chosen of each row.
    fn read_last(&self, decoder: &Decoder, cache: &mut KvCache) -> Tensor<2> {
        let (n, seen) = (self.last.len(), cache.seen());
        let positions = self.pads.iter().map(|&pad| (seen - pad) as i32).collect();
        let sight = Sight::new([n, 1, seen + 1], |row, _| self.pads[row]);
        let tokens = Tokens::seeing(&self.last, positions, sight, decoder.device());
        let states = decoder.hidden(&tokens, Some(cache), None);
        let hidden = states.dims()[2];
        decoder.logits(states.reshape([n, hidden]))
    }
}
