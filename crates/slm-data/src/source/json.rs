use std::sync::Arc;

use rayon::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Row;
use crate::error::{DataError, json_kind};
use crate::origin::{Origin, line_and_column};

/// Rows of a JSON lines file, or of one JSON array of objects: told apart by the first character, so that either may be
/// called `.json` or `.jsonl`.
pub(super) fn rows(path: &Arc<str>, text: &str) -> Result<(Vec<Row>, Vec<String>), DataError> {
    let pieces = if text.trim_start().starts_with('[') {
        array(path, text)?
    } else {
        lines(text)
    };
    let parsed: Vec<_> = pieces
        .into_par_iter()
        .map(|(line, piece)| row(path, line, piece))
        .collect();
    let rows = match parsed.into_iter().collect::<Result<Vec<_>, _>>() {
        Ok(rows) => rows,
        Err(error) => return Err(one_object(path, text).unwrap_or(error)),
    };
    let columns = rows
        .first()
        .map(|row| row.fields.keys().cloned().collect())
        .unwrap_or_default();
    Ok((rows, columns))
}

fn lines(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| (at + 1, line))
        .collect()
}

/// The elements of a JSON array with the line where each begins.
fn array<'a>(path: &Arc<str>, text: &'a str) -> Result<Vec<(usize, &'a str)>, DataError> {
    let elements: Vec<&'a RawValue> =
        serde_json::from_str(text).map_err(|error| broken(path, 0, &error))?;
    let (mut line, mut seen) = (1, 0);
    let mut pieces = Vec::with_capacity(elements.len());
    for element in elements {
        let piece = element.get();
        let start = piece.as_ptr().addr() - text.as_ptr().addr();
        line += text.as_bytes()[seen..start]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        seen = start;
        pieces.push((line, piece));
    }
    Ok(pieces)
}

fn row(path: &Arc<str>, line: usize, piece: &str) -> Result<Row, DataError> {
    let value: Value =
        serde_json::from_str(piece).map_err(|error| broken(path, line - 1, &error))?;
    let origin = Origin::line(path, line);
    match value {
        Value::Object(fields) => Ok(Row { origin, fields }),
        other => Err(DataError::NotAnObject {
            origin,
            found: json_kind(&other),
        }),
    }
}

fn broken(path: &Arc<str>, lines_before: usize, error: &serde_json::Error) -> DataError {
    let reason = error.to_string();
    let reason = reason
        .rsplit_once(" at line ")
        .map_or(reason.as_str(), |(reason, _)| reason)
        .to_owned();
    let origin = Origin::line(path, lines_before + error.line());
    DataError::Json {
        origin,
        column: error.column(),
        reason,
    }
}

/// A file that is one JSON object over several lines is no broken JSON lines file: say what it is.
fn one_object(path: &Arc<str>, text: &str) -> Option<DataError> {
    let object: Map<String, Value> = serde_json::from_str(text).ok()?;
    let (line, _) = line_and_column(text.as_bytes(), text.len() - text.trim_start().len());
    let list = object
        .iter()
        .find(|(_, value)| value.is_array())
        .map(|(key, _)| key.clone());
    Some(DataError::OneObject {
        origin: Origin::line(path, line),
        list,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Vec<Row>, Vec<String>), DataError> {
        rows(&"a.json".into(), text)
    }

    #[test]
    fn lines_and_array_give_the_same_rows() {
        let (from_lines, columns) = read("{\"b\": 1, \"a\": 2}\n\n{\"b\": 3}\n").unwrap();
        let (from_array, _) = read("[\n{\"b\": 1,\n \"a\": 2},\n\n {\"b\": 3}]").unwrap();
        assert_eq!(columns, ["b", "a"]);
        let fields = |rows: &[Row]| {
            rows.iter()
                .map(|row| row.fields.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(fields(&from_lines), fields(&from_array));
        assert_eq!(from_lines[1].origin.to_string(), "a.json:3");
        assert_eq!(from_array[0].origin.to_string(), "a.json:2");
        assert_eq!(from_array[1].origin.to_string(), "a.json:5");
    }

    #[test]
    fn the_first_broken_line_is_the_one_reported() {
        let mut text = "{\"a\": 1}\n".repeat(500);
        text.push_str("{\"a\": }\n{\"a\"\n");
        assert_eq!(
            read(&text).unwrap_err().to_string(),
            "`a.json:501` is not valid JSON: expected value at column 7"
        );
        let error = read("[{\"a\": 1},\n {\"a\" 2}]").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`a.json:2` is not valid JSON: expected `:` at column 7"
        );
    }
}
