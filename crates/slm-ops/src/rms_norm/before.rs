//! A norm before an operation, which is taken again in the backward pass of that operation; its result is not kept.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, ExtensionType};
use burn::tensor::Tensor;

use super::fused::{Kept, Passes};
use super::{RmsWeight, rms_norm};

/// A norm, see [`rms_norm()`].
#[derive(Clone, Debug)]
pub struct NormBefore {
    /// `[1, n]`
    pub weight: Tensor<2>,
    pub kind: RmsWeight,
    pub eps: f64,
}

impl NormBefore {
    /// The norm by itself.
    pub(crate) fn apply(self, x: Tensor<2>) -> Tensor<2> {
        rms_norm(x, self.weight, self.kind, self.eps)
    }

    /// Whether it is no part of the operation that reads it: its weight is trained, and would get no gradient; or it is a GPU's, which has
    /// more memory than time.
    pub(crate) fn is_by_itself(&self, x: &Tensor<2>) -> bool {
        let is_trained = self.weight.is_autodiff() && self.weight.is_tracked();
        is_trained || crate::fused::is_gpu(&x.device())
    }
}

/// The same in an operation.
#[derive(Clone, Debug, ExtensionType)]
pub(crate) enum Before<B: Backend> {
    Nothing,
    Norm {
        weight: FloatTensor<B>,
        kind: RmsWeight,
        eps: f64,
    },
}

impl Before<burn::backend::Dispatch> {
    pub(crate) fn of(norm: Option<NormBefore>) -> Self {
        match norm {
            None => Self::Nothing,
            Some(NormBefore { weight, kind, eps }) => Self::Norm {
                weight: weight.into_dispatch(),
                kind,
                eps,
            },
        }
    }
}

impl<B: Backend, C: CheckpointStrategy> Before<Autodiff<B, C>> {
    /// The same outside the graph.
    pub(crate) fn inner(self) -> Before<B> {
        match self {
            Self::Nothing => Before::Nothing,
            Self::Norm { weight, kind, eps } => Before::Norm {
                weight: weight.into_primitive(),
                kind,
                eps,
            },
        }
    }
}

impl<B: Passes> Before<B> {
    /// What the operation reads of `x`, and the inverse roots of its rows.
    pub(crate) fn read(&self, x: &FloatTensor<B>) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
        match self {
            Self::Nothing => (x.clone(), None),
            Self::Norm { weight, kind, eps } => {
                let (y, roots) = B::forward(x, weight, *kind, *eps);
                (y, Some(roots))
            }
        }
    }

    /// The gradient of `x` from that of what was read.
    pub(crate) fn pull(
        self,
        x: FloatTensor<B>,
        roots: Option<FloatTensor<B>>,
        dy: FloatTensor<B>,
    ) -> FloatTensor<B> {
        match (self, roots) {
            (Self::Norm { weight, kind, .. }, Some(inverse_roots)) => {
                let kept = Kept {
                    x,
                    weight,
                    inverse_roots,
                    kind,
                };
                B::backward(kept, dy, false).0
            }
            _ => dy,
        }
    }
}
