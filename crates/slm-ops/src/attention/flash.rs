//! Attention on a GPU in 16 bits, of conversations one after the other, too: none sees another's, and nothing is masked.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::backend::libtorch::LibTorchDevice;
use burn::backend::{DispatchTensorKind, LibTorch};
use burn::tensor::Device;
use tch::{Kind, Tensor};

use super::Sight;
use super::conversations::Conversations;
use super::fused::Kept;
use crate::aten::{Sequences, cudnn_backward, cudnn_forward, flash_backward, flash_forward};

/// Whether these heads can be read: in 16 bits, in eights of channels, of a sight that is a triangle or made of conversations.
pub(super) fn reads(sight: &Sight, head_dim: usize, kind: Kind) -> bool {
    matches!(kind, Kind::BFloat16 | Kind::Half)
        && head_dim.is_multiple_of(8)
        && head_dim <= 256
        && (sight.is_causal() || sight.conversations().is_some())
}

/// The result, `[batch, heads, time, dim]`, and what its backward pass reads.
pub(super) fn forward(heads: [&Tensor; 3], sight: &Sight, scale: f64) -> [Tensor; 2] {
    if is_for_cudnn(heads[0], sight) {
        match cudnn_forward(heads, scale) {
            Ok(found) => return found,
            Err(_) => CUDNN_FAILS.store(true, Ordering::Relaxed),
        }
    }
    let sequences = sequences(sight, heads[0]);
    let [q, k, v] = heads.map(|x| by_position(x, &sequences));
    let [y, log_sums] = flash_forward([&q, &k, &v], &sequences, scale);
    [by_head(y, heads[0]), log_sums]
}

/// The gradients of q, k and v.
pub(super) fn backward(kept: &Kept<LibTorch>, dy: &Tensor) -> [Tensor; 3] {
    let heads = [&kept.q, &kept.k, &kept.v].map(|x| &x.tensor);
    let (y, log_sums, scale) = (&kept.y.tensor, &kept.log_sums.tensor, kept.scores.scale);
    if is_for_cudnn(heads[0], &kept.sight) {
        return cudnn_backward(dy, heads, [y, log_sums], scale);
    }
    let sequences = sequences(&kept.sight, heads[0]);
    let [q, k, v, y, dy] =
        [heads[0], heads[1], heads[2], y, dy].map(|x| by_position(x, &sequences));
    let gradients = flash_backward(&dy, [&q, &k, &v], [&y, log_sums], &sequences, scale);
    let [dq, dk, dv] = gradients;
    [
        by_head(dq, heads[0]),
        by_head(dk, heads[1]),
        by_head(dv, heads[2]),
    ]
}

/// This device, or this libtorch, has no attention of cuDNN.
static CUDNN_FAILS: AtomicBool = AtomicBool::new(false);

/// cuDNN is 1.3 to 1.8 times as fast as flash attention on a Hopper card, but plans each shape for itself, which takes as long as many
/// steps: it gets those that come again, of rows cut to one length.
fn is_for_cudnn(q: &Tensor, sight: &Sight) -> bool {
    const CUT: usize = 128;
    let [_, time, seen] = sight.dims();
    let is_long = time == seen && time.is_multiple_of(CUT);
    let head_dim = q.size()[3];
    is_long && head_dim <= 128 && sight.is_causal() && !CUDNN_FAILS.load(Ordering::Relaxed)
}

/// `[batch, heads, time, dim]` as `[batch, time, heads, dim]`, or `[batch · time, heads, dim]`.
fn by_position(x: &Tensor, sequences: &Sequences) -> Tensor {
    let x = x.transpose(1, 2);
    let x = match x.stride().last() == Some(&1) {
        true => x,
        false => x.contiguous(),
    };
    match sequences.starts {
        Some(_) => x.flatten(0, 1),
        None => x,
    }
}

fn by_head(y: Tensor, like: &Tensor) -> Tensor {
    let size = like.size();
    y.reshape([size[0], size[2], size[1], size[3]])
        .transpose(1, 2)
}

fn sequences(sight: &Sight, like: &Tensor) -> Sequences {
    let [batch, _, seen] = sight.dims();
    let conversations = match sight.is_causal() {
        true => None,
        false => sight.conversations(),
    };
    match conversations {
        None => Sequences {
            starts: None,
            longest: seen as i64,
            window: None,
        },
        Some(found) => Sequences {
            starts: (!found.are_rows(batch)).then(|| starts(found, like)),
            longest: found.longest as i64,
            window: found.window.map(|keys| keys as i64 - 1),
        },
    }
}

fn starts(conversations: &Conversations, like: &Tensor) -> Tensor {
    let device = Device::new(LibTorchDevice::from(like.device()));
    match conversations.starts(&device).into_dispatch().kind {
        DispatchTensorKind::LibTorch(starts) => starts.int().tensor,
        _ => unreachable!("it lies where the heads do"),
    }
}
