//! Encoded rows on disk: Parquet files of ids, with the texts of held-out rows beside theirs.

mod part;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, BooleanBuilder, ListBuilder, RecordBatch, StringArray,
    UInt32Builder, UInt64Array,
};
use arrow::datatypes::{UInt32Type, UInt64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde::Serialize;
use slm_run::{RunError, sha256_file};

use crate::encoded_rows::EncodedRow;
use crate::error::DataError;
use crate::example::HeldOut;
use crate::lineage::{CUT, DIGEST, digests};
use crate::manifest::Manifest;
use crate::mixture::Share;
use crate::sample::{Answer, Answers, Sample, answer_of, rows};
use crate::side::Side;

/// Rows that become columns together.
const BATCH_ROWS: usize = 1024;

/// Encoded rows and what held-out ones say, as [`crate::prepare`] left them.
#[derive(Clone, Debug)]
pub struct Shards {
    manifest: Manifest,
    train: Vec<Sample>,
    validation: Vec<Sample>,
    held_out: Vec<HeldOut>,
    test: Vec<HeldOut>,
    origins: BTreeMap<usize, String>,
}

impl Shards {
    /// Reads a folder of shards and checks every file against its digest.
    ///
    /// # Errors
    /// When the folder is not complete, or a file is not the one that was written.
    pub fn open(dir: &Path) -> Result<Self, DataError> {
        let manifest = Manifest::read(dir)?;
        let mut shards = Self {
            train: Vec::new(),
            validation: Vec::new(),
            held_out: Vec::new(),
            test: Vec::new(),
            origins: BTreeMap::new(),
            manifest,
        };
        for record in shards.manifest.shards.clone() {
            let path = dir.join(&record.file);
            let unusable = |reason: String| DataError::Shards {
                path: path.display().to_string(),
                reason,
            };
            if sha256_file(&path).map_err(|error| unusable(error.to_string()))? != record.sha256 {
                return Err(unusable(
                    "its digest is not the one in `manifest.json`".into(),
                ));
            }
            shards
                .read(&path, record.side)
                .map_err(|error| unusable(error.to_string()))?;
        }
        Ok(shards)
    }

    /// What is in the folder, and how it came about.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Rows to learn from.
    pub fn train(&self) -> &[Sample] {
        &self.train
    }

    /// How often the training rows of each source come up in an epoch, in the order of [`Self::train`].
    pub fn shares(&self) -> Vec<Share> {
        let kept: Vec<usize> = rows(&self.train)
            .map(|places| self.train[places.start].row)
            .collect();
        Share::all(&self.manifest.sources, &kept)
    }

    /// What the training rows are answers to: one that is learned, two of which one is better, or one that was judged.
    pub fn answers(&self) -> Answers {
        Answers::of(&self.train)
    }

    /// Rows that are held out, encoded; those of [`Self::held_out`] in the same order, and rejected answers.
    pub fn validation(&self) -> &[Sample] {
        &self.validation
    }

    /// Rows that are held out, as texts: to render the prompt and compare the answer.
    pub fn held_out(&self) -> &[HeldOut] {
        &self.held_out
    }

    /// Rows that are held out for the tasks, as texts.
    pub fn test(&self) -> &[HeldOut] {
        &self.test
    }

    /// What tasks are measured on: the rows of the test, or where there are none, those that are held out.
    pub fn measured(&self) -> &[HeldOut] {
        match self.test.is_empty() {
            true => &self.held_out,
            false => &self.test,
        }
    }

    /// Where a row came from, as in `train.csv:12`.
    pub fn origin(&self, row: usize) -> Option<&str> {
        self.origins.get(&row).map(String::as_str)
    }

    /// The distinct targets of the training rows as they stand (with their leading space), or none where there are too many
    /// to be labels.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.manifest.targets.keys().map(String::as_str)
    }
}

/// One file of encoded rows while it is written.
pub(crate) struct ShardWriter {
    path: PathBuf,
    side: Side,
    /// Rows that are not written yet.
    rows: Vec<EncodedRow>,
    writer: Option<ArrowWriter<File>>,
}

impl fmt::Debug for ShardWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardWriter")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl ShardWriter {
    pub(crate) fn create(path: &Path, side: Side) -> Result<Self, DataError> {
        Ok(Self {
            path: path.to_owned(),
            side,
            rows: Vec::with_capacity(BATCH_ROWS),
            writer: None,
        })
    }

    pub(crate) fn write(&mut self, row: EncodedRow) -> Result<(), DataError> {
        self.rows.push(row);
        if self.rows.len() == BATCH_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DataError> {
        let rows = std::mem::take(&mut self.rows);
        let written = batch_of(self.side, &rows).and_then(|batch| {
            let writer = match &mut self.writer {
                Some(writer) => writer,
                none => none.insert(begin(&self.path, &batch)?),
            };
            writer.write(&batch)
        });
        written.map_err(|error| write_failed(&self.path, error))
    }

    /// Writes what is left; gives the path.
    pub(crate) fn close(mut self) -> Result<PathBuf, DataError> {
        if !self.rows.is_empty() {
            self.flush()?;
        }
        if let Some(writer) = self.writer {
            let closed = writer.close();
            closed.map_err(|error| write_failed(&self.path, error))?;
        }
        Ok(self.path)
    }
}

fn begin(path: &Path, batch: &RecordBatch) -> Result<ArrowWriter<File>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let (file, _) = fs_err::File::create(path)?.into_parts();
    ArrowWriter::try_new(file, batch.schema(), Some(properties))
}

/// The numbers of the rows in a shard, in order.
pub(crate) fn rows_of(path: &Path) -> Result<Vec<usize>, DataError> {
    let read = || -> Result<Vec<usize>, Failure> {
        let (file, _) = fs_err::File::open(path)?.into_parts();
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let only_rows = ProjectionMask::columns(builder.parquet_schema(), ["row"]);
        let mut rows = Vec::new();
        for batch in builder.with_projection(only_rows).build()? {
            let batch = batch?;
            let numbers = column(&batch, "row")?.as_primitive::<UInt64Type>();
            rows.extend(numbers.values().iter().map(|row| *row as usize));
        }
        Ok(rows)
    };
    read().map_err(|error| DataError::Shards {
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}

/// A full disk arrives inside the Parquet error: it is told apart again.
fn write_failed(path: &Path, error: ParquetError) -> DataError {
    let error = match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(io) => *io,
            Err(other) => std::io::Error::other(other),
        },
        other => std::io::Error::other(other),
    };
    DataError::Write {
        source: RunError::io(path, error),
    }
}

fn batch_of(side: Side, rows: &[EncodedRow]) -> Result<RecordBatch, ParquetError> {
    let all = || {
        rows.iter()
            .flat_map(|row| row.samples.iter().map(move |sample| (sample, &row.example)))
    };
    let cut: Vec<bool> = rows
        .iter()
        .flat_map(|row| row.samples.iter().map(|_| row.truncated))
        .collect();
    let mut ids = ListBuilder::new(UInt32Builder::new());
    let mut learn = ListBuilder::new(BooleanBuilder::new());
    let mut breaks = ListBuilder::new(UInt32Builder::new());
    for (sample, _) in all() {
        ids.values().append_slice(&sample.ids);
        ids.append(true);
        learn.values().append_slice(&sample.learn);
        learn.append(true);
        breaks.values().append_slice(&sample.breaks);
        breaks.append(true);
    }
    let numbers = all().map(|(sample, _)| sample.row as u64);
    let origins = all().map(|(_, example)| example.origin.to_string());
    let answers = all().map(|(sample, _)| sample.answer.name());
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("row", Arc::new(UInt64Array::from_iter_values(numbers))),
        ("origin", Arc::new(StringArray::from_iter_values(origins))),
        (DIGEST, digests(rows)?),
        (CUT, Arc::new(BooleanArray::from(cut))),
        ("answer", Arc::new(StringArray::from_iter_values(answers))),
        ("ids", Arc::new(ids.finish())),
        ("learn", Arc::new(learn.finish())),
        ("breaks", Arc::new(breaks.finish())),
    ];
    if side != Side::Train {
        let prompts = all().map(|(_, example)| json(&example.content.prompt()));
        let prompts = prompts.collect::<Result<Vec<_>, _>>()?;
        let targets = all().map(|(_, example)| example.content.target());
        let slices = all().map(|(_, example)| json(&example.slices));
        let slices = slices.collect::<Result<Vec<_>, _>>()?;
        columns.push(("prompt", Arc::new(StringArray::from_iter_values(prompts))));
        columns.push(("target", Arc::new(StringArray::from_iter_values(targets))));
        columns.push(("slices", Arc::new(StringArray::from_iter_values(slices))));
    }
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn json(value: &impl Serialize) -> Result<String, ParquetError> {
    serde_json::to_string(value).map_err(|error| ParquetError::External(error.into()))
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Shards {
    fn read(&mut self, path: &Path, side: Side) -> Result<(), Failure> {
        let (file, _) = fs_err::File::open(path)?.into_parts();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
            let batch = batch?;
            match side {
                Side::Train => take_samples(&batch, &mut self.train)?,
                Side::Validation => {
                    take_samples(&batch, &mut self.validation)?;
                    take_texts(&batch, &mut self.held_out)?;
                }
                Side::Test => take_texts(&batch, &mut self.test)?,
            }
            self.take_origins(&batch)?;
        }
        Ok(())
    }

    fn take_origins(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let rows = column(batch, "row")?.as_primitive::<UInt64Type>();
        let origins = column(batch, "origin")?.as_string::<i32>();
        for at in 0..batch.num_rows() {
            let row = rows.value(at) as usize;
            self.origins.insert(row, origins.value(at).to_owned());
        }
        Ok(())
    }
}

fn take_samples(batch: &RecordBatch, samples: &mut Vec<Sample>) -> Result<(), Failure> {
    let rows = column(batch, "row")?.as_primitive::<UInt64Type>();
    let ids = column(batch, "ids")?.as_list::<i32>();
    let learn = column(batch, "learn")?.as_list::<i32>();
    let breaks = column(batch, "breaks")?.as_list::<i32>();
    let answers = column(batch, "answer")?.as_string::<i32>();
    let integers = |list: ArrayRef| list.as_primitive::<UInt32Type>().values().to_vec();
    for at in 0..batch.num_rows() {
        samples.push(Sample {
            row: rows.value(at) as usize,
            ids: integers(ids.value(at)),
            learn: learn.value(at).as_boolean().values().iter().collect(),
            breaks: integers(breaks.value(at)),
            answer: answer_of(answers.value(at))?,
        });
    }
    Ok(())
}

fn take_texts(batch: &RecordBatch, texts: &mut Vec<HeldOut>) -> Result<(), Failure> {
    let rows = column(batch, "row")?.as_primitive::<UInt64Type>();
    let [origins, prompts, targets, slices] =
        ["origin", "prompt", "target", "slices"].map(|name| column(batch, name));
    let (origins, prompts) = (origins?.as_string::<i32>(), prompts?.as_string::<i32>());
    let (targets, slices) = (targets?.as_string::<i32>(), slices?.as_string::<i32>());
    let answers = column(batch, "answer")?.as_string::<i32>();
    for at in 0..batch.num_rows() {
        // A rejected answer is none to be held to.
        if answer_of(answers.value(at))? == Answer::Rejected {
            continue;
        }
        texts.push(HeldOut {
            row: rows.value(at) as usize,
            origin: origins.value(at).to_owned(),
            prompt: serde_json::from_str(prompts.value(at))?,
            target: targets.value(at).to_owned(),
            slices: serde_json::from_str(slices.value(at))?,
        });
    }
    Ok(())
}

pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, String> {
    batch
        .column_by_name(name)
        .ok_or_else(|| format!("it has no column `{name}`"))
}
