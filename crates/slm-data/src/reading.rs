//! The rows of all sources as examples, and which side each is on.

use std::path::Path;

use slm_recipe::{DataSection, Format, OnBadRow, Source};
use slm_text::ChatTokenizer;

use crate::error::DataError;
use crate::example::{Example, HeldOut};
use crate::intake::{Given, Intake, SkippedRow};
use crate::leak::Guarded;
use crate::manifest::SourceRecord;
use crate::side::Side;
use crate::spill::Scratch;

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
    pub(crate) budget: Budget,
    /// Where temporary files are made; none for the system's folder.
    pub(crate) scratch: Option<&'a Path>,
}

/// What may be held in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Bytes of rows between one pass and the next; of more, the files are read again.
    pub(crate) kept_bytes: usize,
    /// Bytes of each list by which rows are compared, before it goes to temporary files.
    pub(crate) held_bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            kept_bytes: 128 << 20,
            held_bytes: 64 << 20,
        }
    }
}

impl<'a> Reader<'a> {
    /// For the rows of a section; conversations are read where there is no tokenizer yet.
    pub(crate) fn of(
        section: &DataSection,
        tokenizer: Option<&'a ChatTokenizer>,
        seed: u64,
    ) -> Self {
        Self {
            format: section.format,
            seed,
            has_template: tokenizer.is_none_or(ChatTokenizer::has_template),
            tokenizer,
            on_bad_row: section.on_bad_row,
            budget: Budget::default(),
            scratch: None,
        }
    }

    pub(crate) fn scratch(&self) -> Scratch {
        let folder = self.scratch.map_or_else(std::env::temp_dir, Path::to_owned);
        Scratch::new(&folder, self.budget.held_bytes)
    }

    /// The rows of one side that stay.
    pub(crate) fn side(
        self,
        section: &DataSection,
        guarded: &[Guarded],
        side: Side,
    ) -> Result<Vec<Example>, DataError> {
        let mut rows = Vec::new();
        let mut plan = self.plan(section, guarded, &mut |_| {})?;
        plan.each_kept(&mut |mut kept| {
            rows.append(&mut kept.rows[side]);
            Ok(())
        })?;
        Ok(rows)
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
        budget: Budget::default(),
        scratch: None,
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
    let rows = Reader::of(section, None, seed).side(section, guarded, Side::Train)?;
    Ok(rows.into_iter().map(HeldOut::from).collect())
}

/// The rows of a recipe that are on a side which is not learned from, in the same form.
///
/// # Errors
/// As for [`crate::prepare`], up to encoding.
pub fn held_out_rows(
    section: &DataSection,
    side: Side,
    seed: u64,
) -> Result<Vec<HeldOut>, DataError> {
    let rows = Reader::of(section, None, seed).side(section, &[], side)?;
    Ok(rows.into_iter().map(HeldOut::from).collect())
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
    let rows = Reader::of(section, None, seed).side(section, guarded, Side::Train)?;
    let contents = rows.iter().map(|example| &example.content);
    let texts = contents.flat_map(|content| content.texts());
    Ok(texts.map(str::to_owned).collect())
}
