//! The rotary encoding as a GGUF file says it: keys, and tensors where each pair of channels has a factor of its own.

use serde_json::{Value, json};
use slm_gguf::keys::{self, llm};
use slm_gguf::{Metadata, Reader};
use slm_model::{DecoderConfig, Rope, RopeScaling};

use crate::ExportError;

/// What frequencies are divided by (Llama 3), one factor for each pair of channels.
const ROPE_FREQS: &str = "rope_freqs.weight";
/// The same for rows beyond the original context (longrope), and for shorter ones.
const ROPE_LONG: &str = "rope_factors_long.weight";
const ROPE_SHORT: &str = "rope_factors_short.weight";

/// Two factors that differ by less than this are one: they are quotients of f32 numbers.
const FACTOR_TOLERANCE: f32 = 1e-5;

/// The keys of the model's rotary encodings.
pub(crate) fn set_rope(metadata: &mut Metadata, config: &DecoderConfig) {
    let architecture = config.family.gguf;
    let Some(rope) = config.ropes.first() else {
        return;
    };
    let (dim, theta) = (rope.dim as u32, rope.theta as f32);
    metadata.set(&llm::ROPE_DIMENSION_COUNT.of(architecture), dim);
    metadata.set(&llm::ROPE_FREQ_BASE.of(architecture), theta);
    if let Some(of_windows) = config.ropes.get(1) {
        let theta = of_windows.theta as f32;
        metadata.set(&llm::ROPE_FREQ_BASE_SWA.of(architecture), theta);
    }
    set_scaling(metadata, rope, architecture);
}

fn set_scaling(metadata: &mut Metadata, rope: &Rope, architecture: &str) {
    let mut set = |kind: &str, factor: Option<f64>, original: Option<f64>, attention: f32| {
        metadata.set(&llm::ROPE_SCALING_TYPE.of(architecture), kind.to_string());
        if let Some(factor) = factor {
            metadata.set(&llm::ROPE_SCALING_FACTOR.of(architecture), factor as f32);
        }
        if let Some(original) = original {
            let key = llm::ROPE_SCALING_ORIGINAL_CONTEXT_LENGTH.of(architecture);
            metadata.set(&key, original as u32);
        }
        if attention != 1.0 {
            metadata.set(&llm::ROPE_SCALING_ATTN_FACTOR.of(architecture), attention);
        }
    };
    match &rope.scaling {
        // Llama 3's is a tensor; `dynamic` was refused.
        RopeScaling::None | RopeScaling::Dynamic { .. } | RopeScaling::Llama3 { .. } => {}
        RopeScaling::Linear { factor } => set("linear", Some(*factor), None, 1.0),
        RopeScaling::Yarn {
            factor,
            original_max_position_embeddings: original,
            ..
        } => {
            let attention = f64::from(rope.attention_factor()) / yarn_temperature(*factor);
            let attention = if (attention - 1.0).abs() < 1e-6 {
                1.0
            } else {
                attention
            };
            set("yarn", Some(*factor), Some(*original), attention as f32);
        }
        RopeScaling::LongRope {
            original_max_position_embeddings: original,
            ..
        } => set("longrope", None, Some(*original), rope.attention_factor()),
    }
}

/// What yarn multiplies cosines and sines by in llama.cpp, whatever the file says.
fn yarn_temperature(factor: f64) -> f64 {
    if factor > 1.0 {
        0.1 * factor.ln() + 1.0
    } else {
        1.0
    }
}

/// The tensors of the model's rotary encoding, by name.
pub(crate) fn rope_tensors(config: &DecoderConfig) -> Vec<(&'static str, Vec<f32>)> {
    let Some(rope) = config.ropes.first() else {
        return Vec::new();
    };
    let narrow = |factors: &[f64]| factors.iter().map(|&factor| factor as f32).collect();
    match &rope.scaling {
        RopeScaling::Llama3 { .. } => vec![(ROPE_FREQS, factors(rope))],
        RopeScaling::LongRope {
            short_factor,
            long_factor,
            ..
        } => vec![
            (ROPE_LONG, narrow(long_factor)),
            (ROPE_SHORT, narrow(short_factor)),
        ],
        _ => Vec::new(),
    }
}

/// Reads the factors off the frequencies themselves, so that the file says what the decoder computes.
fn factors(rope: &Rope) -> Vec<f32> {
    let plain = Rope {
        scaling: RopeScaling::None,
        ..rope.clone()
    };
    let pairs = plain.inv_freq(1).into_iter().zip(rope.inv_freq(1));
    pairs
        .map(|(plain, in_force)| {
            let factor = plain / in_force;
            // Quotients such as 3.9999998 are what was divided by.
            let whole = factor.round();
            if same(factor, whole) { whole } else { factor }
        })
        .collect()
}

fn same(a: f32, b: f32) -> bool {
    (a - b).abs() <= FACTOR_TOLERANCE * b.abs()
}

/// Whether a layer of both rotates alike, in short rows and in long ones.
pub(crate) fn rotates_alike(a: &DecoderConfig, b: &DecoderConfig) -> bool {
    let n = a.max_position_embeddings.max(b.max_position_embeddings);
    let of = |config: &DecoderConfig, layer: usize| {
        let rope = &config.ropes[config.layers.get(layer)?.rope?];
        let mut all = rope.inv_freq(1);
        all.extend(rope.inv_freq(n));
        all.push(rope.attention_factor());
        Some(all)
    };
    (0..a.layers.len()).all(|layer| match (of(a, layer), of(b, layer)) {
        (None, None) => true,
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(&b).all(|(&a, &b)| same(a, b)),
        _ => false,
    })
}

/// How many of the file's tensors belong to its rotary encoding.
pub(crate) fn n_rope_tensors(reader: &Reader) -> usize {
    let names = [ROPE_FREQS, ROPE_LONG, ROPE_SHORT];
    names
        .into_iter()
        .filter(|name| reader.tensor(name).is_ok())
        .count()
}

/// The scaling in the terms of `rope_scaling` in `config.json`. What Llama 3 divides frequencies by is said as factors, which
/// are the same in short rows and in long ones.
///
/// # Errors
/// [`ExportError::Gguf`] for a key or tensor that is missing or of another type.
pub(crate) fn rope_scaling(reader: &Reader, architecture: &str) -> Result<Value, ExportError> {
    let metadata = reader.metadata();
    let number = |key: keys::ArchitectureKey<f32>| metadata.get(&key.of(architecture));
    let kind = metadata.get(&llm::ROPE_SCALING_TYPE.of(architecture))?;
    let factor = number(llm::ROPE_SCALING_FACTOR)?;
    let attention = number(llm::ROPE_SCALING_ATTN_FACTOR)?;
    let context = metadata.require(&llm::CONTEXT_LENGTH.of(architecture))?;
    let original = metadata.get(&llm::ROPE_SCALING_ORIGINAL_CONTEXT_LENGTH.of(architecture))?;
    let original = original.unwrap_or(context);
    let factors = |name: &str| -> Result<Vec<f32>, ExportError> {
        // llama.cpp divides by both.
        let all = factor.unwrap_or(1.0);
        let factors = reader.dequantize(name)?.into_iter();
        Ok(factors.map(|factor| factor * all).collect())
    };
    let by_pair = |short: &str, long: &str| -> Result<Value, ExportError> {
        Ok(json!({
            "rope_type": "longrope",
            "short_factor": factors(short)?,
            "long_factor": factors(long)?,
            "original_max_position_embeddings": original,
            "attention_factor": attention.unwrap_or(1.0),
        }))
    };
    if reader.tensor(ROPE_FREQS).is_ok() {
        return by_pair(ROPE_FREQS, ROPE_FREQS);
    }
    if reader.tensor(ROPE_LONG).is_ok() {
        return by_pair(ROPE_SHORT, ROPE_LONG);
    }
    Ok(match (kind.as_deref(), factor) {
        (Some("yarn"), Some(factor)) => {
            let beyond = f64::from(attention.unwrap_or(1.0));
            let converted = number(llm::ROPE_SCALING_YARN_ATTN_FACTOR)?.map(f64::from);
            let temperature = yarn_temperature(f64::from(factor));
            json!({
                "rope_type": "yarn",
                "factor": factor,
                "original_max_position_embeddings": original,
                "attention_factor": converted.unwrap_or(temperature) * beyond,
                "beta_fast": number(llm::ROPE_SCALING_YARN_BETA_FAST)?,
                "beta_slow": number(llm::ROPE_SCALING_YARN_BETA_SLOW)?,
            })
        }
        (None | Some("linear"), Some(factor)) => json!({"rope_type": "linear", "factor": factor}),
        (None | Some("none" | "linear"), _) => Value::Null,
        (Some(kind), _) => json!({"rope_type": kind}),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(scaling: Value) -> DecoderConfig {
        let raw = json!({
            "model_type": "llama", "vocab_size": 8, "hidden_size": 32, "intermediate_size": 12, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 64, "rope_theta": 10000.0, "rope_scaling": scaling,
        });
        DecoderConfig::from_json(raw, Path::new("config.json")).unwrap()
    }

    fn metadata(config: &DecoderConfig) -> Metadata {
        let mut metadata = Metadata::new();
        set_rope(&mut metadata, config);
        metadata
    }

    #[test]
    fn a_linear_scaling_is_two_keys() {
        let config = config(json!({"rope_type": "linear", "factor": 2.5}));
        let metadata = metadata(&config);
        let kind = metadata.get(&llm::ROPE_SCALING_TYPE.of("llama")).unwrap();
        let factor = metadata.get(&llm::ROPE_SCALING_FACTOR.of("llama")).unwrap();
        assert_eq!((kind.as_deref(), factor), (Some("linear"), Some(2.5)));
        assert!(rope_tensors(&config).is_empty());
    }

    #[test]
    fn llama_3_divides_each_pair_by_its_own_factor() {
        let config = config(json!({
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        }));
        let [(name, factors)] = &rope_tensors(&config)[..] else {
            panic!("one tensor");
        };
        assert_eq!((*name, factors.len()), (ROPE_FREQS, 8));
        assert_eq!((factors[0], factors[3], factors[7]), (1.0, 8.0, 8.0));
        // smooth = (64 / 19.869 - 1) / 3 = 0.74035; 1 / ((1 - smooth) / 8 + smooth) = 1.29401
        assert!((factors[1] - 1.294_01).abs() < 1e-4, "{factors:?}");
        assert_eq!(metadata(&config).value("llama.rope.scaling.type"), None);
    }

    #[test]
    fn yarn_says_only_what_llama_cpp_would_not_do_by_itself() {
        let attention = |scaling: Value| {
            let metadata = metadata(&config(scaling));
            assert_eq!(
                metadata
                    .get(&llm::ROPE_SCALING_ORIGINAL_CONTEXT_LENGTH.of("llama"))
                    .unwrap(),
                Some(16)
            );
            metadata
                .get(&llm::ROPE_SCALING_ATTN_FACTOR.of("llama"))
                .unwrap()
        };
        let plain =
            json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16});
        assert_eq!(attention(plain.clone()), None);
        let mut explicit = plain;
        explicit["attention_factor"] = json!(1.3);
        // 1.3 / (0.1 · ln 4 + 1)
        assert!((attention(explicit).unwrap() - 1.141_72).abs() < 1e-4);
    }

    #[test]
    fn other_factors_rotate_otherwise() {
        let of = |factor: f64| config(json!({"rope_type": "linear", "factor": factor}));
        assert!(rotates_alike(&of(2.0), &of(2.0)));
        assert!(!rotates_alike(&of(2.0), &of(4.0)));
        assert!(!rotates_alike(&of(2.0), &config(Value::Null)));
    }
}
