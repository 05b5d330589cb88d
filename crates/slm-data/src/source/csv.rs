use std::sync::Arc;

use serde_json::{Map, Value};

use super::Row;
use crate::error::DataError;
use crate::origin::Origin;

/// Rows of a delimited file whose first record names the columns (RFC 4180 quoting).
pub(super) fn rows(
    path: &Arc<str>,
    text: &str,
    delimiter: u8,
) -> Result<(Vec<Row>, Vec<String>), DataError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let mut lines = LineCounter {
        text: text.as_bytes(),
        seen: 0,
        line: 1,
    };
    let broken = |line, error: &csv::Error| DataError::Csv {
        origin: Origin::line(path, line),
        reason: reason(error),
    };
    let columns: Vec<String> = match reader.headers() {
        Ok(headers) => headers.iter().map(str::to_owned).collect(),
        Err(error) => return Err(broken(1, &error)),
    };
    if let Some((at, column)) = columns
        .iter()
        .enumerate()
        .find(|(at, name)| columns[..*at].contains(name))
    {
        let reason = format!("column {} is named `{column}` like one before it", at + 1);
        return Err(DataError::Csv {
            origin: Origin::line(path, 1),
            reason,
        });
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error
                    .position()
                    .map_or(lines.line, |position| lines.advance(position.byte()));
                return Err(broken(line, &error));
            }
        };
        let line = record
            .position()
            .map_or(lines.line, |position| lines.advance(position.byte()));
        let cells = columns.iter().cloned().zip(record.iter().map(Value::from));
        rows.push(Row {
            origin: Origin::line(path, line),
            fields: Map::from_iter(cells),
        });
    }
    Ok((rows, columns))
}

fn reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("found {len} cells, the first record names {expected_len} columns")
        }
        _ => error.to_string(),
    }
}

/// The line of a byte offset. The reader's own count is that of the record before where lines end in CR LF or are blank.
struct LineCounter<'a> {
    text: &'a [u8],
    seen: usize,
    line: usize,
}

impl LineCounter<'_> {
    fn advance(&mut self, offset: u64) -> usize {
        let mut start = (offset as usize).min(self.text.len());
        while start < self.text.len() && matches!(self.text[start], b'\r' | b'\n') {
            start += 1;
        }
        let passed = self.text.get(self.seen..start).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.seen = self.seen.max(start);
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_newlines_and_line_ends_keep_the_line_right() {
        let text = "text,label\r\n\"two\r\nlines, one cell\",a\r\n\r\n\"say \"\"hi\"\"\",b\r\n";
        let (rows, columns) = rows(&"a.csv".into(), text, b',').unwrap();
        assert_eq!(columns, ["text", "label"]);
        assert_eq!(rows[0].fields["text"], "two\r\nlines, one cell");
        assert_eq!(rows[0].origin.to_string(), "a.csv:2");
        assert_eq!(rows[1].fields["text"], "say \"hi\"");
        assert_eq!(rows[1].origin.to_string(), "a.csv:5");
    }

    #[test]
    fn a_short_record_names_its_line() {
        let error = rows(&"a.csv".into(), "a,b\n1,2\n3\n", b',').unwrap_err();
        assert_eq!(
            error.to_string(),
            "`a.csv:3` is not valid CSV: found 1 cells, the first record names 2 columns"
        );
    }

    #[test]
    fn a_column_named_twice_is_refused() {
        let error = rows(&"a.csv".into(), "a,a\n1,2\n", b',').unwrap_err();
        assert_eq!(
            error.to_string(),
            "`a.csv:1` is not valid CSV: column 2 is named `a` like one before it"
        );
    }
}
