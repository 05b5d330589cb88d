//! The norm on a GPU, one pass each way.

use tch::{Kind, Tensor};

use super::RmsWeight;
use crate::cuda::{Launch, gpu_of, type_name, width};

impl RmsWeight {
    /// Its number in `kernels.cu`.
    fn number(self) -> i32 {
        match self {
            Self::Rounded => 0,
            Self::Exact => 1,
            Self::ExactPlusOne => 2,
        }
    }
}

/// The result, and each row's inverse root; `None` where there are no kernels.
pub(super) fn forward(
    x: &Tensor,
    weight: &Tensor,
    kind: RmsWeight,
    eps: f64,
) -> Option<(Tensor, Tensor)> {
    let gpu = gpu_of(x)?;
    let x = x.contiguous();
    let (y, n) = (x.empty_like(), columns(&x));
    let mut shape = x.size();
    *shape.last_mut()? = 1;
    let roots = Tensor::empty(&shape, (Kind::Float, x.device()));
    let rows = roots.numel() as i64;
    let (name, width) = instance("rms_forward", n, [&y, &x], weight)?;
    let arguments = [
        (&y).into(),
        (&roots).into(),
        (&x).into(),
        weight.into(),
        (n as i32).into(),
        eps.into(),
        kind.number().into(),
    ];
    Launch::block_per_row(rows, n, width).run(gpu, &name, arguments);
    Some((y, roots))
}

/// The gradient of `x`.
pub(super) fn backward(
    dy: &Tensor,
    x: &Tensor,
    weight: &Tensor,
    roots: &Tensor,
    kind: RmsWeight,
) -> Option<Tensor> {
    let gpu = gpu_of(x)?;
    let (x, dy) = (x.contiguous(), dy.to_kind(x.kind()).contiguous());
    let (dx, n) = (x.empty_like(), columns(&x));
    let (name, width) = instance("rms_backward", n, [&dx, &x], weight)?;
    let arguments = [
        (&dx).into(),
        (&dy).into(),
        (&x).into(),
        weight.into(),
        roots.into(),
        (n as i32).into(),
        kind.number().into(),
    ];
    Launch::block_per_row(roots.numel() as i64, n, width).run(gpu, &name, arguments);
    Some(dx)
}

/// The kernel for these tensors, and how many values a thread reads at once.
fn instance(kernel: &str, n: i64, tensors: [&Tensor; 2], weight: &Tensor) -> Option<(String, i64)> {
    let (of_x, of_weight) = (type_name(tensors[1].kind())?, type_name(weight.kind())?);
    // Weights of f32 are read as often at once, and lie as wide apart.
    let is_aligned = (weight.data_ptr() as usize).is_multiple_of(32);
    let width = if is_aligned { width(n, &tensors) } else { 1 };
    Some((format!("{kernel}<{of_x}, {of_weight}, {width}>"), width))
}

fn columns(x: &Tensor) -> i64 {
    x.size().last().copied().unwrap_or(1)
}
