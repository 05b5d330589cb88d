use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::{DataError, NeededBy, json_kind};
use crate::source::Row;

/// The cells of a row by the names that formats give them.
pub(super) struct Cells<'a> {
    pub(super) row: &'a Row,
    pub(super) names: &'a BTreeMap<String, String>,
    /// What the roles of the file are called in a conversation, by what the file calls them.
    pub(super) roles: &'a BTreeMap<String, String>,
}

impl<'a> Cells<'a> {
    pub(super) fn name(&self, name: &'a str) -> &'a str {
        self.names.get(name).map_or(name, String::as_str)
    }

    pub(super) fn get(&self, name: &'a str) -> Option<&'a Value> {
        self.row
            .fields
            .get(self.name(name))
            .filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &'a str, needed_by: NeededBy) -> Result<&'a str, DataError> {
        let column = self.name(name);
        match self.row.fields.get(column) {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.wrong(column, json_kind(other), "a text")),
            None => Err(self.missing(column, needed_by)),
        }
    }

    pub(super) fn optional_text(&self, name: &'a str) -> Result<Option<&'a str>, DataError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(other) => Err(self.wrong(self.name(name), json_kind(other), "a text")),
        }
    }

    pub(super) fn wrong(&self, column: &str, found: &str, needed: &str) -> DataError {
        let (column, found, needed) = (column.into(), found.into(), needed.into());
        DataError::WrongValue {
            origin: self.row.origin.clone(),
            column,
            found,
            needed,
        }
    }

    pub(super) fn missing(&self, column: &str, needed_by: NeededBy) -> DataError {
        DataError::MissingColumn {
            origin: self.row.origin.clone(),
            column: column.to_owned(),
            needed_by,
            found: self.row.fields.keys().cloned().collect(),
        }
    }
}
