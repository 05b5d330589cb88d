//! What will be where in a file that is about to be written.

use std::collections::HashSet;

use crate::header::KEY_BYTES;
use crate::header_bytes::header_bytes;
use crate::tensor_info::{DIMENSIONS, size_bytes};
use crate::{GgufError, Metadata, TensorType, keys};

/// The longest name that ggml loads: `GGML_MAX_NAME` is 64 with the byte that ends it.
const NAME_BYTES: usize = 63;

/// A tensor that will be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Such as `blk.0.attn_q.weight`.
    pub name: String,
    /// The dimension whose elements lie next to each other first, `[in, out]` of a linear layer.
    pub dims: Vec<u64>,
    /// What the elements are stored as.
    pub tensor_type: TensorType,
}

impl TensorSpec {
    /// From a shape as in safetensors, `[out, in]` of a linear layer: reversed here.
    pub fn from_shape(name: impl Into<String>, shape: &[usize], tensor_type: TensorType) -> Self {
        let dims = shape.iter().rev().map(|&dim| dim as u64).collect();
        Self {
            name: name.into(),
            dims,
            tensor_type,
        }
    }
}

/// A header, and the tensors behind it with their sizes in bytes.
pub(crate) struct Layout {
    pub(crate) alignment: u64,
    pub(crate) header: Vec<u8>,
    pub(crate) tensors: Vec<(TensorSpec, u64)>,
}

impl Layout {
    /// Checks everything that the header will say.
    pub(crate) fn new(metadata: &Metadata, tensors: Vec<TensorSpec>) -> Result<Self, GgufError> {
        let alignment = metadata.alignment()?;
        ensure_keys(metadata)?;
        ensure_names(&tensors)?;
        ensure_quantization_version(metadata, &tensors)?;
        let mut offsets = Vec::with_capacity(tensors.len());
        let mut sizes = Vec::with_capacity(tensors.len());
        let mut offset = 0u64;
        for TensorSpec {
            name,
            dims,
            tensor_type,
        } in &tensors
        {
            let size_bytes = size_bytes(name, dims, *tensor_type)?;
            offsets.push(offset);
            sizes.push(size_bytes);
            offset = end_of(offset, size_bytes, alignment).ok_or(GgufError::TooLarge {
                n_elements: u64::MAX,
            })?;
        }
        let header = header_bytes(metadata, &tensors, &offsets, alignment);
        let tensors = tensors.into_iter().zip(sizes).collect();
        Ok(Self {
            alignment,
            header,
            tensors,
        })
    }
}

/// Where the tensor after this one starts.
fn end_of(offset: u64, size_bytes: u64, alignment: u64) -> Option<u64> {
    offset
        .checked_add(size_bytes)?
        .checked_next_multiple_of(alignment)
}

fn ensure_keys(metadata: &Metadata) -> Result<(), GgufError> {
    for (key, _) in metadata.iter() {
        if key.len() > KEY_BYTES {
            return Err(GgufError::KeyTooLong {
                key: key.chars().take(80).collect(),
                n_bytes: key.len(),
            });
        }
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if !key
            .split('.')
            .all(|segment| !segment.is_empty() && segment.chars().all(allowed))
        {
            return Err(GgufError::KeyCharacters {
                key: key.to_string(),
            });
        }
    }
    Ok(())
}

fn ensure_names(tensors: &[TensorSpec]) -> Result<(), GgufError> {
    let mut seen = HashSet::new();
    for TensorSpec { name, dims, .. } in tensors {
        if name.len() > NAME_BYTES {
            return Err(GgufError::NameTooLong {
                name: name.clone(),
                n_bytes: name.len(),
                limit: NAME_BYTES,
            });
        }
        if dims.len() > DIMENSIONS {
            return Err(GgufError::Dimensions {
                name: name.clone(),
                found: dims.len() as u32,
            });
        }
        if !seen.insert(name) {
            return Err(GgufError::DuplicateTensor { name: name.clone() });
        }
    }
    Ok(())
}

fn ensure_quantization_version(
    metadata: &Metadata,
    tensors: &[TensorSpec],
) -> Result<(), GgufError> {
    let quantized = tensors
        .iter()
        .find(|tensor| tensor.tensor_type.is_quantized());
    match (
        quantized,
        metadata.get(&keys::general::QUANTIZATION_VERSION)?,
    ) {
        (
            Some(TensorSpec {
                name, tensor_type, ..
            }),
            None,
        ) => Err(GgufError::QuantizationVersion {
            name: name.clone(),
            tensor_type: *tensor_type,
        }),
        _ => Ok(()),
    }
}
