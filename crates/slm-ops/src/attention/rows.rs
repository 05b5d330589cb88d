//! What is done to a query's row of scores, in place.

use std::ops::Range;

use super::sight::MASKED;
use crate::vector::{exp, largest_of, sum, vectorised};

/// Turns scores into weights, 0 where nothing is seen; returns the logarithm of the sum of exponentials.
pub(crate) fn softmax(row: &mut [f32], seen: Range<usize>, cap: Option<f32>) -> f32 {
    row[..seen.start].fill(0.0);
    row[seen.end..].fill(0.0);
    let row = &mut row[seen];
    if let Some(cap) = cap {
        let seen = row.iter_mut().filter(|s| **s != MASKED);
        seen.for_each(|s| *s = cap * (*s / cap).tanh());
    }
    exponentials(row)
}

vectorised! {
    fn exponentials(row: &mut [f32]) -> f32 {
        let largest = largest_of(row);
        for x in row.iter_mut() {
            *x = exp(*x - largest);
        }
        let total = sum(row);
        let part = 1.0 / total;
        for x in row.iter_mut() {
            *x *= part;
        }
        largest + total.ln()
    }
}

/// From scores and the slopes of weights to weights and the slopes of scores; `mean` is the weights' mean slope.
pub(super) fn slopes_of_scores(
    weights: &mut [f32],
    slopes: &mut [f32],
    seen: Range<usize>,
    log_sum: f32,
    mean: f32,
    cap: Option<f32>,
) {
    for row in [&mut *weights, &mut *slopes] {
        row[..seen.start].fill(0.0);
        row[seen.end..].fill(0.0);
    }
    let (weights, slopes) = (&mut weights[seen.clone()], &mut slopes[seen]);
    let Some(cap) = cap else {
        return slopes_of_plain(weights, slopes, log_sum, mean);
    };
    for (weight, slope) in weights.iter_mut().zip(slopes) {
        if *weight == MASKED {
            (*weight, *slope) = (0.0, 0.0);
            continue;
        }
        let tanh = (*weight / cap).tanh();
        *weight = exp(cap * tanh - log_sum);
        *slope = *weight * (*slope - mean) * (1.0 - tanh * tanh);
    }
}

vectorised! {
    fn slopes_of_plain(weights: &mut [f32], slopes: &mut [f32], log_sum: f32, mean: f32) {
        for (weight, slope) in weights.iter_mut().zip(slopes) {
            *weight = exp(*weight - log_sum);
            *slope = *weight * (*slope - mean);
        }
    }
}
