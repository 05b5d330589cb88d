//! Kernels of our own on a CUDA device, for passes over memory that ATen has in several.
//!
//! Nothing of CUDA is needed to build them: `kernels.cu` is compiled for the device at hand by the compiler that comes with
//! libtorch, each kernel when it is first asked for, a fifth of a second each. They run on the stream that ATen's operations run on.

mod driver;
mod launch;

pub(crate) use driver::Gpu;
pub(crate) use launch::{Argument, Launch, rows_of, type_name, width};

use burn::backend::DispatchDevice;
use burn::backend::libtorch::LibTorchDevice;
use burn::tensor::Device;

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

/// The device that `x` lies on, if our kernels run there.
pub(crate) fn gpu_of(x: &tch::Tensor) -> Option<&'static Gpu> {
    match x.device() {
        tch::Device::Cuda(index) => gpu(index).ok(),
        _ => None,
    }
}

/// Whether our kernels run on CUDA device `index`; why not, if they do not: ATen's operations are taken then.
pub fn state(index: usize) -> Result<(), String> {
    gpu(index).map(|_| ())
}

/// Most bytes of `device` since [`reset_peak_bytes`], where it is one of CUDA: given to tensors, and taken from the driver.
pub fn peak_bytes(device: &Device) -> Option<[u64; 2]> {
    crate::aten::peak_bytes(index_of(device)?).ok()
}

/// Counts from what is in use now.
pub fn reset_peak_bytes(device: &Device) {
    if let Some(index) = index_of(device) {
        // A device that does not count gives no peak either.
        let _ = crate::aten::reset_peak(index);
    }
}

fn index_of(device: &Device) -> Option<usize> {
    match device.clone().inner().as_dispatch() {
        DispatchDevice::LibTorch(LibTorchDevice::Cuda(index)) => Some(*index),
        _ => None,
    }
}

fn gpu(index: usize) -> Result<&'static Gpu, String> {
    type Found = Result<&'static Gpu, String>;
    static GPUS: LazyLock<Mutex<HashMap<usize, Found>>> = LazyLock::new(Mutex::default);
    let mut gpus = GPUS.lock().unwrap_or_else(PoisonError::into_inner);
    let open = || Gpu::open(index).map(|gpu| &*Box::leak(Box::new(gpu)));
    gpus.entry(index).or_insert_with(open).clone()
}
