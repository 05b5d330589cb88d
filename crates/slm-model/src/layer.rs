//! One decoder layer.

use burn::tensor::Tensor;
use slm_ops::{RotaryTable, attention, rms_norm, rotary, swiglu};

use crate::linear::Linear;
use crate::{DecoderConfig, KvCache, Param};

/// What every layer of one forward pass shares.
#[derive(Debug)]
pub struct Pass {
    pub table: RotaryTable,
    /// `[1 or batch, 1, time, seen]`
    pub bias: Tensor<4>,
    /// Set in training only.
    pub dropout_seed: Option<u64>,
}

/// Norm, attention, norm, gated feed-forward; each half added to the stream.
#[derive(Clone, Debug)]
pub struct Layer {
    pub(crate) input_norm: Param,
    pub(crate) q: Linear,
    pub(crate) k: Linear,
    pub(crate) v: Linear,
    pub(crate) o: Linear,
    pub(crate) q_norm: Option<Param>,
    pub(crate) k_norm: Option<Param>,
    pub(crate) post_norm: Param,
    pub(crate) gate: Linear,
    pub(crate) up: Linear,
    pub(crate) down: Linear,
}

/// The linear layers by HF's names, in the order of [`Layer::linears`].
pub(crate) const LINEAR_NAMES: [&str; 7] = [
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
];

impl Layer {
    /// Applies the layer to the stream `x`, `[batch, time, hidden]`; `cache` is the cache and this layer's index.
    pub fn forward(
        &self,
        config: &DecoderConfig,
        x: Tensor<3>,
        pass: &Pass,
        cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<3> {
        let normed = rms_norm(x.clone(), self.input_norm.tensor(), config.rms_norm_eps);
        let x = x.add(self.attend(config, normed, pass, cache));
        let normed = rms_norm(x.clone(), self.post_norm.tensor(), config.rms_norm_eps);
        x.add(self.feed_forward(normed, pass))
    }

    fn attend(
        &self,
        config: &DecoderConfig,
        x: Tensor<3>,
        pass: &Pass,
        cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<3> {
        let [batch, time, hidden] = x.dims();
        let rows = x.reshape([batch * time, hidden]);
        let heads = |linear: &Linear, n: usize, norm: &Option<Param>| {
            let y = linear.forward(rows.clone(), pass.dropout_seed).reshape([
                batch,
                time,
                n,
                config.head_dim,
            ]);
            let y = match norm {
                Some(weight) => rms_norm(y, weight.tensor(), config.rms_norm_eps),
                None => y,
            };
            y.swap_dims(1, 2) // [b, h, t, d]
        };
        let q = rotary(
            heads(&self.q, config.num_attention_heads, &self.q_norm),
            &pass.table,
        );
        let k = rotary(
            heads(&self.k, config.num_key_value_heads, &self.k_norm),
            &pass.table,
        );
        let v = heads(&self.v, config.num_key_value_heads, &None);
        let (k, v) = match cache {
            Some((cache, layer)) => cache.extend(layer, k, v),
            None => (k, v),
        };
        let scale = (config.head_dim as f64).powf(-0.5);
        let mixed = attention(q, k, v, pass.bias.clone(), scale).swap_dims(1, 2);
        let mixed = mixed.reshape([batch * time, config.num_attention_heads * config.head_dim]);
        self.o
            .forward(mixed, pass.dropout_seed)
            .reshape([batch, time, hidden])
    }

    fn feed_forward(&self, x: Tensor<3>, pass: &Pass) -> Tensor<3> {
        let [batch, time, hidden] = x.dims();
        let rows = x.reshape([batch * time, hidden]);
        let gate = self.gate.forward(rows.clone(), pass.dropout_seed);
        let up = self.up.forward(rows, pass.dropout_seed);
        self.down
            .forward(swiglu(gate, up), pass.dropout_seed)
            .reshape([batch, time, hidden])
    }

    pub(crate) fn linears(&self) -> [&Linear; 7] {
        [
            &self.q, &self.k, &self.v, &self.o, &self.gate, &self.up, &self.down,
        ]
    }

    pub(crate) fn linears_mut(&mut self) -> [&mut Linear; 7] {
        let Self {
            q,
            k,
            v,
            o,
            gate,
            up,
            down,
            ..
        } = self;
        [q, k, v, o, gate, up, down]
    }

    /// The same layer with every linear layer replaced and every other weight outside the graph.
    pub(crate) fn map(&self, linear: impl Fn(&Linear) -> Linear) -> Self {
        Self {
            input_norm: self.input_norm.detached(),
            q: linear(&self.q),
            k: linear(&self.k),
            v: linear(&self.v),
            o: linear(&self.o),
            q_norm: self.q_norm.as_ref().map(Param::detached),
            k_norm: self.k_norm.as_ref().map(Param::detached),
            post_norm: self.post_norm.detached(),
            gate: linear(&self.gate),
            up: linear(&self.up),
            down: linear(&self.down),
        }
    }

    /// Every base weight, in the order of a forward pass.
    pub fn params(&self) -> impl Iterator<Item = &Param> {
        let [q, k, v, o, gate, up, down] = self.linears();
        std::iter::once(&self.input_norm)
            .chain([q, k, v, o].into_iter().flat_map(Linear::params))
            .chain(&self.q_norm)
            .chain(&self.k_norm)
            .chain([&self.post_norm])
            .chain([gate, up, down].into_iter().flat_map(Linear::params))
    }

    /// The adapter's weights, A before B, layer by layer.
    pub fn lora_params(&self) -> impl Iterator<Item = &Param> {
        self.linears()
            .into_iter()
            .filter_map(|l| l.lora.as_ref())
            .flat_map(|lora| [&lora.a, &lora.b])
    }

    /// Base weights and adapter weights, to be changed, in the orders of `params` and `lora_params`.
    pub(crate) fn split_params_mut(&mut self) -> (Vec<&mut Param>, Vec<&mut Param>) {
        let Self {
            input_norm,
            q,
            k,
            v,
            o,
            q_norm,
            k_norm,
            post_norm,
            gate,
            up,
            down,
        } = self;
        let (mut base, mut adapters) = (vec![input_norm], Vec::new());
        for linear in [q, k, v, o] {
            linear.split_params_mut(&mut base, &mut adapters);
        }
        base.extend(q_norm);
        base.extend(k_norm);
        base.push(post_norm);
        for linear in [gate, up, down] {
            linear.split_params_mut(&mut base, &mut adapters);
        }
        (base, adapters)
    }
}
