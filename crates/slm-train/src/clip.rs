//! The norm of all gradients, and its bound.

use burn::tensor::{DType, Tensor};

use crate::Gradients;

/// Scales the gradients so that their common norm is at most `max_norm` (0: off). Returns the norm before.
///
/// As `torch.nn.utils.clip_grad_norm_`: the factor is `max_norm / (norm + 1e-6)` where that is below 1.
pub fn clip(gradients: &mut Gradients, max_norm: f64) -> f64 {
    let squares: Vec<Tensor<1>> = gradients
        .values()
        .map(|g| g.clone().cast(DType::F32).square().sum())
        .collect();
    if squares.is_empty() {
        return 0.0;
    }
    let norm = f64::from(Tensor::cat(squares, 0).sum().sqrt().into_scalar::<f32>());
    let factor = max_norm / (norm + 1e-6);
    if max_norm > 0.0 && factor < 1.0 {
        for gradient in gradients.values_mut() {
            *gradient = gradient.clone().mul_scalar(factor);
        }
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn clipping_bounds_the_common_norm() {
        let device = Device::flex();
        let mut gradients = Gradients::from([
            ("a".to_string(), Tensor::<2>::from_floats([[3.0]], &device)),
            ("b".to_string(), Tensor::<2>::from_floats([[4.0]], &device)),
        ]);
        assert!((clip(&mut gradients, 1.0) - 5.0).abs() < 1e-6);
        assert!((clip(&mut gradients, 0.0) - 1.0).abs() < 1e-6);
    }
}
