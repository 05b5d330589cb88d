//! Files of importance matrices: llama.cpp's GGUF form, and the `.dat` form of before 2025.
//!
//! The GGUF form has two F32 tensors for each tensor of the model, `NAME.in_sum2` with dims `[columns, experts]` and
//! `NAME.counts` with dims `[1, experts]`; `save_imatrix` in llama.cpp's `tools/imatrix/imatrix.cpp`. The `.dat` form is in
//! `imatrix_dat.rs`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::header::MAGIC;
use crate::imatrix::ensure_sums;
use crate::{
    ColumnSums, GgufError, ImportanceMatrix, Metadata, Reader, TensorInfo, TensorSpec, TensorType,
    Writer, codec, imatrix_dat, keys, mapping,
};

const SUMS: &str = ".in_sum2";
const COUNTS: &str = ".counts";

impl ImportanceMatrix {
    /// Reads a file of either form; its first bytes say which.
    ///
    /// # Errors
    /// [`GgufError::Open`] where there is no readable file; otherwise [`GgufError::Read`] with the path, around what is wrong:
    /// what [`Header::parse`](crate::Header::parse) finds, [`GgufError::NotImatrix`], sums without counts or of another type,
    /// [`GgufError::Importance`]. Nothing is allocated that the file's size does not bear out.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, GgufError> {
        let path = path.as_ref();
        let bytes = mapping::map(path)?;
        if bytes.starts_with(&MAGIC) {
            drop(bytes);
            let reader = Reader::open(path)?;
            return from_gguf(&reader).map_err(|source| GgufError::at(path, source));
        }
        imatrix_dat::from_bytes(&bytes).map_err(|source| GgufError::at(path, source))
    }

    /// Writes the GGUF form, which appears only when it is complete.
    ///
    /// # Errors
    /// [`GgufError::ImportanceCounts`] where it came from a `.dat` file, which does not tell how many positions there were;
    /// [`GgufError::Write`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), GgufError> {
        let chunk_size = self.chunk_size().ok_or(GgufError::ImportanceCounts)?;
        let mut metadata = Metadata::new();
        metadata.set(&keys::general::TYPE, keys::imatrix::TYPE.to_string());
        metadata.set(&keys::imatrix::DATASETS, self.datasets().to_vec());
        metadata.set(&keys::imatrix::CHUNK_COUNT, self.chunk_count());
        metadata.set(&keys::imatrix::CHUNK_SIZE, chunk_size);
        let specs = self.tensors().flat_map(|(name, sums)| {
            let n_matrices = sums.counts.len();
            let n_columns = sums.in_sum2.len() / n_matrices.max(1);
            [(SUMS, n_columns), (COUNTS, 1)].map(|(suffix, columns)| TensorSpec {
                name: format!("{name}{suffix}"),
                dims: dims(columns, n_matrices),
                tensor_type: TensorType::F32,
            })
        });
        let mut writer = Writer::create(path, &metadata, specs.collect())?;
        for (name, sums) in self.tensors() {
            let counts: Vec<f32> = sums.counts.iter().map(|&count| count as f32).collect();
            writer.write_f32(&format!("{name}{SUMS}"), &sums.in_sum2)?;
            writer.write_f32(&format!("{name}{COUNTS}"), &counts)?;
        }
        writer.finish()?;
        Ok(())
    }
}

/// Without the last dimension where it is 1, as ggml writes them.
fn dims(n_columns: usize, n_matrices: usize) -> Vec<u64> {
    match n_matrices {
        1 => vec![n_columns as u64],
        _ => vec![n_columns as u64, n_matrices as u64],
    }
}

fn from_gguf(reader: &Reader) -> Result<ImportanceMatrix, GgufError> {
    let metadata = reader.metadata();
    let mut tensors = BTreeMap::new();
    for info in reader.tensors() {
        let name = match info.name().strip_suffix(SUMS) {
            Some(name) => name,
            None => match info.name().strip_suffix(COUNTS) {
                // Counts without sums are found here, sums without counts below.
                Some(name) => reader.tensor(&format!("{name}{SUMS}")).map(|_| name)?,
                None => continue,
            },
        };
        if info.name().ends_with(SUMS) {
            let counts = reader.tensor(&format!("{name}{COUNTS}"))?;
            tensors.insert(name.to_string(), column_sums(reader, info, counts)?);
        }
    }
    if tensors.is_empty() {
        let found = format!("no tensor of it ends in `{SUMS}`");
        return Err(GgufError::NotImatrix { found });
    }
    Ok(ImportanceMatrix::from_parts(
        metadata.require(&keys::imatrix::DATASETS)?,
        Some(metadata.require(&keys::imatrix::CHUNK_SIZE)?.max(1)),
        tensors,
    ))
}

fn column_sums(
    reader: &Reader,
    sums: &TensorInfo,
    counts: &TensorInfo,
) -> Result<ColumnSums, GgufError> {
    let in_sum2 = floats(reader, sums)?;
    ensure_sums(&in_sum2)?;
    let counts = floats(reader, counts)?;
    ensure_sums(&counts)?;
    if !in_sum2.len().is_multiple_of(counts.len()) {
        return Err(GgufError::ImportanceSize {
            tensor: sums.name().to_string(),
            found: in_sum2.len(),
            needed: counts.len(),
        });
    }
    let counts = counts.iter().map(|count| count.round() as u64).collect();
    Ok(ColumnSums { in_sum2, counts })
}

fn floats(reader: &Reader, info: &TensorInfo) -> Result<Vec<f32>, GgufError> {
    if info.tensor_type() != TensorType::F32 {
        let found = format!(
            "tensor `{}` is {}, not F32",
            info.name(),
            info.tensor_type()
        );
        return Err(GgufError::NotImatrix { found });
    }
    let mut values = vec![0.0; info.n_elements() as usize];
    codec::dequantize(TensorType::F32, reader.bytes(info.name())?, &mut values)?;
    Ok(values)
}
