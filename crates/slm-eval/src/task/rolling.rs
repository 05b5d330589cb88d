//! `loglikelihood_rolling`: how likely a whole text is, in windows as long as the model reads.

use slm_data::HeldOut;
use slm_model::{Decoder, Sequence, score};

use crate::error::EvalError;
use crate::request::Encoding;
use crate::sample::{Sample, Score};
use crate::suite::encoding::{PairEncoder, windows};

pub(crate) fn answer(
    decoder: &Decoder,
    encoding: Encoding<'_>,
    batch_size: usize,
    items: &[&HeldOut],
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Sample>, EvalError> {
    let texts: Vec<(&str, &str)> = items
        .iter()
        .map(|item| (item.origin.as_str(), item.target.as_str()))
        .collect();
    let rolled = roll(decoder, encoding, batch_size, &texts, done)?;
    let samples = items.iter().zip(rolled).map(|(item, rolled)| Sample {
        row: item.row,
        origin: item.origin.clone(),
        prompt: String::new(),
        target: item.target.clone(),
        output: item.target.clone(),
        prompt_tokens: 0,
        output_tokens: rolled.tokens,
        slices: item.slices.clone(),
        score: rolled.score(&item.target),
    });
    Ok(samples.collect())
}

/// A text that was scored whole.
pub(crate) struct Rolled {
    /// Summed log-likelihood, in nats.
    pub(crate) logprob: f64,
    pub(crate) tokens: usize,
    greedy: bool,
}

impl Rolled {
    pub(crate) fn score(&self, text: &str) -> Score {
        Score::Likelihood {
            logprob: self.logprob,
            target_bytes: text.len(),
            greedy: self.greedy,
        }
    }
}

/// Scores texts, each with where it comes from. The first token is given BOS, or EOS where there is none; a later window is given the token
/// before it, and all that fits before that.
pub(crate) fn roll(
    decoder: &Decoder,
    encoding: Encoding<'_>,
    batch_size: usize,
    texts: &[(&str, &str)],
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Rolled>, EvalError> {
    let encoder = PairEncoder::of(&encoding);
    let mut sequences: Vec<Sequence> = Vec::new();
    let mut owners: Vec<usize> = Vec::new();
    let mut rolled = Vec::with_capacity(texts.len());
    for (i, (origin, text)) in texts.iter().enumerate() {
        let ids = encoder.whole(origin, text)?;
        rolled.push(Rolled {
            logprob: 0.0,
            tokens: ids.len(),
            greedy: true,
        });
        for window in windows(&ids, encoder.prefix(origin)?, encoding.limit) {
            sequences.push(window);
            owners.push(i);
        }
    }
    let mut finished = 0;
    let scored = score(decoder, &sequences, batch_size, &mut |n| {
        // Windows of similar length go together, so texts are counted as their share.
        let share = n * texts.len() / sequences.len().max(1);
        if share > finished {
            finished = share;
            done(share);
        }
    });
    for (i, window) in owners.into_iter().zip(scored) {
        rolled[i].logprob += window.logprobs.iter().map(|p| f64::from(*p)).sum::<f64>();
        rolled[i].greedy &= window.greedy.iter().all(|greedy| *greedy);
    }
    for ((origin, _), rolled) in texts.iter().zip(&rolled) {
        if !rolled.logprob.is_finite() {
            return Err(EvalError::NotFinite {
                task: encoding.task.into(),
                origin: (*origin).into(),
                value: rolled.logprob,
            });
        }
    }
    Ok(rolled)
}
