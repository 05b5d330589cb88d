//! The sixteen levels of IQ4_NL and IQ4_XS, which lie closer together around zero.
//!
//! The order of every addition is that of ggml's `quantize_row_iq4_nl_impl`.

use super::fit::ALL_ZERO;
use super::largest_magnitude;

/// `kvalues_iq4nl` in `ggml-common.h`.
const NUMBERS: [i8; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];
/// How many scales are tried on each side of the first.
const STEPS: i16 = 7;

/// The number that a level stands for.
pub(super) fn number(level: u8) -> f32 {
    NUMBERS[usize::from(level & 0xf)].into()
}

/// The level whose number is nearest to each value times `inverse`; halfway between two, the higher.
pub(super) fn nearest(values: &[f32; 32], inverse: f32) -> [u8; 32] {
    values.map(|value| {
        let value = value * inverse;
        // As many as there are middles that do not lie above: all fifteen at once, instead of ggml's search by halves.
        let below =
            |pair: &[i8]| u8::from(value >= (f32::from(pair[0]) + f32::from(pair[1])) / 2.0);
        NUMBERS.windows(2).map(below).sum()
    })
}

/// The scale that loses least; errors count by their square times the element's weight.
pub(super) fn scale(values: &[f32; 32], weights: &[f32; 32]) -> f32 {
    let largest = largest_magnitude(values);
    if largest.abs() < ALL_ZERO {
        return 0.0;
    }
    let lowest = f32::from(NUMBERS[0]);
    let (sum_xn, sum_n2) = sums(values, weights, 1.0 / (-largest / lowest));
    let mut scale = if sum_n2 > 0.0 { sum_xn / sum_n2 } else { 0.0 };
    let mut best = scale * sum_xn;
    for step in -STEPS..=STEPS {
        let (sum_xn, sum_n2) = sums(values, weights, (f32::from(step) + lowest) / largest);
        if sum_n2 > 0.0 && sum_xn * sum_xn > best * sum_n2 {
            scale = sum_xn / sum_n2;
            best = scale * sum_xn;
        }
    }
    scale
}

/// Weighted sums of number times element and of number squared, for the numbers nearest to `inverse` times the elements.
fn sums(values: &[f32; 32], weights: &[f32; 32], inverse: f32) -> (f32, f32) {
    let (mut sum_xn, mut sum_n2) = (0f32, 0f32);
    let levels = nearest(values, inverse);
    for ((&value, &weight), level) in values.iter().zip(weights).zip(levels) {
        let number = number(level);
        sum_xn += weight * number * value;
        sum_n2 += weight * number * number;
    }
    (sum_xn, sum_n2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_number_is_found() {
        let mut values = [0.0; 32];
        let some = [
            -200.0, -127.0, -115.6, -115.5, 0.0, 1.0, 7.0, 6.9, 101.0, 500.0, -4.5,
        ];
        values[..some.len()].copy_from_slice(&some);
        assert_eq!(
            nearest(&values, 1.0)[..some.len()],
            [0, 0, 0, 1, 8, 8, 9, 8, 15, 15, 8]
        );
        assert_eq!(
            nearest(&values.map(|value| value * 0.5), 2.0),
            nearest(&values, 1.0)
        );
    }

    #[test]
    fn a_scale_that_fits_is_found() {
        let values: [f32; 32] = std::array::from_fn(|i| number(i as u8) * 0.5);
        assert_eq!(scale(&values, &[1.0; 32]), 0.5);
        assert_eq!(scale(&[1e-16; 32], &[1.0; 32]), 0.0);
    }
}
