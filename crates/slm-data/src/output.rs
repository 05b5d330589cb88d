//! The shards of all sides while their rows come in.

use std::path::Path;

use slm_recipe::DataSection;

use crate::encode::Encoding;
use crate::encoded_rows::{Refused, encoded};
use crate::error::DataError;
use crate::example::Example;
use crate::intake::SkippedRow;
use crate::journal::{Done, Journal};
use crate::manifest::ShardRecord;
use crate::mask_probe::Probe;
use crate::mask_proof::{MaskChecks, PROBES};
use crate::shard::rows_of;
use crate::side::{Side, Sides};
use crate::side_writer::{SideCounts, SideWriter};
use crate::targets::Targets;

/// Encodes rows and writes them, each side into its own shards.
pub(crate) struct Output<'a> {
    checks: MaskChecks<'a>,
    refused: Refused,
    journal: Journal,
    writers: Sides<SideWriter>,
    /// What is in the shards that an earlier process wrote.
    earlier: Sides<Earlier>,
    targets: Targets,
    probes: Vec<Probe>,
    /// Files that have a probe, or can have none.
    probed: Vec<std::sync::Arc<str>>,
}

/// The rows of one side that are dealt with.
#[derive(Debug, Default)]
struct Earlier {
    through_row: Option<usize>,
    /// Those of them that are in shards, in order.
    kept: Vec<usize>,
}

/// What all rows together are.
pub(crate) struct Written {
    pub(crate) sides: Sides<SideCounts>,
    pub(crate) shards: Vec<ShardRecord>,
    pub(crate) targets: Targets,
    pub(crate) probes: Vec<Probe>,
    /// Rows that no ids could be made of.
    pub(crate) skipped: Vec<SkippedRow>,
    pub(crate) journal: Journal,
}

impl<'a> Output<'a> {
    /// Begins, or goes on where a process that was killed stopped.
    pub(crate) fn open(
        target: &Path,
        input_digest: &str,
        encoding: &'a Encoding<'a>,
        section: &DataSection,
    ) -> Result<Self, DataError> {
        let (journal, done) = Journal::open(target, input_digest)?;
        let folder = journal.folder().to_owned();
        let writer = |side| SideWriter::new(&folder, side, section.shard_rows, &done);
        let mut earlier = Sides::default();
        for side in Side::ALL {
            earlier[side] = Earlier::of(&folder, side, &done)?;
        }
        Ok(Self {
            checks: MaskChecks::new(encoding),
            refused: Refused::new(section),
            writers: Sides::new(writer),
            earlier,
            journal,
            targets: Targets::default(),
            probes: Vec::new(),
            probed: Vec::new(),
        })
    }

    /// Takes the next rows of a side.
    pub(crate) fn take(&mut self, side: Side, rows: Vec<Example>) -> Result<(), DataError> {
        let earlier = &self.earlier[side];
        let (written, rows): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| earlier.has_met(row.row));
        let kept = written.into_iter().filter(|row| earlier.has_kept(row.row));
        let kept: Vec<Example> = kept.filter(|_| side == Side::Train).collect();
        kept.iter().try_for_each(|row| self.look_at(row))?;
        let outcomes = encoded(&self.checks, &rows);
        for (row, outcome) in rows.into_iter().zip(outcomes) {
            let (outcome, proof) = match outcome {
                Ok(encoded) => encoded,
                Err(source) => {
                    self.refused.skip(&row, source)?;
                    continue;
                }
            };
            if side == Side::Train && outcome.is_kept() {
                self.look_at(&row)?;
            }
            let writer = &mut self.writers[side];
            let (refused, journal) = (&mut self.refused, &mut self.journal);
            writer.take(row, (outcome, proof), &self.checks, refused, journal)?;
        }
        Ok(())
    }

    /// Counts what a row that is kept should say, and keeps the first of each file.
    fn look_at(&mut self, row: &Example) -> Result<(), DataError> {
        self.targets.take(row.content.target());
        if self.probes.len() < PROBES && !self.probed.contains(&row.origin.path) {
            self.probed.push(row.origin.path.clone());
            self.probes
                .extend(Probe::of(row, self.checks.encoding.tokenizer)?);
        }
        Ok(())
    }

    /// Closes all shards. What is refused leaves nothing.
    pub(crate) fn finish(mut self) -> Result<Written, DataError> {
        let (mut sides, mut shards) = (Sides::<SideCounts>::default(), Vec::new());
        let mut rows = 0;
        for (side, writer) in self.writers.into_each() {
            let (counts, of_side) = writer.finish()?;
            rows += counts.record.read;
            shards.extend(of_side);
            sides[side] = counts;
        }
        let skipped = self.refused.skipped();
        rows += skipped.len();
        if let Err(refused) = self.refused.check(rows, self.checks.encoding) {
            self.journal.discard()?;
            return Err(refused);
        }
        Ok(Written {
            sides,
            shards,
            targets: self.targets,
            probes: self.probes,
            skipped,
            journal: self.journal,
        })
    }
}

impl Earlier {
    fn of(folder: &Path, side: Side, done: &[Done]) -> Result<Self, DataError> {
        let mut earlier = Self::default();
        for done in done.iter().filter(|done| done.shard.side == side) {
            earlier.through_row = Some(done.through_row);
            if side == Side::Train {
                earlier
                    .kept
                    .extend(rows_of(&folder.join(&done.shard.file))?);
            }
        }
        earlier.kept.dedup();
        Ok(earlier)
    }

    fn has_met(&self, row: usize) -> bool {
        self.through_row.is_some_and(|last| row <= last)
    }

    fn has_kept(&self, row: usize) -> bool {
        self.kept.binary_search(&row).is_ok()
    }
}
