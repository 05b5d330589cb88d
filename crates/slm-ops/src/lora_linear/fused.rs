//! Layer and adapter in one buffer, forward and backward; `x` and `scale · drop(x) Aᵀ` are kept. What is dropped is found again.

use crate::Dropout;
use crate::fused::register;
use crate::quantized::{Int8Matrix, Stored};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, ExtensionType, Flex, backend_extension};

/// A backend with a fused layer.
#[backend_extension(Autodiff, Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait LoraLinear: Backend {
    /// As [`crate::lora_linear()`], with a frozen layer, without a magnitude.
    fn lora_linear(
        x: FloatTensor<Self>,
        #[extension_type] layer: Layer<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: AdapterForm,
    ) -> FloatTensor<Self>;
}

/// What the adapter sits on; no gradients are formed for it.
#[derive(Clone, Debug, ExtensionType)]
pub(crate) struct Layer<B: Backend> {
    #[extension_type]
    pub(crate) weight: Frozen<B>,
    #[extension_type]
    pub(super) bias: Bias<B>,
}

impl<B: Backend, C: CheckpointStrategy> Layer<Autodiff<B, C>> {
    /// The same outside the graph.
    pub(crate) fn inner(self) -> Layer<B> {
        Layer {
            weight: match self.weight {
                Frozen::Float(weight) => Frozen::Float(weight.into_primitive()),
                Frozen::Int8(matrix) => Frozen::Int8(matrix.inner()),
                Frozen::Codes(codes) => Frozen::Codes(codes.inner()),
            },
            bias: match self.bias {
                Bias::Absent => Bias::Absent,
                Bias::Present(bias) => Bias::Present(bias.into_primitive()),
            },
        }
    }
}

/// A matrix `[out, in]`.
#[derive(Clone, Debug, ExtensionType)]
pub(crate) enum Frozen<B: Backend> {
    Float(FloatTensor<B>),
    /// Multiplied with in integers.
    Int8(#[extension_type] Int8Matrix<B>),
    /// Multiplied with in floats: the matrix lives while a product is taken.
    Codes(#[extension_type] Stored<B>),
}

/// The bias of a layer.
#[derive(Clone, Debug, ExtensionType)]
pub(crate) enum Bias<B: Backend> {
    Absent,
    /// `[1, out]`
    Present(FloatTensor<B>),
}

/// `[r, in]`, `[out, r]`, and how they are applied.
#[derive(Clone, Debug)]
pub(crate) struct LowRank<B: Backend> {
    pub(crate) a: FloatTensor<B>,
    pub(crate) b: FloatTensor<B>,
    pub(crate) form: AdapterForm,
}

/// How a pair is applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdapterForm {
    /// What its product is multiplied by.
    pub(crate) scale: f64,
    /// Of its input.
    pub(crate) dropout: Option<Dropout>,
}

/// What the two passes are made of.
pub(crate) trait Passes: Backend {
    /// The result, and whatever form of `scale · drop(x) Aᵀ` the backward pass wants.
    fn forward(
        x: &FloatTensor<Self>,
        layer: &Layer<Self>,
        low_rank: &LowRank<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The gradients of `x`, if asked for, and of A and B.
    fn backward(
        kept: Kept<Self>,
        dy: FloatTensor<Self>,
        wants_x: bool,
    ) -> (Option<FloatTensor<Self>>, [FloatTensor<Self>; 2]);

    /// [`Self::forward`] of layers that read the same `x`.
    fn forward_all(
        x: &FloatTensor<Self>,
        layers: &[Layer<Self>],
        low_ranks: &[LowRank<Self>],
    ) -> Vec<(FloatTensor<Self>, FloatTensor<Self>)> {
        let each = layers.iter().zip(low_ranks);
        each.map(|(layer, low_rank)| Self::forward(x, layer, low_rank))
            .collect()
    }

    /// [`Self::backward`] of layers that read the same `x`, whose gradient is the sum.
    fn backward_all(
        kept: Vec<Kept<Self>>,
        dys: Vec<FloatTensor<Self>>,
        wants_x: bool,
    ) -> (Option<FloatTensor<Self>>, Vec<[FloatTensor<Self>; 2]>) {
        one_by_one(kept, dys, wants_x)
    }
}

/// [`Passes::backward_all`] layer by layer.
pub(super) fn one_by_one<B: Passes>(
    kept: Vec<Kept<B>>,
    dys: Vec<FloatTensor<B>>,
    wants_x: bool,
) -> (Option<FloatTensor<B>>, Vec<[FloatTensor<B>; 2]>) {
    let mut sum = None;
    let one = |(kept, dy)| {
        let (dx, gradients) = B::backward(kept, dy, wants_x);
        sum = match (sum.take(), dx) {
            (Some(sum), Some(dx)) => Some(B::float_add(sum, dx)),
            (sum, dx) => sum.or(dx),
        };
        gradients
    };
    let gradients = kept.into_iter().zip(dys).map(one).collect();
    (sum, gradients)
}

/// What the forward pass leaves.
#[derive(Clone, Debug)]
pub(crate) struct Kept<B: Backend> {
    pub(crate) x: FloatTensor<B>,
    pub(crate) weight: Frozen<B>,
    pub(crate) low_rank: LowRank<B>,
    /// `scale · drop(x) Aᵀ`
    pub(crate) low: FloatTensor<B>,
}

impl LoraLinear for Flex {
    fn lora_linear(
        x: FloatTensor<Self>,
        layer: Layer<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: AdapterForm,
    ) -> FloatTensor<Self> {
        Self::forward(&x, &layer, &LowRank { a, b, form }).0
    }
}

#[cfg(feature = "libtorch")]
impl LoraLinear for burn::backend::LibTorch {
    fn lora_linear(
        x: FloatTensor<Self>,
        layer: Layer<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: AdapterForm,
    ) -> FloatTensor<Self> {
        Self::forward(&x, &layer, &LowRank { a, b, form }).0
    }
}

impl<B: Passes, C: CheckpointStrategy> LoraLinear for Autodiff<B, C> {
    fn lora_linear(
        x: FloatTensor<Self>,
        layer: Layer<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        form: AdapterForm,
    ) -> FloatTensor<Self> {
        let layer = layer.inner();
        let (x, x_node) = x.into_parts();
        let (a, a_node) = a.into_parts();
        let (b, b_node) = b.into_parts();
        let low_rank = LowRank { a, b, form };
        let (y, low) = B::forward(&x, &layer, &low_rank);
        let nodes = [x_node, a_node, b_node];
        match Linear.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let kept = Kept {
                    x,
                    weight: layer.weight,
                    low_rank,
                    low,
                };
                prep.finish(kept, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

#[derive(Debug)]
struct Linear;

impl<B: Passes> Backward<B, 3> for Linear {
    type State = Kept<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = grads.consume::<B>(&ops.node);
        let [x, a, b] = ops.parents.map(|input| input.map(|input| input.id));
        let (dx, [da, db]) = B::backward(ops.state, dy, x.is_some());
        register::<B>(grads, [(x, dx), (a, Some(da)), (b, Some(db))]);
    }
}
