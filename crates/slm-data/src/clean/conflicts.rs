//! Rows that give different answers to the same prompt.

use std::collections::{BTreeMap, BTreeSet};

use slm_recipe::Conflicts;

use super::{CleanRecord, CleanStep, Cleaning, Like};
use crate::content::Content;
use crate::error::DataError;
use crate::example::{Example, Prompt};
use crate::near::compared;

impl Cleaning<'_> {
    /// Lists them, leaves them out, or refuses them.
    pub(super) fn conflicts(&mut self, rows: Vec<Example>) -> Result<Vec<Example>, DataError> {
        let policy = self.section.conflicts;
        if policy == Conflicts::Off {
            return Ok(rows);
        }
        let found = conflicting(&rows);
        let (row, like) = (
            |at: &usize| &rows[*at],
            |at: &usize| Some(Like::to(&rows[*at], 1.0)),
        );
        match policy {
            Conflicts::Error if !found.is_empty() => Err(DataError::Conflicts {
                origins: found
                    .iter()
                    .map(|(at, _)| format!("`{}`", row(at).origin))
                    .collect(),
                rows: rows.len(),
            }),
            Conflicts::Drop => {
                let record =
                    |(at, other)| CleanRecord::left_out(row(at), CleanStep::Conflict, like(other));
                let records = found.iter().map(|(at, other)| record((at, other)));
                let records = records.collect();
                Ok(self.leave_out(rows, records))
            }
            Conflicts::Off | Conflicts::Report | Conflicts::Error => {
                let record =
                    |(at, other)| CleanRecord::listed(row(at), CleanStep::Conflict, like(other));
                let records = found.iter().map(|(at, other)| record((at, other)));
                self.records.extend(records);
                Ok(rows)
            }
        }
    }
}

/// Places of rows that another contradicts, in order, each with the first that does.
fn conflicting(rows: &[Example]) -> Vec<(usize, usize)> {
    let mut answers: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    let keys: Vec<Option<(String, String)>> = rows.iter().map(asked_and_answered).collect();
    for (at, key) in keys.iter().enumerate() {
        if let Some((prompt, answer)) = key {
            let firsts = answers.entry(prompt.clone()).or_default();
            firsts.entry(answer.clone()).or_insert(at);
        }
    }
    let other = |(at, key): (usize, &Option<(String, String)>)| {
        let (prompt, answer) = key.as_ref()?;
        let others = answers[prompt].iter().filter(|(other, _)| *other != answer);
        let firsts: BTreeSet<usize> = others.map(|(_, first)| *first).collect();
        Some((at, *firsts.first()?))
    };
    keys.iter().enumerate().filter_map(other).collect()
}

/// Prompt and answer as they are compared; none where a row has no prompt, or where several answers to it are meant.
fn asked_and_answered(row: &Example) -> Option<(String, String)> {
    if matches!(
        row.content,
        Content::Preference { .. } | Content::Rated { .. }
    ) {
        return None;
    }
    let prompt = match row.content.prompt() {
        Prompt::Chat(chat) => {
            // Roles and tools are part of what is asked.
            let tools = serde_json::to_string(&chat.tools).unwrap_or_default();
            let said = chat.messages.iter();
            let said = said.flat_map(|message| [message.role.as_str(), message.content.as_str()]);
            compared(said.chain([tools.as_str()]))
        }
        Prompt::Text(text) => compared([text.as_str()]),
        Prompt::Tokens { .. } => return None,
    };
    let answer = compared([row.content.target()]);
    (!prompt.is_empty()).then_some((prompt, answer))
}
