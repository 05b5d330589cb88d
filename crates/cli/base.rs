//! What a recipe starts from: a base, or random weights; its own tokenizer, or one that is trained.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use slm_dist::Launch;
use slm_model::{Decoder, DecoderConfig, LoraSpec, device, locate, quant_scheme};
use slm_recipe::{Init, Method, Recipe};
use slm_run::{AtomicDir, sha256_bytes, sha256_file, sha256_json};
use slm_text::{ChatTokenizer, train_bpe};

use crate::guarded::guarded;

/// The base of a recipe.
pub(crate) struct Base {
    /// Its folder; none for random weights with a tokenizer of their own.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) tokenizer: ChatTokenizer,
}

impl Base {
    /// Finds the base; a tokenizer that the recipe trains is written into the folder `trained`, or read from it.
    pub(crate) fn open(recipe: &Recipe, offline: bool, trained: &Path) -> Result<Self> {
        let model = &recipe.model;
        let folder = match model.base_model.as_str() {
            "" => None,
            name => Some(locate(name, model.revision.as_deref(), offline)?),
        };
        if folder.is_none() && !trained.exists() {
            train_tokenizer(recipe, trained)?;
        }
        let tokenizer =
            ChatTokenizer::load(folder.as_deref().unwrap_or(trained), &model.chat_template)
                .with_context(|| {
                    format!(
                        "failed to load the tokenizer of `{}`",
                        recipe.model.base_model
                    )
                })?;
        let base = Self { folder, tokenizer };
        base.tokenizer.check_fits(base.config(recipe)?.vocab_size)?;
        Ok(base)
    }

    /// The shape of the student.
    pub(crate) fn config(&self, recipe: &Recipe) -> Result<DecoderConfig> {
        match (&recipe.model.config, &self.folder) {
            (Some(shape), _) => {
                let special = json!({
                    "bos_token_id": self.tokenizer.bos_id(),
                    "eos_token_id": self.tokenizer.eos_id(),
                    "pad_token_id": self.tokenizer.pad_id(),
                });
                Ok(DecoderConfig::scratch(
                    shape,
                    self.tokenizer.vocab_size(),
                    &special,
                )?)
            }
            (None, Some(folder)) => Ok(DecoderConfig::read(folder)?),
            (None, None) => unreachable!("a checked recipe has a base or a shape"),
        }
    }

    /// Digest of the files that a model consists of, not of what else is in its folder.
    pub(crate) fn digest(&self) -> Result<String> {
        let mut digests = Vec::new();
        if let Some(folder) = &self.folder {
            for entry in fs_err::read_dir(folder)? {
                let path = entry?.path();
                let is_part = path
                    .extension()
                    .is_some_and(|end| end == "safetensors" || end == "json");
                if is_part && path.is_file() {
                    let name = path
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned();
                    digests.push((name, sha256_file(&path)?));
                }
            }
        }
        for file in self.tokenizer.files() {
            digests.push((file.name, sha256_bytes(&file.bytes)));
        }
        digests.sort();
        Ok(sha256_json(&digests))
    }

    /// The weights, before any training.
    pub(crate) fn decoder(&self, recipe: &Recipe) -> Result<Decoder> {
        let device = device::open_for(&recipe.model, Launch::local_rank()?)?;
        match (recipe.model.init, &self.folder) {
            (Init::Pretrained, Some(folder)) => Decoder::load_quantized(
                folder,
                &device,
                recipe.model.dtype,
                quant_scheme(&recipe.model),
            )
            .with_context(|| format!("failed to load `{}`", recipe.model.base_model)),
            _ => Ok(Decoder::init(self.config(recipe)?, recipe.seed, &device)),
        }
    }
}

/// Gives a base its adapter, or marks all its weights as trained.
pub(crate) fn make_trainable(decoder: &mut Decoder, recipe: &Recipe) -> Result<()> {
    match (recipe.train.method, &recipe.lora.adapter_path) {
        (Method::Full, _) => decoder.train_all(),
        (Method::Lora, None) => {
            decoder.attach_lora(&LoraSpec::from(&recipe.lora), recipe.seed)?;
        }
        (Method::Lora, Some(path)) => {
            decoder
                .load_adapter(Path::new(path))
                .with_context(|| format!("failed to load the adapter `{path}`"))?;
            decoder.train_adapter();
        }
    }
    Ok(())
}

/// Finds the base and the device of a recipe without loading anything, before a run is begun.
pub(crate) fn check(recipe: &Recipe, offline: bool) -> Result<()> {
    device::open_nth(&recipe.model.device, Launch::local_rank()?)?;
    let model = &recipe.model;
    if !model.base_model.is_empty() {
        let folder = locate(&model.base_model, model.revision.as_deref(), offline)?;
        if model.init == Init::Pretrained {
            DecoderConfig::read(&folder)?;
        }
    }
    Ok(())
}

fn train_tokenizer(recipe: &Recipe, folder: &Path) -> Result<()> {
    let vocab_size = recipe.tokenizer.clone().unwrap_or_default().vocab_size;
    let texts = slm_data::training_texts(&recipe.data, &guarded(recipe)?, recipe.seed)?;
    let written = AtomicDir::new(folder)?;
    train_bpe(texts.into_iter(), vocab_size, written.path())?;
    written.commit()?;
    Ok(())
}
