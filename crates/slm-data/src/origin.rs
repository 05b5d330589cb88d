use std::fmt;
use std::sync::Arc;

/// Where a row came from: the path as the recipe wrote it, and the place in that file.
///
/// Displays as `train.jsonl:12` for files that have lines and `train.parquet row 12` for those that have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as written in the recipe.
    pub path: Arc<str>,
    /// The place in it.
    pub place: Place,
}

/// A place in a source file, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The line where the row begins (JSONL, JSON, CSV, text).
    Line(usize),
    /// The row (Parquet, Arrow).
    Row(usize),
}

impl Origin {
    pub(crate) fn line(path: &Arc<str>, line: usize) -> Self {
        Self {
            path: path.clone(),
            place: Place::Line(line),
        }
    }

    /// The same place some lines further down.
    pub(crate) fn down(&self, lines: usize) -> Self {
        let place = match self.place {
            Place::Line(line) => Place::Line(line + lines),
            row @ Place::Row(_) => row,
        };
        Self {
            path: self.path.clone(),
            place,
        }
    }

    pub(crate) fn row(path: &Arc<str>, row: usize) -> Self {
        Self {
            path: path.clone(),
            place: Place::Row(row),
        }
    }

    /// That which is displayed as a text; of a text that is none, the row of that number (from 0) of a file of that name.
    pub(crate) fn told(text: &str, number: usize) -> Self {
        let place = |(path, place): (&str, &str)| Some((path.to_owned(), place.parse().ok()?));
        let line = text.rsplit_once(':').and_then(place);
        let row = text.rsplit_once(" row ").and_then(place);
        match (line, row) {
            (Some((path, line)), _) => Self::line(&path.into(), line),
            (None, Some((path, row))) => Self::row(&path.into(), row),
            (None, None) => Self::row(&text.into(), number + 1),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Line(line) => write!(f, "{}:{line}", self.path),
            Place::Row(row) => write!(f, "{} row {row}", self.path),
        }
    }
}

/// The 1-based line and byte column of a byte offset in `text`.
pub(crate) fn line_and_column(text: &[u8], offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    (line, before.len() - start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_line_or_row() {
        let path: Arc<str> = "a.jsonl".into();
        assert_eq!(Origin::line(&path, 3).to_string(), "a.jsonl:3");
        assert_eq!(Origin::row(&path, 3).to_string(), "a.jsonl row 3");
        for text in ["b/a.jsonl:3", "a row.parquet row 17"] {
            assert_eq!(Origin::told(text, 0).to_string(), text);
        }
        assert_eq!(Origin::told("rows", 4).to_string(), "rows row 5");
    }

    #[test]
    fn counts_lines_and_columns_from_one() {
        let text = b"ab\ncd\n";
        assert_eq!(line_and_column(text, 0), (1, 1));
        assert_eq!(line_and_column(text, 4), (2, 2));
        assert_eq!(line_and_column(text, 6), (3, 1));
    }
}
