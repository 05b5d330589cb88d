//! The one node of the graph.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, FloatDType, TensorMetadata, backend_extension};
use burn::tensor::Shape;

use crate::fused::register;

/// A backend with such scalars.
#[backend_extension(Autodiff, Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait Carry: Backend {
    /// As [`crate::carried()`].
    fn carry(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl Carry for Flex {
    fn carry(x: FloatTensor<Self>, _: FloatTensor<Self>) -> FloatTensor<Self> {
        scalar::<Self>(&x)
    }
}

#[cfg(feature = "libtorch")]
impl Carry for burn::backend::LibTorch {
    fn carry(x: FloatTensor<Self>, _: FloatTensor<Self>) -> FloatTensor<Self> {
        scalar::<Self>(&x)
    }
}

fn scalar<B: Backend>(x: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_zeros(Shape::new([1]), &x.device(), FloatDType::F32)
}

impl<B: Backend, C: CheckpointStrategy> Carry for Autodiff<B, C> {
    fn carry(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        let gradient = gradient.into_primitive();
        let y = scalar::<B>(&x);
        match Carried.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(gradient, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

#[derive(Debug)]
struct Carried;

impl<B: Backend> Backward<B, 1> for Carried {
    type State = FloatTensor<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        grads.consume::<B>(&ops.node);
        let [x] = ops.parents.map(|input| input.map(|input| input.id));
        register::<B>(grads, [(x, Some(ops.state))]);
    }
}
