//! States of 8 bits: block-wise dynamic quantization (Dettmers et al. 2022), in the maps and blocks of bitsandbytes.
//!
//! A block of 256 values is divided by its largest magnitude, and each quotient becomes the number of the nearest of 256
//! values. Those are dense near 1, and reach down to 1e-7 with seven decades that each have half as many steps as the next.
//!
//! Eight codes lie in one i64, because burn gives libtorch no smaller integers.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use slm_ops::dynamic_map;

/// Values that share a scale.
pub(super) const BLOCK: usize = 256;
/// Codes in one integer.
pub(super) const LANES: usize = 8;
/// Cells of the table that finds a value's place; see [`Codebook`].
const CELLS: usize = 4096;
/// What rounding may do to the roots.
const ROUNDING: f64 = 1e-6;

/// A state in 8 bits.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    /// `[blocks, 32]`, i64 of eight codes, the first in the lowest byte; row-major over the weight, the last block padded.
    pub(super) codes: Tensor<2, Int>,
    /// `[blocks, 1]`, f32: the largest magnitude of each block.
    pub(super) scales: Tensor<2>,
}

/// The two maps on a device.
pub(super) struct Codebooks {
    /// Of values between −1 and 1.
    pub(super) signed: Codebook,
    /// Of values between 0 and 1.
    pub(super) unsigned: Codebook,
}

/// The 256 values of a map, and how the nearest is found.
///
/// The fourth root spreads the values evenly enough that each of 4096 cells of equal width holds at most one of the
/// midpoints between them: the table has the midpoints below a cell, and one comparison tells on which side of its own a
/// value lies.
pub(super) struct Codebook {
    values: Tensor<1>,     // [256]
    midpoints: Tensor<1>,  // [256], the last is never reached
    table: Tensor<1, Int>, // [4096]
    is_signed: bool,
}

impl Blocks {
    /// `n` zeros.
    pub(super) fn zeros(n: usize, device: &Device) -> Self {
        let blocks = n.div_ceil(BLOCK);
        Self {
            // Whatever the code says, times a scale of 0 it is 0.
            codes: Tensor::zeros([blocks, BLOCK / LANES], (device, DType::I64)),
            scales: Tensor::zeros([blocks, 1], (device, DType::F32)),
        }
    }

    /// The nearest to `state`.
    pub(super) fn of(state: Tensor<2>, codebook: &Codebook) -> Self {
        let [rows, columns] = state.dims();
        let n = rows * columns;
        let blocks = n.div_ceil(BLOCK);
        let mut flat = state.reshape([1, n]);
        if blocks * BLOCK > n {
            let padding = Tensor::zeros([1, blocks * BLOCK - n], (&flat.device(), DType::F32));
            flat = Tensor::cat(vec![flat, padding], 1);
        }
        let values = flat.reshape([blocks, BLOCK]);
        let scales = values.clone().abs().max_dim(1);
        // A block of zeros is divided by something, too.
        let unit = values.mul(scales.clone().clamp_min(1e-38).recip());
        Self {
            codes: pack(codebook.nearest(unit.clamp(-1.0, 1.0))),
            scales,
        }
    }

    /// The state that the codes stand for, in `shape`.
    pub(super) fn read(self, codebook: &Codebook, shape: [usize; 2]) -> Tensor<2> {
        let [blocks, _] = self.codes.dims();
        let index = unpack(self.codes);
        let values = codebook.values.clone().select(0, index);
        let flat = values.reshape([blocks, BLOCK]).mul(self.scales);
        let n = shape[0] * shape[1];
        flat.reshape([1, blocks * BLOCK])
            .narrow(1, 0, n)
            .reshape(shape)
    }
}

impl Codebooks {
    pub(super) fn new(device: &Device) -> Self {
        Self {
            signed: Codebook::new(true, device),
            unsigned: Codebook::new(false, device),
        }
    }
}

impl Codebook {
    fn new(is_signed: bool, device: &Device) -> Self {
        let values = dynamic_map(is_signed);
        let midpoints = midpoints(&values);
        let table: Vec<i64> = (0..CELLS)
            .map(|cell| {
                let edge = edge(cell, is_signed, -ROUNDING);
                midpoints.iter().filter(|m| f64::from(**m) < edge).count() as i64
            })
            .collect();
        let floats = |values: Vec<f32>| -> Tensor<1> {
            Tensor::from_data(TensorData::from(&values[..]), (device, DType::F32))
        };
        Self {
            values: floats(values),
            midpoints: floats(midpoints),
            table: Tensor::from_data(TensorData::from(&table[..]), (device, DType::I64)),
            is_signed,
        }
    }

    /// The numbers of the values nearest to `unit`, `[blocks, 256]` between −1 and 1: `[blocks · 256]`, i64.
    fn nearest(&self, unit: Tensor<2>) -> Tensor<1, Int> {
        let [blocks, width] = unit.dims();
        let unit = unit.reshape([blocks * width]);
        let root = unit.clone().abs().sqrt().sqrt();
        let place = match self.is_signed {
            true => root
                .mul(unit.clone().sign())
                .add_scalar(1.0)
                .mul_scalar(CELLS as f64 / 2.0),
            false => root.mul_scalar(CELLS as f64),
        };
        let cell = place
            .clamp(0.0, CELLS as f64 - 1.0)
            .floor()
            .int()
            .cast(DType::I64);
        let below = self.table.clone().select(0, cell);
        let midpoint = self.midpoints.clone().select(0, below.clone());
        let is_above = unit.greater(midpoint).int().cast(DType::I64);
        below.add(is_above)
    }
}

/// Codes `[blocks · 256]` as `[blocks, 32]`.
fn pack(codes: Tensor<1, Int>) -> Tensor<2, Int> {
    let [n] = codes.dims();
    let lanes = codes.cast(DType::I64).reshape([n / LANES, LANES]);
    let lane = |k: usize| {
        let codes = lanes.clone().narrow(1, k, 1);
        codes.bitwise_left_shift_scalar(8 * k as i64)
    };
    let packed = (1..LANES).map(lane).fold(lane(0), Tensor::bitwise_or);
    packed.reshape([n / BLOCK, BLOCK / LANES])
}

/// The inverse of [`pack`].
fn unpack(packed: Tensor<2, Int>) -> Tensor<1, Int> {
    let [blocks, width] = packed.dims();
    let packed = packed.reshape([blocks * width, 1]);
    // The shift may bring the sign in; the mask takes it off.
    let lane = |k: usize| {
        let shifted = packed.clone().bitwise_right_shift_scalar(8 * k as i64);
        shifted.bitwise_and_scalar(0xff)
    };
    Tensor::cat((0..LANES).map(lane).collect(), 1).reshape([blocks * BLOCK])
}

/// The value at the lower edge of a cell, its fourth root moved by `margin`.
fn edge(cell: usize, is_signed: bool, margin: f64) -> f64 {
    let place = match is_signed {
        true => cell as f64 / (CELLS as f64 / 2.0) - 1.0,
        false => cell as f64 / CELLS as f64,
    } + margin;
    place.powi(4) * place.signum()
}

/// Where one value ends and the next begins; after the last, nothing does.
pub(super) fn midpoints(values: &[f32]) -> Vec<f32> {
    let between = values.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
    between.chain([2.0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_holds_two_midpoints() {
        for is_signed in [true, false] {
            let midpoints = midpoints(&dynamic_map(is_signed));
            for cell in 0..CELLS - 1 {
                let low = edge(cell, is_signed, -ROUNDING);
                let high = edge(cell + 1, is_signed, ROUNDING);
                let inside = |m: &&f32| (low..high).contains(&f64::from(**m));
                let within = midpoints.iter().filter(inside).count();
                assert!(within <= 1, "cell {cell} holds {within} midpoints");
            }
        }
    }

    #[test]
    fn the_nearest_value_is_found() {
        let device = Device::flex();
        for is_signed in [true, false] {
            let values = dynamic_map(is_signed);
            let codebook = Codebook::new(is_signed, &device);
            let units: Vec<f32> = (0..4096)
                .map(|i| {
                    let magnitude = 10f32.powf(-(i as f32) / 512.0);
                    let sign = if is_signed && i % 2 == 1 { -1.0 } else { 1.0 };
                    if i == 4095 { 0.0 } else { magnitude * sign }
                })
                .collect();
            let unit = Tensor::<1>::from_floats(&units[..], &device).reshape([16, 256]);
            let codes: Vec<i64> = codebook.nearest(unit).into_data().iter().collect();
            for (unit, code) in units.iter().zip(codes) {
                let found = (values[code as usize] - unit).abs();
                let best = values
                    .iter()
                    .map(|v| (v - unit).abs())
                    .fold(f32::MAX, f32::min);
                assert!(
                    found <= best * 1.00001 + 1e-12,
                    "{unit} became {}",
                    values[code as usize]
                );
            }
        }
    }

    #[test]
    fn eight_codes_lie_in_one_integer() {
        let codes: Vec<i64> = (0..512).map(|i| (i * 37 + 3) % 256).collect();
        let packed = pack(Tensor::<1, Int>::from_ints(&codes[..], &Device::flex()));
        assert_eq!(packed.dims(), [2, 32]);
        let bytes: Vec<u8> = packed
            .clone()
            .into_data()
            .iter::<i64>()
            .flat_map(i64::to_le_bytes)
            .collect();
        let wanted: Vec<u8> = codes.iter().map(|code| *code as u8).collect();
        assert_eq!(bytes, wanted);
        assert_eq!(
            unpack(packed).into_data().iter::<i64>().collect::<Vec<_>>(),
            codes
        );
    }

    #[test]
    fn a_state_of_any_length_is_kept() {
        let device = Device::flex();
        let codebook = Codebook::new(true, &device);
        let values: Vec<f32> = (0..600).map(|i| (i as f32 - 300.0) / 100.0).collect();
        let state = Tensor::<1>::from_floats(&values[..], &device).reshape([20, 30]);
        let blocks = Blocks::of(state, &codebook);
        assert_eq!(blocks.codes.dims(), [3, 32]);
        let read = blocks
            .read(&codebook, [20, 30])
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        for (a, b) in values.iter().zip(&read) {
            assert!((a - b).abs() <= 0.008 * 3.0, "{a} became {b}");
        }
        let zeros = Blocks::zeros(600, &device).read(&codebook, [20, 30]);
        assert_eq!(zeros.abs().max().into_scalar::<f32>(), 0.0);
    }
}
