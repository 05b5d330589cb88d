//! The names of the metadata keys, with what they hold.
//!
//! Names and types are those of gguf.md and, where that is silent or writes 64 bits, of gguf-py's `constants.py` and
//! `gguf_writer.py`: every count that llama.cpp reads is `uint32`.
//!
//! Keys of one architecture (`llama.block_count`, `qwen2.block_count`, `qwen3.block_count`) share their last part: see [`llm`].

use std::borrow::Cow;
use std::marker::PhantomData;

/// A metadata key that holds a `T`.
#[derive(Clone, Debug)]
pub struct Key<T> {
    name: Cow<'static, str>,
    holds: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    const fn new(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            holds: PhantomData,
        }
    }

    /// The key as it stands in the file.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A metadata key that holds a `T` and whose first part is the architecture.
#[derive(Clone, Copy, Debug)]
pub struct ArchitectureKey<T> {
    name: &'static str,
    holds: PhantomData<fn() -> T>,
}

impl<T> ArchitectureKey<T> {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            holds: PhantomData,
        }
    }

    /// The key of one architecture: `BLOCK_COUNT.of("llama")` is `llama.block_count`.
    pub fn of(&self, architecture: &str) -> Key<T> {
        Key {
            name: Cow::Owned(format!("{architecture}.{}", self.name)),
            holds: PhantomData,
        }
    }
}

/// Values of [`general::ARCHITECTURE`], which is also the first part of the [`llm`] keys.
pub mod architecture {
    /// Llama, and what has its layout (SmolLM2, Mistral without a sliding window). Query and key rows are permuted.
    pub const LLAMA: &str = "llama";
    /// Qwen2 and Qwen2.5.
    pub const QWEN2: &str = "qwen2";
    /// Qwen3, dense.
    pub const QWEN3: &str = "qwen3";
    /// Gemma 1.
    pub const GEMMA: &str = "gemma";
    /// Gemma 2.
    pub const GEMMA2: &str = "gemma2";
    /// Gemma 3, the text model.
    pub const GEMMA3: &str = "gemma3";
    /// Phi-3 and Phi-4-mini.
    pub const PHI3: &str = "phi3";
    /// SmolLM3. Query and key rows are permuted.
    pub const SMOLLM3: &str = "smollm3";
    /// Granite, dense. Query and key rows are permuted.
    pub const GRANITE: &str = "granite";
    /// OLMo 2.
    pub const OLMO2: &str = "olmo2";
    /// GPT-NeoX and Pythia.
    pub const GPTNEOX: &str = "gptneox";
    /// GPT-2.
    pub const GPT2: &str = "gpt2";
}

/// `general.*`: what the file is and where it comes from.
pub mod general {
    use super::Key;

    /// Which decoder this is; required. See [`architecture`](super::architecture).
    pub const ARCHITECTURE: Key<String> = Key::new("general.architecture");
    /// What the file is: `model`, `adapter` or `imatrix`.
    pub const TYPE: Key<String> = Key::new("general.type");
    /// Version of the block layouts, [`QUANTIZATION_VERSION_NOW`]; required where any tensor is quantized.
    pub const QUANTIZATION_VERSION: Key<u32> = Key::new("general.quantization_version");
    /// `GGML_QNT_VERSION` in ggml.h: the version of the block layouts that this crate writes.
    pub const QUANTIZATION_VERSION_NOW: u32 = 2;
    /// What every tensor's place is a multiple of; 32 where missing.
    pub const ALIGNMENT: Key<u32> = Key::new("general.alignment");
    /// What most tensors are stored as, the number of a [`FileType`](crate::FileType).
    pub const FILE_TYPE: Key<u32> = Key::new("general.file_type");

    /// Name for people to read.
    pub const NAME: Key<String> = Key::new("general.name");
    /// Who made the model.
    pub const AUTHOR: Key<String> = Key::new("general.author");
    /// Version of the model, such as `v1.0`.
    pub const VERSION: Key<String> = Key::new("general.version");
    /// Organization behind the model.
    pub const ORGANIZATION: Key<String> = Key::new("general.organization");
    /// Name of the base model or its architecture.
    pub const BASENAME: Key<String> = Key::new("general.basename");
    /// What the base was optimized toward.
    pub const FINETUNE: Key<String> = Key::new("general.finetune");
    /// Free text.
    pub const DESCRIPTION: Key<String> = Key::new("general.description");
    /// Who quantized the model.
    pub const QUANTIZED_BY: Key<String> = Key::new("general.quantized_by");
    /// Size class, such as `135M`.
    pub const SIZE_LABEL: Key<String> = Key::new("general.size_label");
    /// SPDX license expression.
    pub const LICENSE: Key<String> = Key::new("general.license");
    /// License name for people to read.
    pub const LICENSE_NAME: Key<String> = Key::new("general.license.name");
    /// URL of the license.
    pub const LICENSE_LINK: Key<String> = Key::new("general.license.link");
    /// URL of the model's homepage.
    pub const URL: Key<String> = Key::new("general.url");
    /// URL of the model's repository.
    pub const REPO_URL: Key<String> = Key::new("general.repo_url");
    /// URL of the homepage of what this was converted from.
    pub const SOURCE_URL: Key<String> = Key::new("general.source.url");
    /// URL of the repository of what this was converted from.
    pub const SOURCE_REPO_URL: Key<String> = Key::new("general.source.repo_url");
    /// How many models this one descends from.
    pub const BASE_MODEL_COUNT: Key<u32> = Key::new("general.base_model.count");
    /// Search terms.
    pub const TAGS: Key<Vec<String>> = Key::new("general.tags");
    /// ISO 639 two-letter codes.
    pub const LANGUAGES: Key<Vec<String>> = Key::new("general.languages");
    /// What the model was trained on.
    pub const DATASETS: Key<Vec<String>> = Key::new("general.datasets");

    /// A property (`name`, `author`, `version`, `organization`, `url`, `doi`, `uuid`, `repo_url`) of the model's `index`th parent.
    pub fn base_model(index: u32, property: &str) -> Key<String> {
        Key {
            name: format!("general.base_model.{index}.{property}").into(),
            holds: std::marker::PhantomData,
        }
    }
}

/// `llama.*`, `qwen2.*`, `qwen3.*`: the decoder's dimensions. `config.json` names are those of Hugging Face.
pub mod llm {
    use super::ArchitectureKey;

    /// Rows of the token embedding; `vocab_size`.
    pub const VOCAB_SIZE: ArchitectureKey<u32> = ArchitectureKey::new("vocab_size");
    /// Tokens the model was trained to see at once; `max_position_embeddings`.
    pub const CONTEXT_LENGTH: ArchitectureKey<u32> = ArchitectureKey::new("context_length");
    /// `hidden_size`.
    pub const EMBEDDING_LENGTH: ArchitectureKey<u32> = ArchitectureKey::new("embedding_length");
    /// `num_hidden_layers`.
    pub const BLOCK_COUNT: ArchitectureKey<u32> = ArchitectureKey::new("block_count");
    /// `intermediate_size`.
    pub const FEED_FORWARD_LENGTH: ArchitectureKey<u32> =
        ArchitectureKey::new("feed_forward_length");
    /// Whether both halves of a layer read the same stream.
    pub const USE_PARALLEL_RESIDUAL: ArchitectureKey<bool> =
        ArchitectureKey::new("use_parallel_residual");
    /// What logits are divided by; Granite's `logits_scaling`.
    pub const LOGIT_SCALE: ArchitectureKey<f32> = ArchitectureKey::new("logit_scale");
    /// What embeddings are multiplied by; Granite's `embedding_multiplier`.
    pub const EMBEDDING_SCALE: ArchitectureKey<f32> = ArchitectureKey::new("embedding_scale");
    /// What each half is multiplied by; Granite's `residual_multiplier`.
    pub const RESIDUAL_SCALE: ArchitectureKey<f32> = ArchitectureKey::new("residual_scale");
    /// The bound of the scores; 50 where missing.
    pub const ATTN_LOGIT_SOFTCAPPING: ArchitectureKey<f32> =
        ArchitectureKey::new("attn_logit_softcapping");
    /// The bound of the logits; 30 where missing from a Gemma 2, none where missing from a Gemma 3.
    pub const FINAL_LOGIT_SOFTCAPPING: ArchitectureKey<f32> =
        ArchitectureKey::new("final_logit_softcapping");
    /// How rows were reordered in conversion, where they were.
    pub const TENSOR_DATA_LAYOUT: ArchitectureKey<String> =
        ArchitectureKey::new("tensor_data_layout");

    /// `num_attention_heads`.
    pub const HEAD_COUNT: ArchitectureKey<u32> = ArchitectureKey::new("attention.head_count");
    /// `num_key_value_heads`; the number of heads where missing.
    pub const HEAD_COUNT_KV: ArchitectureKey<u32> = ArchitectureKey::new("attention.head_count_kv");
    /// `rms_norm_eps`.
    pub const LAYER_NORM_RMS_EPSILON: ArchitectureKey<f32> =
        ArchitectureKey::new("attention.layer_norm_rms_epsilon");
    /// `layer_norm_eps` or `layer_norm_epsilon`, of norms by mean and variance.
    pub const LAYER_NORM_EPSILON: ArchitectureKey<f32> =
        ArchitectureKey::new("attention.layer_norm_epsilon");
    /// What scores are multiplied by; Granite's `attention_multiplier`.
    pub const ATTENTION_SCALE: ArchitectureKey<f32> = ArchitectureKey::new("attention.scale");
    /// Channels of a key head; `head_dim`; `hidden_size / num_attention_heads` where missing.
    pub const KEY_LENGTH: ArchitectureKey<u32> = ArchitectureKey::new("attention.key_length");
    /// Channels of a value head; as [`KEY_LENGTH`].
    pub const VALUE_LENGTH: ArchitectureKey<u32> = ArchitectureKey::new("attention.value_length");
    /// Keys that a query sees; `sliding_window`.
    pub const SLIDING_WINDOW: ArchitectureKey<u32> =
        ArchitectureKey::new("attention.sliding_window");
    /// For each layer, whether it sees the window only; where missing, each architecture has its own.
    pub const SLIDING_WINDOW_PATTERN: ArchitectureKey<Vec<bool>> =
        ArchitectureKey::new("attention.sliding_window_pattern");

    /// Channels of a head that are rotated.
    pub const ROPE_DIMENSION_COUNT: ArchitectureKey<u32> =
        ArchitectureKey::new("rope.dimension_count");
    /// `rope_theta`; 10000 where missing.
    pub const ROPE_FREQ_BASE: ArchitectureKey<f32> = ArchitectureKey::new("rope.freq_base");
    /// The base in layers that see a window only; Gemma 3's `rope_local_base_freq`; 10000 where missing.
    pub const ROPE_FREQ_BASE_SWA: ArchitectureKey<f32> = ArchitectureKey::new("rope.freq_base_swa");
    /// `none`, `linear`, `yarn` or `longrope`. Llama 3's scaling is a tensor instead, `rope_freqs.weight`.
    pub const ROPE_SCALING_TYPE: ArchitectureKey<String> =
        ArchitectureKey::new("rope.scaling.type");
    /// How far the context was stretched.
    pub const ROPE_SCALING_FACTOR: ArchitectureKey<f32> =
        ArchitectureKey::new("rope.scaling.factor");
    /// What cosines and sines are multiplied by, beside what yarn multiplies them by anyway; 1 where missing.
    pub const ROPE_SCALING_ATTN_FACTOR: ArchitectureKey<f32> =
        ArchitectureKey::new("rope.scaling.attn_factor");
    /// `attention_factor` of yarn, as llama.cpp's converter writes it; llama.cpp does not read it for these architectures.
    pub const ROPE_SCALING_YARN_ATTN_FACTOR: ArchitectureKey<f32> =
        ArchitectureKey::new("rope.scaling.yarn_attn_factor");
    /// `beta_fast` of yarn, likewise.
    pub const ROPE_SCALING_YARN_BETA_FAST: ArchitectureKey<f32> =
        ArchitectureKey::new("rope.scaling.yarn_beta_fast");
    /// `beta_slow` of yarn, likewise.
    pub const ROPE_SCALING_YARN_BETA_SLOW: ArchitectureKey<f32> =
        ArchitectureKey::new("rope.scaling.yarn_beta_slow");
    /// Context length before it was stretched.
    pub const ROPE_SCALING_ORIGINAL_CONTEXT_LENGTH: ArchitectureKey<u32> =
        ArchitectureKey::new("rope.scaling.original_context_length");
    /// Whether the model was trained with the scaling.
    pub const ROPE_SCALING_FINETUNED: ArchitectureKey<bool> =
        ArchitectureKey::new("rope.scaling.finetuned");
}

/// `tokenizer.*`: the vocabulary and what is done with it.
pub mod tokenizer {
    use super::Key;

    /// The algorithm: `gpt2` for byte-level BPE, `llama` for SentencePiece.
    pub const MODEL: Key<String> = Key::new("tokenizer.ggml.model");
    /// Which expression splits text before BPE: `default`, `llama-bpe`, `qwen2`, `smollm`, ...
    pub const PRE: Key<String> = Key::new("tokenizer.ggml.pre");
    /// Tokens by id, as many as the embedding has rows.
    pub const TOKENS: Key<Vec<String>> = Key::new("tokenizer.ggml.tokens");
    /// Score by id, for SentencePiece.
    pub const SCORES: Key<Vec<f32>> = Key::new("tokenizer.ggml.scores");
    /// Type by id, a number of [`token_type`](super::token_type).
    pub const TOKEN_TYPE: Key<Vec<i32>> = Key::new("tokenizer.ggml.token_type");
    /// BPE merges in their order, both parts joined by a space.
    pub const MERGES: Key<Vec<String>> = Key::new("tokenizer.ggml.merges");

    /// Beginning of sequence.
    pub const BOS_TOKEN_ID: Key<u32> = Key::new("tokenizer.ggml.bos_token_id");
    /// End of sequence.
    pub const EOS_TOKEN_ID: Key<u32> = Key::new("tokenizer.ggml.eos_token_id");
    /// End of a turn, where it is not the end of sequence.
    pub const EOT_TOKEN_ID: Key<u32> = Key::new("tokenizer.ggml.eot_token_id");
    /// Unknown token.
    pub const UNKNOWN_TOKEN_ID: Key<u32> = Key::new("tokenizer.ggml.unknown_token_id");
    /// Separator. llama.cpp reads this spelling; gguf.md's `separator` it does not.
    pub const SEPARATOR_TOKEN_ID: Key<u32> = Key::new("tokenizer.ggml.seperator_token_id");
    /// Padding.
    pub const PADDING_TOKEN_ID: Key<u32> = Key::new("tokenizer.ggml.padding_token_id");
    /// Mask.
    pub const MASK_TOKEN_ID: Key<u32> = Key::new("tokenizer.ggml.mask_token_id");
    /// Whether text gets a beginning of sequence in front.
    pub const ADD_BOS_TOKEN: Key<bool> = Key::new("tokenizer.ggml.add_bos_token");
    /// Whether text gets an end of sequence behind.
    pub const ADD_EOS_TOKEN: Key<bool> = Key::new("tokenizer.ggml.add_eos_token");
    /// Whether text gets a space in front, for SentencePiece.
    pub const ADD_SPACE_PREFIX: Key<bool> = Key::new("tokenizer.ggml.add_space_prefix");

    /// The whole `tokenizer.json`.
    pub const HUGGINGFACE_JSON: Key<String> = Key::new("tokenizer.huggingface.json");
    /// The chat template, in Jinja.
    pub const CHAT_TEMPLATE: Key<String> = Key::new("tokenizer.chat_template");
}

/// `adapter.*`: what a file that is no model adds to one.
pub mod adapter {
    use super::Key;

    /// The value of [`general::TYPE`](super::general::TYPE).
    pub const GENERAL_TYPE: &str = "adapter";
    /// How it is added: [`LORA`].
    pub const TYPE: Key<String> = Key::new("adapter.type");
    /// The value of [`TYPE`] for a product of two matrices.
    pub const LORA: &str = "lora";
    /// The product is multiplied by this, divided by its rank.
    pub const LORA_ALPHA: Key<f32> = Key::new("adapter.lora.alpha");
}

/// `imatrix.*`: what an importance matrix was collected on; `LLM_KV_IMATRIX_*` in llama.cpp.
pub mod imatrix {
    use super::Key;

    /// The value of [`general::TYPE`](super::general::TYPE).
    pub const TYPE: &str = "imatrix";
    /// The files of text.
    pub const DATASETS: Key<Vec<String>> = Key::new("imatrix.datasets");
    /// How many pieces of text were seen.
    pub const CHUNK_COUNT: Key<u32> = Key::new("imatrix.chunk_count");
    /// How many tokens each has.
    pub const CHUNK_SIZE: Key<u32> = Key::new("imatrix.chunk_size");
}

/// `quantize.imatrix.*`: the importance matrix that a model was quantized with; `LLM_KV_QUANTIZE_IMATRIX_*` in llama.cpp's
/// `llama-quantize`.
pub mod quantize {
    use super::Key;

    /// Where it was read from.
    pub const IMATRIX_FILE: Key<String> = Key::new("quantize.imatrix.file");
    /// The first text that it was collected on.
    pub const IMATRIX_DATASET: Key<String> = Key::new("quantize.imatrix.dataset");
    /// How many tensors it is about.
    pub const IMATRIX_ENTRIES: Key<u32> = Key::new("quantize.imatrix.entries_count");
    /// How many pieces of text were seen.
    pub const IMATRIX_CHUNKS: Key<u32> = Key::new("quantize.imatrix.chunks_count");
}

/// Elements of [`tokenizer::TOKEN_TYPE`].
pub mod token_type {
    /// A piece of text.
    pub const NORMAL: i32 = 1;
    /// The unknown token.
    pub const UNKNOWN: i32 = 2;
    /// Not text: markers of sequences and turns.
    pub const CONTROL: i32 = 3;
    /// Text that was added to the vocabulary and is never split.
    pub const USER_DEFINED: i32 = 4;
    /// An id without a token.
    pub const UNUSED: i32 = 5;
    /// One byte, for SentencePiece: `<0x0A>`.
    pub const BYTE: i32 = 6;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_comes_first() {
        assert_eq!(
            llm::HEAD_COUNT_KV.of(architecture::QWEN3).name(),
            "qwen3.attention.head_count_kv"
        );
        assert_eq!(
            general::base_model(0, "name").name(),
            "general.base_model.0.name"
        );
    }
}
