//! Rotary position embedding, halves rotated (the convention of HF models, not burn's neighbouring pairs).

#[cfg(feature = "libtorch")]
mod cuda;
pub(crate) mod flex;
pub(crate) mod fused;
#[cfg(feature = "libtorch")]
mod libtorch;

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Tensor, TensorData};

use fused::Rotary;

use crate::upload::floats;

/// Cosines and sines of every position of one batch, in f32: `[batch, 1, time, dim / 2]`, with `dim` the channels that are rotated.
#[derive(Clone, Debug)]
pub struct RotaryTable {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl RotaryTable {
    /// The tables for `positions` (`[batch, time]`, row-major) under the inverse frequencies of a model.
    ///
    /// Angles are products in f32, as transformers computes them, so that long positions round alike.
    /// `scale` multiplies both tables (1 except for YaRN-like scalings).
    pub fn new(
        positions: &[i32],
        [batch, time]: [usize; 2],
        inv_freq: &[f32],
        scale: f32,
        device: &Device,
    ) -> Self {
        let half = inv_freq.len();
        let shape = [batch, 1, time, half];
        if positions.len() >= MANY && crate::fused::is_gpu(device) {
            return Self::on_device(positions, shape, inv_freq, scale, device);
        }
        let angles = || {
            positions
                .iter()
                .flat_map(|&p| inv_freq.iter().map(move |f| p as f32 * f))
        };
        let table = |f: fn(f32) -> f32| {
            let values: Vec<f32> = angles().map(|angle| f(angle) * scale).collect();
            Tensor::<4>::from_data(TensorData::new(values, shape), (device, DType::F32))
        };
        Self {
            cos: table(f32::cos),
            sin: table(f32::sin),
        }
    }

    /// Cosines and sines of one position, as the tables hold them.
    pub fn of_position(position: usize, inv_freq: &[f32], scale: f32) -> [Vec<f32>; 2] {
        let angles = inv_freq.iter().map(|f| position as f32 * f);
        let table = |f: fn(f32) -> f32| angles.clone().map(|angle| f(angle) * scale).collect();
        [table(f32::cos), table(f32::sin)]
    }

    /// Cosines and sines.
    pub(crate) fn tensors(&self) -> [Tensor<4>; 2] {
        [self.cos.clone(), self.sin.clone()]
    }

    fn on_device(
        positions: &[i32],
        shape: [usize; 4],
        inv_freq: &[f32],
        scale: f32,
        device: &Device,
    ) -> Self {
        let [batch, _, time, half] = shape;
        let positions = positions.iter().map(|&p| p as f32).collect();
        let positions = floats(positions, [batch, 1, time, 1], device);
        let angles = positions * floats(inv_freq.into(), [1, 1, 1, half], device);
        Self {
            cos: angles.clone().cos().mul_scalar(scale),
            sin: angles.sin().mul_scalar(scale),
        }
    }
}

/// Positions whose tables a GPU makes sooner than they are made and brought there.
const MANY: usize = 64;

/// Rotates the two halves of the first `dim` channels of each head by the angle of its position.
///
/// # Shapes
/// - `x`: `[batch, heads, time, head_dim]`, `head_dim ≥ dim`
/// - result: the same, `[x1·cos − x2·sin, x2·cos + x1·sin, rest]` with `x1`, `x2` the halves
pub fn rotary(x: Tensor<4>, table: &RotaryTable) -> Tensor<4> {
    if crate::fused::applies(&x) {
        let [cos, sin] = table.tensors().map(Tensor::into_dispatch);
        return Tensor::from_dispatch(Dispatch::rotary(x.into_dispatch(), cos, sin));
    }
    portable(x, table)
}

fn portable(x: Tensor<4>, table: &RotaryTable) -> Tensor<4> {
    let half = table.cos.dims()[3];
    let head_dim = x.dims()[3];
    let dtype = x.dtype();
    let (cos, sin) = (table.cos.clone(), table.sin.clone());
    let x = x.cast(DType::F32);
    let rest = (head_dim > 2 * half).then(|| x.clone().narrow(3, 2 * half, head_dim - 2 * half));
    let x1 = x.clone().narrow(3, 0, half);
    let x2 = x.narrow(3, half, half);
    let y1 = x1.clone().mul(cos.clone()).sub(x2.clone().mul(sin.clone()));
    let y2 = x2.mul(cos).add(x1.mul(sin));
    Tensor::cat([y1, y2].into_iter().chain(rest).collect(), 3).cast(dtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_zero_changes_nothing_and_a_quarter_turn_swaps_the_halves() {
        let device = Device::flex();
        let quarter = std::f32::consts::FRAC_PI_2;
        let table = RotaryTable::new(&[0, 1], [1, 2], &[quarter], 1.0, &device);
        let x = Tensor::<4>::from_floats([[[[1.0, 2.0], [1.0, 2.0]]]], &device);
        let y = rotary(x, &table).into_data().try_to_vec::<f32>().unwrap();
        for (got, want) in y.iter().zip([1.0, 2.0, -2.0, 1.0]) {
            assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        }
    }
}
