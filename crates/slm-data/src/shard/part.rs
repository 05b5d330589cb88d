use std::collections::BTreeSet;

use super::Shards;

impl Shards {
    /// The same without some rows to learn from; what is held out stays.
    pub fn without(&self, rows: &BTreeSet<usize>) -> Self {
        let train = self.train.iter();
        let train = train.filter(|sample| !rows.contains(&sample.row));
        Self {
            train: train.cloned().collect(),
            ..self.clone()
        }
    }
}
