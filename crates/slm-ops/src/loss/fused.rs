//! The head's products and the passes over its logits together.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};

use super::Wants;
use crate::HeadShape;

/// A backend that takes a head's loss without leaving its loop over chunks. There is no graph here: gradients come with the
/// loss.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait HeadLoss: Backend {
    /// As [`crate::linear_cross_entropy`]: `hidden` is `[n, d]`, `head` `[vocab, d]`, `targets` and `weights` `[n]`.
    ///
    /// Returns `[n, 3]`: loss, entropy, and whether the target was the likeliest; then the gradients that are wanted, of
    /// the shapes of `hidden` and `head`, else empty ones.
    fn head_loss(
        hidden: FloatTensor<Self>,
        head: FloatTensor<Self>,
        targets: IntTensor<Self>,
        weights: FloatTensor<Self>,
        shape: HeadShape,
        smoothing: f64,
        wants: Wants,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}
