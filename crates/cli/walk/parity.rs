//! The run's tasks, answered with an exported file and with the student.

use std::cell::OnceCell;
use std::error::Error;

use anyhow::Result;
use slm_eval::{Comparison, EvalError, Evaluator, Task, TaskReport, compare};
use slm_export::TaskParity;
use slm_model::Decoder;
use slm_recipe::Recipe;
use slm_text::ChatTokenizer;

/// Tasks that every rounded file answers, on some of their items.
pub(crate) struct Parity<'a> {
    student: &'a Decoder,
    tokenizer: &'a ChatTokenizer,
    tasks: Vec<Task>,
    eos: bool,
    seed: u64,
    /// The student's answers, found when they are first needed.
    trained: OnceCell<Vec<TaskReport>>,
}

impl<'a> Parity<'a> {
    pub(crate) fn new(
        recipe: &Recipe,
        student: &'a Decoder,
        tokenizer: &'a ChatTokenizer,
        tasks: &[Task],
    ) -> Self {
        let most = recipe.export.parity.task_items;
        let mut tasks = match most {
            0 => Vec::new(),
            _ => tasks.to_vec(),
        };
        for task in &mut tasks {
            task.spread(most);
        }
        Self {
            student,
            tokenizer,
            tasks,
            eos: recipe.data.train_on_eos,
            seed: recipe.seed,
            trained: OnceCell::new(),
        }
    }

    /// The figures of a file, beside the student's over the same items.
    pub(crate) fn answer(
        &self,
        decoder: &Decoder,
        tokenizer: &ChatTokenizer,
    ) -> Result<Vec<TaskParity>, Box<dyn Error + Send + Sync>> {
        if self.trained.get().is_none() {
            let trained = self.reports(&self.student.in_floats(), self.tokenizer)?;
            let _ = self.trained.set(trained);
        }
        let trained = self.trained.get().map_or(&[][..], Vec::as_slice);
        let exported = self.reports(decoder, tokenizer)?;
        let mut found = Vec::new();
        for (trained, exported) in trained.iter().zip(&exported) {
            let rows = compare(trained, exported, None, self.seed)?;
            found.extend(rows.iter().map(|row| parity(row, exported.n)));
        }
        Ok(found)
    }

    fn reports(
        &self,
        decoder: &Decoder,
        tokenizer: &ChatTokenizer,
    ) -> Result<Vec<TaskReport>, EvalError> {
        let evaluator = Evaluator {
            decoder,
            tokenizer,
            eos: self.eos,
            seed: self.seed,
        };
        let tasks = self.tasks.iter();
        tasks
            .map(|task| evaluator.answer(task, &mut |_| {}))
            .collect()
    }
}

/// A comparison of the student (`base`) with a file (`tuned`), as losses of the file.
fn parity(row: &Comparison, items: usize) -> TaskParity {
    let (drop, interval) = match row.name.higher_is_better() {
        true => (-row.difference, [-row.interval.high, -row.interval.low]),
        false => (row.difference, [row.interval.low, row.interval.high]),
    };
    TaskParity {
        task: row.task.clone(),
        metric: row.name.label(),
        items,
        trained: row.base.value,
        exported: row.tuned.value,
        drop,
        interval,
    }
}
