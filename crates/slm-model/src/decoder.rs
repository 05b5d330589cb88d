//! The decoder: embedding, layers, norm, head.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{DType, Device, Tensor};
use slm_ops::{RotaryTable, rms_norm};
use slm_recipe::Dtype;

use crate::layer::{LINEAR_NAMES, Layer};
use crate::linear::Linear;
use crate::weights::{Weights, matrix};
use crate::{DecoderConfig, KvCache, ModelError, Param, Pass, Tokens, random};

/// A causal language model. Cloning shares the weights.
#[derive(Clone, Debug)]
pub struct Decoder {
    config: DecoderConfig,
    device: Device,
    inv_freq: Vec<f32>,
    embed: Param,
    pub(crate) layers: Vec<Layer>,
    norm: Param,
    /// `None` when the head is the embedding.
    head: Option<Param>,
    /// What the adapter was made of, for its file.
    pub(crate) lora: Option<crate::LoraSpec>,
}

impl Decoder {
    /// Reads a model folder in HF format.
    ///
    /// # Errors
    /// See [`ModelError`]: a missing, misshapen or unexpected tensor, a truncated file, an unsupported config.
    pub fn load(dir: &Path, device: &Device, dtype: Dtype) -> Result<Self, ModelError> {
        let config = DecoderConfig::read(dir)?;
        let weights = Weights::open(dir)?;
        let tensors = config.tensors();
        weights.refuse_others(&tensors)?;
        let dtype = match dtype {
            Dtype::F32 => DType::F32,
            Dtype::Bf16 => DType::BF16,
            Dtype::F16 => DType::F16,
        };
        let mut params = HashMap::new();
        for (name, shape) in tensors {
            let value = matrix(weights.read(&name, &shape)?, &shape, device, dtype);
            params.insert(
                name.clone(),
                Param {
                    name,
                    value,
                    is_vector: shape.len() == 1,
                    trainable: false,
                },
            );
        }
        Ok(Self::assemble(config, params, device))
    }

    /// A model with fresh weights, as HF initialises it: normal with `initializer_range`, norms 1, biases 0.
    pub fn init(config: DecoderConfig, seed: u64, device: &Device) -> Self {
        let std = config.initializer_range as f32;
        let fresh = |name: &str, shape: &[usize]| match shape {
            [n] if name.ends_with("bias") => vec![0.0; *n],
            [n] => vec![1.0; *n],
            _ => random::normal(seed, name, shape.iter().product(), std),
        };
        let mut params = HashMap::new();
        for (name, shape) in config.tensors() {
            let value = matrix(fresh(&name, &shape), &shape, device, DType::F32);
            params.insert(
                name.clone(),
                Param {
                    name,
                    value,
                    is_vector: shape.len() == 1,
                    trainable: false,
                },
            );
        }
        Self::assemble(config, params, device)
    }

    /// A model whose weights come from elsewhere: `values(name, shape)` gives a tensor by its HF name, row-major in HF layout,
    /// as many values as the shape says.
    ///
    /// # Errors
    /// Those of `values`.
    pub fn from_tensors<E>(
        config: DecoderConfig,
        mut values: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, E>,
        device: &Device,
    ) -> Result<Self, E> {
        let mut params = HashMap::new();
        for (name, shape) in config.tensors() {
            let value = matrix(values(&name, &shape)?, &shape, device, DType::F32);
            let param = Param {
                is_vector: shape.len() == 1,
                ..Param::matrix(name.clone(), value)
            };
            params.insert(name, param);
        }
        Ok(Self::assemble(config, params, device))
    }

    /// Puts the named tensors in their places; `params` holds every name of `config.tensors()`.
    fn assemble(
        config: DecoderConfig,
        mut params: HashMap<String, Param>,
        device: &Device,
    ) -> Self {
        let embed = required(&mut params, "model.embed_tokens.weight");
        let norm = required(&mut params, "model.norm.weight");
        let layers = (0..config.num_hidden_layers)
            .map(|i| assemble_layer(&mut params, i))
            .collect();
        let head = params.remove("lm_head.weight");
        let inv_freq = config.rope.inv_freq(config.head_dim);
        Self {
            config,
            device: device.clone(),
            inv_freq,
            embed,
            layers,
            norm,
            head,
            lora: None,
        }
    }

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
        let table = RotaryTable::new(
            &tokens.positions,
            tokens.shape,
            &self.inv_freq,
            1.0,
            &self.device,
        );
        Pass {
            table,
            bias: tokens.bias.clone(),
            dropout_seed,
        }
    }

    /// The embeddings of the tokens: `[batch, time, hidden]`.
    pub fn embed(&self, tokens: &Tokens) -> Tensor<3> {
        let [batch, time] = tokens.shape;
        let rows = self
            .embed
            .tensor()
            .select(0, tokens.ids.clone().flatten::<1>(0, 1));
        rows.reshape([batch, time, self.config.hidden_size])
    }

    /// The final norm over the stream.
    pub fn finish(&self, x: Tensor<3>) -> Tensor<3> {
        rms_norm(x, self.norm.tensor(), self.config.rms_norm_eps)
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
        let pass = self.pass(tokens, dropout_seed);
        let mut x = self.embed(tokens);
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
        states.matmul(self.head().transpose()).cast(DType::F32)
    }

    /// Every base weight under its HF name, in the order of a forward pass; a tied head appears once.
    pub fn params(&self) -> Vec<&Param> {
        let layers = self.layers.iter().flat_map(Layer::params);
        std::iter::once(&self.embed)
            .chain(layers)
            .chain([&self.norm])
            .chain(&self.head)
            .collect()
    }

    /// The adapter's weights under PEFT's names.
    pub fn lora_params(&self) -> Vec<&Param> {
        self.layers.iter().flat_map(Layer::lora_params).collect()
    }

    /// What training changes: the adapter where there is one, else the weights marked by [`Self::train_all`].
    pub fn trainable(&self) -> Vec<&Param> {
        self.params()
            .into_iter()
            .chain(self.lora_params())
            .filter(|p| p.trainable)
            .collect()
    }

    /// The trained weights outside the layers: embedding, final norm, head.
    pub fn trainable_around_layers(&self) -> Vec<&Param> {
        [&self.embed, &self.norm]
            .into_iter()
            .chain(&self.head)
            .filter(|p| p.trainable)
            .collect()
    }

    /// Whether gradients are needed all the way down.
    pub fn embedding_is_trained(&self) -> bool {
        self.embed.trainable
    }

    /// The lowest layer that a backward pass must reach; `None` when no layer is trained.
    pub fn lowest_trained(&self) -> Option<usize> {
        let is_trained = |layer: &Layer| {
            layer
                .params()
                .chain(layer.lora_params())
                .any(|p| p.trainable)
        };
        if self.embed.trainable {
            Some(0)
        } else {
            self.layers.iter().position(is_trained)
        }
    }

    /// [`Self::trainable`], to be changed.
    pub fn trainable_mut(&mut self) -> Vec<&mut Param> {
        self.all_mut().into_iter().filter(|p| p.trainable).collect()
    }

    fn all_mut(&mut self) -> Vec<&mut Param> {
        let mut all = vec![&mut self.embed];
        let mut adapters = Vec::new();
        for layer in &mut self.layers {
            let (base, lora) = layer.split_params_mut();
            all.extend(base);
            adapters.extend(lora);
        }
        all.push(&mut self.norm);
        all.extend(&mut self.head);
        all.extend(adapters);
        all
    }

    /// Marks every base weight as trained (full fine-tuning).
    pub fn train_all(&mut self) {
        self.all_mut().into_iter().for_each(Param::train);
    }

    pub fn n_params(&self) -> usize {
        self.params().iter().map(|p| p.len()).sum()
    }

    pub fn n_trainable(&self) -> usize {
        self.trainable().iter().map(|p| p.len()).sum()
    }

    /// The same model outside the graph: nothing is tracked. Shares the weights.
    pub fn inference(&self) -> Self {
        self.map(|linear| {
            let mut plain = Linear {
                lora: linear.lora.clone(),
                ..linear.without_adapter()
            };
            if let Some(lora) = &mut plain.lora {
                (lora.a, lora.b) = (lora.a.detached(), lora.b.detached());
            }
            plain
        })
    }

    /// The base that the adapter sits on. Shares the weights.
    pub fn base(&self) -> Self {
        Self {
            lora: None,
            ..self.map(Linear::without_adapter)
        }
    }

    /// The adapter added to the weights, in f32; without an adapter, the model itself.
    pub fn merged(&self) -> Self {
        Self {
            lora: None,
            ..self.map(Linear::merged)
        }
    }

    fn map(&self, linear: impl Fn(&Linear) -> Linear) -> Self {
        Self {
            embed: self.embed.detached(),
            layers: self.layers.iter().map(|layer| layer.map(&linear)).collect(),
            norm: self.norm.detached(),
            head: self.head.as_ref().map(Param::detached),
            ..self.clone()
        }
    }

    /// The linear layers of all layers with their HF path, such as `model.layers.0.self_attn.q_proj`.
    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Linear)> {
        self.layers
            .iter_mut()
            .flat_map(|layer| LINEAR_NAMES.into_iter().zip(layer.linears_mut()))
    }
}

/// Takes a tensor that `DecoderConfig::tensors` promises.
fn required(params: &mut HashMap<String, Param>, name: &str) -> Param {
    params
        .remove(name)
        .expect("DecoderConfig::tensors names every tensor that a decoder is made of")
}

fn assemble_layer(params: &mut HashMap<String, Param>, i: usize) -> Layer {
    let place = |name: &str| format!("model.layers.{i}.{name}");
    let mut linear = |name: &str| Linear {
        weight: required(params, &place(&format!("{name}.weight"))),
        bias: params.remove(&place(&format!("{name}.bias"))),
        lora: None,
    };
    let [q, k, v, o] =
        ["q_proj", "k_proj", "v_proj", "o_proj"].map(|n| linear(&format!("self_attn.{n}")));
    let [gate, up, down] =
        ["gate_proj", "up_proj", "down_proj"].map(|n| linear(&format!("mlp.{n}")));
    let [input_norm, post_norm] = ["input_layernorm", "post_attention_layernorm"]
        .map(|n| required(params, &place(&format!("{n}.weight"))));
    let [q_norm, k_norm] =
        ["q_norm", "k_norm"].map(|n| params.remove(&place(&format!("self_attn.{n}.weight"))));
    Layer {
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
    }
}
