//! Steps that look at each row by itself.

use rayon::prelude::*;
use slm_recipe::Unicode;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::html::without_tags;
use super::{CleanRecord, CleanStep, Cleaning};
use crate::content::Where;
use crate::example::Example;

impl Cleaning<'_> {
    /// Changes the texts of rows.
    pub(super) fn texts(&mut self, mut rows: Vec<Example>) -> Vec<Example> {
        if self.section.unicode == Unicode::Nfc {
            let compose = |text: &str, _: Where| (!is_nfc(text)).then(|| text.nfc().collect());
            self.edit(&mut rows, CleanStep::Unicode, compose);
        }
        if self.section.strip_html {
            // What a tool is called with is code.
            let strip = |text: &str, at: Where| match at {
                Where::Said => without_tags(text),
                Where::Field => None,
            };
            self.edit(&mut rows, CleanStep::Html, strip);
        }
        rows
    }

    /// Replaces texts of each row and records the rows that this changes.
    fn edit(
        &mut self,
        rows: &mut [Example],
        step: CleanStep,
        edit: impl Fn(&str, Where) -> Option<String> + Sync,
    ) {
        let edited = rows.par_iter_mut().filter_map(|row| {
            let before = row.clone();
            let changed = row.content.edit(&mut |text, at| edit(text, at));
            changed.then(|| CleanRecord::changed(&before, row, step))
        });
        let records: Vec<CleanRecord> = edited.collect();
        self.records.extend(records);
    }

    /// Leaves out rows that are too short or too long.
    pub(super) fn lengths(&mut self, rows: Vec<Example>) -> Vec<Example> {
        let (least, most) = (self.section.min_chars, self.section.max_chars);
        if least == 0 && most == 0 {
            return rows;
        }
        let fits = |row: &Example| {
            let chars = row.content.chars();
            // What is tokens has no texts to count.
            row.content.is_tokens() || (chars >= least && (most == 0 || chars <= most))
        };
        let (kept, left_out): (Vec<_>, Vec<_>) = rows.into_iter().partition(fits);
        let record = |row: &Example| CleanRecord::left_out(row, CleanStep::Length, None);
        self.records.extend(left_out.iter().map(record));
        kept
    }
}
