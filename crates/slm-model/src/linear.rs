//! A linear layer, with or without an adapter.

use std::collections::HashMap;

use burn::tensor::Tensor;
use slm_ops::{Activation, Adapter, Weight, gated_linear, lora_linear};

use crate::Param;
use crate::decoder::required;
use crate::lora::Lora;

/// `y = x Wᵀ + bias`, plus the adapter's part.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    /// `[out, in]`
    pub(crate) weight: Param,
    pub(crate) bias: Option<Param>,
    pub(crate) lora: Option<Lora>,
}

impl Linear {
    /// Takes the layer called `name`, which the files hold.
    pub(crate) fn take(params: &mut HashMap<String, Param>, name: &str) -> Self {
        Self {
            weight: required(params, &format!("{name}.weight")),
            bias: params.remove(&format!("{name}.bias")),
            lora: None,
        }
    }

    /// Its path in the model, such as `model.layers.0.self_attn.q_proj`.
    pub(crate) fn path(&self) -> &str {
        self.weight.module()
    }

    /// Applies it to `x`, `[rows, in]`. `dropout_seed` is `None` outside training.
    pub(crate) fn forward(&self, x: Tensor<2>, dropout_seed: Option<u64>) -> Tensor<2> {
        let (bias, adapter) = (self.bias(), self.adapter(dropout_seed));
        lora_linear(x, &self.weight.value, bias, adapter)
    }

    /// As the operations take it.
    pub(crate) fn with_adapter(&self, dropout_seed: Option<u64>) -> slm_ops::Linear<'_> {
        slm_ops::Linear {
            weight: &self.weight.value,
            bias: self.bias(),
            adapter: self.adapter(dropout_seed),
        }
    }

    /// Applies it to `activation(gate) · up`, both `[rows, in]`.
    pub(crate) fn forward_gated(
        &self,
        gate: Tensor<2>,
        up: Tensor<2>,
        activation: Activation,
        dropout_seed: Option<u64>,
    ) -> Tensor<2> {
        let (bias, adapter) = (self.bias(), self.adapter(dropout_seed));
        gated_linear(gate, up, activation, &self.weight.value, bias, adapter)
    }

    fn bias(&self) -> Option<Tensor<2>> {
        self.bias.as_ref().map(Param::tensor)
    }

    fn adapter(&self, dropout_seed: Option<u64>) -> Option<Adapter> {
        let lora = self.lora.as_ref()?;
        Some(lora.adapter(dropout_seed))
    }

    /// The layer alone, with the adapter added to its weight in f32. Codes become what they stand for.
    pub(crate) fn merged(&self) -> Self {
        let mut weight = self.weight.detached();
        let dtype = weight.value.dtype();
        weight.value = match &self.lora {
            Some(lora) => Weight::Float(lora.merged_into(weight.value.f32()).cast(dtype)),
            None => Weight::Float(weight.tensor()),
        };
        Self {
            weight,
            bias: self.bias.as_ref().map(Param::detached),
            lora: None,
        }
    }

    /// The layer that the adapter sits on. Shares the weights.
    pub(crate) fn base(&self) -> Self {
        Self {
            weight: self.weight.base(),
            bias: self.bias.as_ref().map(Param::base),
            lora: None,
        }
    }

    /// The same outside the graph. Shares the weights.
    pub(crate) fn detached(&self) -> Self {
        Self {
            weight: self.weight.detached(),
            bias: self.bias.as_ref().map(Param::detached),
            lora: self.lora.as_ref().map(Lora::detached),
        }
    }

    /// The same with products in floats. Shares the weights.
    pub(crate) fn in_floats(&self) -> Self {
        let mut linear = self.clone();
        linear.weight.value = linear.weight.value.in_floats();
        linear
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
        adapters.extend(self.lora.iter_mut().flat_map(Lora::params_mut));
    }
}
