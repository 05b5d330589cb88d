//! Artifacts that cannot be made, or that keys have no effect on.

use std::collections::BTreeSet;

use slm_gguf::{GgufError, TypeRule};

use super::Combinations;
use crate::{Method, RecipeError};

impl Combinations<'_> {
    pub(super) fn export(&mut self) {
        let export = &self.recipe.export;
        if export.peft_adapter && self.recipe.train.method == Method::Full {
            let reason =
                "`export.peft_adapter` needs an adapter, and `train.method = \"full\"` makes none";
            self.conflict(&["export.peft_adapter", "train.method"], reason);
        }
        let gguf: Vec<_> = export.gguf.iter().map(|it| it.name()).collect();
        let schemes = export.compressed_tensors.iter().map(|it| it.name());
        let lists = [
            ("export.gguf", gguf),
            ("export.compressed_tensors", schemes.collect()),
        ];
        for (key, names) in lists {
            let mut seen = BTreeSet::new();
            if let Some(twice) = names.iter().find(|name| !seen.insert(**name)) {
                self.conflict(&[key], format!("`{key}` has `{twice}` twice"));
            }
        }
        self.type_rules();
        let is_read = export.is_quantized();
        let unread = [
            ("export.tensor_types", !export.tensor_types.is_empty()),
            ("export.imatrix", export.imatrix.is_some()),
        ];
        for (key, _) in unread.into_iter().filter(|(_, is_set)| *is_set && !is_read) {
            let reason = format!("`{key}` is for quantized files, and `export.gguf` has none");
            self.conflict(&[key, "export.gguf"], reason);
        }
    }

    /// What llama.cpp has no place for beside a base is told before hours of training.
    pub(super) fn gguf_adapter(&mut self) {
        if !self.recipe.export.gguf_adapter {
            return;
        }
        if self.recipe.train.method == Method::Full {
            let reason =
                "`export.gguf_adapter` needs an adapter, and `train.method = \"full\"` makes none";
            self.conflict(&["export.gguf_adapter", "train.method"], reason);
            return;
        }
        let lora = &self.recipe.lora;
        let others = [
            ("lora.use_dora", lora.use_dora),
            ("lora.modules_to_save", !lora.modules_to_save.is_empty()),
        ];
        for (key, _) in others.into_iter().filter(|(_, is_set)| *is_set) {
            let reason = format!("`export.gguf_adapter` has no place for what `{key}` trains");
            self.conflict(&["export.gguf_adapter", key], reason);
        }
    }

    fn type_rules(&mut self) {
        for (index, rule) in self.recipe.export.tensor_types.iter().enumerate() {
            let Err(error) = rule.parse::<TypeRule>() else {
                continue;
            };
            let reason = match error {
                GgufError::TypeRule { found, .. } => found,
                other => other.to_string(),
            };
            let (key, rule) = (format!("export.tensor_types.{index}"), rule.clone());
            let error = RecipeError::TypeRule {
                key: key.clone(),
                rule,
                reason,
            };
            self.error(&[&key], error);
        }
    }
}
