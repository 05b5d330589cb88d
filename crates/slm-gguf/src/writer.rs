//! A file, tensor by tensor, that appears only when it is complete.

use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::header::{DIMENSIONS, KEY_BYTES, size_bytes};
use crate::header_bytes::header_bytes;
use crate::{GgufError, Metadata, TensorType, codec, keys};

/// The longest name that ggml loads: `GGML_MAX_NAME` is 64 with the byte that ends it.
const NAME_BYTES: usize = 63;
/// How many elements are encoded at a time: a multiple of every block.
const CHUNK_ELEMENTS: usize = 1 << 16;

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

/// Writes a GGUF file: the header at once, then tensor by tensor in the order in which they were declared.
///
/// The bytes go to a temporary file next to the final one, which [`finish`](Self::finish) renames; until then, and where
/// it is never called, whatever was at the path stays there.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: BufWriter<NamedTempFile<fs_err::File>>,
    alignment: u64,
    tensors: Vec<(TensorSpec, u64)>,
    /// The tensor that is being written, and how many of its bytes already were.
    current: usize,
    written: u64,
    size_bytes: u64,
}

impl Writer {
    /// Checks everything that the header will say, and writes it.
    ///
    /// The alignment is `general.alignment`, or 32. Nothing is added to the metadata.
    ///
    /// # Errors
    /// Keys and names that the format or ggml does not allow, dimensions that are not whole blocks, a quantized tensor
    /// without [`keys::general::QUANTIZATION_VERSION`], and [`GgufError::Write`].
    pub fn create(
        path: impl AsRef<Path>,
        metadata: &Metadata,
        tensors: Vec<TensorSpec>,
    ) -> Result<Self, GgufError> {
        let path = path.as_ref().to_path_buf();
        let alignment = metadata.alignment()?;
        ensure_keys(metadata)?;
        ensure_names(&tensors)?;
        ensure_quantization_version(metadata, &tensors)?;
        let mut offsets = Vec::with_capacity(tensors.len());
        let mut sized = Vec::with_capacity(tensors.len());
        let mut offset = 0u64;
        for tensor in &tensors {
            let size_bytes = size_bytes(&tensor.name, &tensor.dims, tensor.tensor_type)?;
            offsets.push(offset);
            sized.push((tensor.clone(), size_bytes));
            offset = end_of(offset, size_bytes, alignment).ok_or(GgufError::TooLarge {
                n_elements: u64::MAX,
            })?;
        }
        let header = header_bytes(metadata, &tensors, &offsets, alignment);
        let file = temporary(&path).map_err(|source| GgufError::Write {
            path: path.clone(),
            source,
        })?;
        let file = BufWriter::with_capacity(1 << 20, file);
        let mut writer = Self {
            path,
            file,
            alignment,
            tensors: sized,
            current: 0,
            written: 0,
            size_bytes: 0,
        };
        writer.put(&header)?;
        Ok(writer)
    }

    /// Writes bytes of the next tensor: all of them, or a part that the next call goes on with.
    ///
    /// # Errors
    /// [`GgufError::OutOfOrder`] where another tensor comes next, [`GgufError::TooManyBytes`] where the tensor has no room for
    /// them, and [`GgufError::Write`].
    pub fn write_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), GgufError> {
        let size_bytes = self.next(name)?.1;
        let written = self.written + bytes.len() as u64;
        if written > size_bytes {
            return Err(GgufError::TooManyBytes {
                name: name.to_string(),
                found: written,
                needed: size_bytes,
            });
        }
        self.put(bytes)?;
        self.written = written;
        if written == size_bytes {
            let padding = size_bytes.next_multiple_of(self.alignment) - size_bytes;
            self.put(&vec![0; padding as usize])?;
            self.current += 1;
            self.written = 0;
        }
        Ok(())
    }

    /// Encodes elements of the next tensor in its type and writes them: all of them, or whole blocks of them.
    ///
    /// # Errors
    /// Those of [`write_bytes`](Self::write_bytes) and of [`codec::quantize`].
    pub fn write_f32(&mut self, name: &str, values: &[f32]) -> Result<(), GgufError> {
        let tensor_type = self.next(name)?.0.tensor_type;
        let mut bytes = Vec::new();
        for (chunk, values) in values.chunks(CHUNK_ELEMENTS).enumerate() {
            encode(tensor_type, values, &mut bytes)
                .map_err(|source| within(name, source, chunk * CHUNK_ELEMENTS))?;
            self.write_bytes(name, &bytes)?;
        }
        Ok(())
    }

    /// Brings everything to the disk and gives the file its name, replacing one that was there. Returns its size in bytes.
    ///
    /// # Errors
    /// [`GgufError::Unfinished`] where a tensor is missing or not complete, and [`GgufError::Write`]. Then there is no new
    /// file.
    pub fn finish(self) -> Result<u64, GgufError> {
        if let Some((tensor, needed)) = self.tensors.get(self.current) {
            return Err(GgufError::Unfinished {
                name: tensor.name.clone(),
                written: self.written,
                needed: *needed,
                missing: self.tensors.len() - self.current - 1,
            });
        }
        let Self {
            path,
            file,
            size_bytes,
            ..
        } = self;
        let rename = || -> io::Result<()> {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            sync_folder(folder_of(&path))
        };
        rename().map_err(|source| GgufError::Write {
            path: path.clone(),
            source,
        })?;
        Ok(size_bytes)
    }

    /// The tensor that comes next and its size, if that is `name`.
    fn next(&self, name: &str) -> Result<&(TensorSpec, u64), GgufError> {
        let next = self.tensors.get(self.current);
        next.filter(|(tensor, _)| tensor.name == name)
            .ok_or_else(|| GgufError::OutOfOrder {
                found: name.to_string(),
                next: next.map(|(tensor, _)| tensor.name.clone()),
            })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), GgufError> {
        self.size_bytes += bytes.len() as u64;
        self.file
            .write_all(bytes)
            .map_err(|source| GgufError::Write {
                path: self.path.clone(),
                source,
            })
    }
}

fn encode(tensor_type: TensorType, values: &[f32], bytes: &mut Vec<u8>) -> Result<(), GgufError> {
    bytes.resize(tensor_type.size_bytes(values.len() as u64)? as usize, 0);
    codec::quantize(tensor_type, values, bytes)
}

/// An error of a tensor's elements, counted from the first that was given instead of the first of a chunk.
fn within(name: &str, mut source: GgufError, first: usize) -> GgufError {
    if let GgufError::NotFinite { index, .. } = &mut source {
        *index += first;
    }
    GgufError::Encode {
        name: name.to_string(),
        source: Box::new(source),
    }
}

/// Where the tensor after this one starts.
fn end_of(offset: u64, size_bytes: u64, alignment: u64) -> Option<u64> {
    offset
        .checked_add(size_bytes)?
        .checked_next_multiple_of(alignment)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// A new file next to `path`, with the permissions of any new file, that is removed unless it is renamed.
fn temporary(path: &Path) -> io::Result<NamedTempFile<fs_err::File>> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path does not end in a file name",
        ));
    };
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    let create = |path: &Path| fs_err::File::create_new(path);
    tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".partial")
        .make_in(folder_of(path), create)
}

/// Makes the new name last, where the system can: only Unix opens a folder for that.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        fs_err::File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
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
