//! The layer's products by Flex's on a processor in f32, and elsewhere in ATen: what is added to a result is added by the product itself.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, LibTorch};
use tch::Tensor;

use super::cuda::{self, Adapted};
use super::fused::{Bias, Frozen, Kept, Layer, LowRank, Passes, one_by_one};
use crate::Dropout;
use crate::processor::{flex, reads, torch};
use crate::quantized::{Dense, Int8Matrix, IntegerProduct};
use crate::torch::{Handle, handle, linear};

/// Thin products are taken with the long side last, `[r, rows]`: the other way round they are three times slower on a
/// processor.
impl Passes for LibTorch {
    fn forward(
        x: &FloatTensor<Self>,
        layer: &Layer<Self>,
        low_rank: &LowRank<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if on_processor(x, low_rank) {
            let (y, low) = Flex::forward(&flex(x), &layer.of_flex(), &low_rank.of_flex());
            return (torch(y), torch(low));
        }
        let (x, LowRank { a, b, form }) = (&x.tensor, low_rank);
        let bias = layer.bias();
        if cuda::applies(x) && form.dropout.is_none() {
            let found = cuda::forward(x, &[adapted(&layer.weight, bias, low_rank)]);
            let [(y, low)] = <[_; 1]>::try_from(found).expect("there is one layer");
            return (handle(y), handle(low));
        }
        let y = match matrix(&layer.weight) {
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
        let read = dropped(form.dropout, x.to_kind(kind));
        let low = a.tensor.mm(&read.tr()).g_mul_scalar_(form.scale); // [r, rows]
        let y = with_product(y, &low.tr(), &b.tensor.tr());
        (handle(y), handle(low))
    }

    fn backward(
        kept: Kept<Self>,
        dy: FloatTensor<Self>,
        wants_x: bool,
    ) -> (Option<FloatTensor<Self>>, [FloatTensor<Self>; 2]) {
        if on_processor(&kept.x, &kept.low_rank) {
            let kept = Kept {
                x: flex(&kept.x),
                weight: kept.weight.of_flex(),
                low_rank: kept.low_rank.of_flex(),
                low: flex(&kept.low),
            };
            let (dx, gradients) = Flex::backward(kept, flex(&dy), wants_x);
            return (dx.map(torch), gradients.map(torch));
        }
        let LowRank { a, b, form } = &kept.low_rank;
        let (x, kind) = (&kept.x.tensor, a.tensor.kind());
        if cuda::applies(x) && form.dropout.is_none() {
            let (dx, gradients) = Self::backward_all(vec![kept], vec![dy], wants_x);
            let [gradients] = <[_; 1]>::try_from(gradients).expect("there is one layer");
            return (dx, gradients);
        }
        let weight = wants_x.then(|| matrix(&kept.weight));
        let pull = dy.tensor.to_kind(kind);
        let d_low = b.tensor.tr().mm(&pull.tr()).g_mul_scalar_(form.scale); // [r, rows]
        let da = d_low.mm(&dropped(form.dropout, x.to_kind(kind)));
        let db = kept.low.tensor.mm(&pull).tr().contiguous();
        drop(pull);
        let dx = weight.map(|weight| {
            let dx = match weight {
                Ok(weight) => linear(&dy.tensor, &weight.tr(), None),
                Err(matrix) => Self::integer_gradient(dy, matrix).tensor,
            };
            handle(match form.dropout {
                None => with_product(dx, &d_low.tr(), &a.tensor),
                some => {
                    let pull = dropped(some, d_low.tr().mm(&a.tensor));
                    let kind = dx.kind();
                    let mut dx = dx;
                    dx.g_add_(&pull.to_kind(kind))
                }
            })
        });
        (dx, [handle(da), handle(db)])
    }

    fn forward_all(
        x: &FloatTensor<Self>,
        layers: &[Layer<Self>],
        low_ranks: &[LowRank<Self>],
    ) -> Vec<(FloatTensor<Self>, FloatTensor<Self>)> {
        let each = layers.iter().zip(low_ranks);
        let drops = low_ranks.iter().any(|it| it.form.dropout.is_some());
        if drops || !cuda::applies(&x.tensor) {
            return each
                .map(|(layer, it)| Self::forward(x, layer, it))
                .collect();
        }
        let layers: Vec<_> = each
            .map(|(layer, it)| adapted(&layer.weight, layer.bias(), it))
            .collect();
        let found = cuda::forward(&x.tensor, &layers);
        found
            .into_iter()
            .map(|(y, low)| (handle(y), handle(low)))
            .collect()
    }

    fn backward_all(
        kept: Vec<Kept<Self>>,
        dys: Vec<FloatTensor<Self>>,
        wants_x: bool,
    ) -> (Option<FloatTensor<Self>>, Vec<[FloatTensor<Self>; 2]>) {
        let x = kept[0].x.tensor.shallow_clone();
        let drops = kept.iter().any(|it| it.low_rank.form.dropout.is_some());
        if drops || !cuda::applies(&x) {
            return one_by_one(kept, dys, wants_x);
        }
        // Without their `x`, which nobody holds then but the products that read it.
        let kept = kept.into_iter().map(|it| (it.weight, it.low_rank, it.low));
        let kept: Vec<_> = kept.collect();
        let layers = kept
            .iter()
            .map(|(weight, low_rank, _)| adapted(weight, None, low_rank));
        let layers: Vec<_> = layers.collect();
        let lows: Vec<&Tensor> = kept.iter().map(|(_, _, low)| &low.tensor).collect();
        let dys: Vec<&Tensor> = dys.iter().map(|dy| &dy.tensor).collect();
        let (dx, gradients) = cuda::backward(x, &layers, [&lows, &dys], wants_x);
        let gradients = gradients.into_iter().map(|pair| pair.map(handle));
        (dx.map(handle), gradients.collect())
    }
}

/// Whether Flex's loops take the layer.
fn on_processor(x: &Handle, low_rank: &LowRank<LibTorch>) -> bool {
    reads(x) && reads(&low_rank.a)
}

impl Layer<LibTorch> {
    /// The same layer, where it lies on a processor.
    fn of_flex(&self) -> Layer<Flex> {
        Layer {
            weight: self.weight.of_flex(),
            bias: match &self.bias {
                Bias::Absent => Bias::Absent,
                Bias::Present(bias) => Bias::Present(flex(bias)),
            },
        }
    }
}

impl Frozen<LibTorch> {
    fn of_flex(&self) -> Frozen<Flex> {
        match self {
            Frozen::Float(weight) => Frozen::Float(flex(weight)),
            Frozen::Int8(matrix) => Frozen::Int8(matrix.of_flex()),
            Frozen::Codes(codes) => Frozen::Float(flex(&LibTorch::dense(codes.clone()))),
        }
    }
}

impl LowRank<LibTorch> {
    fn of_flex(&self) -> LowRank<Flex> {
        LowRank {
            a: flex(&self.a),
            b: flex(&self.b),
            form: self.form,
        }
    }
}

/// `x`, `[rows, in]` in f32, with values dropped, where any are.
fn dropped(dropout: Option<Dropout>, x: Tensor) -> Tensor {
    let Some(dropout) = dropout else {
        return x;
    };
    let factors = Tensor::from_slice(&dropout.factors(x.numel()));
    let mask = factors.to_device(x.device()).view_as(&x);
    x * mask
}

/// A layer as `cuda.rs` takes it, where nothing is dropped or multiplied in integers.
pub(crate) fn adapted<'a>(
    weight: &Frozen<LibTorch>,
    bias: Option<&'a Tensor>,
    low_rank: &'a LowRank<LibTorch>,
) -> Adapted<'a> {
    let weight = matrix(weight).unwrap_or_else(|_| unreachable!("integers are a processor's"));
    let pair = [&low_rank.a.tensor, &low_rank.b.tensor];
    Adapted::new(weight, bias, pair, low_rank.form.scale)
}

/// The matrix, `[out, in]`, or what is multiplied with in integers.
fn matrix(weight: &Frozen<LibTorch>) -> Result<Tensor, Int8Matrix<LibTorch>> {
    match weight {
        Frozen::Float(weight) => Ok(weight.tensor.shallow_clone()),
        Frozen::Codes(codes) => Ok(LibTorch::dense(codes.clone()).tensor),
        Frozen::Int8(matrix) => Err(matrix.clone()),
    }
}

impl Layer<LibTorch> {
    fn bias(&self) -> Option<&Tensor> {
        match &self.bias {
            Bias::Absent => None,
            Bias::Present(bias) => Some(&bias.tensor),
        }
    }
}

/// `y + a b`, in the memory of `y` and in its dtype.
fn with_product(mut y: Tensor, a: &Tensor, b: &Tensor) -> Tensor {
    match y.kind() == a.kind() {
        true => y.addmm_(a, b),
        false => y.g_add_(&a.mm(b).to_kind(y.kind())),
    }
}
