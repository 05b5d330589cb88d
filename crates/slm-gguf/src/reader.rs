//! A memory-mapped file.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::header::Header;
use crate::{BlockMatrix, GgufError, Metadata, TensorInfo, codec, mapping};

/// An open GGUF file. Its tensors are read from the disk when they are asked for.
#[derive(Debug)]
pub struct Reader {
    file: Arc<memmap2::Mmap>,
    header: Header,
    places: HashMap<String, usize>,
}

impl Reader {
    /// Opens the file at `path` and checks its header.
    ///
    /// # Errors
    /// [`GgufError::Open`] where there is no readable file; [`GgufError::Read`] with the path, around whatever
    /// [`Header::parse`] found.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, GgufError> {
        let path = path.as_ref();
        let file = mapping::map(path)?;
        let header = Header::parse(&file).map_err(|source| GgufError::at(path, source))?;
        let places = header
            .tensors()
            .iter()
            .enumerate()
            .map(|(place, info)| (info.name().to_string(), place))
            .collect();
        Ok(Self {
            file: Arc::new(file),
            header,
            places,
        })
    }

    /// Everything in front of the tensors' bytes.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The metadata.
    pub fn metadata(&self) -> &Metadata {
        self.header.metadata()
    }

    /// The tensors, in the order of the file.
    pub fn tensors(&self) -> &[TensorInfo] {
        self.header.tensors()
    }

    /// One tensor.
    ///
    /// # Errors
    /// [`GgufError::UnknownTensor`] where there is none of that name.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo, GgufError> {
        match self.places.get(name) {
            Some(&place) => Ok(&self.header.tensors()[place]),
            None => Err(GgufError::UnknownTensor {
                name: name.to_string(),
            }),
        }
    }

    /// A tensor's bytes, in whatever type it is stored.
    ///
    /// # Errors
    /// [`GgufError::UnknownTensor`] where there is none of that name.
    pub fn bytes(&self, name: &str) -> Result<&[u8], GgufError> {
        let Range { start, end } = self.tensor(name)?.bytes();
        // Checked against the length of the file, so both fit usize.
        Ok(&self.file[start as usize..end as usize])
    }

    /// A tensor as a matrix of its blocks, which stay in the file: what is not its last dimension is counted as rows.
    ///
    /// # Errors
    /// [`GgufError::UnknownTensor`], and [`GgufError::NoCodec`] where the type cannot be turned into f32.
    pub fn matrix(&self, name: &str) -> Result<BlockMatrix, GgufError> {
        let info = self.tensor(name)?;
        let Range { start, end } = info.bytes();
        // Checked against the length of the file, so all of them fit usize.
        let shape = [info.n_rows() as usize, info.row_len() as usize];
        let bytes = start as usize..end as usize;
        BlockMatrix::mapped(info.tensor_type(), shape, self.file.clone(), bytes)
    }

    /// A whole tensor as f32, row-major in [`TensorInfo::shape`].
    ///
    /// # Errors
    /// [`GgufError::UnknownTensor`], and [`GgufError::NoCodec`] where the type cannot be turned into f32.
    pub fn dequantize(&self, name: &str) -> Result<Vec<f32>, GgufError> {
        let n_rows = self.tensor(name)?.n_rows();
        self.rows(name, 0..n_rows)
    }

    /// Some rows of a tensor as f32, one after the other. A row is [`TensorInfo::row_len`] elements.
    ///
    /// # Errors
    /// Those of [`dequantize`](Self::dequantize), and [`GgufError::RowsOutside`] where there are not so many rows.
    pub fn rows(&self, name: &str, rows: Range<u64>) -> Result<Vec<f32>, GgufError> {
        let info = self.tensor(name)?;
        let Range { start, end } = rows;
        if start > end || end > info.n_rows() {
            return Err(GgufError::RowsOutside {
                name: name.to_string(),
                start,
                end,
                n_rows: info.n_rows(),
            });
        }
        // No larger than the tensor, which was counted when the header was checked.
        let (first, last) = (start * info.row_len(), end * info.row_len());
        let first_byte = info.tensor_type().size_bytes(first)? as usize;
        let last_byte = info.tensor_type().size_bytes(last)? as usize;
        let mut values = vec![0.0; (last - first) as usize];
        codec::dequantize(
            info.tensor_type(),
            &self.bytes(name)?[first_byte..last_byte],
            &mut values,
        )?;
        Ok(values)
    }
}
