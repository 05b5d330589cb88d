//! A teacher says what it knows of rows, once.

use std::time::Instant;

use half::f16;
use slm_data::{CacheFolder, Sample, TaughtRow, WorkerShare, collate};
use slm_model::Decoder;
use slm_ops::{Choice, Likely, likely_tokens};
use slm_run::{Emit, Event};

use crate::TrainError;
use crate::gradients::learned_states;

/// Name of the stage.
const STAGE: &str = "teach";

/// What a worker did.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Taught {
    /// Shards that it wrote.
    pub shards: usize,
    /// Of its share, there already.
    pub kept_shards: usize,
    pub rows: usize,
    /// Tokens that the teacher read, without padding.
    pub tokens: usize,
    /// Tokens that it said something of.
    pub learned_tokens: usize,
    /// Wall time of teaching, without loading.
    pub elapsed_s: f64,
}

/// Lets a teacher say what it knows of `samples`, shard by shard; those that are there are kept.
///
/// # Errors
/// A shard cannot be written; those before it are there.
pub fn teach(
    teacher: &Decoder,
    folder: &CacheFolder,
    samples: &[Sample],
    share: WorkerShare,
    batch_size: usize,
    emit: Emit<'_>,
) -> Result<Taught, TrainError> {
    let started = Instant::now();
    let teacher = teacher.inference();
    folder.begin()?;
    let shards = folder.shards(samples);
    let n = shards.len();
    let own = shards.iter().enumerate();
    let own: Vec<_> = own.filter(|(at, _)| at % share.of == share.nth).collect();
    let total: usize = own.iter().map(|(_, rows)| rows.len()).sum();
    let (mut taught, mut done) = (Taught::default(), 0);
    for (at, rows) in own {
        if folder.has(at, n) {
            taught.kept_shards += 1;
            done += rows.len();
            continue;
        }
        let mut progress = |of_shard: usize| {
            emit(Event::Progress {
                stage: STAGE.into(),
                done: (done + of_shard) as u64,
                total: total as u64,
                unit: "rows".into(),
            });
        };
        let said = rows_said(&teacher, rows, folder, batch_size, &mut progress);
        folder.write(at, n, &said)?;
        done += rows.len();
        taught.shards += 1;
        taught.rows += rows.len();
        taught.tokens += rows.iter().map(|row| row.ids.len()).sum::<usize>();
        taught.learned_tokens += rows.iter().map(|row| row.learned()).sum::<usize>();
    }
    taught.elapsed_s = started.elapsed().as_secs_f64();
    Ok(taught)
}

/// What a teacher says of rows, in their order, `batch_size` of similar length at a time.
fn rows_said(
    teacher: &Decoder,
    rows: &[&Sample],
    folder: &CacheFolder,
    batch_size: usize,
    done: &mut dyn FnMut(usize),
) -> Vec<TaughtRow> {
    let key = folder.key();
    let choice = Choice {
        vocab: key.vocab,
        top_k: key.top_k,
        mass: key.mass,
    };
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|at| rows[*at].ids.len());
    let mut said: Vec<_> = rows.iter().map(|row| TaughtRow::of(row)).collect();
    let mut finished = 0;
    for places in order.chunks(batch_size.max(1)) {
        let batch = collate(&places.iter().map(|at| rows[*at]).collect::<Vec<_>>());
        let states = learned_states(teacher, &batch);
        let likely = likely_tokens(states, teacher.head(), &teacher.config().head, &choice);
        let mut cut = Cut::of(&likely);
        for at in places {
            cut.take(rows[*at].learned(), &mut said[*at]);
        }
        finished += places.len();
        done(finished);
    }
    said
}

/// What is likely at the positions of a batch, cut up into rows.
struct Cut<'a> {
    likely: &'a Likely,
    token: usize,
    kept: usize,
}

impl<'a> Cut<'a> {
    fn of(likely: &'a Likely) -> Self {
        Self {
            likely,
            token: 0,
            kept: 0,
        }
    }

    /// The next `n` positions are those of `row`.
    fn take(&mut self, n: usize, row: &mut TaughtRow) {
        let halves = |values: &[f32]| values.iter().map(|x| f16::from_f32(*x)).collect();
        let tokens = self.token..self.token + n;
        let counts = &self.likely.counts[tokens.clone()];
        let kept = self.kept..self.kept + counts.iter().sum::<u32>() as usize;
        (self.token, self.kept) = (tokens.end, kept.end);
        // At most `top_k`, which is less than 2¹⁶.
        row.counts = counts.iter().map(|count| *count as u16).collect();
        row.ids = self.likely.ids[kept.clone()].to_vec();
        row.logprobs = halves(&self.likely.logprobs[kept]);
        row.rest = halves(&self.likely.rest[tokens.clone()]);
        row.rest_roots = halves(&self.likely.rest_roots[tokens]);
    }
}
