//! The gate's loops on Flex.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};

use super::fused::Passes;
use super::{Activation, SQRT_2_OVER_PI};
use crate::rows::{Rows, by_rows, by_rows_of_two, row, tensor};
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
        let shape = gate.shape();
        let (gate, up, dy) = (Rows::of(&gate), Rows::of(&up), Rows::of(&dy));
        let n = gate.n;
        let mut d_gate = vec![0.0; gate.count * n];
        let mut d_up = vec![0.0; gate.count * n];
        let work = match activation {
            Activation::GeluTanh => gelu_tanh_backward,
            Activation::Silu | Activation::Gelu => silu_backward,
        };
        by_rows_of_two((&mut d_gate, n), (&mut d_up, n), |first, d_gate, d_up| {
            let inputs = [gate.values(), up.values(), dy.values()];
            work(inputs, n, first, d_gate, d_up);
        });
        [tensor(d_gate, shape.clone()), tensor(d_up, shape)]
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

#[inline(always)]
fn backward(
    [gate, up, dy]: [(&[f32], usize); 3],
    n: usize,
    first: usize,
    d_gate: &mut [f32],
    d_up: &mut [f32],
    activation: impl Fn(f32) -> (f32, f32),
) {
    let outputs = d_gate.chunks_exact_mut(n).zip(d_up.chunks_exact_mut(n));
    for (i, (d_gate, d_up)) in outputs.enumerate() {
        let at = first + i;
        let inputs = row(gate, at, n)
            .iter()
            .zip(row(up, at, n))
            .zip(row(dy, at, n));
        for (((gate, up), dy), (d_gate, d_up)) in inputs.zip(d_gate.iter_mut().zip(d_up)) {
            let (value, slope) = activation(*gate);
            *d_gate = dy * up * slope;
            *d_up = dy * value;
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
    fn silu_backward(inputs: [(&[f32], usize); 3], n: usize, first: usize, d_gate: &mut [f32], d_up: &mut [f32]) {
        backward(inputs, n, first, d_gate, d_up, silu);
    }
}

vectorised! {
    fn gelu_tanh_backward(inputs: [(&[f32], usize); 3], n: usize, first: usize, d_gate: &mut [f32], d_up: &mut [f32]) {
        backward(inputs, n, first, d_gate, d_up, gelu_tanh);
    }
}
