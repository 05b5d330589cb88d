use rayon::prelude::*;
use slm_recipe::{Finding, OnBadRow, Overlong, TrainOn};
use slm_text::TextError;

use crate::content::Content;
use crate::encode::{EncodedAnswer, Encoding, Outcome};
use crate::error::DataError;
use crate::example::Example;
use crate::intake::SkippedRow;
use crate::manifest::SplitRecord;
use crate::mask_proof::{Findings, MaskChecks, SideProof};
use crate::sample::Sample;

/// Rows encoded between two events.
const CHUNK_ROWS: usize = 1024;

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

/// The encoded rows of one side.
#[derive(Debug, Default)]
pub(crate) struct EncodedRows {
    pub(crate) record: SplitRecord,
    pub(crate) rows: Vec<EncodedRow>,
    /// What is learned of them.
    mask: SideProof,
}

impl EncodedRows {
    /// Encodes rows in parallel, a chunk between two calls of `progress`.
    pub(crate) fn of(
        examples: Vec<Example>,
        checks: &MaskChecks,
        refused: &mut Refused,
        done_before: usize,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Self, DataError> {
        let mut side = Self {
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
                .map(|example| checks.encoding.row(example))
                .collect();
            done += chunk.len();
            for (example, outcome) in chunk.into_iter().zip(outcomes) {
                match outcome {
                    Ok(outcome) => side.take(example, outcome, checks, refused),
                    Err(source) => {
                        refused.skip(&example, source)?;
                        side.record.read -= 1;
                    }
                }
            }
            progress(done);
        }
    }

    /// The counts of [`crate::MaskProof`].
    pub(crate) fn proof(&self) -> SideProof {
        SideProof {
            cut: self.record.truncated,
            left_out: self.record.dropped.total(),
            ..self.mask.clone()
        }
    }

    fn take(
        &mut self,
        example: Example,
        outcome: Outcome,
        checks: &MaskChecks,
        refused: &mut Refused,
    ) {
        match outcome {
            Outcome::Kept { answers, truncated } => {
                let end_is_cut = truncated && checks.encoding.overlong == Overlong::TruncateRight;
                self.record.truncated += usize::from(truncated);
                self.record.rows += 1;
                let mut samples = Vec::with_capacity(answers.len());
                for EncodedAnswer { sample, roles } in answers {
                    let row = (&sample, &roles[..]);
                    let findings = &mut refused.findings;
                    checks.take(&mut self.mask, findings, &example, row, end_is_cut);
                    self.record.tokens += sample.ids.len();
                    self.record.learned_tokens += sample.learned();
                    samples.push(sample);
                }
                self.rows.push(EncodedRow {
                    example,
                    samples,
                    truncated,
                });
            }
            Outcome::DroppedOverlong => self.record.dropped.overlong += 1,
            Outcome::DroppedByTruncation => self.record.dropped.nothing_left_to_learn += 1,
            Outcome::TooLong { length } => {
                refused.longest = refused.longest.max(length);
                refused
                    .too_long
                    .push(format!("`{}` ({length} tokens)", example.origin));
            }
            Outcome::NothingLearned => {
                refused.labelled |= matches!(example.content, Content::Tokens(_));
                refused
                    .nothing_learned
                    .push(format!("`{}`", example.origin));
            }
        }
    }
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
    findings: Findings,
}

impl Refused {
    pub(crate) fn new(on_bad_row: OnBadRow) -> Self {
        Self {
            on_bad_row,
            ..Self::default()
        }
    }

    pub(crate) fn skipped(&mut self) -> &mut Vec<SkippedRow> {
        &mut self.skipped
    }

    fn skip(&mut self, example: &Example, source: TextError) -> Result<(), DataError> {
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

    /// `accepted`: what the recipe accepts of the mask's findings.
    pub(crate) fn check(
        self,
        rows: usize,
        encoding: &Encoding,
        accepted: &[Finding],
    ) -> Result<(), DataError> {
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
        self.findings.check(accepted, rows, encoding.tokenizer)
    }
}
