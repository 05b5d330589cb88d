//! Attention's loops on Flex: the scores of a block of queries of one head exist at a time.

use std::ops::Range;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use rayon::prelude::*;

use super::fused::{Kept, Passes};
use super::rows::{slopes_of_scores, softmax};
use super::{Scores, Sight};
use crate::heads::Heads;
use crate::matrix::{Before, Matrix, Threads, product};
use crate::rows::tensor;
use crate::vector::dot;

/// Queries of a block: few enough that their scores stay in a core's own cache, and little is computed that nobody sees.
const BLOCK: usize = 64;

impl Passes for Flex {
    /// Written position by position, as the next projection reads it; a task takes a block of positions.
    fn forward(
        q: &FloatTensor<Self>,
        k: &FloatTensor<Self>,
        v: &FloatTensor<Self>,
        sight: &Sight,
        scores: Scores,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let view = View::of(q, k, v, sight, scores);
        let [batch, heads, time, dim] = view.q.dims;
        let mut y = vec![0.0; batch * time * heads * dim];
        let mut log_sums = vec![0.0; batch * time * heads];
        let rows = y
            .par_chunks_mut((time * heads * dim).max(1))
            .zip(log_sums.par_chunks_mut((time * heads).max(1)));
        rows.enumerate().for_each(|(b, (y, log_sums))| {
            let blocks = y
                .par_chunks_mut(BLOCK * heads * dim)
                .zip(log_sums.par_chunks_mut(BLOCK * heads));
            blocks.enumerate().for_each(|(block, (y, log_sums))| {
                let from = block * BLOCK;
                let queries = from..from + log_sums.len() / heads;
                view.forward(b, queries, y, log_sums);
            });
        });
        let y = tensor(y, [batch, time, heads, dim]).transpose(1, 2);
        let log_sums = tensor(log_sums, [batch, time, heads]).transpose(1, 2);
        (y, log_sums)
    }

    /// A task takes a head of the queries; what the heads of a group find for their keys is added up in order.
    fn backward(kept: Kept<Self>, dy: FloatTensor<Self>) -> [FloatTensor<Self>; 3] {
        let view = View::of(&kept.q, &kept.k, &kept.v, &kept.sight, kept.scores);
        let [batch, heads, time, dim] = view.q.dims;
        let [_, kv_heads, seen, _] = view.k.dims;
        let (y, dy) = (Heads::of(&kept.y), Heads::of(&dy));
        let log_sums = kept.log_sums.storage::<f32>();
        let mut dq = vec![0.0; batch * heads * time * dim];
        let mut dk = vec![0.0; batch * heads * seen * dim];
        let mut dv = vec![0.0; batch * heads * seen * dim];
        let tasks = dq
            .par_chunks_mut((time * dim).max(1))
            .zip(dk.par_chunks_mut((seen * dim).max(1)))
            .zip(dv.par_chunks_mut((seen * dim).max(1)));
        tasks.enumerate().for_each(|(task, ((dq, dk), dv))| {
            let (b, h) = (task / heads, task % heads);
            let log_sum = |t: usize| log_sums[(b * time + t) * heads + h];
            view.backward(b, h, (&y, &dy), &log_sum, [dq, dk, dv]);
        });
        let grouped = |x| sum_of_groups(x, heads / kv_heads, seen * dim);
        let keys = [batch, kv_heads, seen, dim];
        [
            tensor(dq, kept.q.shape()),
            tensor(grouped(dk), keys),
            tensor(grouped(dv), keys),
        ]
    }
}

/// Each sum of `group` neighbouring pieces of length `n`.
fn sum_of_groups(pieces: Vec<f32>, group: usize, n: usize) -> Vec<f32> {
    if group == 1 {
        return pieces;
    }
    let mut sums = vec![0.0; pieces.len() / group];
    let groups = pieces.par_chunks((group * n).max(1));
    let sums_of = sums.par_chunks_mut(n.max(1));
    sums_of.zip(groups).for_each(|(sum, group)| {
        for piece in group.chunks(n) {
            sum.iter_mut().zip(piece).for_each(|(sum, x)| *sum += x);
        }
    });
    sums
}

/// What both passes read.
struct View<'a> {
    q: Heads,
    k: Heads,
    v: Heads,
    sight: &'a Sight,
    scale: f32,
    cap: Option<f32>,
}

impl<'a> View<'a> {
    fn of(
        q: &FloatTensor<Flex>,
        k: &FloatTensor<Flex>,
        v: &FloatTensor<Flex>,
        sight: &'a Sight,
        scores: Scores,
    ) -> Self {
        let [q, k, v] = [q, k, v].map(Heads::of);
        Self {
            q,
            k,
            v,
            sight,
            scale: scores.scale as f32,
            cap: scores.softcap.map(|cap| cap as f32),
        }
    }

    /// The head of the keys that a head of the queries reads.
    fn kv_head(&self, h: usize) -> usize {
        h / (self.q.dims[1] / self.k.dims[1])
    }

    /// The keys that any of some queries sees.
    fn keys(&self, b: usize, queries: &Range<usize>) -> Range<usize> {
        let starts = queries
            .clone()
            .map(|query| self.sight.range(b, query).start);
        let last = self.sight.range(b, queries.end - 1);
        starts.min().unwrap_or(last.start)..last.end
    }

    /// `scale · q kᵀ` of some queries and keys, into `out`.
    fn scores(
        &self,
        b: usize,
        h: usize,
        queries: &Range<usize>,
        keys: &Range<usize>,
        out: &mut [f32],
    ) {
        let q = self.q.matrix(b, h, queries);
        let k = self.k.matrix(b, self.kv_head(h), keys).transpose();
        let place = (&mut *out, keys.len());
        product(place, Before::Nothing, self.scale, (q, k), Threads::One);
        for (query, row) in queries.clone().zip(out.chunks_exact_mut(keys.len())) {
            self.sight.hide(b, query, keys.start, row);
        }
    }

    /// Row by row, those of `keys` that each query sees, counted from the first of them.
    fn seen<'b>(
        &'b self,
        b: usize,
        queries: &Range<usize>,
        keys: &'b Range<usize>,
    ) -> impl Iterator<Item = Range<usize>> + 'b {
        queries.clone().map(move |query| {
            let range = self.sight.range(b, query);
            range.start - keys.start..range.end - keys.start
        })
    }

    /// All heads of some queries of a row: `y` is `[queries, heads, dim]`, `log_sums` `[queries, heads]`.
    fn forward(&self, b: usize, queries: Range<usize>, y: &mut [f32], log_sums: &mut [f32]) {
        let [_, heads, _, dim] = self.q.dims;
        let keys = self.keys(b, &queries);
        let mut weights = vec![0.0; queries.len() * keys.len()];
        for h in 0..heads {
            self.scores(b, h, &queries, &keys, &mut weights);
            let rows = weights.chunks_exact_mut(keys.len());
            let sums = log_sums[h..].iter_mut().step_by(heads);
            for ((row, log_sum), seen) in rows.zip(sums).zip(self.seen(b, &queries, &keys)) {
                *log_sum = softmax(row, seen, self.cap);
            }
            let v = self.v.matrix(b, self.kv_head(h), &keys);
            let weights = Matrix::new(&weights, [queries.len(), keys.len()], keys.len());
            let place = (&mut y[h * dim..], heads * dim);
            product(place, Before::Nothing, 1.0, (weights, v), Threads::One);
        }
    }

    /// One head: `dq` is `[time, dim]`, `dk` and `dv` are `[seen, dim]`.
    fn backward(
        &self,
        b: usize,
        h: usize,
        (y, dy): (&Heads, &Heads),
        log_sum: &dyn Fn(usize) -> f32,
        [dq, dk, dv]: [&mut [f32]; 3],
    ) {
        let [_, _, time, dim] = self.q.dims;
        let (mut weights, mut slopes) = (Vec::new(), Vec::new());
        for from in (0..time).step_by(BLOCK) {
            let queries = from..time.min(from + BLOCK);
            let keys = self.keys(b, &queries);
            let n = queries.len() * keys.len();
            weights.resize(n, 0.0);
            slopes.resize(n, 0.0);
            self.scores(b, h, &queries, &keys, &mut weights);
            let v = self.v.matrix(b, self.kv_head(h), &keys).transpose();
            let gradient = dy.matrix(b, h, &queries);
            let place = (&mut slopes[..], keys.len());
            product(place, Before::Nothing, 1.0, (gradient, v), Threads::One);
            let rows = weights.chunks_exact_mut(keys.len());
            let rows = rows.zip(slopes.chunks_exact_mut(keys.len()));
            for ((query, seen), (weights, slopes)) in
                queries.clone().zip(self.seen(b, &queries, &keys)).zip(rows)
            {
                let mean = dot(dy.row(b, h, query), y.row(b, h, query));
                slopes_of_scores(weights, slopes, seen, log_sum(query), mean, self.cap);
            }
            let shape = [queries.len(), keys.len()];
            let weights = Matrix::new(&weights, shape, keys.len());
            let slopes = Matrix::new(&slopes, shape, keys.len());
            let (q, k) = (
                self.q.matrix(b, h, &queries),
                self.k.matrix(b, self.kv_head(h), &keys),
            );
            let add = |out: &mut [f32], from: usize, scale: f32, factors: (Matrix, Matrix)| {
                let place = (&mut out[from * dim..], dim);
                product(place, Before::Terms, scale, factors, Threads::One);
            };
            add(dq, queries.start, self.scale, (slopes, k));
            add(dk, keys.start, self.scale, (slopes.transpose(), q));
            add(dv, keys.start, 1.0, (weights.transpose(), gradient));
        }
    }
}
