//! Keys and values of one row, and the attention of its newest token.

use std::ops::Range;

use crate::Scores;
use crate::attention::rows::softmax;
use crate::rotary::flex::rotate_head;
use crate::vector::vectorised;

/// Positions whose scores are summed together.
const WIDE: usize = 32;

/// Keys and values of one head. Keys lie in tiles of 32 positions, channel by channel, so that the scores of neighbouring positions are
/// in one vector, and what is read lies in one piece.
#[derive(Clone, Debug)]
pub struct HeadCache {
    dim: usize,
    seen: usize,
    /// `[tiles, dim, 32]`
    keys: Vec<f32>,
    /// `[seen, dim]`
    values: Vec<f32>,
}

impl HeadCache {
    /// An empty one, for keys and values of `dim` channels.
    pub fn new(dim: usize) -> Self {
        Self {
            dim,
            seen: 0,
            keys: Vec::new(),
            values: Vec::new(),
        }
    }

    /// How many positions there are.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Adds the next position.
    pub fn push(&mut self, key: &[f32], value: &[f32]) {
        let place = self.seen % WIDE;
        if place == 0 {
            self.keys.resize(self.keys.len() + self.dim * WIDE, 0.0);
        }
        let tile = self.seen / WIDE * self.dim * WIDE;
        for (row, key) in self.keys[tile..].chunks_exact_mut(WIDE).zip(key) {
            row[place] = *key;
        }
        self.values.extend_from_slice(value);
        self.seen += 1;
    }
}

/// [`crate::attention()`] of one query of one head over the positions of `cache` that it sees; `weights` is memory to work in.
pub fn attend(
    query: &[f32],
    cache: &HeadCache,
    sees: Range<usize>,
    scores: Scores,
    weights: &mut Vec<f32>,
    y: &mut [f32],
) {
    let first = sees.start / WIDE * WIDE;
    let n = sees.end - first;
    weights.clear();
    weights.resize(n.next_multiple_of(WIDE), 0.0);
    let keys = &cache.keys[first * cache.dim..];
    multiply_keys(query, scores.scale as f32, keys, weights);
    weights.truncate(n);
    let cap = scores.softcap.map(|cap| cap as f32);
    softmax(weights, sees.start - first..n, cap);
    add_values(weights, &cache.values[first * cache.dim..], y);
}

vectorised! {
    /// `scale · q · k` of the keys of tiles.
    fn multiply_keys(q: &[f32], scale: f32, tiles: &[f32], out: &mut [f32]) {
        let tiles = tiles.chunks_exact(q.len() * WIDE);
        for (tile, out) in tiles.zip(out.as_chunks_mut::<WIDE>().0) {
            let mut sums = [0.0; WIDE];
            for (row, q) in tile.as_chunks::<WIDE>().0.iter().zip(q) {
                for j in 0..WIDE {
                    sums[j] = row[j].mul_add(*q, sums[j]);
                }
            }
            for j in 0..WIDE {
                out[j] = scale * sums[j];
            }
        }
    }
}

/// Channels that are summed together.
const CHANNELS: usize = 64;

vectorised! {
    /// `y = Σ weight · value`, of values `[weights, y]`.
    fn add_values(weights: &[f32], values: &[f32], y: &mut [f32]) {
        let dim = y.len();
        for (i, y) in y.chunks_mut(CHANNELS).enumerate() {
            let from = i * CHANNELS;
            let rows = weights.iter().zip(values.chunks_exact(dim));
            match y.as_mut_array::<CHANNELS>() {
                Some(y) => {
                    let mut sums = [0.0; CHANNELS];
                    for (weight, row) in rows {
                        if let Some(row) = row[from..].first_chunk::<CHANNELS>() {
                            for j in 0..CHANNELS {
                                sums[j] = row[j].mul_add(*weight, sums[j]);
                            }
                        }
                    }
                    *y = sums;
                }
                None => {
                    y.fill(0.0);
                    for (weight, row) in rows {
                        for (y, value) in y.iter_mut().zip(&row[from..]) {
                            *y = value.mul_add(*weight, *y);
                        }
                    }
                }
            }
        }
    }
}

/// [`crate::rotary()`] of heads of one position, in place; `cos` and `sin` are half as long as what is rotated of a head.
pub fn rotate(heads: &mut [f32], head_dim: usize, cos: &[f32], sin: &[f32]) {
    let mut turned = vec![0.0; head_dim];
    for head in heads.chunks_exact_mut(head_dim) {
        rotate_head(head, cos, sin, 1.0, &mut turned);
        head.copy_from_slice(&turned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sight, attention};
    use burn::tensor::{Device, Tensor, TensorData, Tolerance};

    /// A head of 80 channels over more positions than there was room for, within a window and without.
    #[test]
    fn one_query_attends_as_all_do() {
        for (dim, seen) in [(80, 3), (64, 300), (16, 257)] {
            let values = |n: usize, seed: u64| -> Vec<f32> {
                (0..n as u64)
                    .map(|i| crate::noise::mix(i ^ seed << 40) as f32 / u64::MAX as f32 - 0.5)
                    .collect()
            };
            let (q, k, v) = (values(dim, 1), values(seen * dim, 2), values(seen * dim, 3));
            let mut cache = HeadCache::new(dim);
            for (k, v) in k.chunks(dim).zip(v.chunks(dim)) {
                cache.push(k, v);
            }
            let tensor = |values: &[f32]| {
                let shape = [1, 1, values.len() / dim, dim];
                Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
            };
            for (first, softcap) in [(0, None), (2, Some(0.5))] {
                let scores = Scores {
                    scale: 0.7,
                    softcap,
                };
                let sight = Sight::new([1, 1, seen], |_, _| first);
                let want = attention(tensor(&q), tensor(&k), tensor(&v), &sight, scores);
                let mut y = vec![0.0; dim];
                attend(&q, &cache, first..seen, scores, &mut Vec::new(), &mut y);
                let close = Tolerance::<f32>::absolute(1e-6);
                TensorData::new(y, [1, 1, 1, dim]).assert_approx_eq(&want.into_data(), close);
            }
        }
    }
}
