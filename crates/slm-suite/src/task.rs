//! One task, whatever file it comes from: rows, how they are worded, and how answers are measured.

use std::path::PathBuf;

use slm_recipe::{AnswerConstraint, OutputType};

use crate::fewshot::Sampler;
use crate::field::Field;
use crate::filter::Pipeline;
use crate::measure::Measured;
use crate::template::Fields;

/// A task that is ready to be asked.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name in reports.
    pub name: String,
    /// How the model answers.
    pub output_type: OutputType,
    /// How `generate_until` writes.
    pub generation: Generation,
    /// What texts are held to while they are written, if to anything.
    pub constraint: Option<AnswerConstraint>,
    /// The closed set of texts that a constraint may name.
    pub labels: Vec<String>,
    /// How often each row is answered.
    pub repeats: usize,
    /// Rows that are answered together.
    pub batch_size: usize,
    /// Every file that it was made of, to tell whether it changed.
    pub files: Vec<PathBuf>,
    /// What its file says that is not read, for people.
    pub notes: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) columns: Vec<String>,
    pub(crate) wording: Wording,
    pub(crate) description: Option<Field>,
    pub(crate) target_delimiter: String,
    /// Whether the delimiter also stands before the answer of `loglikelihood`, which the harness leaves to the target itself.
    pub(crate) delimits_likelihood: bool,
    pub(crate) fewshot: Fewshot,
    pub(crate) chat: bool,
    pub(crate) filters: Vec<Pipeline>,
    pub(crate) measured: Vec<Measured>,
}

/// How a text is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// Texts that end it.
    pub stop: Vec<String>,
    /// Longest text, in tokens.
    pub max_new_tokens: usize,
    /// 0 = greedy.
    pub temperature: f64,
    /// Nucleus.
    pub top_p: f64,
}

/// A row and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its number in its file, from 0.
    pub(crate) number: usize,
    pub(crate) origin: String,
    pub(crate) fields: Fields,
}

/// What is made of a row.
#[derive(Clone, Debug)]
pub(crate) struct Wording {
    pub(crate) text: Field,
    pub(crate) target: Field,
    pub(crate) choices: Option<Field>,
    pub(crate) prefix: Option<Field>,
}

/// What stands before a prompt.
#[derive(Clone, Debug)]
pub(crate) struct Fewshot {
    pub(crate) n: usize,
    pub(crate) rows: Vec<Fields>,
    pub(crate) sampler: Sampler,
    /// Of the draws.
    pub(crate) seed: u32,
    /// Whether the row that is asked may be among the rows, and is left out.
    pub(crate) leaves_out: bool,
    /// How examples are worded, where it is not as the prompt is.
    pub(crate) wording: FewshotWording,
    pub(crate) target_delimiter: String,
    pub(crate) delimiter: String,
}

/// What examples word in another way than the prompt.
#[derive(Clone, Debug, Default)]
pub(crate) struct FewshotWording {
    pub(crate) text: Option<Field>,
    pub(crate) target: Option<Field>,
    pub(crate) choices: Option<Field>,
    pub(crate) prefix: Option<Field>,
}

impl Task {
    /// Rows that are asked.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row is asked.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Keeps the first `n` rows, all for 0.
    pub fn limit(&mut self, n: usize) {
        if n > 0 {
            self.rows.truncate(n);
        }
    }

    /// Keeps at most `n` rows, spread over all of them, all for 0.
    pub fn spread(&mut self, n: usize) {
        let all = self.rows.len();
        if n == 0 || n >= all {
            return;
        }
        let kept: std::collections::HashSet<usize> = (0..n).map(|i| i * all / n).collect();
        let mut at = 0;
        self.rows.retain(|_| {
            at += 1;
            kept.contains(&(at - 1))
        });
    }
}
