//! One decoder layer.

use std::collections::HashMap;

use burn::tensor::Tensor;
use slm_ops::{RotaryTable, Sight};

use crate::attention::Attention;
use crate::feed_forward::FeedForward;
use crate::linear::Linear;
use crate::norm::Norm;
use crate::{DecoderConfig, KvCache, LayerKind, Param};

/// What every layer of one forward pass shares.
#[derive(Debug)]
pub struct Pass {
    /// One per rotary encoding of the model.
    pub tables: Vec<RotaryTable>,
    pub full: Sight,
    /// The same within the sliding window, where the model has one.
    pub windowed: Option<Sight>,
    /// Set in training only.
    pub dropout_seed: Option<u64>,
}

impl Pass {
    /// What the queries of a layer see.
    pub(crate) fn sight(&self, kind: LayerKind) -> &Sight {
        let windowed = self.windowed.as_ref().filter(|_| kind.windowed);
        windowed.unwrap_or(&self.full)
    }
}

/// Attention and feed-forward, each added to the stream, with the norms that the family has around them.
#[derive(Clone, Debug)]
pub struct Layer {
    pub(crate) kind: LayerKind,
    pub(crate) attention_in_norm: Option<Norm>,
    pub(crate) attention: Attention,
    pub(crate) attention_out_norm: Option<Norm>,
    pub(crate) ff_in_norm: Option<Norm>,
    pub(crate) ff: FeedForward,
    pub(crate) ff_out_norm: Option<Norm>,
}

impl Layer {
    /// Takes the weights of layer `i`.
    pub(crate) fn take(
        params: &mut HashMap<String, Param>,
        config: &DecoderConfig,
        i: usize,
    ) -> Self {
        let names = &config.family.names;
        let place = format!("{}{i}.", names.layers);
        let mut norm = |name: Option<&str>| Norm::take(params, &format!("{place}{}", name?));
        Self {
            kind: config.layers[i],
            attention_in_norm: norm(names.attention_in_norm),
            attention_out_norm: norm(names.attention_out_norm),
            ff_in_norm: norm(names.ff_in_norm),
            ff_out_norm: norm(names.ff_out_norm),
            attention: Attention::take(params, config, &place),
            ff: FeedForward::take(params, config, &place),
        }
    }

    /// Applies the layer to the stream `x`, `[batch, time, hidden]`; `cache` is the cache and this layer's index.
    pub fn forward(
        &self,
        config: &DecoderConfig,
        x: Tensor<3>,
        pass: &Pass,
        cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<3> {
        let before = self.attention_in_norm.as_ref();
        let mixed = (self.attention).forward(config, self.kind, before, x.clone(), pass, cache);
        let (after, source) = self.after_attention(config, x, mixed);
        let before = self.ff_in_norm.as_ref();
        let inner = self.ff.forward(config, before, source, pass);
        self.after_ff(config, after, inner)
    }

    /// [`Self::forward`] linear layer by linear layer, which shows `see` the path of each and what it is multiplied with,
    /// `[batch · time, in]`.
    pub(crate) fn observed(
        &self,
        config: &DecoderConfig,
        x: Tensor<3>,
        pass: &Pass,
        see: &mut dyn FnMut(&str, &Tensor<2>),
    ) -> Tensor<3> {
        let mut apply = |linear: &Linear, x: Tensor<2>| {
            see(linear.path(), &x);
            linear.forward(x, None)
        };
        let normed = norm(config, &self.attention_in_norm, x.clone());
        let mixed = (self.attention).by_parts(config, self.kind, normed, pass, None, &mut apply);
        let (after, source) = self.after_attention(config, x, mixed);
        let normed = norm(config, &self.ff_in_norm, source);
        let inner = self.ff.by_parts(config, normed, &mut apply);
        self.after_ff(config, after, inner)
    }

    /// The stream with what attention gives, and what feed-forward reads.
    fn after_attention(
        &self,
        config: &DecoderConfig,
        x: Tensor<3>,
        mixed: Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>) {
        let mixed = norm(config, &self.attention_out_norm, mixed);
        let after = add(config, x.clone(), mixed);
        let source = if config.parallel_residual {
            x
        } else {
            after.clone()
        };
        (after, source)
    }

    /// The stream with what feed-forward gives.
    fn after_ff(&self, config: &DecoderConfig, x: Tensor<3>, inner: Tensor<3>) -> Tensor<3> {
        add(config, x, norm(config, &self.ff_out_norm, inner))
    }

    /// The same layer with every linear layer and every other weight replaced.
    pub(crate) fn map(&self, linear: fn(&Linear) -> Linear, other: fn(&Param) -> Param) -> Self {
        let norm = |norm: &Option<Norm>| norm.as_ref().map(|norm| norm.map(other));
        Self {
            kind: self.kind,
            attention_in_norm: norm(&self.attention_in_norm),
            attention: self.attention.map(linear, other),
            attention_out_norm: norm(&self.attention_out_norm),
            ff_in_norm: norm(&self.ff_in_norm),
            ff: self.ff.map(linear),
            ff_out_norm: norm(&self.ff_out_norm),
        }
    }

    pub(crate) fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.attention.linears().chain(self.ff.linears())
    }

    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear> {
        let Self { attention, ff, .. } = self;
        attention.linears_mut().chain(ff.linears_mut())
    }

    /// Every base weight, in the order of a forward pass.
    pub fn params(&self) -> impl Iterator<Item = &Param> {
        self.attention_in_norm
            .iter()
            .flat_map(Norm::params)
            .chain(self.attention.linears().flat_map(Linear::params))
            .chain(self.attention.norms().flat_map(Norm::params))
            .chain(self.attention_out_norm.iter().flat_map(Norm::params))
            .chain(self.ff_in_norm.iter().flat_map(Norm::params))
            .chain(self.ff.linears().iter().flat_map(Linear::params))
            .chain(self.ff_out_norm.iter().flat_map(Norm::params))
    }

    /// The adapter's weights, linear layer by linear layer.
    pub fn lora_params(&self) -> impl Iterator<Item = &Param> {
        self.linears()
            .filter_map(|linear| linear.lora.as_ref())
            .flat_map(|lora| lora.params())
    }

    /// The weights of the layer that are trained, base and adapter.
    pub fn trainable(&self) -> impl Iterator<Item = &Param> {
        let all = self.params().chain(self.lora_params());
        all.filter(|param| param.trainable)
    }

    /// Base weights and adapter weights, to be changed, in the orders of `params` and `lora_params`.
    pub(crate) fn split_params_mut(&mut self) -> (Vec<&mut Param>, Vec<&mut Param>) {
        let Self {
            attention_in_norm,
            attention,
            attention_out_norm,
            ff_in_norm,
            ff,
            ff_out_norm,
            ..
        } = self;
        let (mut base, mut adapters) = (Vec::new(), Vec::new());
        base.extend(attention_in_norm.iter_mut().flat_map(Norm::params_mut));
        let (linears, norms) = attention.parts_mut();
        for linear in linears {
            linear.split_params_mut(&mut base, &mut adapters);
        }
        base.extend(norms.into_iter().flat_map(Norm::params_mut));
        base.extend(attention_out_norm.iter_mut().flat_map(Norm::params_mut));
        base.extend(ff_in_norm.iter_mut().flat_map(Norm::params_mut));
        for linear in ff.linears_mut() {
            linear.split_params_mut(&mut base, &mut adapters);
        }
        base.extend(ff_out_norm.iter_mut().flat_map(Norm::params_mut));
        (base, adapters)
    }
}

fn norm(config: &DecoderConfig, norm: &Option<Norm>, x: Tensor<3>) -> Tensor<3> {
    match norm {
        Some(norm) => norm.forward(config, x),
        None => x,
    }
}

/// The stream with a half's part.
fn add(config: &DecoderConfig, x: Tensor<3>, part: Tensor<3>) -> Tensor<3> {
    match config.residual_scale {
        1.0 => x.add(part),
        scale => x.add(part.mul_scalar(scale)),
    }
}
