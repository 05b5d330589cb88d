use std::path::Path;

use crate::error::DataError;

/// The kinds of file that hold rows, and how each may be packed: told by the extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) rows: RowKind,
    pub(super) packing: Packing,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowKind {
    Json,
    Csv { delimiter: u8 },
    Parquet,
    Arrow,
    Text,
}

/// How the bytes of a file are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Zstd,
}

/// Extensions of files that are packed otherwise, and the command that unpacks each.
const PACKED: [(&str, &str); 4] = [
    ("xz", "xz -dk"),
    ("bz2", "bunzip2 -k"),
    ("zip", "unzip"),
    ("lz4", "lz4 -d"),
];

impl Kind {
    /// The kind of a file by its name, such as `rows.jsonl.gz`.
    pub(super) fn of(path: &str) -> Result<Self, DataError> {
        let last = extension(path);
        if let Some((_, command)) = PACKED.iter().find(|(packed, _)| *packed == last) {
            return Err(DataError::Compressed {
                path: path.into(),
                extension: last,
                command,
            });
        }
        let packing = match last.as_str() {
            "gz" | "gzip" => Packing::Gzip,
            "zst" | "zstd" => Packing::Zstd,
            _ => Packing::None,
        };
        let inner = match packing {
            Packing::None => last,
            Packing::Gzip | Packing::Zstd => {
                extension(&path[..path.len() - last.len() - ".".len()])
            }
        };
        match RowKind::of(&inner) {
            Some(rows) => Ok(Self { rows, packing }),
            None => Err(DataError::UnknownKind {
                path: path.into(),
                extension: inner,
            }),
        }
    }
}

impl RowKind {
    fn of(extension: &str) -> Option<Self> {
        Some(match extension {
            "jsonl" | "ndjson" | "json" => Self::Json,
            "csv" => Self::Csv { delimiter: b',' },
            "tsv" => Self::Csv { delimiter: b'\t' },
            "parquet" | "pq" => Self::Parquet,
            "arrow" | "feather" | "ipc" => Self::Arrow,
            "txt" | "text" => Self::Text,
            _ => return None,
        })
    }
}

fn extension(path: &str) -> String {
    let extension = Path::new(path).extension();
    let extension = extension.and_then(|extension| extension.to_str());
    extension.unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_by_the_extensions() {
        let kind = |path| Kind::of(path).map(|kind| (kind.rows, kind.packing));
        let tsv = RowKind::Csv { delimiter: b'\t' };
        assert_eq!(kind("a/b.NDJSON").unwrap(), (RowKind::Json, Packing::None));
        assert_eq!(kind("b.tsv").unwrap(), (tsv, Packing::None));
        assert_eq!(kind("b.tsv.gz").unwrap(), (tsv, Packing::Gzip));
        assert_eq!(kind("b.TXT.ZST").unwrap(), (RowKind::Text, Packing::Zstd));
        assert!(matches!(
            kind("b.dat"),
            Err(DataError::UnknownKind { extension, .. }) if extension == "dat"
        ));
        assert!(matches!(
            kind("b.tar.gz"),
            Err(DataError::UnknownKind { extension, .. }) if extension == "tar"
        ));
        assert!(matches!(
            kind("b.jsonl.xz"),
            Err(DataError::Compressed { .. })
        ));
    }
}
