//! The speed that every other is a share of.

use std::time::Instant;

use burn::tensor::{DType, Device, Tensor, TensorData};
use slm_recipe::Dtype;

const REPEATS: usize = 8;

/// The best matrix product of a few, in FLOP/s: f32 and 2048 square on a processor, in `dtype` and 8192 square on a GPU. Large enough
/// that every backend is at its best, small enough for any memory.
pub fn matmul_flops(device: &Device, dtype: Dtype) -> f64 {
    let is_gpu = crate::device::is_gpu(device);
    let (size, dtype) = match is_gpu {
        true => (8192, crate::decoder::dtype_of(dtype)),
        false => (2048, DType::F32),
    };
    // Values like those of weights: a GPU is faster with zeros.
    let values = slm_ops::noise::uniform_values(1.0, 1, size * size);
    let matrix = TensorData::new(values, [size, size]);
    let matrix = Tensor::<2>::from_data(matrix, (device, dtype));
    let mut best_s = f64::INFINITY;
    for _ in 0..REPEATS {
        let started = Instant::now();
        let product = matrix.clone().matmul(matrix.clone());
        // An error of the device shows in whatever is read next.
        let _ = device.sync();
        best_s = best_s.min(started.elapsed().as_secs_f64());
        drop(product);
    }
    2.0 * (size as f64).powi(3) / best_s
}
