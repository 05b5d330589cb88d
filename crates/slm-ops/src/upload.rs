//! Values of the host on their way to a device.
//!
//! To a GPU they go from page-locked memory, and nobody waits: a copy from other memory waits for all that the GPU was asked
//! for before, so that a host that works ahead would stand still at the first of them.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// Whole numbers on `device`, of the type that its backend has for them.
pub fn ints<const D: usize>(
    values: Vec<i32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D, Int> {
    let data = TensorData::new(values, shape);
    #[cfg(feature = "libtorch")]
    if let Some(index) = libtorch::gpu(device) {
        return libtorch::ints(Tensor::from_data(data, &Device::libtorch()), index);
    }
    Tensor::from_data(data, device)
}

/// Whole numbers on `device` in 32 bits, as kernels ask for them.
#[cfg(feature = "libtorch")]
pub(crate) fn ints_of_32_bits<const D: usize>(
    values: Vec<i32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D, Int> {
    let data = TensorData::new(values, shape);
    if let Some(index) = libtorch::gpu(device) {
        let here = Tensor::from_data(data, (&Device::libtorch(), DType::I32));
        return libtorch::ints(here, index);
    }
    Tensor::from_data(data, (device, DType::I32))
}

/// Numbers in f32 on `device`.
pub fn floats<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    let data = TensorData::new(values, shape);
    #[cfg(feature = "libtorch")]
    if let Some(index) = libtorch::gpu(device) {
        return libtorch::floats(
            Tensor::from_data(data, (&Device::libtorch(), DType::F32)),
            index,
        );
    }
    Tensor::from_data(data, (device, DType::F32))
}

#[cfg(feature = "libtorch")]
mod libtorch {
    use burn::backend::libtorch::LibTorchDevice;
    use burn::backend::{
        BackendTensor, DispatchAutodiffContext, DispatchDevice, DispatchTensor, DispatchTensorKind,
    };

    use super::{Device, Int, Tensor};
    use crate::torch::{burn_tensor, handle, torch_tensor};

    /// The number of a GPU of CUDA.
    pub(super) fn gpu(device: &Device) -> Option<usize> {
        match device.clone().inner().as_dispatch() {
            DispatchDevice::LibTorch(LibTorchDevice::Cuda(index)) => Some(*index),
            _ => None,
        }
    }

    pub(super) fn ints<const D: usize>(x: Tensor<D, Int>, index: usize) -> Tensor<D, Int> {
        let DispatchTensorKind::LibTorch(BackendTensor::Int(x)) = x.into_dispatch().kind else {
            unreachable!("it was made on libtorch");
        };
        let x = handle(crate::aten::upload(&x.tensor, index));
        Tensor::from_dispatch(DispatchTensor {
            kind: DispatchTensorKind::LibTorch(BackendTensor::Int(x)),
            autodiff: DispatchAutodiffContext::Disabled,
        })
    }

    pub(super) fn floats<const D: usize>(x: Tensor<D>, index: usize) -> Tensor<D> {
        let x = torch_tensor(&x).expect("it was made on libtorch");
        burn_tensor(crate::aten::upload(&x, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive_as_they_were_sent(device: &Device) {
        let sent = ints(vec![1, -2, 3, i32::MAX], [2, 2], device);
        let data = TensorData::new(vec![1, -2, 3, i32::MAX], [2, 2]);
        let plain = Tensor::<2, Int>::from_data(data, device);
        assert_eq!(sent.dtype(), plain.dtype());
        assert_eq!(sent.into_data(), plain.into_data());
        let sent = floats(vec![0.5, -1.0, f32::MIN_POSITIVE], [3, 1], device);
        assert_eq!((sent.dtype(), sent.dims()), (DType::F32, [3, 1]));
        let values: Vec<f32> = sent.into_data().try_into_vec().unwrap();
        assert_eq!(values, [0.5, -1.0, f32::MIN_POSITIVE]);
    }

    #[test]
    fn values_arrive_as_they_were_sent() {
        arrive_as_they_were_sent(&Device::flex());
        #[cfg(feature = "libtorch")]
        arrive_as_they_were_sent(&Device::libtorch());
    }

    #[cfg(feature = "libtorch")]
    #[test]
    #[ignore = "needs CUDA"]
    fn values_arrive_on_a_gpu_as_they_were_sent() {
        arrive_as_they_were_sent(&Device::libtorch_cuda(0usize));
    }
}
