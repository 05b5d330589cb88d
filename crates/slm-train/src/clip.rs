//! The norm of all gradients, and its bound.

use burn::tensor::Tensor;

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
}
