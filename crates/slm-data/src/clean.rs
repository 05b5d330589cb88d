//! What is done to rows before they are split; every change and every row left out is recorded.

mod balance;
mod boilerplate;
mod conflicts;
mod duplicates;
mod html;
mod language;
mod outliers;
mod personal;
mod quality;
mod record;
mod texts;

use slm_recipe::CleanSection;

pub use self::personal::PersonalTotals;
pub(crate) use self::personal::personal_inputs;
pub use self::record::{CLEANING, CleanRecord, CleanStep, CleanTotals, Effect, Like};
use crate::error::DataError;
use crate::example::Example;
use crate::manifest::Side;

/// Cleans rows and keeps what it did.
#[derive(Debug)]
pub(crate) struct Cleaning<'a> {
    section: &'a CleanSection,
    /// By row, and of one row in the order of the steps.
    pub(crate) records: Vec<CleanRecord>,
}

impl<'a> Cleaning<'a> {
    pub(crate) fn new(section: &'a CleanSection) -> Self {
        Self {
            section,
            records: Vec::new(),
        }
    }

    /// Cleans the rows of files that were given to learn from, or to hold out. Only the former are compared with each other:
    /// held-out rows stay what they are measured on.
    pub(crate) fn clean(
        &mut self,
        rows: Vec<Example>,
        given_as: Side,
    ) -> Result<Vec<Example>, DataError> {
        let rows = self.texts(rows);
        let rows = self.boilerplate(rows);
        let rows = self.lengths(rows);
        let rows = self.languages(rows);
        if given_as == Side::Validation {
            return Ok(rows);
        }
        let rows = self.outliers(rows);
        let rows = self.duplicates(rows);
        self.conflicts(rows)
    }

    /// What each step did, and to how many rows.
    pub(crate) fn totals(&self) -> Vec<CleanTotals> {
        CleanTotals::of(self.section, &self.records)
    }

    /// The records by row, and of one row in the order of the steps.
    pub(crate) fn into_records(mut self) -> Vec<CleanRecord> {
        self.records.sort_by_key(|record| record.row);
        self.records
    }
}
