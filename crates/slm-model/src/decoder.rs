//! The decoder: embedding, layers, norm, head.

mod origin;
mod params;

use burn::tensor::{DType, Device, Tensor};
use slm_ops::RotaryTable;
use slm_ops::upload::ints;
use slm_recipe::Dtype;

use crate::layer::Layer;
use crate::linear::Linear;
use crate::norm::Norm;
use crate::rope::Rope;
use crate::{DecoderConfig, KvCache, Param, Pass, Tokens};

pub(crate) use origin::required;

/// A causal language model. Cloning shares the weights.
#[derive(Clone, Debug)]
pub struct Decoder {
    config: DecoderConfig,
    device: Device,
    embed: Param,
    /// Learned positions, `[max_position_embeddings, hidden]`.
    positions: Option<Param>,
    pub(crate) layers: Vec<Layer>,
    norm: Option<Norm>,
    /// `None` when the head is the embedding.
    head: Option<Param>,
    /// The head had no weight of its own before the adapter gave it one.
    was_tied: bool,
    /// What the adapter was made of, for its file.
    pub(crate) lora: Option<crate::LoraSpec>,
}

impl Decoder {
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// What all layers of one forward pass share.
    pub fn pass(&self, tokens: &Tokens, dropout_seed: Option<u64>) -> Pass {
        let longest = tokens.n_positions();
        let table = |rope: &Rope| {
            let (positions, inv_freq) = (&tokens.positions, rope.inv_freq(longest));
            RotaryTable::new(
                positions,
                tokens.shape,
                &inv_freq,
                rope.attention_factor(),
                &self.device,
            )
        };
        // A window that is wider than what is there changes nothing.
        let window = self
            .config
            .sliding_window
            .filter(|window| *window < tokens.seen());
        Pass {
            tables: self.config.ropes.iter().map(table).collect(),
            full: tokens.sight.clone(),
            windowed: window.map(|window| tokens.sight.within(window)),
            dropout_seed,
        }
    }

    pub(crate) fn embedding(&self) -> &Param {
        &self.embed
    }

    pub(crate) fn positions(&self) -> Option<&Param> {
        self.positions.as_ref()
    }

    pub(crate) fn norm(&self) -> Option<&Norm> {
        self.norm.as_ref()
    }

    /// The head's weight, where that is not the embedding.
    pub(crate) fn own_head(&self) -> Option<&Param> {
        self.head.as_ref()
    }

    /// The embeddings of the tokens: `[batch, time, hidden]`.
    pub fn embed(&self, tokens: &Tokens) -> Tensor<3> {
        let [batch, time] = tokens.shape;
        let rows = self
            .embed
            .value
            .select(tokens.ids.clone().flatten::<1>(0, 1));
        let rows = match self.config.embedding_scale {
            1.0 => rows,
            scale => rows.mul_scalar(scale),
        };
        let rows = match &self.positions {
            None => rows,
            Some(learned) => {
                let places = ints(tokens.positions.clone(), [batch * time], &self.device);
                rows.add(learned.value.select(places))
            }
        };
        rows.reshape([batch, time, self.config.hidden_size])
    }

    /// The final norm over the stream.
    pub fn finish(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.norm {
            Some(norm) => norm.forward(&self.config, x),
            None => x,
        }
    }

    /// The head's weight, `[vocab, hidden]`: the embedding's own when they are tied.
    pub fn head(&self) -> Tensor<2> {
        self.head.as_ref().unwrap_or(&self.embed).tensor()
    }

    /// The final states, `[batch, time, hidden]`; extends `cache` when given one.
    pub fn hidden(
        &self,
        tokens: &Tokens,
        mut cache: Option<&mut KvCache>,
        dropout_seed: Option<u64>,
    ) -> Tensor<3> {
        let mut x = self.embed(tokens);
        let pass = self.pass(tokens, dropout_seed);
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(
                &self.config,
                x,
                &pass,
                cache.as_deref_mut().map(|cache| (cache, i)),
            );
        }
        self.finish(x)
    }

    /// Logits of some states: `[rows, hidden]` to `[rows, vocab]`, f32.
    pub fn logits(&self, states: Tensor<2>) -> Tensor<2> {
        let head = self.head.as_ref().unwrap_or(&self.embed);
        self.config.head.logits_of(states, &head.value)
    }

    /// The same model outside the graph: nothing is tracked. Shares the weights.
    pub fn inference(&self) -> Self {
        self.map(Linear::detached, Param::detached)
    }

    /// The same model with products in floats: what its weights say, where they are in codes. Shares the weights.
    pub fn in_floats(&self) -> Self {
        self.map(Linear::in_floats, Param::clone)
    }

    /// The base that the adapter sits on. Shares the weights.
    pub fn base(&self) -> Self {
        let mut base = self.map(Linear::base, Param::base);
        base.lora = None;
        if base.was_tied {
            base.head = None;
            base.config.set_tied(true);
            base.was_tied = false;
        }
        base
    }

    /// The adapter added to the weights, in f32; without an adapter, the model itself.
    pub fn merged(&self) -> Self {
        let mut merged = self.map(Linear::merged, Param::detached);
        merged.lora = None;
        merged.was_tied = false;
        merged.base_mut().into_iter().for_each(Param::own);
        merged
    }

    /// Gives a tied head a weight of its own.
    pub(crate) fn untie(&mut self) {
        let head = Param {
            name: format!("{}.weight", self.config.family.names.head),
            ..self.embed.detached()
        };
        self.head = Some(head);
        self.config.set_tied(false);
        self.was_tied = true;
    }

    fn map(&self, linear: fn(&Linear) -> Linear, other: fn(&Param) -> Param) -> Self {
        Self {
            embed: other(&self.embed),
            positions: self.positions.as_ref().map(other),
            layers: (self.layers.iter())
                .map(|layer| layer.map(linear, other))
                .collect(),
            norm: self.norm.as_ref().map(|norm| norm.map(other)),
            head: self.head.as_ref().map(other),
            ..self.clone()
        }
    }
}

/// The word of a recipe as burn's.
pub(crate) fn dtype_of(dtype: Dtype) -> DType {
    match dtype {
        Dtype::F32 => DType::F32,
        Dtype::Bf16 => DType::BF16,
        Dtype::F16 => DType::F16,
    }
}
