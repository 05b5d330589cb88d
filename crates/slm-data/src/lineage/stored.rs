//! What the shards keep of a row beside its tokens.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, FixedSizeBinaryArray};
use arrow::datatypes::UInt64Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Wanted;
use crate::encoded_rows::EncodedRow;
use crate::error::DataError;
use crate::manifest::{Manifest, ShardRecord};
use crate::outline::each_sample;
use crate::shard::column;
use crate::side::Side;

/// Column with the SHA-256 of what a row said when it was encoded.
pub(crate) const DIGEST: &str = "digest";
/// Column that tells rows which were cut to `max_length`.
pub(crate) const CUT: &str = "cut";

/// A row, or one of its two answers, in the shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// Its number.
    pub row: usize,
    /// Where it came from.
    pub origin: String,
    /// SHA-256 of what it said when it was encoded, in hex.
    pub digest: String,
    /// Whether it was cut to `max_length`.
    pub cut: bool,
    /// Which side it is on.
    pub side: Side,
    /// The file.
    pub file: String,
    /// Its place in the file, from 0.
    pub place: usize,
    /// `only`, `chosen` or `rejected`.
    pub answer: String,
    /// Its tokens.
    pub tokens: usize,
    /// Those of them that a model is asked to predict.
    pub learned: usize,
}

/// The digest of each sample's row; both answers of a row have its digest.
pub(crate) fn digests(rows: &[EncodedRow]) -> Result<ArrayRef, ParquetError> {
    let digest = |row: &EncodedRow| Sha256::digest(row.example.content.key());
    let digests: Vec<_> = rows.par_iter().map(digest).collect();
    let samples = rows.iter().zip(digests);
    let of_samples = samples.flat_map(|(row, digest)| row.samples.iter().map(move |_| digest));
    let column = FixedSizeBinaryArray::try_from_iter(of_samples);
    let column = column.map_err(|error| ParquetError::External(error.into()))?;
    Ok(Arc::new(column))
}

/// Where the rows that are asked for lie.
pub(super) fn placed(
    folder: &Path,
    manifest: &Manifest,
    wanted: &Wanted,
) -> Result<Vec<Placed>, DataError> {
    let mut found = Vec::new();
    for record in &manifest.shards {
        let path = folder.join(&record.file);
        let all = search(&path, record, wanted).and_then(|mut all| {
            for placed in &mut all {
                count(&path, placed)?;
            }
            Ok(all)
        });
        found.extend(all.map_err(|error| DataError::Shards {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?);
    }
    Ok(found)
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Looks through a file without reading its tokens.
fn search(path: &Path, record: &ShardRecord, wanted: &Wanted) -> Result<Vec<Placed>, Failure> {
    let (file, _) = fs_err::File::open(path)?.into_parts();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let columns = ["row", "origin", DIGEST, CUT, "answer"];
    let columns = ProjectionMask::columns(builder.parquet_schema(), columns);
    let (mut found, mut first) = (Vec::new(), 0);
    for batch in builder.with_projection(columns).build()? {
        let batch = batch?;
        let rows = column(&batch, "row")?.as_primitive::<UInt64Type>();
        let origins = column(&batch, "origin")?.as_string::<i32>();
        let digests = column(&batch, DIGEST)?.as_fixed_size_binary();
        let cut = column(&batch, CUT)?.as_boolean();
        let answers = column(&batch, "answer")?.as_string::<i32>();
        for at in 0..batch.num_rows() {
            let (row, origin) = (rows.value(at) as usize, origins.value(at));
            let digest = hex(digests.value(at));
            if wanted.is(row, origin, &digest) {
                found.push(Placed {
                    row,
                    origin: origin.into(),
                    digest,
                    cut: cut.value(at),
                    side: record.side,
                    file: record.file.clone(),
                    place: first + at,
                    answer: answers.value(at).into(),
                    tokens: 0,
                    learned: 0,
                });
            }
        }
        first += batch.num_rows();
    }
    Ok(found)
}

/// Counts the tokens of a row that was found.
fn count(path: &Path, placed: &mut Placed) -> Result<(), Failure> {
    let columns = ["row", "learn", "breaks", "answer"];
    each_sample(path, Some(placed.place), &columns, &mut |sample, _| {
        (placed.tokens, placed.learned) = (sample.ids.len(), sample.learned());
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
