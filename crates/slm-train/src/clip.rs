//! The norm of all gradients, and its bound.

use burn::tensor::{DType, Tensor};

use crate::Gradients;

/// The norm of all gradients together, a scalar that is still on the device; `None` of none.
pub fn grad_norm(gradients: &Gradients) -> Option<Tensor<1>> {
    let all: Vec<Tensor<2>> = gradients.values().cloned().collect();
    (!all.is_empty()).then(|| slm_ops::global_norm(all))
}

/// What gradients of norm `norm` are multiplied by, so that it is at most `max_norm` (0: off).
///
/// As `torch.nn.utils.clip_grad_norm_`: `max_norm / (norm + 1e-6)` where that is below 1.
pub fn clip_factor(norm: f64, max_norm: f64) -> f64 {
    match max_norm > 0.0 {
        true => (max_norm / (norm + 1e-6)).min(1.0),
        false => 1.0,
    }
}

/// [`clip_factor`] of a norm that is still on its device, `[1]`, rounded to f32 as an optimizer rounds it: the same bits.
pub(crate) fn clip_factor_on_device(norm: Tensor<1>, max_norm: f64) -> Tensor<1> {
    let device = norm.device();
    if max_norm <= 0.0 {
        return Tensor::ones([1], (&device, DType::F32));
    }
    let norm = norm.cast(DType::F64).add_scalar(1e-6);
    let most = Tensor::<1>::full([1], max_norm, (&device, DType::F64));
    most.div(norm).clamp_max(1.0).cast(DType::F32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn clipping_bounds_the_common_norm() {
        let device = Device::flex();
        let gradients = Gradients::from([
            ("a".to_string(), Tensor::<2>::from_floats([[3.0]], &device)),
            ("b".to_string(), Tensor::<2>::from_floats([[4.0]], &device)),
        ]);
        let norm = f64::from(grad_norm(&gradients).unwrap().into_scalar::<f32>());
        assert!((norm - 5.0).abs() < 1e-6);
        assert!((norm * clip_factor(norm, 1.0) - 1.0).abs() < 1e-6);
        assert_eq!(clip_factor(norm, 6.0), 1.0);
        assert_eq!(clip_factor(norm, 0.0), 1.0);
        assert!(grad_norm(&Gradients::new()).is_none());
    }

    fn has_the_same_bits_on(device: &Device) {
        let norms: [f32; 10] = [
            0.0, 1e-30, 1e-6, 0.3, 0.999_999, 1.0, 1.000_001, 7.7, 1e9, 3e38,
        ];
        for max_norm in [0.0, 0.1, 1.0, 3.3] {
            for norm in norms {
                let there = Tensor::<1>::from_data([norm], (device, DType::F32));
                let there = clip_factor_on_device(there, max_norm).into_scalar::<f32>();
                let here = clip_factor(f64::from(norm), max_norm) as f32;
                assert_eq!(
                    there.to_bits(),
                    here.to_bits(),
                    "{norm}, {max_norm}, {device:?}"
                );
            }
        }
    }

    #[test]
    fn a_device_clips_as_the_host_does() {
        has_the_same_bits_on(&Device::flex());
        #[cfg(feature = "libtorch")]
        has_the_same_bits_on(&slm_model::device::open("libtorch:cpu").unwrap());
    }
}
