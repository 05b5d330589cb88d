use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;
use slm_recipe::{DataSection, OnLeak};

use super::passages::Passages;
use super::{Guarded, GuardedRows, Leak, LeakKind};
use crate::error::DataError;
use crate::example::Example;
use crate::near::{Index, Nearness, Sketch, compared};
use crate::plan::Draft;
use crate::reading::Reader;

/// Rows to learn from that may share a passage before it is taken for a phrase that many have, and not for a leak: the
/// `max_matches` of NeMo Curator's task decontamination.
const COMMON: usize = 10;

/// Rows of a task, to be looked for.
#[derive(Debug)]
pub(crate) struct Search {
    pub(super) task: String,
    items: Vec<Example>,
    index: Index,
    /// Items by what they say.
    said: HashMap<String, Vec<usize>>,
    /// Items by the hashes of their passages.
    passages: HashMap<u64, Vec<usize>>,
}

/// What one row to learn from has of a task's rows.
#[derive(Debug)]
pub(crate) struct Met {
    /// Items, closest kind first, with their similarity.
    whole: BTreeMap<usize, (LeakKind, f64)>,
    /// Hashes of passages that an item has too, in their order.
    passages: Vec<u64>,
}

impl Met {
    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.passages.is_empty()
    }
}

impl Search {
    /// One for each task, if they are looked for at all.
    pub(crate) fn all(
        reader: &Reader<'_>,
        section: &DataSection,
        guarded: &[Guarded],
    ) -> Result<Vec<Self>, DataError> {
        let looked_for = guarded.iter().filter(|_| section.on_leak != OnLeak::Off);
        let nearness = Nearness::of(&section.clean);
        let search = |Guarded { task, rows }: &Guarded| {
            let items: Vec<Example> = match rows {
                GuardedRows::File(source) => reader.guarded(source)?,
                GuardedRows::Said(rows) => {
                    let rows = rows.iter().enumerate();
                    rows.map(|(at, row)| row.example(at)).collect()
                }
            };
            Ok(Self::new(task, nearness, items))
        };
        looked_for.map(search).collect()
    }

    fn new(task: &str, nearness: Nearness, items: Vec<Example>) -> Self {
        let sketch = |item: &Example| nearness.sketch(&item.content);
        let sketches: Vec<Sketch> = items.par_iter().map(sketch).collect();
        let mut index = Index::new(nearness);
        for (at, sketch) in sketches.into_iter().enumerate() {
            index.add(at, sketch);
        }
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
            task: task.to_owned(),
            items,
            index,
            said,
            passages,
        }
    }

    /// Rows of the task.
    pub(super) fn rows(&self) -> usize {
        self.items.len()
    }

    /// What a row to learn from has of them.
    pub(crate) fn met(&self, row: &Example, sketch: &Sketch) -> Met {
        let mut whole = BTreeMap::new();
        for (item, similarity) in self.index.near(sketch) {
            whole.insert(item, (LeakKind::Near, similarity));
        }
        let same = self.said.get(&compared(row.content.said()));
        for item in same.into_iter().flatten() {
            whole.insert(*item, (LeakKind::Exact, 1.0));
        }
        let mut passages: Vec<u64> = Vec::new();
        if !self.passages.is_empty() {
            let mut seen = HashSet::new();
            let hashes = Passages::of(row.content.said());
            let shared = hashes
                .hashes()
                .filter(|hash| self.passages.contains_key(hash));
            passages.extend(shared.filter(|hash| seen.insert(*hash)));
        }
        Met { whole, passages }
    }

    /// Every pair of a row of the task and a row to learn from that has it, by the closest kind.
    pub(super) fn leaks(&self, met: Vec<(usize, Met)>, draft: &Draft) -> Vec<Leak> {
        let mut common: HashMap<u64, usize> = HashMap::new();
        for hash in met.iter().flat_map(|(_, met)| &met.passages) {
            *common.entry(*hash).or_default() += 1;
        }
        let mut found = Vec::new();
        for (at, met) in met {
            let leak = |item: usize, kind| Leak {
                task: self.task.clone(),
                item: self.items[item].origin.to_string(),
                kind,
                row: draft.facts.row(at),
                origin: draft.facts.origin(at).to_string(),
                similarity: None,
                passage: None,
            };
            let mut shared: BTreeMap<usize, u64> = BTreeMap::new();
            for hash in met.passages.iter().filter(|hash| common[hash] <= COMMON) {
                for item in &self.passages[hash] {
                    shared.entry(*item).or_insert(*hash);
                }
            }
            for (item, (kind, similarity)) in &met.whole {
                shared.remove(item);
                found.push(Leak {
                    similarity: Some(*similarity),
                    ..leak(*item, *kind)
                });
            }
            found.extend(shared.into_iter().map(|(item, hash)| Leak {
                passage: self.words(item, hash),
                ..leak(item, LeakKind::Passage)
            }));
        }
        found
    }

    /// The words of a passage that an item has.
    fn words(&self, item: usize, hash: u64) -> Option<String> {
        let passages = Passages::of(self.items[item].content.said());
        let at = passages.hashes().position(|of_item| of_item == hash)?;
        Some(passages.text(at))
    }
}
