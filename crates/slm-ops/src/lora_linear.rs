//! A frozen linear layer with its low-rank adapter.

use burn::tensor::{Tensor, TensorData};

/// The low-rank pair of one linear layer, as one call needs it.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// `[r, in]`, HF layout.
    pub a: Tensor<2>,
    /// `[out, r]`, HF layout.
    pub b: Tensor<2>,
    /// `alpha / r`.
    pub scale: f64,
    /// What the adapter's input is multiplied by: 0 or `1 / (1 - p)` per element, `[rows, in]`; `None` without dropout.
    pub dropout: Option<Tensor<2>>,
}

/// `y = x Wᵀ + bias + scale · (drop(x) Aᵀ) Bᵀ`
///
/// # Shapes
/// - `x`: `[rows, in]`
/// - `weight`: `[out, in]`, HF layout; `bias`: `[1, out]`
/// - result: `[rows, out]`
///
/// The adapter computes in its own dtype (f32) and its product is cast back to that of the layer.
pub fn lora_linear(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<2>>,
    adapter: Option<Adapter>,
) -> Tensor<2> {
    let dtype = weight.dtype();
    let mut y = x.clone().matmul(weight.transpose());
    if let Some(bias) = bias {
        y = y.add(bias);
    }
    let Some(Adapter {
        a,
        b,
        scale,
        dropout,
    }) = adapter
    else {
        return y;
    };
    let mut input = x.cast(a.dtype());
    if let Some(mask) = dropout {
        input = input.mul(mask);
    }
    let low = input.matmul(a.transpose()).mul_scalar(scale);
    y.add(low.matmul(b.transpose()).cast(dtype))
}

/// A dropout mask `[rows, columns]` from a counter-based generator: a function of `seed` alone, on every backend.
pub fn dropout_mask(
    p: f64,
    seed: u64,
    [rows, columns]: [usize; 2],
    device: &burn::tensor::Device,
) -> Tensor<2> {
    let keep = (1.0 / (1.0 - p)) as f32;
    let threshold = (p * u32::MAX as f64) as u32;
    let values: Vec<f32> = (0..(rows * columns) as u64)
        .map(|i| {
            if (mix(seed ^ mix(i)) >> 32) as u32 >= threshold {
                keep
            } else {
                0.0
            }
        })
        .collect();
    Tensor::from_data(TensorData::new(values, [rows, columns]), device)
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
    use burn::tensor::Device;

    #[test]
    fn the_adapter_adds_its_scaled_product() {
        let device = Device::flex();
        let x = Tensor::<2>::from_floats([[1.0, 2.0]], &device);
        let weight = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], &device);
        let adapter = Adapter {
            a: Tensor::from_floats([[1.0, 1.0]], &device),
            b: Tensor::from_floats([[1.0], [0.0], [-1.0]], &device),
            scale: 2.0,
            dropout: None,
        };
        let y = lora_linear(x, weight, None, Some(adapter));
        assert_eq!(
            y.into_data().try_to_vec::<f32>().unwrap(),
            [1.0 + 6.0, 2.0, 3.0 - 6.0]
        );
    }

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
}
