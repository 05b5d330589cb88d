//! The rotation by Flex's loop on a processor in f32, and in ATen's operations elsewhere.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, LibTorch};
use tch::{Kind, Tensor};

use super::cuda;
use super::fused::Passes;
use crate::processor::{flex, reads, torch};
use crate::torch::handle;

impl Passes for LibTorch {
    /// The result lies as `x` does: position by position, if a projection made it.
    fn rotate(
        x: &FloatTensor<Self>,
        cos: &FloatTensor<Self>,
        sin: &FloatTensor<Self>,
        sign: f32,
    ) -> FloatTensor<Self> {
        if let Some(y) = cuda::rotate(&x.tensor, &cos.tensor, &sin.tensor, sign) {
            return handle(y);
        }
        if [x, cos, sin].into_iter().all(reads) {
            return torch(Flex::rotate(&flex(x), &flex(cos), &flex(sin), sign));
        }
        let (dtype, x) = (x.tensor.kind(), x.tensor.to_kind(Kind::Float));
        let cos = &cos.tensor;
        let [sin, minus_sin] = [sign, -sign].map(|sign| &sin.tensor * f64::from(sign));
        let half = cos.size()[3];
        let rest = x.size()[3] - 2 * half;
        let y = x.empty_like();
        let parts = |x: &Tensor| [0, half].map(|start| x.narrow(3, start, half));
        let ([x1, x2], [y1, y2]) = (parts(&x), parts(&y));
        let _ = x1.multiply_out(&y1, cos).addcmul_(&x2, &minus_sin);
        let _ = x2.multiply_out(&y2, cos).addcmul_(&x1, &sin);
        if rest > 0 {
            y.narrow(3, 2 * half, rest)
                .copy_(&x.narrow(3, 2 * half, rest));
        }
        handle(y.to_kind(dtype))
    }
}
