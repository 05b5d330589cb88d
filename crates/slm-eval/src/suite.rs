//! Tasks of suites: what they ask goes to the model, what it answers comes back as a report.

pub(crate) mod encoding;
mod likelihoods;
mod texts;

use std::time::Instant;

use serde::{Deserialize, Serialize};
use slm_data::HeldOut;
use slm_recipe::{EvalTask, OutputType};
use slm_run::Emit;
use slm_suite::{Answer, Ask, Item};

use crate::calibration::Split;
use crate::error::EvalError;
use crate::evaluator::{Evaluator, counted};
use crate::sample::{Sample, Score};
use crate::task::rolling::roll;
use crate::task_report::TaskReport;
use likelihoods::{Asked, likelihoods};
use texts::{Written, texts};

/// A task with what it asks.
#[derive(Clone, Debug)]
pub enum Task {
    /// Rows that are read as the rows to learn from are.
    Rows {
        /// What is asked, with its choices.
        task: Box<EvalTask>,
        /// The rows that test; never those that calibrate.
        items: Vec<HeldOut>,
        /// The rows apart, where the task is calibrated; its `test` is in `items`.
        calibration: Option<Split>,
    },
    /// Rows that are filled into templates.
    Suite(Box<slm_suite::Task>),
}

/// A question of a suite's task and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// Number of the row in its file, from 0.
    pub row: usize,
    /// Where the row comes from.
    pub origin: String,
    /// What came before; empty for a whole text.
    pub context: String,
    /// What was scored.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub continuation: Option<String>,
    /// Its summed log-likelihood, in nats.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub logprob: Option<f64>,
    /// Whether each of its tokens was the likeliest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub greedy: Option<bool>,
    /// What was written, as often as the task repeats.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub texts: Vec<String>,
    /// Tokens before what was scored or written.
    pub context_tokens: usize,
    /// Tokens that were scored or written.
    pub tokens: usize,
}

impl Task {
    /// The task's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Rows { task, .. } => &task.name,
            Self::Suite(task) => &task.name,
        }
    }

    /// The metrics that it may have, as gates write them.
    pub fn metrics(&self) -> Vec<String> {
        match self {
            Self::Rows { task, .. } => task.measured().iter().map(|it| it.key().into()).collect(),
            Self::Suite(task) => task.figure_names().iter().map(|it| it.key()).collect(),
        }
    }

    /// Rows that are asked.
    pub fn rows(&self) -> usize {
        match self {
            Self::Rows { task, items, .. } => match task.max_samples {
                0 => items.len(),
                most => items.len().min(most),
            },
            Self::Suite(task) => task.len(),
        }
    }

    /// Keeps at most `n` rows: of a suite's task the first ones, as lm-evaluation-harness does.
    pub fn limit(&mut self, n: usize) {
        match self {
            Self::Suite(task) => task.limit(n),
            Self::Rows { .. } => self.spread(n),
        }
    }

    /// Keeps at most `n` rows, spread over all of them.
    pub fn spread(&mut self, n: usize) {
        match self {
            Self::Rows { task, .. } if task.max_samples == 0 || task.max_samples > n => {
                task.max_samples = n
            }
            Self::Rows { .. } => {}
            Self::Suite(task) => task.spread(n),
        }
    }
}

impl Evaluator<'_> {
    /// Answers a task and measures the answers, as [`Evaluator::evaluate`] does.
    ///
    /// # Errors
    /// Those of [`Evaluator::evaluate`]; of a suite's task, a row that it cannot ask, and a measure that its answers do not allow.
    pub fn answer(&self, task: &Task, emit: Emit<'_>) -> Result<TaskReport, EvalError> {
        match task {
            Task::Rows { task, items, .. } => self.evaluate(task, items, emit),
            Task::Suite(task) => self.ask(task, emit),
        }
    }

    fn ask(&self, task: &slm_suite::Task, emit: Emit<'_>) -> Result<TaskReport, EvalError> {
        let started = Instant::now();
        if task.is_empty() {
            return Err(EvalError::NoItems {
                task: task.name.clone(),
            });
        }
        let items = task.items(self.tokenizer)?;
        let encoding = self.encoding(&task.name);
        let mut done = counted(&task.name, items.len(), emit);
        let mut tokens_read = 0;
        let mut waits = Vec::new();
        let answered = match task.output_type {
            OutputType::GenerateUntil => {
                let written = texts(
                    self.decoder,
                    encoding,
                    task,
                    self.seed,
                    &items,
                    &mut waits,
                    &mut done,
                )?;
                self.of_texts(task, &items, written)
            }
            OutputType::LoglikelihoodRolling => {
                let whole: Vec<(&str, &str)> = items
                    .iter()
                    .map(|item| (item.origin.as_str(), item.target.as_str()))
                    .collect();
                let rolled = roll(self.decoder, encoding, task.batch_size, &whole, &mut done)?;
                items
                    .iter()
                    .zip(rolled)
                    .map(|(item, rolled)| {
                        let score = rolled.score(&item.target);
                        let sample = sample(
                            item,
                            String::new(),
                            item.target.clone(),
                            [0, rolled.tokens],
                            score,
                        );
                        let exchange = Exchange {
                            continuation: Some(item.target.clone()),
                            logprob: Some(rolled.logprob),
                            tokens: rolled.tokens,
                            ..exchange(item, "")
                        };
                        (Answer::Rolling(rolled.logprob), sample, vec![exchange])
                    })
                    .collect()
            }
            OutputType::MultipleChoice | OutputType::Loglikelihood => {
                let (asked, read) =
                    likelihoods(self.decoder, &encoding, task.batch_size, &items, &mut done)?;
                tokens_read = read;
                items
                    .iter()
                    .zip(asked)
                    .map(|(item, asked)| of_likelihoods(task, item, &asked))
                    .collect::<Vec<_>>()
            }
        };
        let elapsed_s = started.elapsed().as_secs_f64();
        let report = report(task, &items, answered, self.seed, elapsed_s)?;
        Ok(TaskReport {
            tokens_read,
            cost: report.cost_of(waits, task.batch_size),
            ..report
        })
    }

    fn of_texts(
        &self,
        task: &slm_suite::Task,
        items: &[Item],
        written: Vec<Written>,
    ) -> Vec<(Answer, Sample, Vec<Exchange>)> {
        let answered = items.iter().zip(written).map(|(item, written)| {
            let answer = Answer::Texts(written.texts.clone());
            let output = task.output(item, &answer);
            let score = Score::Generated {
                correct: task.is_right(item, &answer),
                finish: written.finish,
                json: None,
            };
            let counts = [written.context_tokens, written.tokens];
            let exchange = Exchange {
                texts: written.texts,
                context_tokens: written.context_tokens,
                tokens: written.tokens,
                ..exchange(item, &written.context)
            };
            (
                answer,
                sample(item, written.context, output, counts, score),
                vec![exchange],
            )
        });
        answered.collect()
    }
}

fn report(
    task: &slm_suite::Task,
    items: &[Item],
    answered: Vec<(Answer, Sample, Vec<Exchange>)>,
    seed: u64,
    elapsed_s: f64,
) -> Result<TaskReport, EvalError> {
    let (mut answers, mut samples, mut exchanges) = (Vec::new(), Vec::new(), Vec::new());
    for (answer, sample, own) in answered {
        answers.push(answer);
        samples.push(sample);
        exchanges.extend(own);
    }
    let observed = task.observe(items, &answers);
    let observed = observed.map_err(|reason| EvalError::NotMeasurable {
        task: task.name.clone(),
        reason,
    })?;
    let shared = items.iter().all(|item| item.choices == items[0].choices);
    let choices = match shared {
        true => items[0].choices.clone(),
        false => Vec::new(),
    };
    let task = EvalTask {
        name: task.name.clone(),
        output_type: task.output_type,
        ..EvalTask::default()
    };
    let head = TaskReport {
        exchanges,
        ..TaskReport::without_metrics(&task, choices, samples, elapsed_s)
    };
    TaskReport::of_suite(head, observed, seed)
}

fn of_likelihoods(
    task: &slm_suite::Task,
    item: &Item,
    asked: &[Asked],
) -> (Answer, Sample, Vec<Exchange>) {
    let answer = Answer::Likelihoods(asked.iter().map(|asked| asked.likelihood).collect());
    let output = task.output(item, &answer);
    let n = item.choices.len();
    let (chosen, score) = match n {
        0 => {
            let score = Score::Likelihood {
                logprob: asked[0].likelihood.logprob,
                target_bytes: item.target.len(),
                greedy: asked[0].likelihood.greedy,
            };
            (0, score)
        }
        _ => {
            let per_token = |asked: &Asked| asked.likelihood.logprob / asked.tokens as f64;
            let best = (1..n).fold(0, |best, at| {
                match per_token(&asked[at]) > per_token(&asked[best]) {
                    true => at,
                    false => best,
                }
            });
            let score = Score::Choices {
                correct: task.is_right(item, &answer),
                output_norm: item.choices[best].clone(),
                correct_norm: item.accepts(best),
                logprobs: asked[..n]
                    .iter()
                    .map(|asked| asked.likelihood.logprob as f32)
                    .collect(),
                choice_tokens: asked[..n].iter().map(|asked| asked.tokens).collect(),
            };
            let chosen = item.choices.iter().position(|choice| *choice == output);
            (chosen.unwrap_or(0), score)
        }
    };
    let counts = [asked[chosen].context_tokens, asked[chosen].tokens];
    let exchanges = item
        .asks
        .iter()
        .zip(asked)
        .filter_map(|(ask, asked)| match ask {
            Ask::Likelihood {
                context,
                continuation,
            } => Some(Exchange {
                continuation: Some(continuation.clone()),
                logprob: Some(asked.likelihood.logprob),
                greedy: Some(asked.likelihood.greedy),
                context_tokens: asked.context_tokens,
                tokens: asked.tokens,
                ..exchange(item, context)
            }),
            _ => None,
        });
    let exchanges: Vec<Exchange> = exchanges.collect();
    let prompt = exchanges
        .get(chosen)
        .map_or_else(String::new, |exchange| exchange.context.clone());
    (
        answer,
        sample(item, prompt, output, counts, score),
        exchanges,
    )
}

fn sample(
    item: &Item,
    prompt: String,
    output: String,
    [prompt_tokens, output_tokens]: [usize; 2],
    score: Score,
) -> Sample {
    Sample {
        row: item.row,
        origin: item.origin.clone(),
        prompt,
        target: item.target.clone(),
        output,
        prompt_tokens,
        output_tokens,
        slices: item.slices.clone(),
        score,
    }
}

fn exchange(item: &Item, context: &str) -> Exchange {
    Exchange {
        row: item.row,
        origin: item.origin.clone(),
        context: context.into(),
        continuation: None,
        logprob: None,
        greedy: None,
        texts: Vec::new(),
        context_tokens: 0,
        tokens: 0,
    }
}
