//! What the rows of a task say, apart from how a model is asked: what nothing may be learned from.

use crate::error::SuiteError;
use crate::field::Filled;
use crate::task::{Row, Task};

/// A row's question and what is wanted, without description and examples, which many rows share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Where it comes from, `file:line`.
    pub origin: String,
    /// What is asked; empty where a whole text is measured.
    pub prompt: String,
    /// The answer that is wanted.
    pub target: String,
}

impl Task {
    /// What every row says.
    ///
    /// # Errors
    /// A row that a template cannot be filled with, or whose target is none of its choices.
    pub fn said(&self) -> Result<Vec<Said>, SuiteError> {
        self.rows.iter().map(|row| self.said_by(row)).collect()
    }

    fn said_by(&self, row: &Row) -> Result<Said, SuiteError> {
        let choices = self.choices(row)?;
        let target = self
            .fill(&self.wording.target, row, "target")?
            .into_target();
        let (prompt, target) = match self.fill(&self.wording.text, row, "prompt")? {
            // The number of the choice that the target goes on from.
            Filled::Number(number) if !choices.is_empty() => {
                let right = self.choice(row, "prompt", number, choices.len())?;
                (choices[right].clone(), written(target))
            }
            prompt => {
                let target = self.written_target(row, &target, &choices)?;
                (written(prompt), target)
            }
        };
        Ok(Said {
            origin: row.origin.clone(),
            prompt,
            target,
        })
    }
}

fn written(filled: Filled) -> String {
    match filled {
        Filled::Text(text) => text,
        Filled::Number(number) => number.to_string(),
        Filled::List(items) => {
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            items.join(" ")
        }
    }
}
