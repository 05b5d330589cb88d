//! Q5_0: 32 levels of five bits around zero, with a scale.
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | scale `d`, F16 |
//! | 2..6 | fifth bits |
//! | 6..22 | low four bits; element = `d * (level - 16)` |

use super::{fit, levels, read_f16, write_f16};

const LEN: usize = 32;
const BYTES: usize = 22;

pub(super) fn dequantize(block: &[u8; BYTES], values: &mut [f32; LEN]) {
    let d = read_f16(block, 0);
    *values = levels::unpack(&block[6..], &block[2..6]).map(|level| (f32::from(level) - 16.0) * d);
}

pub(super) fn quantize(values: &[f32; LEN], block: &mut [u8; BYTES]) {
    let (d, levels) = levels::around_zero(values, 16);
    write(d, &levels, block);
}

pub(super) fn quantize_weighted(
    values: &[f32; LEN],
    weights: &[f32; LEN],
    block: &mut [u8; BYTES],
) {
    let (d, levels) = fit::one_around_zero(values, weights, 16);
    write(d, &levels, block);
}

fn write(d: f32, levels: &[u8; LEN], block: &mut [u8; BYTES]) {
    write_f16(block, 0, d);
    levels::pack_high(levels, &mut block[2..6]);
    levels::pack_low(levels, &mut block[6..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_by_hand() {
        let mut values = [0.0; LEN];
        (values[0], values[1], values[31]) = (-8.0, 1.0, -0.5);
        let mut block = [0xee; BYTES];
        quantize(&values, &mut block);
        // d = 0.5; levels 0, 18, 15, the others 16: fifth bits everywhere but in the first and the last.
        let mut expected = [0; BYTES];
        expected[..6].copy_from_slice(&[0x00, 0x38, 0xfe, 0xff, 0xff, 0x7f]);
        (expected[7], expected[21]) = (0x02, 0xf0);
        assert_eq!(block, expected);
        let mut back = [1.0; LEN];
        dequantize(&block, &mut back);
        assert_eq!(back, values);
    }
}
