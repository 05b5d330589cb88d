use rayon::prelude::*;
use slm_recipe::{DataSection, Finding, OnBadRow, TrainOn};
use slm_text::TextError;

use crate::content::Content;
use crate::encode::{Encoding, Outcome};
use crate::error::DataError;
use crate::example::Example;
use crate::intake::SkippedRow;
use crate::mask_proof::{Findings, MaskChecks, RowProof};
use crate::sample::Sample;

/// A row that is kept.
#[derive(Debug)]
pub(crate) struct EncodedRow {
    /// What it says.
    pub(crate) example: Example,
    /// One sample, or those of the chosen and the rejected answer.
    pub(crate) samples: Vec<Sample>,
    /// Whether a part of it was cut off.
    pub(crate) truncated: bool,
}

/// Encodes rows on all cores, in their order; of those that are kept, with what is learned of them.
pub(crate) fn encoded(
    checks: &MaskChecks,
    rows: &[Example],
) -> Vec<Result<(Outcome, RowProof), TextError>> {
    let encoded = |row: &Example| {
        let outcome = checks.encoding.row(row)?;
        let proof = match &outcome {
            Outcome::Kept { answers, truncated } => checks.of(answers, *truncated),
            _ => RowProof::default(),
        };
        Ok((outcome, proof))
    };
    rows.par_iter().map(encoded).collect()
}

/// Rows that make the whole an error.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    on_bad_row: OnBadRow,
    /// Rows that no ids could be made of, with `data.on_bad_row = "skip"`.
    skipped: Vec<SkippedRow>,
    nothing_learned: Vec<String>,
    /// Whether `labels` said so.
    labelled: bool,
    too_long: Vec<String>,
    longest: usize,
    pub(crate) findings: Findings,
    /// What the recipe accepts of the mask's findings.
    accepted: Vec<Finding>,
}

impl Refused {
    pub(crate) fn new(section: &DataSection) -> Self {
        Self {
            on_bad_row: section.on_bad_row,
            accepted: section.accept_findings.clone(),
            ..Self::default()
        }
    }

    pub(crate) fn skipped(&mut self) -> Vec<SkippedRow> {
        std::mem::take(&mut self.skipped)
    }

    pub(crate) fn skip(&mut self, example: &Example, source: TextError) -> Result<(), DataError> {
        let error = DataError::Encode {
            origin: example.origin.clone(),
            source,
        };
        match SkippedRow::of(example.row, &error) {
            Some(skipped) if self.on_bad_row == OnBadRow::Skip => {
                self.skipped.push(skipped);
                Ok(())
            }
            _ => Err(error),
        }
    }

    pub(crate) fn too_long(&mut self, row: &Example, length: usize) {
        self.longest = self.longest.max(length);
        let told = format!("`{}` ({length} tokens)", row.origin);
        self.too_long.push(told);
    }

    pub(crate) fn nothing_learned(&mut self, row: &Example) {
        self.labelled |= matches!(row.content, Content::Tokens(_));
        self.nothing_learned.push(format!("`{}`", row.origin));
    }

    /// Whether there is no such row yet.
    pub(crate) fn none(&self, checks: &MaskChecks) -> bool {
        let findings = self
            .findings
            .check(&self.accepted, 0, checks.encoding.tokenizer);
        let none = [&self.nothing_learned, &self.too_long];
        none.iter().all(|rows| rows.is_empty()) && self.skipped.is_empty() && findings.is_ok()
    }

    pub(crate) fn check(self, rows: usize, encoding: &Encoding) -> Result<(), DataError> {
        let train_on: TrainOn = encoding.train_on;
        if !self.nothing_learned.is_empty() {
            return Err(DataError::NothingLearned {
                origins: self.nothing_learned,
                rows,
                train_on,
                labelled: self.labelled,
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
        self.findings
            .check(&self.accepted, rows, encoding.tokenizer)
    }
}
