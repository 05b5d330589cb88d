//! Searches that move levels one by one: with each, the best scale for all of them follows in closed form.
//!
//! The order of every addition is ggml's: [`around_zero`] is its `make_q3_quants`, [`from_zero`] its `make_qp_quants`.

use super::fit::{ALL_ZERO, nearest};
use super::{extremes, largest_magnitude};

/// How often all levels are gone through, at most.
const ROUNDS: usize = 5;

/// A scale and levels such that elements come near `scale * (level - middle)`, with levels up to `2 * middle - 1`.
///
/// Errors count by the square of the element.
pub(super) fn around_zero<const N: usize>(values: &[f32; N], middle: i32) -> (f32, [u8; N]) {
    let largest = largest_magnitude(values);
    if largest.abs() < ALL_ZERO {
        return (0.0, [0; N]);
    }
    let inverse = -(middle as f32) / largest;
    let clamped = |level: i32| level.clamp(-middle, middle - 1);
    let mut levels = values.map(|value| clamped(nearest(inverse * value)));
    let mut sums = Sums::default();
    for (&value, &level) in values.iter().zip(&levels) {
        sums = sums.with(value, value * value, level as f32);
    }
    for _ in 0..ROUNDS {
        let mut changed = false;
        for (&value, level) in values.iter().zip(&mut levels) {
            let weight = value * value;
            let rest = sums.without(value, weight, *level as f32);
            if rest.xl <= 0.0 {
                continue;
            }
            let better = clamped(nearest(value * rest.l2 / rest.xl));
            let with_it = rest.with(value, weight, better as f32);
            if better != *level && with_it.l2 > 0.0 && with_it.explains_more_than(sums) {
                (*level, sums, changed) = (better, with_it, true);
            }
        }
        if !changed {
            break;
        }
    }
    (sums.scale(), levels.map(|level| (level + middle) as u8))
}

/// A scale and levels such that elements, of which none counts below 0, come near `scale * level`, with levels up to `top`.
///
/// Errors count by their square times the element's weight.
pub(super) fn from_zero<const N: usize>(
    values: &[f32; N],
    weights: &[f32; N],
    top: u8,
) -> (f32, [u8; N]) {
    let largest = extremes(values).1;
    if largest < ALL_ZERO {
        return (0.0, [0; N]);
    }
    let inverse = best_inverse(values, weights, f32::from(top), largest);
    let cut = |level: i32| level.min(top.into());
    let mut levels = [0; N];
    let mut sums = Sums::default();
    for ((&value, &weight), level) in values.iter().zip(weights).zip(&mut levels) {
        let found = cut(nearest(inverse * value));
        sums = sums.with(value, weight, found as f32);
        *level = found as u8;
    }
    for _ in 0..ROUNDS {
        let mut changed = false;
        for ((&value, &weight), level) in values.iter().zip(weights).zip(&mut levels) {
            let rest = sums.without(value, weight, (*level).into());
            if rest.xl <= 0.0 || rest.l2 <= 0.0 {
                continue;
            }
            let better = cut(nearest(value * rest.l2 / rest.xl));
            let with_it = rest.with(value, weight, better as f32);
            if better != i32::from(*level) && with_it.explains_more_than(sums) {
                (*level, sums, changed) = (better as u8, with_it, true);
            }
        }
        if !changed {
            break;
        }
    }
    (sums.scale(), levels)
}

/// `1 / scale` to start with: of a few around `top / largest`, the one with the smallest error.
fn best_inverse<const N: usize>(
    values: &[f32; N],
    weights: &[f32; N],
    top: f32,
    largest: f32,
) -> f32 {
    let error = |inverse: f32| {
        let scale = 1.0 / inverse;
        let mut error = 0f32;
        for (&value, &weight) in values.iter().zip(weights) {
            let level = nearest(inverse * value).min(top as i32);
            let difference = value - scale * level as f32;
            error += weight * difference * difference;
        }
        error
    };
    let mut best = top / largest;
    let mut smallest = error(best);
    for step in (-4..=4).filter(|&step| step != 0) {
        let inverse = (0.1 * step as f32 + top) / largest;
        let error = error(inverse);
        if error < smallest {
            (best, smallest) = (inverse, error);
        }
    }
    best
}

/// Weighted sums of element times level, and of level squared.
#[derive(Clone, Copy, Default)]
struct Sums {
    xl: f32,
    l2: f32,
}

impl Sums {
    fn with(self, value: f32, weight: f32, level: f32) -> Self {
        Self {
            xl: self.xl + weight * value * level,
            l2: self.l2 + weight * level * level,
        }
    }

    fn without(self, value: f32, weight: f32, level: f32) -> Self {
        Self {
            xl: self.xl - weight * value * level,
            l2: self.l2 - weight * level * level,
        }
    }

    /// Whether the best scale for these levels leaves less error than that for the others.
    fn explains_more_than(self, other: Self) -> bool {
        self.xl * self.xl * other.l2 > other.xl * other.xl * self.l2
    }

    fn scale(self) -> f32 {
        if self.l2 > 0.0 {
            self.xl / self.l2
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_that_fit_are_found() {
        let values: [f32; 8] = std::array::from_fn(|i| (i as f32 - 4.0) * 0.25);
        let all: [u8; 8] = std::array::from_fn(|i| i as u8);
        assert_eq!(around_zero(&values, 4), (0.25, all));
        assert_eq!(around_zero(&[1e-16; 8], 4), (0.0, [0; 8]));
        let values: [f32; 8] = std::array::from_fn(|i| i as f32 * 0.5);
        assert_eq!(from_zero(&values, &[1.0; 8], 7), (0.5, all));
        assert_eq!(from_zero(&[0.0; 8], &[1.0; 8], 7), (0.0, [0; 8]));
    }

    #[test]
    fn a_weight_decides_which_element_is_met() {
        let (scale, levels) = from_zero(&[10.0, 2.0], &[1.0, 1e6], 3);
        assert_eq!(levels, [3, 1]);
        assert!((scale - 2.0).abs() < 1e-3, "{scale}");
    }
}
