//! The speed that every other is a share of.

use std::time::Instant;

use burn::tensor::{DType, Device, Tensor, TensorData};

/// Rows and columns: large enough that every backend is at its best, small enough for any memory.
const SIZE: usize = 2048;
const REPEATS: usize = 8;

/// The best f32 matrix product of a few, 2048 square, in FLOP/s.
pub fn matmul_flops(device: &Device) -> f64 {
    let values: Vec<f32> = (0..SIZE * SIZE).map(|i| (i % 7) as f32 - 3.0).collect();
    let matrix = TensorData::new(values, [SIZE, SIZE]);
    let matrix = Tensor::<2>::from_data(matrix, (device, DType::F32));
    let mut best_s = f64::INFINITY;
    for _ in 0..REPEATS {
        let started = Instant::now();
        let product = matrix.clone().matmul(matrix.clone());
        // An error of the device shows in whatever is read next.
        let _ = device.sync();
        best_s = best_s.min(started.elapsed().as_secs_f64());
        drop(product);
    }
    2.0 * (SIZE as f64).powi(3) / best_s
}
