//! The feed-forward half of a layer.

use std::collections::HashMap;

use burn::tensor::Tensor;
use slm_ops::{feed_forward, gated};

use crate::family::FeedForwardNames;
use crate::linear::Linear;
use crate::norm::Norm;
use crate::{DecoderConfig, Param, Pass};

/// Up, an activation, and down.
#[derive(Clone, Debug)]
pub(crate) enum FeedForward {
    /// Gate, up, down.
    Gated(Box<[Linear; 3]>),
    /// Rows of gate, then of up, in one matrix; down.
    GatedJoined(Box<[Linear; 2]>),
    /// Up, down.
    Plain(Box<[Linear; 2]>),
}

impl FeedForward {
    /// Takes the weights of the layer whose names begin with `place`.
    pub(crate) fn take(
        params: &mut HashMap<String, Param>,
        config: &DecoderConfig,
        place: &str,
    ) -> Self {
        let linear = |name: &str| Linear::take(params, &format!("{place}{name}"));
        match config.family.names.ff {
            FeedForwardNames::Gated { gate, up, down } => {
                Self::Gated(Box::new([gate, up, down].map(linear)))
            }
            FeedForwardNames::GatedJoined { gate_up, down } => {
                Self::GatedJoined(Box::new([gate_up, down].map(linear)))
            }
            FeedForwardNames::Plain { up, down } => Self::Plain(Box::new([up, down].map(linear))),
        }
    }

    /// Applies it to every position of `x`, `[batch, time, hidden]`, after `norm`.
    pub(crate) fn forward(
        &self,
        config: &DecoderConfig,
        norm: Option<&Norm>,
        x: Tensor<3>,
        pass: &Pass,
    ) -> Tensor<3> {
        let [batch, time, hidden] = x.dims();
        let x = x.reshape([batch * time, hidden]);
        // A gated half takes the norm itself, where it can.
        let before = match self {
            Self::Gated(_) => norm.and_then(|norm| norm.before(config)),
            Self::GatedJoined(_) | Self::Plain(_) => None,
        };
        let x = match norm.filter(|_| before.is_none()) {
            Some(norm) => norm.forward(config, x),
            None => x,
        };
        let seed = pass.dropout_seed;
        let activation = config.activation;
        let y = match self {
            Self::Gated(linears) => {
                let linears = linears.each_ref().map(|linear| linear.with_adapter(seed));
                feed_forward(x, before, linears, activation)
            }
            Self::GatedJoined(linears) => {
                let [gate_up, down] = &**linears;
                let y = gate_up.forward(x, seed);
                let n = config.intermediate_size;
                let (gate, up) = (y.clone().narrow(1, 0, n), y.narrow(1, n, n));
                down.forward_gated(gate, up, activation, seed)
            }
            Self::Plain(linears) => {
                let [up, down] = &**linears;
                down.forward(activation.apply(up.forward(x, seed)), seed)
            }
        };
        y.reshape([batch, time, hidden])
    }

    /// [`Self::forward`] after the norm, linear layer by linear layer: `apply` gives the products.
    pub(crate) fn by_parts(
        &self,
        config: &DecoderConfig,
        x: Tensor<3>,
        mut apply: impl FnMut(&Linear, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<3> {
        let [batch, time, hidden] = x.dims();
        let x = x.reshape([batch * time, hidden]);
        let activation = config.activation;
        let y = match self {
            Self::Gated(linears) => {
                let [gate, up, down] = &**linears;
                let (gate, up) = (apply(gate, x.clone()), apply(up, x));
                apply(down, gated(gate, up, activation))
            }
            Self::GatedJoined(linears) => {
                let [gate_up, down] = &**linears;
                let y = apply(gate_up, x);
                let n = config.intermediate_size;
                let (gate, up) = (y.clone().narrow(1, 0, n), y.narrow(1, n, n));
                apply(down, gated(gate, up, activation))
            }
            Self::Plain(linears) => {
                let [up, down] = &**linears;
                let y = activation.apply(apply(up, x));
                apply(down, y)
            }
        };
        y.reshape([batch, time, hidden])
    }

    /// The same with every linear layer replaced.
    pub(crate) fn map(&self, linear: fn(&Linear) -> Linear) -> Self {
        match self {
            Self::Gated(linears) => Self::Gated(Box::new(linears.each_ref().map(linear))),
            Self::GatedJoined(linears) => {
                Self::GatedJoined(Box::new(linears.each_ref().map(linear)))
            }
            Self::Plain(linears) => Self::Plain(Box::new(linears.each_ref().map(linear))),
        }
    }

    pub(crate) fn linears(&self) -> &[Linear] {
        match self {
            Self::Gated(linears) => &**linears,
            Self::GatedJoined(linears) | Self::Plain(linears) => &**linears,
        }
    }

    pub(crate) fn linears_mut(&mut self) -> &mut [Linear] {
        match self {
            Self::Gated(linears) => &mut **linears,
            Self::GatedJoined(linears) | Self::Plain(linears) => &mut **linears,
        }
    }
}
