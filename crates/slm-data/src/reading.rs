//! The rows of all sources as examples, and which side each is on.

use slm_recipe::{DataSection, Format, OnBadRow, Source};
use slm_text::ChatTokenizer;

use crate::clean::{CleanRecord, CleanTotals, Cleaning, PersonalTotals};
use crate::error::{DataError, nearest};
use crate::example::{Example, HeldOut};
use crate::intake::{Given, Intake, SkippedRow};
use crate::leak::{Guarded, Leaks};
use crate::manifest::{Side, SourceRecord};
use crate::split::Split;

/// Everything that the sources of a recipe say.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) sources: Vec<SourceRecord>,
    /// Bad rows that were left out.
    pub(crate) skipped: Vec<SkippedRow>,
    /// What was done to the rows.
    pub(crate) cleaning: Vec<CleanTotals>,
    pub(crate) cleaned: Vec<CleanRecord>,
    /// Rows of tasks among those to learn from, before any was left out.
    pub(crate) leaks: Leaks,
    /// Rows to learn from that were left out for them.
    pub(crate) leaked_out: usize,
    pub(crate) personal: Vec<PersonalTotals>,
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
    pub(crate) on_bad_row: OnBadRow,
}

impl Reader<'_> {
    /// Reads the sources of a section, splits their rows, and looks for rows of tasks among those to learn from.
    pub(crate) fn read(
        self,
        section: &DataSection,
        guarded: &[Guarded],
    ) -> Result<Reading, DataError> {
        let split = Split::new(section, self.seed);
        let (mut sources, mut given) = (Vec::new(), [Vec::new(), Vec::new()]);
        let mut skipped = Vec::new();
        let train = section.train.iter().map(|source| (source, Side::Train));
        let validation = section.validation.iter();
        let validation = validation.map(|source| (source, Side::Validation));
        let mut first_row = 0;
        for (source, given_as) in train.chain(validation) {
            let group_by = section
                .group_by
                .as_deref()
                .filter(|_| given_as == Side::Train);
            let (record, examples, skips) = self.source(source, group_by, given_as, first_row)?;
            skipped.extend(skips);
            first_row += record.rows;
            sources.push(record);
            given[usize::from(given_as == Side::Validation)].extend(examples);
        }
        let mut cleaning = Cleaning::new(&section.clean);
        let [train, validation] = given;
        let train = cleaning.clean(train, Side::Train)?;
        let given = cleaning.clean(validation, Side::Validation)?;
        let mut sides = split.sides(&train)?.into_iter();
        let (mut validation, mut train): (Vec<_>, Vec<_>) = train
            .into_iter()
            .partition(|_| sides.next().unwrap_or_default());
        validation.extend(given);
        check_labels(section, &train, &validation)?;
        let leaks = Leaks::find(&self, section, guarded, &train)?;
        let leaked_out = leaks.act(section, &mut train)?;
        let mut train = cleaning.balance(train, self.seed);
        let personal = cleaning.personal([&mut train, &mut validation])?;
        Ok(Reading {
            sources,
            skipped,
            cleaning: cleaning.totals(),
            cleaned: cleaning.into_records(),
            leaks,
            leaked_out,
            personal,
            train,
            validation,
        })
    }

    /// The rows of a task, as they are compared with those to learn from.
    pub(crate) fn guarded(self, source: &Source) -> Result<Vec<Example>, DataError> {
        let reader = Self {
            // What is measured on is all there.
            on_bad_row: OnBadRow::Error,
            ..self
        };
        let (_, examples, _) = reader.source(source, None, Side::Validation, 0)?;
        Ok(examples)
    }

    pub(crate) fn source(
        self,
        source: &Source,
        group_by: Option<&str>,
        given_as: Side,
        first_row: usize,
    ) -> Result<(SourceRecord, Vec<Example>, Vec<SkippedRow>), DataError> {
        let given = Given {
            source,
            side: given_as,
            group_by,
            first_row,
        };
        let mut intake = Intake::begin(self, given)?;
        let mut examples = Vec::new();
        while let Some(chunk) = intake.next()? {
            examples.extend(chunk);
        }
        let (record, skipped) = intake.record()?;
        Ok((record, examples, skipped))
    }
}

fn check_labels(
    section: &DataSection,
    train: &[Example],
    validation: &[Example],
) -> Result<(), DataError> {
    if section.labels.is_empty() {
        return Ok(());
    }
    let labels: std::collections::HashSet<&str> =
        section.labels.iter().map(String::as_str).collect();
    let mut rows: Vec<&Example> = train.iter().chain(validation).collect();
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
        on_bad_row: OnBadRow::Error,
    };
    let (_, examples, _) = reader.source(source, None, Side::Validation, 0)?;
    Ok(examples.into_iter().map(HeldOut::from).collect())
}

/// The rows to learn from, held-out ones and leaks of tasks (as `data.on_leak` says) left out, as prompts to be answered anew and the answers that they have.
///
/// # Errors
/// As for [`crate::prepare`], up to encoding.
pub fn training_rows(
    section: &DataSection,
    guarded: &[Guarded],
    seed: u64,
) -> Result<Vec<HeldOut>, DataError> {
    let reading = read_texts(section, guarded, seed)?;
    Ok(reading.train.into_iter().map(HeldOut::from).collect())
}

/// The rows that are held out of a recipe's, in the same form.
///
/// # Errors
/// As for [`crate::prepare`], up to encoding.
pub fn held_out_rows(section: &DataSection, seed: u64) -> Result<Vec<HeldOut>, DataError> {
    let reading = read_texts(section, &[], seed)?;
    let rows = reading.validation.into_iter();
    Ok(rows.map(HeldOut::from).collect())
}

/// The texts of the rows to learn from, held-out ones and leaks of tasks (as `data.on_leak` says) left out: what a tokenizer of one's own is trained on.
///
/// # Errors
/// As for [`crate::prepare`], up to encoding.
pub fn training_texts(
    section: &DataSection,
    guarded: &[Guarded],
    seed: u64,
) -> Result<Vec<String>, DataError> {
    let reading = read_texts(section, guarded, seed)?;
    let contents = reading.train.iter().map(|example| &example.content);
    let texts = contents.flat_map(|content| content.texts());
    Ok(texts.map(str::to_owned).collect())
}

/// Reads rows for which no tokenizer is there yet.
fn read_texts(section: &DataSection, guarded: &[Guarded], seed: u64) -> Result<Reading, DataError> {
    let reader = Reader {
        format: section.format,
        seed,
        has_template: true,
        tokenizer: None,
        on_bad_row: section.on_bad_row,
    };
    reader.read(section, guarded)
}
