//! F16: the two little-endian bytes of an IEEE half, rounded to nearest even.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// How many are converted at a time: the processor's instruction takes 8, looking for it is not free.
const CHUNK: usize = 64;

pub(super) fn dequantize(bytes: &[u8], values: &mut [f32]) {
    for (bytes, values) in bytes.chunks(2 * CHUNK).zip(values.chunks_mut(CHUNK)) {
        let mut halves = [f16::ZERO; CHUNK];
        for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks().0) {
            *half = f16::from_le_bytes(*bytes);
        }
        halves[..values.len()].convert_to_f32_slice(values);
    }
}

pub(super) fn quantize(values: &[f32], bytes: &mut [u8]) {
    for (values, bytes) in values.chunks(CHUNK).zip(bytes.chunks_mut(2 * CHUNK)) {
        let mut halves = [f16::ZERO; CHUNK];
        halves[..values.len()].convert_from_f32_slice(values);
        for (half, bytes) in halves.iter().zip(bytes.as_chunks_mut().0) {
            *bytes = half.to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(value: f32) -> u16 {
        let mut bytes = [0; 2];
        quantize(&[value], &mut bytes);
        u16::from_le_bytes(bytes)
    }

    #[test]
    fn rounds_to_nearest_even() {
        let step = 2f32.powi(-10); // between halves from 1 to 2
        assert_eq!(bits(1.0), 0x3c00);
        assert_eq!(bits(1.0 + 0.5 * step), 0x3c00); // a tie goes to the even one, down
        assert_eq!(bits(1.0 + 1.5 * step), 0x3c02); // and up
        assert_eq!(bits(1.0 + 0.51 * step), 0x3c01);
        assert_eq!(bits(-2.0), 0xc000);
        assert_eq!(bits(65504.0), 0x7bff); // the largest
        assert_eq!(bits(65519.0), 0x7bff);
        assert_eq!(bits(65520.0), 0x7c00); // infinity
        assert_eq!(bits(2f32.powi(-24)), 1); // the smallest
        assert_eq!(bits(2f32.powi(-25)), 0); // a tie
        assert_eq!(bits(2f32.powi(-25) * 1.001), 1);
    }

    #[test]
    fn every_half_leads_back() {
        let all: Vec<u8> = (0..=u16::MAX)
            .filter(|bits| bits & 0x7c00 != 0x7c00)
            .flat_map(u16::to_le_bytes)
            .collect();
        let mut values = vec![0.0; all.len() / 2];
        dequantize(&all, &mut values);
        let mut back = vec![0; all.len()];
        quantize(&values, &mut back);
        assert_eq!(back, all);
    }
}
