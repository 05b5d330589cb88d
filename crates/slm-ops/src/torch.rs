//! What the operations on LibTorch share.
//!
//! Nothing here waits for a device, and every tensor that is written in place is one that nobody else reads.

use burn::backend::LibTorch;
use burn::backend::tensor::FloatTensor;
use tch::{Kind, Tensor};

/// burn's handle of a tensor of torch.
pub(crate) type Handle = FloatTensor<LibTorch>;

/// The handle of a tensor with memory of its own.
pub(crate) fn handle(tensor: Tensor) -> Handle {
    Handle::new(tensor)
}

/// `x` in f32: a tensor to write to if it is one of its own already or was converted.
pub(crate) fn into_f32(x: Handle) -> Result<Tensor, Tensor> {
    match x.tensor.kind() {
        Kind::Float if x.can_mut() => Ok(x.tensor),
        Kind::Float => Err(x.tensor),
        _ => Ok(x.tensor.to_kind(Kind::Float)),
    }
}

/// `x · y` of one shape or broadcast to that of `x`, in the memory of `x` where that is allowed.
pub(crate) fn product(x: Result<Tensor, Tensor>, y: &Tensor) -> Tensor {
    match x {
        Ok(mut x) => x.g_mul_(y),
        Err(x) => x * y,
    }
}
