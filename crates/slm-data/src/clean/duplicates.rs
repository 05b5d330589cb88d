//! Rows that say the same as another.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;
use slm_recipe::Dedup;

use super::record::digest;
use super::{CleanRecord, CleanStep, Cleaning, Like};
use crate::example::Example;
use crate::near::{Index, Nearness};

impl Cleaning<'_> {
    /// Leaves out rows that say the same as another. Which one stays depends on what they say, not on their order.
    pub(super) fn duplicates(&mut self, rows: Vec<Example>) -> Vec<Example> {
        match self.section.dedup {
            Dedup::Off => rows,
            Dedup::Exact => self.equal_ones(rows),
            Dedup::Minhash => {
                let rows = self.equal_ones(rows);
                self.near_ones(rows)
            }
        }
    }

    /// Of rows that are equal, the one stays whose group, then whose file comes first by name.
    fn equal_ones(&mut self, rows: Vec<Example>) -> Vec<Example> {
        let digests: Vec<String> = rows.par_iter().map(digest).collect();
        let mut stays: BTreeMap<&str, usize> = BTreeMap::new();
        let rank = |at: usize| {
            let row = &rows[at];
            (&row.group, &row.origin.path, &row.slices, row.row)
        };
        for (at, digest) in digests.iter().enumerate() {
            let best = stays.entry(digest).or_insert(at);
            if rank(at) < rank(*best) {
                *best = at;
            }
        }
        let mut left_out = Vec::new();
        for (at, digest) in digests.iter().enumerate() {
            let kept = stays[digest.as_str()];
            if kept != at {
                let like = Some(Like::to(&rows[kept], 1.0));
                left_out.push(CleanRecord::left_out(&rows[at], CleanStep::Exact, like));
            }
        }
        self.leave_out(rows, left_out)
    }

    /// Longer rows stay before shorter ones; a row goes if it and its answer are near to one that stays. A near-duplicate with
    /// another answer is no duplicate: it teaches something else.
    fn near_ones(&mut self, rows: Vec<Example>) -> Vec<Example> {
        let nearness = Nearness::of(self.section);
        let sketches = nearness.sketches(&rows);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_cached_key(|at| (Reverse(rows[*at].content.chars()), digest(&rows[*at])));
        let (mut index, mut left_out) = (Index::new(nearness), Vec::new());
        for at in order {
            let answer = rows[at].content.target();
            let near = index.near(&sketches[at]).into_iter();
            let same =
                near.filter(|(kept, _)| nearness.alike(answer, rows[*kept].content.target()));
            // The first of the most similar ones, in the order of what they say.
            let most = same.reduce(|best, other| if other.1 > best.1 { other } else { best });
            match most {
                Some((kept, similarity)) => {
                    let like = Some(Like::to(&rows[kept], similarity));
                    left_out.push(CleanRecord::left_out(&rows[at], CleanStep::Near, like));
                }
                None => index.add(at, &sketches[at]),
            }
        }
        self.leave_out(rows, left_out)
    }

    /// Takes out the rows of records, which are kept.
    pub(super) fn leave_out(
        &mut self,
        mut rows: Vec<Example>,
        records: Vec<CleanRecord>,
    ) -> Vec<Example> {
        let gone: HashSet<usize> = records.iter().map(|record| record.row).collect();
        rows.retain(|row| !gone.contains(&row.row));
        self.records.extend(records);
        rows
    }
}

impl Like {
    pub(super) fn to(row: &Example, similarity: f64) -> Self {
        Self {
            row: row.row,
            origin: row.origin.to_string(),
            similarity,
        }
    }
}
