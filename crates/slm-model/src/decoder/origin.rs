//! Where the weights of a decoder come from.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;

use burn::tensor::Device;
use slm_ops::noise::uniform_values;
use slm_ops::{QuantScheme, Quantizer, RmsWeight, Weight};
use slm_recipe::Dtype;

use super::{Decoder, dtype_of};
use crate::config::NormKind;
use crate::layer::Layer;
use crate::norm::Norm;
use crate::quantized::quantized_param;
use crate::weights::{Weights, param};
use crate::{DecoderConfig, ModelError, Param, TensorSpec, random};

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
}

/// Takes a tensor that `DecoderConfig::tensors` promises.
pub(crate) fn required(params: &mut HashMap<String, Param>, name: &str) -> Param {
    params
        .remove(name)
        .expect("DecoderConfig::tensors names every tensor that a decoder is made of")
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
