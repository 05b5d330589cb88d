//! Texts that a model writes for a suite's task.

use rayon::prelude::*;
use slm_data::{HeldOut, Prompt};
use slm_model::Decoder;
use slm_recipe::EvalTask;
use slm_suite::{Ask, Item};

use super::encoding::PairEncoder;
use crate::error::EvalError;
use crate::request::Encoding;
use crate::sample::{Finish, Score};
use crate::task::generate_until;

/// What was written for an item.
pub(crate) struct Written {
    pub(crate) context: String,
    pub(crate) texts: Vec<String>,
    /// How the first one ended.
    pub(crate) finish: Finish,
    pub(crate) context_tokens: usize,
    /// Of all texts.
    pub(crate) tokens: usize,
}

impl Written {
    fn nothing(context: &str) -> Self {
        Self {
            context: context.into(),
            texts: Vec::new(),
            finish: Finish::Stop,
            context_tokens: 0,
            tokens: 0,
        }
    }
}

/// Writes each item's texts, and adds to `waits` the seconds that each took, as many as the task repeats. Prompts are cut from the left, so that the longest text still fits.
pub(crate) fn texts(
    decoder: &Decoder,
    encoding: Encoding<'_>,
    task: &slm_suite::Task,
    seed: u64,
    items: &[Item],
    waits: &mut Vec<f64>,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Written>, EvalError> {
    let encoder = PairEncoder::of(&encoding);
    let generation = &task.generation;
    let prompts: Vec<HeldOut> = items
        .par_iter()
        .map(|item| {
            let ids = encoder.prompt(&item.origin, context(item), generation.max_new_tokens)?;
            Ok(HeldOut {
                row: item.row,
                origin: item.origin.clone(),
                prompt: Prompt::Tokens {
                    prompt: ids,
                    answer: Vec::new(),
                },
                target: item.target.clone(),
                slices: item.slices.clone(),
            })
        })
        .collect::<Result<_, EvalError>>()?;
    let prompts: Vec<&HeldOut> = prompts.iter().collect();
    let how = EvalTask {
        name: task.name.clone(),
        max_new_tokens: generation.max_new_tokens,
        temperature: generation.temperature,
        top_p: generation.top_p,
        stop: generation.stop.clone(),
        batch_size: task.batch_size,
        constraint: task.constraint.clone(),
        choices: task.labels.clone(),
        ..EvalTask::default()
    };
    let mut written: Vec<Written> = items
        .iter()
        .map(|item| Written::nothing(context(item)))
        .collect();
    for repeat in 0..task.repeats {
        // Draws of another repeat are others, whatever the number of batches.
        let seed = seed.wrapping_add((repeat * items.len()) as u64);
        let mut tell = |n| done((repeat * items.len() + n) / task.repeats);
        let samples =
            generate_until::answer(decoder, encoding, &how, seed, &prompts, waits, &mut tell)?;
        for (own, sample) in written.iter_mut().zip(samples) {
            if own.texts.is_empty() {
                own.context_tokens = sample.prompt_tokens;
                if let Score::Generated { finish, .. } = sample.score {
                    own.finish = finish;
                }
            }
            own.tokens += sample.output_tokens;
            own.texts.push(sample.output);
        }
    }
    Ok(written)
}

fn context(item: &Item) -> &str {
    match item.asks.first() {
        Some(Ask::Generate(context)) => context,
        _ => "",
    }
}
