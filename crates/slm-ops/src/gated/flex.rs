//! The gate's loops on Flex.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};

use super::fused::Passes;
use super::{Activation, SQRT_2_OVER_PI};
use crate::rows::{Rows, by_rows, by_rows_of_two, in_one_piece, row, tensor};
use crate::vector::{exp, sigmoid, vectorised};

impl Passes for Flex {
    fn forward(
        gate: &FloatTensor<Self>,
        up: &FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let shape = gate.shape();
        let (gate, up) = (Rows::of(gate), Rows::of(up));
        let mut y = vec![0.0; gate.count * gate.n];
        let work = forward_loop(activation);
        by_rows(&mut y, gate.n, |first, y| {
            work(gate.values(), up.values(), gate.n, first, y);
        });
        tensor(y, shape)
    }

    fn backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
        dy: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        let (mut gate, mut up, dy) = (in_one_piece(gate), in_one_piece(up), Rows::of(&dy));
        let n = dy.n;
        let work = match activation {
            Activation::GeluTanh => gelu_tanh_backward,
            Activation::Silu | Activation::Gelu => silu_backward,
        };
        let places = [&mut gate, &mut up].map(|it| (it.storage_mut::<f32>(), n));
        let [of_gate, of_up] = places;
        by_rows_of_two(of_gate, of_up, |first, gate, up| {
            work(gate, up, dy.values(), n, first);
        });
        [gate, up]
    }
}

/// The loop of an activation, which [`Activation::has_loop_for`] says it has.
pub(crate) fn forward_loop(activation: Activation) -> Loop {
    match activation {
        Activation::GeluTanh => gelu_tanh_forward,
        Activation::Silu | Activation::Gelu => silu_forward,
    }
}

/// Of gate and up, the length of their rows, the first row, and the result.
type Loop = fn((&[f32], usize), (&[f32], usize), usize, usize, &mut [f32]);

/// An activation and its slope.
#[inline(always)]
fn silu(x: f32) -> (f32, f32) {
    let s = sigmoid(x);
    (x * s, s * (x * (1.0 - s) + 1.0))
}

#[inline(always)]
fn gelu_tanh(x: f32) -> (f32, f32) {
    const C: f32 = SQRT_2_OVER_PI as f32;
    let square = x * x;
    let inner = C * x * (0.044715 * square + 1.0);
    let tanh = 1.0 - 2.0 / (exp(2.0 * inner) + 1.0);
    let slope = C * (3.0 * 0.044715 * square + 1.0);
    let half = 0.5 * (1.0 + tanh);
    (x * half, half + 0.5 * x * (1.0 - tanh * tanh) * slope)
}

#[inline(always)]
fn forward(
    [gate, up]: [(&[f32], usize); 2],
    n: usize,
    first: usize,
    y: &mut [f32],
    activation: impl Fn(f32) -> (f32, f32),
) {
    for (i, y) in y.chunks_exact_mut(n).enumerate() {
        let (gate, up) = (row(gate, first + i, n), row(up, first + i, n));
        for ((y, gate), up) in y.iter_mut().zip(gate).zip(up) {
            *y = activation(*gate).0 * up;
        }
    }
}

/// Leaves the gradients of gate and up in their places.
#[inline(always)]
fn backward(
    gate: &mut [f32],
    up: &mut [f32],
    dy: (&[f32], usize),
    n: usize,
    first: usize,
    activation: impl Fn(f32) -> (f32, f32),
) {
    let rows = gate.chunks_exact_mut(n).zip(up.chunks_exact_mut(n));
    for (i, (gate, up)) in rows.enumerate() {
        let dy = row(dy, first + i, n);
        for ((gate, up), dy) in gate.iter_mut().zip(up).zip(dy) {
            let (value, slope) = activation(*gate);
            *gate = dy * *up * slope;
            *up = dy * value;
        }
    }
}

vectorised! {
    fn silu_forward(gate: (&[f32], usize), up: (&[f32], usize), n: usize, first: usize, y: &mut [f32]) {
        forward([gate, up], n, first, y, silu);
    }
}

vectorised! {
    fn gelu_tanh_forward(gate: (&[f32], usize), up: (&[f32], usize), n: usize, first: usize, y: &mut [f32]) {
        forward([gate, up], n, first, y, gelu_tanh);
    }
}

vectorised! {
    fn silu_backward(gate: &mut [f32], up: &mut [f32], dy: (&[f32], usize), n: usize, first: usize) {
        backward(gate, up, dy, n, first, silu);
    }
}

vectorised! {
    fn gelu_tanh_backward(gate: &mut [f32], up: &mut [f32], dy: (&[f32], usize), n: usize, first: usize) {
        backward(gate, up, dy, n, first, gelu_tanh);
    }
}
