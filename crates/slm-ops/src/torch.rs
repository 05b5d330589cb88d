//! What the operations on LibTorch share.
//!
//! Nothing here waits for a device, and every tensor that is written in place is one that nobody else reads.

use std::sync::LazyLock;

use burn::backend::LibTorch;
use burn::backend::tensor::FloatTensor;
use tch::{Device, Kind, Tensor};

/// burn's handle of a tensor of torch.
pub(crate) type Handle = FloatTensor<LibTorch>;

/// The handle of a tensor with memory of its own.
pub(crate) fn handle(tensor: Tensor) -> Handle {
    Handle::new(tensor)
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
///
/// On processors other than Intel's, MKL takes its slowest way, and oneDNN is 2 to 3 times faster. ATen gives its products
/// as convolutions only: of one position with each row a pixel, which is the same in memory.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let [rows, out] = [x.size()[0], weight.size()[0]];
    let is_on_cpu = x.device() == Device::Cpu && x.kind() == Kind::Float;
    if is_on_cpu && rows >= FEWEST_ROWS && mkl_is_slow() {
        let bias = bias.map(|bias| bias.reshape(-1));
        let pixels = x.contiguous().view((1, rows, 1, -1)).permute([0, 3, 1, 2]);
        let kernel = weight.unsqueeze(-1).unsqueeze(-1);
        let y = pixels.mkldnn_convolution(&kernel, bias, [0, 0], [1, 1], [1, 1], 1);
        return y.permute([0, 2, 3, 1]).reshape([rows, out]);
    }
    match bias {
        Some(bias) => bias.addmm(x, &weight.tr()),
        None => x.mm(&weight.tr()),
    }
}

/// For fewer, it costs too much to lay out the weight as oneDNN wants it.
const FEWEST_ROWS: i64 = 64;

/// Whether MKL multiplies on a processor that it does not know.
fn mkl_is_slow() -> bool {
    static IS_SLOW: LazyLock<bool> = LazyLock::new(|| {
        #[cfg(target_arch = "x86_64")]
        return std::arch::x86_64::__cpuid(0).ebx != u32::from_le_bytes(*b"Genu"); // ineIntel
        #[cfg(not(target_arch = "x86_64"))]
        false
    });
    *IS_SLOW
}
