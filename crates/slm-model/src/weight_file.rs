//! One safetensors file.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor};
use half::{bf16, f16};
use memmap2::{Mmap, MmapOptions};
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo};

use crate::ModelError;
use crate::weights::matrix;

/// A safetensors file whose tensors are mapped one at a time, while they are read: memory never holds the file beside the
/// model.
pub struct WeightFile {
    path: PathBuf,
    file: fs_err::File,
    header: Metadata,
    /// Where the first tensor begins, in bytes.
    data_start: usize,
}

impl WeightFile {
    /// Opens `path` and checks its header.
    ///
    /// # Errors
    /// The file is missing, truncated, or not safetensors.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = fs_err::File::open(path)?;
        let whole = map(&file, MmapOptions::new())?;
        let broken = |e| ModelError::Safetensors {
            path: path.into(),
            reason: describe(&e),
        };
        let (header_bytes, header) = SafeTensors::read_metadata(&whole).map_err(broken)?;
        Ok(Self {
            path: path.into(),
            file,
            header,
            data_start: size_of::<u64>() + header_bytes,
        })
    }

    /// Where it is read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of its tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.header.offset_keys();
        names.sort();
        names
    }

    /// Shape and values of a tensor, in f32.
    ///
    /// # Errors
    /// It is missing, its dtype is none of F32, F16 and BF16, or the file cannot be read.
    pub fn read(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), ModelError> {
        let (info, values) = self.with_bytes(name, to_f32)?;
        let values = values.ok_or_else(|| ModelError::Dtype {
            path: self.path.clone(),
            name: name.into(),
            found: format!("{:?}", info.dtype),
        })?;
        Ok((info.shape.clone(), values))
    }

    /// Dtype, shape and bytes of a tensor.
    ///
    /// # Errors
    /// It is missing, or the file cannot be read.
    pub(crate) fn bytes(&self, name: &str) -> Result<(Dtype, Vec<usize>, Vec<u8>), ModelError> {
        let (info, bytes) = self.with_bytes(name, |_, bytes| bytes.to_vec())?;
        Ok((info.dtype, info.shape.clone(), bytes))
    }

    /// What `read` makes of a tensor's dtype and bytes, which are mapped meanwhile.
    fn with_bytes<T>(
        &self,
        name: &str,
        read: impl FnOnce(Dtype, &[u8]) -> T,
    ) -> Result<(&TensorInfo, T), ModelError> {
        let missing = || ModelError::MissingTensor {
            path: self.path.clone(),
            name: name.into(),
        };
        let info = self.header.info(name).ok_or_else(missing)?;
        let (start, end) = info.data_offsets;
        let result = match end - start {
            0 => read(info.dtype, &[]), // There is no map of nothing.
            size_bytes => {
                let mut place = MmapOptions::new();
                place
                    .offset((self.data_start + start) as u64)
                    .len(size_bytes);
                read(info.dtype, &map(&self.file, place)?)
            }
        };
        Ok((info, result))
    }

    /// A matrix on the device, in f32, of the shape that is needed.
    ///
    /// # Errors
    /// It is missing or has another shape.
    pub fn read_matrix(
        &self,
        name: &str,
        needed: [usize; 2],
        device: &Device,
    ) -> Result<Tensor<2>, ModelError> {
        let (found, values) = self.read(name)?;
        if found.iter().product::<usize>() != needed.iter().product::<usize>()
            || found.last() != Some(&needed[1])
        {
            let (path, needed) = (self.path.clone(), needed.to_vec());
            return Err(ModelError::Shape {
                path,
                name: name.into(),
                found,
                needed,
            });
        }
        Ok(matrix(values, &needed, device, DType::F32))
    }
}

fn describe(error: &safetensors::SafeTensorError) -> String {
    use safetensors::SafeTensorError as E;
    match error {
        E::HeaderTooSmall => "it is shorter than a header".into(),
        E::HeaderTooLarge | E::InvalidHeaderLength | E::InvalidHeader(_) => {
            "its header is not valid".into()
        }
        E::MetadataIncompleteBuffer => {
            "its size differs from what its header says; it is truncated".into()
        }
        other => other.to_string(),
    }
}

/// The values of a tensor's bytes; `None` for a dtype that no model is read in.
pub(crate) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let pairs = || {
        let pairs = bytes.chunks_exact(2);
        pairs.map(|b| u16::from_le_bytes([b[0], b[1]]))
    };
    match dtype {
        Dtype::F32 => {
            let fours = bytes.chunks_exact(4);
            Some(
                fours
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect(),
            )
        }
        Dtype::F16 => Some(pairs().map(|bits| f16::from_bits(bits).to_f32()).collect()),
        Dtype::BF16 => Some(pairs().map(|bits| bf16::from_bits(bits).to_f32()).collect()),
        _ => None,
    }
}

/// Maps a part of a file.
fn map(file: &fs_err::File, place: MmapOptions) -> std::io::Result<Mmap> {
    // SAFETY: the map is read-only; a file that another process truncates meanwhile is the one way to a fault, as for
    // every reader that maps weights.
    #[expect(unsafe_code, reason = "memory-mapping a file")]
    unsafe {
        place.map(file.file())
    }
}
