//! Rows of labels that have too many.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{CleanRecord, CleanStep, Cleaning};
use crate::example::Example;
use crate::random::bits;

impl Cleaning<'_> {
    /// Leaves rows of a label out until it has no more than it may. Those stay that a hash of what they say and of the seed puts
    /// first: adding a row takes the place of one other at most, as long as the limit stays.
    pub(crate) fn balance(&mut self, rows: Vec<Example>, seed: u64) -> Vec<Example> {
        let section = &self.section.balance;
        if !section.is_on() {
            return rows;
        }
        let mut labels: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            let label = row.content.target().trim();
            labels.entry(label).or_default().push(at);
        }
        let rarest = labels.values().map(Vec::len).min().unwrap_or_default();
        let most = limit(section.max_per_label, section.max_ratio, rarest);
        let hashes: Vec<u64> = rows
            .par_iter()
            .map(|row| bits("balance", seed, &[&row.content.key()]))
            .collect();
        // Of equal rows, the one whose group, then whose file comes first by name.
        let place = |at: &usize| {
            let row = &rows[*at];
            let (group, path) = (&row.group, &row.origin.path);
            (hashes[*at], group, path, &row.slices, row.row)
        };
        let mut left_out = Vec::new();
        for (label, mut of_label) in labels {
            let all = of_label.len();
            if all <= most {
                continue;
            }
            of_label.sort_by(|one, other| place(one).cmp(&place(other)));
            let why = format!("`{label}` has {all} rows, {most} stay");
            left_out.extend(of_label[most..].iter().map(|at| CleanRecord {
                reasons: vec![why.clone()],
                ..CleanRecord::left_out(&rows[*at], CleanStep::Balance, None)
            }));
        }
        self.leave_out(rows, left_out)
    }
}

/// Most rows of a label; the rarest one keeps all of its rows but for `max_per_label`.
fn limit(max_per_label: usize, max_ratio: f64, rarest: usize) -> usize {
    let of = |on: bool, limit: usize| if on { limit } else { usize::MAX };
    let by_ratio = (max_ratio * rarest as f64).floor() as usize;
    of(max_per_label > 0, max_per_label).min(of(max_ratio > 0.0, by_ratio))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_by_hand() {
        assert_eq!(limit(100, 0.0, 7), 100);
        assert_eq!(limit(0, 2.5, 7), 17);
        assert_eq!(limit(10, 2.5, 7), 10);
        assert_eq!(limit(0, 1.0, 7), 7);
    }
}
