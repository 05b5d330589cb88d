//! Where the fused versions are taken: the one switch between them and the portable ones.
//!
//! A fused version has its own backward pass on `Autodiff`, which keeps as little as it can, and its own kernels on a
//! backend. There are kernels for `Flex` in f32, what a processor computes fastest, and for `LibTorch` in f32 and bf16, on a GPU in
//! f16, too; everything else is portable.

use std::cell::Cell;

use burn::backend::autodiff::{NodeId, grads::Gradients};
#[cfg(feature = "libtorch")]
use burn::backend::libtorch::LibTorchDevice;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, DispatchDevice};
use burn::tensor::{DType, Device, Tensor};

thread_local! {
    static PORTABLE: Cell<bool> = const { Cell::new(false) };
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// Does `work` with the portable versions: the oracle of tests. For this thread; backward passes do what their forward
/// passes recorded.
pub fn portable<R>(work: impl FnOnce() -> R) -> R {
    let before = PORTABLE.replace(true);
    let result = work();
    PORTABLE.set(before);
    result
}

/// How many operations this thread has done fused.
pub fn taken() -> usize {
    TAKEN.get()
}

/// Whether an operation on tensors like `x` is done fused; counts those that are.
pub(crate) fn applies<const D: usize>(x: &Tensor<D>) -> bool {
    let has_kernels = match x.device().inner().as_dispatch() {
        DispatchDevice::Flex(_) => x.dtype() == DType::F32,
        #[cfg(feature = "libtorch")]
        DispatchDevice::LibTorch(LibTorchDevice::Cuda(_)) => {
            matches!(x.dtype(), DType::F32 | DType::BF16 | DType::F16)
        }
        #[cfg(feature = "libtorch")]
        DispatchDevice::LibTorch(_) => matches!(x.dtype(), DType::F32 | DType::BF16),
        _ => false,
    };
    let applies = has_kernels && !PORTABLE.get();
    TAKEN.set(TAKEN.get() + usize::from(applies));
    applies
}

/// Whether `device` computes apart from the processor.
pub(crate) fn is_gpu(device: &Device) -> bool {
    match device.clone().inner().as_dispatch() {
        #[cfg(feature = "libtorch")]
        DispatchDevice::LibTorch(device) => *device != LibTorchDevice::Cpu,
        _ => false,
    }
}

/// Whether `x` lies on Flex.
pub(crate) fn is_flex<const D: usize>(x: &Tensor<D>) -> bool {
    is_flex_device(&x.device())
}

/// Whether `device` is Flex.
pub(crate) fn is_flex_device(device: &Device) -> bool {
    matches!(
        device.clone().inner().as_dispatch(),
        DispatchDevice::Flex(_)
    )
}

/// Hands an operation's inputs their gradients: those that want one and were given one.
pub(crate) fn register<B: Backend>(
    grads: &mut Gradients,
    pairs: impl IntoIterator<Item = (Option<NodeId>, Option<FloatTensor<B>>)>,
) {
    for pair in pairs {
        if let (Some(input), Some(gradient)) = pair {
            grads.register::<B>(input, gradient);
        }
    }
}
