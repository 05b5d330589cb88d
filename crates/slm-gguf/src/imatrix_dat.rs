//! The `.dat` form of importance matrices: little-endian `int32` numbers, names and sums, without a magic number.
//!
//! | what | type |
//! |---|---|
//! | how many tensors | int32 |
//! | each: length of its name, name, number of chunks, number of columns, sums | int32, bytes, int32, int32, float32s |
//! | number of chunks, length of the data set's name, that name; may be missing | int32, int32, bytes |
//!
//! Sums are means times the number of chunks. `save_imatrix_legacy` in llama.cpp's `tools/imatrix/imatrix.cpp`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cursor::Cursor;
use crate::imatrix::ensure_sums;
use crate::pending_file::PendingFile;
use crate::{ColumnSums, GgufError, ImportanceMatrix, TensorType, codec};

/// A name's length, two numbers, one sum.
const ENTRY_MIN_BYTES: u64 = 4 + 4 + 4 + 4;

impl ImportanceMatrix {
    /// Writes the `.dat` form, for programs that only know it: means instead of sums, and counts in chunks, rounded up.
    ///
    /// # Errors
    /// [`GgufError::TooLarge`] where a number does not fit 31 bits, and [`GgufError::Write`].
    pub fn write_dat(&self, path: impl AsRef<Path>) -> Result<(), GgufError> {
        let mut bytes = int(self.tensors().len())?.to_vec();
        for (name, sums) in self.tensors() {
            let largest = sums.counts.iter().copied().max().unwrap_or(0);
            let chunks = largest.div_ceil(self.chunk_size().unwrap_or(1).into());
            bytes.extend(text(name)?);
            bytes.extend(int(chunks as usize)?);
            bytes.extend(int(sums.in_sum2.len())?);
            let means = self.weights(name).unwrap_or_default();
            bytes.extend(
                means
                    .iter()
                    .flat_map(|mean| (mean * chunks as f32).to_le_bytes()),
            );
        }
        bytes.extend(int(self.chunk_count() as usize)?);
        bytes.extend(text(self.datasets().last().map_or("", String::as_str))?);
        let mut file = PendingFile::create(path.as_ref())?;
        file.write(&bytes)?;
        file.finish()
    }
}

fn int(number: usize) -> Result<[u8; 4], GgufError> {
    i32::try_from(number)
        .map(i32::to_le_bytes)
        .map_err(|_| GgufError::TooLarge {
            n_elements: number as u64,
        })
}

fn text(text: &str) -> Result<Vec<u8>, GgufError> {
    Ok([&int(text.len())?, text.as_bytes()].concat())
}

pub(crate) fn from_bytes(bytes: &[u8]) -> Result<ImportanceMatrix, GgufError> {
    let mut cursor = Cursor::new(bytes);
    let n_tensors = number(&mut cursor, "the number of tensors")?;
    if n_tensors == 0 || n_tensors.saturating_mul(ENTRY_MIN_BYTES) > cursor.left() {
        let found = format!("{} bytes cannot hold {n_tensors} tensors", bytes.len());
        return Err(GgufError::NotImatrix { found });
    }
    let mut tensors = BTreeMap::new();
    for _ in 0..n_tensors {
        let (name, sums) = entry(&mut cursor)?;
        if tensors.insert(name.clone(), sums).is_some() {
            return Err(GgufError::DuplicateTensor { name });
        }
    }
    let mut datasets = Vec::new();
    if cursor.left() > 0 {
        number(&mut cursor, "the number of chunks")?;
        let dataset = name(&mut cursor)?;
        datasets.extend((!dataset.is_empty()).then_some(dataset));
    }
    Ok(ImportanceMatrix::from_parts(datasets, None, tensors))
}

fn entry(cursor: &mut Cursor) -> Result<(String, ColumnSums), GgufError> {
    let name = name(cursor)?;
    let n_chunks = number(cursor, "the number of chunks")?;
    let n_columns = number(cursor, "the number of columns")?;
    // Taken before there is room for them, so no more than the file holds.
    let bytes = cursor.take(4 * n_columns, "the sums")?;
    let mut in_sum2 = vec![0.0; n_columns as usize];
    codec::dequantize(TensorType::F32, bytes, &mut in_sum2)?;
    ensure_sums(&in_sum2)?;
    let counts = vec![n_chunks];
    Ok((name, ColumnSums { in_sum2, counts }))
}

fn name(cursor: &mut Cursor) -> Result<String, GgufError> {
    let n_bytes = number(cursor, "the length of a name")?;
    let at = cursor.at();
    let bytes = cursor.take(n_bytes, "a name")?;
    match std::str::from_utf8(bytes) {
        Ok(name) => Ok(name.to_string()),
        Err(error) => Err(GgufError::NotUtf8 {
            at: at + error.valid_up_to() as u64,
        }),
    }
}

/// An `int32` that counts something.
fn number(cursor: &mut Cursor, what: &'static str) -> Result<u64, GgufError> {
    let found = cursor.u32(what)? as i32;
    u64::try_from(found).map_err(|_| GgufError::NotImatrix {
        found: format!("{what} is {found}"),
    })
}
