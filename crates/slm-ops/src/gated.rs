//! Activations of the feed-forward layer.

#[cfg(feature = "libtorch")]
pub(crate) mod cuda;
pub(crate) mod flex;
pub(crate) mod fused;
#[cfg(feature = "libtorch")]
mod libtorch;

use burn::backend::Dispatch;
use burn::tensor::{DType, Tensor, activation};

use fused::Gated;

const SQRT_2_OVER_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;

/// An activation, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x · sigmoid(x)`
    Silu,
    /// `x · Φ(x)`
    Gelu,
    /// GELU through tanh: `x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))`
    GeluTanh,
}

impl Activation {
    /// Applies it; computed in f32, whatever the dtype.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        let dtype = x.dtype();
        self.in_f32(x).cast(dtype)
    }

    /// On Flex the error function of GELU itself stays burn's.
    pub(crate) fn has_loop_for<const D: usize>(self, x: &Tensor<D>) -> bool {
        self != Self::Gelu || !crate::fused::is_flex(x)
    }

    fn in_f32<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        let x = x.cast(DType::F32);
        match self {
            Self::Silu => activation::silu(x),
            Self::Gelu => activation::gelu(x),
            Self::GeluTanh => gelu_tanh(x),
        }
    }
}

/// `activation(gate) · up`, element by element; both `[.., n]`. Computed in f32 and rounded once.
pub fn gated<const D: usize>(gate: Tensor<D>, up: Tensor<D>, activation: Activation) -> Tensor<D> {
    if activation.has_loop_for(&gate) && gate.dtype() == up.dtype() && crate::fused::applies(&gate)
    {
        let (gate, up) = (gate.into_dispatch(), up.into_dispatch());
        return Tensor::from_dispatch(Dispatch::gated(gate, up, activation));
    }
    let dtype = gate.dtype();
    let product = activation.in_f32(gate).mul(up.cast(DType::F32));
    product.cast(dtype)
}

/// burn's own takes a power of every element, which is slow and has no value below zero on some backends.
fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let cubic = x.clone().square().mul_scalar(0.044715).add_scalar(1.0);
    let inner = x.clone().mul(cubic).mul_scalar(SQRT_2_OVER_PI);
    x.mul_scalar(0.5).mul(inner.tanh().add_scalar(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Values of `torch.nn.functional` at -2, 0 and 1.
    #[test]
    fn activations_have_torchs_values() {
        let x = Tensor::<1>::from_floats([-2.0, 0.0, 1.0], &Device::flex());
        let cases = [
            (Activation::Silu, [-0.238_405_84, 0.0, 0.731_058_6]),
            (Activation::Gelu, [-0.045_500_26, 0.0, 0.841_344_7]),
            (Activation::GeluTanh, [-0.045_402_28, 0.0, 0.841_191_95]),
        ];
        for (activation, expected) in cases {
            let got = activation.apply(x.clone()).into_data();
            for (got, want) in got.try_to_vec::<f32>().unwrap().iter().zip(expected) {
                assert!(
                    (got - want).abs() < 1e-6,
                    "{activation:?}: {got} is not {want}"
                );
            }
        }
    }
}
