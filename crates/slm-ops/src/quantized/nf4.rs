//! NF4 (Dettmers et al. 2023), as bitsandbytes stores it: 4 bits per value in blocks of 64 along the rows laid end to end.

use std::sync::LazyLock;

use rayon::prelude::*;

use super::dynamic_map;

/// Values that share a scale.
pub(super) const BLOCK: usize = 64;
/// Scales that share a scale of their own, where scales are quantized too.
pub(super) const GROUP: usize = 256;

/// The 16 values of the codes: quantiles of the normal distribution, with a zero, scaled to ±1 (`get_4bit_type("nf4")` of
/// bitsandbytes).
pub(super) const VALUES: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// The values of the codes that scales are quantized to.
static SCALES: LazyLock<Vec<f32>> = LazyLock::new(|| dynamic_map(true));

/// A matrix in 4 bits per value.
#[derive(Clone, Debug, PartialEq)]
pub struct Nf4 {
    /// Two codes a byte, the first in the high half.
    pub packed: Vec<u8>,
    /// The largest magnitude of each block.
    pub absmax: Absmax,
}

/// The scales of NF4's blocks.
#[derive(Clone, Debug, PartialEq)]
pub enum Absmax {
    /// One f32 per block.
    Plain(Vec<f32>),
    /// Double quantization: what a scale differs from the mean of all by, in 8 bits.
    Double {
        /// Numbers in [`dynamic_map`].
        codes: Vec<u8>,
        /// The largest magnitude of each 256 differences.
        absmax: Vec<f32>,
        /// The mean.
        offset: f32,
    },
}

impl Nf4 {
    /// The codes of `values`, each the nearest of its block; `double` quantizes the scales, too.
    ///
    /// A last block that is not full is stored as it is; an odd number of values is followed by a code that means 0.
    pub fn of(values: &[f32], double: bool) -> Self {
        let largest = |block: &[f32]| block.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        let absmax: Vec<f32> = values.par_chunks(BLOCK).map(largest).collect();
        let mut packed = vec![0; values.len().div_ceil(2)];
        let bounds = midpoints(&VALUES);
        packed
            .par_chunks_mut(BLOCK / 2)
            .zip(values.par_chunks(BLOCK))
            .zip(&absmax)
            .for_each(|((packed, values), absmax)| {
                // A block of zeros is divided by something, too.
                let unit = 1.0 / absmax.max(1e-38);
                let code = |value: &f32| {
                    let value = value * unit;
                    bounds.iter().map(|b| u8::from(*b < value)).sum::<u8>()
                };
                for (byte, pair) in packed.iter_mut().zip(values.chunks(2)) {
                    *byte = code(&pair[0]) << 4 | pair.get(1).map_or(ZERO, code);
                }
            });
        Self {
            packed,
            absmax: match double {
                false => Absmax::Plain(absmax),
                true => Absmax::double(&absmax),
            },
        }
    }
}

/// The code of 0.
pub(super) const ZERO: u8 = 7;

impl Absmax {
    /// The mean is taken in f64; bitsandbytes' is that of a sum in f32, and may be off by its last bits.
    fn double(scales: &[f32]) -> Self {
        let sum: f64 = scales.iter().map(|s| f64::from(*s)).sum();
        let offset = (sum / scales.len() as f64) as f32;
        let (mut codes, mut absmax) = (Vec::new(), Vec::new());
        let bounds = midpoints(&SCALES);
        for group in scales.chunks(GROUP) {
            let differences: Vec<f32> = group.iter().map(|s| s - offset).collect();
            let largest = differences.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            let unit = 1.0 / largest.max(1e-38);
            let code = |v: &f32| bounds.partition_point(|bound| *bound < v * unit) as u8;
            codes.extend(differences.iter().map(code));
            absmax.push(largest);
        }
        Self::Double {
            codes,
            absmax,
            offset,
        }
    }
}

/// The scales that double quantization stands for.
pub(super) fn scales(codes: &[u8], absmax: &[f32], offset: f32) -> Vec<f32> {
    let mut scales = Vec::with_capacity(codes.len());
    for (codes, absmax) in codes.chunks(GROUP).zip(absmax) {
        let scale = |code: &u8| SCALES[usize::from(*code)] * absmax + offset;
        scales.extend(codes.iter().map(scale));
    }
    scales
}

/// The first `n` values that `packed` stands for.
pub(super) fn dequantize(packed: &[u8], scales: &[f32], n: usize) -> Vec<f32> {
    let pairs = pairs();
    let mut values = vec![0.0; n];
    values
        .par_chunks_mut(BLOCK)
        .zip(packed.par_chunks(BLOCK / 2))
        .zip(scales)
        .for_each(|((values, packed), scale)| {
            for (values, byte) in values.chunks_mut(2).zip(packed) {
                let pair = pairs[usize::from(*byte)];
                for (value, of_pair) in values.iter_mut().zip(pair) {
                    *value = of_pair * scale;
                }
            }
        });
    values
}

/// The two values of every byte.
pub(super) fn pairs() -> [[f32; 2]; 256] {
    std::array::from_fn(|byte| [VALUES[byte >> 4], VALUES[byte & 15]])
}

/// Where the nearest value changes.
fn midpoints(values: &[f32]) -> Vec<f32> {
    let between = values.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
    between.collect()
}
