//! The low-rank adapter of one linear layer.

use burn::tensor::Tensor;
use slm_ops::lora_linear::row_norms;
use slm_ops::noise::mix;
use slm_ops::{Adapter, Dropout, Magnitude};

use crate::Param;

/// A low-rank pair, and what its kind adds to it.
#[derive(Clone, Debug)]
pub(crate) struct Lora {
    /// `[r, in]`, f32
    pub(crate) a: Param,
    /// `[out, r]`, f32
    pub(crate) b: Param,
    /// `alpha / r`, or `alpha / √r` (rsLoRA)
    pub(crate) scale: f64,
    pub(crate) dropout: f64,
    /// DoRA
    pub(crate) magnitude: Option<TrainedNorms>,
    /// The pair that training began with, where it was not nothing (PiSSA): what counts is the distance from it.
    pub(crate) start: Option<(Tensor<2>, Tensor<2>)>,
}

/// The norms that DoRA trains.
#[derive(Clone, Debug)]
pub(crate) struct TrainedNorms {
    /// `[1, out]`, f32
    pub(crate) norms: Param,
    /// Of the base weight's rows: `[1, out]`, f32.
    pub(crate) base_squares: Tensor<2>,
}

impl Lora {
    /// The adapter for one forward pass; `dropout_seed` is `None` outside training.
    pub(crate) fn adapter(&self, dropout_seed: Option<u64>) -> Adapter {
        let (a, b) = self.pair();
        let seed = dropout_seed.filter(|_| self.dropout > 0.0);
        let dropout = seed.map(|seed| {
            let name = self.a.name.bytes();
            Dropout {
                p: self.dropout,
                seed: name.fold(seed, |h, byte| mix(h ^ u64::from(byte))),
            }
        });
        let magnitude = self.magnitude.as_ref().map(|m| Magnitude {
            norms: m.norms.tensor(),
            base_squares: m.base_squares.clone(),
        });
        Adapter {
            a,
            b,
            scale: self.scale,
            dropout,
            magnitude,
        }
    }

    /// A and B as they count. `B A − B₀ A₀` is the product of `[B, −B₀]` and `[A; A₀]`.
    pub(crate) fn pair(&self) -> (Tensor<2>, Tensor<2>) {
        let (a, b) = (self.a.tensor(), self.b.tensor());
        match &self.start {
            None => (a, b),
            Some((a0, b0)) => (
                Tensor::cat(vec![a, a0.clone()], 0),
                Tensor::cat(vec![b, b0.clone().neg()], 1),
            ),
        }
    }

    /// `weight`, `[out, in]` in f32, with the adapter added.
    pub(crate) fn merged_into(&self, weight: Tensor<2>) -> Tensor<2> {
        let (a, b) = self.detached().pair();
        let product = b.clone().matmul(a.clone()).mul_scalar(self.scale);
        let sum = weight.clone().add(product);
        match &self.magnitude {
            None => sum,
            Some(m) => {
                let now = row_norms(weight, a, b, self.scale, m.base_squares.clone());
                let ratio = m.norms.tensor().inner().div(now); // [1, out]
                sum.mul(ratio.transpose())
            }
        }
    }

    /// The same outside the graph.
    pub(crate) fn detached(&self) -> Self {
        Self {
            a: self.a.detached(),
            b: self.b.detached(),
            magnitude: self.magnitude.as_ref().map(|m| TrainedNorms {
                norms: m.norms.detached(),
                base_squares: m.base_squares.clone(),
            }),
            ..self.clone()
        }
    }

    pub(crate) fn params(&self) -> impl Iterator<Item = &Param> {
        let norms = self.magnitude.iter().map(|m| &m.norms);
        [&self.a, &self.b].into_iter().chain(norms)
    }

    pub(crate) fn params_mut(&mut self) -> impl Iterator<Item = &mut Param> {
        let norms = self.magnitude.iter_mut().map(|m| &mut m.norms);
        [&mut self.a, &mut self.b].into_iter().chain(norms)
    }
}
