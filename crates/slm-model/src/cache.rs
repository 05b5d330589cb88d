//! Keys and values of the tokens that were already read.

use burn::tensor::Tensor;

/// Keys and values per layer: `[batch, kv_heads, seen, head_dim]` each.
#[derive(Clone, Debug, Default)]
pub struct KvCache {
    layers: Vec<(Tensor<4>, Tensor<4>)>,
}

impl KvCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many tokens each row has seen.
    pub fn seen(&self) -> usize {
        self.layers.first().map_or(0, |(keys, _)| keys.dims()[2])
    }

    /// The same one row for `rows` rows that all continue it.
    pub(crate) fn for_rows(&self, rows: usize) -> Self {
        let repeat = |(keys, values): &(Tensor<4>, Tensor<4>)| {
            (
                keys.clone().repeat_dim(0, rows),
                values.clone().repeat_dim(0, rows),
            )
        };
        Self {
            layers: self.layers.iter().map(repeat).collect(),
        }
    }

    /// Appends the new keys and values of `layer` and returns all of them.
    pub(crate) fn extend(
        &mut self,
        layer: usize,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>) {
        match self.layers.get_mut(layer) {
            Some(held) => {
                held.0 = Tensor::cat(vec![held.0.clone(), keys], 2);
                held.1 = Tensor::cat(vec![held.1.clone(), values], 2);
            }
            None => self.layers.push((keys, values)),
        }
        self.layers[layer].clone()
    }
}
