use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use slm_recipe::Format;

use super::ChatColumns;
use crate::error::{DataError, NeededBy};
use crate::source::Row;

/// What a file looks like before all of it is read.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The file.
    pub(crate) path: Arc<str>,
    /// Those that it declares, or that its first row has.
    pub(crate) columns: Vec<String>,
    /// Its first row.
    pub(crate) first: Row,
}

/// The columns of a file, as its first row has them.
pub(super) struct Found<'a> {
    pub(super) file: &'a Head,
    pub(super) names: &'a BTreeMap<String, String>,
}

impl<'a> Found<'a> {
    pub(super) fn name<'b>(&'b self, name: &'b str) -> &'b str {
        self.names.get(name).map_or(name, String::as_str)
    }

    pub(super) fn first(&self) -> &'a Row {
        &self.file.first
    }

    pub(super) fn get(&self, column: &str) -> Option<&'a Value> {
        self.first().fields.get(column)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(self.name(name)).is_some()
    }

    pub(super) fn need(&self, names: &[&str], needed_by: NeededBy) -> Result<(), DataError> {
        names
            .iter()
            .try_for_each(|name| self.need_column(self.name(name), needed_by))
    }

    pub(super) fn need_column(&self, column: &str, needed_by: NeededBy) -> Result<(), DataError> {
        if self.get(column).is_some() {
            return Ok(());
        }
        Err(DataError::MissingColumn {
            origin: self.first().origin.clone(),
            column: column.to_owned(),
            needed_by,
            found: self.file.columns.clone(),
        })
    }

    pub(super) fn format(&self) -> Result<Format, DataError> {
        let list = |name| self.get(self.name(name)).is_some_and(Value::is_array);
        let judged = [["chosen", "rejected"], ["chosen_ids", "rejected_ids"]];
        if judged
            .iter()
            .any(|names| names.iter().all(|name| self.has(name)))
        {
            return Ok(Format::Preference);
        }
        let rated = self.get(self.name("label")).is_some_and(Value::is_boolean);
        let answered = [["prompt", "completion"], ["prompt_ids", "completion_ids"]];
        let has_messages = list("messages") || list("conversations");
        let has_answer = answered
            .iter()
            .any(|names| names.iter().all(|name| self.has(name)));
        if rated && (has_messages || has_answer) {
            return Ok(Format::UnpairedPreference);
        }
        if has_messages {
            return Ok(ChatColumns::format_of(self));
        }
        if list("input_ids") {
            return Ok(Format::Tokenized);
        }
        let formats = [
            (Format::Alpaca, ["instruction", "output"].as_slice()),
            (Format::PromptCompletion, &["prompt", "completion"]),
            (Format::Text, &["text"]),
        ];
        let known = formats
            .iter()
            .find(|(_, names)| names.iter().all(|name| self.has(name)));
        known
            .map(|(format, _)| *format)
            .ok_or_else(|| DataError::UnknownFormat {
                path: self.file.path.to_string(),
                found: self.file.columns.clone(),
            })
    }
}
