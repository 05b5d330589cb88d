//! Dropout whose mask is a function of its seed: it is made again where it is needed, and never kept.

mod flex;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::noise::word;

/// Sets values to 0 with probability `p`, and multiplies the others by `1 / (1 - p)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    pub p: f64,
    pub seed: u64,
}

impl Dropout {
    /// What values are multiplied by, `[rows, columns]`; the same on every backend.
    pub fn mask(self, [rows, columns]: [usize; 2], device: &Device) -> Tensor<2> {
        let values = self.factors(rows * columns);
        Tensor::from_data(TensorData::new(values, [rows, columns]), device)
    }

    /// The same of `n` values in a row.
    pub(crate) fn factors(self, n: usize) -> Vec<f32> {
        let draw = self.draw();
        let factors = (0..n as u64).into_par_iter();
        factors.map(|i| draw.factor(i)).collect()
    }

    /// `x` with values dropped, `[rows, columns]`. In the graph, the mask is kept.
    pub(crate) fn of(self, x: Tensor<2>) -> Tensor<2> {
        let mask = self.mask(x.dims(), &x.device().inner());
        x.mul(mask)
    }

    fn draw(self) -> Draw {
        Draw {
            keep: (1.0 / (1.0 - self.p)) as f32,
            threshold: (self.p * f64::from(u32::MAX)) as u32,
            seed: self.seed,
        }
    }
}

/// What a mask is drawn by.
#[derive(Clone, Copy)]
struct Draw {
    keep: f32,
    threshold: u32,
    seed: u64,
}

impl Draw {
    /// What the `i`-th value is multiplied by.
    #[inline(always)]
    fn factor(self, i: u64) -> f32 {
        match word(self.seed, i) >= self.threshold {
            true => self.keep,
            false => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(seed: u64) -> Vec<f32> {
        let mask = Dropout { p: 0.25, seed }.mask([100, 100], &Device::flex());
        mask.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn a_mask_keeps_its_mean_and_its_seed() {
        let mean = mask(7).iter().sum::<f32>() / 10_000.0;
        assert!((mean - 1.0).abs() < 0.03, "mean {mean}");
        assert_eq!(mask(7), mask(7));
        assert_ne!(mask(7), mask(8));
        assert!(mask(7).iter().all(|x| *x == 0.0 || *x == 4.0 / 3.0));
    }

    /// Runs that were begun earlier go on with the masks that they had.
    #[test]
    fn a_seed_has_always_had_the_same_mask() {
        let dropped = |seed: u64| -> Vec<usize> {
            let mask = mask(seed);
            (0..24).filter(|i| mask[*i] == 0.0).collect()
        };
        // By SplitMix64 in Python: (mix(seed ^ mix(i)) >> 32) < floor(0.25 (2**32 - 1)).
        assert_eq!(dropped(7), [2, 6, 7, 11]);
        assert_eq!(dropped(1 << 40), [1, 2, 3, 6, 7, 15, 18]);
    }
}
