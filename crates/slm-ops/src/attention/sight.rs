//! Which keys each query of a batch sees.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Tensor};

#[cfg(feature = "libtorch")]
use super::conversations::Conversations;
use crate::upload;

/// What is added to a masked score. Infinite rather than large: `expf` answers at once, where a large number takes its slow
/// path for underflow (a fifth of a training step on the processor). No NaN follows, since every position sees itself.
pub(super) const MASKED: f32 = f32::NEG_INFINITY;

/// What queries follow: several may go on from the same one.
#[derive(Clone, Debug)]
struct Forest {
    /// The query before each, `[batch, time]`; none where the cached keys come before it.
    parents: Arc<[Option<usize>]>,
    /// Queries that each sees on its branch, its own included.
    reach: usize,
}

/// A range of keys for each query, which ends with the query itself; of those that are queries too, in a forest, only what
/// comes before it on its own branch. Cloning shares it.
///
/// The queries of a row are the last `time` of its `seen` keys; those before them come from a cache.
#[derive(Clone, Debug)]
pub struct Sight {
    time: usize,
    seen: usize,
    /// The first key that each query sees, `[batch, time]`.
    first: Arc<[usize]>,
    forest: Option<Forest>,
    bias: Arc<OnceLock<Tensor<4>>>,
    #[cfg(feature = "libtorch")]
    conversations: Arc<OnceLock<Option<Conversations>>>,
}

impl Sight {
    /// Queries of `[batch, time, seen]` that see the keys from `first(row, query)` on.
    pub fn new([batch, time, seen]: [usize; 3], first: impl Fn(usize, usize) -> usize) -> Self {
        let own = |query| query + seen - time;
        let first = (0..batch * time)
            .map(|i| (i / time, i % time))
            .map(|(row, query)| first(row, query).min(own(query)))
            .collect();
        Self {
            time,
            seen,
            first,
            forest: None,
            bias: Arc::default(),
            #[cfg(feature = "libtorch")]
            conversations: Arc::default(),
        }
    }

    /// Queries that go on from each other in many ways: `parents`, `[batch, time]`, names the query before each, which has a
    /// lower number; `None` goes on from the keys of the cache, which are seen from `first(row)` on.
    ///
    /// # Panics
    /// Where a query does not come after its parent.
    pub fn of_forest(
        shape: [usize; 3],
        parents: Vec<Option<usize>>,
        first: impl Fn(usize) -> usize,
    ) -> Self {
        let time = shape[1];
        let is_after = |(i, parent): (usize, &Option<usize>)| parent.is_none_or(|it| it < i % time);
        assert!(
            parents.iter().enumerate().all(is_after),
            "a query goes on from one before it"
        );
        let cached = shape[2] - time;
        Self {
            forest: Some(Forest {
                parents: parents.into(),
                reach: usize::MAX,
            }),
            ..Self::new(shape, |row, _| first(row).min(cached))
        }
    }

    /// The batch as conversations, where it is made of nothing else and nothing comes from a cache.
    #[cfg(feature = "libtorch")]
    pub(super) fn conversations(&self) -> Option<&Conversations> {
        let is_whole = self.time == self.seen && self.forest.is_none();
        let of = || is_whole.then(|| Conversations::of(&self.first, self.time))?;
        self.conversations.get_or_init(of).as_ref()
    }

    /// Rows that hold conversations one after the other: a position sees those before it in its own segment. `segments` is
    /// `[batch, time]` row-major; 0 is padding, on the right.
    ///
    /// Padding after a single conversation sees it: nothing that counts comes of it, and all such rows are alike.
    pub fn of_segments(segments: &[i32], [batch, time]: [usize; 2]) -> Self {
        let mut first = vec![0; batch * time];
        let rows = segments
            .chunks(time.max(1))
            .zip(first.chunks_mut(time.max(1)));
        for (row, first) in rows.filter(|(row, _)| !is_one_conversation(row)) {
            for t in 1..time {
                first[t] = match row[t] == row[t - 1] {
                    true => first[t - 1],
                    false => t,
                };
            }
        }
        Self::new([batch, time, time], |row, query| first[row * time + query])
    }

    /// The same with `window` keys at most, the query's own included.
    #[must_use]
    pub fn within(&self, window: usize) -> Self {
        let [batch, time, seen] = self.dims();
        let cached = seen - time;
        let within = Self::new([batch, time, seen], |row, query| {
            let range = self.range(row, query);
            match &self.forest {
                None => range.start.max(range.end.saturating_sub(window)),
                Some(_) => {
                    let depth = self.branch(row, query).count();
                    let first = (cached + depth).saturating_sub(window);
                    range.start.max(first).min(cached)
                }
            }
        });
        Self {
            forest: self.forest.clone().map(|forest| Forest {
                reach: forest.reach.min(window),
                ..forest
            }),
            ..within
        }
    }

    /// The queries of a forest on the branch that ends with `query`, that one first.
    fn branch(&self, row: usize, query: usize) -> impl Iterator<Item = usize> + '_ {
        let forest = self.forest.as_ref();
        let parents = forest.map(|it| &it.parents[row * self.time..(row + 1) * self.time]);
        let before = move |query: &usize| parents?[*query];
        std::iter::successors(Some(query), before).take(forest.map_or(0, |it| it.reach))
    }

    /// Masks what a query of a forest does not see in `scores`, its scores of the keys from `from` on, up to itself or further.
    pub(crate) fn hide(&self, row: usize, query: usize, from: usize, scores: &mut [f32]) {
        if self.forest.is_none() {
            return;
        }
        let place = |query: usize| (query + self.seen - self.time).checked_sub(from);
        let own: Vec<(usize, f32)> = self
            .branch(row, query)
            .filter_map(|query| place(query).map(|at| (at, scores[at])))
            .collect();
        let queries = (self.seen - self.time).saturating_sub(from);
        scores[queries..].fill(MASKED);
        for (at, score) in own {
            scores[at] = score;
        }
    }

    /// Batch, queries of a row, keys of a row.
    pub fn dims(&self) -> [usize; 3] {
        [self.first.len() / self.time.max(1), self.time, self.seen]
    }

    /// The keys that a query sees; in a forest, those among which it sees some.
    pub fn range(&self, row: usize, query: usize) -> Range<usize> {
        self.first[row * self.time + query]..query + self.seen - self.time + 1
    }

    /// Whether every query sees everything up to itself.
    pub fn is_causal(&self) -> bool {
        self.forest.is_none() && self.first.iter().all(|&first| first == 0)
    }

    /// What is added to the scores: `[1 or batch, 1, time, seen]`, f32, 0 where seen and -∞ where not. Made once for the
    /// device that asks first.
    pub fn bias(&self, device: &Device) -> Tensor<4> {
        let bias = self.bias.get_or_init(|| self.new_bias(device));
        match bias.device() == *device {
            true => bias.clone(),
            false => self.new_bias(device),
        }
    }

    fn new_bias(&self, device: &Device) -> Tensor<4> {
        let [batch, time, seen] = self.dims();
        let rows = if self.is_causal() { 1 } else { batch };
        let mut values = vec![MASKED; rows * time * seen];
        for (i, keys) in values.chunks_mut(seen.max(1)).enumerate() {
            let (row, query) = (i / time, i % time);
            keys[self.range(row, query)].fill(0.0);
            self.hide(row, query, 0, keys);
        }
        upload::floats(values, [rows, 1, time, seen], device)
    }
}

/// One conversation from the first position on, then nothing but padding.
fn is_one_conversation(row: &[i32]) -> bool {
    let used = row.iter().take_while(|&&s| s == row[0] && s != 0).count();
    row[used..].iter().all(|&s| s == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(sight: &Sight) -> Vec<u8> {
        let values = sight.bias(&Device::flex()).into_data();
        let values = values.try_to_vec::<f32>().unwrap();
        values.iter().map(|v| u8::from(*v == 0.0)).collect()
    }

    #[test]
    fn padded_rows_share_one_triangle() {
        let sight = Sight::of_segments(&[1, 1, 1, 1, 0, 0], [2, 3]);
        assert!(sight.is_causal());
        assert_eq!(visible(&sight), [1, 0, 0, 1, 1, 0, 1, 1, 1]);
    }

    #[test]
    fn packed_conversations_do_not_see_each_other() {
        let sight = Sight::of_segments(&[1, 1, 2], [1, 3]);
        assert_eq!(visible(&sight), [1, 0, 0, 1, 1, 0, 0, 0, 1]);
    }

    #[test]
    fn a_window_hides_what_is_far() {
        let sight = Sight::of_segments(&[1, 1, 1], [1, 3]).within(2);
        assert_eq!(visible(&sight), [1, 0, 0, 1, 1, 0, 0, 1, 1]);
    }

    /// Two branches of two queries each over one cached key, the second from the first query; and a third from the cache.
    fn forest() -> Sight {
        let parents = vec![None, Some(0), Some(0), Some(2), None];
        Sight::of_forest([1, 5, 6], parents, |_| 0)
    }

    #[test]
    fn branches_do_not_see_each_other() {
        #[rustfmt::skip]
        let wanted = [
            1, 1, 0, 0, 0, 0,
            1, 1, 1, 0, 0, 0,
            1, 1, 0, 1, 0, 0,
            1, 1, 0, 1, 1, 0,
            1, 0, 0, 0, 0, 1,
        ];
        assert_eq!(visible(&forest()), wanted);
        assert!(!forest().is_causal());
    }

    #[test]
    fn a_window_of_a_forest_is_counted_along_its_branches() {
        #[rustfmt::skip]
        let wanted = [
            1, 1, 0, 0, 0, 0,
            0, 1, 1, 0, 0, 0,
            0, 1, 0, 1, 0, 0,
            0, 0, 0, 1, 1, 0,
            1, 0, 0, 0, 0, 1,
        ];
        assert_eq!(visible(&forest().within(2)), wanted);
    }

    #[test]
    fn cached_keys_come_first_and_padding_sees_itself() {
        let pads = [0, 3];
        let sight = Sight::new([2, 2, 4], |row, _| pads[row]);
        assert_eq!(
            visible(&sight),
            [1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 1]
        );
    }
}
