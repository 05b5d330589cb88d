//! A head's loop over chunks on Flex: one buffer holds the logits of a chunk, then their gradients.

use std::ops::Range;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;

use crate::loss::{Wants, rows_at_once};
use crate::matrix::{Before, Matrix, Threads, product};
use crate::rows::{Rows, tensor};

/// Scores, `[n, 3]`, and the gradients of states and head that are wanted.
pub(crate) type Found = (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>);

/// `compare(rows, logits, scores)` chunk by chunk, which makes gradients of the logits; then their products.
pub(crate) fn in_chunks(
    hidden: &FloatTensor<Flex>,
    head: &FloatTensor<Flex>,
    scale: f32,
    wants: Wants,
    mut compare: impl FnMut(Range<usize>, &mut [f32], &mut [f32]),
) -> Found {
    let (hidden, head) = (Rows::of(hidden), Rows::of(head));
    let (n, d, vocab) = (hidden.count, hidden.n, head.count);
    let step = rows_at_once(n, vocab);
    let mut scores = vec![0.0; n * 3];
    let mut d_hidden = vec![0.0; if wants.states { n * d } else { 0 }];
    let mut d_head = vec![0.0; if wants.head { vocab * d } else { 0 }];
    let mut logits = vec![0.0; step * vocab];
    for start in (0..n).step_by(step) {
        let range = start..n.min(start + step);
        let rows = range.len();
        let logits = &mut logits[..rows * vocab];
        write_logits(logits, &hidden, &head, range.clone(), scale);
        let scores = &mut scores[start * 3..][..rows * 3];
        compare(range.clone(), logits, scores);
        let gradient = Matrix::new(logits, [rows, vocab], vocab);
        if wants.states {
            let factors = (gradient, head.matrix(0..vocab));
            let place = (&mut d_hidden[start * d..], d);
            product(place, Before::Nothing, 1.0, factors, Threads::All);
        }
        if wants.head {
            let factors = (gradient.transpose(), hidden.matrix(range));
            product((&mut d_head, d), Before::Terms, 1.0, factors, Threads::All);
        }
    }
    let sizes = [d_hidden.len(), d_head.len()].map(|len| [len / d.max(1), d]);
    (
        tensor(scores, [n, 3]),
        tensor(d_hidden, sizes[0]),
        tensor(d_head, sizes[1]),
    )
}

/// `scale` times the products of some rows of states with the head, not capped.
pub(crate) fn write_logits(
    out: &mut [f32],
    states: &Rows,
    head: &Rows,
    rows: Range<usize>,
    scale: f32,
) {
    let factors = (states.matrix(rows), head.matrix(0..head.count).transpose());
    let place = (out, head.count);
    product(place, Before::Nothing, scale, factors, Threads::All);
}
