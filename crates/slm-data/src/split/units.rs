//! Rows that are on the same side of a split.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use crate::error::DataError;
use crate::example::Example;
use crate::near::{Clusters, Index, Nearness};

/// Least shingles by which the side of near-duplicates is decided. More of them change more often when a row is added, fewer
/// are shared by rows that have only a phrase in common. Of the 10,003 questions of banking77, 3 leave 1.6 rows to a key and move
/// 3 % of the rows that a near-duplicate is added to, at a tenth held out; 1 leaves 117 to a key, 6 move 6 %, and the least key of
/// either row as a whole would move 9 %.
const LEAST: usize = 3;

/// Rows that are kept together.
#[derive(Debug)]
pub(super) struct Unit {
    /// What decides on their side: the least of their keys; where near-duplicates are kept together and no row has a group, the
    /// least shingles of them all.
    pub(super) key: Vec<u8>,
    /// Their places, in order.
    pub(super) rows: Vec<usize>,
}

/// What decides on the side of a row that is alone: its group, or what it says.
pub(super) fn key(row: &Example) -> Vec<u8> {
    match &row.group {
        Some(group) => group.as_bytes().to_vec(),
        None => row.content.split_key(),
    }
}

impl Unit {
    /// Rows of one group, or that say the same, or nearly the same.
    pub(super) fn all(rows: &[Example], near: Option<Nearness>) -> Vec<Self> {
        let mut clusters = Clusters::new(rows.len());
        let keys: Vec<Vec<u8>> = rows.iter().map(key).collect();
        let mut first: HashMap<&[u8], usize> = HashMap::new();
        for (at, key) in keys.iter().enumerate() {
            clusters.join(*first.entry(key).or_insert(at), at);
        }
        if let Some(nearness) = near {
            let sketches = nearness.sketches(rows);
            let mut index = Index::new(nearness);
            for (at, sketch) in sketches.iter().enumerate() {
                for (other, _) in index.near(sketch) {
                    clusters.join(other, at);
                }
                index.add(at, sketch);
            }
        }
        let least = near.map(|nearness| {
            let least = |row: &Example| match &row.group {
                Some(_) => Vec::new(),
                None => nearness.least(&row.content, LEAST),
            };
            rows.par_iter().map(least).collect::<Vec<_>>()
        });
        let mut units: BTreeMap<usize, (Self, Vec<u64>)> = BTreeMap::new();
        for (at, key) in keys.iter().enumerate() {
            let (unit, shingles) = units.entry(clusters.first(at)).or_insert_with(|| {
                let unit = Self {
                    key: key.clone(),
                    rows: Vec::new(),
                };
                (unit, Vec::new())
            });
            unit.rows.push(at);
            if *key < unit.key {
                unit.key.clone_from(key);
            }
            if let Some(least) = &least {
                shingles.extend(&least[at]);
                shingles.sort_unstable();
                shingles.dedup();
                shingles.truncate(LEAST);
            }
        }
        let decided = units.into_values().map(|(unit, shingles)| {
            // Rows without shingles have nothing near to them.
            let key = match shingles.is_empty() {
                true => unit.key,
                false => shingles
                    .iter()
                    .flat_map(|hash| hash.to_le_bytes())
                    .collect(),
            };
            Self { key, ..unit }
        });
        decided.collect()
    }

    /// The label that most of its rows have, of several the first by name.
    fn label<'a>(&self, rows: &'a [Example]) -> &'a str {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for row in &self.rows {
            *counts.entry(label(&rows[*row])).or_default() += 1;
        }
        let most = counts.values().max().copied();
        let mut labels = counts.into_iter();
        let first = labels.find(|(_, count)| Some(*count) == most);
        first.map_or("", |(label, _)| label)
    }
}

fn label(row: &Example) -> &str {
    row.content.target().trim()
}

/// The units to hold out so that every label has its share of rows on either side: of each, those whose `place` comes first. A
/// label with two units or more has at least one on each side.
pub(super) fn stratified<'a>(
    units: &'a [Unit],
    rows: &[Example],
    share: f64,
    place: impl Fn(&Unit) -> f64,
) -> Result<Vec<&'a Unit>, DataError> {
    let mut by_label: BTreeMap<&str, Vec<&Unit>> = BTreeMap::new();
    for unit in units {
        by_label.entry(unit.label(rows)).or_default().push(unit);
    }
    if by_label.len() * 2 > rows.len() {
        return Err(DataError::NoLabels {
            distinct: by_label.len(),
            rows: rows.len(),
        });
    }
    let mut held_out = Vec::new();
    for mut units in by_label.into_values() {
        let rows: usize = units.iter().map(|unit| unit.rows.len()).sum();
        let wanted = (share * rows as f64).round().max(1.0) as usize;
        units.sort_by(|a, b| {
            place(a)
                .total_cmp(&place(b))
                .then_with(|| a.key.cmp(&b.key))
        });
        units.pop();
        let mut held = 0;
        for unit in units {
            if held >= wanted {
                break;
            }
            held += unit.rows.len();
            held_out.push(unit);
        }
    }
    Ok(held_out)
}
