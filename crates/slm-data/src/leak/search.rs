use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;

use super::passages::Passages;
use super::{Leak, LeakKind};
use crate::example::Example;
use crate::near::{Index, Nearness, Sketch, compared};

/// Rows to learn from that may share a passage before it is taken for a phrase that many have, and not for a leak: the
/// `max_matches` of NeMo Curator's task decontamination.
const COMMON: usize = 10;

/// Rows of a task, to be looked for.
pub(super) struct Search<'a> {
    nearness: Nearness,
    items: &'a [Example],
    sketches: Vec<Sketch>,
    /// Items by what they say.
    said: HashMap<String, Vec<usize>>,
    /// Items by the hashes of their passages.
    passages: HashMap<u64, Vec<usize>>,
}

/// What one row to learn from has of a task's rows.
struct Met {
    /// Items, closest kind first, with their similarity.
    whole: BTreeMap<usize, (LeakKind, f64)>,
    /// Hashes of passages that an item has too, and the words of each.
    passages: Vec<(u64, String)>,
}

impl<'a> Search<'a> {
    pub(super) fn new(nearness: Nearness, items: &'a [Example]) -> Self {
        let sketches = nearness.sketches(items);
        let (mut said, mut passages) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for (at, item) in items.iter().enumerate() {
            let text = compared(item.content.said());
            if !text.is_empty() {
                said.entry(text).or_default().push(at);
            }
            let hashes: HashSet<u64> = Passages::of(item.content.said()).hashes().collect();
            for hash in hashes {
                passages.entry(hash).or_default().push(at);
            }
        }
        Self {
            nearness,
            items,
            sketches,
            said,
            passages,
        }
    }

    /// Every pair of a row of the task and a row to learn from that has it, by the closest kind.
    pub(super) fn among(&self, train: &[Example], task: &str) -> Vec<Leak> {
        let mut index = Index::new(self.nearness);
        for (at, sketch) in self.sketches.iter().enumerate() {
            index.add(at, sketch);
        }
        let met: Vec<Met> = train.par_iter().map(|row| self.met(row, &index)).collect();
        let mut common: HashMap<u64, usize> = HashMap::new();
        for (hash, _) in met.iter().flat_map(|met| &met.passages) {
            *common.entry(*hash).or_default() += 1;
        }
        let mut found = Vec::new();
        for (row, mut met) in train.iter().zip(met) {
            let leak = |item: usize, kind| Leak {
                task: task.into(),
                item: self.items[item].origin.to_string(),
                kind,
                row: row.row,
                origin: row.origin.to_string(),
                similarity: None,
                passage: None,
            };
            met.passages.retain(|(hash, _)| common[hash] <= COMMON);
            let mut shared: BTreeMap<usize, String> = BTreeMap::new();
            for (hash, words) in &met.passages {
                for item in &self.passages[hash] {
                    shared.entry(*item).or_insert_with(|| words.clone());
                }
            }
            for (item, (kind, similarity)) in &met.whole {
                shared.remove(item);
                found.push(Leak {
                    similarity: Some(*similarity),
                    ..leak(*item, *kind)
                });
            }
            found.extend(shared.into_iter().map(|(item, words)| Leak {
                passage: Some(words),
                ..leak(item, LeakKind::Passage)
            }));
        }
        found
    }

    fn met(&self, row: &Example, index: &Index<'_>) -> Met {
        let mut whole = BTreeMap::new();
        for (item, similarity) in index.near(&self.nearness.sketch(&row.content)) {
            whole.insert(item, (LeakKind::Near, similarity));
        }
        let same = self.said.get(&compared(row.content.said()));
        for item in same.into_iter().flatten() {
            whole.insert(*item, (LeakKind::Exact, 1.0));
        }
        let passages = Passages::of(row.content.said());
        let mut seen = HashSet::new();
        let hashes = passages.hashes().enumerate();
        let shared = hashes
            .filter(|(_, hash)| self.passages.contains_key(hash) && seen.insert(*hash))
            .map(|(at, hash)| (hash, passages.text(at)))
            .collect();
        Met {
            whole,
            passages: shared,
        }
    }
}
