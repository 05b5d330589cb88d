//! The rows of all sources as examples, and which side each is on.

use rayon::prelude::*;
use serde_json::Value;
use slm_recipe::{DataSection, Format, Source};
use slm_text::ChatTokenizer;

use crate::clean::{CleanRecord, CleanTotals, Cleaning};
use crate::error::{DataError, NeededBy, nearest};
use crate::example::{Example, HeldOut};
use crate::layout::Layout;
use crate::manifest::{Side, SourceRecord};
use crate::source::{Row, read_rows};
use crate::split::{Split, sample};

/// Everything that the sources of a recipe say.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) sources: Vec<SourceRecord>,
    /// What was done to the rows.
    pub(crate) cleaning: Vec<CleanTotals>,
    pub(crate) cleaned: Vec<CleanRecord>,
    pub(crate) train: Vec<Example>,
    pub(crate) validation: Vec<Example>,
}

/// How the rows of any source are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) format: Format,
    pub(crate) seed: u64,
    /// Whether conversations can be rendered.
    pub(crate) has_template: bool,
    /// What rows that are tokens already are tokens of.
    pub(crate) tokenizer: Option<&'a ChatTokenizer>,
}

impl Reader<'_> {
    /// Reads the sources of a section and splits their rows.
    pub(crate) fn read(self, section: &DataSection) -> Result<Reading, DataError> {
        let split = Split::new(section, self.seed);
        let (mut sources, mut given) = (Vec::new(), [Vec::new(), Vec::new()]);
        let train = section.train.iter().map(|source| (source, Side::Train));
        let validation = section.validation.iter();
        let validation = validation.map(|source| (source, Side::Validation));
        let mut first_row = 0;
        for (source, given_as) in train.chain(validation) {
            let group_by = section
                .group_by
                .as_deref()
                .filter(|_| given_as == Side::Train);
            let (record, examples) = self.source(source, group_by, given_as, first_row)?;
            first_row += record.rows;
            sources.push(record);
            given[usize::from(given_as == Side::Validation)].extend(examples);
        }
        let mut cleaning = Cleaning::new(&section.clean);
        let [train, validation] = given;
        let train = cleaning.clean(train, Side::Train)?;
        let given = cleaning.clean(validation, Side::Validation)?;
        let mut sides = split.sides(&train)?.into_iter();
        let (mut validation, train): (Vec<_>, Vec<_>) = train
            .into_iter()
            .partition(|_| sides.next().unwrap_or_default());
        validation.extend(given);
        let train = cleaning.balance(train, self.seed);
        let reading = Reading {
            sources,
            cleaning: cleaning.totals(),
            cleaned: cleaning.into_records(),
            train,
            validation,
        };
        check_labels(section, &reading)?;
        Ok(reading)
    }

    /// The rows of a task, as they are compared with those to learn from.
    pub(crate) fn guarded(self, source: &Source) -> Result<Vec<Example>, DataError> {
        let (_, examples) = self.source(source, None, Side::Validation, 0)?;
        Ok(examples)
    }

    fn source(
        self,
        source: &Source,
        group_by: Option<&str>,
        given_as: Side,
        first_row: usize,
    ) -> Result<(SourceRecord, Vec<Example>), DataError> {
        let file = read_rows(&source.path)?;
        let layout = Layout::resolve(source, &self, &file)?;
        if layout.makes_conversations() && !self.has_template {
            return Err(DataError::NoChatTemplate {
                path: source.path.clone(),
            });
        }
        let taken = sample(file.rows.len(), source.max_samples, &source.path, self.seed);
        let record = SourceRecord {
            path: source.path.clone(),
            sha256: file.sha256.clone(),
            size_bytes: file.size_bytes,
            given_as,
            format: layout.format(),
            rows: file.rows.len(),
            not_sampled: file.rows.len() - taken.len(),
            weight: source.weight,
        };
        let example = |at: &usize| -> Result<Example, DataError> {
            let row = &file.rows[*at];
            Ok(Example {
                row: first_row + at,
                origin: row.origin.clone(),
                content: layout.content(row)?,
                group: group_by.map(|column| group(row, column)).transpose()?,
                slices: layout.slices(row),
            })
        };
        // Collected as results first: of several errors, the first in the file is told.
        let examples: Vec<_> = taken.par_iter().map(example).collect();
        Ok((record, examples.into_iter().collect::<Result<_, _>>()?))
    }
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

fn check_labels(section: &DataSection, reading: &Reading) -> Result<(), DataError> {
    if section.labels.is_empty() {
        return Ok(());
    }
    let labels: std::collections::HashSet<&str> =
        section.labels.iter().map(String::as_str).collect();
    let mut rows: Vec<&Example> = reading.train.iter().chain(&reading.validation).collect();
    rows.sort_by_key(|example| example.row);
    let count = rows.len();
    rows.retain(|example| !labels.contains(example.content.target().trim()));
    let Some(first) = rows.first() else {
        return Ok(());
    };
    let label = first.content.target().trim().to_owned();
    let nearest = nearest(&label, labels.iter().copied()).map(|nearest| (label, nearest));
    let origins = rows
        .iter()
        .map(|row| format!("`{}` (`{}`)", row.origin, row.content.target().trim()))
        .collect();
    Err(DataError::UnknownLabel {
        origins,
        rows: count,
        nearest,
    })
}

/// Reads the rows of one file as what a model is given and what it should say, without encoding them: the tasks of an
/// evaluation.
///
/// `tokenizer`: Alpaca rows become conversations where it has a chat template; without one they become text.
///
/// # Errors
/// As for the sources of a recipe, with file and line.
pub fn load_examples(
    source: &Source,
    format: Format,
    seed: u64,
    tokenizer: Option<&ChatTokenizer>,
) -> Result<Vec<HeldOut>, DataError> {
    let reader = Reader {
        format,
        seed,
        has_template: tokenizer.is_some_and(ChatTokenizer::has_template),
        tokenizer,
    };
    let (_, examples) = reader.source(source, None, Side::Validation, 0)?;
    Ok(examples.into_iter().map(HeldOut::from).collect())
}

/// The rows to learn from, held-out ones left out, as prompts to be answered anew and the answers that they have.
///
/// # Errors
/// As for [`crate::prepare`], up to encoding.
pub fn training_rows(section: &DataSection, seed: u64) -> Result<Vec<HeldOut>, DataError> {
    let reading = read_texts(section, seed)?;
    Ok(reading.train.into_iter().map(HeldOut::from).collect())
}

/// The texts of the rows to learn from, held-out ones left out: what a tokenizer of one's own is trained on.
///
/// # Errors
/// As for [`crate::prepare`], up to encoding.
pub fn training_texts(section: &DataSection, seed: u64) -> Result<Vec<String>, DataError> {
    let reading = read_texts(section, seed)?;
    let contents = reading.train.iter().map(|example| &example.content);
    let texts = contents.flat_map(|content| content.texts());
    Ok(texts.map(str::to_owned).collect())
}

/// Reads rows for which no tokenizer is there yet.
fn read_texts(section: &DataSection, seed: u64) -> Result<Reading, DataError> {
    let reader = Reader {
        format: section.format,
        seed,
        has_template: true,
        tokenizer: None,
    };
    reader.read(section)
}
