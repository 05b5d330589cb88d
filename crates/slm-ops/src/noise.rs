//! Random numbers of training, from a counter: functions of their seed alone, the same on every backend and after a resume.

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use crate::upload::floats;

/// Uniform numbers in ±`bound`: `[batch, time, columns]`, f32.
pub fn uniform_noise(bound: f64, seed: u64, shape: [usize; 3], device: &Device) -> Tensor<3> {
    let unit = |i: u64| f64::from(word(seed, i)) / f64::from(u32::MAX);
    let values: Vec<f32> = (0..shape.iter().product::<usize>() as u64)
        .map(|i| (bound * (2.0 * unit(i) - 1.0)) as f32)
        .collect();
    floats(values, shape, device)
}

/// `n` numbers, uniform in ±`bound`, by all threads: weights of which only the spread matters.
pub fn uniform_values(bound: f32, seed: u64, n: usize) -> Vec<f32> {
    let unit = |i: u64| word(seed, i) as f32 / u32::MAX as f32;
    (0..n as u64)
        .into_par_iter()
        .map(|i| bound * (2.0 * unit(i) - 1.0))
        .collect()
}

/// The `i`-th word of a seed's stream.
#[inline(always)]
pub(crate) fn word(seed: u64, i: u64) -> u32 {
    (mix(seed ^ mix(i)) >> 32) as u32
}

/// SplitMix64's finaliser (Steele, Lea, Flood 2014): one well-mixed word per counter.
#[inline(always)]
pub fn mix(counter: u64) -> u64 {
    let mut z = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_fills_its_bounds_evenly() {
        let values = uniform_noise(0.5, 3, [10, 10, 100], &Device::flex()).into_data();
        let values = values.try_to_vec::<f32>().unwrap();
        let mean = values.iter().sum::<f32>() / 10_000.0;
        let largest = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        assert!(
            mean.abs() < 0.01 && largest <= 0.5 && largest > 0.499,
            "{mean} {largest}"
        );
    }
}
