//! A frozen linear layer with its low-rank adapter.

#[cfg(feature = "libtorch")]
pub(crate) mod cuda;
mod flex;
pub(crate) mod fused;
#[cfg(feature = "libtorch")]
pub(crate) mod libtorch;

use burn::backend::{Dispatch, tensor::FloatTensor};
use burn::tensor::{DType, Tensor};

use crate::{Dropout, Weight};
use fused::{AdapterForm, Bias, Frozen, Layer, LoraLinear};

/// The low-rank pair of one linear layer, as one call needs it.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// `[r, in]`, HF layout.
    pub a: Tensor<2>,
    /// `[out, r]`, HF layout.
    pub b: Tensor<2>,
    /// `alpha / r`, or `alpha / √r` (rsLoRA).
    pub scale: f64,
    /// What of its input is dropped, `[rows, in]`.
    pub dropout: Option<Dropout>,
    /// The norm that each row of the adapted weight is given (DoRA).
    pub magnitude: Option<Magnitude>,
}

/// DoRA (Liu et al. 2024): each row of `W + scale · B A` is scaled to a norm of its own.
#[derive(Clone, Debug)]
pub struct Magnitude {
    /// `[1, out]`, f32, trained.
    pub norms: Tensor<2>,
    /// Squared norms of the rows of the base weight: `[1, out]`, f32.
    pub base_squares: Tensor<2>,
}

/// `y = x Wᵀ + bias + scale · (drop(x) Aᵀ) Bᵀ`; with a magnitude m, each output column is scaled to
/// `m / ‖W + scale · B A‖` of its row, the bias excepted.
///
/// # Shapes
/// - `x`: `[rows, in]`
/// - `weight`: `[out, in]`, HF layout, floats or codes; `bias`: `[1, out]`
/// - result: `[rows, out]`
///
/// The adapter computes in its own dtype (f32) and its product is cast back to that of the layer.
pub fn lora_linear(
    x: Tensor<2>,
    weight: &Weight,
    bias: Option<Tensor<2>>,
    adapter: Option<Adapter>,
) -> Tensor<2> {
    if let Some(parts) = Parts::of(weight, bias.as_ref(), adapter.as_ref())
        && crate::fused::applies(&x)
    {
        let Parts { layer, a, b, form } = parts;
        let y = Dispatch::lora_linear(x.into_dispatch(), layer, a, b, form);
        return Tensor::from_dispatch(y);
    }
    let bias_outside = adapter.as_ref().is_some_and(|it| it.magnitude.is_some());
    let (base, bias) = match (bias, weight) {
        (Some(bias), Weight::Float(weight)) if weight.dtype() != DType::F32 && !bias_outside => {
            (biased_product(x.clone(), weight.clone(), bias), None)
        }
        (bias, _) => (weight.product(x.clone()), bias),
    };
    let y = match adapter {
        None => base,
        Some(adapter) => match adapter.magnitude.clone() {
            None => base.add(adapter.product(x).cast(weight.dtype())),
            Some(magnitude) => dora(x, base, weight, adapter, &magnitude),
        },
    };
    match bias {
        Some(bias) => y.add(bias),
        None => y,
    }
}

/// `x Wᵀ + bias`, rounded to the dtype once, as PyTorch's `addmm` does: the bias is part of the product's sums.
///
/// It comes in as eight columns of the weight, so that a width that suits a GPU still does: 1/8 has no rounding error.
fn biased_product(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<2>) -> Tensor<2> {
    let ([rows, _], [out, _]) = (x.dims(), weight.dims());
    let eighths = Tensor::full([rows, 8], 0.125, (&x.device(), x.dtype()));
    let x = Tensor::cat(vec![x, eighths], 1); // [rows, in + 8]
    let weight = Tensor::cat(vec![weight, bias.transpose().expand([out, 8])], 1);
    x.matmul(weight.transpose())
}

/// What a fused layer sits on.
fn frozen(weight: &Weight) -> Option<Frozen<Dispatch>> {
    match weight {
        Weight::Float(weight) if is_frozen(weight) => {
            Some(Frozen::Float(weight.clone().into_dispatch()))
        }
        Weight::Float(_) | Weight::Blocks(_) => None,
        Weight::Quantized(weight) => match weight.of_floats() {
            Some(codes) => Some(Frozen::Codes(codes)),
            None => weight.int8_matrix().map(Frozen::Int8),
        },
    }
}

/// What a fused layer is made of.
pub(crate) struct Parts {
    pub(crate) layer: Layer<Dispatch>,
    pub(crate) a: FloatTensor<Dispatch>,
    pub(crate) b: FloatTensor<Dispatch>,
    pub(crate) form: AdapterForm,
}

impl Parts {
    /// None where a layer is trained itself, or its adapter has a magnitude.
    pub(crate) fn of(
        weight: &Weight,
        bias: Option<&Tensor<2>>,
        adapter: Option<&Adapter>,
    ) -> Option<Self> {
        let adapter = adapter.filter(|adapter| adapter.magnitude.is_none())?;
        let weight = frozen(weight)?;
        let bias = match bias {
            Some(bias) if is_frozen(bias) => Bias::Present(bias.clone().into_dispatch()),
            Some(_) => return None,
            None => Bias::Absent,
        };
        Some(Self {
            layer: Layer { weight, bias },
            a: adapter.a.clone().into_dispatch(),
            b: adapter.b.clone().into_dispatch(),
            form: AdapterForm {
                scale: adapter.scale,
                dropout: adapter.dropout,
            },
        })
    }
}

/// Whether no gradient of `x` is formed.
fn is_frozen(x: &Tensor<2>) -> bool {
    !(x.is_autodiff() && x.is_tracked())
}

impl Adapter {
    /// `scale · (drop(x) Aᵀ) Bᵀ`, in the adapter's dtype.
    fn product(&self, x: Tensor<2>) -> Tensor<2> {
        let input = self.dropped(x.cast(self.a.dtype()));
        let low = input
            .matmul(self.a.clone().transpose())
            .mul_scalar(self.scale);
        low.matmul(self.b.clone().transpose())
    }

    fn dropped(&self, x: Tensor<2>) -> Tensor<2> {
        match self.dropout {
            Some(dropout) => dropout.of(x),
            None => x,
        }
    }
}

/// `base` is `x Wᵀ`. With dropout the undropped base stays, and what DoRA adds to it reads the dropped input, as PEFT does.
fn dora(
    x: Tensor<2>,
    base: Tensor<2>,
    weight: &Weight,
    adapter: Adapter,
    magnitude: &Magnitude,
) -> Tensor<2> {
    let dtype = base.dtype();
    let norms = row_norms(
        weight.f32(),
        adapter.a.clone().inner(),
        adapter.b.clone().inner(),
        adapter.scale,
        magnitude.base_squares.clone(),
    );
    let ratio = magnitude.norms.clone().div(norms); // [1, out]
    let product = adapter.product(x.clone());
    let base_f32 = base.cast(DType::F32);
    let y = match adapter.dropout.is_some() {
        false => base_f32.add(product).mul(ratio),
        true => {
            let dropped = adapter.dropped(x.cast(DType::F32)).cast(dtype);
            let seen = weight.product(dropped).cast(DType::F32);
            let added = seen.mul(ratio.clone().sub_scalar(1.0));
            base_f32.add(added).add(product.mul(ratio))
        }
    };
    y.cast(dtype)
}

/// Norms of the rows of `W + scale · B A`, `[1, out]` in f32, without forming it:
/// `‖w‖² + 2 scale · w·(b A) + scale² · b (A Aᵀ) bᵀ` for each row w of W and b of B.
///
/// PEFT takes them as constants in the backward pass; so they are computed outside the graph here.
pub fn row_norms(
    weight: Tensor<2>,
    a: Tensor<2>,
    b: Tensor<2>,
    scale: f64,
    base_squares: Tensor<2>,
) -> Tensor<2> {
    let a_t = a.clone().transpose();
    let cross = weight.cast(DType::F32).matmul(a_t.clone()).mul(b.clone()); // [out, r]
    let square = b.clone().matmul(a.matmul(a_t)).mul(b); // [out, r]
    let sums = cross
        .mul_scalar(2.0 * scale)
        .add(square.mul_scalar(scale * scale))
        .sum_dim(1); // [out, 1]
    base_squares.add(sums.transpose()).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_adapter_adds_its_scaled_product() {
        let device = Device::flex();
        let x = Tensor::<2>::from_floats([[1.0, 2.0]], &device);
        let weight = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], &device);
        let adapter = Adapter {
            a: Tensor::from_floats([[1.0, 1.0]], &device),
            b: Tensor::from_floats([[1.0], [0.0], [-1.0]], &device),
            scale: 2.0,
            dropout: None,
            magnitude: None,
        };
        let y = lora_linear(x, &weight.into(), None, Some(adapter));
        assert_eq!(
            y.into_data().try_to_vec::<f32>().unwrap(),
            [1.0 + 6.0, 2.0, 3.0 - 6.0]
        );
    }

    /// 256 + 1 is 256 in bf16, which has no odd numbers there; 256 + 1 + 1 is not.
    #[test]
    fn a_bias_is_added_before_the_product_is_rounded() {
        let device = Device::flex();
        let half =
            |values: [[f32; 2]; 1]| Tensor::<2>::from_floats(values, &device).cast(DType::BF16);
        let bias = Tensor::<2>::from_floats([[1.0]], &device).cast(DType::BF16);
        let weight = half([[256.0, 1.0]]).into();
        let y = lora_linear(half([[1.0, 1.0]]), &weight, Some(bias), None);
        assert_eq!(y.dtype(), DType::BF16);
        let y = y.cast(DType::F32).into_data().try_to_vec::<f32>();
        assert_eq!(y.unwrap(), [258.0]);
    }

    #[test]
    fn row_norms_are_those_of_the_dense_sum() {
        let device = Device::flex();
        let weight = Tensor::<2>::from_floats([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]], &device);
        let a = Tensor::<2>::from_floats([[1.0, -1.0, 0.5], [0.0, 2.0, 1.0]], &device);
        let b = Tensor::<2>::from_floats([[1.0, 0.5], [-2.0, 1.0]], &device);
        let dense = weight
            .clone()
            .add(b.clone().matmul(a.clone()).mul_scalar(0.5));
        let want = dense.square().sum_dim(1).sqrt().transpose();
        let squares = weight.clone().square().sum_dim(1).transpose();
        let got = row_norms(weight, a, b, 0.5, squares);
        got.into_data()
            .assert_approx_eq::<f32>(&want.into_data(), burn::tensor::Tolerance::absolute(1e-6));
    }
}
