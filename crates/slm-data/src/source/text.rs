use std::sync::Arc;

use serde_json::{Map, Value};

use super::MAX_ROW_BYTES;
use super::raw::{Raw, RawRow, text};
use super::unpacked::{Bytes, failed, read_line};
use crate::error::DataError;
use crate::origin::Origin;

/// The lines of a file that are not blank.
pub(super) struct Lines {
    path: Arc<str>,
    bytes: Bytes,
    /// The number of the last one.
    line: usize,
    holds: Holds,
    /// Whether none was given yet.
    at_first: bool,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// A JSON value.
    Json,
    /// The column `text`.
    Text,
}

impl Lines {
    pub(super) fn new(path: &Arc<str>, bytes: Bytes, holds: Holds) -> Self {
        Self {
            path: path.clone(),
            bytes,
            line: 0,
            holds,
            at_first: true,
        }
    }

    /// Lines before it were read already.
    pub(super) fn after(mut self, lines: usize) -> Self {
        self.line = lines;
        self
    }

    pub(super) fn next(&mut self) -> Result<Option<RawRow>, DataError> {
        loop {
            let read = read_line(&mut self.bytes, MAX_ROW_BYTES);
            let Some((line, too_long)) = read.map_err(|error| failed(&self.path, error))? else {
                return Ok(None);
            };
            self.line += 1;
            let origin = Origin::line(&self.path, self.line);
            if too_long {
                let raw = Err(DataError::LongRow {
                    origin: origin.clone(),
                });
                return Ok(Some(RawRow { origin, raw }));
            }
            let raw = match text(&self.path, (self.line, 1), line) {
                Ok(line) if line.trim().is_empty() => continue,
                Ok(line) if self.holds == Holds::Text => {
                    let fields = Map::from_iter([("text".to_owned(), Value::from(line))]);
                    Ok(Raw::Fields(fields))
                }
                Ok(text) => Ok(Raw::Json {
                    text,
                    column: 1,
                    is_first: std::mem::take(&mut self.at_first),
                }),
                Err(error) => Err(error),
            };
            return Ok(Some(RawRow { origin, raw }));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::source::tests::read;

    #[test]
    fn blank_lines_are_no_rows_but_count_as_lines() {
        let rows = read("a.txt", "one\r\n\n  \ntwo\n").unwrap().rows;
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].fields["text"], "one");
        assert_eq!(rows[1].origin.place, crate::Place::Line(4));
    }
}
