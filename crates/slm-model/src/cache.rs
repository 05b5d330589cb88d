//! Keys and values of the tokens that were already read.

use burn::tensor::{Tensor, TensorData};
use slm_ops::step::HeadCache;

/// Keys and values per layer, with room for those to come.
#[derive(Clone, Debug, Default)]
pub struct KvCache {
    layers: Vec<Held>,
}

/// `[batch, kv_heads, capacity, head_dim]` each, of which the first `seen` positions count.
#[derive(Clone, Debug)]
struct Held {
    keys: Tensor<4>,
    values: Tensor<4>,
    seen: usize,
}

impl KvCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many tokens each row has seen.
    pub fn seen(&self) -> usize {
        self.layers.first().map_or(0, |held| held.seen)
    }

    /// The only row's keys and values on the host: layer by layer, head by head.
    pub(crate) fn heads(&self) -> Vec<Vec<HeadCache>> {
        self.layers.iter().map(Held::heads).collect()
    }

    /// Copies of rows, which may repeat, with room for `more` tokens.
    pub(crate) fn for_rows(&self, rows: &[usize], more: usize) -> Self {
        let index: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let spread = |held: &Held| {
            let spread = |x: &Tensor<4>| {
                let seen = x.clone().narrow(2, 0, held.seen);
                let copies = match x.dims()[0] {
                    1 => seen.repeat_dim(0, rows.len()),
                    _ => {
                        let index = TensorData::new(index.clone(), [rows.len()]);
                        seen.select(0, Tensor::from_data(index, &x.device()))
                    }
                };
                with_room(copies, more)
            };
            Held {
                keys: spread(&held.keys),
                values: spread(&held.values),
                seen: held.seen,
            }
        };
        Self {
            layers: self.layers.iter().map(spread).collect(),
        }
    }

    /// Appends the new keys and values of `layer`, `[batch, kv_heads, time, head_dim]`, and returns all of them.
    pub(crate) fn extend(
        &mut self,
        layer: usize,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>) {
        let Some(held) = self.layers.get_mut(layer) else {
            let seen = keys.dims()[2];
            self.layers.push(Held {
                keys: keys.clone(),
                values: values.clone(),
                seen,
            });
            return (keys, values);
        };
        let from = held.seen;
        held.seen += keys.dims()[2];
        append(&mut held.keys, keys, from);
        append(&mut held.values, values, from);
        let seen = |x: &Tensor<4>| x.clone().narrow(2, 0, held.seen);
        (seen(&held.keys), seen(&held.values))
    }
}

impl Held {
    fn heads(&self) -> Vec<HeadCache> {
        let [_, heads, _, dim] = self.keys.dims();
        let values = |x: &Tensor<4>| {
            let seen = x.clone().narrow(2, 0, self.seen).into_data();
            seen.try_into_vec::<f32>().unwrap_or_default()
        };
        let (keys, values) = (values(&self.keys), values(&self.values));
        let n = (self.seen * dim).max(1);
        let each = keys.chunks(n).zip(values.chunks(n)).take(heads);
        each.map(|(keys, values)| {
            let mut cache = HeadCache::new(dim);
            for (key, value) in keys.chunks(dim).zip(values.chunks(dim)) {
                cache.push(key, value);
            }
            cache
        })
        .collect()
    }
}

/// Writes `new` from position `from` on: in place while there is room, else in twice as much.
fn append(held: &mut Tensor<4>, new: Tensor<4>, from: usize) {
    let [batch, heads, time, dim] = new.dims();
    let nothing = Tensor::empty([0, 0, 0, 0], &new.device());
    // Taken out, so that it is nobody else's and can be written to.
    let mut whole = std::mem::replace(held, nothing);
    let capacity = whole.dims()[2];
    if from + time > capacity {
        let needed = from + time - capacity;
        whole = with_room(whole, needed.max(capacity));
    }
    *held = whole.slice_assign([0..batch, 0..heads, from..from + time, 0..dim], new);
}

fn with_room(x: Tensor<4>, more: usize) -> Tensor<4> {
    let [batch, heads, _, dim] = x.dims();
    let room = Tensor::zeros([batch, heads, more, dim], (&x.device(), x.dtype()));
    Tensor::cat(vec![x, room], 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Int};

    fn numbers(from: i64, time: i64) -> Tensor<4> {
        let numbers = Tensor::<1, Int>::arange(from..from + time, &Device::flex());
        numbers.float().reshape([1, 1, time as usize, 1])
    }

    fn flat(x: Tensor<4>) -> Vec<f32> {
        x.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn keeps_everything_in_order_through_growth() {
        let mut cache = KvCache::new();
        let mut from = 0;
        for time in [3, 1, 1, 5, 1] {
            let (keys, values) = cache.extend(0, numbers(from, time), numbers(-from, time));
            from += time;
            assert_eq!(flat(keys), (0..from).map(|i| i as f32).collect::<Vec<_>>());
            assert_eq!(values.dims(), [1, 1, from as usize, 1]);
        }
        assert_eq!(cache.seen(), 11);
    }

    #[test]
    fn rows_continue_the_same_beginning() {
        let mut cache = KvCache::new();
        cache.extend(0, numbers(0, 2), numbers(0, 2));
        let mut rows = cache.for_rows(&[0, 0], 1);
        let new = Tensor::cat(vec![numbers(7, 1), numbers(8, 1)], 0);
        let (keys, _) = rows.extend(0, new.clone(), new);
        assert_eq!(flat(keys), [0.0, 1.0, 7.0, 0.0, 1.0, 8.0]);
        assert_eq!(cache.seen(), 2);
        // The second row twice, then the first.
        let rows = rows.for_rows(&[1, 1, 0], 1).layers[0].clone();
        let seen = flat(rows.keys.narrow(2, 0, rows.seen));
        assert_eq!(seen, [0.0, 1.0, 8.0, 0.0, 1.0, 8.0, 0.0, 1.0, 7.0]);
    }
}
