//! The layer's products in ATen: what is added to a result is added by the product itself.

use burn::backend::LibTorch;
use burn::backend::tensor::FloatTensor;
use tch::Tensor;

use super::cuda;
use super::fused::{Bias, Frozen, Kept, Layer, LowRank, Passes};
use crate::quantized::{Dense, Int8Matrix, IntegerProduct};
use crate::torch::{handle, linear};

/// Thin products are taken with the long side last, `[r, rows]`: the other way round they are three times slower on a
/// processor.
impl Passes for LibTorch {
    fn forward(
        x: &FloatTensor<Self>,
        layer: &Layer<Self>,
        low_rank: &LowRank<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (x, LowRank { a, b, scale }) = (&x.tensor, low_rank);
        let bias = match &layer.bias {
            Bias::Absent => None,
            Bias::Present(bias) => Some(&bias.tensor),
        };
        let y = match floats(&layer.weight) {
            Ok(weight) if cuda::applies(x) => {
                let pair = [&a.tensor, &b.tensor];
                let (y, low) = cuda::forward(x, &weight, bias, pair, *scale);
                return (handle(y), handle(low));
            }
            Ok(weight) => linear(x, &weight, bias),
            Err(matrix) => {
                let y = Self::integer_product(handle(x.shallow_clone()), matrix).tensor;
                match bias {
                    Some(bias) => y + bias,
                    None => y,
                }
            }
        };
        let kind = a.tensor.kind();
        let low = a.tensor.mm(&x.to_kind(kind).tr()).g_mul_scalar_(*scale); // [r, rows]
        let y = with_product(y, &low.tr(), &b.tensor.tr());
        (handle(y), handle(low))
    }

    fn backward(
        kept: Kept<Self>,
        dy: FloatTensor<Self>,
        wants_x: bool,
    ) -> (Option<FloatTensor<Self>>, [FloatTensor<Self>; 2]) {
        let LowRank { a, b, scale } = &kept.low_rank;
        let (x, kind) = (&kept.x.tensor, a.tensor.kind());
        let weight = wants_x.then(|| floats(&kept.weight));
        if cuda::applies(x) {
            let inputs = [x, &dy.tensor, &kept.low.tensor];
            let (pair, weight) = ([&a.tensor, &b.tensor], weight.and_then(Result::ok));
            let (dx, gradients) = cuda::backward(inputs, weight.as_ref(), pair, *scale);
            return (dx.map(handle), gradients.map(handle));
        }
        let pull = dy.tensor.to_kind(kind);
        let d_low = b.tensor.tr().mm(&pull.tr()).g_mul_scalar_(*scale); // [r, rows]
        let da = d_low.mm(&x.to_kind(kind));
        let db = kept.low.tensor.mm(&pull).tr().contiguous();
        drop(pull);
        let dx = weight.map(|weight| {
            let dx = match weight {
                Ok(weight) => linear(&dy.tensor, &weight.tr(), None),
                Err(matrix) => Self::integer_gradient(dy, matrix).tensor,
            };
            handle(with_product(dx, &d_low.tr(), &a.tensor))
        });
        (dx, [handle(da), handle(db)])
    }
}

/// The matrix, `[out, in]`, or what is multiplied with in integers; on a GPU in 16 bits nothing is.
fn floats(weight: &Frozen<LibTorch>) -> Result<Tensor, Int8Matrix<LibTorch>> {
    match weight {
        Frozen::Float(weight) => Ok(weight.tensor.shallow_clone()),
        Frozen::Codes(codes) => Ok(LibTorch::dense(codes.clone()).tensor),
        Frozen::Int8(matrix) => Err(matrix.clone()),
    }
}

/// `y + a b`, in the memory of `y` and in its dtype.
fn with_product(mut y: Tensor, a: &Tensor, b: &Tensor) -> Tensor {
    match y.kind() == a.kind() {
        true => y.addmm_(a, b),
        false => y.g_add_(&a.mm(b).to_kind(y.kind())),
    }
}
