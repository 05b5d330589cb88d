//! The rows of a prepared folder without their tokens: a dozen bytes each, so that any folder can be looked at.

use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::{UInt32Type, UInt64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use slm_run::sha256_file;

use crate::error::DataError;
use crate::manifest::{Manifest, ShardRecord};
use crate::mixture::Share;
use crate::sample::{Answer, Sample, answer_of};
use crate::shard::column;
use crate::side::{Side, Sides};

/// What is in a prepared folder.
#[derive(Clone, Debug)]
pub struct Outline {
    folder: PathBuf,
    manifest: Manifest,
    sides: Sides<Vec<Outlined>>,
}

/// A sample without its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlined {
    row: u32,
    tokens: u32,
    learned: u32,
    answer: Answer,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Outline {
    /// Reads a folder, and checks every file against its digest.
    ///
    /// # Errors
    /// When the folder is not complete, or a file is not the one that was written.
    pub fn open(folder: &Path) -> Result<Self, DataError> {
        let mut outline = Self {
            folder: folder.to_owned(),
            manifest: Manifest::read(folder)?,
            sides: Sides::default(),
        };
        for record in outline.manifest.shards.clone() {
            let path = folder.join(&record.file);
            let read = outline.read(&path, &record);
            read.map_err(|error| unusable(&path, error.to_string()))?;
        }
        Ok(outline)
    }

    fn read(&mut self, path: &Path, record: &ShardRecord) -> Result<(), Failure> {
        if sha256_file(path)? != record.sha256 {
            return Err("its digest is not the one in `manifest.json`".into());
        }
        let samples = &mut self.sides[record.side];
        each_sample(
            path,
            None,
            &["row", "learn", "breaks", "answer"],
            &mut |sample, _| {
                samples.push(Outlined::of(&sample));
            },
        )
    }

    /// What is in the folder, and how it came about.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The samples of one side, in order.
    pub fn side(&self, side: Side) -> &[Outlined] {
        &self.sides[side]
    }

    /// How often the training rows of each source come up in an epoch.
    pub fn shares(&self) -> Vec<Share> {
        let mut rows: Vec<usize> = self.sides[Side::Train].iter().map(Outlined::row).collect();
        rows.dedup();
        Share::all(&self.manifest.sources, &rows)
    }

    /// A sample at a place of a side, with its tokens, and where its row came from.
    ///
    /// # Errors
    /// When its file cannot be read any more.
    pub fn sample(&self, side: Side, place: usize) -> Result<(Sample, String), DataError> {
        let mut place = place;
        let shards = self.manifest.shards.iter();
        for record in shards.filter(|record| record.side == side) {
            let path = self.folder.join(&record.file);
            let mut found = None;
            let columns = ["row", "origin", "ids", "learn", "breaks", "answer"];
            let samples = samples_in(&path).map_err(|error| unusable(&path, error.to_string()))?;
            if place >= samples {
                place -= samples;
                continue;
            }
            each_sample(&path, Some(place), &columns, &mut |sample, origin| {
                found = Some((sample, origin));
            })
            .map_err(|error| unusable(&path, error.to_string()))?;
            if let Some(found) = found {
                return Ok(found);
            }
        }
        Err(unusable(
            &self.folder,
            format!("it has no sample {place} more"),
        ))
    }
}

impl Outlined {
    pub(crate) fn of(sample: &Sample) -> Self {
        Self {
            row: sample.row as u32,
            tokens: sample.learn.len() as u32,
            learned: sample.learned() as u32,
            answer: sample.answer,
        }
    }

    /// The number of its row.
    pub fn row(&self) -> usize {
        self.row as usize
    }

    /// Its tokens.
    pub fn tokens(&self) -> usize {
        self.tokens as usize
    }

    /// Those of them that a model is asked to predict.
    pub fn learned(&self) -> usize {
        self.learned as usize
    }

    /// Which answer it is.
    pub fn answer(&self) -> Answer {
        self.answer
    }
}

fn unusable(path: &Path, reason: String) -> DataError {
    DataError::Shards {
        path: path.display().to_string(),
        reason,
    }
}

fn samples_in(path: &Path) -> Result<usize, Failure> {
    let (file, _) = fs_err::File::open(path)?.into_parts();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    Ok(builder.metadata().file_metadata().num_rows() as usize)
}

/// Gives the samples of a file, or one of them, with what the columns say and where it came from.
pub(crate) fn each_sample(
    path: &Path,
    only: Option<usize>,
    columns: &[&str],
    take: &mut dyn FnMut(Sample, String),
) -> Result<(), Failure> {
    let (file, _) = fs_err::File::open(path)?.into_parts();
    let mut builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let fields = builder.schema().fields().iter().enumerate();
    let needed = fields.filter(|(_, field)| columns.contains(&field.name().as_str()));
    let needed: Vec<usize> = needed.map(|(at, _)| at).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), needed);
    builder = builder.with_projection(mask);
    if let Some(place) = only {
        builder = builder.with_offset(place).with_limit(1);
    }
    for batch in builder.build()? {
        let batch = batch?;
        let rows = column(&batch, "row")?.as_primitive::<UInt64Type>();
        let learn = column(&batch, "learn")?.as_list::<i32>();
        let breaks = column(&batch, "breaks")?.as_list::<i32>();
        let answers = column(&batch, "answer")?.as_string::<i32>();
        let ids = column(&batch, "ids").ok().map(|it| it.as_list::<i32>());
        let origins = column(&batch, "origin")
            .ok()
            .map(|it| it.as_string::<i32>());
        for at in 0..batch.num_rows() {
            let integers =
                |list: arrow::array::ArrayRef| list.as_primitive::<UInt32Type>().values().to_vec();
            let sample = Sample {
                row: rows.value(at) as usize,
                ids: ids.map_or_else(
                    || vec![0; learn.value(at).len()],
                    |ids| integers(ids.value(at)),
                ),
                learn: learn.value(at).as_boolean().values().iter().collect(),
                breaks: integers(breaks.value(at)),
                answer: answer_of(answers.value(at))?,
            };
            take(
                sample,
                origins.map_or_else(String::new, |it| it.value(at).to_owned()),
            );
        }
    }
    Ok(())
}
