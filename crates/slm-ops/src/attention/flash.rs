//! Flash attention on a GPU in 16 bits, of conversations one after the other, too: none sees another's, and nothing is masked.

use burn::backend::libtorch::LibTorchDevice;
use burn::backend::{DispatchTensorKind, LibTorch};
use burn::tensor::Device;
use tch::{Kind, Tensor};

use super::Sight;
use super::conversations::Conversations;
use super::fused::Kept;
use crate::aten::{Sequences, flash_backward, flash_forward};

/// Whether these heads can be read: of a sight that is made of conversations, in 16 bits, in eights of channels.
pub(super) fn reads(sight: &Sight, head_dim: usize, kind: Kind) -> bool {
    matches!(kind, Kind::BFloat16 | Kind::Half)
        && head_dim.is_multiple_of(8)
        && head_dim <= 256
        && sight.conversations().is_some()
}

/// The result, `[batch, heads, time, dim]`, and what its backward pass reads.
pub(super) fn forward(heads: [&Tensor; 3], sight: &Sight, scale: f64) -> [Tensor; 2] {
    let sequences = sequences(sight, heads[0]);
    let [q, k, v] = heads.map(|x| by_position(x, &sequences));
    let [y, log_sums] = flash_forward([&q, &k, &v], &sequences, scale);
    [by_head(y, heads[0]), log_sums]
}

/// The gradients of q, k and v.
pub(super) fn backward(kept: &Kept<LibTorch>, dy: &Tensor) -> [Tensor; 3] {
    let heads = [&kept.q, &kept.k, &kept.v].map(|x| &x.tensor);
    let sequences = sequences(&kept.sight, heads[0]);
    let [q, k, v, y, dy] =
        [heads[0], heads[1], heads[2], &kept.y.tensor, dy].map(|x| by_position(x, &sequences));
    let (log_sums, scale) = (&kept.log_sums.tensor, kept.scores.scale);
    let gradients = flash_backward(&dy, [&q, &k, &v], [&y, log_sums], &sequences, scale);
    gradients.map(|x| by_head(x, heads[0]))
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
    let (heads, size) = (y.size()[y.dim() - 2], like.size());
    y.reshape([size[0], size[2], heads, size[3]])
        .transpose(1, 2)
}

fn sequences(sight: &Sight, like: &Tensor) -> Sequences {
    let conversations = sight
        .conversations()
        .expect("a sight that `reads` has seen");
    let are_rows = conversations.are_rows(sight.dims()[0]);
    Sequences {
        starts: (!are_rows).then(|| starts(conversations, like)),
        longest: conversations.longest as i64,
        window: conversations.window.map(|keys| keys as i64 - 1),
    }
}

fn starts(conversations: &Conversations, like: &Tensor) -> Tensor {
    let device = Device::new(LibTorchDevice::from(like.device()));
    match conversations.starts(&device).into_dispatch().kind {
        DispatchTensorKind::LibTorch(starts) => starts.int().tensor,
        _ => unreachable!("it lies where the heads do"),
    }
}
