//! Files of any accepted kind, read into rows that know where they came from.

mod csv;
mod files;
mod json;
mod kind;
mod names;
mod object;
mod raw;
mod table;
mod text;
mod unpacked;

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::{Map, Value};
use slm_run::sha256_file;

use self::csv::Records;
pub(crate) use self::files::SourceFiles;
use self::json::Json;
use self::kind::{Kind, RowKind};
pub use self::object::ObjectError;
pub(crate) use self::object::lists;
use self::object::local;
pub(crate) use self::raw::RawRow;
use self::table::Table;
use self::text::{Holds, Lines};
use self::unpacked::spool;
use crate::error::DataError;
use crate::origin::Origin;

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

/// Bytes of a row as a file has it; one that is longer is taken for a file that is no rows at all, such as one whose quote
/// is never closed.
const MAX_ROW_BYTES: usize = 64 << 20;

/// Rows, and bytes of them, that are read before they are worked on.
const CHUNK_ROWS: usize = 4096;
const CHUNK_BYTES: usize = 16 << 20;

/// A file whose rows are read one after the other.
pub(crate) struct RowFile {
    /// As it is told.
    pub(crate) path: Arc<str>,
    rows: RawRows,
    /// What was found wrong behind the rows that were given last.
    broken: Option<DataError>,
}

enum RawRows {
    Json(Json),
    Csv(Records),
    Table(Table),
    Text(Lines),
    /// Nothing follows.
    Done,
}

impl RowFile {
    /// Opens a file, its kind told by its extensions.
    pub(crate) fn open(path: &str) -> Result<Self, DataError> {
        let kind = Kind::of(path)?;
        check_readable(path)?;
        let path: Arc<str> = path.into();
        if size_bytes(&path)? == 0 {
            return Err(DataError::Empty {
                path: path.to_string(),
            });
        }
        let bytes = || unpacked::open(&path, kind.packing);
        let rows = match kind.rows {
            RowKind::Json => RawRows::Json(Json::open(&path, bytes()?)?),
            RowKind::Csv { delimiter } => RawRows::Csv(Records::open(&path, bytes()?, delimiter)?),
            RowKind::Parquet => RawRows::Table(Table::parquet(&path, spool(&path, kind.packing)?)?),
            RowKind::Arrow => RawRows::Table(Table::arrow(&path, spool(&path, kind.packing)?)?),
            RowKind::Text => RawRows::Text(Lines::new(&path, bytes()?, Holds::Text)),
        };
        Ok(Self {
            path,
            rows,
            broken: None,
        })
    }

    /// The columns that the file declares, or those of its first row.
    pub(crate) fn columns(&self, first: &Row) -> Vec<String> {
        match &self.rows {
            RawRows::Csv(records) => records.columns.clone(),
            RawRows::Table(table) => table.columns(),
            _ => first.fields.keys().cloned().collect(),
        }
    }

    /// The next rows, some thousands of them; none at the end of the file.
    pub(crate) fn chunk(&mut self) -> Result<Vec<RawRow>, DataError> {
        if let Some(error) = self.broken.take() {
            self.rows = RawRows::Done;
            return Err(error);
        }
        let (mut chunk, mut size_bytes) = (Vec::new(), 0);
        while chunk.len() < CHUNK_ROWS && size_bytes < CHUNK_BYTES {
            match self.rows.next() {
                Ok(Some(row)) => {
                    size_bytes += row.size_bytes();
                    chunk.push(row);
                }
                Ok(None) => break,
                // The rows before it come first, and what is wrong with them.
                Err(error) if !chunk.is_empty() => {
                    self.broken = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(chunk)
    }
}

impl RawRows {
    fn next(&mut self) -> Result<Option<RawRow>, DataError> {
        match self {
            Self::Json(json) => json.next(),
            Self::Csv(records) => records.next(),
            Self::Table(table) => table.next(),
            Self::Text(lines) => lines.next(),
            Self::Done => Ok(None),
        }
    }
}

/// Reads every row of a file, its kind told by its extension.
///
/// # Errors
/// Everything that keeps the file from being read whole: nothing is skipped but blank lines.
pub fn read_rows(path: &str) -> Result<Rows, DataError> {
    let mut file = RowFile::open(path)?;
    let mut rows = Vec::new();
    loop {
        let chunk = file.chunk()?;
        if chunk.is_empty() {
            break;
        }
        let parsed: Vec<_> = chunk.into_par_iter().map(RawRow::parse).collect();
        for row in parsed {
            rows.push(row?);
        }
    }
    let Some(first) = rows.first() else {
        return Err(DataError::Empty { path: path.into() });
    };
    Ok(Rows {
        columns: file.columns(first),
        path: file.path,
        rows,
        sha256: sha256_file(local(path)).map_err(|source| DataError::Write { source })?,
        size_bytes: size_bytes(path)?,
    })
}

/// Size of a file as it is on disk.
pub(crate) fn size_bytes(path: &str) -> Result<u64, DataError> {
    let metadata = fs_err::metadata(local(path));
    let metadata = metadata.map_err(|source| DataError::Io { source })?;
    Ok(metadata.len())
}

/// Tells a path that is no file from one that cannot be read.
pub(crate) fn check_readable(path: &str) -> Result<(), DataError> {
    let file = local(path);
    if file.is_dir() {
        return Err(DataError::Folder { path: path.into() });
    }
    if !file.exists() {
        return Err(DataError::Missing {
            path: path.into(),
            nearest: nearest_sibling(&file),
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// The rows of a file of that name.
    pub(super) fn read(name: &str, content: impl AsRef<[u8]>) -> Result<Rows, DataError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs_err::write(&path, content).unwrap();
        read_rows(path.to_str().unwrap())
    }

    #[test]
    fn packed_files_have_the_rows_of_plain_ones() {
        let plain = "{\"text\": \"one\"}\n\n{\"text\": \"two\"}\n".repeat(5000);
        let gzip = |bytes: &[u8]| {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(bytes).unwrap();
            packed.finish().unwrap()
        };
        // Two members, as `cat a.gz b.gz` makes.
        let (first, second) = plain.as_bytes().split_at(plain.len() / 3);
        let two = [gzip(first), gzip(second)].concat();
        let zstd = zstd::encode_all(plain.as_bytes(), 1).unwrap();
        let fields = |rows: Rows| -> Vec<_> {
            let rows = rows.rows.into_iter();
            rows.map(|row| (row.origin.place, row.fields)).collect()
        };
        let expected = fields(read("a.jsonl", &plain).unwrap());
        assert_eq!(expected.len(), 10_000);
        assert_eq!(fields(read("a.jsonl.gz", two).unwrap()), expected);
        assert_eq!(fields(read("a.jsonl.zst", &zstd).unwrap()), expected);
        let error = read("a.jsonl.zst", &zstd[..zstd.len() / 2]).unwrap_err();
        assert!(matches!(error, DataError::Unpack { .. }), "{error}");
    }

    #[test]
    fn what_is_wrong_first_is_told_first() {
        let error = read("a.json", "[{\"a\": 1},\n3,\n").unwrap_err();
        assert!(matches!(error, DataError::NotAnObject { .. }), "{error}");
    }
}
