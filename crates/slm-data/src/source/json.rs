use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use super::kind::Kind;
use super::raw::{Raw, RawRow, text};
use super::text::{Holds, Lines};
use super::unpacked::{self, Bytes, failed};
use super::{MAX_ROW_BYTES, Row};
use crate::error::{DataError, json_kind};
use crate::origin::{Origin, line_and_column};

/// The rows of a JSON lines file, or of one JSON array of objects: told apart by the first character, so that either may be
/// called `.json` or `.jsonl`.
pub(super) enum Json {
    Lines(Lines),
    Array(Array),
}

impl Json {
    pub(super) fn open(path: &Arc<str>, mut bytes: Bytes) -> Result<Self, DataError> {
        let (mut line, mut column) = (1, 1);
        loop {
            let block = bytes.fill_buf().map_err(|error| failed(path, error))?;
            let Some(first) = block.first().copied() else {
                break;
            };
            if first == b'[' {
                bytes.consume(1);
                let place = (line, column + 1);
                return Ok(Self::Array(Array::new(path, bytes, place)));
            }
            if !first.is_ascii_whitespace() {
                break;
            }
            bytes.consume(1);
            (line, column) = match first {
                b'\n' => (line + 1, 1),
                _ => (line, column + 1),
            };
        }
        let lines = Lines::new(path, bytes, Holds::Json);
        Ok(Self::Lines(lines.after(line - 1)))
    }

    pub(super) fn next(&mut self) -> Result<Option<RawRow>, DataError> {
        match self {
            Self::Lines(lines) => lines.next(),
            Self::Array(array) => array.next(),
        }
    }
}

/// The elements of a JSON array, one after the other: only the brackets are looked at here, and what is in a text is not.
pub(super) struct Array {
    path: Arc<str>,
    bytes: Bytes,
    /// Line and column of the next byte.
    place: (usize, usize),
    state: Expected,
}

/// What may come next in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    ElementOrEnd,
    Element,
    Nothing,
}

/// One element as it is written, where it begins, and whether it is the last.
struct Element {
    bytes: Vec<u8>,
    place: (usize, usize),
    is_last: bool,
}

impl Array {
    fn new(path: &Arc<str>, bytes: Bytes, place: (usize, usize)) -> Self {
        Self {
            path: path.clone(),
            bytes,
            place,
            state: Expected::ElementOrEnd,
        }
    }

    fn next(&mut self) -> Result<Option<RawRow>, DataError> {
        if self.state == Expected::Nothing {
            return Ok(None);
        }
        let Element {
            mut bytes,
            place,
            is_last,
        } = self.element()?;
        let end = bytes.trim_ascii_end().len();
        bytes.truncate(end);
        if bytes.is_empty() {
            if !is_last || self.state == Expected::Element {
                return Err(self.broken("expected value"));
            }
            self.end()?;
            return Ok(None);
        }
        self.state = Expected::Element;
        if is_last {
            self.end()?;
        }
        let raw = text(&self.path, place, bytes);
        let column = place.1;
        Ok(Some(RawRow {
            origin: Origin::line(&self.path, place.0),
            raw: raw.map(|text| Raw::Json {
                text,
                column,
                is_first: false,
            }),
        }))
    }

    /// Reads up to the comma or the bracket behind an element.
    fn element(&mut self) -> Result<Element, DataError> {
        let (mut bytes, mut start) = (Vec::new(), self.place);
        let (mut open, mut in_text, mut escaped) = (Vec::new(), false, false);
        loop {
            let Some(byte) = self.byte()? else {
                return Err(self.broken("EOF while parsing a list"));
            };
            match byte {
                _ if in_text => {
                    in_text = escaped || byte != b'"';
                    escaped = !escaped && byte == b'\\';
                }
                b'"' => in_text = true,
                b'[' => open.push(b']'),
                b'{' => open.push(b'}'),
                b',' | b']' if open.is_empty() => {
                    return Ok(Element {
                        bytes,
                        place: start,
                        is_last: byte == b']',
                    });
                }
                b']' | b'}' if open.pop() != Some(byte) => {
                    return Err(self.broken(&format!("unexpected `{}`", char::from(byte))));
                }
                _ => {}
            }
            if bytes.is_empty() && byte.is_ascii_whitespace() {
                start = self.place;
                continue;
            }
            if bytes.len() == MAX_ROW_BYTES {
                return Err(DataError::LongRow {
                    origin: Origin::line(&self.path, start.0),
                });
            }
            bytes.push(byte);
        }
    }

    /// Nothing but blanks may follow the array.
    fn end(&mut self) -> Result<(), DataError> {
        self.state = Expected::Nothing;
        while let Some(byte) = self.byte()? {
            if !byte.is_ascii_whitespace() {
                return Err(self.broken("trailing characters"));
            }
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<Option<u8>, DataError> {
        let block = self.bytes.fill_buf();
        let block = block.map_err(|error| failed(&self.path, error))?;
        let Some(byte) = block.first().copied() else {
            return Ok(None);
        };
        self.bytes.consume(1);
        self.place = match byte {
            b'\n' => (self.place.0 + 1, 1),
            _ => (self.place.0, self.place.1 + 1),
        };
        Ok(Some(byte))
    }

    fn broken(&self, reason: &str) -> DataError {
        let (line, column) = self.place;
        DataError::Structure {
            origin: Origin::line(&self.path, line),
            column: column.saturating_sub(1),
            reason: reason.to_owned(),
        }
    }
}

/// A row of its JSON, which begins at a column.
pub(super) fn row(
    origin: Origin,
    text: &str,
    column: usize,
    is_first: bool,
) -> Result<Row, DataError> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        // One object over several lines is no broken JSON lines file: say what it is.
        let whole = (is_first && error.is_eof()).then(|| one_object(&origin.path));
        let whole = whole.flatten();
        whole.unwrap_or_else(|| broken(&origin, column, &error))
    })?;
    match value {
        Value::Object(fields) => Ok(Row { origin, fields }),
        other => Err(DataError::NotAnObject {
            origin,
            found: json_kind(&other),
        }),
    }
}

fn broken(origin: &Origin, column: usize, error: &serde_json::Error) -> DataError {
    let reason = error.to_string();
    let reason = reason
        .rsplit_once(" at line ")
        .map_or(reason.as_str(), |(reason, _)| reason)
        .to_owned();
    let before = if error.line() == 1 { column - 1 } else { 0 };
    DataError::Json {
        origin: origin.down(error.line() - 1),
        column: before + error.column(),
        reason,
    }
}

/// Whether a file is one JSON object, where it begins, and its first list; not looked for in large files.
fn one_object(path: &Arc<str>) -> Option<DataError> {
    let kind = Kind::of(path).ok()?;
    let mut text = String::new();
    let bytes = unpacked::open(path, kind.packing).ok()?;
    bytes
        .take(MAX_ROW_BYTES as u64 + 1)
        .read_to_string(&mut text)
        .ok()?;
    let object: BTreeMap<String, &RawValue> = serde_json::from_str(&text).ok()?;
    let (line, _) = line_and_column(text.as_bytes(), text.len() - text.trim_start().len());
    let is_list = |value: &&RawValue| value.get().starts_with('[');
    let list = object.iter().find(|(_, value)| is_list(value));
    Some(DataError::OneObject {
        origin: Origin::line(path, line),
        list: list.map(|(key, _)| key.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::read;

    #[test]
    fn lines_and_array_give_the_same_rows() {
        let from_lines = read("a.json", "{\"b\": 1, \"a\": 2}\n\n{\"b\": 3}\n").unwrap();
        let array = "[\n{\"b\": 1,\n \"a\": 2},\n\n {\"b\": 3}]";
        let from_array = read("a.json", array).unwrap();
        assert_eq!(from_lines.columns, ["b", "a"]);
        let fields = |rows: &[Row]| {
            rows.iter()
                .map(|row| row.fields.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(fields(&from_lines.rows), fields(&from_array.rows));
        let place = |row: &Row| row.origin.place;
        assert_eq!(place(&from_lines.rows[1]), crate::Place::Line(3));
        assert_eq!(place(&from_array.rows[0]), crate::Place::Line(2));
        assert_eq!(place(&from_array.rows[1]), crate::Place::Line(5));
    }

    #[test]
    fn the_first_broken_line_is_the_one_reported() {
        let told = |text: &str| {
            let error = read("a.json", text).unwrap_err().to_string();
            error.split_once("a.json:").unwrap().1.to_owned()
        };
        let mut text = "{\"a\": 1}\n".repeat(500);
        text.push_str("{\"a\": }\n{\"a\"\n");
        assert_eq!(
            told(&text),
            "501` is not valid JSON: expected value at column 7"
        );
        for (array, error) in [
            (
                "[{\"a\": 1},\n {\"a\" 2}]",
                "2` is not valid JSON: expected `:` at column 7",
            ),
            (
                "[{\"a\": 1},\n]",
                "2` is not valid JSON: expected value at column 1",
            ),
            (
                "[{\"a\": 1}",
                "1` is not valid JSON: EOF while parsing a list at column 9",
            ),
            (
                "[{\"a\": 1]}",
                "1` is not valid JSON: unexpected `]` at column 9",
            ),
            (
                "[{\"a\": 1}]\n x",
                "2` is not valid JSON: trailing characters at column 2",
            ),
            (
                "[{\"a\": \"],[\\\"\"}, 3]",
                "1` holds a number, an object with the columns of a row was needed",
            ),
        ] {
            assert_eq!(told(array), error, "{array}");
        }
    }
}
