//! Personal data in the texts of rows.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use slm_recipe::{CleanSection, Pii};
use slm_run::sha256_file;

use super::{CleanRecord, CleanStep};
use crate::error::DataError;
use crate::example::Example;
use crate::personal::{PersonalKind, Placeholders, Places, PseudonymKey, Substitute, WordList};

/// Personal data of one kind in the rows of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonalTotals {
    /// The file, as the recipe writes it.
    pub source: String,
    /// What it is.
    pub kind: PersonalKind,
    /// Rows that have some.
    pub rows: usize,
    /// Places in them.
    pub places: usize,
}

/// Puts something in the stead of personal data, or lists it. It is the last step, so that rows are compared with each other, and
/// told apart, by what they said before.
#[derive(Debug)]
pub(crate) struct Redaction {
    policy: Pii,
    list: WordList,
    key: Option<PseudonymKey>,
    placeholders: Placeholders,
    /// Rows and places, by file and kind.
    totals: BTreeMap<(String, PersonalKind), (usize, usize)>,
}

impl Redaction {
    pub(crate) fn new(section: &CleanSection) -> Result<Self, DataError> {
        let policy = section.pii;
        Ok(Self {
            policy,
            list: match policy {
                Pii::Off => WordList::default(),
                _ => WordList::of(section)?,
            },
            key: match policy {
                Pii::Pseudonymise => Some(PseudonymKey::of(&section.personal)?),
                _ => None,
            },
            placeholders: Placeholders::default(),
            totals: BTreeMap::new(),
        })
    }

    /// Takes the next rows in their order; gives a record of each that has some.
    pub(crate) fn take(&mut self, rows: &mut [Example]) -> Vec<CleanRecord> {
        if self.policy == Pii::Off {
            return Vec::new();
        }
        let places = |row: &Example| places(row, &self.list);
        let found: Vec<Places> = rows.par_iter().map(places).collect();
        let mut records = Vec::new();
        for (row, places) in rows.iter_mut().zip(found) {
            if places.is_empty() {
                continue;
            }
            for (kind, count) in &places {
                let total = (row.origin.path.to_string(), *kind);
                let (rows, places) = self.totals.entry(total).or_default();
                (*rows, *places) = (*rows + 1, *places + count);
            }
            let substitute = match (self.policy, &self.key) {
                (Pii::Redact, _) => Substitute::Placeholders(&mut self.placeholders),
                (_, Some(key)) => Substitute::Pseudonyms(key),
                (_, None) => Substitute::Nothing,
            };
            records.push(CleanRecord {
                personal: places,
                ..put(row, substitute, &self.list)
            });
        }
        records
    }

    /// What was found, by file and kind.
    pub(crate) fn totals(self) -> Vec<PersonalTotals> {
        let totals = self.totals.into_iter();
        let total = |((source, kind), (rows, places))| PersonalTotals {
            source,
            kind,
            rows,
            places,
        };
        totals.map(total).collect()
    }
}

/// The kinds of personal data that a row has, and nothing of what that says; none of a row that has none.
pub(crate) fn personal_found(row: &Example, list: &WordList) -> Option<String> {
    let kinds = places(row, list);
    let kinds: Vec<&str> = kinds.keys().map(|kind| kind.name()).collect();
    (!kinds.is_empty()).then(|| kinds.join(", "))
}

/// Digests of the lists and a mark of the key: what the rows depend on besides the section.
pub(crate) fn personal_inputs(section: &CleanSection) -> Result<Vec<String>, DataError> {
    let lists = section
        .personal
        .names
        .iter()
        .chain(&section.personal.addresses);
    let digest = |path: &String| sha256_file(path).map_err(|source| DataError::Write { source });
    let mut inputs: Vec<String> = lists.map(digest).collect::<Result<_, _>>()?;
    if section.pii == Pii::Pseudonymise {
        inputs.push(PseudonymKey::of(&section.personal)?.mark());
    }
    Ok(inputs)
}

impl WordList {
    /// That of a recipe.
    pub(crate) fn of(section: &CleanSection) -> Result<Self, DataError> {
        let names = section.personal.names.iter();
        let names = names.map(|path| (PersonalKind::Name, path.as_str()));
        let addresses = section.personal.addresses.iter();
        let addresses = addresses.map(|path| (PersonalKind::Address, path.as_str()));
        Self::read(&names.chain(addresses).collect::<Vec<_>>())
    }
}

fn places(row: &Example, list: &WordList) -> Places {
    let mut places = Places::new();
    // Nothing is put into the copy; of parts of messages, only `edit` sees all texts.
    let mut copy = row.content.clone();
    copy.edit(&mut |text, _| Substitute::Nothing.put(text, list, &mut places));
    places
}

fn put(row: &mut Example, mut substitute: Substitute<'_>, list: &WordList) -> CleanRecord {
    if let Substitute::Nothing = substitute {
        return CleanRecord::listed(row, CleanStep::Personal, None);
    }
    let before = row.clone();
    let mut counted = Places::new();
    row.content
        .edit(&mut |text, _| substitute.put(text, list, &mut counted));
    CleanRecord::changed(&before, row, CleanStep::Personal)
}
