//! The decoder: embedding, layers, norm, head.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;

use burn::tensor::{DType, Device, Tensor};
use slm_ops::noise::uniform_values;
use slm_ops::upload::ints;
use slm_ops::{QuantScheme, Quantizer, RmsWeight, RotaryTable, Weight};
use slm_recipe::Dtype;

use crate::config::NormKind;
use crate::layer::Layer;
use crate::linear::Linear;
use crate::norm::Norm;
use crate::quantized::quantized_param;
use crate::rope::Rope;
use crate::weights::{Weights, param};
use crate::{DecoderConfig, KvCache, ModelError, Param, Pass, TensorSpec, Tokens, random};

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
    /// Reads a model folder in HF format; the codes of `compressed-tensors` as what they stand for.
    ///
    /// # Errors
    /// See [`ModelError`]: a missing, misshapen or unexpected tensor, a truncated file, an unsupported config.
    pub fn load(dir: &Path, device: &Device, dtype: Dtype) -> Result<Self, ModelError> {
        Self::load_quantized(dir, device, dtype, None)
    }

    /// [`Self::load`] with the matrices of the layers in codes; embedding, head, norms and biases stay floats.
    ///
    /// Each is quantized when it is read, so that memory never holds the layers in floats.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn load_quantized(
        dir: &Path,
        device: &Device,
        dtype: Dtype,
        scheme: Option<QuantScheme>,
    ) -> Result<Self, ModelError> {
        let config = DecoderConfig::read(dir)?;
        let weights = Weights::open(dir)?;
        let tensors = config.tensors();
        let names = &config.family.names;
        weights.refuse_others(&tensors, names)?;
        let read = |spec: &TensorSpec| weights.read(&spec.name, names.prefix, &spec.shape);
        let params = params(&config, read, device, dtype, scheme)?;
        Ok(Self::assemble(config, params, device))
    }

    /// A model with fresh weights, as HF initialises it: normal with `initializer_range`, norms 1, biases 0.
    pub fn init(config: DecoderConfig, seed: u64, device: &Device) -> Self {
        let std = config.initializer_range as f32;
        let normal = |name: &str, n| random::normal(seed, name, n, std);
        Self::fresh(config, normal, device, Dtype::F32, None)
    }

    /// A base to measure speed and memory with, kept as [`Self::load_quantized`] keeps what it reads: weights that are made in no
    /// time, of the same spread.
    pub fn random(
        config: DecoderConfig,
        seed: u64,
        device: &Device,
        dtype: Dtype,
        scheme: Option<QuantScheme>,
    ) -> Self {
        let bound = config.initializer_range as f32 * 3f32.sqrt();
        let mut number = seed;
        let matrix = |_: &str, n: usize| {
            number += 1;
            uniform_values(bound, number, n)
        };
        Self::fresh(config, matrix, device, dtype, scheme)
    }

    /// `matrix(name, n)` gives the values of a matrix; vectors leave what they are applied to as it is.
    fn fresh(
        config: DecoderConfig,
        mut matrix: impl FnMut(&str, usize) -> Vec<f32>,
        device: &Device,
        dtype: Dtype,
        scheme: Option<QuantScheme>,
    ) -> Self {
        let one = match config.norm {
            NormKind::Rms(RmsWeight::ExactPlusOne) => 0.0,
            NormKind::Rms(_) | NormKind::Layer => 1.0,
        };
        let fresh = |spec: &TensorSpec| match spec.shape[..] {
            [n] if spec.name.ends_with("bias") => Ok::<_, Infallible>(vec![0.0; n]),
            [n] => Ok(vec![one; n]),
            _ => Ok(matrix(&spec.name, spec.shape.iter().product())),
        };
        let Ok(params) = params(&config, fresh, device, dtype, scheme);
        Self::assemble(config, params, device)
    }

    /// A model whose weights come from elsewhere: `values(name, shape)` gives a tensor by its HF name, row-major as HF's files hold it,
    /// as many values as the shape says.
    ///
    /// # Errors
    /// Those of `values`.
    pub fn from_tensors<E>(
        config: DecoderConfig,
        mut values: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, E>,
        device: &Device,
    ) -> Result<Self, E> {
        let values = |spec: &TensorSpec| values(&spec.name, &spec.shape);
        let params = params(&config, values, device, Dtype::F32, None)?;
        Ok(Self::assemble(config, params, device))
    }

    /// The same of weights in whatever form they are kept: matrices `[out, in]` whatever HF's files hold, vectors `[1, n]`.
    ///
    /// # Errors
    /// Those of `weight`.
    pub fn from_weights<E>(
        config: DecoderConfig,
        mut weight: impl FnMut(&str, &[usize]) -> Result<Weight, E>,
        device: &Device,
    ) -> Result<Self, E> {
        let mut params = HashMap::new();
        for spec in config.tensors() {
            let param = Param {
                value: weight(&spec.name, &spec.shape)?,
                name: spec.name.clone(),
                layout: spec.layout,
                trainable: false,
                original: None,
            };
            params.insert(spec.name, param);
        }
        Ok(Self::assemble(config, params, device))
    }

    /// Puts the named tensors in their places; `params` holds every name of `config.tensors()`.
    fn assemble(
        config: DecoderConfig,
        mut params: HashMap<String, Param>,
        device: &Device,
    ) -> Self {
        let names = &config.family.names;
        let weight = |name: &str| format!("{name}.weight");
        let embed = required(&mut params, &weight(names.embed));
        let positions = names
            .positions
            .map(|name| required(&mut params, &weight(name)));
        let norm = Norm::take(&mut params, names.norm);
        let layers = (0..config.num_hidden_layers)
            .map(|i| Layer::take(&mut params, &config, i))
            .collect();
        let head = params.remove(&weight(names.head));
        debug_assert!(params.is_empty(), "left over: {:?}", params.keys());
        Self {
            config,
            device: device.clone(),
            embed,
            positions,
            layers,
            norm,
            head,
            was_tied: false,
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

    /// Every base weight under its HF name, in the order of a forward pass; a tied head appears once.
    pub fn params(&self) -> Vec<&Param> {
        let layers = self.layers.iter().flat_map(Layer::params);
        std::iter::once(&self.embed)
            .chain(&self.positions)
            .chain(layers)
            .chain(self.norm.iter().flat_map(Norm::params))
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

    /// The same in the order in which a backward pass is done with them.
    pub fn trainable_from_the_top(&self) -> Vec<&Param> {
        let layers = self.layers.iter().rev().flat_map(Layer::trainable);
        layers.chain(self.trainable_around_layers()).collect()
    }

    /// The trained weights outside the layers: embedding, final norm, head.
    pub fn trainable_around_layers(&self) -> Vec<&Param> {
        std::iter::once(&self.embed)
            .chain(&self.positions)
            .chain(self.norm.iter().flat_map(Norm::params))
            .chain(&self.head)
            .filter(|p| p.trainable)
            .collect()
    }

    /// Whether gradients are needed all the way down.
    pub fn embedding_is_trained(&self) -> bool {
        self.embed.trainable || self.positions.as_ref().is_some_and(|p| p.trainable)
    }

    /// The lowest layer that a backward pass must reach; `None` when no layer is trained.
    pub fn lowest_trained(&self) -> Option<usize> {
        let is_trained = |layer: &Layer| layer.trainable().next().is_some();
        if self.embedding_is_trained() {
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
        let (mut base, adapters) = self.split_mut();
        base.extend(adapters);
        base
    }

    pub(crate) fn base_mut(&mut self) -> Vec<&mut Param> {
        self.split_mut().0
    }

    /// Base weights and adapter weights.
    fn split_mut(&mut self) -> (Vec<&mut Param>, Vec<&mut Param>) {
        let mut all = vec![&mut self.embed];
        all.extend(&mut self.positions);
        let mut adapters = Vec::new();
        for layer in &mut self.layers {
            let (base, lora) = layer.split_params_mut();
            all.extend(base);
            adapters.extend(lora);
        }
        all.extend(self.norm.iter_mut().flat_map(Norm::params_mut));
        all.extend(&mut self.head);
        (all, adapters)
    }

    /// Marks every base weight as trained (full fine-tuning).
    pub fn train_all(&mut self) {
        self.all_mut().into_iter().for_each(Param::train);
    }

    pub fn n_params(&self) -> usize {
        self.params().iter().map(|p| p.len()).sum()
    }

    /// How the layers' matrices are kept, where any is in codes.
    pub fn quant_scheme(&self) -> Option<QuantScheme> {
        let mut params = self.params().into_iter();
        params.find_map(|p| match &p.value {
            Weight::Quantized(codes) => Some(codes.scheme()),
            Weight::Float(_) | Weight::Blocks(_) => None,
        })
    }

    /// What the base weights take up.
    pub fn size_bytes(&self) -> usize {
        self.params().iter().map(|p| p.value.size_bytes()).sum()
    }

    pub fn n_trainable(&self) -> usize {
        self.trainable().iter().map(|p| p.len()).sum()
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

    /// The linear layers of all layers, in the order of a forward pass.
    pub(crate) fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.layers.iter().flat_map(Layer::linears)
    }

    /// The same, to be changed.
    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear> {
        self.layers.iter_mut().flat_map(Layer::linears_mut)
    }
}

/// Takes a tensor that `DecoderConfig::tensors` promises.
pub(crate) fn required(params: &mut HashMap<String, Param>, name: &str) -> Param {
    params
        .remove(name)
        .expect("DecoderConfig::tensors names every tensor that a decoder is made of")
}

/// The word of a recipe as burn's.
pub(crate) fn dtype_of(dtype: Dtype) -> DType {
    match dtype {
        Dtype::F32 => DType::F32,
        Dtype::Bf16 => DType::BF16,
        Dtype::F16 => DType::F16,
    }
}

/// The weights of a decoder by name, each from its values as they come: the matrices of the layers in codes, where there is a
/// scheme.
fn params<E>(
    config: &DecoderConfig,
    mut values: impl FnMut(&TensorSpec) -> Result<Vec<f32>, E>,
    device: &Device,
    dtype: Dtype,
    scheme: Option<QuantScheme>,
) -> Result<HashMap<String, Param>, E> {
    let dtype = dtype_of(dtype);
    let quantizer = scheme.map(|scheme| Quantizer::new(scheme, device, dtype));
    let mut params = HashMap::new();
    for spec in config.tensors() {
        let values = values(&spec)?;
        let quantizer = quantizer.as_ref().filter(|_| config.is_linear(&spec));
        let name = spec.name.clone();
        let param = match quantizer {
            Some(quantizer) => quantized_param(spec, values, quantizer),
            None => param(spec, values, device, dtype),
        };
        params.insert(name, param);
    }
    Ok(params)
}
