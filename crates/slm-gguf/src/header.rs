//! Everything in front of the tensors' bytes, checked.

use std::collections::HashSet;
use std::ops::Range;

use crate::cursor::Cursor;
use crate::{Array, GgufError, Metadata, TensorType, Value, ValueType};

/// The first four bytes of every GGUF file.
pub(crate) const MAGIC: [u8; 4] = *b"GGUF";
/// The version that is written. Version 2 reads the same; 3 only allowed big-endian files.
pub(crate) const VERSION: u32 = 3;
/// The longest key, from gguf.md.
pub(crate) const KEY_BYTES: usize = 65_535;
/// The most dimensions of a tensor, `GGML_MAX_DIMS`.
pub(crate) const DIMENSIONS: usize = 4;
/// The longest tensor name that gguf.md allows.
const NAME_BYTES: usize = 64;
/// How deep arrays may be nested; the format sets no limit, the stack does.
const NESTED_ARRAYS: usize = 8;
/// A key's length, a type, and one byte of value.
const ENTRY_MIN_BYTES: u64 = 8 + 4 + 1;
/// A name's length, a rank, a type and an offset.
const INFO_MIN_BYTES: u64 = 8 + 4 + 4 + 8;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    name: String,
    dims: Vec<u64>,
    tensor_type: TensorType,
    bytes: Range<u64>,
}

impl TensorInfo {
    /// The tensor's name, such as `blk.0.attn_q.weight`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Dimensions as they stand in the file: the one whose elements lie next to each other first, `[in, out]` of a linear layer.
    pub fn dims(&self) -> &[u64] {
        &self.dims
    }

    /// Dimensions as in safetensors: the one whose elements lie next to each other last, `[out, in]` of a linear layer.
    pub fn shape(&self) -> Vec<u64> {
        self.dims.iter().rev().copied().collect()
    }

    /// What the elements are stored as.
    pub fn tensor_type(&self) -> TensorType {
        self.tensor_type
    }

    /// The tensor's bytes, from the start of the file.
    pub fn bytes(&self) -> Range<u64> {
        self.bytes.clone()
    }

    /// How many bytes the tensor takes.
    pub fn size_bytes(&self) -> u64 {
        self.bytes.end - self.bytes.start
    }

    /// How many elements a row has: the first of [`dims`](Self::dims).
    pub fn row_len(&self) -> u64 {
        self.dims.first().copied().unwrap_or(1)
    }

    /// How many rows there are: the product of the other [`dims`](Self::dims).
    pub fn n_rows(&self) -> u64 {
        self.dims.iter().skip(1).product()
    }

    /// How many elements there are.
    pub fn n_elements(&self) -> u64 {
        self.dims.iter().product()
    }
}

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
        let n_tensors = cursor.count(INFO_MIN_BYTES, "the table of tensors")?;
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
        let value = value(cursor)?;
        metadata.insert(key, value);
    }
    Ok(metadata)
}

fn value_type(cursor: &mut Cursor) -> Result<ValueType, GgufError> {
    let at = cursor.at();
    let found = cursor.u32("a value type")?;
    ValueType::from_id(found).ok_or(GgufError::UnknownValueType { at, found })
}

fn value(cursor: &mut Cursor) -> Result<Value, GgufError> {
    const WHAT: &str = "a metadata value";
    Ok(match value_type(cursor)? {
        ValueType::U8 => Value::U8(u8::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::I8 => Value::I8(i8::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::U16 => Value::U16(u16::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::I16 => Value::I16(i16::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::U32 => Value::U32(u32::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::I32 => Value::I32(i32::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::F32 => Value::F32(f32::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::U64 => Value::U64(u64::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::I64 => Value::I64(i64::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::F64 => Value::F64(f64::from_le_bytes(cursor.array(WHAT)?)),
        ValueType::Bool => Value::Bool(boolean(cursor)?),
        ValueType::String => Value::String(cursor.string(WHAT)?.to_string()),
        ValueType::Array => Value::Array(array(cursor, 1)?),
    })
}

fn boolean(cursor: &mut Cursor) -> Result<bool, GgufError> {
    let at = cursor.at();
    match cursor.array("a bool")? {
        [0] => Ok(false),
        [1] => Ok(true),
        [found] => Err(GgufError::NotABool { at, found }),
    }
}

fn array(cursor: &mut Cursor, depth: usize) -> Result<Array, GgufError> {
    const WHAT: &str = "a metadata array";
    let at = cursor.at();
    if depth > NESTED_ARRAYS {
        return Err(GgufError::NestedTooDeep {
            at,
            limit: NESTED_ARRAYS,
        });
    }
    let element_type = value_type(cursor)?;
    let len = cursor.count(element_type.min_bytes(), WHAT)?;
    Ok(match element_type {
        ValueType::U8 => Array::U8(numbers(cursor, len, u8::from_le_bytes)?),
        ValueType::I8 => Array::I8(numbers(cursor, len, i8::from_le_bytes)?),
        ValueType::U16 => Array::U16(numbers(cursor, len, u16::from_le_bytes)?),
        ValueType::I16 => Array::I16(numbers(cursor, len, i16::from_le_bytes)?),
        ValueType::U32 => Array::U32(numbers(cursor, len, u32::from_le_bytes)?),
        ValueType::I32 => Array::I32(numbers(cursor, len, i32::from_le_bytes)?),
        ValueType::F32 => Array::F32(numbers(cursor, len, f32::from_le_bytes)?),
        ValueType::U64 => Array::U64(numbers(cursor, len, u64::from_le_bytes)?),
        ValueType::I64 => Array::I64(numbers(cursor, len, i64::from_le_bytes)?),
        ValueType::F64 => Array::F64(numbers(cursor, len, f64::from_le_bytes)?),
        ValueType::Bool => Array::Bool(
            (0..len)
                .map(|_| boolean(cursor))
                .collect::<Result<_, _>>()?,
        ),
        ValueType::String => Array::String(
            (0..len)
                .map(|_| Ok(cursor.string(WHAT)?.to_string()))
                .collect::<Result<_, GgufError>>()?,
        ),
        ValueType::Array => Array::Array(
            (0..len)
                .map(|_| array(cursor, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
    })
}

fn numbers<T, const N: usize>(
    cursor: &mut Cursor,
    len: usize,
    read: fn([u8; N]) -> T,
) -> Result<Vec<T>, GgufError> {
    let bytes = cursor.take((len * N) as u64, "a metadata array")?;
    Ok(bytes
        .as_chunks()
        .0
        .iter()
        .map(|&chunk| read(chunk))
        .collect())
}

/// A tensor as the table tells of it, before anybody knows where the data starts.
struct RawInfo {
    name: String,
    dims: Vec<u64>,
    tensor_type: TensorType,
    offset: u64,
}

impl RawInfo {
    fn parse(cursor: &mut Cursor) -> Result<Self, GgufError> {
        const WHAT: &str = "the table of tensors";
        let name = cursor.string(WHAT)?;
        if name.len() > NAME_BYTES {
            let n_bytes = name.len();
            return Err(GgufError::NameTooLong {
                name: name.chars().take(80).collect(),
                n_bytes,
                limit: NAME_BYTES,
            });
        }
        let name = name.to_string();
        let rank = cursor.u32(WHAT)?;
        if rank as usize > DIMENSIONS {
            return Err(GgufError::Dimensions { name, found: rank });
        }
        let dims = (0..rank)
            .map(|_| cursor.u64(WHAT))
            .collect::<Result<Vec<_>, _>>()?;
        let found = cursor.u32(WHAT)?;
        let Some(tensor_type) = TensorType::from_id(found) else {
            return Err(GgufError::UnknownTensorType { name, found });
        };
        let offset = cursor.u64(WHAT)?;
        Ok(Self {
            name,
            dims,
            tensor_type,
            offset,
        })
    }

    fn place(
        self,
        data_start: u64,
        alignment: u64,
        file_bytes: u64,
    ) -> Result<TensorInfo, GgufError> {
        let Self {
            name,
            dims,
            tensor_type,
            offset,
        } = self;
        let size_bytes = size_bytes(&name, &dims, tensor_type)?;
        if !offset.is_multiple_of(alignment) {
            return Err(GgufError::Misaligned {
                name,
                offset,
                alignment,
            });
        }
        let start = data_start.saturating_add(offset);
        let end = start.saturating_add(size_bytes);
        if end > file_bytes {
            return Err(GgufError::OutsideFile {
                name,
                start,
                end,
                file_bytes,
            });
        }
        Ok(TensorInfo {
            name,
            dims,
            tensor_type,
            bytes: start..end,
        })
    }
}

/// How many bytes a tensor takes; an error where its dimensions cannot be.
pub(crate) fn size_bytes(
    name: &str,
    dims: &[u64],
    tensor_type: TensorType,
) -> Result<u64, GgufError> {
    if dims.contains(&0) {
        return Err(GgufError::EmptyTensor {
            name: name.to_string(),
            dims: dims.to_vec(),
        });
    }
    let in_tensor = |source| {
        let source = Box::new(source);
        GgufError::TensorSize {
            name: name.to_string(),
            dims: dims.to_vec(),
            source,
        }
    };
    let n_elements = dims
        .iter()
        .try_fold(1u64, |product, &dim| product.checked_mul(dim));
    let n_elements = n_elements.ok_or_else(|| {
        in_tensor(GgufError::TooLarge {
            n_elements: u64::MAX,
        })
    })?;
    let row_len = dims.first().copied().unwrap_or(1);
    tensor_type.size_bytes(row_len).map_err(in_tensor)?;
    tensor_type.size_bytes(n_elements).map_err(in_tensor)
}

fn ensure_names_differ(tensors: &[TensorInfo]) -> Result<(), GgufError> {
    let mut seen = HashSet::new();
    for info in tensors {
        if !seen.insert(info.name()) {
            return Err(GgufError::DuplicateTensor {
                name: info.name.clone(),
            });
        }
    }
    Ok(())
}

fn ensure_no_overlap(tensors: &[TensorInfo]) -> Result<(), GgufError> {
    let mut by_place: Vec<_> = tensors.iter().collect();
    by_place.sort_by_key(|info| info.bytes.start);
    for pair in by_place.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        if second.bytes.start < first.bytes.end {
            let at = second.bytes.start;
            return Err(GgufError::Overlap {
                first: first.name.clone(),
                second: second.name.clone(),
                at,
            });
        }
    }
    Ok(())
}
