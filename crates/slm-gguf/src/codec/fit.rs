//! Searches for the scale that loses least, for a few elements at a time.
//!
//! They are greedy: they round with one scale, fit the best scale to those levels in closed form, and repeat with a slightly
//! different start. The order of every addition is ggml's. [`around_zero`] is its `make_qx_quants`; lines are in `fit_line.rs`,
//! and searches that move levels one by one in `fit_levels.rs`.

use super::largest_magnitude;

/// Below this all elements count as 0: `GROUP_MAX_EPS` in ggml.
pub(super) const ALL_ZERO: f32 = 1e-15;

/// 1.5 * 2^23: a number this large has no bits behind the point.
const PUSH: f32 = 12_582_912.0;

/// Rounds half to even, by pushing everything behind the point out of the mantissa.
///
/// Right up to 2^22; beyond it gives the same wrong number as ggml, which some searches rely on to be cut off.
pub(super) fn nearest(value: f32) -> i32 {
    ((value + PUSH).to_bits() & 0x007f_ffff) as i32 - 0x0040_0000
}

/// Elements of `G` groups of `N`, side by side: `lanes[i][group]`.
///
/// Sums have to be made in the order of the elements, but groups do not know of each other, so that many can be summed at once.
pub(super) type Lanes<T, const N: usize, const G: usize> = [[T; G]; N];

/// Groups that lie one behind the other, side by side.
pub(super) fn side_by_side<T: Copy, const N: usize, const G: usize>(
    groups: &[T],
) -> Lanes<T, N, G> {
    std::array::from_fn(|i| std::array::from_fn(|group| groups[group * N + i]))
}

/// Groups that lie side by side, one behind the other.
pub(super) fn in_a_row<T: Copy, const N: usize, const G: usize>(
    lanes: &Lanes<T, N, G>,
    groups: &mut [T],
) {
    for (group, values) in groups.chunks_exact_mut(N).enumerate() {
        for (value, lane) in values.iter_mut().zip(lanes) {
            *value = lane[group];
        }
    }
}

/// A scale and levels for each group such that elements come near `scale * (level - middle)`, with levels up to
/// `2 * middle - 1`.
///
/// Errors count by their square times the element's weight.
pub(super) fn around_zero<const N: usize, const G: usize>(
    values: &Lanes<f32, N, G>,
    weights: &Lanes<f32, N, G>,
    middle: i32,
) -> ([f32; G], Lanes<u8, N, G>) {
    let largest: [f32; G] = std::array::from_fn(|g| largest_magnitude(&values.map(|lane| lane[g])));
    let inverse_of = |step: i8| largest.map(|x| -(middle as f32 + 0.1 * f32::from(step)) / x);
    let weighted = std::array::from_fn(|i| std::array::from_fn(|g| weights[i][g] * values[i][g]));
    let mut inverse = inverse_of(0);
    let (sum_xl, sum_l2) = sums(values, weights, &weighted, inverse, middle);
    let ratio = |g: usize| {
        if sum_l2[g] == 0.0 {
            0.0
        } else {
            sum_xl[g] / sum_l2[g]
        }
    };
    let mut scale: [f32; G] = std::array::from_fn(ratio);
    let mut best: [f32; G] = std::array::from_fn(|g| scale[g] * sum_xl[g]);
    for step in (-9..=9).filter(|&step| step != 0) {
        let tried = inverse_of(step);
        let (sum_xl, sum_l2) = sums(values, weights, &weighted, tried, middle);
        for g in 0..G {
            if sum_l2[g] > 0.0 && sum_xl[g] * sum_xl[g] > best[g] * sum_l2[g] {
                (inverse[g], scale[g]) = (tried[g], sum_xl[g] / sum_l2[g]);
                best[g] = scale[g] * sum_xl[g];
            }
        }
    }
    let is_zero = largest.map(|x| x.abs() < ALL_ZERO);
    let level = |x: f32, g: usize| match is_zero[g] {
        true => 0,
        false => (nearest(inverse[g] * x).clamp(-middle, middle - 1) + middle) as u8,
    };
    let levels = values.map(|lane| std::array::from_fn(|g| level(lane[g], g)));
    let scale = std::array::from_fn(|g| if is_zero[g] { 0.0 } else { scale[g] });
    (scale, levels)
}

/// Weighted sums of element times level and of level squared, for the levels that `inverse` gives.
///
/// Levels stay floats: no element is larger than the one that `inverse` takes to `middle` or a little beyond, where adding
/// and subtracting a large number rounds as [`nearest`] does.
fn sums<const N: usize, const G: usize>(
    values: &Lanes<f32, N, G>,
    weights: &Lanes<f32, N, G>,
    weighted: &Lanes<f32, N, G>,
    inverse: [f32; G],
    middle: i32,
) -> ([f32; G], [f32; G]) {
    let (lowest, highest) = (-middle as f32, (middle - 1) as f32);
    let (mut sum_xl, mut sum_l2) = ([0f32; G], [0f32; G]);
    for i in 0..N {
        for g in 0..G {
            let level = (inverse[g] * values[i][g] + PUSH) - PUSH;
            let level = if level < lowest { lowest } else { level };
            let level = if level > highest { highest } else { level };
            sum_xl[g] += weighted[i][g] * level;
            sum_l2[g] += weights[i][g] * level * level;
        }
    }
    (sum_xl, sum_l2)
}

/// The same for one group.
pub(super) fn one_around_zero<const N: usize>(
    values: &[f32; N],
    weights: &[f32; N],
    middle: i32,
) -> (f32, [u8; N]) {
    let alone = |values: &[f32; N]| values.map(|value| [value]);
    let ([scale], levels) = around_zero(&alone(values), &alone(weights), middle);
    (scale, levels.map(|[level]| level))
}

/// What each group of `N` weighs.
pub(super) fn sums_of_groups<const N: usize, const GROUPS: usize>(
    weights: &[f32],
) -> [f32; GROUPS] {
    let groups = weights.as_chunks::<N>().0;
    std::array::from_fn(|group| groups[group].iter().fold(0.0, |sum, weight| sum + weight))
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
        let (scale, levels) = one_around_zero(&values, &[1.0; 16], 8);
        assert_eq!(scale, 0.25);
        assert_eq!(levels, std::array::from_fn(|i| i as u8));
        assert_eq!(one_around_zero(&[1e-16; 16], &[1.0; 16], 8), (0.0, [0; 16]));
    }

    #[test]
    fn groups_do_not_know_of_each_other() {
        let groups: [f32; 64] = std::array::from_fn(|i| (i as f32 * 0.7).sin() * (i / 16) as f32);
        let lanes = side_by_side::<_, 16, 4>(&groups);
        let (scales, levels) = around_zero(&lanes, &[[1.0; 4]; 16], 8);
        let mut in_order = [0; 64];
        in_a_row(&levels, &mut in_order);
        for (g, group) in groups.as_chunks::<16>().0.iter().enumerate() {
            let (scale, levels) = one_around_zero(group, &[1.0; 16], 8);
            assert_eq!((scales[g], &in_order[16 * g..][..16]), (scale, &levels[..]));
        }
    }
}
