//! Rows to shards: read, split, encode, write.

use std::path::Path;

use slm_recipe::{DataSection, OnBadRow};
use slm_run::{AtomicDir, Emit, Event, write_file_atomic};
use slm_text::ChatTokenizer;

use crate::clean::CLEANING;
use crate::encode::Encoding;
use crate::error::DataError;
use crate::input_digest::input_digest;
use crate::intake::{SKIPPED, SkippedRow};
use crate::leak::{Guarded, LEAKS};
use crate::manifest::{FORMAT_VERSION, MANIFEST, Manifest, SourceRecord};
use crate::mask_proof::MaskProof;
use crate::output::{Output, Written};
use crate::parts::{part_digest, write_targets};
use crate::plan::{Plan, Summary};
use crate::reading::Reader;
use crate::records::Records;
use crate::split::SaidTwice;
use crate::warnings::warn;
use crate::worker_share::WorkerShare;

/// Name of the stage in events.
const STAGE: &str = "data";

/// Rows encoded between two events.
const CHUNK_ROWS: usize = 1024;

/// What a data set is made of.
#[derive(Clone, Copy, Debug)]
pub struct Preparation<'a> {
    /// Sources, and what is done to their rows.
    pub section: &'a DataSection,
    /// Rows of tasks, which may not be among those to learn from.
    pub guarded: &'a [Guarded],
    /// What makes tokens of them.
    pub tokenizer: &'a ChatTokenizer,
    /// The longest row that is allowed, in tokens.
    pub max_length: usize,
    /// The seed of the split and of samples.
    pub seed: u64,
}

/// As [`Preparation::write`].
///
/// # Errors
/// Likewise.
pub fn prepare(
    section: &DataSection,
    guarded: &[Guarded],
    tokenizer: &ChatTokenizer,
    max_length: usize,
    seed: u64,
    out: &Path,
    emit: Emit<'_>,
) -> Result<Manifest, DataError> {
    let preparation = Preparation {
        section,
        guarded,
        tokenizer,
        max_length,
        seed,
    };
    preparation.write(out, emit)
}

impl Preparation<'_> {
    /// The digest of everything that the rows depend on.
    ///
    /// # Errors
    /// As for [`crate::input_digest`].
    pub fn digest(&self) -> Result<String, DataError> {
        input_digest(
            self.section,
            self.guarded,
            self.tokenizer,
            self.max_length,
            self.seed,
        )
    }

    /// Reads the rows that a section names, splits and encodes them, and writes them into the folder `out`, which appears
    /// complete or not at all.
    ///
    /// # Errors
    /// Any row that is not what the section says it is, with its file and line. Rows are left out by `data.clean` and
    /// `data.overlong` only, and counted in the manifest.
    pub fn write(&self, out: &Path, emit: Emit<'_>) -> Result<Manifest, DataError> {
        self.write_share(out, WorkerShare::ALL, emit)
    }

    /// Writes the part of a worker.
    pub(crate) fn write_share(
        &self,
        out: &Path,
        share: WorkerShare,
        emit: Emit<'_>,
    ) -> Result<Manifest, DataError> {
        let Self {
            section,
            guarded,
            tokenizer,
            max_length,
            seed,
        } = *self;
        let input_digest = part_digest(&self.digest()?, share);
        let target = out.parent().filter(|parent| !parent.as_os_str().is_empty());
        let reader = Reader {
            scratch: Some(target.unwrap_or(Path::new("."))),
            ..Reader::of(section, Some(tokenizer), seed)
        };
        let written = |source| DataError::Write { source };
        let folder = AtomicDir::new(out).map_err(written)?;
        let mut plan = reader.plan(section, guarded, &mut |read| {
            emit(progress(read, 0, "rows read"));
        })?;
        let encoding = Encoding {
            tokenizer,
            train_on: section.train_on,
            train_on_eos: section.train_on_eos,
            overlong: section.overlong,
            max_length,
        };
        let (n_rows, holds_out) = (plan.rows, plan.holds_out());
        let (mut done, mut said_twice) = (0, SaidTwice::default());
        let mut output = Output::open(out, &input_digest, &encoding, section)?;
        let mut records = Records::create(&folder.path().join(CLEANING))?;
        let all_rows = plan.sources.iter().map(|source| source.rows).sum();
        let own = share.range(all_rows);
        let summary = plan.each_kept(&mut |kept| {
            if holds_out {
                said_twice.take(&kept.rows);
            }
            records.write(&kept.records)?;
            for (side, rows) in kept.rows.into_each() {
                let all = rows.len();
                let mut rows = rows.into_iter().filter(|row| own.contains(&row.row));
                let mut encoded = 0;
                loop {
                    let chunk: Vec<_> = rows.by_ref().take(CHUNK_ROWS).collect();
                    if chunk.is_empty() {
                        break;
                    }
                    encoded += chunk.len();
                    output.take(side, chunk)?;
                    emit(progress(done + encoded, n_rows, "rows"));
                }
                done += all;
            }
            Ok(())
        })?;
        records.close()?;
        let Written {
            sides,
            shards,
            targets,
            probes,
            skipped: late,
            journal,
        } = output.finish()?;
        let Plan {
            mut sources,
            mut skipped,
            leaks,
            leaked_out,
            ..
        } = plan;
        skip_late(&mut sources, &mut skipped, late);
        let Summary { cleaning, personal } = summary;
        let cleaned_out: usize = cleaning.iter().map(|step| step.left_out).sum();
        let cleaned_out = cleaned_out + leaked_out;
        let mask = MaskProof::of(&encoding, &sides, probes)?;
        let [train, validation, test] = sides.into_array().map(|counts| counts.record);
        if train.rows == 0 && share == WorkerShare::ALL {
            let encoding = [&train, &validation, &test].map(|side| side.dropped.total());
            journal.discard()?;
            return Err(DataError::NoTrainingRows {
                rows: n_rows + cleaned_out,
                held_out: validation.read + test.read,
                dropped: cleaned_out + encoding.iter().sum::<usize>(),
            });
        }
        if share != WorkerShare::ALL {
            write_targets(folder.path(), targets.hashes()).map_err(written)?;
        }
        let (targets, distinct_targets) = targets.into_counts();
        Records::write_all(&folder.path().join(LEAKS), leaks.found())?;
        if section.on_bad_row == OnBadRow::Skip {
            Records::write_all(&folder.path().join(SKIPPED), &skipped)?;
        }
        journal.hand_over(&shards, folder.path())?;
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            input_digest,
            seed,
            max_length,
            sources,
            cleaning,
            personal,
            train,
            validation,
            test,
            leaked: said_twice.count(),
            leaks: leaks.into_totals(),
            leaked_out,
            targets,
            distinct_targets,
            mask,
            shards,
        };
        let text = serde_json::to_string_pretty(&manifest).unwrap_or_default() + "\n";
        write_file_atomic(folder.path().join(MANIFEST), text.as_bytes()).map_err(written)?;
        folder.commit().map_err(written)?;
        warn(section, &manifest, emit);
        Ok(manifest)
    }
}

/// Of a total that is not known, which is 0, what is done is told all the same.
fn progress(done: usize, total: usize, unit: &str) -> Event {
    Event::Progress {
        stage: STAGE.into(),
        done: done as u64,
        total: total as u64,
        unit: unit.into(),
    }
}

/// Adds the rows that are found to be bad when they are encoded.
fn skip_late(
    sources: &mut [SourceRecord],
    skipped: &mut Vec<SkippedRow>,
    mut late: Vec<SkippedRow>,
) {
    for row in &late {
        let mut first_row = 0;
        let source = sources.iter_mut().find(|source| {
            first_row += source.rows;
            row.row < first_row
        });
        if let Some(source) = source {
            source.skipped += 1;
        }
    }
    skipped.append(&mut late);
    skipped.sort_by_key(|row| row.row);
}
