//! Searches for the scale that loses least, for a few elements at a time.
//!
//! Both are greedy: they round with one scale, fit the best scale to those levels in closed form, and repeat with a slightly
//! different start. The order of every addition is ggml's: `make_qx_quants` with its weights of `x * x`, and
//! `make_qkx2_quants` with squared errors.

use super::extremes;

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
/// Errors count by the square of the element.
pub(super) fn around_zero<const N: usize>(values: &[f32; N], middle: i32) -> (f32, [u8; N]) {
    let mut largest = 0f32;
    for &value in values {
        if value.abs() > largest.abs() {
            largest = value;
        }
    }
    if largest.abs() < ALL_ZERO {
        return (0.0, [0; N]);
    }
    let signed =
        |inverse: f32| values.map(|value| nearest(inverse * value).clamp(-middle, middle - 1));
    let mut inverse = -(middle as f32) / largest;
    let mut best_levels = signed(inverse);
    let (sum_xl, sum_l2) = sums(values, &best_levels);
    let mut scale = if sum_l2 == 0.0 { 0.0 } else { sum_xl / sum_l2 };
    let mut best = scale * sum_xl;
    for step in (-9..=9).filter(|&step| step != 0) {
        inverse = -(middle as f32 + 0.1 * step as f32) / largest;
        let levels = signed(inverse);
        let (sum_xl, sum_l2) = sums(values, &levels);
        if sum_l2 > 0.0 && sum_xl * sum_xl > best * sum_l2 {
            best_levels = levels;
            scale = sum_xl / sum_l2;
            best = scale * sum_xl;
        }
    }
    (scale, best_levels.map(|level| (level + middle) as u8))
}

/// Weighted sums of element times level and of level squared.
fn sums<const N: usize>(values: &[f32; N], levels: &[i32; N]) -> (f32, f32) {
    let (mut sum_xl, mut sum_l2) = (0f32, 0f32);
    for (&value, &level) in values.iter().zip(levels) {
        let weight = value * value;
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
}

/// A scale, an offset of at least 0, and levels such that elements come near `scale * level - offset`.
///
/// Errors count by their square times the element's weight.
pub(super) fn from_smallest<const N: usize>(
    values: &[f32; N],
    weights: &[f32; N],
    search: Search,
) -> (f32, f32, [u8; N]) {
    let top = f32::from(search.top);
    let (mut smallest, largest) = extremes(values);
    if smallest > 0.0 {
        smallest = 0.0;
    }
    if largest == smallest {
        return (0.0, -smallest, [0; N]);
    }
    let (mut sum_w, mut sum_x) = (0f32, 0f32);
    for (&value, &weight) in values.iter().zip(weights) {
        sum_w += weight;
        sum_x += weight * value;
    }
    let rounded = |inverse: f32, smallest: f32| {
        values.map(|value| nearest(inverse * (value - smallest)).clamp(0, search.top.into()) as u8)
    };
    let error = |scale: f32, smallest: f32, levels: &[u8; N]| {
        let mut error = 0f32;
        for ((&value, &weight), &level) in values.iter().zip(weights).zip(levels) {
            let difference = scale * f32::from(level) + smallest - value;
            error += weight * (difference * difference);
        }
        error
    };

    let inverse = top / (largest - smallest);
    let mut scale = 1.0 / inverse;
    let mut best_levels = rounded(inverse, smallest);
    let mut best_error = error(scale, smallest, &best_levels);
    for step in 0..=search.n_steps {
        let inverse = (search.first + search.step * f32::from(step) + top) / (largest - smallest);
        let levels = rounded(inverse, smallest);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (0f32, 0f32, 0f32);
        for ((&value, &weight), &level) in values.iter().zip(weights).zip(&levels) {
            let level = f32::from(level);
            sum_l += weight * level;
            sum_l2 += weight * level * level;
            sum_xl += weight * level * value;
        }
        // Least squares of a line through the levels.
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        if determinant <= 0.0 {
            continue;
        }
        let mut new_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
        let mut new_smallest = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
        if new_smallest > 0.0 {
            new_smallest = 0.0;
            new_scale = sum_xl / sum_l2;
        }
        let new_error = error(new_scale, new_smallest, &levels);
        if new_error < best_error {
            (best_error, best_levels, scale, smallest) =
                (new_error, levels, new_scale, new_smallest);
        }
    }
    (scale, -smallest, best_levels)
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
        let (scale, levels) = around_zero(&values, 8);
        assert_eq!(scale, 0.25);
        assert_eq!(levels, std::array::from_fn(|i| i as u8));
        assert_eq!(around_zero(&[1e-16; 16], 8), (0.0, [0; 16]));
    }

    #[test]
    fn a_line_that_fits_is_found() {
        let search = Search {
            top: 15,
            first: -1.0,
            step: 0.1,
            n_steps: 20,
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
