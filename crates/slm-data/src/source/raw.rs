use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Row, json};
use crate::error::DataError;
use crate::origin::{Origin, line_and_column};

/// A row as a file has it, to be parsed on any core.
pub(crate) struct RawRow {
    pub(crate) origin: Origin,
    pub(super) raw: Result<Raw, DataError>,
}

/// What a row is before it is parsed.
pub(super) enum Raw {
    /// One JSON value, the column where it begins, and whether it is the first line with one.
    Json {
        text: String,
        column: usize,
        is_first: bool,
    },
    /// The columns.
    Fields(Map<String, Value>),
}

impl RawRow {
    /// A row, or what is wrong with it.
    pub(crate) fn parse(self) -> Result<Row, DataError> {
        let Self { origin, raw } = self;
        match raw? {
            Raw::Json {
                text,
                column,
                is_first,
            } => json::row(origin, &text, column, is_first),
            Raw::Fields(fields) => Ok(Row { origin, fields }),
        }
    }

    /// Bytes that it keeps in memory, about.
    pub(crate) fn size_bytes(&self) -> usize {
        match &self.raw {
            Ok(Raw::Json { text, .. }) => text.len(),
            Ok(Raw::Fields(fields)) => fields.values().map(size_bytes).sum(),
            Err(_) => 0,
        }
    }
}

fn size_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size_bytes).sum(),
        Value::Object(fields) => fields.values().map(size_bytes).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => size_of::<Value>(),
    }
}

/// Bytes of one row as text: UTF-8 without NUL.
pub(super) fn text(
    path: &Arc<str>,
    (line, column): (usize, usize),
    bytes: Vec<u8>,
) -> Result<String, DataError> {
    let place = |bytes: &[u8], at: usize| {
        let (down, right) = line_and_column(bytes, at);
        let before = if down == 1 { column - 1 } else { 0 };
        (Origin::line(path, line + down - 1), before + right)
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let (at, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let (origin, column) = place(bytes, at);
        let mark = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        DataError::Utf8 {
            origin,
            column,
            byte: bytes[at],
            utf16: line == 1 && mark,
        }
    })?;
    match memchr::memchr(0, text.as_bytes()) {
        Some(at) => {
            let (origin, column) = place(text.as_bytes(), at);
            Err(DataError::Nul { origin, column })
        }
        None => Ok(text),
    }
}
