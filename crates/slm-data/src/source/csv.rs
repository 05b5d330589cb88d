use std::io::{self, Read};
use std::sync::Arc;

use csv::ByteRecord;
use serde_json::{Map, Value};

use super::MAX_ROW_BYTES;
use super::raw::{Raw, RawRow, text};
use super::unpacked::{Bytes, failed};
use crate::error::DataError;
use crate::origin::Origin;

/// The records of a delimited file whose first one names the columns (RFC 4180 quoting).
pub(super) struct Records {
    path: Arc<str>,
    reader: csv::Reader<Window>,
    pub(super) columns: Vec<String>,
    record: ByteRecord,
}

type Cells = Result<Vec<String>, DataError>;

impl Records {
    pub(super) fn open(path: &Arc<str>, bytes: Bytes, delimiter: u8) -> Result<Self, DataError> {
        let reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(Window::new(bytes));
        let mut records = Self {
            path: path.clone(),
            reader,
            columns: Vec::new(),
            record: ByteRecord::new(),
        };
        if let Some((origin, cells)) = records.cells()? {
            records.columns = cells?;
            records.check_columns(origin)?;
        }
        Ok(records)
    }

    fn check_columns(&self, origin: Origin) -> Result<(), DataError> {
        let columns = &self.columns;
        let mut named = columns.iter().enumerate();
        match named.find(|(at, name)| columns[..*at].contains(name)) {
            Some((at, column)) => Err(DataError::Csv {
                origin,
                reason: format!("column {} is named `{column}` like one before it", at + 1),
            }),
            None => Ok(()),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<RawRow>, DataError> {
        let Some((origin, cells)) = self.cells()? else {
            return Ok(None);
        };
        let needed = self.columns.len();
        let raw = match cells {
            Ok(cells) if cells.len() == needed => {
                let cells = cells.into_iter().map(Value::from);
                let fields = self.columns.iter().cloned().zip(cells);
                Ok(Raw::Fields(Map::from_iter(fields)))
            }
            Ok(cells) => Err(DataError::Csv {
                origin: origin.clone(),
                reason: format!(
                    "found {} cells, the first record names {needed} columns",
                    cells.len()
                ),
            }),
            Err(error) => Err(error),
        };
        Ok(Some(RawRow { origin, raw }))
    }

    /// The cells of the next record, with where it begins.
    fn cells(&mut self) -> Result<Option<(Origin, Cells)>, DataError> {
        let start = self.reader.position().byte();
        let read = self.reader.read_byte_record(&mut self.record);
        let end = self.reader.position().byte();
        let window = self.reader.get_mut();
        let line = window.advance(start);
        let origin = Origin::line(&self.path, line);
        match read {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => {
                let reason = error.to_string();
                return Err(match error.into_kind() {
                    csv::ErrorKind::Io(error) if is_too_long(&error) => {
                        DataError::LongRow { origin }
                    }
                    csv::ErrorKind::Io(error) => failed(&self.path, error),
                    _ => DataError::Csv { origin, reason },
                });
            }
        }
        // What is text as a whole is text in each cell.
        if let Err(error) = text(&self.path, (line, 1), window.until(end).to_vec()) {
            return Ok(Some((origin, Err(error))));
        }
        let cells = self.record.iter();
        let cells = cells.map(|cell| String::from_utf8_lossy(cell).into_owned());
        Ok(Some((origin, Ok(cells.collect()))))
    }
}

/// The bytes that were read from where the last record began: the reader's own count of lines is that of the record before
/// where lines end in CR LF or are blank.
struct Window {
    bytes: Bytes,
    kept: Vec<u8>,
    /// Where the record begins in `kept`.
    start: usize,
    /// Where that is in the file.
    offset: u64,
    line: usize,
}

/// A record that never ends.
#[derive(Debug, thiserror::Error)]
#[error("a record is too long")]
struct TooLong;

fn is_too_long(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<TooLong>())
}

impl Window {
    fn new(bytes: Bytes) -> Self {
        Self {
            bytes,
            kept: Vec::new(),
            start: 0,
            offset: 0,
            line: 1,
        }
    }

    /// Forgets what is before an offset of the file and the line ends after it; gives the line of what follows.
    fn advance(&mut self, offset: u64) -> usize {
        let at = self.start + offset.saturating_sub(self.offset) as usize;
        let mut at = at.min(self.kept.len());
        while at < self.kept.len() && matches!(self.kept[at], b'\r' | b'\n') {
            at += 1;
        }
        self.line += memchr::memchr_iter(b'\n', &self.kept[self.start..at]).count();
        self.offset += (at - self.start) as u64;
        self.start = at;
        self.line
    }

    /// What was read up to an offset of the file.
    fn until(&self, offset: u64) -> &[u8] {
        let end = self.start + offset.saturating_sub(self.offset) as usize;
        &self.kept[self.start..end.min(self.kept.len())]
    }
}

impl Read for Window {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.kept.len() - self.start > MAX_ROW_BYTES {
            return Err(io::Error::other(TooLong));
        }
        if self.start > self.kept.len() / 2 {
            self.kept.drain(..self.start);
            self.start = 0;
        }
        let count = self.bytes.read(into)?;
        self.kept.extend_from_slice(&into[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use crate::Place;
    use crate::source::tests::read;

    #[test]
    fn quoted_newlines_and_line_ends_keep_the_line_right() {
        let text =
            "\u{feff}text,label\r\n\"two\r\nlines, one cell\",a\r\n\r\n\"say \"\"hi\"\"\",b\r\n";
        let file = read("a.csv", text).unwrap();
        assert_eq!(file.columns, ["text", "label"]);
        assert_eq!(file.rows[0].fields["text"], "two\r\nlines, one cell");
        assert_eq!(file.rows[0].origin.place, Place::Line(2));
        assert_eq!(file.rows[1].fields["text"], "say \"hi\"");
        assert_eq!(file.rows[1].origin.place, Place::Line(5));
    }

    #[test]
    fn lines_are_right_far_into_a_file() {
        let mut text = "text,label\n".to_owned();
        for at in 0..20_000 {
            text += &format!("\"row {at}\n\",x\r\n\n");
        }
        let file = read("a.csv", &text).unwrap();
        assert_eq!(file.rows.len(), 20_000);
        for (at, row) in file.rows.iter().enumerate() {
            assert_eq!(row.fields["text"], format!("row {at}\n"));
            assert_eq!(row.origin.place, Place::Line(2 + 3 * at));
        }
    }

    #[test]
    fn what_is_wrong_names_its_line() {
        let told = |text: &str| {
            let error = read("a.csv", text).unwrap_err().to_string();
            error.split_once("a.csv:").unwrap().1.to_owned()
        };
        assert_eq!(
            told("a,b\n1,2\n3\n"),
            "3` is not valid CSV: found 1 cells, the first record names 2 columns"
        );
        assert_eq!(
            told("a,a\n1,2\n"),
            "1` is not valid CSV: column 2 is named `a` like one before it"
        );
        assert_eq!(told("a,b\n1,\"x\ny\0\"\n"), "3` has a NUL byte at column 2");
    }
}
