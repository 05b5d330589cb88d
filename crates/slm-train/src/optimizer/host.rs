//! 8-bit AdamW on a processor: one pass over each block, where the operations of [`super::adamw`] make fifty over the weight.

use std::sync::LazyLock;
use std::thread;

use burn::tensor::{DType, Int, Tensor, TensorData};
use slm_ops::{AdamW, dynamic_map};

use super::blocks::{BLOCK, Blocks, LANES, midpoints};
use super::{Step, adamw};

/// Blocks that are worth a thread of their own.
const BLOCKS_PER_THREAD: usize = 256;

static SIGNED: LazyLock<Map> = LazyLock::new(|| Map::new(true));
static UNSIGNED: LazyLock<Map> = LazyLock::new(|| Map::new(false));

/// The same as [`super::adamw::update_8bit`], bit for bit.
pub(super) fn update_8bit(
    step: &Step<'_>,
    [first, second]: [Blocks; 2],
    value: Tensor<2>,
    gradient: Tensor<2>,
) -> ([Blocks; 2], Tensor<2>) {
    let (device, shape) = (value.device(), value.dims());
    let (mut value, gradient) = (floats(value), floats(gradient));
    let mut codes = [bytes(first.codes), bytes(second.codes)];
    let mut scales = [floats(first.scales), floats(second.scales)];

    let figures = adamw::figures(step);
    let blocks = scales[0].len();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let part = blocks.div_ceil(threads).max(BLOCKS_PER_THREAD);
    let [codes1, codes2] = &mut codes;
    let [scales1, scales2] = &mut scales;
    thread::scope(|scope| {
        let parts = value
            .chunks_mut(part * BLOCK)
            .zip(gradient.chunks(part * BLOCK))
            .zip(
                codes1
                    .chunks_mut(part * BLOCK)
                    .zip(codes2.chunks_mut(part * BLOCK)),
            )
            .zip(scales1.chunks_mut(part).zip(scales2.chunks_mut(part)));
        for (((value, gradient), codes), scales) in parts {
            let work = move || {
                let values = value.chunks_mut(BLOCK).zip(gradient.chunks(BLOCK));
                let codes = codes.0.chunks_mut(BLOCK).zip(codes.1.chunks_mut(BLOCK));
                let scales = scales.0.iter_mut().zip(scales.1);
                for (((value, gradient), codes), scales) in values.zip(codes).zip(scales) {
                    update_block(
                        &figures,
                        value,
                        gradient,
                        [codes.0, codes.1],
                        [scales.0, scales.1],
                    );
                }
            };
            if blocks <= part {
                work();
            } else {
                scope.spawn(work);
            }
        }
    });

    let [first, second] = [(codes1, scales1), (codes2, scales2)].map(|(codes, scales)| Blocks {
        codes: Tensor::from_data(
            TensorData::new(integers(codes), [blocks, BLOCK / LANES]),
            (&device, DType::I64),
        ),
        scales: Tensor::from_data(
            TensorData::new(std::mem::take(scales), [blocks, 1]),
            (&device, DType::F32),
        ),
    });
    let value = Tensor::from_data(TensorData::new(value, shape), (&device, DType::F32));
    ([first, second], value)
}

fn floats(tensor: Tensor<2>) -> Vec<f32> {
    let data = tensor.cast(DType::F32).into_data();
    data.try_into_vec().expect("the tensor was cast to f32")
}

fn bytes(codes: Tensor<2, Int>) -> Vec<u8> {
    codes
        .into_data()
        .iter::<i64>()
        .flat_map(i64::to_le_bytes)
        .collect()
}

/// The inverse of [`bytes`].
fn integers(codes: &[u8]) -> Vec<i64> {
    let (eights, _) = codes.as_chunks::<LANES>();
    eights
        .iter()
        .map(|eight| i64::from_le_bytes(*eight))
        .collect()
}

/// One block; the codes past the weight's end stay those of zeros.
fn update_block(
    step: &AdamW,
    value: &mut [f32],
    gradient: &[f32],
    [codes1, codes2]: [&mut [u8]; 2],
    [scale1, scale2]: [&mut f32; 2],
) {
    let (mut first, mut second) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
    let (signed, unsigned) = (&*SIGNED, &*UNSIGNED);
    let (mut most1, mut most2) = (0.0f32, 0.0f32);
    for (i, (value, &gradient)) in value.iter_mut().zip(gradient).enumerate() {
        let (m, v) = (&mut first[i], &mut second[i]);
        *m = signed.values[codes1[i] as usize] * *scale1;
        *v = unsigned.values[codes2[i] as usize] * *scale2;
        step.update(value, gradient, [m, v]);
        (most1, most2) = (most1.max(m.abs()), most2.max(*v));
    }
    (*scale1, *scale2) = (most1, most2);
    signed.write(&first, most1, codes1);
    unsigned.write(&second, most2, codes2);
}

/// Magnitudes below 2^-24 share a cell: no midpoint is so small.
const LEAST_EXPONENT: u32 = 127 - 24;
/// Bits of the mantissa that tell cells apart.
const MANTISSA_BITS: u32 = 8;
/// Up to 1, which has a cell of its own.
const CELLS: usize = (24 << MANTISSA_BITS) + 1;

/// A map, and a table that has the midpoints below a cell: values whose sign, exponent and leading mantissa bits agree.
struct Map {
    values: Vec<f32>,
    midpoints: Vec<f32>,
    /// Of positive values, then of negative ones.
    below: Vec<u8>,
}

impl Map {
    fn new(is_signed: bool) -> Self {
        let values = dynamic_map(is_signed);
        let midpoints = midpoints(&values);
        let count = |is_below: &dyn Fn(f32) -> bool| {
            midpoints.iter().filter(|m| is_below(**m)).count() as u8
        };
        let positive = (0..CELLS).map(|cell| count(&|m| m < edge(cell)));
        let negative = (0..CELLS).map(|cell| count(&|m| m <= -edge(cell + 1)));
        Self {
            below: positive.chain(negative).collect(),
            values,
            midpoints,
        }
    }

    /// The numbers of the values nearest to `values` / `scale`.
    fn write(&self, values: &[f32; BLOCK], scale: f32, codes: &mut [u8]) {
        let inverse = 1.0 / scale.max(1e-38);
        for (code, value) in codes.iter_mut().zip(values) {
            *code = self.nearest((value * inverse).clamp(-1.0, 1.0));
        }
    }

    fn nearest(&self, unit: f32) -> u8 {
        let cell = (unit.abs().to_bits() >> (23 - MANTISSA_BITS))
            .saturating_sub(LEAST_EXPONENT << MANTISSA_BITS) as usize;
        let row = if unit.is_sign_negative() { CELLS } else { 0 };
        let below = self.below[row + cell];
        below + u8::from(unit > self.midpoints[below as usize])
    }
}

/// The least magnitude of a cell.
fn edge(cell: usize) -> f32 {
    match cell {
        0 => 0.0,
        _ => f32::from_bits(
            ((LEAST_EXPONENT << MANTISSA_BITS) + cell as u32) << (23 - MANTISSA_BITS),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_value_is_found_at_every_edge() {
        for (is_signed, map) in [(true, &*SIGNED), (false, &*UNSIGNED)] {
            let edges = (0..CELLS).map(edge);
            let around = edges.flat_map(|x| [x.next_down().max(0.0), x, x.next_up().min(1.0)]);
            let middle = map.midpoints[..255]
                .iter()
                .flat_map(|m| [m.next_down(), *m, m.next_up()]);
            for unit in around.chain(middle).flat_map(|x| [x, -x]) {
                if !is_signed && unit < 0.0 {
                    continue;
                }
                let want = map.midpoints.iter().filter(|m| **m < unit).count();
                assert_eq!(usize::from(map.nearest(unit)), want, "{unit:e}");
            }
        }
    }
}
