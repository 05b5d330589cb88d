//! Rows to shards: read, split, encode, write.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;
use slm_recipe::{DataSection, TrainOn};
use slm_run::{AtomicDir, Emit, Event, sha256_bytes, sha256_file, sha256_json, write_file_atomic};
use slm_text::ChatTokenizer;

use crate::batch::Sample;
use crate::encode::{Encoding, Outcome};
use crate::error::DataError;
use crate::example::{Example, HeldOut};
use crate::manifest::{
    FORMAT_VERSION, MANIFEST, MAX_TARGETS, Manifest, ShardRecord, Side, SplitRecord,
};
use crate::reading::{self, Reading};
use crate::shard::write_side;
use crate::source::check_readable;
use crate::split::leaked;

/// Rows encoded between two events.
const CHUNK_ROWS: usize = 1024;

/// Name of the stage in events.
const STAGE: &str = "data";

/// Reads the rows that a section names, splits and encodes them, and writes them into the folder `out`, which appears
/// complete or not at all.
///
/// # Errors
/// Any row that is not what the section says it is, with its file and line. Rows are left out by `data.overlong` only, and
/// counted in the manifest.
pub fn prepare(
    section: &DataSection,
    tokenizer: &ChatTokenizer,
    max_length: usize,
    seed: u64,
    out: &Path,
    emit: Emit<'_>,
) -> Result<Manifest, DataError> {
    let input_digest = input_digest(section, tokenizer, max_length, seed)?;
    let reading = reading::read(section, seed, tokenizer.has_template())?;
    let leaked = leaked(&reading.train, &reading.validation);
    let encoding = Encoding {
        tokenizer,
        train_on: section.train_on,
        train_on_eos: section.train_on_eos,
        overlong: section.overlong,
        max_length,
    };
    let Reading {
        sources,
        train,
        validation,
    } = reading;
    let rows = train.len() + validation.len();
    let mut progress = |done: usize| {
        emit(Event::Progress {
            stage: STAGE.into(),
            done: done as u64,
            total: rows as u64,
            unit: "rows".into(),
        });
    };
    let mut refused = Refused::default();
    let train = encode(train, &encoding, &mut refused, 0, &mut progress)?;
    let validation = encode(
        validation,
        &encoding,
        &mut refused,
        train.record.read,
        &mut progress,
    )?;
    refused.check(rows, &encoding)?;
    if train.samples.is_empty() {
        let dropped = train.record.dropped.total() + validation.record.dropped.total();
        return Err(DataError::NoTrainingRows {
            rows,
            held_out: validation.record.read,
            dropped,
        });
    }
    let (targets, distinct_targets) = count_targets(&train.held_out);
    let written = |source| DataError::Write { source };
    let folder = AtomicDir::new(out).map_err(written)?;
    let mut shards = train.write(folder.path(), Side::Train)?;
    shards.extend(validation.write(folder.path(), Side::Validation)?);
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        input_digest,
        seed,
        max_length,
        sources,
        train: train.record,
        validation: validation.record,
        leaked,
        targets,
        distinct_targets,
        shards,
    };
    let text = serde_json::to_string_pretty(&manifest).unwrap_or_default() + "\n";
    write_file_atomic(folder.path().join(MANIFEST), text.as_bytes()).map_err(written)?;
    folder.commit().map_err(written)?;
    report(section, &manifest, emit);
    Ok(manifest)
}

/// Digest of everything that the shards depend on: rows, tokenizer, template, and the keys that are read. Equal digests mean
/// equal shards, so the stage can be skipped.
///
/// # Errors
/// When a source or a file of the tokenizer cannot be read.
pub fn input_digest(
    section: &DataSection,
    tokenizer: &ChatTokenizer,
    max_length: usize,
    seed: u64,
) -> Result<String, DataError> {
    #[derive(Serialize)]
    struct Inputs<'a> {
        format_version: u32,
        section: &'a DataSection,
        max_length: usize,
        seed: u64,
        sources: Vec<String>,
        tokenizer: Vec<(String, String)>,
    }
    // Packing is done when batches are made.
    let section = DataSection {
        packing: false,
        ..section.clone()
    };
    let sources = section
        .train
        .iter()
        .chain(&section.validation)
        .map(|source| {
            check_readable(&source.path)?;
            sha256_file(&source.path).map_err(|source| DataError::Write { source })
        });
    let sources = sources.collect::<Result<_, _>>()?;
    let files = tokenizer
        .files()
        .map_err(|source| DataError::Tokenizer { source })?;
    let tokenizer = files
        .into_iter()
        .map(|file| (file.name, sha256_bytes(&file.bytes)))
        .collect();
    Ok(sha256_json(&Inputs {
        format_version: FORMAT_VERSION,
        section: &section,
        max_length,
        seed,
        sources,
        tokenizer,
    }))
}

/// The encoded rows of one side.
#[derive(Debug, Default)]
struct Encoded {
    record: SplitRecord,
    samples: Vec<Sample>,
    held_out: Vec<HeldOut>,
}

impl Encoded {
    fn write(&self, folder: &Path, side: Side) -> Result<Vec<ShardRecord>, DataError> {
        let origins: Vec<String> = self.held_out.iter().map(|row| row.origin.clone()).collect();
        let texts = match side {
            Side::Train => &[],
            Side::Validation => self.held_out.as_slice(),
        };
        write_side(folder, side, &self.samples, &origins, texts)
    }
}

/// Rows that make the whole an error.
#[derive(Debug, Default)]
struct Refused {
    nothing_learned: Vec<String>,
    too_long: Vec<String>,
    longest: usize,
}

impl Refused {
    fn check(self, rows: usize, encoding: &Encoding) -> Result<(), DataError> {
        let train_on: TrainOn = encoding.train_on;
        if !self.nothing_learned.is_empty() {
            return Err(DataError::NothingLearned {
                origins: self.nothing_learned,
                rows,
                train_on,
            });
        }
        if !self.too_long.is_empty() {
            let (max_length, longest) = (encoding.max_length, self.longest);
            return Err(DataError::TooLong {
                origins: self.too_long,
                rows,
                max_length,
                longest,
            });
        }
        Ok(())
    }
}

fn encode(
    examples: Vec<Example>,
    encoding: &Encoding,
    refused: &mut Refused,
    done_before: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Encoded, DataError> {
    let mut side = Encoded {
        record: SplitRecord {
            read: examples.len(),
            ..Default::default()
        },
        ..Default::default()
    };
    let mut examples = examples.into_iter();
    let mut done = done_before;
    loop {
        let chunk: Vec<Example> = examples.by_ref().take(CHUNK_ROWS).collect();
        if chunk.is_empty() {
            return Ok(side);
        }
        let outcomes: Vec<_> = chunk
            .par_iter()
            .map(|example| encoding.row(&example.content))
            .collect();
        done += chunk.len();
        for (example, outcome) in chunk.into_iter().zip(outcomes) {
            let outcome = outcome.map_err(|source| DataError::Encode {
                origin: example.origin.clone(),
                source,
            })?;
            side.take(example, outcome, refused);
        }
        progress(done);
    }
}

impl Encoded {
    fn take(&mut self, example: Example, outcome: Outcome, refused: &mut Refused) {
        match outcome {
            Outcome::Kept { encoded, truncated } => {
                let sample = Sample {
                    row: example.row,
                    ids: encoded.ids,
                    learn: encoded.learn,
                };
                self.record.truncated += usize::from(truncated);
                self.record.rows += 1;
                self.record.tokens += sample.ids.len();
                self.record.learned_tokens += sample.learned();
                self.samples.push(sample);
                self.held_out.push(HeldOut::from(example));
            }
            Outcome::DroppedOverlong => self.record.dropped.overlong += 1,
            Outcome::DroppedByTruncation => self.record.dropped.nothing_left_to_learn += 1,
            Outcome::TooLong { length } => {
                refused.longest = refused.longest.max(length);
                refused
                    .too_long
                    .push(format!("`{}` ({length} tokens)", example.origin));
            }
            Outcome::NothingLearned => refused
                .nothing_learned
                .push(format!("`{}`", example.origin)),
        }
    }
}

/// How often each target occurs, and how many there are; only the number where they are too many to be labels.
fn count_targets(rows: &[HeldOut]) -> (BTreeMap<String, usize>, usize) {
    let mut targets: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *targets.entry(&row.target).or_default() += 1;
    }
    let distinct = targets.len();
    match distinct <= MAX_TARGETS {
        true => (
            targets
                .into_iter()
                .map(|(target, count)| (target.to_owned(), count))
                .collect(),
            distinct,
        ),
        false => (BTreeMap::new(), distinct),
    }
}

/// Tells what a user should look at before training on it.
fn report(section: &DataSection, manifest: &Manifest, emit: Emit<'_>) {
    for (name, side) in [
        ("training", &manifest.train),
        ("held-out", &manifest.validation),
    ] {
        for (count, why) in [
            (
                side.dropped.overlong,
                "longer than `max_length` and left out",
            ),
            (
                side.dropped.nothing_left_to_learn,
                "left out because truncation cut all that was to be learned",
            ),
            (side.truncated, "cut to `max_length`"),
        ] {
            if count > 0 {
                let text = format!(
                    "{count} of {} {name} rows {} {why}",
                    side.read,
                    if count == 1 { "was" } else { "were" }
                );
                emit(Event::Warning { text });
            }
        }
    }
    if manifest.leaked > 0 {
        let text = format!(
            "{} of {} held-out rows are equal to a training row",
            manifest.leaked, manifest.validation.read
        );
        emit(Event::Warning { text });
    }
    if section.holds_out() && manifest.validation.rows == 0 {
        let text = format!(
            "no row is held out: `data.val_size` {} of {} rows gave none",
            section.val_size, manifest.train.read
        );
        emit(Event::Warning { text });
    }
}
