//! Q4_1: 32 levels of four bits, with a scale and the smallest element.
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | scale `d`, F16 |
//! | 2..4 | smallest element `m`, F16 |
//! | 4..20 | levels; element = `d * level + m` |

use super::fit_line::{self, Search};
use super::{levels, read_f16, write_f16};

const LEN: usize = 32;
const BYTES: usize = 20;

pub(super) fn dequantize(block: &[u8; BYTES], values: &mut [f32; LEN]) {
    let (d, m) = (read_f16(block, 0), read_f16(block, 2));
    *values = levels::unpack_low(&block[4..]).map(|level| f32::from(level) * d + m);
}

pub(super) fn quantize(values: &[f32; LEN], block: &mut [u8; BYTES]) {
    let (d, m, levels) = levels::from_smallest(values, 15);
    write((d, m), &levels, block);
}

pub(super) fn quantize_weighted(
    values: &[f32; LEN],
    weights: &[f32; LEN],
    block: &mut [u8; BYTES],
) {
    let search = Search::weighted(15);
    let (d, offset, levels) = fit_line::one_from_smallest(values, weights, search);
    write((d, -offset), &levels, block);
}

fn write((d, m): (f32, f32), levels: &[u8; LEN], block: &mut [u8; BYTES]) {
    write_f16(block, 0, d);
    write_f16(block, 2, m);
    levels::pack_low(levels, &mut block[4..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_by_hand() {
        let mut values = [-2.0; LEN];
        (values[0], values[16]) = (5.5, 1.0);
        let mut block = [0xee; BYTES];
        quantize(&values, &mut block);
        let mut expected = [0; BYTES];
        expected[..5].copy_from_slice(&[0x00, 0x38, 0x00, 0xc0, 0x6f]); // d = 0.5, m = -2; levels 15 and 6
        assert_eq!(block, expected);
        let mut back = [1.0; LEN];
        dequantize(&block, &mut back);
        assert_eq!(back, values);
    }
}
