//! The gate on a GPU, one pass each way.

use tch::Tensor;

use super::Activation;
use crate::cuda::{Argument, Launch, gpu_of, rows_of, type_name, width};
use crate::torch::Handle;

/// `activation(gate) · up`; `None` where there are no kernels.
pub(super) fn forward(gate: &Tensor, up: &Tensor, activation: Activation) -> Option<Tensor> {
    let gpu = gpu_of(gate)?;
    let y = Tensor::empty(gate.size(), (gate.kind(), gate.device()));
    let ((gate, gate_row), (up, up_row)) = (rows_of(gate), rows_of(up));
    let [rows, n] = [gate.size()[0], gate.size()[1]];
    let width = width(n, &[&gate, &up]);
    let name = instance("gate_forward", &gate, activation, width)?;
    let arguments = [
        (&y).into(),
        (&gate).into(),
        (&up).into(),
        (n as i32).into(),
        gate_row.into(),
        up_row.into(),
    ];
    Launch::thread_per_pack(rows, n, width).run(gpu, &name, arguments);
    Some(y)
}

/// The gradients of gate and up from both and `dy`, in the memory of gate and up where nobody else reads it.
pub(super) fn backward(
    inputs: [&Handle; 2],
    dy: &Tensor,
    activation: Activation,
) -> Option<[Tensor; 2]> {
    let dy = dy.to_kind(inputs[0].tensor.kind());
    gradients(inputs, &dy, None, activation)
}

/// The same, and `activation(gate) · up` in the memory of `dy`, which lies in one piece and is nobody else's.
pub(crate) fn backward_with_product(
    inputs: [&Handle; 2],
    dy: Tensor,
    activation: Activation,
) -> Option<([Tensor; 2], Tensor)> {
    let gradients = gradients(inputs, &dy, Some(&dy), activation)?;
    Some((gradients, dy))
}

fn gradients(
    inputs: [&Handle; 2],
    dy: &Tensor,
    product: Option<&Tensor>,
    activation: Activation,
) -> Option<[Tensor; 2]> {
    let [gate, up] = inputs.map(|x| &x.tensor);
    let gpu = gpu_of(gate)?;
    let gradients = inputs.map(|x| match x.can_mut() && x.tensor.is_contiguous() {
        true => x.tensor.shallow_clone(),
        false => Tensor::empty(gate.size(), (gate.kind(), gate.device())),
    });
    let ((gate, gate_row), (up, up_row), (dy, dy_row)) = (rows_of(gate), rows_of(up), rows_of(dy));
    let [rows, n] = [gate.size()[0], gate.size()[1]];
    let width = width(n, &[&gate, &up, &dy]);
    let name = instance("gate_backward", &gate, activation, width)?;
    let arguments = [
        (&gradients[0]).into(),
        (&gradients[1]).into(),
        product.map_or(0i64.into(), Argument::from),
        (&gate).into(),
        (&up).into(),
        (&dy).into(),
        (n as i32).into(),
        gate_row.into(),
        up_row.into(),
        dy_row.into(),
    ];
    Launch::thread_per_pack(rows, n, width).run(gpu, &name, arguments);
    Some(gradients)
}

fn instance(kernel: &str, like: &Tensor, activation: Activation, width: i64) -> Option<String> {
    let number = match activation {
        Activation::Silu => 0,
        Activation::Gelu => 1,
        Activation::GeluTanh => 2,
    };
    Some(format!(
        "{kernel}<{}, {number}, {width}>",
        type_name(like.kind())?
    ))
}
