//! Which items belong together: rows of one patient, of one conversation, of one source.

use std::collections::BTreeMap;

/// The independent units of a test set, each with the numbers of its items.
///
/// Rows that share a group tell the same thing more than once, so a group is drawn, flipped and counted as a whole. Without groups every item is a
/// unit of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    units: Vec<Vec<u32>>,
    n_items: usize,
}

impl Groups {
    /// Every item by itself.
    pub fn alone(n: usize) -> Self {
        Self {
            units: (0..n as u32).map(|item| vec![item]).collect(),
            n_items: n,
        }
    }

    /// Items with the same key together, in the order in which the keys first come up.
    pub fn of<K: Ord>(keys: impl IntoIterator<Item = K>) -> Self {
        let mut numbers = BTreeMap::new();
        let mut units: Vec<Vec<u32>> = Vec::new();
        let mut n_items = 0;
        for key in keys {
            let unit = *numbers.entry(key).or_insert(units.len());
            if unit == units.len() {
                units.push(Vec::new());
            }
            units[unit].push(n_items as u32);
            n_items += 1;
        }
        Self { units, n_items }
    }

    /// The units, each with the numbers of its items.
    pub fn units(&self) -> &[Vec<u32>] {
        &self.units
    }

    /// Independent units.
    pub fn n(&self) -> usize {
        self.units.len()
    }

    /// Items in all units together.
    pub fn n_items(&self) -> usize {
        self.n_items
    }

    /// Whether some unit holds several items.
    pub fn is_clustered(&self) -> bool {
        self.units.len() < self.n_items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_with_one_key_are_one_unit() {
        let groups = Groups::of(["b", "a", "b", "c", "a"]);
        assert_eq!(groups.units(), [vec![0, 2], vec![1, 4], vec![3]]);
        assert_eq!((groups.n(), groups.n_items()), (3, 5));
        assert!(groups.is_clustered());
        assert_eq!(Groups::of([3, 1, 2]), Groups::alone(3));
        assert!(!Groups::alone(3).is_clustered());
    }
}
