//! Personal data in the texts of rows.

use std::collections::BTreeMap;

use rayon::prelude::*;
use slm_recipe::Pii;

use super::{CleanRecord, CleanStep, Cleaning};
use crate::error::DataError;
use crate::example::Example;
use crate::personal::{PersonalKind, Redaction};

impl Cleaning<'_> {
    /// Lists the rows that have some, puts placeholders in its stead, or refuses them.
    pub(super) fn personal(&mut self, mut rows: Vec<Example>) -> Result<Vec<Example>, DataError> {
        let policy = self.section.pii;
        if policy == Pii::Off {
            return Ok(rows);
        }
        let found = rows.par_iter_mut().filter_map(|row| {
            let before = row.clone();
            let mut redaction = Redaction::default();
            row.content.edit(&mut |text, _| redaction.redact(text));
            if redaction.counts.is_empty() {
                return None;
            }
            let record = match policy {
                Pii::Redact => CleanRecord::changed(&before, row, CleanStep::Personal),
                Pii::Off | Pii::Report | Pii::Error => {
                    *row = before;
                    CleanRecord::listed(row, CleanStep::Personal, None)
                }
            };
            Some(CleanRecord {
                personal: redaction.counts,
                ..record
            })
        });
        let records: Vec<CleanRecord> = found.collect();
        if policy == Pii::Error && !records.is_empty() {
            let origins = records.iter().map(told).collect();
            let rows = rows.len();
            return Err(DataError::Personal { origins, rows });
        }
        self.records.extend(records);
        Ok(rows)
    }
}

/// A row with what it has, and nothing of what that says.
fn told(record: &CleanRecord) -> String {
    let kinds: &BTreeMap<PersonalKind, usize> = &record.personal;
    let kinds: Vec<&str> = kinds.keys().map(|kind| kind.name()).collect();
    format!("`{}` ({})", record.origin, kinds.join(", "))
}
