//! burn's tensors as those of libtorch that they are, for what only libtorch does.

use burn::tensor::Tensor;

/// The tensor of libtorch behind `x`, in the same memory; none on another backend.
pub fn torch_view<const D: usize>(x: &Tensor<D>) -> Option<tch::Tensor> {
    crate::torch::torch_tensor(&x.clone().inner())
}
