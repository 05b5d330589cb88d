//! Files of any accepted kind, read into rows that know where they came from.

mod csv;
mod json;
mod table;
mod text;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use slm_run::sha256_bytes;

use crate::error::DataError;
use crate::origin::{Origin, line_and_column};

/// One row of a source file: its columns in file order.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where it came from.
    pub origin: Origin,
    /// Column to value. A CSV holds strings only; a text file has the one column `text`.
    pub fields: Map<String, Value>,
}

/// The rows of one file.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The file, as written in the recipe.
    pub path: Arc<str>,
    /// In file order; never empty.
    pub rows: Vec<Row>,
    /// The columns, of the whole file (CSV, Parquet, Arrow, text) or of the first row (JSON); with their types where the
    /// file declares them, as in `label: Int64`.
    pub columns: Vec<String>,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Size of the file.
    pub size_bytes: u64,
}

/// The kinds of file that hold rows, by extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Csv { delimiter: u8 },
    Parquet,
    Arrow,
    Text,
}

/// Extensions of compressed files, and the command that unpacks each.
const COMPRESSED: [(&str, &str); 6] = [
    ("gz", "gunzip -k"),
    ("zst", "zstd -d"),
    ("xz", "xz -dk"),
    ("bz2", "bunzip2 -k"),
    ("zip", "unzip"),
    ("lz4", "lz4 -d"),
];

impl Kind {
    fn of(path: &str) -> Result<Self, DataError> {
        let extension = Path::new(path)
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or("")
            .to_lowercase();
        if let Some((_, command)) = COMPRESSED.iter().find(|(ext, _)| *ext == extension) {
            return Err(DataError::Compressed {
                path: path.into(),
                extension,
                command,
            });
        }
        Ok(match extension.as_str() {
            "jsonl" | "ndjson" | "json" => Self::Json,
            "csv" => Self::Csv { delimiter: b',' },
            "tsv" => Self::Csv { delimiter: b'\t' },
            "parquet" | "pq" => Self::Parquet,
            "arrow" | "feather" | "ipc" => Self::Arrow,
            "txt" | "text" => Self::Text,
            _ => {
                return Err(DataError::UnknownKind {
                    path: path.into(),
                    extension,
                });
            }
        })
    }
}

/// Reads every row of a file, its kind told by its extension.
///
/// # Errors
/// Everything that keeps the file from being read whole: nothing is skipped but blank lines.
pub fn read_rows(path: &str) -> Result<Rows, DataError> {
    let kind = Kind::of(path)?;
    let bytes = read_bytes(path)?;
    let path: Arc<str> = path.into();
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(DataError::Empty {
            path: path.to_string(),
        });
    }
    let sha256 = sha256_bytes(&bytes);
    let size_bytes = bytes.len() as u64;
    let (rows, columns) = match kind {
        Kind::Json => json::rows(&path, utf8(&path, &bytes)?)?,
        Kind::Csv { delimiter } => csv::rows(&path, utf8(&path, &bytes)?, delimiter)?,
        Kind::Parquet => table::parquet_rows(&path)?,
        Kind::Arrow => table::arrow_rows(&path, bytes)?,
        Kind::Text => text::rows(&path, utf8(&path, &bytes)?),
    };
    if rows.is_empty() {
        return Err(DataError::Empty {
            path: path.to_string(),
        });
    }
    Ok(Rows {
        path,
        rows,
        columns,
        sha256,
        size_bytes,
    })
}

fn read_bytes(path: &str) -> Result<Vec<u8>, DataError> {
    check_readable(path)?;
    fs_err::read(path).map_err(|source| DataError::Io { source })
}

/// Tells a path that is no file from one that cannot be read.
pub(crate) fn check_readable(path: &str) -> Result<(), DataError> {
    let file = Path::new(path);
    if file.is_dir() {
        return Err(DataError::Folder { path: path.into() });
    }
    if !file.exists() {
        return Err(DataError::Missing {
            path: path.into(),
            nearest: nearest_sibling(file),
        });
    }
    Ok(())
}

/// The file of the same folder whose name is most alike, for the hint of a missing one.
fn nearest_sibling(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let entries = fs_err::read_dir(folder).ok()?;
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .map(|other| (strsim::jaro_winkler(name, &other), other))
        .filter(|(alike, _)| *alike > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| path.with_file_name(other).display().to_string())
}

/// The file as text, without a byte order mark.
fn utf8<'a>(path: &Arc<str>, bytes: &'a [u8]) -> Result<&'a str, DataError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let at = error.valid_up_to();
            let (line, column) = line_and_column(bytes, at);
            let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
            Err(DataError::Utf8 {
                origin: Origin::line(path, line),
                column,
                byte: bytes[at],
                utf16,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_is_told_by_the_extension() {
        assert_eq!(Kind::of("a/b.NDJSON").unwrap(), Kind::Json);
        assert_eq!(Kind::of("b.tsv").unwrap(), Kind::Csv { delimiter: b'\t' });
        assert!(matches!(
            Kind::of("b.dat"),
            Err(DataError::UnknownKind { .. })
        ));
        assert!(matches!(
            Kind::of("b.jsonl.gz"),
            Err(DataError::Compressed { .. })
        ));
    }

    #[test]
    fn a_byte_order_mark_is_not_text() {
        let path: Arc<str> = "a".into();
        assert_eq!(utf8(&path, "\u{feff}x".as_bytes()).unwrap(), "x");
    }
}
