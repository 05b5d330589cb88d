//! Floats of 8 bits: a sign, 4 bits of exponent, 3 of mantissa, no infinity (`E4M3FN`, OCP's 8-bit formats).

/// The largest number.
pub const MAX: f32 = 448.0;

/// The nearest one, ties to even; what is larger than [`MAX`] becomes it.
pub fn to_bits(x: f32) -> u8 {
    let sign = (x.to_bits() >> 24) as u8 & 0x80;
    let size = x.abs().min(MAX);
    // The exponent of f32; below 2^-6 steps stay the same.
    let exponent = ((size.to_bits() >> 23) as i32 - 127).max(-6);
    let steps = (size / 2f32.powi(exponent - 3)).round_ties_even() as i32;
    sign | (((exponent + 6) << 3) + steps) as u8
}

/// The number; NaN for `0x7f` and `0xff`.
pub fn from_bits(bits: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(bits >> 3 & 15), f32::from(bits & 7));
    let size = match (exponent, bits & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa * 2f32.powi(-9),
        _ => (8.0 + mantissa) * 2f32.powi(exponent - 10),
    };
    if bits & 0x80 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() {
        for bits in (0..=255u8).filter(|bits| bits & 0x7f != 0x7f) {
            assert_eq!(to_bits(from_bits(bits)), bits, "{}", from_bits(bits));
        }
        assert!(from_bits(0x7f).is_nan());
    }

    #[test]
    fn halves_go_to_the_even_one() {
        // Steps of 1 between 8 and 16, of 2^-9 below 2^-6.
        for (x, rounded) in [(8.5, 8.0), (9.5, 10.0), (15.6, 16.0), (1e9, MAX)] {
            assert_eq!(from_bits(to_bits(x)), rounded);
            assert_eq!(from_bits(to_bits(-x)), -rounded);
        }
        let step = 2f32.powi(-9);
        assert_eq!(from_bits(to_bits(2.5 * step)), 2.0 * step);
        assert_eq!(from_bits(to_bits(0.4 * step)), 0.0);
    }
}
