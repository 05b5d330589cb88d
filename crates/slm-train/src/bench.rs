//! Steps that are taken to be timed.

use std::time::Instant;

use slm_model::Decoder;
use slm_run::Event;

use crate::stopwatch::{self, PartTimes};
use crate::{TrainError, Trainer};

/// A step and what it took.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct MeasuredStep {
    /// From asking for rows to the changed weights.
    pub elapsed_s: f64,
    /// The same by part, where that was asked for; what is left is the loop's own bookkeeping.
    pub parts: Option<PartTimes>,
    /// Tokens that are learned.
    pub learned_tokens: usize,
    /// Tokens that are no padding.
    pub tokens: usize,
    /// Places of the batches, padding included.
    pub places: usize,
    /// Mean over the learned tokens, in nats.
    pub loss: f64,
}

/// Takes `n` steps of a run and times each, `by_part` or as a whole: a GPU that is waited for at the end of every part does not work
/// ahead, and is slower. They change the weights as any others do.
///
/// # Errors
/// Those of [`Trainer::step`].
pub fn measure_steps(
    trainer: &mut Trainer<'_>,
    decoder: &mut Decoder,
    n: usize,
    by_part: bool,
) -> Result<Vec<MeasuredStep>, TrainError> {
    let device = decoder.device().clone();
    let mut measure = |_| {
        let places = trainer.next_places();
        if by_part {
            stopwatch::start(&device);
        }
        let started = Instant::now();
        let event = trainer.step(decoder, &mut |_| {});
        let elapsed_s = started.elapsed().as_secs_f64();
        let parts = by_part.then(stopwatch::stop);
        let Event::Step {
            learned_tokens,
            tokens,
            loss,
            ..
        } = event?
        else {
            unreachable!("a step tells of a step");
        };
        Ok(MeasuredStep {
            elapsed_s,
            parts,
            learned_tokens,
            tokens,
            places,
            loss,
        })
    };
    (0..n).map(&mut measure).collect()
}
