use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Shortest digest that is not taken for a name.
const LEAST_DIGEST: usize = 6;

/// Which row is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// By its number, over all sources from 0.
    Row(usize),
    /// By the first characters of its digest.
    Digest(String),
    /// By its file and its line, or its row in a file without lines.
    Place {
        /// The file as the recipe writes it, or the end of that.
        file: String,
        /// Counted from 1.
        line: usize,
    },
}

impl Wanted {
    /// Whether it is the row with this number, place and digest.
    pub(crate) fn is(&self, row: usize, origin: &str, digest: &str) -> bool {
        match self {
            Self::Row(wanted) => *wanted == row,
            Self::Digest(start) => digest.starts_with(start),
            Self::Place { file, line } => {
                let line = line.to_string();
                let place = origin.strip_suffix(&line);
                let path = place.and_then(|it| it.strip_suffix(':').or(it.strip_suffix(" row ")));
                let start = path.and_then(|path| path.strip_suffix(file.as_str()));
                start.is_some_and(|start| start.is_empty() || start.ends_with(['/', '\\']))
            }
        }
    }
}

/// `12` is a number, `rows.jsonl:12` a place, `3fa4b1` and `sha256:123456` the beginning of a digest.
impl FromStr for Wanted {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let digest = text.strip_prefix("sha256:");
        if let (None, Ok(row)) = (digest, text.parse()) {
            return Ok(Self::Row(row));
        }
        let start = digest.unwrap_or(text).to_lowercase();
        let is_hex = start.chars().all(|c| c.is_ascii_hexdigit()) && start.len() >= LEAST_DIGEST;
        let place = text.rsplit_once(':').or_else(|| text.rsplit_once(" row "));
        let place = place.and_then(|(file, line)| Some((file, line.parse().ok()?)));
        Ok(match place {
            Some((file, line)) if !is_hex => Self::Place {
                file: file.into(),
                line,
            },
            _ => Self::Digest(start),
        })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(row) => write!(f, "row {row}"),
            Self::Digest(start) => write!(f, "a row whose digest begins with `{start}`"),
            Self::Place { file, line } => write!(f, "a row at `{file}:{line}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> Wanted {
        text.parse().unwrap()
    }

    #[test]
    fn a_row_has_three_names() {
        assert_eq!(wanted("12"), Wanted::Row(12));
        assert_eq!(wanted("3FA4b1"), Wanted::Digest("3fa4b1".into()));
        assert_eq!(wanted("sha256:123456"), Wanted::Digest("123456".into()));
        for text in ["a/b.jsonl:12", "a/b.jsonl row 12"] {
            let file = "a/b.jsonl".into();
            assert_eq!(wanted(text), Wanted::Place { file, line: 12 });
        }
    }

    #[test]
    fn a_place_matches_from_the_end_of_its_path() {
        let is = |text: &str, origin| wanted(text).is(0, origin, "");
        assert!(is("b.jsonl:2", "b.jsonl:2"));
        assert!(is("b.jsonl:2", "a/b.jsonl:2"));
        assert!(is("b.parquet:2", "a/b.parquet row 2"));
        assert!(!is("b.jsonl:2", "ab.jsonl:2"));
        assert!(!is("b.jsonl:2", "b.jsonl:12"));
        assert!(!is("b.jsonl:2", "b.jsonl:3"));
    }
}
