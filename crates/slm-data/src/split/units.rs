//! Rows that are on the same side of a split.

use std::collections::{BTreeMap, VecDeque};

use super::{LEAST, Split};
use crate::error::DataError;
use crate::near::{Candidates, Clusters};
use crate::plan::Draft;
use crate::side::Side;
use crate::survey::{Equal, place_in};

/// Bytes of a key of [`Equal`].
const KEY: usize = 16;

/// Rows of one group, or that say the same, or nearly the same.
#[derive(Debug)]
pub(super) struct Units {
    clusters: Clusters,
    /// What decides on a unit that has near-duplicates, by the place of its first row.
    near: BTreeMap<usize, Deciding>,
}

/// The least shingles of the rows of a unit, and the least of their keys, which decides where there are none.
#[derive(Debug, Default)]
struct Deciding {
    least: Vec<u64>,
    key: Option<Vec<u8>>,
}

/// The rows of a unit.
#[derive(Debug)]
struct Unit {
    /// The number in `[0, 1)` that decides.
    place: f64,
    rows: Vec<u32>,
}

impl Units {
    pub(super) fn all(
        equal: Equal,
        candidates: Option<&Candidates>,
        draft: &Draft,
    ) -> Result<Self, DataError> {
        let mut clusters = Clusters::new(draft.facts.len());
        equal.each_group(KEY, &mut |group| {
            let places = group.iter().map(|record| place_in(record, KEY));
            let mut places = places.filter(|at| draft.is_kept(*at));
            if let Some(first) = places.next() {
                places.for_each(|at| clusters.join(first, at));
            }
            Ok(())
        })?;
        let mut units = Self {
            clusters,
            near: BTreeMap::new(),
        };
        if let Some(candidates) = candidates {
            units.join_near(candidates, draft)?;
        }
        Ok(units)
    }

    fn join_near(&mut self, candidates: &Candidates, draft: &Draft) -> Result<(), DataError> {
        let mut joined = vec![false; candidates.len()];
        for one in 0..candidates.len() {
            let place = candidates.place(one);
            let others = candidates.together_with(one).into_iter();
            for other in others.filter(|other| *other < one) {
                let other_place = candidates.place(other);
                if !draft.is_kept(place) || !draft.is_kept(other_place) {
                    continue;
                }
                let (first, second) = (self.first(place), self.first(other_place));
                if first == second || candidates.are_near(one, other)? {
                    self.clusters.join(place, other_place);
                    (joined[one], joined[other]) = (true, true);
                }
            }
        }
        for at in (0..candidates.len()).filter(|at| joined[*at]) {
            let first = self.first(candidates.place(at));
            let (least, key) = candidates.side_of(at);
            self.near.entry(first).or_default().add(least, key);
        }
        Ok(())
    }

    fn first(&mut self, at: usize) -> usize {
        self.clusters.first(at)
    }

    /// The number that decides on a row.
    pub(super) fn place(&mut self, at: usize, split: &Split, draft: &Draft) -> f64 {
        let first = self.first(at);
        match self.near.get(&first) {
            Some(deciding) => split.place(&deciding.key()),
            None => draft.facts.decided_by[first],
        }
    }

    /// The rows to hold out so that every label has its share of them on each side: of its units, those whose place comes first are
    /// held out, those whose place comes last are of the test. A label with two units has at least one to learn from and one that
    /// is held out; with three, also one of the test.
    pub(super) fn stratified(
        mut self,
        split: &Split,
        draft: &Draft,
    ) -> Result<Vec<(usize, Side)>, DataError> {
        let mut units: BTreeMap<usize, Unit> = BTreeMap::new();
        for at in draft.all() {
            let place = self.place(at, split, draft);
            let unit = units.entry(self.first(at));
            let rows = Vec::new();
            let unit = unit.or_insert_with(|| Unit { place, rows });
            unit.rows.push(at as u32);
        }
        let mut by_label: BTreeMap<u32, Vec<Unit>> = BTreeMap::new();
        for unit in units.into_values() {
            by_label.entry(unit.label(draft)).or_default().push(unit);
        }
        if by_label.len() * 2 > draft.kept() {
            return Err(DataError::NoLabels {
                distinct: by_label.len(),
                rows: draft.kept(),
            });
        }
        let mut held_out = Vec::new();
        for mut units in by_label.into_values() {
            let rows: usize = units.iter().map(|unit| unit.rows.len()).sum();
            units.sort_by(|one, other| one.place.total_cmp(&other.place));
            let mut units: VecDeque<Unit> = units.into();
            for (side, share) in [
                (Side::Validation, split.val_size),
                (Side::Test, split.test_size),
            ] {
                let mut wanted = match share > 0.0 {
                    true => (share * rows as f64).round().max(1.0) as usize,
                    false => 0,
                };
                // The last unit is learned from.
                while wanted > 0 && units.len() > 1 {
                    let unit = match side {
                        Side::Test => units.pop_back(),
                        _ => units.pop_front(),
                    };
                    let rows = unit.into_iter().flat_map(|unit| unit.rows);
                    let before = held_out.len();
                    held_out.extend(rows.map(|at| (at as usize, side)));
                    wanted = wanted.saturating_sub(held_out.len() - before);
                }
            }
        }
        Ok(held_out)
    }
}

impl Unit {
    /// The label that most of its rows have, of several the first by name.
    fn label(&self, draft: &Draft) -> u32 {
        let mut counts: BTreeMap<(&str, u32), usize> = BTreeMap::new();
        for at in &self.rows {
            let at = *at as usize;
            let label = (draft.facts.label(at), draft.facts.labels[at]);
            *counts.entry(label).or_default() += 1;
        }
        let most = counts.values().max().copied();
        let mut labels = counts.into_iter();
        let first = labels.find(|(_, count)| Some(*count) == most);
        first.map_or(0, |((_, label), _)| label)
    }
}

impl Deciding {
    fn add(&mut self, least: &[u64], key: &[u8]) {
        self.least.extend(least);
        self.least.sort_unstable();
        self.least.dedup();
        self.least.truncate(LEAST);
        if !key.is_empty() && self.key.as_ref().is_none_or(|known| key < known.as_slice()) {
            self.key = Some(key.to_owned());
        }
    }

    fn key(&self) -> Vec<u8> {
        match self.least.is_empty() {
            true => self.key.clone().unwrap_or_default(),
            false => Split::bytes(&self.least),
        }
    }
}
