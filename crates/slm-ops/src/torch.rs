//! What the operations on LibTorch share.
//!
//! Nothing here waits for a device, and every tensor that is written in place is one that nobody else reads.

use burn::backend::tensor::FloatTensor;
use burn::backend::{
    BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, Flex, LibTorch,
};
use tch::kind::Element;
use tch::{Kind, Tensor};

use crate::dense_product::DenseProduct;
use crate::processor::{flex, reads, torch};

/// burn's handle of a tensor of torch.
pub(crate) type Handle = FloatTensor<LibTorch>;

/// The handle of a tensor with memory of its own.
pub(crate) fn handle(tensor: Tensor) -> Handle {
    Handle::new(tensor)
}

/// burn's tensor of floats as torch's, sharing its memory; `None` on other backends, and in a graph.
pub(crate) fn torch_tensor<const D: usize>(x: &burn::tensor::Tensor<D>) -> Option<Tensor> {
    match x.clone().into_dispatch().kind {
        DispatchTensorKind::LibTorch(BackendTensor::Float(x)) => Some(x.tensor),
        _ => None,
    }
}

/// [`torch_tensor`] with all that burn knows of who reads it.
pub(crate) fn into_handle<const D: usize>(x: burn::tensor::Tensor<D>) -> Option<Handle> {
    match x.into_dispatch().kind {
        DispatchTensorKind::LibTorch(BackendTensor::Float(x)) => Some(x),
        _ => None,
    }
}

/// torch's tensor of floats as burn's, outside of a graph.
pub(crate) fn burn_tensor<const D: usize>(x: Tensor) -> burn::tensor::Tensor<D> {
    burn::tensor::Tensor::from_dispatch(DispatchTensor {
        kind: DispatchTensorKind::LibTorch(BackendTensor::Float(handle(x))),
        autodiff: DispatchAutodiffContext::Disabled,
    })
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

/// `x Wᵀ + bias`: `[rows, in]` with `[out, in]` and, perhaps, `[1, out]`.
///
/// On a processor in f32 the threads of Flex multiply: MKL takes AVX2 on processors of other makers than Intel.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let [read, by] = [x, weight].map(|x| handle(x.shallow_clone()));
    if reads(&read) && reads(&by) {
        let mut y = torch(Flex::dense_product(flex(&read), flex(&by), false)).tensor;
        return match bias {
            Some(bias) => y.g_add_(bias),
            None => y,
        };
    }
    match bias {
        Some(bias) => bias.addmm(x, &weight.tr()),
        None => x.mm(&weight.tr()),
    }
}

/// The values of a contiguous tensor in a processor's memory.
pub(crate) fn values<E: Element>(x: &Tensor) -> &[E] {
    assert_eq!(x.kind(), E::KIND, "the kind of the values");
    // SAFETY: the tensor's memory holds as many values of this kind in one piece, and lives as long as the tensor that is
    // borrowed.
    #[expect(unsafe_code, reason = "tch gives a pointer")]
    unsafe {
        std::slice::from_raw_parts(x.data_ptr().cast(), x.numel())
    }
}

/// The same of a tensor that nobody else reads, to be written.
pub(crate) fn values_mut(x: &mut Tensor) -> &mut [f32] {
    assert_eq!(x.kind(), Kind::Float, "the kind of the values");
    // SAFETY: as above, and the tensor's memory is its own.
    #[expect(unsafe_code, reason = "tch gives a pointer")]
    unsafe {
        std::slice::from_raw_parts_mut(x.data_ptr().cast(), x.numel())
    }
}
