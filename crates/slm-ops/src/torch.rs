//! What the operations on LibTorch share.
//!
//! Nothing here waits for a device, and every tensor that is written in place is one that nobody else reads.

use std::mem::MaybeUninit;
use std::sync::LazyLock;

use burn::backend::tensor::FloatTensor;
use burn::backend::{
    BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, LibTorch,
};
use tch::kind::Element;
use tch::{Device, Kind, Tensor};

use crate::dense_product::{FEW, columns_of_few};

/// burn's handle of a tensor of torch.
pub(crate) type Handle = FloatTensor<LibTorch>;

/// The handle of a tensor with memory of its own.
pub(crate) fn handle(tensor: Tensor) -> Handle {
    Handle::new(tensor)
}

/// burn's tensor of floats as torch's, sharing its memory; `None` on other backends, and in a graph.
pub(crate) fn torch_tensor<const D: usize>(x: &burn::tensor::Tensor<D>) -> Option<Tensor> {
    match x.clone().into_dispatch().kind {
        DispatchTensorKind::LibTorch(BackendTensor::Float(x)) => Some(x.tensor),
        _ => None,
    }
}

/// [`torch_tensor`] with all that burn knows of who reads it.
pub(crate) fn into_handle<const D: usize>(x: burn::tensor::Tensor<D>) -> Option<Handle> {
    match x.into_dispatch().kind {
        DispatchTensorKind::LibTorch(BackendTensor::Float(x)) => Some(x),
        _ => None,
    }
}

/// torch's tensor of floats as burn's, outside of a graph.
pub(crate) fn burn_tensor<const D: usize>(x: Tensor) -> burn::tensor::Tensor<D> {
    burn::tensor::Tensor::from_dispatch(DispatchTensor {
        kind: DispatchTensorKind::LibTorch(BackendTensor::Float(handle(x))),
        autodiff: DispatchAutodiffContext::Disabled,
    })
}

/// `x` in f32: a tensor to write to if it is one of its own already or was converted.
pub(crate) fn into_f32(x: Handle) -> Result<Tensor, Tensor> {
    match x.tensor.kind() {
        Kind::Float if x.can_mut() => Ok(x.tensor),
        Kind::Float => Err(x.tensor),
        _ => Ok(x.tensor.to_kind(Kind::Float)),
    }
}

/// `x · y` of one shape or broadcast to that of `x`, in the memory of `x` where that is allowed.
pub(crate) fn product(x: Result<Tensor, Tensor>, y: &Tensor) -> Tensor {
    match x {
        Ok(mut x) => x.g_mul_(y),
        Err(x) => x * y,
    }
}

/// `x Wᵀ + bias`: `[rows, in]` with `[out, in]` and, perhaps, `[1, out]`.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    if is_few_on_cpu(x) && is_f32(weight) {
        let y = few(x, weight);
        return match bias {
            Some(bias) => y + bias,
            None => y,
        };
    }
    match (prefers_onednn(x), bias) {
        (true, _) if is_small(weight) => convolution(x, weight, bias),
        (true, None) => {
            let y = x.new_empty([x.size()[0], weight.size()[0]], (x.kind(), x.device()));
            in_blocks(&y, x, weight);
            y
        }
        (_, Some(bias)) => bias.addmm(x, &weight.tr()),
        (_, None) => x.mm(&weight.tr()),
    }
}

fn is_f32(x: &Tensor) -> bool {
    x.kind() == Kind::Float
}

fn is_few_on_cpu(x: &Tensor) -> bool {
    x.device() == Device::Cpu && is_f32(x) && x.size()[0] <= FEW as i64
}

/// `x Wᵀ` of few rows, in f32 on a processor: the threads' own loop reads the weight twice as fast as MKL's.
fn few(x: &Tensor, weight: &Tensor) -> Tensor {
    let (x, weight) = (x.contiguous(), weight.contiguous());
    let [rows, n, out] = [x.size()[0], x.size()[1], weight.size()[0]];
    let shape = [rows as usize, n as usize];
    let columns = columns_of_few(
        (values(&x), shape[1]),
        (values(&weight), shape[1]),
        shape,
        out as usize,
    );
    Tensor::from_slice(&columns)
        .view((out, rows))
        .tr()
        .contiguous()
}

/// The values of a contiguous tensor in a processor's memory.
pub(crate) fn values<E: Element>(x: &Tensor) -> &[E] {
    assert_eq!(x.kind(), E::KIND, "the kind of the values");
    // SAFETY: the tensor's memory holds as many values of this kind in one piece, and lives as long as the tensor that is
    // borrowed.
    #[expect(unsafe_code, reason = "tch gives a pointer")]
    unsafe {
        std::slice::from_raw_parts(x.data_ptr().cast(), x.numel())
    }
}

/// The same of a tensor that nobody else reads, to be written.
pub(crate) fn values_mut(x: &mut Tensor) -> &mut [f32] {
    assert_eq!(x.kind(), Kind::Float, "the kind of the values");
    // SAFETY: as above, and the tensor's memory is its own.
    #[expect(unsafe_code, reason = "tch gives a pointer")]
    unsafe {
        std::slice::from_raw_parts_mut(x.data_ptr().cast(), x.numel())
    }
}

/// The same of a tensor that has not been written yet.
pub(crate) fn unwritten(x: &mut Tensor) -> &mut [MaybeUninit<f32>] {
    assert_eq!(x.kind(), Kind::Float, "the kind of the values");
    // SAFETY: as above, and nothing is said of what the memory holds.
    #[expect(unsafe_code, reason = "tch gives a pointer")]
    unsafe {
        std::slice::from_raw_parts_mut(x.data_ptr().cast(), x.numel())
    }
}

/// The same into `y`, `[rows, out]`, without a bias.
pub(crate) fn linear_into(y: &Tensor, x: &Tensor, weight: &Tensor) {
    match prefers_onednn(x) {
        true => in_blocks(y, x, weight),
        false => drop(x.mm_out(y, &weight.tr())),
    }
}

/// Whether oneDNN is the faster of what a processor has.
fn prefers_onednn(x: &Tensor) -> bool {
    /// For fewer, it costs too much to lay out the weight as oneDNN wants it.
    const FEWEST_ROWS: i64 = 64;
    let is_on_cpu = x.device() == Device::Cpu && x.kind() == Kind::Float;
    is_on_cpu && x.size()[0] >= FEWEST_ROWS && mkl_leaves_half()
}

/// Values of a weight, at most, that are laid out anew for one product: more do not stay in a cache.
const BLOCK: i64 = 1 << 21;

fn is_small(weight: &Tensor) -> bool {
    weight.numel() as i64 <= BLOCK
}

/// `x Wᵀ` by blocks of the weight's longer side.
fn in_blocks(y: &Tensor, x: &Tensor, weight: &Tensor) {
    let [out, inner] = [weight.size()[0], weight.size()[1]];
    let step = (BLOCK / out.min(inner)).max(1) as usize;
    let mut y = y.shallow_clone();
    for start in (0..out.max(inner)).step_by(step) {
        let len = (step as i64).min(out.max(inner) - start);
        if out >= inner {
            let part = convolution(x, &weight.narrow(0, start, len), None);
            y.narrow(1, start, len).copy_(&part);
            continue;
        }
        let part = convolution(
            &x.narrow(1, start, len),
            &weight.narrow(1, start, len),
            None,
        );
        match start {
            0 => y.copy_(&part),
            _ => drop(y.g_add_(&part)),
        }
    }
}

/// `x Wᵀ + bias` by oneDNN, 2 to 3 times as fast as MKL where that is slow. ATen has f32 products of oneDNN as convolutions
/// only: of one position, with each row a pixel, which is the same in memory.
fn convolution(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let [rows, out] = [x.size()[0], weight.size()[0]];
    let bias = bias.map(|bias| bias.reshape(-1));
    let pixels = x.contiguous().view((1, rows, 1, -1)).permute([0, 3, 1, 2]);
    let kernel = weight.unsqueeze(-1).unsqueeze(-1);
    let y = pixels.mkldnn_convolution(&kernel, bias, [0, 0], [1, 1], [1, 1], 1);
    y.permute([0, 2, 3, 1]).reshape([rows, out])
}

/// Whether MKL leaves half of a processor unused: on those of other makers than Intel it multiplies by AVX2, and AMD's
/// multiply twice as fast by AVX-512 from family 1Ah (Zen 5) on. Before that both are equally fast, and nothing has to be laid out anew for MKL.
fn mkl_leaves_half() -> bool {
    static LEAVES_HALF: LazyLock<bool> = LazyLock::new(|| {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::__cpuid;
            let is_amd = __cpuid(0).ebx == u32::from_le_bytes(*b"Auth"); // enticAMD
            is_amd && family(__cpuid(1).eax) >= 0x1a && std::is_x86_feature_detected!("avx512f")
        }
        #[cfg(not(target_arch = "x86_64"))]
        false
    });
    *LEAVES_HALF
}

/// The family of a processor, of what `cpuid` says under 1 (AMD64 Architecture Programmer's Manual, volume 3, appendix E.3.2).
#[cfg(target_arch = "x86_64")]
fn family(signature: u32) -> u32 {
    match (signature >> 8) & 0xf {
        0xf => 0xf + ((signature >> 20) & 0xff),
        family => family,
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::family;

    #[test]
    fn families_of_processors() {
        // Zen 2, Zen 4, Zen 5, and Sapphire Rapids, as their makers' tables have them.
        for (signature, known) in [
            (0x0083_0f10, 0x17),
            (0x00a1_0f11, 0x19),
            (0x00b0_0f21, 0x1a),
            (0x000c_06f2, 0x6),
        ] {
            assert_eq!(family(signature), known, "{signature:x}");
        }
    }
}
