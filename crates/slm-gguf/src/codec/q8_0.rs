//! Q8_0: 32 signed bytes that share a scale.
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | scale `d`, F16 |
//! | 2..34 | `q`, i8; element = `d * q` |
//!
//! `d` is the largest magnitude over 127. Elements are divided by `d` before it is rounded to F16, and rounded half away from
//! zero.

use super::{inverse, largest_magnitude, read_f16, write_f16};

const LEN: usize = 32;
const BYTES: usize = 34;

pub(super) fn dequantize(block: &[u8; BYTES], values: &mut [f32; LEN]) {
    let d = read_f16(block, 0);
    for (value, &q) in values.iter_mut().zip(&block[2..]) {
        *value = f32::from(q as i8) * d;
    }
}

pub(super) fn quantize(values: &[f32; LEN], block: &mut [u8; BYTES]) {
    let d = largest_magnitude(values).abs() / 127.0;
    let inverse = inverse(d);
    write_f16(block, 0, d);
    for (q, &value) in block[2..].iter_mut().zip(values) {
        *q = round_half_away(value * inverse) as i8 as u8;
    }
}

/// `roundf` for what fits i32, in steps that exist as vector instructions everywhere.
fn round_half_away(value: f32) -> i32 {
    let whole = value as i32;
    // Exact: both are multiples of the last place of `value`.
    let rest = value - whole as f32;
    whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_as_roundf() {
        for n in -130_000..=130_000 {
            let value = n as f32 / 1024.0;
            assert_eq!(round_half_away(value), value.round() as i32);
        }
        let below_half = 0.5f32.next_down();
        assert_eq!(round_half_away(below_half), 0); // adding 0.5 would make it 1
        assert_eq!(round_half_away(-below_half), 0);
    }

    #[test]
    fn a_block_by_hand() {
        // Largest 254, so d = 2; q = value / 2, half away from zero.
        let mut values = [0.0; LEN];
        values[..6].copy_from_slice(&[254.0, -254.0, 3.0, -3.0, 1.0, 0.9]);
        let mut block = [0xee; BYTES];
        quantize(&values, &mut block);
        assert_eq!(block[..2], [0x00, 0x40]); // 2.0
        assert_eq!(block[2..8], [127, 129, 2, 254, 1, 0]);
        assert!(block[8..].iter().all(|&q| q == 0));

        let mut back = [0.0; LEN];
        dequantize(&block, &mut back);
        assert_eq!(back[..6], [254.0, -254.0, 4.0, -4.0, 2.0, 0.0]);
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut block = [0xee; BYTES];
        quantize(&[0.0; LEN], &mut block);
        assert_eq!(block, [0; BYTES]);
    }
}
