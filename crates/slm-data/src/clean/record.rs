use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slm_recipe::{CleanSection, Conflicts, Dedup, OutlierAction, Pii, Unicode};
use slm_run::sha256_bytes;

use crate::example::Example;
use crate::personal::PersonalKind;

/// Name of the file of a prepared folder that has a [`CleanRecord`] a line.
pub const CLEANING: &str = "cleaning.jsonl";

/// A step of cleaning, in the order in which they are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CleanStep {
    /// `data.clean.unicode`.
    Unicode,
    /// `data.clean.strip_html`.
    Html,
    /// `data.clean.strip_boilerplate`.
    Boilerplate,
    /// `data.clean.min_chars` and `data.clean.max_chars`.
    Length,
    /// `data.clean.languages`.
    Language,
    /// `data.clean.outliers`.
    Outlier,
    /// `data.clean.dedup`, of rows that are equal.
    Exact,
    /// `data.clean.dedup`, of rows that are nearly equal.
    Near,
    /// `data.clean.conflicts`.
    Conflict,
    /// `data.clean.balance`.
    Balance,
    /// `data.clean.pii`.
    Personal,
}

impl CleanStep {
    /// As it is written in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unicode => "unicode",
            Self::Html => "html",
            Self::Boilerplate => "boilerplate",
            Self::Personal => "personal",
            Self::Length => "length",
            Self::Language => "language",
            Self::Outlier => "outlier",
            Self::Exact => "exact",
            Self::Near => "near",
            Self::Conflict => "conflict",
            Self::Balance => "balance",
        }
    }
}

/// What a step did to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Its texts were changed.
    Changed,
    /// It was left out.
    LeftOut,
    /// Nothing, but it is worth a look.
    Listed,
}

/// Another row that is why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Like {
    /// Its number, as in [`CleanRecord::row`].
    pub row: usize,
    /// Where it came from.
    pub origin: String,
    /// Jaccard similarity of their shingles; 1 for equal rows.
    pub similarity: f64,
}

/// What one step did to one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CleanRecord {
    /// Counted from 0 over all sources in the order of the recipe, before any row is left out.
    pub row: usize,
    /// Where it came from, as in `train.csv:12`.
    pub origin: String,
    /// SHA-256 of what it said before this step, in hex.
    pub digest: String,
    /// The step.
    pub step: CleanStep,
    /// What it did.
    pub effect: Effect,
    /// Characters of its texts before the step.
    pub chars_before: usize,
    /// Characters of its texts after the step; 0 if it was left out.
    pub chars_after: usize,
    /// The row that stays in its stead, or the first that it contradicts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub like: Option<Like>,
    /// Places with personal data, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub personal: BTreeMap<PersonalKind, usize>,
    /// Why, for people, where the step does not say it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

impl CleanRecord {
    /// That a row was left out.
    pub(crate) fn left_out(row: &Example, step: CleanStep, like: Option<Like>) -> Self {
        Self {
            row: row.row,
            origin: row.origin.to_string(),
            digest: digest(row),
            step,
            effect: Effect::LeftOut,
            chars_before: row.content.chars(),
            chars_after: 0,
            like,
            personal: BTreeMap::new(),
            reasons: Vec::new(),
        }
    }

    /// That a row is worth a look.
    pub(crate) fn listed(row: &Example, step: CleanStep, like: Option<Like>) -> Self {
        let chars_after = row.content.chars();
        Self {
            effect: Effect::Listed,
            chars_after,
            ..Self::left_out(row, step, like)
        }
    }

    /// That the texts of a row were changed.
    pub(super) fn changed(before: &Example, after: &Example, step: CleanStep) -> Self {
        let chars_after = after.content.chars();
        Self {
            effect: Effect::Changed,
            chars_after,
            ..Self::left_out(before, step, None)
        }
    }
}

/// SHA-256 of what a row says, in hex.
pub(crate) fn digest(row: &Example) -> String {
    sha256_bytes(&row.content.key())
}

/// How many rows a step changed, left out and listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanTotals {
    /// The step.
    pub step: CleanStep,
    /// Rows whose texts it changed.
    pub changed: usize,
    /// Rows that it left out.
    pub left_out: usize,
    /// Rows that it listed.
    pub listed: usize,
}

/// How many records there were of each kind.
#[derive(Debug, Default)]
pub(crate) struct CleanCounts(BTreeMap<(CleanStep, Effect), usize>);

impl CleanCounts {
    pub(crate) fn take(&mut self, records: &[CleanRecord]) {
        for record in records {
            *self.0.entry((record.step, record.effect)).or_default() += 1;
        }
    }

    /// Those of the steps that a recipe asks for.
    pub(crate) fn totals(&self, section: &CleanSection) -> Vec<CleanTotals> {
        let asked = [
            (CleanStep::Unicode, section.unicode != Unicode::Off),
            (CleanStep::Html, section.strip_html),
            (CleanStep::Boilerplate, section.strip_boilerplate),
            (CleanStep::Length, section.min_chars + section.max_chars > 0),
            (CleanStep::Language, !section.languages.is_empty()),
            (
                CleanStep::Outlier,
                section.outliers.action != OutlierAction::Off,
            ),
            (CleanStep::Exact, section.dedup != Dedup::Off),
            (CleanStep::Near, section.dedup == Dedup::Minhash),
            (CleanStep::Conflict, section.conflicts != Conflicts::Off),
            (CleanStep::Balance, section.balance.is_on()),
            (CleanStep::Personal, section.pii != Pii::Off),
        ];
        let asked = asked.into_iter().filter(|(_, asked)| *asked);
        let totals = asked.map(|(step, _)| {
            let count = |effect| self.0.get(&(step, effect)).copied().unwrap_or_default();
            CleanTotals {
                step,
                changed: count(Effect::Changed),
                left_out: count(Effect::LeftOut),
                listed: count(Effect::Listed),
            }
        });
        totals.collect()
    }
}
