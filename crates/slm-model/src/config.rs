//! `config.json` of a Hugging Face model, read strictly: a key that would change the model and is not supported is an error.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use slm_recipe::ScratchConfig;

use crate::ModelError;
use crate::rope::{Rope, RopeScaling};

/// A model family: what its decoder has that others do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Llama 2 and 3, SmolLM2, TinyLlama.
    Llama,
    /// Mistral without a sliding window.
    Mistral,
    /// Qwen 2 and 2.5: biases on q, k and v.
    Qwen2,
    /// Qwen 3: norms on the heads of q and k.
    Qwen3,
}

impl Family {
    const ALL: [Self; 4] = [Self::Llama, Self::Mistral, Self::Qwen2, Self::Qwen3];

    /// HF's `model_type`.
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }

    fn named(model_type: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|family| family.model_type() == model_type)
    }
}

/// The shape of a decoder.
#[derive(Clone, Debug)]
pub struct DecoderConfig {
    pub family: Family,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub max_position_embeddings: usize,
    pub rms_norm_eps: f64,
    pub rope: Rope,
    pub tie_word_embeddings: bool,
    /// Biases on q, k and v.
    pub qkv_bias: bool,
    /// Bias on o.
    pub o_bias: bool,
    /// Biases in the feed-forward layers.
    pub mlp_bias: bool,
    /// Norms on the heads of q and k.
    pub qk_norm: bool,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// `config.json` as it was read, written back unchanged on export.
    pub raw: Value,
}

/// Keys that do not change what the model computes here.
const HARMLESS: &[&str] = &[
    "architectures",
    "model_type",
    "attention_dropout",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "dtype",
    "torch_dtype",
    "transformers_version",
    "use_cache",
    "pretraining_tp",
    "_name_or_path",
    "_attn_implementation",
    "is_llama_config",
    "transformers.js_config",
    "max_window_layers",
    "output_attentions",
    "output_hidden_states",
    "return_dict",
    "unsloth_fixed",
    "unsloth_version",
    "chunk_size_feed_forward",
    "id2label",
    "label2id",
];

/// Keys that are read below.
const READ: &[&str] = &[
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "rms_norm_eps",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "tie_word_embeddings",
    "attention_bias",
    "mlp_bias",
    "initializer_range",
    "hidden_act",
    "sliding_window",
    "use_sliding_window",
    "layer_types",
    "rope_interleaved",
];

impl DecoderConfig {
    /// Reads `config.json` in `dir`.
    ///
    /// # Errors
    /// No such file, broken JSON, an unknown `model_type`, a key that is missing, of the wrong type or not supported.
    pub fn read(dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join("config.json");
        if !path.is_file() {
            return Err(ModelError::NotAModel {
                path: dir.into(),
                missing: "config.json",
            });
        }
        let text = fs_err::read_to_string(&path)?;
        let raw = serde_json::from_str(&text).map_err(|source| ModelError::Json {
            path: path.clone(),
            source,
        })?;
        Self::from_json(raw, &path)
    }

    /// Reads a parsed `config.json`; `path` is named in errors.
    pub fn from_json(raw: Value, path: &Path) -> Result<Self, ModelError> {
        let keys = Keys {
            path: path.into(),
            map: raw.as_object().cloned().unwrap_or_default(),
        };
        let model_type = keys
            .map
            .get("model_type")
            .and_then(Value::as_str)
            .unwrap_or("missing");
        let family = Family::named(model_type).ok_or_else(|| ModelError::UnknownFamily {
            path: path.into(),
            found: model_type.into(),
            known: Family::ALL.map(Family::model_type).join(", "),
        })?;
        keys.refuse_unsupported()?;
        let hidden_size = keys.size("hidden_size")?;
        let num_attention_heads = keys.size("num_attention_heads")?;
        let attention_bias = keys.flag("attention_bias", false)?;
        let config = Self {
            family,
            vocab_size: keys.size("vocab_size")?,
            hidden_size,
            intermediate_size: keys.size("intermediate_size")?,
            num_hidden_layers: keys.size("num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads: keys.size_or("num_key_value_heads", num_attention_heads)?,
            head_dim: keys.size_or(
                "head_dim",
                default_head_dim(family, hidden_size, num_attention_heads),
            )?,
            max_position_embeddings: keys.size_or("max_position_embeddings", 2048)?,
            rms_norm_eps: keys.number("rms_norm_eps", 1e-6)?,
            rope: keys.rope()?,
            tie_word_embeddings: keys.flag("tie_word_embeddings", false)?,
            qkv_bias: family == Family::Qwen2 || attention_bias,
            o_bias: attention_bias,
            mlp_bias: keys.flag("mlp_bias", false)?,
            qk_norm: family == Family::Qwen3,
            initializer_range: keys.number("initializer_range", 0.02)?,
            raw,
        };
        config.check(&keys)?;
        Ok(config)
    }

    /// The config of a model that is trained from nothing, as HF would write it.
    pub fn scratch(
        section: &ScratchConfig,
        vocab_size: usize,
        special: &Value,
    ) -> Result<Self, ModelError> {
        let mut raw = json!({
            "architectures": [architecture(&section.model_type)],
            "model_type": section.model_type,
            "vocab_size": vocab_size,
            "hidden_size": section.hidden_size,
            "intermediate_size": section.intermediate_size,
            "num_hidden_layers": section.num_hidden_layers,
            "num_attention_heads": section.num_attention_heads,
            "num_key_value_heads": section.num_key_value_heads,
            "head_dim": section.hidden_size / section.num_attention_heads.max(1),
            "max_position_embeddings": section.max_position_embeddings,
            "rms_norm_eps": section.rms_norm_eps,
            "rope_theta": section.rope_theta,
            "rope_scaling": null,
            "hidden_act": "silu",
            "tie_word_embeddings": section.tie_word_embeddings,
            "initializer_range": 0.02,
            "torch_dtype": "float32",
            "use_cache": true,
        });
        if let (Some(map), Some(special)) = (raw.as_object_mut(), special.as_object()) {
            map.extend(special.clone());
        }
        Self::from_json(raw, Path::new("model.config"))
    }

    fn check(&self, keys: &Keys) -> Result<(), ModelError> {
        let (heads, kv) = (self.num_attention_heads, self.num_key_value_heads);
        if kv == 0 || !heads.is_multiple_of(kv) {
            return Err(keys.wrong(
                "num_key_value_heads",
                kv,
                format!("a divisor of num_attention_heads = {heads}"),
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(keys.wrong("head_dim", self.head_dim, "an even number"));
        }
        Ok(())
    }

    /// The shape of every tensor that the files must hold, by HF name and in HF layout, in the order of a forward pass.
    pub(crate) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (d, ff) = (self.hidden_size, self.intermediate_size);
        let (q, kv) = (
            self.num_attention_heads * self.head_dim,
            self.num_key_value_heads * self.head_dim,
        );
        let mut tensors = vec![(
            "model.embed_tokens.weight".to_string(),
            vec![self.vocab_size, d],
        )];
        for layer in 0..self.num_hidden_layers {
            let mut add = |name: &str, shape: &[usize]| {
                tensors.push((format!("model.layers.{layer}.{name}"), shape.to_vec()));
            };
            add("input_layernorm.weight", &[d]);
            let attention = [
                ("q_proj", q, d, self.qkv_bias),
                ("k_proj", kv, d, self.qkv_bias),
                ("v_proj", kv, d, self.qkv_bias),
                ("o_proj", d, q, self.o_bias),
            ];
            for (name, out, input, bias) in attention {
                add(&format!("self_attn.{name}.weight"), &[out, input]);
                if bias {
                    add(&format!("self_attn.{name}.bias"), &[out]);
                }
            }
            if self.qk_norm {
                add("self_attn.q_norm.weight", &[self.head_dim]);
                add("self_attn.k_norm.weight", &[self.head_dim]);
            }
            add("post_attention_layernorm.weight", &[d]);
            for (name, out, input) in [
                ("gate_proj", ff, d),
                ("up_proj", ff, d),
                ("down_proj", d, ff),
            ] {
                add(&format!("mlp.{name}.weight"), &[out, input]);
                if self.mlp_bias {
                    add(&format!("mlp.{name}.bias"), &[out]);
                }
            }
        }
        tensors.push(("model.norm.weight".into(), vec![d]));
        if !self.tie_word_embeddings {
            tensors.push(("lm_head.weight".into(), vec![self.vocab_size, d]));
        }
        tensors
    }

    /// The number of weights, from the shapes alone.
    pub fn n_params(&self) -> usize {
        self.tensors()
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum()
    }
}

/// Qwen3 has heads of 128 whatever its width (transformers' default); the others divide it.
fn default_head_dim(family: Family, hidden_size: usize, heads: usize) -> usize {
    if family == Family::Qwen3 {
        128
    } else {
        hidden_size / heads.max(1)
    }
}

fn architecture(model_type: &str) -> &'static str {
    match Family::named(model_type) {
        Some(Family::Mistral) => "MistralForCausalLM",
        Some(Family::Qwen2) => "Qwen2ForCausalLM",
        Some(Family::Qwen3) => "Qwen3ForCausalLM",
        _ => "LlamaForCausalLM",
    }
}

/// A parsed `config.json` with the path that its errors name.
struct Keys {
    path: PathBuf,
    map: Map<String, Value>,
}

impl Keys {
    fn wrong(&self, key: &str, found: impl ToString, needed: impl Into<String>) -> ModelError {
        ModelError::Config {
            path: self.path.clone(),
            key: key.into(),
            found: found.to_string(),
            needed: needed.into(),
        }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn size(&self, key: &str) -> Result<usize, ModelError> {
        let value = self
            .get(key)
            .ok_or_else(|| self.wrong(key, "missing", "a whole number"))?;
        let size = value.as_u64().filter(|&n| n > 0 && n < 1 << 32);
        size.map(|n| n as usize)
            .ok_or_else(|| self.wrong(key, value, "a whole number above 0"))
    }

    fn size_or(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        self.get(key).map_or(Ok(default), |_| self.size(key))
    }

    fn number(&self, key: &str, default: f64) -> Result<f64, ModelError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .ok_or_else(|| self.wrong(key, value, "a number")),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.wrong(key, value, "true or false")),
        }
    }

    fn refuse_unsupported(&self) -> Result<(), ModelError> {
        for (key, value) in &self.map {
            let known = READ.contains(&key.as_str()) || HARMLESS.contains(&key.as_str());
            if !known && !value.is_null() && value != &Value::Bool(false) {
                return Err(self.wrong(key, value, "a key that slm-tune supports"));
            }
        }
        if let Some(value) = self
            .get("hidden_act")
            .filter(|v| v.as_str() != Some("silu"))
        {
            return Err(self.wrong("hidden_act", value, "\"silu\""));
        }
        if self.flag("rope_interleaved", false)? {
            return Err(self.wrong("rope_interleaved", true, "false"));
        }
        self.refuse_sliding_window()
    }

    fn refuse_sliding_window(&self) -> Result<(), ModelError> {
        let all_full = |value: &Value| {
            value
                .as_array()
                .is_some_and(|types| types.iter().all(|t| t == "full_attention"))
        };
        if let Some(types) = self.get("layer_types") {
            if all_full(types) {
                return Ok(());
            }
            return Err(self.wrong("layer_types", types, "full attention in every layer"));
        }
        // Qwen writes a window and says that it is not used; Mistral's window is in force whenever it is there.
        let used = match self.get("use_sliding_window") {
            Some(_) => self.flag("use_sliding_window", false)?,
            None => !self
                .map
                .get("model_type")
                .is_some_and(|t| t == "qwen2" || t == "qwen3"),
        };
        match self.get("sliding_window") {
            Some(window) if used => {
                Err(self.wrong("sliding_window", window, "null (no sliding window)"))
            }
            _ => Ok(()),
        }
    }

    /// Both spellings: `rope_parameters` (transformers 5), or `rope_theta` with `rope_scaling` (transformers 4).
    fn rope(&self) -> Result<Rope, ModelError> {
        let (key, scaling) = match self.get("rope_parameters") {
            Some(value) => ("rope_parameters", Some(value)),
            None => ("rope_scaling", self.get("rope_scaling")),
        };
        let theta = self.number("rope_theta", 10_000.0)?;
        let Some(scaling) = scaling else {
            return Ok(Rope {
                theta,
                scaling: RopeScaling::None,
            });
        };
        let map = scaling
            .as_object()
            .cloned()
            .ok_or_else(|| self.wrong(key, scaling, "an object"))?;
        let inner = Keys {
            path: self.path.clone(),
            map,
        };
        let kind = inner
            .get("rope_type")
            .or(inner.get("type"))
            .and_then(Value::as_str)
            .unwrap_or("default");
        let number = |name: &str| match inner.get(name).and_then(Value::as_f64) {
            Some(value) => Ok(value),
            None => Err(self.wrong(&format!("{key}.{name}"), "missing", "a number")),
        };
        let scaling = match kind {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear {
                factor: number("factor")?,
            },
            "llama3" => RopeScaling::Llama3 {
                factor: number("factor")?,
                low_freq_factor: number("low_freq_factor")?,
                high_freq_factor: number("high_freq_factor")?,
                original_max_position_embeddings: number("original_max_position_embeddings")?,
            },
            other => {
                return Err(self.wrong(
                    &format!("{key}.rope_type"),
                    format!("`{other}`"),
                    "default, linear or llama3",
                ));
            }
        };
        Ok(Rope {
            theta: inner.number("rope_theta", theta)?,
            scaling,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Value {
        json!({
            "model_type": "llama", "vocab_size": 8, "hidden_size": 8, "intermediate_size": 12,
            "num_hidden_layers": 1, "num_attention_heads": 2, "hidden_act": "silu", "tie_word_embeddings": true,
        })
    }

    fn error_with(key: &str, value: Value) -> String {
        let mut raw = tiny();
        raw[key] = value;
        DecoderConfig::from_json(raw, Path::new("config.json"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn defaults_follow_transformers() {
        let config = DecoderConfig::from_json(tiny(), Path::new("config.json")).unwrap();
        assert_eq!((config.num_key_value_heads, config.head_dim), (2, 4));
        assert_eq!(config.n_params(), 8 * 8 + 8 + 4 * 64 + 8 + 3 * 96 + 8);
    }

    #[test]
    fn an_unknown_architecture_names_the_known_ones() {
        let message = error_with("model_type", json!("mamba"));
        assert_eq!(
            message,
            "`config.json`: `model_type` is `mamba`, which slm-tune cannot run (it runs llama, mistral, qwen2, qwen3)"
        );
    }

    #[test]
    fn a_key_that_changes_the_model_is_refused() {
        assert!(
            error_with("attn_logit_softcapping", json!(50.0)).contains("attn_logit_softcapping")
        );
        assert!(error_with("hidden_act", json!("gelu")).contains("\"silu\""));
        assert!(error_with("sliding_window", json!(6)).contains("no sliding window"));
        assert!(error_with("rope_scaling", json!({"rope_type": "longrope"})).contains("longrope"));
        assert!(error_with("num_key_value_heads", json!(3)).contains("a divisor"));
        assert!(error_with("hidden_size", json!("8")).contains("whole number"));
    }
}
