//! `loglikelihood`: how likely the row's own answer is, given its prompt.

use rayon::prelude::*;
use slm_data::{HeldOut, Prompt};
use slm_model::{Decoder, Scored, Sequence, score};

use crate::error::EvalError;
use crate::request::{Answered, Encoding};
use crate::sample::{Sample, Score};

pub(crate) fn answer(
    decoder: &Decoder,
    encoding: Encoding<'_>,
    batch_size: usize,
    items: &[&HeldOut],
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Sample>, EvalError> {
    let answered = items
        .par_iter()
        .map(|item| encoding.answered(item, &item.target))
        .collect::<Result<Vec<_>, _>>()?;
    let sequences: Vec<Sequence> = answered
        .iter()
        .map(|each| Sequence {
            ids: [&each.prompt[..], &each.answer].concat(),
            from: each.prompt.len(),
        })
        .collect();
    let scored = score(decoder, &sequences, batch_size, done);
    items
        .iter()
        .zip(answered.iter().zip(&scored))
        .map(|(item, (answered, scored))| sample(&encoding, item, answered, scored))
        .collect()
}

fn sample(
    encoding: &Encoding<'_>,
    item: &HeldOut,
    answered: &Answered,
    scored: &Scored,
) -> Result<Sample, EvalError> {
    let logprob: f64 = scored.logprobs.iter().map(|p| f64::from(*p)).sum();
    if !logprob.is_finite() {
        return Err(EvalError::NotFinite {
            task: encoding.task.into(),
            origin: item.origin.clone(),
            value: logprob,
        });
    }
    let prompt = encoding
        .tokenizer
        .decode(&answered.prompt, false)
        .map_err(|source| encoding.refused(item, source))?;
    // Without prompt and BOS, the text's own first token is not predicted.
    let has_none = match &item.prompt {
        Prompt::Text(text) => text.is_empty(),
        Prompt::Tokens { prompt, .. } => prompt.is_empty(),
        Prompt::Chat(_) => false,
    };
    let unscored = match item.target.starts_with(&prompt) {
        true if has_none => prompt.len(),
        _ => 0,
    };
    Ok(Sample {
        row: item.row,
        origin: item.origin.clone(),
        prompt,
        target: item.target.clone(),
        output: item.target.clone(),
        prompt_tokens: answered.prompt.len(),
        output_tokens: answered.answer.len(),
        slices: item.slices.clone(),
        score: Score::Likelihood {
            logprob,
            target_bytes: item.target.len().saturating_sub(unscored),
            greedy: scored.greedy.iter().all(|greedy| *greedy),
        },
    })
}
