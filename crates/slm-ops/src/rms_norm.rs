//! Root-mean-square normalisation.

mod before;
#[cfg(feature = "libtorch")]
mod cuda;
pub(crate) mod flex;
pub(crate) mod fused;
#[cfg(feature = "libtorch")]
mod libtorch;

use burn::backend::Dispatch;
use burn::tensor::{DType, Tensor};

pub(crate) use before::Before;
pub use before::NormBefore;
use fused::RmsNorm;

/// How the weight meets the normalised value, where that is not in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RmsWeight {
    /// After it was rounded to the dtype of `x`, as HF's Llama does.
    Rounded,
    /// In f32, as HF's OLMo 2 does.
    Exact,
    /// In f32, as a distance from one, as HF's Gemma does.
    ExactPlusOne,
}

impl RmsWeight {
    /// What is added to the weight.
    pub(crate) fn offset(self) -> f64 {
        f64::from(u8::from(self == Self::ExactPlusOne))
    }
}

/// `y = x / sqrt(mean(x²) + eps) · weight`, over the last dimension.
///
/// # Shapes
/// - `x`: `[.., n]`, any float dtype; the statistics are computed in f32
/// - `weight`: `[1, n]`
pub fn rms_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    kind: RmsWeight,
    eps: f64,
) -> Tensor<D> {
    if (weight.dtype() == x.dtype() || weight.dtype() == DType::F32) && crate::fused::applies(&x) {
        let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
        return Tensor::from_dispatch(Dispatch::rms_norm(x, weight, kind, eps));
    }
    portable(x, weight, kind, eps)
}

fn portable<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    kind: RmsWeight,
    eps: f64,
) -> Tensor<D> {
    let dtype = x.dtype();
    let x = x.cast(DType::F32);
    let mean_square = x.clone().square().mean_dim(D - 1);
    let normalised = x.div(mean_square.add_scalar(eps).sqrt());
    let exact = |weight: Tensor<2>| weight.cast(DType::F32).unsqueeze();
    match kind {
        RmsWeight::Rounded => normalised.cast(dtype).mul(weight.unsqueeze()),
        RmsWeight::Exact => normalised.mul(exact(weight)).cast(dtype),
        RmsWeight::ExactPlusOne => normalised.mul(exact(weight).add_scalar(1.0)).cast(dtype),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn divides_by_the_root_of_the_mean_square() {
        let device = Device::flex();
        let x = Tensor::<2>::from_floats([[3.0, 4.0], [0.0, 2.0]], &device);
        let weight = Tensor::<2>::from_floats([[1.0, 10.0]], &device);
        let y = rms_norm(x, weight, RmsWeight::Rounded, 0.0)
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        // sqrt((9 + 16) / 2) = 3.5355339; sqrt(4 / 2) = √2
        let expected = [
            3.0 / 3.535_534,
            40.0 / 3.535_534,
            0.0,
            20.0 / std::f32::consts::SQRT_2,
        ];
        for (got, want) in y.iter().zip(expected) {
            assert!((got - want).abs() < 1e-5, "{got} is not {want}");
        }
    }
}
