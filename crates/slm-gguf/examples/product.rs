//! How fast blocks are multiplied with vectors, beside how fast memory is read:
//!
//!     cargo run --release -p slm-gguf --example product -- [THREADS [COLUMNS]]

#![expect(clippy::print_stdout, reason = "the figures are to be read")]

use std::error::Error;
use std::time::Instant;

use slm_gguf::product::{Vectors, multiply};
use slm_gguf::{TensorType, codec};

/// Far more than a cache holds.
const BYTES: usize = 200 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let threads: usize = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let n: usize = arguments.next().map_or(Ok(1536), |text| text.parse())?;
    for name in [
        "F32", "F16", "Q8_0", "Q4_0", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K",
    ] {
        let all = TensorType::ALL.iter();
        let Some(&tensor_type) = all.clone().find(|kind| kind.name() == name) else {
            continue;
        };
        if !n.is_multiple_of(tensor_type.block_len()) {
            continue;
        }
        let row_bytes = tensor_type.size_bytes(n as u64)? as usize;
        let values: Vec<f32> = (0..n).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let mut row = vec![0; row_bytes];
        codec::quantize(tensor_type, &values, &mut row)?;
        let rows = BYTES / row_bytes / threads * threads;
        let bytes = row.repeat(rows);
        let mut line = format!("{name}:");
        for count in [1, 4, 16] {
            let x = Vectors::new(&values.repeat(count), n);
            let mut y = vec![0.0; rows * count];
            let mut best = f64::INFINITY;
            for _ in 0..5 {
                let began = Instant::now();
                std::thread::scope(|scope| {
                    let parts = bytes.chunks(rows / threads * row_bytes);
                    for (part, y) in parts.zip(y.chunks_mut(rows / threads * count)) {
                        let x = &x;
                        // As many rows at a time as a task of a product has.
                        let some = (1usize << 15).div_ceil(row_bytes).next_multiple_of(4);
                        scope.spawn(move || {
                            let parts = part.chunks(some * row_bytes);
                            for (part, y) in parts.zip(y.chunks_mut(some * count)) {
                                multiply(tensor_type, part, x, y).expect("whole rows");
                            }
                        });
                    }
                });
                best = best.min(began.elapsed().as_secs_f64());
            }
            let gb = bytes.len() as f64 / 1e9 / best;
            let gflops = 2.0 * (rows * n * count) as f64 / 1e9 / best;
            line += &format!("  {count} vectors {gb:.1} GB/s, {gflops:.0} GFLOP/s");
        }
        println!("{line}");
    }
    Ok(())
}
