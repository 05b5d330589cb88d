//! Q4_0: 32 levels of four bits around zero, with a scale.
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | scale `d`, F16 |
//! | 2..18 | levels; element = `d * (level - 8)` |

use super::{fit, levels, read_f16, write_f16};

const LEN: usize = 32;
const BYTES: usize = 18;

pub(super) fn dequantize(block: &[u8; BYTES], values: &mut [f32; LEN]) {
    let d = read_f16(block, 0);
    *values = levels::unpack_low(&block[2..]).map(|level| (f32::from(level) - 8.0) * d);
}

pub(super) fn quantize(values: &[f32; LEN], block: &mut [u8; BYTES]) {
    let (d, levels) = levels::around_zero(values, 8);
    write(d, &levels, block);
}

pub(super) fn quantize_weighted(
    values: &[f32; LEN],
    weights: &[f32; LEN],
    block: &mut [u8; BYTES],
) {
    let (d, levels) = fit::one_around_zero(values, weights, 8);
    write(d, &levels, block);
}

fn write(d: f32, levels: &[u8; LEN], block: &mut [u8; BYTES]) {
    write_f16(block, 0, d);
    levels::pack_low(levels, &mut block[2..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_by_hand() {
        let mut values = [0.0; LEN];
        (values[0], values[1], values[17]) = (-4.0, 1.0, 3.5);
        let mut block = [0xee; BYTES];
        quantize(&values, &mut block);
        let mut expected = [0x88; BYTES];
        expected[..4].copy_from_slice(&[0x00, 0x38, 0x80, 0xfa]); // d = 0.5; levels 0 and 8, 10 and 15
        assert_eq!(block, expected);
        let mut back = [1.0; LEN];
        dequantize(&block, &mut back);
        assert_eq!(back, values);
    }
}
