//! Steps that are taken to be timed.

use std::time::Instant;

use slm_model::Decoder;
use slm_run::Event;

use crate::stopwatch::{self, PartTimes};
use crate::{TrainError, Trainer};

/// A step and what it took.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct MeasuredStep {
    /// From asking for rows to the changed weights; a share of all of them where the host is ahead of the device.
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
    if trainer.works_ahead() && !by_part {
        return measure_together(trainer, decoder, n);
    }
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
        Ok(MeasuredStep::of(&event?, places, elapsed_s, parts))
    };
    (0..n).map(&mut measure).collect()
}

/// Asks for all steps before any is waited for, as a run does that is ahead of its device: each took its share, by its places.
fn measure_together(
    trainer: &mut Trainer<'_>,
    decoder: &mut Decoder,
    n: usize,
) -> Result<Vec<MeasuredStep>, TrainError> {
    let started = Instant::now();
    let mut places = Vec::new();
    for _ in 0..n {
        places.push(trainer.next_places());
        trainer.ask(decoder, &mut |_| {})?;
    }
    let mut told = Vec::new();
    trainer.hear(decoder, &mut |event| told.push(event))?;
    let of_each = started.elapsed().as_secs_f64() / places.iter().sum::<usize>().max(1) as f64;
    let steps = told.iter().zip(places);
    let step = |(event, places)| MeasuredStep::of(event, places, of_each * places as f64, None);
    Ok(steps.map(step).collect())
}

impl MeasuredStep {
    fn of(event: &Event, places: usize, elapsed_s: f64, parts: Option<PartTimes>) -> Self {
        let Event::Step {
            learned_tokens,
            tokens,
            loss,
            ..
        } = *event
        else {
            unreachable!("a step tells of a step");
        };
        Self {
            elapsed_s,
            parts,
            learned_tokens,
            tokens,
            places,
            loss,
        }
    }
}
