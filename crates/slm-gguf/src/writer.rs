//! A file, tensor by tensor, that appears only when it is complete.

use std::path::Path;

use crate::layout::Layout;
use crate::pending_file::PendingFile;
use crate::{GgufError, Metadata, TensorSpec, TensorType, codec};

/// How many elements are encoded at a time: a multiple of every block.
const CHUNK_ELEMENTS: usize = 1 << 16;

/// Writes a GGUF file: the header at once, then tensor by tensor in the order in which they were declared.
///
/// The bytes go to a temporary file next to the final one, which [`finish`](Self::finish) renames; until then, and where
/// it is never called, whatever was at the path stays there. After an error there is nothing to do but to drop it.
#[derive(Debug)]
pub struct Writer {
    file: PendingFile,
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
    /// without [`QUANTIZATION_VERSION`](crate::keys::general::QUANTIZATION_VERSION), and [`GgufError::Write`].
    pub fn create(
        path: impl AsRef<Path>,
        metadata: &Metadata,
        tensors: Vec<TensorSpec>,
    ) -> Result<Self, GgufError> {
        let Layout {
            alignment,
            header,
            tensors,
        } = Layout::new(metadata, tensors)?;
        let mut writer = Self {
            file: PendingFile::create(path.as_ref())?,
            alignment,
            tensors,
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
        self.file.finish()?;
        Ok(self.size_bytes)
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
        self.file.write(bytes)
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
