//! Everything in front of the tensors' bytes, checked.

use std::collections::HashSet;

use crate::cursor::Cursor;
use crate::tensor_info::RawInfo;
use crate::{GgufError, Metadata, TensorInfo, value_bytes};

/// The first four bytes of every GGUF file.
pub(crate) const MAGIC: [u8; 4] = *b"GGUF";
/// The version that is written. Version 2 reads the same; 3 only allowed big-endian files.
pub(crate) const VERSION: u32 = 3;
/// The longest key, from gguf.md.
pub(crate) const KEY_BYTES: usize = 65_535;
/// A key's length, a type, and one byte of value.
const ENTRY_MIN_BYTES: u64 = 8 + 4 + 1;

/// Everything in front of the tensors' bytes: metadata, and where each tensor lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    version: u32,
    alignment: u64,
    metadata: Metadata,
    tensors: Vec<TensorInfo>,
}

impl Header {
    /// Reads and checks the header of a whole file.
    ///
    /// What it returns can be relied on: keys and names occur once, and every tensor lies in the file, aligned, whole, and apart
    /// from the others.
    ///
    /// # Errors
    /// One of [`GgufError`]'s for whatever is wrong first, with its place. No bytes make it panic or take more memory than
    /// a small multiple of their number.
    pub fn parse(file: &[u8]) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(file);
        let version = version(&mut cursor)?;
        let n_tensors = cursor.count(RawInfo::MIN_BYTES, "the table of tensors")?;
        let n_entries = cursor.count(ENTRY_MIN_BYTES, "the metadata")?;

        let metadata = metadata(&mut cursor, n_entries)?;
        let alignment = metadata.alignment()?;

        let infos = (0..n_tensors)
            .map(|_| RawInfo::parse(&mut cursor))
            .collect::<Result<Vec<_>, _>>()?;
        let data_start = cursor.at().next_multiple_of(alignment);
        let place = |info: RawInfo| info.place(data_start, alignment, file.len() as u64);
        let tensors = infos
            .into_iter()
            .map(place)
            .collect::<Result<Vec<_>, _>>()?;

        ensure_names_differ(&tensors)?;
        ensure_no_overlap(&tensors)?;
        Ok(Self {
            version,
            alignment,
            metadata,
            tensors,
        })
    }

    /// The format's version, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What every tensor's place is a multiple of, in bytes.
    pub fn alignment(&self) -> u64 {
        self.alignment
    }

    /// The metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The tensors, in the order of the file.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }
}

fn version(cursor: &mut Cursor) -> Result<u32, GgufError> {
    let found = cursor.array::<4>("the first four bytes")?;
    if found != MAGIC {
        return Err(GgufError::NotGguf { found });
    }
    match cursor.u32("the version")? {
        version @ (2 | VERSION) => Ok(version),
        version if version.swap_bytes() <= VERSION => Err(GgufError::BigEndian),
        found => Err(GgufError::Version { found }),
    }
}

fn metadata(cursor: &mut Cursor, n_entries: usize) -> Result<Metadata, GgufError> {
    let mut metadata = Metadata::new();
    for _ in 0..n_entries {
        let at = cursor.at();
        let key = cursor.string("a metadata key")?;
        if key.len() > KEY_BYTES {
            return Err(GgufError::KeyTooLong {
                key: key.chars().take(80).collect(),
                n_bytes: key.len(),
            });
        }
        if metadata.value(key).is_some() {
            return Err(GgufError::DuplicateKey {
                key: key.to_string(),
                at,
            });
        }
        let value = value_bytes::read(cursor)?;
        metadata.insert(key, value);
    }
    Ok(metadata)
}

fn ensure_names_differ(tensors: &[TensorInfo]) -> Result<(), GgufError> {
    let mut seen = HashSet::new();
    for info in tensors {
        if !seen.insert(info.name()) {
            return Err(GgufError::DuplicateTensor {
                name: info.name().to_string(),
            });
        }
    }
    Ok(())
}

fn ensure_no_overlap(tensors: &[TensorInfo]) -> Result<(), GgufError> {
    let mut by_place: Vec<_> = tensors.iter().collect();
    by_place.sort_by_key(|info| info.bytes().start);
    for pair in by_place.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        if second.bytes().start < first.bytes().end {
            let at = second.bytes().start;
            return Err(GgufError::Overlap {
                first: first.name().to_string(),
                second: second.name().to_string(),
                at,
            });
        }
    }
    Ok(())
}
