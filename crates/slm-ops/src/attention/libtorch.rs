//! Attention by Flex's loops on a processor in f32, and in ATen's fused kernels elsewhere.

use burn::backend::DispatchTensorKind;
use burn::backend::libtorch::LibTorchDevice;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, LibTorch};
use burn::tensor::{DType, Device};
use tch::{Kind, Tensor};

use super::fused::{Kept, Passes};
use super::{Scores, Sight, flash};
use crate::processor::{flex, reads, torch};
use crate::torch::{Handle, handle};

/// Of a GPU, flash attention is taken in 16 bits, and ATen's memory-efficient kernels in f32, which read heads of eights of
/// channels. They have masks, too, but ask for them in a layout of their own.
pub(super) fn has_kernel(
    device: LibTorchDevice,
    sight: &Sight,
    head_dim: usize,
    dtype: DType,
) -> bool {
    match (device, dtype) {
        (LibTorchDevice::Cpu, _) => true,
        (LibTorchDevice::Cuda(_), DType::BF16) => flash::reads(sight, head_dim, Kind::BFloat16),
        (LibTorchDevice::Cuda(_), DType::F16) => flash::reads(sight, head_dim, Kind::Half),
        (LibTorchDevice::Cuda(_), DType::F32) => is_triangle(sight) && head_dim.is_multiple_of(8),
        _ => false,
    }
}

impl Passes for LibTorch {
    fn forward(
        q: &FloatTensor<Self>,
        k: &FloatTensor<Self>,
        v: &FloatTensor<Self>,
        sight: &Sight,
        scores: Scores,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if [q, k, v].into_iter().all(reads) {
            let (y, log_sums) = Flex::forward(&flex(q), &flex(k), &flex(v), sight, scores);
            return (torch(y), torch(log_sums));
        }
        let (y, log_sums) = match q.tensor.device() {
            tch::Device::Cpu => {
                let (is_causal, mask) = mask(sight);
                Tensor::internal_scaled_dot_product_flash_attention_for_cpu(
                    &q.tensor,
                    &k.tensor,
                    &v.tensor,
                    0.0,
                    is_causal,
                    mask,
                    scores.scale,
                )
            }
            _ if q.tensor.kind() != Kind::Float => {
                let heads = [q, k, v].map(|x| &x.tensor);
                let [y, log_sums] = flash::forward(heads, sight, scores.scale);
                (y, log_sums)
            }
            _ => {
                let [k, v] = [k, v].map(|x| repeated(&x.tensor, q.tensor.size()[1]));
                let (y, log_sums, ..) = Tensor::internal_scaled_dot_product_efficient_attention(
                    &q.tensor,
                    &k,
                    &v,
                    None::<Tensor>,
                    true,
                    0.0,
                    true,
                    scores.scale,
                );
                (y, log_sums)
            }
        };
        (handle(y), handle(log_sums))
    }

    fn backward(kept: Kept<Self>, dy: FloatTensor<Self>) -> [FloatTensor<Self>; 3] {
        if [&kept.q, &kept.k, &kept.v].into_iter().all(reads) {
            return on_processor(&kept, &dy);
        }
        let (dq, dk, dv) = match dy.tensor.device() {
            tch::Device::Cpu => {
                let (is_causal, mask) = mask(&kept.sight);
                Tensor::internal_scaled_dot_product_flash_attention_for_cpu_backward(
                    &dy.tensor,
                    &kept.q.tensor,
                    &kept.k.tensor,
                    &kept.v.tensor,
                    &kept.y.tensor,
                    &kept.log_sums.tensor,
                    0.0,
                    is_causal,
                    mask,
                    kept.scores.scale,
                )
            }
            _ if kept.q.tensor.kind() != Kind::Float => flash::backward(&kept, &dy.tensor).into(),
            _ => efficient_backward(&kept, &dy.tensor),
        };
        [dq, dk, dv].map(handle)
    }
}

/// By Flex's loops, which look at no key that a query does not see.
fn on_processor(kept: &Kept<LibTorch>, dy: &Handle) -> [Handle; 3] {
    let kept = Kept {
        q: flex(&kept.q),
        k: flex(&kept.k),
        v: flex(&kept.v),
        y: flex(&kept.y),
        log_sums: flex(&kept.log_sums),
        sight: kept.sight.clone(),
        scores: kept.scores,
    };
    Flex::backward(kept, flex(dy)).map(torch)
}

/// Of the kernels for a GPU, which take time before heads.
fn efficient_backward(kept: &Kept<LibTorch>, dy: &Tensor) -> (Tensor, Tensor, Tensor) {
    /// A query sees the keys up to its own number.
    const CAUSAL: i64 = 1;
    let [_, n_heads, time, _] =
        <[i64; 4]>::try_from(dy.size()).expect("heads have four dimensions");
    let [k, v] = [&kept.k, &kept.v].map(|x| repeated(&x.tensor, n_heads).transpose(1, 2));
    let no_dropout = Tensor::empty([0], (Kind::Int64, dy.device()));
    let (dq, dk, dv, _) = Tensor::internal_efficient_attention_backward(
        &dy.transpose(1, 2),
        &kept.q.tensor.transpose(1, 2),
        &k,
        &v,
        None::<Tensor>,
        &kept.y.tensor.transpose(1, 2),
        None,
        None,
        time,
        time,
        &kept.log_sums.tensor,
        0.0,
        &no_dropout,
        &no_dropout,
        CAUSAL,
        false,
        kept.scores.scale,
        None,
        None,
        false,
    );
    let kv_heads = kept.k.tensor.size()[1];
    let summed = |x: Tensor| {
        let x = x.transpose(1, 2);
        match n_heads == kv_heads {
            true => x,
            false => x
                .unflatten(1, [kv_heads, -1])
                .sum_dim_intlist(2, false, None),
        }
    };
    (dq.transpose(1, 2), summed(dk), summed(dv))
}

/// Each key head as often as queries read it.
fn repeated(x: &Tensor, n_heads: i64) -> Tensor {
    let times = n_heads / x.size()[1];
    match times {
        1 => x.shallow_clone(),
        _ => x.repeat_interleave_self_int(times, 1, None),
    }
}

/// Whether the kernels' own triangle is what queries see.
fn is_triangle(sight: &Sight) -> bool {
    let [_, time, seen] = sight.dims();
    time == seen && sight.is_causal()
}

/// Whether the kernel's own triangle does, and what is added to the scores if not.
fn mask(sight: &Sight) -> (bool, Option<Tensor>) {
    if is_triangle(sight) {
        return (true, None);
    }
    match sight
        .bias(&Device::new(LibTorchDevice::Cpu))
        .into_dispatch()
        .kind
    {
        DispatchTensorKind::LibTorch(bias) => (false, Some(bias.float().tensor)),
        _ => unreachable!("a bias lies where the scores do"),
    }
}
