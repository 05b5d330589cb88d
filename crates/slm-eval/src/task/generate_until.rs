//! `generate_until`: the model writes its answer, greedily or sampled, until it ends or a stop string appears.

use std::time::Instant;

use rayon::prelude::*;
use slm_data::HeldOut;
use slm_model::{Decoder, Generated, Sampling, generate, generate_within};
use slm_recipe::EvalTask;
use slm_text::{ChatTokenizer, StreamDecoder, TextError};

use crate::constraint::constraint;
use crate::error::EvalError;
use crate::request::Encoding;
use crate::sample::{Finish, Sample, Score};
use slm_metrics::{exact_match, score_json};

/// Answers the items, and adds to `waits` the seconds that each answer took from when its batch was begun.
pub(crate) fn answer(
    decoder: &Decoder,
    encoding: Encoding<'_>,
    task: &EvalTask,
    seed: u64,
    items: &[&HeldOut],
    waits: &mut Vec<f64>,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Sample>, EvalError> {
    let prompts = items
        .par_iter()
        .map(|item| encoding.prompt(item))
        .collect::<Result<Vec<_>, _>>()?;
    let constraint = constraint(task, encoding.tokenizer)?;
    // Prompts of similar length go together: less padding.
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|i| prompts[*i].len());
    let mut samples: Vec<Option<Sample>> = vec![None; items.len()];
    let mut finished = 0;
    for (number, batch) in order.chunks(task.batch_size.max(1)).enumerate() {
        let rows: Vec<Vec<u32>> = batch.iter().map(|i| prompts[*i].clone()).collect();
        let sampling = Sampling {
            max_new_tokens: task.max_new_tokens,
            temperature: task.temperature as f32,
            top_p: task.top_p as f32,
            seed: seed.wrapping_add(number as u64),
            stop_ids: encoding.tokenizer.stop_ids(),
        };
        let started = Instant::now();
        let mut watches: Vec<Watch<'_>> = rows
            .iter()
            .map(|row| Watch::new(encoding.tokenizer, &task.stop, encoding.limit - row.len()))
            .collect();
        let mut go_on = |row: usize, id| watches[row].go_on(id);
        let generated = match &constraint {
            None => generate(decoder, &rows, &sampling, &mut go_on),
            Some(constraint) => {
                let mut constraints = vec![constraint.clone(); rows.len()];
                generate_within(decoder, &rows, &sampling, &mut constraints, &mut go_on)
                    .map_err(|source| EvalError::constraint(&task.name, source))?
            }
        };
        for ((i, watch), generated) in batch.iter().zip(watches).zip(&generated) {
            waits.push(watch.last.duration_since(started).as_secs_f64());
            let (output, finish) = watch
                .finish(encoding.tokenizer, &task.stop, generated)
                .map_err(|source| encoding.refused(items[*i], source))?;
            let written = generated.ids.len();
            samples[*i] = Some(sample(
                &encoding,
                items[*i],
                &prompts[*i],
                output,
                written,
                finish,
            )?);
        }
        finished += batch.len();
        done(finished);
    }
    Ok(samples.into_iter().flatten().collect())
}

/// Watches one row while it is written.
struct Watch<'a> {
    stream: StreamDecoder<'a>,
    stop: &'a [String],
    text: String,
    /// Tokens that still fit into the context.
    room: usize,
    ended: Option<Finish>,
    failed: Option<TextError>,
    /// When its last token came.
    last: Instant,
}

impl<'a> Watch<'a> {
    fn new(tokenizer: &'a ChatTokenizer, stop: &'a [String], room: usize) -> Self {
        Self {
            stream: tokenizer.stream(true),
            stop,
            text: String::new(),
            room,
            ended: None,
            failed: None,
            last: Instant::now(),
        }
    }

    /// Whether the row goes on after this token.
    fn go_on(&mut self, id: u32) -> bool {
        self.last = Instant::now();
        self.room = self.room.saturating_sub(1);
        if !self.stop.is_empty() {
            match self.stream.push(id) {
                Ok(piece) => self.text.push_str(&piece),
                Err(error) => self.failed = Some(error),
            }
        }
        if earliest(&self.text, self.stop).is_some() {
            self.ended = Some(Finish::Stop);
        } else if self.room == 0 {
            self.ended = Some(Finish::Context);
        }
        self.ended.is_none() && self.failed.is_none()
    }

    /// The text up to the first stop string, and why it ended.
    fn finish(
        self,
        tokenizer: &ChatTokenizer,
        stop: &[String],
        generated: &Generated,
    ) -> Result<(String, Finish), TextError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut text = tokenizer.decode(&generated.ids, true)?;
        if let Some(end) = earliest(&text, stop) {
            text.truncate(end);
        }
        let finish = match (self.ended, generated.stopped) {
            (Some(finish), _) => finish,
            (None, true) => Finish::Stop,
            (None, false) => Finish::Length,
        };
        Ok((text, finish))
    }
}

/// Where the first of the stop strings begins; an empty one stops nothing.
fn earliest(text: &str, stop: &[String]) -> Option<usize> {
    stop.iter()
        .filter(|stop| !stop.is_empty())
        .filter_map(|stop| text.find(stop.as_str()))
        .min()
}

fn sample(
    encoding: &Encoding<'_>,
    item: &HeldOut,
    prompt: &[u32],
    output: String,
    output_tokens: usize,
    finish: Finish,
) -> Result<Sample, EvalError> {
    Ok(Sample {
        row: item.row,
        origin: item.origin.clone(),
        prompt: encoding
            .tokenizer
            .decode(prompt, false)
            .map_err(|source| encoding.refused(item, source))?,
        target: item.target.clone(),
        prompt_tokens: prompt.len(),
        output_tokens,
        slices: item.slices.clone(),
        score: Score::Generated {
            correct: exact_match(&output, &item.target),
            finish,
            json: score_json(&output, &item.target),
        },
        output,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_stop_string_ends_the_text() {
        let stop = vec!["\n\n".to_string(), "###".to_string(), String::new()];
        assert_eq!(earliest("one ### two\n\n", &stop), Some(4));
        assert_eq!(earliest("one", &stop), None);
        assert_eq!(earliest("one", &[]), None);
    }
}
