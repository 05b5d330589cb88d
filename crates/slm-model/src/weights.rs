//! The weights of a model folder in and out: one file, or shards with an index.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView};

use crate::compressed::{CompressedMatrix, FileTensor, PARTS};
use crate::family::Names;
use crate::param::Layout;
use crate::{ModelError, Param, TensorSpec, WeightFile};

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
            places.extend(file.names().into_iter().map(|name| (name, i)));
        }
        let path = if files.len() == 1 { single } else { index };
        Ok(Self {
            files,
            places,
            path,
        })
    }

    /// Reads a tensor, or what its codes stand for, and checks its shape.
    ///
    /// A file of the bare model, saved without its head, leaves out `prefix`.
    pub(crate) fn read(
        &self,
        name: &str,
        prefix: &str,
        needed: &[usize],
    ) -> Result<Vec<f32>, ModelError> {
        if let Some(path) = name.strip_suffix(".weight")
            && self.is_compressed(name)
        {
            return self.read_compressed(path, needed);
        }
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
            let (path, needed) = (file.path().into(), needed.to_vec());
            return Err(ModelError::Shape {
                path,
                name: name.into(),
                found,
                needed,
            });
        }
        Ok(values)
    }

    /// Whether a matrix is in codes, which have scales.
    fn is_compressed(&self, name: &str) -> bool {
        self.places.contains_key(&format!("{name}_scale"))
    }

    /// What the codes of the layer at `path` stand for.
    fn read_compressed(&self, path: &str, needed: &[usize]) -> Result<Vec<f32>, ModelError> {
        let file = |name: &str| match self.places.get(name) {
            Some(&place) => Ok(&self.files[place]),
            None => Err(ModelError::MissingTensor {
                path: self.path.clone(),
                name: name.into(),
            }),
        };
        let matrix = CompressedMatrix::read(path, file)?;
        if matrix.shape[..] != *needed {
            return Err(ModelError::Shape {
                path: self.path.clone(),
                name: format!("{path}.weight"),
                found: matrix.shape.to_vec(),
                needed: needed.to_vec(),
            });
        }
        Ok(matrix.values())
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
                let ends = PARTS.iter().filter_map(|end| name.strip_suffix(end));
                !ends
                    .into_iter()
                    .any(|name| known.contains(name) && self.is_compressed(name))
            })
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

/// Writes `params` as one safetensors file with metadata `{"format": "pt"}` and what `metadata` adds, in f32, sorted by name.
///
/// # Errors
/// The file cannot be written.
pub fn write_safetensors<'a>(
    path: &Path,
    params: impl IntoIterator<Item = &'a Param>,
    metadata: &[(&str, &str)],
) -> Result<(), ModelError> {
    let tensor = |p: &Param| (p.name.clone(), p.file_shape(), p.file_values());
    let tensors: Vec<_> = params.into_iter().map(tensor).collect();
    write_values(path, &tensors, metadata)
}

/// Writes tensors, by name, shape and values in row-major order, as [`write_safetensors`] does.
///
/// # Errors
/// The file cannot be written.
pub fn write_values(
    path: &Path,
    tensors: &[(String, Vec<usize>, Vec<f32>)],
    metadata: &[(&str, &str)],
) -> Result<(), ModelError> {
    let tensors = tensors.iter().map(|(name, shape, values)| FileTensor {
        name: name.clone(),
        dtype: Dtype::F32,
        shape: shape.clone(),
        bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    });
    write_tensors(path, &tensors.collect::<Vec<_>>(), metadata)
}

/// Writes tensors of any dtype, as [`write_safetensors`] does.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_tensors(
    path: &Path,
    tensors: &[FileTensor],
    metadata: &[(&str, &str)],
) -> Result<(), ModelError> {
    let failed = |e: safetensors::SafeTensorError| ModelError::Safetensors {
        path: path.into(),
        reason: e.to_string(),
    };
    let mut views = BTreeMap::new();
    for tensor in tensors {
        let shape = tensor.shape.clone();
        let view = TensorView::new(tensor.dtype, shape, &tensor.bytes).map_err(failed)?;
        views.insert(tensor.name.clone(), view);
    }
    let metadata = std::iter::once(&("format", "pt")).chain(metadata);
    let metadata: BTreeMap<_, _> = metadata
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect();
    let unordered = Some(HashMap::from_iter(metadata.clone()));
    safetensors::serialize_to_file(&views, unordered, path).map_err(|error| match error {
        safetensors::SafeTensorError::IoError(error) => ModelError::Io(error),
        error => failed(error),
    })?;
    Ok(order_metadata(path, &metadata)?)
}

/// Puts the metadata of a file that was just written into the order of its keys: the library writes a hash map, and equal runs
/// have to write equal files. Another order has the same length.
fn order_metadata(path: &Path, metadata: &BTreeMap<String, String>) -> std::io::Result<()> {
    let ordered = serde_json::to_string(&serde_json::json!({"__metadata__": metadata}))?;
    let mut options = fs_err::OpenOptions::new();
    let mut file = options.read(true).write(true).open(path)?;
    // Behind the length of the header; the last brace is not the header's.
    let ordered = &ordered.as_bytes()[..ordered.len() - 1];
    file.seek(SeekFrom::Start(8))?;
    let mut written = vec![0; ordered.len()];
    file.read_exact(&mut written)?;
    let sorted = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.sort_unstable();
        bytes
    };
    if sorted(&written) == sorted(ordered) {
        file.seek(SeekFrom::Start(8))?;
        file.write_all(ordered)?;
    }
    Ok(())
}
