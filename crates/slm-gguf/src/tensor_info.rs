//! Where a tensor lies, and what shape it has.

use std::ops::Range;

use crate::cursor::Cursor;
use crate::{GgufError, TensorType};

/// The most dimensions of a tensor, `GGML_MAX_DIMS`.
pub(crate) const DIMENSIONS: usize = 4;
/// The longest name that gguf.md allows.
const NAME_BYTES: usize = 64;

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

/// A tensor as the table tells of it, before anybody knows where the data starts.
pub(crate) struct RawInfo {
    name: String,
    dims: Vec<u64>,
    tensor_type: TensorType,
    offset: u64,
}

impl RawInfo {
    /// The fewest bytes: a name's length, a rank, a type and an offset.
    pub(crate) const MIN_BYTES: u64 = 8 + 4 + 4 + 8;

    pub(crate) fn parse(cursor: &mut Cursor) -> Result<Self, GgufError> {
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

    /// The tensor, if it lies in the file as it should.
    pub(crate) fn place(
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
