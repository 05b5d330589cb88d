//! What a GGUF file says about the model: keys and values as llama.cpp's converter writes them.

use slm_gguf::{FileType, Metadata, keys};
use slm_model::DecoderConfig;

use crate::ExportError;
use crate::architecture::not_in_gguf;

/// Two factors that differ by less than this are one: they are quotients of f32 numbers.
const FACTOR_TOLERANCE: f32 = 1e-5;

/// How a rotary encoding is stretched, as a file says it.
#[derive(Debug, PartialEq)]
enum Stretch {
    Not,
    /// All frequencies divided by one factor.
    Evenly(f32),
    /// A factor for each pair of channels.
    Unevenly(Vec<f32>),
}

/// Reads the stretch off the frequencies themselves, so that the file says what the decoder computes.
fn stretch(config: &DecoderConfig) -> Stretch {
    let Some(rope) = config.ropes.first() else {
        return Stretch::Not;
    };
    let in_force = rope.inv_freq(1);
    let mut factors: Vec<f32> = (in_force.iter().enumerate())
        .map(|(i, in_force)| {
            let exponent = (2 * i) as f32 / rope.dim as f32;
            let plain = 1.0 / (rope.theta as f32).powf(exponent);
            plain / in_force
        })
        .collect();
    // Quotients such as 3.9999998 are what was divided by.
    for factor in &mut factors {
        let whole = factor.round();
        if same(*factor, whole) {
            *factor = whole;
        }
    }
    match factors.first() {
        None => Stretch::Not,
        Some(&first) if factors.iter().any(|&f| !same(f, first)) => Stretch::Unevenly(factors),
        Some(&first) if same(first, 1.0) => Stretch::Not,
        Some(&first) => Stretch::Evenly(first),
    }
}

fn same(a: f32, b: f32) -> bool {
    (a - b).abs() <= FACTOR_TOLERANCE * b.abs()
}

/// What frequencies are divided by, where that is not one number for all of them.
///
/// # Errors
/// [`ExportError::NotInGguf`] outside the `llama` architecture, the only one in which llama.cpp reads the tensor.
pub(crate) fn rope_factors(config: &DecoderConfig) -> Result<Option<Vec<f32>>, ExportError> {
    let Stretch::Unevenly(factors) = stretch(config) else {
        return Ok(None);
    };
    if config.family.gguf != keys::architecture::LLAMA {
        return Err(not_in_gguf("the rope scaling `llama3`", config));
    }
    Ok(Some(factors))
}

/// Whether `found` are the factors that the decoder divides its frequencies by.
pub(crate) fn are_rope_factors(config: &DecoderConfig, found: &[f32]) -> bool {
    let Stretch::Unevenly(factors) = stretch(config) else {
        return false;
    };
    factors.len() == found.len() && factors.iter().zip(found).all(|(&a, &b)| same(b, a))
}

/// The keys about the model; `name` is the run's, `base_model` a folder or a hub name.
pub(crate) fn model_metadata(
    config: &DecoderConfig,
    n_params: usize,
    file_type: FileType,
    name: &str,
    base_model: &str,
) -> Metadata {
    use keys::general;
    let mut metadata = Metadata::new();
    let architecture = config.family.gguf;
    metadata.set(&general::ARCHITECTURE, architecture.to_string());
    metadata.set(&general::TYPE, "model".to_string());
    metadata.set(&general::NAME, name.to_string());
    metadata.set(&general::SIZE_LABEL, size_label(n_params));
    set_base_model(&mut metadata, base_model);
    set_dimensions(&mut metadata, config, architecture);
    set_rope(&mut metadata, config, architecture);
    metadata.set(&general::FILE_TYPE, file_type.id());
    metadata.set(
        &general::QUANTIZATION_VERSION,
        general::QUANTIZATION_VERSION_NOW,
    );
    metadata
}

/// Where the model comes from: its name, and its address where it is a hub's. A path on this machine stays here.
fn set_base_model(metadata: &mut Metadata, base_model: &str) {
    use keys::general;
    let trimmed = base_model.trim_end_matches(['/', '\\']);
    let name = trimmed.rsplit(['/', '\\']).next().unwrap_or_default();
    if matches!(name, "" | "." | "..") {
        return;
    }
    metadata.set(&general::BASE_MODEL_COUNT, 1);
    metadata.set(&general::base_model(0, "name"), name.to_string());
    let is_hub_name = base_model.split('/').count() == 2
        && !base_model.starts_with(['.', '/', '~'])
        && !std::path::Path::new(base_model).exists();
    if let (true, Some((owner, _))) = (is_hub_name, base_model.split_once('/')) {
        let address = format!("https://huggingface.co/{base_model}");
        metadata.set(&general::base_model(0, "organization"), owner.to_string());
        metadata.set(&general::base_model(0, "repo_url"), address);
    }
}

fn set_dimensions(metadata: &mut Metadata, config: &DecoderConfig, architecture: &str) {
    use keys::llm;
    let head_dim = config.head_dim as u32;
    let counts = [
        (llm::VOCAB_SIZE, config.vocab_size),
        (llm::BLOCK_COUNT, config.num_hidden_layers),
        (llm::CONTEXT_LENGTH, config.max_position_embeddings),
        (llm::EMBEDDING_LENGTH, config.hidden_size),
        (llm::FEED_FORWARD_LENGTH, config.intermediate_size),
        (llm::HEAD_COUNT, config.num_attention_heads),
        (llm::HEAD_COUNT_KV, config.num_key_value_heads),
    ];
    for (key, count) in counts {
        metadata.set(&key.of(architecture), count as u32);
    }
    metadata.set(
        &llm::LAYER_NORM_RMS_EPSILON.of(architecture),
        config.norm_eps as f32,
    );
    let is_explicit = config.raw.get("head_dim").is_some_and(|dim| !dim.is_null());
    if is_explicit || config.head_dim * config.num_attention_heads != config.hidden_size {
        metadata.set(&llm::KEY_LENGTH.of(architecture), head_dim);
        metadata.set(&llm::VALUE_LENGTH.of(architecture), head_dim);
    }
}

/// A stretch for each pair of channels is no key but a tensor, see [`rope_factors`].
fn set_rope(metadata: &mut Metadata, config: &DecoderConfig, architecture: &str) {
    use keys::llm;
    let Some(rope) = config.ropes.first() else {
        return;
    };
    let (dim, theta) = (rope.dim as u32, rope.theta as f32);
    metadata.set(&llm::ROPE_DIMENSION_COUNT.of(architecture), dim);
    metadata.set(&llm::ROPE_FREQ_BASE.of(architecture), theta);
    if let Stretch::Evenly(factor) = stretch(config) {
        metadata.set(
            &llm::ROPE_SCALING_TYPE.of(architecture),
            "linear".to_string(),
        );
        metadata.set(&llm::ROPE_SCALING_FACTOR.of(architecture), factor);
    }
}

/// The size class in two digits or more: `260K`, `3.1M`, `135M` (gguf-py's `size_label`).
fn size_label(n_params: usize) -> String {
    let n = n_params as f64;
    let units = [(1e12, "T"), (1e9, "B"), (1e6, "M")];
    let unit = units.into_iter().find(|(unit, _)| n > *unit);
    let (unit, letter) = unit.unwrap_or((1e3, "K"));
    let scaled = n / unit;
    let digits = usize::from(scaled.round() < 10.0);
    format!("{scaled:.digits$}{letter}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    fn config(rope_scaling: Value) -> DecoderConfig {
        let raw = json!({
            "model_type": "llama", "vocab_size": 8, "hidden_size": 32, "intermediate_size": 12, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 64, "rope_theta": 10000.0, "rope_scaling": rope_scaling,
            "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": true,
        });
        DecoderConfig::from_json(raw, Path::new("config.json")).unwrap()
    }

    fn metadata(config: &DecoderConfig) -> Metadata {
        model_metadata(config, 135_000_000, FileType::Q8_0, "run", "owner/name")
    }

    #[test]
    fn the_keys_are_those_of_llama_cpp() {
        let metadata = metadata(&config(Value::Null));
        let text: Vec<String> = metadata
            .iter()
            .map(|(key, value)| format!("{key} = {value:?}"))
            .collect();
        let expected = [
            r#"general.architecture = String("llama")"#,
            r#"general.type = String("model")"#,
            r#"general.name = String("run")"#,
            r#"general.size_label = String("135M")"#,
            "general.base_model.count = U32(1)",
            r#"general.base_model.0.name = String("name")"#,
            r#"general.base_model.0.organization = String("owner")"#,
            r#"general.base_model.0.repo_url = String("https://huggingface.co/owner/name")"#,
            "llama.vocab_size = U32(8)",
            "llama.block_count = U32(1)",
            "llama.context_length = U32(64)",
            "llama.embedding_length = U32(32)",
            "llama.feed_forward_length = U32(12)",
            "llama.attention.head_count = U32(2)",
            "llama.attention.head_count_kv = U32(2)",
            "llama.attention.layer_norm_rms_epsilon = F32(1e-5)",
            "llama.rope.dimension_count = U32(16)",
            "llama.rope.freq_base = F32(10000.0)",
            "general.file_type = U32(7)",
            "general.quantization_version = U32(2)",
        ];
        assert_eq!(text, expected);
    }

    #[test]
    fn an_even_stretch_is_a_key() {
        let config = config(json!({"rope_type": "linear", "factor": 3.0}));
        let metadata = metadata(&config);
        let factor = metadata.value("llama.rope.scaling.factor");
        assert_eq!(factor, Some(&slm_gguf::Value::F32(3.0)));
        assert_eq!(rope_factors(&config).unwrap(), None);
    }

    #[test]
    fn an_uneven_stretch_is_a_tensor() {
        // Pair i has the wavelength 2π · 10000^(i/8): 6.3, 19.9, 62.8, 199, ..; 64/4 = 16 and 64/1 = 64 are the bounds.
        let config = config(json!({
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        }));
        let factors = rope_factors(&config).unwrap().unwrap();
        assert_eq!((factors[0], factors[3], factors[7]), (1.0, 8.0, 8.0));
        // smooth = (64 / 19.869 - 1) / 3 = 0.74035; 1 / ((1 - smooth) / 8 + smooth) = 1.29401
        assert!((factors[1] - 1.294_01).abs() < 1e-4, "{factors:?}");
        assert!(are_rope_factors(&config, &factors));
        assert!(!are_rope_factors(&config, &[1.0; 8]));
        let metadata = metadata(&config);
        assert_eq!(metadata.value("llama.rope.scaling.type"), None);
    }

    #[test]
    fn a_path_is_not_told() {
        let model = |base_model: &str| {
            let mut metadata = Metadata::new();
            set_base_model(&mut metadata, base_model);
            metadata
                .iter()
                .map(|(_, value)| value.clone())
                .collect::<Vec<_>>()
        };
        let name = |name: &str| {
            vec![
                slm_gguf::Value::U32(1),
                slm_gguf::Value::String(name.into()),
            ]
        };
        assert_eq!(model("/home/someone/models/tiny/"), name("tiny"));
        assert_eq!(model("../tiny"), name("tiny"));
        assert!(model("..").is_empty());
    }

    #[test]
    fn size_labels_have_two_digits() {
        let labels = [264_128, 3_140_000, 134_515_008, 9_960_000].map(size_label);
        assert_eq!(labels, ["264K", "3.1M", "135M", "10M"]);
    }
}
