//! A norm with its weights.

use std::collections::HashMap;

use burn::tensor::Tensor;
use slm_ops::{NormBefore, layer_norm, rms_norm};

use crate::config::NormKind;
use crate::{DecoderConfig, Param};

/// Weight, and bias where the norm has one; `[1, n]` each.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub(crate) weight: Param,
    pub(crate) bias: Option<Param>,
}

impl Norm {
    /// The norm called `name`, where the model has one.
    pub(crate) fn take(params: &mut HashMap<String, Param>, name: &str) -> Option<Self> {
        let weight = params.remove(&format!("{name}.weight"))?;
        let bias = params.remove(&format!("{name}.bias"));
        Some(Self { weight, bias })
    }

    /// Normalises over the last dimension.
    pub(crate) fn forward<const D: usize>(
        &self,
        config: &DecoderConfig,
        x: Tensor<D>,
    ) -> Tensor<D> {
        let weight = self.weight.tensor();
        match (config.norm, &self.bias) {
            (NormKind::Rms(kind), _) => rms_norm(x, weight, kind, config.norm_eps),
            (NormKind::Layer, bias) => {
                let bias = bias.as_ref().map(Param::tensor);
                layer_norm(x, weight, bias, config.norm_eps)
            }
        }
    }

    /// The same as a part of an operation; `None` where it is not one of root mean squares.
    pub(crate) fn before(&self, config: &DecoderConfig) -> Option<NormBefore> {
        match config.norm {
            NormKind::Rms(kind) => Some(NormBefore {
                weight: self.weight.tensor(),
                kind,
                eps: config.norm_eps,
            }),
            NormKind::Layer => None,
        }
    }

    /// The same with every weight replaced.
    pub(crate) fn map(&self, param: fn(&Param) -> Param) -> Self {
        Self {
            weight: param(&self.weight),
            bias: self.bias.as_ref().map(param),
        }
    }

    pub(crate) fn params(&self) -> impl Iterator<Item = &Param> {
        std::iter::once(&self.weight).chain(&self.bias)
    }

    pub(crate) fn params_mut(&mut self) -> impl Iterator<Item = &mut Param> {
        std::iter::once(&mut self.weight).chain(&mut self.bias)
    }
}
