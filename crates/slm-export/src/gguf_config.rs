//! The config that a GGUF file describes, in the terms of `config.json`.
//!
//! What a file does not say is what llama.cpp takes then: `load_hparams` and `load_arch_hparams` in its `src/`.

use std::path::Path;

use serde_json::{Value, json};
use slm_gguf::keys::{ArchitectureKey, architecture, general, llm};
use slm_gguf::{GgufError, Metadata, Reader};
use slm_model::DecoderConfig;

use crate::ExportError;
use crate::architecture::ARCHITECTURES;
use crate::gguf_built_in::{NO_ROPE_INTERVAL, built_in_windows, scale_scalar};
use crate::gguf_rope::rope_scaling;

/// The config of the model in an open file, from its own metadata and tensors; `path` is named in errors.
///
/// # Errors
/// [`ExportError::UnknownArchitecture`] with the architectures that are known, [`ExportError::Gguf`] where a key is missing or
/// of another type, [`ExportError::Model`] where the keys describe no decoder.
pub fn gguf_config(reader: &Reader, path: &Path) -> Result<DecoderConfig, ExportError> {
    let found = reader.metadata().require(&general::ARCHITECTURE)?;
    let known = ARCHITECTURES.into_iter().find(|(name, _)| *name == found);
    let (architecture, model_type) = known.ok_or_else(|| ExportError::UnknownArchitecture {
        path: path.into(),
        found,
        known: ARCHITECTURES.map(|(name, _)| name).join(", "),
    })?;
    let file = File {
        reader,
        metadata: reader.metadata(),
        architecture,
    };
    let mut raw = match architecture {
        architecture::GPT2 => file.gpt2()?,
        architecture::GPTNEOX => file.gpt_neox()?,
        _ => file.llama_like()?,
    };
    raw["model_type"] = model_type.into();
    Ok(DecoderConfig::from_json(raw, path)?)
}

struct File<'a> {
    reader: &'a Reader,
    metadata: &'a Metadata,
    architecture: &'static str,
}

/// The dimensions that every architecture has.
struct Dimensions {
    vocab_size: u64,
    hidden_size: u32,
    intermediate_size: u32,
    n_layers: u32,
    n_heads: u32,
    n_kv_heads: u32,
    head_dim: u32,
    context: u32,
}

impl File<'_> {
    fn has(&self, tensor: &str) -> bool {
        self.reader.tensor(tensor).is_ok()
    }

    fn count(&self, key: ArchitectureKey<u32>) -> Result<u32, GgufError> {
        self.metadata.require(&key.of(self.architecture))
    }

    fn number(&self, key: ArchitectureKey<f32>) -> Result<Option<f32>, GgufError> {
        self.metadata.get(&key.of(self.architecture))
    }

    fn dimensions(&self) -> Result<Dimensions, GgufError> {
        let optional = |key: ArchitectureKey<u32>| self.metadata.get(&key.of(self.architecture));
        let embedding = self.reader.tensor("token_embd.weight")?.shape();
        let hidden_size = self.count(llm::EMBEDDING_LENGTH)?;
        let n_heads = self.count(llm::HEAD_COUNT)?;
        Ok(Dimensions {
            vocab_size: embedding.first().copied().unwrap_or(0),
            hidden_size,
            intermediate_size: self.count(llm::FEED_FORWARD_LENGTH)?,
            n_layers: self.count(llm::BLOCK_COUNT)?,
            n_heads,
            n_kv_heads: optional(llm::HEAD_COUNT_KV)?.unwrap_or(n_heads),
            head_dim: optional(llm::KEY_LENGTH)?.unwrap_or(hidden_size / n_heads.max(1)),
            context: self.count(llm::CONTEXT_LENGTH)?,
        })
    }

    fn gpt2(&self) -> Result<Value, ExportError> {
        let dimensions = self.dimensions()?;
        Ok(json!({
            "vocab_size": dimensions.vocab_size,
            "n_embd": dimensions.hidden_size,
            "n_inner": dimensions.intermediate_size,
            "n_layer": dimensions.n_layers,
            "n_head": dimensions.n_heads,
            "n_positions": dimensions.context,
            "layer_norm_epsilon": self.metadata.require(&llm::LAYER_NORM_EPSILON.of(self.architecture))?,
            "tie_word_embeddings": !self.has("output.weight"),
        }))
    }

    /// What most families call alike, rotary encoding included.
    fn shape(&self, dimensions: &Dimensions) -> Result<Value, ExportError> {
        let mut raw = self.rotary(dimensions)?;
        extend(
            &mut raw,
            json!({
                "vocab_size": dimensions.vocab_size,
                "hidden_size": dimensions.hidden_size,
                "intermediate_size": dimensions.intermediate_size,
                "num_hidden_layers": dimensions.n_layers,
                "num_attention_heads": dimensions.n_heads,
                "max_position_embeddings": dimensions.context,
                "tie_word_embeddings": !self.has("output.weight"),
            }),
        );
        Ok(raw)
    }

    fn gpt_neox(&self) -> Result<Value, ExportError> {
        let dimensions = self.dimensions()?;
        let is_parallel = llm::USE_PARALLEL_RESIDUAL.of(self.architecture);
        let mut raw = self.shape(&dimensions)?;
        extend(
            &mut raw,
            json!({
                "layer_norm_eps": self.metadata.require(&llm::LAYER_NORM_EPSILON.of(self.architecture))?,
                "use_parallel_residual": self.metadata.require(&is_parallel)?,
            }),
        );
        Ok(raw)
    }

    fn llama_like(&self) -> Result<Value, ExportError> {
        let dimensions = self.dimensions()?;
        let mut raw = self.shape(&dimensions)?;
        // Qwen2 has biases on q, k and v whatever this says.
        let attention_bias = match self.architecture {
            architecture::QWEN2 => self.has("blk.0.attn_output.bias"),
            _ => self.has("blk.0.attn_q.bias") || self.has("blk.0.attn_qkv.bias"),
        };
        extend(
            &mut raw,
            json!({
                "num_key_value_heads": dimensions.n_kv_heads,
                "head_dim": dimensions.head_dim,
                "rms_norm_eps": self.metadata.require(&llm::LAYER_NORM_RMS_EPSILON.of(self.architecture))?,
                "attention_bias": attention_bias,
                "mlp_bias": self.has("blk.0.ffn_up.bias"),
            }),
        );
        let own = match self.architecture {
            architecture::GEMMA2 | architecture::GEMMA3 => self.gemma(&dimensions)?,
            architecture::GRANITE => self.granite(&dimensions)?,
            architecture::SMOLLM3 => json!({"no_rope_layer_interval": NO_ROPE_INTERVAL}),
            _ => Value::Null,
        };
        extend(&mut raw, own);
        Ok(raw)
    }

    fn rotary(&self, dimensions: &Dimensions) -> Result<Value, ExportError> {
        let rotated = self
            .metadata
            .get(&llm::ROPE_DIMENSION_COUNT.of(self.architecture))?;
        let mut raw = json!({
            "rope_theta": self.number(llm::ROPE_FREQ_BASE)?.unwrap_or(10_000.0),
            "rope_scaling": rope_scaling(self.reader, self.architecture)?,
        });
        if let Some(rotated) = rotated.filter(|&rotated| rotated != dimensions.head_dim) {
            // Half a channel more, so that the product with `head_dim` is never rounded below the number.
            let share = (f64::from(rotated) + 0.5) / f64::from(dimensions.head_dim);
            raw["partial_rotary_factor"] = share.into();
        }
        Ok(raw)
    }

    /// Windows, caps and scale of Gemma 2 and 3.
    fn gemma(&self, dimensions: &Dimensions) -> Result<Value, ExportError> {
        let is_second = self.architecture == architecture::GEMMA2;
        let window = self
            .metadata
            .get(&llm::SLIDING_WINDOW.of(self.architecture))?;
        let window = window.or(is_second.then_some(4096)).filter(|&n| n > 0);
        let pattern = self
            .metadata
            .get(&llm::SLIDING_WINDOW_PATTERN.of(self.architecture))?;
        let n_layers = dimensions.n_layers as usize;
        let windowed = match window {
            Some(_) => pattern.unwrap_or_else(|| built_in_windows(self.architecture, n_layers)),
            None => vec![false; n_layers],
        };
        let kind = |windowed: &bool| match windowed {
            true => "sliding_attention",
            false => "full_attention",
        };
        let [hidden_size, n_heads, head_dim] = [
            dimensions.hidden_size,
            dimensions.n_heads,
            dimensions.head_dim,
        ]
        .map(|n| n as usize);
        let scalar = scale_scalar(
            self.architecture,
            n_layers,
            [hidden_size, n_heads.max(1)],
            head_dim,
        );
        let cap = |key, built_in: f32| -> Result<Option<f32>, GgufError> {
            Ok(self.number(key)?.or(is_second.then_some(built_in)))
        };
        let mut raw = json!({
            "sliding_window": window,
            "layer_types": windowed.iter().map(kind).collect::<Vec<_>>(),
            "query_pre_attn_scalar": scalar,
            "final_logit_softcapping": cap(llm::FINAL_LOGIT_SOFTCAPPING, 30.0)?,
        });
        if is_second {
            raw["attn_logit_softcapping"] = cap(llm::ATTN_LOGIT_SOFTCAPPING, 50.0)?.into();
        } else {
            let base = self.number(llm::ROPE_FREQ_BASE_SWA)?;
            raw["rope_local_base_freq"] = base.unwrap_or(10_000.0).into();
        }
        Ok(raw)
    }

    /// The multipliers; a zero means that there is none.
    fn granite(&self, dimensions: &Dimensions) -> Result<Value, ExportError> {
        let number = |key| -> Result<Option<f64>, GgufError> {
            Ok(self
                .number(key)?
                .map(f64::from)
                .filter(|&scale| scale != 0.0))
        };
        let by_width = f64::from(dimensions.head_dim).powf(-0.5);
        Ok(json!({
            "attention_multiplier": number(llm::ATTENTION_SCALE)?.unwrap_or(by_width),
            "embedding_multiplier": number(llm::EMBEDDING_SCALE)?,
            "residual_multiplier": number(llm::RESIDUAL_SCALE)?,
            "logits_scaling": self.metadata.require(&llm::LOGIT_SCALE.of(self.architecture))?,
        }))
    }
}

fn extend(raw: &mut Value, more: Value) {
    if let (Value::Object(all), Value::Object(more)) = (raw, more) {
        all.extend(more);
    }
}
