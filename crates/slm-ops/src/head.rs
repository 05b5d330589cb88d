//! From final states to logits.

pub(crate) mod flex;
#[cfg(feature = "libtorch")]
pub(crate) mod libtorch;
pub(crate) mod portable;

use burn::tensor::{DType, Tensor};

use crate::vector::{exp, largest_of, sum_of, vectorised};
use crate::{Weight, dense_product};

/// What a family does to its logits after the product with the head. Families without anything use the default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadShape {
    /// Logits are multiplied by it: 1 / `logits_scaling` of Granite.
    pub scale: f64,
    /// `cap · tanh(logits / cap)`, `final_logit_softcapping` of Gemma 2. After `scale`.
    pub softcap: Option<f64>,
}

impl Default for HeadShape {
    fn default() -> Self {
        Self {
            scale: 1.0,
            softcap: None,
        }
    }
}

impl HeadShape {
    /// Logits `[n, vocab]` in f32 of `states` `[n, d]` and `head` `[vocab, d]` (HF layout), both of one dtype.
    ///
    /// The product is in their dtype, everything after it in f32.
    pub fn logits(&self, states: Tensor<2>, head: Tensor<2>) -> Tensor<2> {
        self.finish(dense_product::product(states, head))
    }

    /// The same with a head as a decoder holds it.
    pub fn logits_of(&self, states: Tensor<2>, head: &Weight) -> Tensor<2> {
        self.finish(head.product(states))
    }

    /// What a row of the product with the head becomes, in place.
    pub fn finish_row(&self, logits: &mut [f32]) {
        if self.scale != 1.0 {
            logits.iter_mut().for_each(|l| *l *= self.scale as f32);
        }
        if let Some(cap) = self.softcap {
            cap_row(logits, cap as f32);
        }
    }

    /// Logits of the product with the head.
    fn finish(&self, product: Tensor<2>) -> Tensor<2> {
        let mut logits = product.cast(DType::F32);
        if self.scale != 1.0 {
            logits = logits.mul_scalar(self.scale);
        }
        match self.softcap {
            Some(cap) => logits.div_scalar(cap).tanh().mul_scalar(cap),
            None => logits,
        }
    }

    /// The slope of the cap at the `logits` that [`Self::logits`] gave: `[n, vocab]`, f32; `None` without one.
    pub(crate) fn cap_slope(&self, logits: &Tensor<2>) -> Option<Tensor<2>> {
        let cap = self.softcap?;
        // d/dx cap·tanh(x/cap) = 1 − tanh², and tanh is logits / cap.
        let tanh = logits.clone().div_scalar(cap);
        Some(tanh.square().neg().add_scalar(1.0))
    }
}

/// States and head of a model outside the graph, as their product takes them: Flex has kernels for f32 alone, and takes it fast and
/// without rounding logits to 16 bits.
pub(crate) fn as_multiplied(states_and_head: [Tensor<2>; 2]) -> [Tensor<2>; 2] {
    states_and_head.map(|it| match crate::fused::is_flex(&it) {
        true => it.cast(DType::F32),
        false => it,
    })
}

/// A row of logits under a cap.
pub(crate) fn cap_row(logits: &mut [f32], cap: f32) {
    logits.iter_mut().for_each(|l| *l = cap * (*l / cap).tanh());
}

vectorised! {
    /// The largest logit l, Σ e^(x − l) and Σ (x − l) e^(x − l).
    pub(crate) fn moments(logits: &[f32]) -> [f32; 3] {
        let largest = largest_of(logits);
        let sum = sum_of(logits, logits, |x, _, sum| sum + exp(x - largest));
        let moment = sum_of(logits, logits, |x, _, sum| exp(x - largest).mul_add(x - largest, sum));
        [largest, sum, moment]
    }
}
