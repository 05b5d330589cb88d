//! A decoder's weights as a step of generation reads them.

use slm_ops::Weight;
use slm_ops::step::{HostMatrix, has_gate, host_vector, norm_factors};

use crate::attention::{Attention, Qkv};
use crate::config::{NormKind, QkNorm};
use crate::feed_forward::FeedForward;
use crate::layer::Layer;
use crate::linear::Linear;
use crate::norm::Norm;
use crate::{Decoder, DecoderConfig, LayerKind};
use slm_gguf::product::Vectors;

/// All weights, in the processor's memory.
pub(crate) struct HostDecoder {
    pub(crate) embed: HostMatrix,
    pub(crate) layers: Vec<HostLayer>,
    pub(crate) norm: Vec<f32>,
    /// `None` when the head is the embedding.
    pub(crate) head: Option<HostMatrix>,
}

/// One layer; norms are what they multiply by.
pub(crate) struct HostLayer {
    pub(crate) kind: LayerKind,
    pub(crate) attention_in: Option<Vec<f32>>,
    /// Layers that give queries, keys and values, one after the other.
    pub(crate) qkv: Vec<HostLinear>,
    pub(crate) q_norm: Option<Vec<f32>>,
    pub(crate) k_norm: Option<Vec<f32>>,
    pub(crate) o: HostLinear,
    pub(crate) attention_out: Option<Vec<f32>>,
    pub(crate) ff_in: Option<Vec<f32>>,
    /// Gate, up, down.
    pub(crate) ff: [HostLinear; 3],
    pub(crate) ff_out: Option<Vec<f32>>,
}

/// Some rows of a matrix, with a bias.
pub(crate) struct HostLinear {
    pub(crate) matrix: HostMatrix,
    first: usize,
    pub(crate) rows: usize,
    bias: Option<Vec<f32>>,
}

impl HostDecoder {
    /// `None` where a weight lies elsewhere, or the family or an adapter asks for more than a step does.
    pub(crate) fn of(decoder: &Decoder) -> Option<Self> {
        let config = decoder.config();
        if !has_gate(config.activation) || decoder.positions().is_some() {
            return None;
        }
        let layers = decoder.layers().iter();
        Some(Self {
            embed: HostMatrix::of(&decoder.embedding().value)?,
            layers: layers
                .map(|layer| HostLayer::of(layer, config))
                .collect::<Option<_>>()?,
            norm: factors(decoder.norm()?, config)?,
            head: match decoder.own_head() {
                Some(head) => Some(HostMatrix::of(&head.value)?),
                None => None,
            },
        })
    }
}

impl HostLayer {
    fn of(layer: &Layer, config: &DecoderConfig) -> Option<Self> {
        let Attention {
            qkv,
            o,
            q_norm,
            k_norm,
        } = &layer.attention;
        Some(Self {
            kind: layer.kind,
            attention_in: maybe(&layer.attention_in_norm, config)?,
            qkv: match qkv {
                Qkv::ByHead(_) => return None,
                Qkv::Split(_) | Qkv::Joined(_) => {
                    let linears = qkv.linears().iter();
                    linears.map(HostLinear::of).collect::<Option<_>>()?
                }
            },
            q_norm: of_heads(q_norm, config)?,
            k_norm: of_heads(k_norm, config)?,
            o: HostLinear::of(o)?,
            attention_out: maybe(&layer.attention_out_norm, config)?,
            ff_in: maybe(&layer.ff_in_norm, config)?,
            ff: match &layer.ff {
                FeedForward::Gated(linears) => {
                    let [gate, up, down] = &**linears;
                    [
                        HostLinear::of(gate)?,
                        HostLinear::of(up)?,
                        HostLinear::of(down)?,
                    ]
                }
                FeedForward::GatedJoined(linears) => {
                    let [gate_up, down] = &**linears;
                    let n = config.intermediate_size;
                    let part = |first| HostLinear::part(gate_up, first, n);
                    [part(0)?, part(n)?, HostLinear::of(down)?]
                }
                FeedForward::Plain(_) => return None,
            },
            ff_out: maybe(&layer.ff_out_norm, config)?,
        })
    }
}

impl HostLinear {
    fn of(linear: &Linear) -> Option<Self> {
        Self::part(linear, 0, linear.weight.value.dims()[0])
    }

    /// Some rows of a layer without an adapter.
    fn part(linear: &Linear, first: usize, rows: usize) -> Option<Self> {
        if linear.lora.is_some() {
            return None;
        }
        let bias = match &linear.bias {
            Some(bias) => match &bias.value {
                Weight::Float(bias) => Some(host_vector(bias)?[first..first + rows].to_vec()),
                Weight::Quantized(_) | Weight::Blocks(_) => return None,
            },
            None => None,
        };
        Some(Self {
            matrix: HostMatrix::of(&linear.weight.value)?,
            first,
            rows,
            bias,
        })
    }

    /// What its rows from `first` on give.
    pub(crate) fn multiply(&self, first: usize, vector: &Vectors, y: &mut [f32]) {
        self.matrix.multiply(self.first + first, vector, y);
        if let Some(bias) = &self.bias {
            y.iter_mut()
                .zip(&bias[first..])
                .for_each(|(y, bias)| *y += bias);
        }
    }
}

/// What a norm multiplies by; `None` where it has none of that alone.
fn factors(norm: &Norm, config: &DecoderConfig) -> Option<Vec<f32>> {
    match (config.norm, &norm.weight.value) {
        (NormKind::Rms(kind), Weight::Float(weight)) => norm_factors(weight, kind),
        _ => None,
    }
}

/// The same where there may be no norm at all.
fn maybe(norm: &Option<Norm>, config: &DecoderConfig) -> Option<Option<Vec<f32>>> {
    match norm {
        Some(norm) => Some(Some(factors(norm, config)?)),
        None => Some(None),
    }
}

/// That of a norm on queries or keys, where the config has them.
fn of_heads(norm: &Option<Norm>, config: &DecoderConfig) -> Option<Option<Vec<f32>>> {
    match config.qk_norm {
        Some(QkNorm::Head | QkNorm::Projection) => maybe(norm, config),
        None => Some(None),
    }
}
