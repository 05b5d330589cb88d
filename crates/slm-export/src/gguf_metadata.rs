//! What a GGUF file says about the model: keys and values as llama.cpp's converter writes them.

use slm_gguf::{FileType, Metadata, keys};
use slm_model::{DecoderConfig, NormKind};

use crate::gguf_built_in::built_in_windows;
use crate::gguf_rope::set_rope;

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
    set_functions(&mut metadata, config, architecture);
    set_rope(&mut metadata, config);
    metadata.set(&general::FILE_TYPE, file_type.id());
    metadata.set(
        &general::QUANTIZATION_VERSION,
        general::QUANTIZATION_VERSION_NOW,
    );
    metadata
}

/// Where the model comes from: its name, and its address where it is a hub's. A path on this machine stays here.
pub(crate) fn set_base_model(metadata: &mut Metadata, base_model: &str) {
    use keys::general;
    let trimmed = base_model.trim_end_matches(['/', '\\']);
    let name = trimmed.rsplit(['/', '\\']).next().unwrap_or_default();
    if matches!(name, "" | "." | "..") {
        return;
    }
    metadata.set(&general::BASE_MODEL_COUNT, 1);
    metadata.set(&general::base_model(0, "name"), name.to_string());
    if let (true, Some((owner, _))) = (is_hub_name(base_model), base_model.split_once('/')) {
        let address = format!("https://huggingface.co/{base_model}");
        metadata.set(&general::base_model(0, "organization"), owner.to_string());
        metadata.set(&general::base_model(0, "repo_url"), address);
    }
}

/// Whether a base is called by a hub's `owner/name`, and not by a folder of this machine.
pub(crate) fn is_hub_name(base_model: &str) -> bool {
    base_model.split('/').count() == 2
        && !base_model.starts_with(['.', '/', '~'])
        && !std::path::Path::new(base_model).exists()
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
    let epsilon = match config.norm {
        NormKind::Rms(_) => llm::LAYER_NORM_RMS_EPSILON,
        NormKind::Layer => llm::LAYER_NORM_EPSILON,
    };
    metadata.set(&epsilon.of(architecture), config.norm_eps as f32);
    let is_explicit = config.raw.get("head_dim").is_some_and(|dim| !dim.is_null());
    if is_explicit || config.head_dim * config.num_attention_heads != config.hidden_size {
        metadata.set(&llm::KEY_LENGTH.of(architecture), head_dim);
        metadata.set(&llm::VALUE_LENGTH.of(architecture), head_dim);
    }
}

/// What Gemma 2 and 3, Granite and GPT-NeoX have beside the dimensions.
fn set_functions(metadata: &mut Metadata, config: &DecoderConfig, architecture: &str) {
    use keys::{architecture as name, llm};
    if let Some(window) = config.sliding_window.filter(|_| is_windowed(config)) {
        let windowed: Vec<bool> = config.layers.iter().map(|layer| layer.windowed).collect();
        metadata.set(&llm::SLIDING_WINDOW.of(architecture), window as u32);
        if windowed != built_in_windows(architecture, windowed.len()) {
            metadata.set(&llm::SLIDING_WINDOW_PATTERN.of(architecture), windowed);
        }
    }
    let numbers = [
        (llm::ATTN_LOGIT_SOFTCAPPING, config.attention_softcap),
        (llm::FINAL_LOGIT_SOFTCAPPING, config.head.softcap),
    ];
    for (key, number) in numbers {
        if let Some(number) = number {
            metadata.set(&key.of(architecture), number as f32);
        }
    }
    if architecture == name::GRANITE {
        let scales = [
            (llm::ATTENTION_SCALE, config.attention_scale),
            (llm::EMBEDDING_SCALE, config.embedding_scale),
            (llm::RESIDUAL_SCALE, config.residual_scale),
            (llm::LOGIT_SCALE, 1.0 / config.head.scale),
        ];
        for (key, scale) in scales {
            metadata.set(&key.of(architecture), scale as f32);
        }
    }
    if architecture == name::GPTNEOX {
        metadata.set(
            &llm::USE_PARALLEL_RESIDUAL.of(architecture),
            config.parallel_residual,
        );
    }
}

/// Whether the architecture has windows. A window of another is as wide as the context, or the model was refused.
fn is_windowed(config: &DecoderConfig) -> bool {
    use keys::architecture::{GEMMA2, GEMMA3};
    let any = config.layers.iter().any(|layer| layer.windowed);
    config.family.gguf == GEMMA2 || (config.family.gguf == GEMMA3 && any)
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

    use serde_json::json;

    use super::*;

    fn config() -> DecoderConfig {
        let raw = json!({
            "model_type": "llama", "vocab_size": 8, "hidden_size": 32, "intermediate_size": 12, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 64, "rope_theta": 10000.0,
            "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": true,
        });
        DecoderConfig::from_json(raw, Path::new("config.json")).unwrap()
    }

    fn metadata(config: &DecoderConfig) -> Metadata {
        model_metadata(config, 135_000_000, FileType::Q8_0, "run", "owner/name")
    }

    #[test]
    fn the_keys_are_those_of_llama_cpp() {
        let metadata = metadata(&config());
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
    fn a_gemma_says_its_windows_and_caps() {
        let config = |pattern: [&str; 2]| {
            let raw = json!({
                "model_type": "gemma2", "vocab_size": 8, "hidden_size": 32, "intermediate_size": 12, "num_hidden_layers": 2,
                "num_attention_heads": 2, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 8,
                "attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0,
                "layer_types": pattern.map(|kind| format!("{kind}_attention")),
            });
            DecoderConfig::from_json(raw, Path::new("config.json")).unwrap()
        };
        let built_in = metadata(&config(["sliding", "full"]));
        let f32 = |key: &str| match built_in.value(&format!("gemma2.{key}")) {
            Some(slm_gguf::Value::F32(value)) => *value,
            other => panic!("{key}: {other:?}"),
        };
        assert_eq!(f32("attn_logit_softcapping"), 5.0);
        assert_eq!(f32("final_logit_softcapping"), 3.0);
        let pattern = keys::llm::SLIDING_WINDOW_PATTERN.of("gemma2");
        assert_eq!(built_in.get(&pattern).unwrap(), None);
        let other = metadata(&config(["full", "sliding"]));
        assert_eq!(other.get(&pattern).unwrap(), Some(vec![false, true]));
        assert_eq!(
            other.get(&keys::llm::SLIDING_WINDOW.of("gemma2")).unwrap(),
            Some(8)
        );
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
