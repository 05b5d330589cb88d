//! One side of the split, encoded and written as it comes.

use std::path::{Path, PathBuf};

use slm_run::sha256_file;

use crate::encode::{EncodedAnswer, Outcome};
use crate::encoded_rows::{EncodedRow, Refused};
use crate::error::DataError;
use crate::example::Example;
use crate::journal::{Done, Journal};
use crate::manifest::{ShardRecord, SplitRecord};
use crate::mask_proof::{MaskChecks, RowProof, SideProof};
use crate::shard::ShardWriter;
use crate::side::Side;

/// What became of rows.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct SideCounts {
    pub(crate) record: SplitRecord,
    mask: SideProof,
}

/// Rows of one side on their way to its shards. No more than a few of them are in memory.
#[derive(Debug)]
pub(crate) struct SideWriter {
    side: Side,
    dir: PathBuf,
    /// Of the shards that are written.
    before: SideCounts,
    /// Of the shard that is being written.
    counts: SideCounts,
    shards: Vec<ShardRecord>,
    shard: Option<ShardWriter>,
    /// Rows in it.
    rows: usize,
    /// Rows of a whole one.
    shard_rows: usize,
}

impl SideWriter {
    /// Goes on behind the shards that are written already.
    pub(crate) fn new(dir: &Path, side: Side, shard_rows: usize, done: &[Done]) -> Self {
        let mut before = SideCounts::default();
        let done = done.iter().filter(|done| done.shard.side == side);
        let shards = done.map(|done| {
            before.add(&done.counts);
            done.shard.clone()
        });
        Self {
            side,
            dir: dir.to_owned(),
            shards: shards.collect(),
            before,
            counts: SideCounts::default(),
            shard: None,
            rows: 0,
            shard_rows,
        }
    }

    /// Takes a row; says whether it is kept.
    pub(crate) fn take(
        &mut self,
        example: Example,
        encoded: (Outcome, RowProof),
        checks: &MaskChecks,
        refused: &mut Refused,
        journal: &mut Journal,
    ) -> Result<bool, DataError> {
        let row = example.row;
        let Some(row_of_shard) = self.counts.take(example, encoded, refused) else {
            return Ok(false);
        };
        let shard = match &mut self.shard {
            Some(shard) => shard,
            closed => {
                let path = self.dir.join(file_name(self.side, self.shards.len()));
                closed.insert(ShardWriter::create(&path, self.side)?)
            }
        };
        shard.write(row_of_shard)?;
        self.rows += 1;
        if self.rows == self.shard_rows {
            let counts = self.close()?;
            let done = self.shards.last().cloned().map(|shard| Done {
                shard,
                counts,
                through_row: row,
            });
            // What makes the whole an error is not in the journal: those rows are to be met again.
            if let Some(done) = done.filter(|_| refused.none(checks)) {
                journal.note(done)?;
            }
        }
        Ok(true)
    }

    /// Closes the shard that is being written; gives what became of its rows.
    fn close(&mut self) -> Result<SideCounts, DataError> {
        if let Some(shard) = self.shard.take() {
            let path = shard.close()?;
            let sha256 = sha256_file(&path).map_err(|source| DataError::Write { source })?;
            let found = fs_err::metadata(&path).map_err(|source| DataError::Io { source })?;
            self.shards.push(ShardRecord {
                file: file_name(self.side, self.shards.len()),
                side: self.side,
                rows: self.rows,
                sha256,
                size_bytes: found.len(),
            });
        }
        self.rows = 0;
        let counts = std::mem::take(&mut self.counts);
        self.before.add(&counts);
        Ok(counts)
    }

    /// Closes the last shard; gives all of them and what became of the rows.
    pub(crate) fn finish(mut self) -> Result<(SideCounts, Vec<ShardRecord>), DataError> {
        self.close()?;
        Ok((self.before, self.shards))
    }
}

pub(crate) fn file_name(side: Side, number: usize) -> String {
    format!("{}-{number:05}.parquet", side.name())
}

impl SideCounts {
    /// The counts of [`crate::MaskProof`].
    pub(crate) fn proof(&self) -> SideProof {
        SideProof {
            cut: self.record.truncated,
            left_out: self.record.dropped.total(),
            ..self.mask.clone()
        }
    }

    fn add(&mut self, other: &Self) {
        self.record.add(&other.record);
        self.mask.add(&other.mask);
    }

    /// Counts a row; gives it back if it is kept.
    fn take(
        &mut self,
        example: Example,
        (outcome, proof): (Outcome, RowProof),
        refused: &mut Refused,
    ) -> Option<EncodedRow> {
        self.record.read += 1;
        match outcome {
            Outcome::Kept { answers, truncated } => {
                self.record.truncated += usize::from(truncated);
                self.record.rows += 1;
                self.mask.add(&proof.counts);
                refused.findings.note(&proof.findings, &example);
                let mut samples = Vec::with_capacity(answers.len());
                for EncodedAnswer { sample, .. } in answers {
                    self.record.tokens += sample.ids.len();
                    self.record.learned_tokens += sample.learned();
                    samples.push(sample);
                }
                return Some(EncodedRow {
                    example,
                    samples,
                    truncated,
                });
            }
            Outcome::DroppedOverlong => self.record.dropped.overlong += 1,
            Outcome::DroppedByTruncation => self.record.dropped.nothing_left_to_learn += 1,
            Outcome::TooLong { length } => refused.too_long(&example, length),
            Outcome::NothingLearned => refused.nothing_learned(&example),
        }
        None
    }
}
