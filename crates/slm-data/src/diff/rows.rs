use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{UInt32Type, UInt64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use crate::error::DataError;
use crate::lineage::{DIGEST, hex};
use crate::manifest::Manifest;
use crate::shard::column;
use crate::side::Side;

/// Tokens of an answer that are kept to be shown.
const SHOWN_TOKENS: usize = 32;

/// A row of a prepared folder, as it is compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedRow {
    /// Its number.
    pub row: usize,
    /// Where it came from.
    pub origin: String,
    /// SHA-256 of what it said when it was encoded, in hex.
    pub digest: String,
    /// Which side it is on.
    pub side: Side,
    /// Its tokens; of both answers, where it has two.
    pub tokens: usize,
    /// Those of them that are marked to be learned.
    pub learned: usize,
    /// Hash of the tokens that are not learned; none where there are none.
    #[serde(skip)]
    pub(super) asked: Option<u64>,
    /// Hash of all tokens, and of what is learned of them.
    #[serde(skip)]
    pub(super) encoded: u64,
    /// The first of the tokens that are learned.
    #[serde(skip)]
    pub answer: Vec<u32>,
}

/// A row of A and the row of B that it became.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowPair {
    /// In A.
    pub a: ComparedRow,
    /// In B.
    pub b: ComparedRow,
}

/// The rows of a folder, without most of their tokens.
pub(super) fn rows_of(folder: &Path, manifest: &Manifest) -> Result<Vec<ComparedRow>, DataError> {
    let mut rows = Vec::new();
    for record in &manifest.shards {
        let path = folder.join(&record.file);
        read(&path, record.side, &mut rows).map_err(|error| DataError::Shards {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
    }
    Ok(rows)
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn read(path: &Path, side: Side, rows: &mut Vec<ComparedRow>) -> Result<(), Failure> {
    let (file, _) = fs_err::File::open(path)?.into_parts();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
        take(&batch?, side, rows)?;
    }
    Ok(())
}

fn take(batch: &RecordBatch, side: Side, rows: &mut Vec<ComparedRow>) -> Result<(), Failure> {
    let numbers = column(batch, "row")?.as_primitive::<UInt64Type>();
    let origins = column(batch, "origin")?.as_string::<i32>();
    let digests = column(batch, DIGEST)?.as_fixed_size_binary();
    let ids = column(batch, "ids")?.as_list::<i32>();
    let learn = column(batch, "learn")?.as_list::<i32>();
    for at in 0..batch.num_rows() {
        let (ids, learn) = (ids.value(at), learn.value(at));
        let ids = ids.as_primitive::<UInt32Type>().values();
        let learn: Vec<bool> = learn.as_boolean().values().iter().collect();
        let number = numbers.value(at) as usize;
        let learned = ids.iter().zip(&learn).filter(|(_, learn)| **learn);
        let answer = learned.map(|(id, _)| *id);
        // The second answer of a row follows right behind the first.
        if let Some(row) = rows
            .last_mut()
            .filter(|row| row.row == number && row.side == side)
        {
            row.tokens += ids.len();
            row.learned += learn.iter().filter(|learn| **learn).count();
            row.encoded = xxh3_64(
                &[
                    row.encoded.to_le_bytes(),
                    encoded(ids, &learn).to_le_bytes(),
                ]
                .concat(),
            );
            row.answer.extend(answer.take(SHOWN_TOKENS));
            continue;
        }
        rows.push(ComparedRow {
            row: number,
            origin: origins.value(at).to_owned(),
            digest: hex(digests.value(at)),
            side,
            tokens: ids.len(),
            learned: learn.iter().filter(|learn| **learn).count(),
            asked: asked(ids, &learn),
            encoded: encoded(ids, &learn),
            answer: answer.take(SHOWN_TOKENS).collect(),
        });
    }
    Ok(())
}

fn asked(ids: &[u32], learn: &[bool]) -> Option<u64> {
    let mut hash = Xxh3Default::new();
    let given = ids.iter().zip(learn).filter(|(_, learn)| !**learn);
    let mut any = false;
    for (id, _) in given {
        hash.update(&id.to_le_bytes());
        any = true;
    }
    any.then(|| hash.digest())
}

fn encoded(ids: &[u32], learn: &[bool]) -> u64 {
    let mut hash = Xxh3Default::new();
    for (id, learn) in ids.iter().zip(learn) {
        hash.update(&id.to_le_bytes());
        hash.update(&[u8::from(*learn)]);
    }
    hash.digest()
}
