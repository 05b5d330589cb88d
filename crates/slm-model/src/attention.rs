//! The attention half of a layer.

use std::collections::HashMap;

use burn::tensor::Tensor;
use slm_ops::{HeadsShape, Scores, attention, rotary, self_attention};

use crate::config::QkNorm;
use crate::family::QkvNames;
use crate::linear::Linear;
use crate::norm::Norm;
use crate::{DecoderConfig, KvCache, LayerKind, Param, Pass};

/// Projections, norms on q and k, and the way back into the stream.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    pub(crate) qkv: Qkv,
    pub(crate) o: Linear,
    pub(crate) q_norm: Option<Norm>,
    pub(crate) k_norm: Option<Norm>,
}

/// The projections to queries, keys and values.
#[derive(Clone, Debug)]
pub(crate) enum Qkv {
    Split(Box<[Linear; 3]>),
    /// Rows of q, then of k, then of v.
    Joined(Box<Linear>),
    /// Rows of q, k and v head by head.
    ByHead(Box<Linear>),
}

impl Qkv {
    /// Queries, keys and values of `x`, `[rows, hidden]`: `[rows, heads · head_dim]` each.
    fn forward(
        &self,
        config: &DecoderConfig,
        x: Tensor<2>,
        mut apply: impl FnMut(&Linear, Tensor<2>) -> Tensor<2>,
    ) -> [Tensor<2>; 3] {
        let (heads, head_dim) = (config.num_attention_heads, config.head_dim);
        let (q, kv) = (heads * head_dim, config.num_key_value_heads * head_dim);
        match self {
            Self::Split(parts) => parts.each_ref().map(|part| apply(part, x.clone())),
            Self::Joined(linear) => {
                let y = apply(linear, x);
                [(0, q), (q, kv), (q + kv, kv)].map(|(from, n)| y.clone().narrow(1, from, n))
            }
            Self::ByHead(linear) => {
                let rows = x.dims()[0];
                let y = apply(linear, x).reshape([rows, heads, 3, head_dim]);
                [0, 1, 2].map(|part| y.clone().narrow(2, part, 1).reshape([rows, q]))
            }
        }
    }

    pub(crate) fn linears(&self) -> &[Linear] {
        match self {
            Self::Split(parts) => &**parts,
            Self::Joined(linear) | Self::ByHead(linear) => std::slice::from_ref(linear),
        }
    }

    fn linears_mut(&mut self) -> &mut [Linear] {
        match self {
            Self::Split(parts) => &mut **parts,
            Self::Joined(linear) | Self::ByHead(linear) => std::slice::from_mut(linear),
        }
    }
}

impl Attention {
    /// Takes the weights of the layer whose names begin with `place`.
    pub(crate) fn take(
        params: &mut HashMap<String, Param>,
        config: &DecoderConfig,
        place: &str,
    ) -> Self {
        let names = &config.family.names;
        let at = |name: &str| format!("{place}{name}");
        Self {
            qkv: match names.qkv {
                QkvNames::Split(names) => {
                    Qkv::Split(Box::new(names.map(|name| Linear::take(params, &at(name)))))
                }
                QkvNames::Joined(name) => Qkv::Joined(Box::new(Linear::take(params, &at(name)))),
                QkvNames::ByHead(name) => Qkv::ByHead(Box::new(Linear::take(params, &at(name)))),
            },
            o: Linear::take(params, &at(names.o)),
            q_norm: Norm::take(params, &at(names.q_norm)),
            k_norm: Norm::take(params, &at(names.k_norm)),
        }
    }

    /// Mixes the positions of `x`, `[batch, time, hidden]`, after `norm`; `cache` is the cache and this layer's index.
    pub(crate) fn forward(
        &self,
        config: &DecoderConfig,
        kind: LayerKind,
        norm: Option<&Norm>,
        x: Tensor<3>,
        pass: &Pass,
        cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<3> {
        let [batch, time, hidden] = x.dims();
        let rows = x.reshape([batch * time, hidden]);
        if cache.is_none()
            && let Some(y) = self.whole(config, kind, norm, &rows, [batch, time], pass)
        {
            return y.reshape([batch, time, hidden]);
        }
        let rows = match norm {
            Some(norm) => norm.forward(config, rows),
            None => rows,
        };
        let x = rows.reshape([batch, time, hidden]);
        let apply = |linear: &Linear, x| linear.forward(x, pass.dropout_seed);
        self.by_parts(config, kind, x, pass, cache, apply)
    }

    /// [`Self::forward`] after the norm, linear layer by linear layer: `apply` gives the products.
    pub(crate) fn by_parts(
        &self,
        config: &DecoderConfig,
        kind: LayerKind,
        x: Tensor<3>,
        pass: &Pass,
        cache: Option<(&mut KvCache, usize)>,
        mut apply: impl FnMut(&Linear, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<3> {
        let [batch, time, hidden] = x.dims();
        let (heads, head_dim) = (config.num_attention_heads, config.head_dim);
        let rows = x.reshape([batch * time, hidden]);
        let [q, k, v] = self.qkv.forward(config, rows, &mut apply);

        let by_head = |y: Tensor<2>, norm: Option<&Norm>| {
            let y = match norm.filter(|_| config.qk_norm == Some(QkNorm::Projection)) {
                Some(norm) => norm.forward(config, y),
                None => y,
            };
            let n = y.dims()[1] / head_dim;
            let y = y.reshape([batch, time, n, head_dim]);
            let y = match norm.filter(|_| config.qk_norm == Some(QkNorm::Head)) {
                Some(norm) => norm.forward(config, y),
                None => y,
            };
            y.swap_dims(1, 2) // [b, h, t, d]
        };
        let rotated = |y: Tensor<4>| match kind.rope {
            Some(which) => rotary(y, &pass.tables[which]),
            None => y,
        };
        let q = rotated(by_head(q, self.q_norm.as_ref()));
        let k = rotated(by_head(k, self.k_norm.as_ref()));
        let v = by_head(v, None);
        let (k, v) = match cache {
            Some((cache, layer)) => cache.extend(layer, k, v),
            None => (k, v),
        };
        let mixed = attention(q, k, v, pass.sight(kind), scores(config));
        let mixed = mixed
            .swap_dims(1, 2)
            .reshape([batch * time, heads * head_dim]);
        apply(&self.o, mixed).reshape([batch, time, hidden])
    }

    /// [`Self::forward`] of `[batch · time, hidden]` as one operation; `None` where the family or the adapter asks for more.
    fn whole(
        &self,
        config: &DecoderConfig,
        kind: LayerKind,
        norm: Option<&Norm>,
        rows: &Tensor<2>,
        [batch, time]: [usize; 2],
        pass: &Pass,
    ) -> Option<Tensor<2>> {
        let (Qkv::Split(linears), None, Some(rope)) = (&self.qkv, config.qk_norm, kind.rope) else {
            return None;
        };
        let before = match norm {
            Some(norm) => Some(norm.before(config)?),
            None => None,
        };
        let [q, k, v] = &**linears;
        let linears = [q, k, v, &self.o].map(|linear| linear.with_adapter(pass.dropout_seed));
        let shape = HeadsShape {
            batch,
            time,
            head_dim: config.head_dim,
        };
        let (table, sight) = (&pass.tables[rope], pass.sight(kind));
        self_attention(rows, before, linears, table, sight, scores(config), shape)
    }

    /// The same with every linear layer and every norm's weight replaced.
    pub(crate) fn map(&self, linear: fn(&Linear) -> Linear, other: fn(&Param) -> Param) -> Self {
        Self {
            qkv: match &self.qkv {
                Qkv::Split(parts) => Qkv::Split(Box::new(parts.each_ref().map(linear))),
                Qkv::Joined(joined) => Qkv::Joined(Box::new(linear(joined))),
                Qkv::ByHead(joined) => Qkv::ByHead(Box::new(linear(joined))),
            },
            o: linear(&self.o),
            q_norm: self.q_norm.as_ref().map(|norm| norm.map(other)),
            k_norm: self.k_norm.as_ref().map(|norm| norm.map(other)),
        }
    }

    pub(crate) fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.qkv.linears().iter().chain([&self.o])
    }

    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear> {
        self.qkv.linears_mut().iter_mut().chain([&mut self.o])
    }

    pub(crate) fn norms(&self) -> impl Iterator<Item = &Norm> {
        self.q_norm.iter().chain(&self.k_norm)
    }

    /// Linear layers and norms, to be changed.
    pub(crate) fn parts_mut(&mut self) -> (Vec<&mut Linear>, Vec<&mut Norm>) {
        let linears = self.qkv.linears_mut().iter_mut().chain([&mut self.o]);
        let norms = self.q_norm.iter_mut().chain(&mut self.k_norm);
        (linears.collect(), norms.collect())
    }
}

/// How its scores are formed.
pub(crate) fn scores(config: &DecoderConfig) -> Scores {
    Scores {
        scale: config.attention_scale,
        softcap: config.attention_softcap,
    }
}
