//! The rows of one source as examples, some thousands at a time.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use slm_recipe::{Format, OnBadRow, Source};

use crate::error::{DataError, NeededBy};
use crate::example::Example;
use crate::layout::{Head, Layout};
use crate::manifest::SourceRecord;
use crate::mapping::Mapping;
use crate::reading::Reader;
use crate::side::Side;
use crate::source::{RawRow, Row, RowFile, SourceFiles};
use crate::split::sample;

/// Name of the file of a prepared folder that has a [`SkippedRow`] a line, with `data.on_bad_row = "skip"`.
pub const SKIPPED: &str = "skipped.jsonl";

/// A bad row that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedRow {
    /// Counted from 0 over all sources in the order of the recipe.
    pub row: usize,
    /// Where it came from, as in `train.csv:12`.
    pub origin: String,
    /// What is wrong with it.
    pub reason: String,
}

impl SkippedRow {
    /// The row that an error is about, if it may be skipped.
    pub(crate) fn of(row: usize, error: &DataError) -> Option<Self> {
        let origin = error.bad_row()?.to_string();
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            reason += &format!(": {error}");
            cause = error.source();
        }
        Some(Self {
            row,
            origin,
            reason,
        })
    }
}

/// Which rows of a recipe a source has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    pub(crate) source: &'a Source,
    pub(crate) side: Side,
    /// Column whose value keeps rows together.
    pub(crate) group_by: Option<&'a str>,
    /// The number of its first one.
    pub(crate) first_row: usize,
}

/// Reads the rows of one source.
pub(crate) struct Intake<'a> {
    reader: Reader<'a>,
    given: Given<'a>,
    mapping: Mapping,
    /// How its rows are read behind the mapping.
    mapped: Source,
    files: SourceFiles,
    /// Rows of each file that was read.
    rows: Vec<usize>,
    /// Those that are taken, of a source that is sampled.
    sampled: Option<Vec<usize>>,
    open: Option<Open<'a>>,
    /// What the rows are read as, and the first file that has them.
    format: Option<(Format, String)>,
    skipped: Vec<SkippedRow>,
}

/// The file that is read.
struct Open<'a> {
    file: RowFile,
    /// None before a good row was seen.
    layout: Option<Layout<'a>>,
    /// The first bad row before one.
    bad: Option<DataError>,
}

impl<'a> Intake<'a> {
    pub(crate) fn begin(reader: Reader<'a>, given: Given<'a>) -> Result<Self, DataError> {
        let files = SourceFiles::of(&given.source.path)?;
        let source = given.source;
        let sampled = match source.max_samples {
            0 => None,
            most => {
                let rows = count(&files)?;
                (most < rows).then(|| sample(rows, most, &source.path, reader.seed))
            }
        };
        let (mapping, mapped) = Mapping::of(source)?;
        Ok(Self {
            reader,
            given,
            mapping,
            mapped,
            files,
            rows: Vec::new(),
            sampled,
            open: None,
            format: None,
            skipped: Vec::new(),
        })
    }

    /// The next rows; none after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<Example>>, DataError> {
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => {
                    let Some(path) = self.files.0.get(self.rows.len()) else {
                        return Ok(None);
                    };
                    self.rows.push(0);
                    Open {
                        file: RowFile::open(path)?,
                        layout: None,
                        bad: None,
                    }
                }
            };
            let chunk = open.file.chunk()?;
            if chunk.is_empty() {
                self.end(open)?;
                continue;
            }
            let examples = self.examples(&mut open, chunk)?;
            self.open = Some(open);
            return Ok(Some(examples));
        }
    }

    /// A file is read: it had rows, and good ones.
    fn end(&self, open: Open<'_>) -> Result<(), DataError> {
        if self.rows.last() == Some(&0) {
            let path = open.file.path.to_string();
            return Err(DataError::Empty { path });
        }
        match (open.layout, open.bad) {
            (None, Some(bad)) => Err(bad),
            _ => Ok(()),
        }
    }

    fn examples(
        &mut self,
        open: &mut Open<'a>,
        chunk: Vec<RawRow>,
    ) -> Result<Vec<Example>, DataError> {
        let skips = self.reader.on_bad_row == OnBadRow::Skip;
        let mapping = &self.mapping;
        let parse = |row: RawRow| mapping.apply(row.parse()?);
        let parsed: Vec<_> = chunk.into_par_iter().map(parse).collect();
        if open.layout.is_none() {
            let good = parsed.iter().position(Result::is_ok);
            let good = good.filter(|at| skips || *at == 0);
            if let Some(Ok(first)) = good.map(|at| &parsed[at]) {
                open.layout = Some(self.layout(&open.file, first)?);
            }
        }
        let first = self.given.first_row + self.rows.iter().sum::<usize>();
        let count = parsed.len();
        let numbered = parsed.into_par_iter().enumerate();
        let (group_by, layout) = (self.given.group_by, open.layout.as_ref());
        let sampled = self.sampled.as_deref();
        let first_row = self.given.first_row;
        let taken = |row: usize| {
            sampled.is_none_or(|sampled| sampled.binary_search(&(row - first_row)).is_ok())
        };
        let example = |(at, row): (usize, Result<Row, DataError>)| {
            let number = first + at;
            match (row, layout) {
                (Ok(row), Some(layout)) => {
                    taken(number).then(|| example(layout, group_by, number, &row))
                }
                (Ok(_), None) => None,
                // An error of any row is told, one that is not sampled is not counted as skipped.
                (Err(error), _) => (!skips || taken(number)).then_some(Err(error)),
            }
            .map(|example| (number, example))
        };
        // Collected as results first: of several errors, the first in the file is told.
        let examples: Vec<_> = numbered.filter_map(example).collect();
        let last = self.rows.len() - 1;
        self.rows[last] += count;
        let mut kept = Vec::with_capacity(examples.len());
        for (number, example) in examples {
            match example {
                Ok(example) => kept.push(example),
                Err(error) => self.skip(open, number, error)?,
            }
        }
        Ok(kept)
    }

    fn skip(&mut self, open: &mut Open<'_>, row: usize, error: DataError) -> Result<(), DataError> {
        let skipped = match self.reader.on_bad_row {
            OnBadRow::Error => None,
            OnBadRow::Skip => SkippedRow::of(row, &error),
        };
        let Some(skipped) = skipped else {
            return Err(error);
        };
        self.skipped.push(skipped);
        open.bad.get_or_insert(error);
        Ok(())
    }

    fn layout(&mut self, file: &RowFile, first: &Row) -> Result<Layout<'a>, DataError> {
        let head = Head {
            path: file.path.clone(),
            columns: file.columns(first),
            first: first.clone(),
        };
        let layout = Layout::resolve(&self.mapped, &self.reader, &head)?;
        let path = file.path.to_string();
        if layout.makes_conversations() && !self.reader.has_template {
            return Err(DataError::NoChatTemplate { path });
        }
        let format = layout.format();
        let (needed, first) = self.format.get_or_insert_with(|| (format, path.clone()));
        if *needed != format {
            return Err(DataError::MixedFormats {
                path,
                found: name(format),
                first: first.clone(),
                needed: name(*needed),
            });
        }
        Ok(layout)
    }

    /// Rows of the files that were read.
    pub(crate) fn n_rows(&self) -> usize {
        self.rows.iter().sum()
    }

    /// What was read, after the last row.
    pub(crate) fn record(self) -> Result<(SourceRecord, Vec<SkippedRow>), DataError> {
        let (sha256, mut files) = self.files.digest()?;
        for (file, rows) in files.iter_mut().zip(&self.rows) {
            file.rows = *rows;
        }
        let rows = self.n_rows();
        let taken = self.sampled.as_ref().map_or(rows, Vec::len);
        let source = self.given.source;
        let size_bytes = files.iter().map(|file| file.size_bytes).sum();
        let is_one = files.len() == 1 && files[0].path == source.path;
        let record = SourceRecord {
            path: source.path.clone(),
            sha256,
            size_bytes,
            given_as: self.given.side,
            format: self.format.map_or(Format::Auto, |(format, _)| format),
            rows,
            not_sampled: rows - taken,
            weight: source.weight,
            skipped: self.skipped.len(),
            files: if is_one { Vec::new() } else { files },
        };
        Ok((record, self.skipped))
    }
}

fn example(
    layout: &Layout<'_>,
    group_by: Option<&str>,
    number: usize,
    row: &Row,
) -> Result<Example, DataError> {
    Ok(Example {
        row: number,
        content: layout.content(row)?,
        group: group_by.map(|column| group(row, column)).transpose()?,
        slices: layout.slices(row),
        origin: row.origin.clone(),
    })
}

fn group(row: &Row, column: &str) -> Result<String, DataError> {
    match row.fields.get(column) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value) if !value.is_null() => Ok(value.to_string()),
        Some(_) => Err(DataError::WrongValue {
            origin: row.origin.clone(),
            column: column.to_owned(),
            found: "null".into(),
            needed: "a value for `data.group_by`".into(),
        }),
        None => Err(DataError::MissingColumn {
            origin: row.origin.clone(),
            column: column.to_owned(),
            needed_by: NeededBy::GroupBy,
            found: row.fields.keys().cloned().collect(),
        }),
    }
}

/// Rows of files, good or bad.
fn count(files: &SourceFiles) -> Result<usize, DataError> {
    let mut rows = 0;
    for path in &files.0 {
        let mut file = RowFile::open(path)?;
        loop {
            match file.chunk()?.len() {
                0 => break,
                count => rows += count,
            }
        }
    }
    Ok(rows)
}

/// A format as it is written in a recipe.
fn name(format: Format) -> String {
    let name = serde_json::to_value(format).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}
