//! A gradient that was formed already, as the beginning of a backward pass.

mod fused;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use fused::Carry;

/// A scalar of which `gradient` is the gradient with respect to `x`, both of one shape. Its value means nothing, and its own gradient
/// is taken for 1: it may be added to others of its kind, no more.
pub fn carried<const D: usize>(x: Tensor<D>, gradient: Tensor<D>) -> Tensor<1> {
    let (x, gradient) = (x.into_dispatch(), gradient.into_dispatch());
    Tensor::from_dispatch(Dispatch::carry(x, gradient))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn it_is_the_gradient_and_adds_up() {
        let device = Device::flex();
        let x = Tensor::<2>::from_floats([[1.0, 2.0]], &device)
            .autodiff()
            .require_grad();
        let gradient = Tensor::<2>::from_floats([[3.0, -4.0]], &device);
        let scalar =
            carried(x.clone(), gradient.clone()).add(carried(x.clone().mul_scalar(2.0), gradient));
        let found = x.grad(&scalar.backward()).unwrap().into_data();
        assert_eq!(found.try_to_vec::<f32>().unwrap(), [9.0, -12.0]);
    }
}
