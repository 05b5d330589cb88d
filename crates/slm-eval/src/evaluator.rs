//! One model, one task, many items.

use std::time::Instant;

use slm_data::HeldOut;
use slm_model::Decoder;
use slm_recipe::{EvalTask, OutputType};
use slm_run::{Emit, Event};
use slm_text::ChatTokenizer;

use crate::error::EvalError;
use crate::request::Encoding;
use crate::task::{generate_until, loglikelihood, multiple_choice, rolling};
use crate::task_report::TaskReport;

/// A model that answers tasks.
#[derive(Clone, Copy, Debug)]
pub struct Evaluator<'a> {
    /// The model.
    pub decoder: &'a Decoder,
    /// Its tokenizer and chat template.
    pub tokenizer: &'a ChatTokenizer,
    /// Whether an answer includes the token that ends it: `data.train_on_eos` of the recipe, so that evaluation sees the
    /// tokens of training.
    pub eos: bool,
    /// Of sampling and of the bootstrap.
    pub seed: u64,
}

impl Evaluator<'_> {
    /// Answers a task's items and measures the answers.
    ///
    /// At most `task.max_samples` items are used, evenly spaced over all of them, so that sorted rows do not lose their last labels.
    /// Progress is counted in items.
    ///
    /// # Errors
    /// No items; for `multiple_choice`, fewer than two choices, or an item whose target is none of them; an item that does not encode or does not
    /// fit into the model's context; a log-likelihood that is not finite.
    pub fn evaluate(
        &self,
        task: &EvalTask,
        items: &[HeldOut],
        emit: Emit<'_>,
    ) -> Result<TaskReport, EvalError> {
        let started = Instant::now();
        let items = evenly_spaced(items, task.max_samples);
        if items.is_empty() {
            return Err(EvalError::NoItems {
                task: task.name.clone(),
            });
        }
        let encoding = self.encoding(&task.name);
        let mut done = counted(&task.name, items.len(), emit);
        let (mut choices, mut waits) = (Vec::new(), Vec::new());
        let samples = match task.output_type {
            OutputType::MultipleChoice => {
                choices = multiple_choice::distinct(task)?;
                multiple_choice::answer(self.decoder, encoding, &choices, &items, &mut done)?
            }
            OutputType::GenerateUntil => {
                choices = multiple_choice::trimmed(task);
                generate_until::answer(
                    self.decoder,
                    encoding,
                    task,
                    self.seed,
                    &items,
                    &mut waits,
                    &mut done,
                )?
            }
            OutputType::Loglikelihood => {
                loglikelihood::answer(self.decoder, encoding, task.batch_size, &items, &mut done)?
            }
            OutputType::LoglikelihoodRolling => {
                rolling::answer(self.decoder, encoding, task.batch_size, &items, &mut done)?
            }
        };
        let elapsed_s = started.elapsed().as_secs_f64();
        let report = TaskReport::of(task, choices, samples, self.seed, elapsed_s)?;
        Ok(TaskReport {
            cost: report.cost_of(waits, task.batch_size),
            ..report
        })
    }

    /// How a task's items become ids.
    pub(crate) fn encoding<'b>(&'b self, task: &'b str) -> Encoding<'b> {
        Encoding {
            task,
            tokenizer: self.tokenizer,
            eos: self.eos,
            limit: self.decoder.config().max_position_embeddings,
        }
    }
}

/// Tells how many of a task's items are answered.
pub(crate) fn counted<'a>(task: &'a str, n_items: usize, emit: Emit<'a>) -> impl FnMut(usize) + 'a {
    move |done| {
        emit(Event::Progress {
            stage: task.into(),
            done: done as u64,
            total: n_items as u64,
            unit: "items".into(),
        });
    }
}

/// At most `max` items (0 = all), spread over the whole list.
fn evenly_spaced(items: &[HeldOut], max: usize) -> Vec<&HeldOut> {
    if max == 0 || max >= items.len() {
        return items.iter().collect();
    }
    (0..max).map(|i| &items[i * items.len() / max]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use slm_data::Prompt;

    #[test]
    fn a_limit_spreads_over_all_items() {
        let items: Vec<HeldOut> = (0..10)
            .map(|row| HeldOut {
                row,
                origin: String::new(),
                prompt: Prompt::Text(String::new()),
                target: String::new(),
                slices: Default::default(),
            })
            .collect();
        let rows = |max| -> Vec<usize> {
            evenly_spaced(&items, max)
                .iter()
                .map(|item| item.row)
                .collect()
        };
        assert_eq!(rows(4), [0, 2, 5, 7]);
        assert_eq!(rows(0).len(), 10);
        assert_eq!(rows(99).len(), 10);
    }
}
