//! The shape of a decoder, from a Hugging Face `config.json` that is read strictly: a key that would change the model and is
//! not supported is an error.

use std::path::Path;

use serde_json::{Value, json};
pub use slm_ops::Activation;
use slm_ops::{HeadShape, RmsWeight};
use slm_recipe::ScratchConfig;

use crate::compressed::take_quantization;
use crate::keys::Keys;
use crate::rope::{Rope, RopeScaling};
use crate::rope_keys::{ROPE_KEYS, read_rope};
use crate::{Family, ModelError};

/// The shape of a decoder.
#[derive(Clone, Debug)]
pub struct DecoderConfig {
    pub family: &'static Family,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub max_position_embeddings: usize,
    pub norm: NormKind,
    pub norm_eps: f64,
    /// The rotary encodings that its layers use; none where positions are learned.
    pub ropes: Vec<Rope>,
    /// One per layer.
    pub layers: Vec<LayerKind>,
    /// How many positions a query of a windowed layer sees, itself included.
    pub sliding_window: Option<usize>,
    pub tie_word_embeddings: bool,
    /// Biases on q, k and v.
    pub qkv_bias: bool,
    /// Bias on o.
    pub o_bias: bool,
    /// Biases in the feed-forward layers.
    pub mlp_bias: bool,
    /// Norms on q and k.
    pub qk_norm: Option<QkNorm>,
    pub activation: Activation,
    /// What scores are multiplied by.
    pub attention_scale: f64,
    /// Scores are bounded by `cap · tanh(score / cap)`.
    pub attention_softcap: Option<f64>,
    /// What embeddings are multiplied by.
    pub embedding_scale: f64,
    /// What each half is multiplied by before it joins the stream.
    pub residual_scale: f64,
    /// Both halves read the same stream.
    pub parallel_residual: bool,
    /// From states to logits.
    pub head: HeadShape,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// `config.json` as it was read, written back unchanged on export.
    pub raw: Value,
}

/// What sets a layer apart from the others of its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerKind {
    /// Which of the model's rotary encodings it uses.
    pub rope: Option<usize>,
    /// Whether it sees the sliding window only.
    pub windowed: bool,
}

/// How values are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// By the root of the mean square.
    Rms(RmsWeight),
    /// By mean and variance, with a bias.
    Layer,
}

/// What the norms on q and k span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QkNorm {
    /// Each head.
    Head,
    /// All heads together.
    Projection,
}

/// Keys that every Llama-like family reads.
const LLAMA_KEYS: &[&str] = &[
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "rms_norm_eps",
    "tie_word_embeddings",
    "attention_bias",
    "mlp_bias",
    "initializer_range",
    "hidden_act",
    "layer_types",
];

impl DecoderConfig {
    /// Reads `config.json` in `dir`. How codes of `compressed-tensors` are stored is left out: they are read as what they stand
    /// for.
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
        let mut raw: Value = serde_json::from_str(&text).map_err(|source| ModelError::Json {
            path: path.clone(),
            source,
        })?;
        take_quantization(&mut raw, &path)?;
        Self::from_json(raw, &path)
    }

    /// Reads a parsed `config.json`; `path` is named in errors.
    pub fn from_json(raw: Value, path: &Path) -> Result<Self, ModelError> {
        let keys = Keys::new(&raw, path);
        let model_type = keys.text("model_type")?.unwrap_or("missing");
        let family = Family::named(model_type).ok_or_else(|| ModelError::UnknownFamily {
            path: path.into(),
            found: model_type.into(),
            known: Family::known(),
        })?;
        let mut config = (family.read)(&keys)?;
        config.check(&keys)?;
        config.raw = raw;
        Ok(config)
    }

    /// The config of a model that is trained from nothing, as HF would write it.
    pub fn scratch(
        section: &ScratchConfig,
        vocab_size: usize,
        special: &Value,
    ) -> Result<Self, ModelError> {
        let architecture = Family::named(&section.model_type).map_or("", |f| f.architecture);
        let mut raw = json!({
            "architectures": [architecture],
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

    /// A decoder without any of the special parts; `[hidden, layers, heads]`.
    pub(crate) fn plain(
        keys: &Keys,
        family: &'static Family,
        [hidden_size, layers, heads]: [usize; 3],
    ) -> Self {
        let head_dim = hidden_size / heads;
        Self {
            family,
            vocab_size: 0,
            hidden_size,
            intermediate_size: 0,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: heads,
            head_dim,
            max_position_embeddings: 2048,
            norm: NormKind::Rms(RmsWeight::Rounded),
            norm_eps: 1e-6,
            ropes: Vec::new(),
            layers: vec![
                LayerKind {
                    rope: None,
                    windowed: false,
                };
                layers
            ],
            sliding_window: None,
            tie_word_embeddings: false,
            qkv_bias: false,
            o_bias: false,
            mlp_bias: false,
            qk_norm: None,
            activation: Activation::Silu,
            attention_scale: (head_dim as f64).powf(-0.5),
            attention_softcap: None,
            embedding_scale: 1.0,
            residual_scale: 1.0,
            parallel_residual: false,
            head: HeadShape::default(),
            initializer_range: keys
                .number("initializer_range")
                .ok()
                .flatten()
                .unwrap_or(0.02),
            raw: Value::Null,
        }
    }

    /// What Llama and its relatives share; `own` are the further keys that the family reads.
    pub(crate) fn llama_like(
        keys: &Keys,
        family: &'static Family,
        own: &[&str],
    ) -> Result<Self, ModelError> {
        keys.refuse_others(&[LLAMA_KEYS, ROPE_KEYS, own])?;
        let hidden_size = keys.size("hidden_size")?;
        let heads = keys.size("num_attention_heads")?;
        let shape = [hidden_size, keys.size("num_hidden_layers")?, heads];
        let attention_bias = keys.flag("attention_bias", false)?;
        let head_dim = keys.size_or("head_dim", family.head_dim.unwrap_or(hidden_size / heads))?;
        let mut config = Self {
            vocab_size: keys.size("vocab_size")?,
            intermediate_size: keys.size("intermediate_size")?,
            num_key_value_heads: keys.size_or("num_key_value_heads", heads)?,
            head_dim,
            max_position_embeddings: keys.size_or("max_position_embeddings", 2048)?,
            norm_eps: keys.number_or("rms_norm_eps", 1e-6)?,
            tie_word_embeddings: keys.flag("tie_word_embeddings", false)?,
            qkv_bias: attention_bias,
            o_bias: attention_bias,
            mlp_bias: keys.flag("mlp_bias", false)?,
            activation: read_activation(
                keys,
                &["hidden_activation", "hidden_act"],
                Activation::Silu,
            )?,
            attention_scale: (head_dim as f64).powf(-0.5),
            ..Self::plain(keys, family, shape)
        };
        config.rotate(read_rope(keys, head_dim, 10_000.0, Some("full_attention"))?);
        if !own.contains(&"sliding_window")
            && let Some(types) = keys.get("layer_types")
            && windows(types, shape[1]) != Some(vec![false; shape[1]])
        {
            return Err(keys.wrong("layer_types", types, "full attention in every layer"));
        }
        Ok(config)
    }

    /// Every layer uses this rotary encoding.
    pub(crate) fn rotate(&mut self, rope: Rope) {
        self.ropes = vec![rope];
        for layer in &mut self.layers {
            layer.rope = Some(0);
        }
    }

    /// Sets the sliding window, if the config has one, in the layers that `layer_types` names, or else `by_default`.
    pub(crate) fn slide(
        &mut self,
        keys: &Keys,
        by_default: impl Fn(usize) -> bool,
    ) -> Result<(), ModelError> {
        if keys.get("sliding_window").is_none() {
            return Ok(());
        }
        self.sliding_window = Some(keys.size("sliding_window")?);
        let n = self.num_hidden_layers;
        let windowed = match keys.get("layer_types") {
            None => (0..n).map(by_default).collect(),
            Some(types) => windows(types, n).ok_or_else(|| {
                let needed = format!("\"full_attention\" or \"sliding_attention\" for {n} layers");
                keys.wrong("layer_types", types, needed)
            })?,
        };
        for (layer, windowed) in self.layers.iter_mut().zip(windowed) {
            layer.windowed = windowed;
        }
        Ok(())
    }

    /// Whether keys that were rotated for rows of `before` positions serve rows of `after`. Scalings that change with
    /// length need them again, but `dynamic`, whose cached keys transformers keeps too.
    pub(crate) fn keeps_keys(&self, before: usize, after: usize) -> bool {
        self.ropes.iter().all(|rope| match rope.scaling {
            RopeScaling::LongRope { .. } => rope.inv_freq(before) == rope.inv_freq(after),
            _ => true,
        })
    }

    /// Says, here and in the file that is written, whether the head is the embedding.
    pub(crate) fn set_tied(&mut self, tied: bool) {
        self.tie_word_embeddings = tied;
        self.raw["tie_word_embeddings"] = tied.into();
    }

    fn check(&self, keys: &Keys) -> Result<(), ModelError> {
        let (heads, kv) = (self.num_attention_heads, self.num_key_value_heads);
        if !heads.is_multiple_of(kv) {
            let needed = format!("a divisor of num_attention_heads = {heads}");
            return Err(keys.wrong("num_key_value_heads", kv, needed));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(keys.wrong("head_dim", self.head_dim, "an even number"));
        }
        if let Some(rope) = self.ropes.iter().find(|r| r.dim == 0 || r.dim % 2 == 1) {
            return Err(keys.wrong("rotary_pct", rope.dim, "an even number of channels"));
        }
        Ok(())
    }

    /// The number of weights, from the shapes alone.
    pub fn n_params(&self) -> usize {
        self.tensors()
            .iter()
            .map(|tensor| tensor.shape.iter().product::<usize>())
            .sum()
    }
}

/// Which layers slide; `None` where the list is not one of `n` known kinds.
fn windows(types: &Value, n: usize) -> Option<Vec<bool>> {
    let kind = |value: &Value| match value.as_str() {
        Some("full_attention") => Some(false),
        Some("sliding_attention") => Some(true),
        _ => None,
    };
    let list: Vec<bool> = types.as_array()?.iter().map(kind).collect::<Option<_>>()?;
    (list.len() == n).then_some(list)
}

/// The activation that the first of `names` that is there says.
pub(crate) fn read_activation(
    keys: &Keys,
    names: &[&str],
    default: Activation,
) -> Result<Activation, ModelError> {
    let Some(name) = names.iter().find(|name| keys.get(name).is_some()) else {
        return Ok(default);
    };
    match keys.text(name)? {
        Some("silu" | "swish") => Ok(Activation::Silu),
        Some("gelu") => Ok(Activation::Gelu),
        Some("gelu_pytorch_tanh" | "gelu_new" | "gelu_fast") => Ok(Activation::GeluTanh),
        found => {
            let needed = "\"silu\", \"gelu\", \"gelu_pytorch_tanh\" or \"gelu_new\"";
            Err(keys.wrong(name, found.unwrap_or_default(), needed))
        }
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

    fn read(changes: Value) -> Result<DecoderConfig, ModelError> {
        let mut raw = tiny();
        for (key, value) in changes.as_object().unwrap() {
            raw[key] = value.clone();
        }
        DecoderConfig::from_json(raw, Path::new("config.json"))
    }

    fn error_with(changes: Value) -> String {
        read(changes).unwrap_err().to_string()
    }

    #[test]
    fn defaults_follow_transformers() {
        let config = read(json!({})).unwrap();
        assert_eq!((config.num_key_value_heads, config.head_dim), (2, 4));
        assert_eq!(config.n_params(), 8 * 8 + 8 + 4 * 64 + 8 + 3 * 96 + 8);
    }

    #[test]
    fn an_unknown_architecture_names_the_known_ones() {
        let message = error_with(json!({"model_type": "mamba"}));
        assert_eq!(
            message,
            "`config.json`: `model_type` is `mamba`, which slm-tune cannot run (it runs llama, mistral, qwen2, qwen3, gemma, \
             gemma2, gemma3_text, phi3, smollm3, granite, olmo2, gpt_neox, gpt2)"
        );
    }

    #[test]
    fn a_key_that_changes_the_model_is_refused() {
        let cases = [
            (
                json!({"attn_logit_softcapping": 50.0}),
                "attn_logit_softcapping",
            ),
            (json!({"hidden_act": "relu"}), "\"silu\""),
            (json!({"sliding_window": 6}), "sliding_window"),
            (
                json!({"layer_types": ["sliding_attention"]}),
                "full attention in every layer",
            ),
            (json!({"rope_scaling": {"rope_type": "mrope"}}), "mrope"),
            (
                json!({"rope_scaling": {"rope_type": "linear", "mrope_section": [1]}}),
                "rope_scaling.mrope_section",
            ),
            (json!({"num_key_value_heads": 3}), "a divisor"),
            (json!({"hidden_size": "8"}), "whole number"),
        ];
        for (changes, part) in cases {
            let message = error_with(changes.clone());
            assert!(message.contains(part), "{changes}: {message}");
        }
    }

    #[test]
    fn windows_follow_layer_types_or_the_familys_own_rule() {
        let windowed = |changes: Value| -> Vec<bool> {
            let config = read(changes).unwrap();
            config.layers.iter().map(|layer| layer.windowed).collect()
        };
        let mistral = json!({"model_type": "mistral", "num_hidden_layers": 2, "sliding_window": 4});
        assert_eq!(windowed(mistral), [true, true]);
        let qwen = json!({
            "model_type": "qwen2", "num_hidden_layers": 3, "sliding_window": 4, "use_sliding_window": true,
            "max_window_layers": 1,
        });
        assert_eq!(windowed(qwen), [false, true, true]);
        let unused =
            json!({"model_type": "qwen2", "sliding_window": 4, "use_sliding_window": false});
        assert_eq!(windowed(unused), [false]);
        let listed = json!({
            "model_type": "gemma2", "num_hidden_layers": 2, "sliding_window": 4, "hidden_act": "gelu_pytorch_tanh",
            "layer_types": ["full_attention", "sliding_attention"],
        });
        assert_eq!(windowed(listed), [false, true]);
    }

    #[test]
    fn both_spellings_of_the_rotary_keys_read_alike() {
        let old = json!({"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 4.0}});
        let new =
            json!({"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 5e5}});
        assert_eq!(read(old).unwrap().ropes, read(new).unwrap().ropes);
    }
}
