//! Personal data in the texts of rows.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use slm_recipe::{CleanSection, Pii};
use slm_run::sha256_file;

use super::{CleanRecord, CleanStep, Cleaning};
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

impl Cleaning<'_> {
    /// Lists the rows that have some, puts something in its stead, or refuses them. It is the last step, so that rows are
    /// compared with each other, and told apart, by what they said before.
    pub(crate) fn personal(
        &mut self,
        sides: [&mut Vec<Example>; 2],
    ) -> Result<Vec<PersonalTotals>, DataError> {
        let policy = self.section.pii;
        if policy == Pii::Off {
            return Ok(Vec::new());
        }
        let list = word_list(self.section)?;
        let key = match policy {
            Pii::Pseudonymise => Some(PseudonymKey::of(&self.section.personal)?),
            _ => None,
        };
        let mut rows: Vec<&mut Example> = sides.into_iter().flatten().collect();
        rows.sort_by_key(|row| row.row);
        let places = |row: &&mut Example| places(row, &list);
        let found: Vec<Places> = rows.par_iter().map(places).collect();
        let (all, mut placeholders) = (rows.len(), Placeholders::default());
        let (mut records, mut totals) = (Vec::new(), BTreeMap::new());
        for (row, places) in rows.into_iter().zip(found) {
            if places.is_empty() {
                continue;
            }
            for (kind, count) in &places {
                let total = (row.origin.path.to_string(), *kind);
                let (rows, places): &mut (usize, usize) = totals.entry(total).or_default();
                (*rows, *places) = (*rows + 1, *places + count);
            }
            let substitute = match (policy, &key) {
                (Pii::Redact, _) => Substitute::Placeholders(&mut placeholders),
                (_, Some(key)) => Substitute::Pseudonyms(key),
                (_, None) => Substitute::Nothing,
            };
            records.push(CleanRecord {
                personal: places,
                ..put(row, substitute, &list)
            });
        }
        if policy == Pii::Error && !records.is_empty() {
            let origins = records.iter().map(told).collect();
            return Err(DataError::Personal { origins, rows: all });
        }
        self.records.extend(records);
        let totals = totals.into_iter();
        let total = |((source, kind), (rows, places))| PersonalTotals {
            source,
            kind,
            rows,
            places,
        };
        Ok(totals.map(total).collect())
    }
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

fn word_list(section: &CleanSection) -> Result<WordList, DataError> {
    let names = section.personal.names.iter();
    let names = names.map(|path| (PersonalKind::Name, path.as_str()));
    let addresses = section.personal.addresses.iter();
    let addresses = addresses.map(|path| (PersonalKind::Address, path.as_str()));
    WordList::read(&names.chain(addresses).collect::<Vec<_>>())
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

/// A row with what it has, and nothing of what that says.
fn told(record: &CleanRecord) -> String {
    let kinds: &BTreeMap<PersonalKind, usize> = &record.personal;
    let kinds: Vec<&str> = kinds.keys().map(|kind| kind.name()).collect();
    format!("`{}` ({})", record.origin, kinds.join(", "))
}
