//! The products of two heads and the passes over their logits together.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};

use super::Figures;
use crate::HeadShape;

/// A backend that compares two heads without leaving its loop over chunks. There is no graph here: gradients come with the
/// divergence.
///
/// Both return `[n, 3]`: divergence, the student's entropy, and whether nothing was likelier to it than the teacher's likeliest;
/// then the gradients that are wanted, of the shapes of `hidden` and `head`, else empty ones.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait HeadDivergence: Backend {
    /// As [`crate::linear_kl`] with a live teacher: `hidden` is `[n, d]`, `head` `[vocab, d]`, `states` `[n, d_t]`, `matrix`
    /// `[vocab, d_t]`, `weights` `[n]`.
    fn live_divergence(
        hidden: FloatTensor<Self>,
        head: FloatTensor<Self>,
        states: FloatTensor<Self>,
        matrix: FloatTensor<Self>,
        teacher_shape: HeadShape,
        weights: FloatTensor<Self>,
        figures: Figures,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// With a cached one: `ids` is `[n, k]`, `outcomes` `[n, k]` or, with the rest, `[n, k + 1]`.
    fn cached_divergence(
        hidden: FloatTensor<Self>,
        head: FloatTensor<Self>,
        ids: IntTensor<Self>,
        outcomes: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        figures: Figures,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}
