//! A model folder in HF format.

use std::path::Path;

use crate::weights::write_safetensors;
use crate::{Decoder, ModelError};

/// Writes `config.json` (as it was read) and `model.safetensors` (f32; a tied head stays tied) of a model without adapter.
///
/// # Errors
/// The files cannot be written.
pub fn save_pretrained(decoder: &Decoder, dir: &Path) -> Result<(), ModelError> {
    fs_err::create_dir_all(dir)?;
    let mut config = decoder.config().raw.clone();
    for key in ["torch_dtype", "dtype"] {
        if let Some(value) = config.get_mut(key) {
            *value = "float32".into();
        }
    }
    fs_err::write(dir.join("config.json"), format!("{config:#}\n"))?;
    write_safetensors(&dir.join("model.safetensors"), decoder.params())
}
