//! Rows to shards: read, split, encode, write.

use std::path::Path;

use serde::Serialize;
use slm_recipe::{DataSection, OnBadRow};
use slm_run::{AtomicDir, Emit, Event, RunError, write_file_atomic};
use slm_text::ChatTokenizer;

use crate::clean::CLEANING;
use crate::encode::Encoding;
use crate::error::DataError;
use crate::example::Example;
use crate::input_digest::input_digest;
use crate::intake::{SKIPPED, SkippedRow};
use crate::leak::{Guarded, LEAKS};
use crate::manifest::{FORMAT_VERSION, MANIFEST, Manifest, Side, SourceRecord};
use crate::mask_proof::MaskProof;
use crate::output::{Output, Written};
use crate::reading::{Reader, Reading};
use crate::split::leaked;
use crate::warnings::warn;

/// Name of the stage in events.
const STAGE: &str = "data";

/// Rows encoded between two events.
const CHUNK_ROWS: usize = 1024;

/// Reads the rows that a section names, splits and encodes them, and writes them into the folder `out`, which appears
/// complete or not at all. Rows of tasks, `guarded`, may not be among those to learn from.
///
/// # Errors
/// Any row that is not what the section says it is, with its file and line. Rows are left out by `data.clean` and
/// `data.overlong` only, and counted in the manifest.
pub fn prepare(
    section: &DataSection,
    guarded: &[Guarded],
    tokenizer: &ChatTokenizer,
    max_length: usize,
    seed: u64,
    out: &Path,
    emit: Emit<'_>,
) -> Result<Manifest, DataError> {
    let input_digest = input_digest(section, guarded, tokenizer, max_length, seed)?;
    let reader = Reader {
        format: section.format,
        seed,
        has_template: tokenizer.has_template(),
        tokenizer: Some(tokenizer),
        on_bad_row: section.on_bad_row,
    };
    let reading = reader.read(section, guarded)?;
    let leaked = leaked(&reading.train, &reading.validation);
    let encoding = Encoding {
        tokenizer,
        train_on: section.train_on,
        train_on_eos: section.train_on_eos,
        overlong: section.overlong,
        max_length,
    };
    let Reading {
        mut sources,
        mut skipped,
        cleaning,
        cleaned,
        leaks,
        leaked_out,
        personal,
        train,
        validation,
    } = reading;
    let rows = train.len() + validation.len();
    let cleaned_out: usize = cleaning.iter().map(|step| step.left_out).sum();
    let cleaned_out = cleaned_out + leaked_out;
    let mut done = 0;
    let written = |source| DataError::Write { source };
    let folder = AtomicDir::new(out).map_err(written)?;
    let mut output = Output::open(out, &input_digest, &encoding, section)?;
    for (side, examples) in [(Side::Train, train), (Side::Validation, validation)] {
        let mut examples = examples.into_iter();
        loop {
            let chunk: Vec<Example> = examples.by_ref().take(CHUNK_ROWS).collect();
            if chunk.is_empty() {
                break;
            }
            done += chunk.len();
            output.take(side, chunk)?;
            emit(Event::Progress {
                stage: STAGE.into(),
                done: done as u64,
                total: rows as u64,
                unit: "rows".into(),
            });
        }
    }
    let Written {
        train,
        validation,
        shards,
        targets,
        probes,
        skipped: late,
        journal,
    } = output.finish()?;
    skip_late(&mut sources, &mut skipped, late);
    if train.record.rows == 0 {
        let encoding = train.record.dropped.total() + validation.record.dropped.total();
        let dropped = cleaned_out + encoding;
        journal.discard()?;
        return Err(DataError::NoTrainingRows {
            rows: rows + cleaned_out,
            held_out: validation.record.read,
            dropped,
        });
    }
    let (targets, distinct_targets) = targets.into_counts();
    write_lines(&folder.path().join(CLEANING), &cleaned).map_err(written)?;
    write_lines(&folder.path().join(LEAKS), leaks.found()).map_err(written)?;
    if section.on_bad_row == OnBadRow::Skip {
        write_lines(&folder.path().join(SKIPPED), &skipped).map_err(written)?;
    }
    let mask = MaskProof::of(&encoding, [train.proof(), validation.proof()], probes)?;
    journal.hand_over(&shards, folder.path())?;
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        input_digest,
        seed,
        max_length,
        sources,
        cleaning,
        personal,
        train: train.record,
        validation: validation.record,
        leaked,
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

/// One line for each record.
fn write_lines<R: Serialize>(path: &Path, records: &[R]) -> Result<(), RunError> {
    let line = |record| serde_json::to_string(record).unwrap_or_default() + "\n";
    let lines: String = records.iter().map(line).collect();
    write_file_atomic(path, lines.as_bytes())
}
