//! Searches for the scale that loses least, for a few elements at a time.
//!
//! All are greedy: they round with one scale, fit the best scale to those levels in closed form, and repeat with a slightly
//! different start. The order of every addition is ggml's: [`around_zero`] is its `make_qx_quants`, [`from_smallest`] its
//! `make_qkx2_quants` and `make_qkx3_quants`; the ones that move levels one by one are in `fit_levels.rs`.

use super::{extremes, largest_magnitude};

/// Below this all elements count as 0: `GROUP_MAX_EPS` in ggml.
pub(super) const ALL_ZERO: f32 = 1e-15;

/// Rounds half to even, by pushing everything behind the point out of the mantissa.
///
/// Right up to 2^22; beyond it gives the same wrong number as ggml, which some searches rely on to be cut off.
pub(super) fn nearest(value: f32) -> i32 {
    const PUSH: f32 = 12_582_912.0; // 1.5 * 2^23
    ((value + PUSH).to_bits() & 0x007f_ffff) as i32 - 0x0040_0000
}

/// A scale and levels such that elements come near `scale * (level - middle)`, with levels up to `2 * middle - 1`.
///
/// Errors count by their square times the element's weight.
pub(super) fn around_zero<const N: usize>(
    values: &[f32; N],
    weights: &[f32; N],
    middle: i32,
) -> (f32, [u8; N]) {
    let largest = largest_magnitude(values);
    if largest.abs() < ALL_ZERO {
        return (0.0, [0; N]);
    }
    let signed =
        |inverse: f32| values.map(|value| nearest(inverse * value).clamp(-middle, middle - 1));
    let mut inverse = -(middle as f32) / largest;
    let mut best_levels = signed(inverse);
    let (sum_xl, sum_l2) = sums(values, weights, &best_levels);
    let mut scale = if sum_l2 == 0.0 { 0.0 } else { sum_xl / sum_l2 };
    let mut best = scale * sum_xl;
    for step in (-9..=9).filter(|&step| step != 0) {
        inverse = -(middle as f32 + 0.1 * step as f32) / largest;
        let levels = signed(inverse);
        let (sum_xl, sum_l2) = sums(values, weights, &levels);
        if sum_l2 > 0.0 && sum_xl * sum_xl > best * sum_l2 {
            best_levels = levels;
            scale = sum_xl / sum_l2;
            best = scale * sum_xl;
        }
    }
    (scale, best_levels.map(|level| (level + middle) as u8))
}

/// What each group of `N` weighs.
pub(super) fn sums_of_groups<const N: usize, const GROUPS: usize>(
    weights: &[f32],
) -> [f32; GROUPS] {
    let groups = weights.as_chunks::<N>().0;
    std::array::from_fn(|group| groups[group].iter().fold(0.0, |sum, weight| sum + weight))
}

/// Weighted sums of element times level and of level squared.
fn sums<const N: usize>(values: &[f32; N], weights: &[f32; N], levels: &[i32; N]) -> (f32, f32) {
    let (mut sum_xl, mut sum_l2) = (0f32, 0f32);
    for ((&value, &weight), &level) in values.iter().zip(weights).zip(levels) {
        sum_xl += weight * value * level as f32;
        sum_l2 += weight * level as f32 * level as f32;
    }
    (sum_xl, sum_l2)
}

/// What [`from_smallest`] tries: starts that have `first`, `first + step`, ... levels more than there are.
#[derive(Clone, Copy)]
pub(super) struct Search {
    /// The highest level.
    pub(super) top: u8,
    /// The first start.
    pub(super) first: f32,
    /// From one start to the next.
    pub(super) step: f32,
    /// How many starts follow the first.
    pub(super) n_steps: u8,
    /// What is made small.
    pub(super) difference: Difference,
}

/// What an element's error is, before its weight.
#[derive(Clone, Copy)]
pub(super) enum Difference {
    Absolute,
    Squared,
}

impl Search {
    /// What ggml tries where the weights come from an importance matrix.
    pub(super) const fn weighted(top: u8) -> Self {
        Self {
            top,
            first: -0.9,
            step: 0.05,
            n_steps: 36,
            difference: Difference::Squared,
        }
    }
}

/// A scale, an offset of at least 0, and levels such that elements come near `scale * level - offset`.
///
/// Errors count by what the search says of them, times the element's weight.
pub(super) fn from_smallest<const N: usize>(
    values: &[f32; N],
    weights: &[f32; N],
    search: Search,
) -> (f32, f32, [u8; N]) {
    let (smallest, largest) = extremes(values);
    let smallest = if smallest > 0.0 { 0.0 } else { smallest };
    if largest == smallest {
        return (0.0, -smallest, [0; N]);
    }
    let weighted = Weighted::new(values, weights);
    let top = f32::from(search.top);
    let inverse = top / (largest - smallest);
    let mut best = Line {
        scale: 1.0 / inverse,
        smallest,
    };
    let mut best_levels = weighted.levels(inverse, smallest, search.top);
    let mut best_error = weighted.error(best, &best_levels, search.difference);
    for step in 0..=search.n_steps {
        // From the best line so far, not from the first: as ggml does it.
        let start = search.first + search.step * f32::from(step) + top;
        let inverse = start / (largest - best.smallest);
        let levels = weighted.levels(inverse, best.smallest, search.top);
        let Some(line) = weighted.line_through(&levels) else {
            continue;
        };
        let error = weighted.error(line, &levels, search.difference);
        if error < best_error {
            (best, best_levels, best_error) = (line, levels, error);
        }
    }
    (best.scale, -best.smallest, best_levels)
}

/// Element = `scale * level + smallest`.
#[derive(Clone, Copy)]
struct Line {
    scale: f32,
    smallest: f32,
}

/// Elements of which each counts by its weight.
struct Weighted<'a, const N: usize> {
    values: &'a [f32; N],
    weights: &'a [f32; N],
    sum_w: f32,
    sum_x: f32,
}

impl<'a, const N: usize> Weighted<'a, N> {
    fn new(values: &'a [f32; N], weights: &'a [f32; N]) -> Self {
        let (mut sum_w, mut sum_x) = (0f32, 0f32);
        for (&value, &weight) in values.iter().zip(weights) {
            sum_w += weight;
            sum_x += weight * value;
        }
        Self {
            values,
            weights,
            sum_w,
            sum_x,
        }
    }

    fn levels(&self, inverse: f32, smallest: f32, top: u8) -> [u8; N] {
        self.values
            .map(|value| nearest(inverse * (value - smallest)).clamp(0, top.into()) as u8)
    }

    fn error(&self, line: Line, levels: &[u8; N], difference: Difference) -> f32 {
        let mut error = 0f32;
        for ((&value, &weight), &level) in self.values.iter().zip(self.weights).zip(levels) {
            let off = line.scale * f32::from(level) + line.smallest - value;
            error += weight
                * match difference {
                    Difference::Absolute => off.abs(),
                    Difference::Squared => off * off,
                };
        }
        error
    }

    /// The line of least squares, among those that do not start above 0; none where all levels are one.
    fn line_through(&self, levels: &[u8; N]) -> Option<Line> {
        let (mut sum_l, mut sum_l2, mut sum_xl) = (0f32, 0f32, 0f32);
        for ((&value, &weight), &level) in self.values.iter().zip(self.weights).zip(levels) {
            let level = f32::from(level);
            sum_l += weight * level;
            sum_l2 += weight * level * level;
            sum_xl += weight * level * value;
        }
        let determinant = self.sum_w * sum_l2 - sum_l * sum_l;
        if determinant <= 0.0 {
            return None;
        }
        let scale = (self.sum_w * sum_xl - self.sum_x * sum_l) / determinant;
        let smallest = (sum_l2 * self.sum_x - sum_l * sum_xl) / determinant;
        if smallest > 0.0 {
            return Some(Line {
                scale: sum_xl / sum_l2,
                smallest: 0.0,
            });
        }
        Some(Line { scale, smallest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rounds_half_to_even() {
        let values = [0.5, 1.5, 2.5, -0.5, -1.5, 2.4999998, -7.51, 4_194_303.0];
        assert_eq!(values.map(nearest), [0, 2, 2, 0, -2, 2, -8, 4_194_303]);
    }

    #[test]
    fn levels_that_fit_are_found() {
        let values: [f32; 16] = std::array::from_fn(|i| (i as f32 - 8.0) * 0.25);
        let (scale, levels) = around_zero(&values, &[1.0; 16], 8);
        assert_eq!(scale, 0.25);
        assert_eq!(levels, std::array::from_fn(|i| i as u8));
        assert_eq!(around_zero(&[1e-16; 16], &[1.0; 16], 8), (0.0, [0; 16]));
    }

    #[test]
    fn a_line_that_fits_is_found() {
        let search = Search {
            top: 15,
            first: -1.0,
            step: 0.1,
            n_steps: 20,
            difference: Difference::Squared,
        };
        let values: [f32; 16] = std::array::from_fn(|i| i as f32 * 0.5 - 3.0);
        assert_eq!(
            from_smallest(&values, &[1.0; 16], search),
            (0.5, 3.0, std::array::from_fn(|i| i as u8))
        );
        // The offset is never negative: a constant above 0 is the top level of a scale of its own.
        let (scale, offset, levels) = from_smallest(&[3.0; 16], &[1.0; 16], search);
        assert_eq!((offset, levels), (0.0, [15; 16]));
        assert!((scale * 15.0 - 3.0).abs() < 1e-6);
        assert_eq!(from_smallest(&[-3.0; 16], &[1.0; 16], search).1, 3.0);
        assert_eq!(
            from_smallest(&[0.0; 16], &[1.0; 16], search),
            (0.0, 0.0, [0; 16])
        );
    }
}
