//! F32: four little-endian bytes.

pub(super) fn dequantize(bytes: &[u8], values: &mut [f32]) {
    for (bytes, value) in bytes.as_chunks().0.iter().zip(values) {
        *value = f32::from_le_bytes(*bytes);
    }
}

pub(super) fn quantize(values: &[f32], bytes: &mut [u8]) {
    for (value, bytes) in values.iter().zip(bytes.as_chunks_mut().0) {
        *bytes = value.to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_survives() {
        let values = [1.0, -0.0, f32::MIN_POSITIVE / 2.0, f32::INFINITY];
        let mut bytes = [0; 16];
        quantize(&values, &mut bytes);
        assert_eq!(bytes[..8], [0, 0, 0x80, 0x3f, 0, 0, 0, 0x80]);
        let mut back = [0.0; 4];
        dequantize(&bytes, &mut back);
        assert_eq!(back.map(f32::to_bits), values.map(f32::to_bits));
    }
}
