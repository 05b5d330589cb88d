//! `optimizer.safetensors`: states in f32, and codes in u8, eight for each i64 that holds them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use slm_run::RunError;

use crate::TrainError;
use crate::optimizer::Part;

/// The states of an optimizer in a file, read whole.
pub(crate) struct StateFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Writes `parts` as a safetensors file.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write_states<'a>(
    path: &Path,
    parts: impl Iterator<Item = (String, Part<'a>)>,
) -> Result<(), TrainError> {
    let buffers: Vec<(String, Dtype, [usize; 2], Vec<u8>)> = parts
        .map(|(name, part)| match part {
            Part::Float(value) => {
                let values = value.clone().into_data();
                let bytes = values.iter::<f32>().flat_map(f32::to_le_bytes).collect();
                (name, Dtype::F32, value.dims(), bytes)
            }
            Part::Codes(codes) => {
                let codes_of = codes.clone().into_data();
                let bytes = codes_of.iter::<i64>().flat_map(i64::to_le_bytes).collect();
                (name, Dtype::U8, in_bytes(codes.dims()), bytes)
            }
        })
        .collect();
    let mut views = BTreeMap::new();
    for (name, dtype, shape, bytes) in &buffers {
        let view = TensorView::new(*dtype, shape.to_vec(), bytes);
        views.insert(name.as_str(), view.map_err(|e| wrong(path, &e))?);
    }
    let bytes = safetensors::serialize(&views, None).map_err(|e| wrong(path, &e))?;
    fs_err::write(path, bytes).map_err(|e| RunError::io(path, e))?;
    Ok(())
}

impl StateFile {
    /// Reads the file.
    ///
    /// # Errors
    /// It is missing, or not safetensors.
    pub(crate) fn open(path: &Path) -> Result<Self, TrainError> {
        let bytes = fs_err::read(path).map_err(|e| RunError::io(path, e))?;
        SafeTensors::deserialize(&bytes).map_err(|e| wrong(path, &e))?;
        Ok(Self {
            path: path.into(),
            bytes,
        })
    }

    /// How many tensors it has.
    pub(crate) fn len(&self) -> Result<usize, TrainError> {
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|e| wrong(&self.path, &e))?;
        Ok(tensors.len())
    }

    /// Fills a part; `false` when the file has none of that name.
    ///
    /// # Errors
    /// It has another shape or type there.
    pub(crate) fn fill(&self, name: &str, part: Part<'_>) -> Result<bool, TrainError> {
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|e| wrong(&self.path, &e))?;
        let Ok(view) = tensors.tensor(name) else {
            return Ok(false);
        };
        let (needed, dtype) = match &part {
            Part::Float(value) => (value.dims(), Dtype::F32),
            Part::Codes(codes) => (in_bytes(codes.dims()), Dtype::U8),
        };
        if view.dtype() != dtype || view.shape() != needed {
            let (found, found_type) = (view.shape(), view.dtype());
            return Err(TrainError::Checkpoint {
                path: self.path.clone(),
                what: format!(
                    "`{name}` has shape {found:?} in {found_type:?}, this run needs {needed:?} in {dtype:?}"
                ),
            });
        }
        match part {
            Part::Float(value) => {
                let floats = view.data().chunks_exact(4);
                let floats: Vec<f32> = floats
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect();
                let data = TensorData::new(floats, needed);
                *value = burn::tensor::Tensor::from_data(data, (&value.device(), DType::F32));
            }
            Part::Codes(codes) => {
                let (eights, _) = view.data().as_chunks::<8>();
                let packed: Vec<i64> = eights
                    .iter()
                    .map(|eight| i64::from_le_bytes(*eight))
                    .collect();
                let data = TensorData::new(packed, codes.dims());
                *codes = burn::tensor::Tensor::from_data(data, (&codes.device(), DType::I64));
            }
        }
        Ok(true)
    }
}

/// The shape of what lies in integers of eight codes.
fn in_bytes([rows, columns]: [usize; 2]) -> [usize; 2] {
    [rows, columns * 8]
}

fn wrong(path: &Path, error: &safetensors::SafeTensorError) -> TrainError {
    TrainError::Checkpoint {
        path: path.into(),
        what: error.to_string(),
    }
}
