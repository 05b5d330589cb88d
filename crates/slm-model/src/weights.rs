//! Safetensors in and out: one file, or shards with an index.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::family::Names;
use crate::param::Layout;
use crate::{ModelError, Param, TensorSpec};

/// A memory-mapped safetensors file.
pub struct WeightFile {
    path: PathBuf,
    map: Mmap,
}

impl WeightFile {
    /// Maps `path` and checks its header.
    ///
    /// # Errors
    /// The file is missing, truncated, or not safetensors.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = fs_err::File::open(path)?;
        // SAFETY: the map is read-only; a file that another process truncates meanwhile is the one way to a fault,
        // as for every reader that maps weights.
        #[expect(unsafe_code, reason = "memory-mapping a file")]
        let map = unsafe { Mmap::map(file.file()) }?;
        let this = Self {
            path: path.into(),
            map,
        };
        this.parse()?;
        Ok(this)
    }

    fn parse(&self) -> Result<SafeTensors<'_>, ModelError> {
        SafeTensors::deserialize(&self.map).map_err(|e| ModelError::Safetensors {
            path: self.path.clone(),
            reason: describe(&e),
        })
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of its tensors, sorted.
    pub fn names(&self) -> Result<Vec<String>, ModelError> {
        let mut names: Vec<String> = self
            .parse()?
            .names()
            .into_iter()
            .map(str::to_string)
            .collect();
        names.sort();
        Ok(names)
    }

    /// Shape and values of a tensor, in f32.
    pub fn read(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), ModelError> {
        let tensors = self.parse()?;
        let view = tensors
            .tensor(name)
            .map_err(|_| ModelError::MissingTensor {
                path: self.path.clone(),
                name: name.into(),
            })?;
        let values = to_f32(&view).ok_or_else(|| ModelError::Dtype {
            path: self.path.clone(),
            name: name.into(),
            found: format!("{:?}", view.dtype()),
        })?;
        Ok((view.shape().to_vec(), values))
    }
}

impl WeightFile {
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

fn to_f32(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let data = view.data();
    let pairs = || {
        data.chunks_exact(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
    };
    match view.dtype() {
        Dtype::F32 => Some(
            data.chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        ),
        Dtype::F16 => Some(pairs().map(|bits| f16::from_bits(bits).to_f32()).collect()),
        Dtype::BF16 => Some(pairs().map(|bits| bf16::from_bits(bits).to_f32()).collect()),
        _ => None,
    }
}

/// The weights of a model folder: `model.safetensors`, or shards behind `model.safetensors.index.json`.
pub(crate) struct Weights {
    files: Vec<WeightFile>,
    /// Tensor name to file.
    places: BTreeMap<String, usize>,
    path: PathBuf,
}

impl Weights {
    pub(crate) fn open(dir: &Path) -> Result<Self, ModelError> {
        let single = dir.join("model.safetensors");
        let index = dir.join("model.safetensors.index.json");
        let paths = if single.is_file() {
            vec![single.clone()]
        } else if index.is_file() {
            shards(&index)?
                .into_iter()
                .map(|name| dir.join(name))
                .collect()
        } else {
            return Err(ModelError::NotAModel {
                path: dir.into(),
                missing: "model.safetensors",
            });
        };
        let files = paths
            .iter()
            .map(|path| WeightFile::open(path))
            .collect::<Result<Vec<_>, _>>()?;
        let mut places = BTreeMap::new();
        for (i, file) in files.iter().enumerate() {
            places.extend(file.names()?.into_iter().map(|name| (name, i)));
        }
        let path = if files.len() == 1 { single } else { index };
        Ok(Self {
            files,
            places,
            path,
        })
    }

    /// Reads a tensor and checks its shape.
    ///
    /// A file of the bare model, saved without its head, leaves out `prefix`.
    pub(crate) fn read(
        &self,
        name: &str,
        prefix: &str,
        needed: &[usize],
    ) -> Result<Vec<f32>, ModelError> {
        let bare = name.strip_prefix(prefix).unwrap_or(name);
        let found = [name, bare]
            .into_iter()
            .find_map(|name| Some((name, *self.places.get(name)?)));
        let Some((name, place)) = found else {
            return Err(ModelError::MissingTensor {
                path: self.path.clone(),
                name: name.into(),
            });
        };
        let file = &self.files[place];
        let (found, values) = file.read(name)?;
        if found != needed {
            let (path, needed) = (file.path.clone(), needed.to_vec());
            return Err(ModelError::Shape {
                path,
                name: name.into(),
                found,
                needed,
            });
        }
        Ok(values)
    }

    /// Refuses tensors that nothing reads, except those that are derived from others.
    pub(crate) fn refuse_others(
        &self,
        read: &[TensorSpec],
        names: &Names,
    ) -> Result<(), ModelError> {
        let known: HashSet<&str> = read.iter().map(|tensor| tensor.name.as_str()).collect();
        let tied = format!("{}.weight", names.head);
        let others: Vec<&str> = self
            .places
            .keys()
            .map(String::as_str)
            .filter(|name| {
                !known.contains(name) && !known.contains(format!("{}{name}", names.prefix).as_str())
            })
            // A tied head that was written all the same, and tables that are computed from config.json.
            .filter(|name| *name != tied && !names.ignored.iter().any(|end| name.ends_with(end)))
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        let more = if others.len() > 3 {
            format!(" and {} more", others.len() - 3)
        } else {
            String::new()
        };
        let names = format!("`{}`{more}", others[..others.len().min(3)].join("`, `"));
        Err(ModelError::Unexpected {
            path: self.path.clone(),
            names,
        })
    }
}

fn shards(index: &Path) -> Result<Vec<String>, ModelError> {
    let text = fs_err::read_to_string(index)?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|source| ModelError::Json {
            path: index.into(),
            source,
        })?;
    let Some(map) = json["weight_map"].as_object() else {
        return Err(ModelError::Safetensors {
            path: index.into(),
            reason: "it has no `weight_map`".into(),
        });
    };
    let mut names: Vec<String> = map
        .values()
        .filter_map(|v| v.as_str())
        .map(str::to_string)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// A tensor of the model, from values in the order of its file.
pub(crate) fn param(spec: TensorSpec, values: Vec<f32>, device: &Device, dtype: DType) -> Param {
    let value = matrix(values, &spec.shape, device, dtype);
    let value = match spec.layout {
        Layout::Transposed => value.transpose(),
        Layout::Matrix | Layout::Vector => value,
    };
    Param {
        layout: spec.layout,
        ..Param::matrix(spec.name, value)
    }
}

/// Values as a matrix on the device; vectors become one row.
pub(crate) fn matrix(
    values: Vec<f32>,
    shape: &[usize],
    device: &Device,
    dtype: DType,
) -> Tensor<2> {
    let columns = shape.last().copied().unwrap_or(1);
    let rows = values.len() / columns.max(1);
    Tensor::from_data(TensorData::new(values, [rows, columns]), (device, dtype))
}

/// Writes `params` as one safetensors file with metadata `{"format": "pt"}`, in f32, sorted by name.
///
/// # Errors
/// The file cannot be written.
pub fn write_safetensors<'a>(
    path: &Path,
    params: impl IntoIterator<Item = &'a Param>,
) -> Result<(), ModelError> {
    let tensor = |p: &Param| (p.name.clone(), p.file_shape(), p.file_values());
    let tensors: Vec<_> = params.into_iter().map(tensor).collect();
    write_values(path, &tensors)
}

/// Writes tensors, by name, shape and values in row-major order, as [`write_safetensors`] does.
///
/// # Errors
/// The file cannot be written.
pub fn write_values(
    path: &Path,
    tensors: &[(String, Vec<usize>, Vec<f32>)],
) -> Result<(), ModelError> {
    let buffers: Vec<Vec<u8>> = (tensors.iter())
        .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let failed = |e: safetensors::SafeTensorError| ModelError::Safetensors {
        path: path.into(),
        reason: e.to_string(),
    };
    let mut views = BTreeMap::new();
    for ((name, shape, _), bytes) in tensors.iter().zip(&buffers) {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(failed)?;
        views.insert(name.clone(), view);
    }
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    let bytes = safetensors::serialize(&views, Some(metadata)).map_err(failed)?;
    Ok(fs_err::write(path, bytes)?)
}
