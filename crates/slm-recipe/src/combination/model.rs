//! What a pretrained model and a new one need, and what neither has use for.

use super::Combinations;
use crate::{Dtype, Init, InitLora, Method, Quantization, Recipe};

impl Combinations<'_> {
    pub(super) fn start(&mut self) {
        let Recipe {
            model,
            tokenizer,
            train,
            ..
        } = self.recipe;
        let has_base = !model.base_model.is_empty();
        match model.init {
            Init::Pretrained => {
                if !has_base {
                    self.missing(
                        "model.base_model",
                        "model.init",
                        "a folder in Hugging Face format, or a hub name",
                    );
                }
                if model.config.is_some() {
                    let reason = "`model.config` is the shape of a new model; it needs `model.init = \"scratch\"`";
                    self.conflict(&["model.config", "model.init"], reason);
                }
                if tokenizer.is_some() {
                    let reason =
                        "`tokenizer` trains a new tokenizer; it needs `model.init = \"scratch\"`";
                    self.conflict(&["tokenizer", "model.init"], reason);
                }
            }
            Init::Scratch => {
                if model.config.is_none() {
                    self.missing(
                        "model.config",
                        "model.init",
                        "`model.init = \"scratch\"` needs the shape of the model",
                    );
                }
                if train.method == Method::Lora {
                    let reason = "random weights are no base for an adapter: \
                                  `model.init = \"scratch\"` needs `train.method = \"full\"`";
                    self.conflict(&["model.init", "train.method"], reason);
                }
                if tokenizer.is_some() == has_base {
                    let reason = "`model.init = \"scratch\"` needs one tokenizer: \
                                  a new one by `[tokenizer]`, or that of `model.base_model`";
                    self.conflict(&["tokenizer", "model.init", "model.base_model"], reason);
                }
            }
        }
        if model.revision.is_some() && !has_base {
            self.conflict(
                &["model.revision", "model.base_model"],
                "`model.revision` needs a `model.base_model`",
            );
        }
    }

    pub(super) fn precision(&mut self) {
        let model = &self.recipe.model;
        if model.tf32 && model.dtype != Dtype::F32 {
            let reason = "`model.tf32` is about products of f32: it needs `model.dtype = \"f32\"`";
            self.conflict(&["model.tf32", "model.dtype"], reason);
        }
    }

    pub(super) fn quantization(&mut self) {
        let Recipe {
            model, lora, train, ..
        } = self.recipe;
        if model.quantization != Quantization::Nf4 && !model.double_quant {
            let reason =
                "`model.double_quant` is about the scales of `model.quantization = \"nf4\"`";
            self.conflict(&["model.double_quant", "model.quantization"], reason);
        }
        if model.quantization != Quantization::Int8 && !model.int8_activations {
            let reason =
                "`model.int8_activations` is about products with `model.quantization = \"int8\"`";
            self.conflict(&["model.int8_activations", "model.quantization"], reason);
        }
        if model.quantization == Quantization::None {
            return;
        }
        if train.method != Method::Lora {
            let reason =
                "`model.quantization` freezes the base: it needs `train.method = \"lora\"`";
            self.conflict(&["model.quantization", "train.method"], reason);
        } else if lora.init_lora_weights == InitLora::Pissa {
            let reason = "`lora.init_lora_weights = \"pissa\"` starts from parts of the base's weights: \
                          it needs `model.quantization = \"none\"`";
            self.conflict(&["model.quantization", "lora.init_lora_weights"], reason);
        }
    }

    pub(super) fn scratch_config(&mut self) {
        let Some(config) = &self.recipe.model.config else {
            return;
        };
        let (hidden, heads, kv_heads) = (
            config.hidden_size,
            config.num_attention_heads,
            config.num_key_value_heads,
        );
        let all = ["hidden_size", "num_attention_heads", "num_key_value_heads"]
            .map(|key| format!("model.config.{key}"));
        let [hidden_key, heads_key, kv_key] = all.each_ref().map(String::as_str);
        if heads > 0 && !hidden.is_multiple_of(2 * heads) {
            let reason = format!(
                "`{hidden_key}` is {hidden}, needs a multiple of {}: every one of {heads} heads has an even size",
                2 * heads
            );
            self.conflict(&[hidden_key, heads_key], reason);
        }
        if kv_heads > 0 && !heads.is_multiple_of(kv_heads) {
            let reason = format!(
                "`{kv_key}` is {kv_heads}, needs a divisor of `{heads_key}`, which is {heads}"
            );
            self.conflict(&[kv_key, heads_key], reason);
        }
        let (longest, positions) = (self.recipe.model.max_length, config.max_position_embeddings);
        if longest > positions {
            let reason = format!(
                "`model.max_length` is {longest}, more than `model.config.max_position_embeddings`, which is {positions}"
            );
            self.conflict(
                &["model.max_length", "model.config.max_position_embeddings"],
                reason,
            );
        }
    }
}
