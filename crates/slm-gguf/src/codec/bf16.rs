//! BF16: the upper two bytes of an F32, little-endian, rounded to nearest even.

pub(super) fn dequantize(bytes: &[u8], values: &mut [f32]) {
    for (bytes, value) in bytes.as_chunks().0.iter().zip(values) {
        *value = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
    }
}

pub(super) fn quantize(values: &[f32], bytes: &mut [u8]) {
    for (value, bytes) in values.iter().zip(bytes.as_chunks_mut().0) {
        *bytes = rounded(value.to_bits()).to_le_bytes();
    }
}

/// The upper half of an F32's bits, rounded to nearest even; a NaN is made quiet and stays one.
fn rounded(bits: u32) -> u16 {
    let is_nan = bits & 0x7fff_ffff > 0x7f80_0000;
    let upper = bits >> 16;
    // The largest finite numbers overflow into infinity; only a NaN could overflow into the sign, and is not taken from here.
    let nearest = bits.wrapping_add(0x7fff + (upper & 1)) >> 16;
    (if is_nan { upper | 0x40 } else { nearest }) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_nearest_even() {
        assert_eq!(rounded(0x3f80_0000), 0x3f80);
        assert_eq!(rounded(0x3f80_8000), 0x3f80); // a tie goes to the even one, down
        assert_eq!(rounded(0x3f81_8000), 0x3f82); // and up
        assert_eq!(rounded(0x3f80_8001), 0x3f81);
        assert_eq!(rounded(0xbf80_7fff), 0xbf80);
        assert_eq!(rounded(f32::MAX.to_bits()), 0x7f80); // infinity
        assert_eq!(rounded(1), 0); // the smallest F32
        assert_eq!(rounded(0x0000_8001), 1);
    }

    #[test]
    fn a_nan_stays_one() {
        assert_eq!(rounded(0x7f80_0001), 0x7fc0);
        assert_eq!(rounded(0xffff_ffff), 0xffff);
        assert_eq!(rounded(0x7f80_0000), 0x7f80);
    }

    #[test]
    fn every_bf16_leads_back() {
        let all: Vec<u8> = (0..=u16::MAX)
            .filter(|bits| bits & 0x7f80 != 0x7f80)
            .flat_map(u16::to_le_bytes)
            .collect();
        let mut values = vec![0.0; all.len() / 2];
        dequantize(&all, &mut values);
        let mut back = vec![0; all.len()];
        quantize(&values, &mut back);
        assert_eq!(back, all);
    }
}
