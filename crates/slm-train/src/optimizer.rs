//! AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW computes it.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use slm_model::{Decoder, Param};
use slm_recipe::TrainSection;

use crate::Gradients;

/// Moments of every trained weight, by name, in f32.
#[derive(Clone, Debug)]
pub struct AdamW {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
    /// Steps taken; the moments' bias is corrected by it.
    pub(crate) steps: usize,
    pub(crate) moments: BTreeMap<String, [Tensor<2>; 2]>,
}

impl AdamW {
    /// No moments yet.
    pub fn new(section: &TrainSection) -> Self {
        Self {
            beta1: section.adam_beta1,
            beta2: section.adam_beta2,
            epsilon: section.adam_epsilon,
            weight_decay: section.weight_decay,
            steps: 0,
            moments: BTreeMap::new(),
        }
    }

    /// Updates every trained weight that has a gradient. Vectors (norms, biases) do not decay, as in HF's Trainer.
    pub fn step(&mut self, decoder: &mut Decoder, gradients: &Gradients, lr: f64) {
        self.steps += 1;
        for param in decoder.trainable_mut() {
            if let Some(gradient) = gradients.get(&param.name) {
                let value = self.update(param, gradient.clone(), lr);
                param.set(value);
            }
        }
    }

    fn update(&mut self, param: &Param, gradient: Tensor<2>, lr: f64) -> Tensor<2> {
        let gradient = gradient.cast(DType::F32);
        let zeros = || [gradient.zeros_like(), gradient.zeros_like()];
        let [first, second] = self.moments.remove(&param.name).unwrap_or_else(zeros);
        let first = first
            .mul_scalar(self.beta1)
            .add(gradient.clone().mul_scalar(1.0 - self.beta1));
        let second = second
            .mul_scalar(self.beta2)
            .add(gradient.square().mul_scalar(1.0 - self.beta2));

        let correction1 = 1.0 - self.beta1.powi(self.steps as i32);
        let correction2 = 1.0 - self.beta2.powi(self.steps as i32);
        let denominator = second
            .clone()
            .sqrt()
            .div_scalar(correction2.sqrt())
            .add_scalar(self.epsilon);
        let change = first.clone().div(denominator).mul_scalar(lr / correction1);
        self.moments.insert(param.name.clone(), [first, second]);

        let decay = if param.is_vector {
            0.0
        } else {
            lr * self.weight_decay
        };
        param
            .value
            .clone()
            .inner()
            .mul_scalar(1.0 - decay)
            .sub(change)
    }
}

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
    fn the_first_step_moves_by_the_rate_and_the_decay() {
        let section = TrainSection {
            weight_decay: 0.1,
            ..TrainSection::default()
        };
        let mut optimizer = AdamW {
            steps: 1,
            ..AdamW::new(&section)
        };
        let device = Device::flex();
        let value = Tensor::<2>::from_floats([[1.0, -2.0]], &device);
        let gradient = Tensor::<2>::from_floats([[0.5, -0.25]], &device);
        let param = Param::matrix("w", value);
        let next = optimizer
            .update(&param, gradient, 0.01)
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        // m̂ / √v̂ is the sign of the gradient at the first step; 1 − 0.01 · 0.1 is the decay.
        for (got, want) in next.iter().zip([0.999 - 0.01, -2.0 * 0.999 + 0.01]) {
            assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        }
    }

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
