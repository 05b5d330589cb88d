//! The tensors that a decoder's files hold.

use slm_ops::QuantScheme;
use slm_recipe::Dtype;

use crate::DecoderConfig;
use crate::config::{NormKind, QkNorm};
use crate::family::{FeedForwardNames, QkvNames};
use crate::param::Layout;

/// A tensor by its name and shape in HF's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    pub name: String,
    /// As in the files.
    pub shape: Vec<usize>,
    pub(crate) layout: Layout,
}

impl TensorSpec {
    /// The width of what a linear layer with this matrix puts out.
    pub(crate) fn out(&self) -> usize {
        match (self.layout, &self.shape[..]) {
            (Layout::Transposed, &[_, out]) | (_, &[out, ..]) => out,
            _ => 0,
        }
    }
}

impl DecoderConfig {
    /// Every tensor that the files must hold, in the order of a forward pass.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let names = &self.family.names;
        let mut list = List {
            transposed: names.transposed,
            tensors: Vec::new(),
        };
        let d = self.hidden_size;
        list.matrix(names.embed, [self.vocab_size, d]);
        if let Some(positions) = names.positions {
            list.matrix(positions, [self.max_position_embeddings, d]);
        }
        for layer in 0..self.num_hidden_layers {
            self.layer_tensors(&format!("{}{layer}.", names.layers), &mut list);
        }
        self.norm_tensors(names.norm, d, &mut list);
        if !self.tie_word_embeddings {
            list.matrix(names.head, [self.vocab_size, d]);
        }
        list.tensors
    }

    /// Whether it is the matrix of a linear layer: one that may be quantized.
    pub(crate) fn is_linear(&self, spec: &TensorSpec) -> bool {
        spec.layout != Layout::Vector && spec.name.starts_with(self.family.names.layers)
    }

    /// What the weights take up; the matrices of the layers in codes, where they are quantized.
    pub fn size_bytes(&self, dtype: Dtype, scheme: Option<QuantScheme>) -> usize {
        let float = match dtype {
            Dtype::F32 => 4,
            Dtype::Bf16 | Dtype::F16 => 2,
        };
        let size = |spec: TensorSpec| match (scheme, &spec.shape[..], spec.layout) {
            (Some(kind), &[out, input], Layout::Matrix) if self.is_linear(&spec) => {
                kind.size_bytes([out, input])
            }
            (Some(kind), &[input, out], Layout::Transposed) => kind.size_bytes([out, input]),
            _ => float * spec.shape.iter().product::<usize>(),
        };
        self.tensors().into_iter().map(size).sum()
    }

    fn layer_tensors(&self, place: &str, list: &mut List) {
        let names = &self.family.names;
        let (d, ff) = (self.hidden_size, self.intermediate_size);
        let (q, kv) = (
            self.num_attention_heads * self.head_dim,
            self.num_key_value_heads * self.head_dim,
        );
        let at = |name: &str| format!("{place}{name}");
        let norm = |name: Option<&str>, list: &mut List| {
            if let Some(name) = name {
                self.norm_tensors(&at(name), d, list);
            }
        };
        norm(names.attention_in_norm, list);
        match names.qkv {
            QkvNames::Split(names) => {
                for (name, out) in names.into_iter().zip([q, kv, kv]) {
                    list.linear(&at(name), out, d, self.qkv_bias);
                }
            }
            QkvNames::Joined(name) | QkvNames::ByHead(name) => {
                list.linear(&at(name), q + 2 * kv, d, self.qkv_bias);
            }
        }
        list.linear(&at(names.o), d, q, self.o_bias);
        if let Some(span) = self.qk_norm {
            let [of_q, of_k] = match span {
                QkNorm::Head => [self.head_dim; 2],
                QkNorm::Projection => [q, kv],
            };
            self.norm_tensors(&at(names.q_norm), of_q, list);
            self.norm_tensors(&at(names.k_norm), of_k, list);
        }
        norm(names.attention_out_norm, list);
        norm(names.ff_in_norm, list);
        let inner = match names.ff {
            FeedForwardNames::Gated { gate, up, down } => {
                vec![(gate, ff, d), (up, ff, d), (down, d, ff)]
            }
            FeedForwardNames::GatedJoined { gate_up, down } => {
                vec![(gate_up, 2 * ff, d), (down, d, ff)]
            }
            FeedForwardNames::Plain { up, down } => vec![(up, ff, d), (down, d, ff)],
        };
        for (name, out, input) in inner {
            list.linear(&at(name), out, input, self.mlp_bias);
        }
        norm(names.ff_out_norm, list);
    }

    fn norm_tensors(&self, name: &str, size: usize, list: &mut List) {
        list.vector(&format!("{name}.weight"), size);
        if self.norm == NormKind::Layer {
            list.vector(&format!("{name}.bias"), size);
        }
    }
}

struct List {
    transposed: bool,
    tensors: Vec<TensorSpec>,
}

impl List {
    fn push(&mut self, name: String, shape: Vec<usize>, layout: Layout) {
        self.tensors.push(TensorSpec {
            name,
            shape,
            layout,
        });
    }

    fn vector(&mut self, name: &str, size: usize) {
        self.push(name.into(), vec![size], Layout::Vector);
    }

    fn matrix(&mut self, name: &str, shape: [usize; 2]) {
        self.push(format!("{name}.weight"), shape.into(), Layout::Matrix);
    }

    fn linear(&mut self, name: &str, out: usize, input: usize, bias: bool) {
        let weight = format!("{name}.weight");
        match self.transposed {
            true => self.push(weight, vec![input, out], Layout::Transposed),
            false => self.push(weight, vec![out, input], Layout::Matrix),
        }
        if bias {
            self.vector(&format!("{name}.bias"), out);
        }
    }
}
