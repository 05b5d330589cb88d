//! The norm of many tensors together.

use burn::tensor::{DType, Tensor};

/// The root of the sum of all squares of all `tensors`, in f32; outside the graph, and not waited for.
///
/// # Panics
/// Without a tensor.
pub fn global_norm(tensors: Vec<Tensor<2>>) -> Tensor<1> {
    #[cfg(feature = "libtorch")]
    if let Some(norm) = on_a_gpu(&tensors) {
        return norm;
    }
    let square = |x: Tensor<2>| x.cast(DType::F32).square().sum();
    Tensor::cat(tensors.into_iter().map(square).collect(), 0)
        .sum()
        .sqrt()
}

/// In two of ATen's operations, where a GPU would wait for hundreds.
#[cfg(feature = "libtorch")]
fn on_a_gpu(tensors: &[Tensor<2>]) -> Option<Tensor<1>> {
    use crate::torch::{burn_tensor, torch_tensor};
    let tensors: Option<Vec<tch::Tensor>> = tensors.iter().map(torch_tensor).collect();
    let tensors = tensors.filter(|all| all.iter().all(|x| x.device().is_cuda()))?;
    let norm = crate::aten::global_norm(&tensors.iter().collect::<Vec<_>>());
    Some(burn_tensor(norm.reshape(1)))
}
