//! Rows of labels that have too many.

use std::collections::BTreeMap;

use slm_recipe::BalanceSection;

use super::CleanStep;
use crate::example::Example;
use crate::plan::Draft;

/// How many rows each label had, of those that have too many, and how many stay.
#[derive(Debug)]
pub(crate) struct PerLabel {
    rows: BTreeMap<String, usize>,
    most: usize,
}

/// Leaves rows of a label out until it has no more than it may. Those stay that a hash of what they say and of the seed puts
/// first: adding a row takes the place of one other at most, as long as the limit stays.
pub(crate) fn balance(section: &BalanceSection, draft: &mut Draft) -> Option<PerLabel> {
    if !section.is_on() {
        return None;
    }
    let mut labels: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for at in draft.train() {
        labels.entry(draft.facts.labels[at]).or_default().push(at);
    }
    let rarest = labels.values().map(Vec::len).min().unwrap_or_default();
    let most = limit(section.max_per_label, section.max_ratio, rarest);
    let mut rows = BTreeMap::new();
    for mut of_label in labels.into_values().filter(|rows| rows.len() > most) {
        rows.insert(draft.facts.label(of_label[0]).to_owned(), of_label.len());
        of_label.sort_by_key(|at| (draft.facts.orders[*at], draft.facts.rank(*at)));
        for at in &of_label[most..] {
            draft.leave_out(*at, CleanStep::Balance, None);
        }
    }
    Some(PerLabel { rows, most })
}

impl PerLabel {
    /// Why a row was left out.
    pub(crate) fn told(&self, row: &Example) -> String {
        let label = row.content.target().trim();
        let all = self.rows.get(label).copied().unwrap_or_default();
        format!("`{label}` has {all} rows, {} stay", self.most)
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
