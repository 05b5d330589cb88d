//! A linear layer, with or without an adapter.

use burn::tensor::Tensor;
use slm_ops::lora_linear::{dropout_mask, mix};
use slm_ops::{Adapter, lora_linear};

use crate::Param;

/// A low-rank adapter on one linear layer.
#[derive(Clone, Debug)]
pub(crate) struct Lora {
    /// `[r, in]`, f32
    pub(crate) a: Param,
    /// `[out, r]`, f32
    pub(crate) b: Param,
    /// `alpha / r`
    pub(crate) scale: f64,
    pub(crate) dropout: f64,
}

/// `y = x Wᵀ + bias`, plus the adapter's part.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    /// `[out, in]`, HF layout
    pub(crate) weight: Param,
    pub(crate) bias: Option<Param>,
    pub(crate) lora: Option<Lora>,
}

impl Linear {
    /// Applies it to `x`, `[rows, in]`. `dropout_seed` is `None` outside training.
    pub(crate) fn forward(&self, x: Tensor<2>, dropout_seed: Option<u64>) -> Tensor<2> {
        let adapter = self.lora.as_ref().map(|lora| {
            let seed = dropout_seed.filter(|_| lora.dropout > 0.0);
            let dropout = seed.map(|seed| {
                let name = lora.a.name.bytes().fold(seed, |h, b| mix(h ^ u64::from(b)));
                dropout_mask(lora.dropout, name, x.dims(), &x.device().inner())
            });
            Adapter {
                a: lora.a.tensor(),
                b: lora.b.tensor(),
                scale: lora.scale,
                dropout,
            }
        });
        lora_linear(
            x,
            self.weight.tensor(),
            self.bias.as_ref().map(Param::tensor),
            adapter,
        )
    }

    /// The weight with the adapter added, in f32: `W + scale · B A`.
    pub(crate) fn merged(&self) -> Self {
        let mut weight = self.weight.detached();
        if let Some(lora) = &self.lora {
            let dtype = weight.value.dtype();
            let (a, b) = (lora.a.value.clone().inner(), lora.b.value.clone().inner());
            let product = b.matmul(a).mul_scalar(lora.scale);
            weight.value = weight
                .value
                .cast(burn::tensor::DType::F32)
                .add(product)
                .cast(dtype);
        }
        Self {
            weight,
            bias: self.bias.as_ref().map(Param::detached),
            lora: None,
        }
    }

    /// The frozen layer alone. Shares the weights.
    pub(crate) fn without_adapter(&self) -> Self {
        Self {
            weight: self.weight.detached(),
            bias: self.bias.as_ref().map(Param::detached),
            lora: None,
        }
    }

    pub(crate) fn params(&self) -> impl Iterator<Item = &Param> {
        std::iter::once(&self.weight).chain(&self.bias)
    }

    pub(crate) fn split_params_mut<'a>(
        &'a mut self,
        base: &mut Vec<&'a mut Param>,
        adapters: &mut Vec<&'a mut Param>,
    ) {
        base.push(&mut self.weight);
        base.extend(&mut self.bias);
        adapters.extend(
            self.lora
                .iter_mut()
                .flat_map(|lora| [&mut lora.a, &mut lora.b]),
        );
    }
}
