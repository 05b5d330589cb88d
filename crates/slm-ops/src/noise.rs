//! Random numbers of training, from a counter: functions of their seed alone, the same on every backend and after a resume.

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

/// A dropout mask `[rows, columns]` from a counter-based generator: a function of `seed` alone, on every backend.
pub fn dropout_mask(p: f64, seed: u64, [rows, columns]: [usize; 2], device: &Device) -> Tensor<2> {
    let keep = (1.0 / (1.0 - p)) as f32;
    let threshold = (p * u32::MAX as f64) as u32;
    let values: Vec<f32> = (0..(rows * columns) as u64)
        .map(|i| {
            if word(seed, i) >= threshold {
                keep
            } else {
                0.0
            }
        })
        .collect();
    Tensor::from_data(TensorData::new(values, [rows, columns]), device)
}

/// Uniform numbers in ±`bound`: `[batch, time, columns]`, f32.
pub fn uniform_noise(bound: f64, seed: u64, shape: [usize; 3], device: &Device) -> Tensor<3> {
    let unit = |i: u64| f64::from(word(seed, i)) / f64::from(u32::MAX);
    let values: Vec<f32> = (0..shape.iter().product::<usize>() as u64)
        .map(|i| (bound * (2.0 * unit(i) - 1.0)) as f32)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
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
fn word(seed: u64, i: u64) -> u32 {
    (mix(seed ^ mix(i)) >> 32) as u32
}

/// SplitMix64's finaliser (Steele, Lea, Flood 2014): one well-mixed word per counter.
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
    fn a_dropout_mask_keeps_its_mean_and_its_seed() {
        let device = Device::flex();
        let mask = |seed| {
            dropout_mask(0.25, seed, [100, 100], &device)
                .into_data()
                .try_to_vec::<f32>()
                .unwrap()
        };
        let mean = mask(7).iter().sum::<f32>() / 10_000.0;
        assert!((mean - 1.0).abs() < 0.03, "mean {mean}");
        assert_eq!(mask(7), mask(7));
        assert_ne!(mask(7), mask(8));
    }

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
