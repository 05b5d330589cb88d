//! What can go wrong with a GGUF file.

use std::io;
use std::path::{Path, PathBuf};

use crate::{FileType, TensorType};

/// What can go wrong with a GGUF file. Places (`at`) are byte offsets from the start of the file.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum GgufError {
    #[error("failed to read `{}`", path.display())]
    Read {
        path: PathBuf,
        source: Box<GgufError>,
    },
    #[error("failed to open `{}`", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("failed to write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },

    // The file as a whole
    #[error("starts with {found:02x?}, a GGUF file starts with `GGUF`")]
    NotGguf { found: [u8; 4] },
    #[error("is a big-endian GGUF file, only little-endian ones can be read")]
    BigEndian,
    #[error("has GGUF version {found}, versions 2 and 3 can be read")]
    Version { found: u32 },
    #[error("ends inside {what}: {needed} bytes needed at byte {at}, {available} left")]
    Truncated {
        what: &'static str,
        at: u64,
        needed: u64,
        available: u64,
    },

    // Metadata
    #[error("text at byte {at} is not UTF-8")]
    NotUtf8 { at: u64 },
    #[error("metadata key `{key}` has {n_bytes} bytes, at most 65535 are allowed")]
    KeyTooLong { key: String, n_bytes: usize },
    #[error(
        "metadata key `{key}` is not made of `a-z`, `0-9`, `_` and `-` in segments separated by `.`"
    )]
    KeyCharacters { key: String },
    #[error("metadata key `{key}` occurs twice, the second time at byte {at}")]
    DuplicateKey { key: String, at: u64 },
    #[error("value at byte {at} has type {found}, known types are 0 to 12")]
    UnknownValueType { at: u64, found: u32 },
    #[error("bool at byte {at} is {found}, needs 0 or 1")]
    NotABool { at: u64, found: u8 },
    #[error("arrays at byte {at} are nested more than {limit} deep")]
    NestedTooDeep { at: u64, limit: usize },
    #[error("`general.alignment` is {found}, needs a power of two from 8 up")]
    Alignment { found: String },
    #[error("metadata has no `{key}`")]
    MissingKey { key: String },
    #[error("metadata key `{key}` holds a value of type {found}, needs {needed}")]
    KeyType {
        key: String,
        found: String,
        needed: &'static str,
    },

    // Tensors
    #[error("tensor name `{name}` has {n_bytes} bytes, at most {limit} are allowed")]
    NameTooLong {
        name: String,
        n_bytes: usize,
        limit: usize,
    },
    #[error("tensor `{name}` occurs twice")]
    DuplicateTensor { name: String },
    #[error("tensor `{name}` has {found} dimensions, at most 4 are allowed")]
    Dimensions { name: String, found: u32 },
    #[error("tensor `{name}` has dimensions {dims:?}, none may be 0")]
    EmptyTensor { name: String, dims: Vec<u64> },
    #[error("tensor `{name}` has type {found}, which is not known")]
    UnknownTensorType { name: String, found: u32 },
    #[error("tensor `{name}` with dimensions {dims:?}")]
    TensorSize {
        name: String,
        dims: Vec<u64>,
        source: Box<GgufError>,
    },
    #[error("tensor `{name}` starts {offset} bytes into the data, needs a multiple of {alignment}")]
    Misaligned {
        name: String,
        offset: u64,
        alignment: u64,
    },
    #[error("tensor `{name}` needs bytes {start} to {end}, the file has {file_bytes}")]
    OutsideFile {
        name: String,
        start: u64,
        end: u64,
        file_bytes: u64,
    },
    #[error("tensors `{first}` and `{second}` overlap at byte {at}")]
    Overlap {
        first: String,
        second: String,
        at: u64,
    },
    #[error("there is no tensor `{name}`")]
    UnknownTensor { name: String },
    #[error("rows {start} to {end} of tensor `{name}` were asked for, it has {n_rows}")]
    RowsOutside {
        name: String,
        start: u64,
        end: u64,
        n_rows: u64,
    },

    // Blocks
    #[error("{n_elements} elements are not whole blocks: {tensor_type} stores {} at a time", tensor_type.block_len())]
    PartialBlock {
        tensor_type: TensorType,
        n_elements: u64,
    },
    #[error("{n_elements} elements are more than this machine can address")]
    TooLarge { n_elements: u64 },
    #[error("{n_elements} elements of {tensor_type} take {needed} bytes, {found} were given")]
    BlockBytes {
        tensor_type: TensorType,
        n_elements: usize,
        needed: u64,
        found: usize,
    },
    #[error("{tensor_type} cannot be {action}")]
    NoCodec {
        tensor_type: TensorType,
        action: &'static str,
    },
    #[error("element {index} is {value}, {tensor_type} stores finite numbers only")]
    NotFinite {
        tensor_type: TensorType,
        index: usize,
        value: f32,
    },
    #[error(
        "{n_elements} elements are not whole rows of {n_columns} columns, of which each has an importance"
    )]
    ImportanceLength { n_elements: usize, n_columns: usize },
    #[error("the importance of column {column} is {value}, needs a finite number from 0 up")]
    Importance { column: usize, value: f32 },
    #[error("the importance of tensor `{tensor}` has {found} columns, needs {needed}")]
    ImportanceSize {
        tensor: String,
        found: usize,
        needed: usize,
    },
    #[error(
        "the importance matrix comes from a `.dat` file, which counts chunks instead of positions"
    )]
    ImportanceCounts,
    #[error("is not an importance matrix: {found}")]
    NotImatrix { found: String },

    // Choosing types
    #[error("there is no file type `{name}`")]
    UnknownFileType { name: String },
    #[error("tensor `{name}` is {tensor_type} already")]
    Requantized {
        name: String,
        tensor_type: TensorType,
    },
    #[error("type rule `{rule}`: {found}")]
    TypeRule { rule: String, found: String },

    // Writing
    #[error("failed to encode tensor `{name}`")]
    Encode {
        name: String,
        source: Box<GgufError>,
    },
    #[error("`general.quantization_version` is missing, and tensor `{name}` is {tensor_type}")]
    QuantizationVersion {
        name: String,
        tensor_type: TensorType,
    },
    #[error("tensor `{found}` was written, {} comes next", next.as_ref().map_or("nothing".to_string(), |name| format!("`{name}`")))]
    OutOfOrder { found: String, next: Option<String> },
    #[error("tensor `{name}` got {found} bytes, needs {needed}")]
    TooManyBytes {
        name: String,
        found: u64,
        needed: u64,
    },
    #[error(
        "the file was finished with tensor `{name}` at {written} of {needed} bytes, and {missing} tensors to come after it"
    )]
    Unfinished {
        name: String,
        written: u64,
        needed: u64,
        missing: usize,
    },
}

impl GgufError {
    /// The same, of the file at `path`.
    pub(crate) fn at(path: &Path, source: Self) -> Self {
        Self::Read {
            path: path.to_path_buf(),
            source: Box::new(source),
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { source, .. }
            | Self::TensorSize { source, .. }
            | Self::Encode { source, .. } => source.hint(),
            Self::Open { source, .. } | Self::Write { source, .. } => io_hint(source.kind()),
            Self::NotGguf { .. } => Some(
                "is this the `.gguf` file itself, or a pointer to it or a page about it?".into(),
            ),
            Self::BigEndian => Some("convert it to little-endian first".into()),
            Self::Version { found: 1 } => {
                Some("convert the model again, version 1 is obsolete".into())
            }
            Self::Version { .. } => {
                Some("the file may come from a newer format than this program".into())
            }
            Self::Truncated { .. } | Self::OutsideFile { .. } => {
                Some("the file may be the rest of an interrupted download or copy".into())
            }
            Self::UnknownTensorType { .. } => Some(
                "the file may use a type that is newer than this program, or was removed".into(),
            ),
            Self::PartialBlock { tensor_type, .. } => Some(format!(
                "the innermost dimension must be a multiple of {}, or the tensor be stored as F16",
                tensor_type.block_len()
            )),
            Self::NotFinite { .. } => Some("the weights may have diverged in training".into()),
            Self::UnknownFileType { .. } => {
                let names: Vec<_> = FileType::ALL.iter().map(|known| known.name()).collect();
                Some(format!("known ones are {}", names.join(", ")))
            }
            Self::Requantized { .. } => Some(
                "rounding twice loses more than once: start from an F32, F16 or BF16 file".into(),
            ),
            Self::TypeRule { .. } => Some("a rule is `REGEX=TYPE`, such as `attn_v=Q8_0`".into()),
            Self::QuantizationVersion { .. } => {
                Some("set `general.quantization_version` to 2".into())
            }
            _ => None,
        }
    }
}

fn io_hint(kind: io::ErrorKind) -> Option<String> {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("the disk is full: free some space".into())
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            Some("the file system is read-only: choose another folder".into())
        }
        io::ErrorKind::PermissionDenied => {
            Some("you lack the permission: check who owns the folder".into())
        }
        _ => None,
    }
}
