//! `adapter/` (PEFT), `merged/` (Hugging Face), and the same in codes of `compressed-tensors`.

use std::path::{Path, PathBuf};

use slm_model::{save_adapter, save_compressed, save_pretrained};
use slm_run::{AtomicDir, RunError};

use crate::card::folder_card;
use crate::compression::Compression;
use crate::seal::{BLANK, CERTIFICATE_KEY};
use crate::{ExportError, Request, Trained};

/// What is in the header of each file of weights.
const METADATA: [(&str, &str); 1] = [(CERTIFICATE_KEY, BLANK)];

/// Writes the adapter to the folder that will be at `path`.
///
/// # Errors
/// It cannot be written.
pub(crate) fn adapter(
    trained: &Trained,
    request: &Request<'_>,
    path: PathBuf,
) -> Result<AtomicDir, ExportError> {
    let dir = AtomicDir::new(path)?;
    save_adapter(trained.decoder(), request.base_model, dir.path(), &METADATA)?;
    let card = folder_card(request, "peft");
    write(&dir.path().join("README.md"), card.as_bytes())?;
    Ok(dir)
}

/// Writes the whole model, with its tokenizer, to the folder that will be at `path`.
///
/// # Errors
/// It cannot be written.
pub(crate) fn merged(
    trained: &Trained,
    request: &Request<'_>,
    path: PathBuf,
) -> Result<AtomicDir, ExportError> {
    let dir = AtomicDir::new(path)?;
    let max_shard_bytes = (request.section.max_shard_gb * 1e9) as usize;
    save_pretrained(trained.merged(), dir.path(), max_shard_bytes, &METADATA)?;
    write_companions(request, dir.path())?;
    Ok(dir)
}

/// [`merged`] with the linear layers in codes.
///
/// # Errors
/// It cannot be written.
pub(crate) fn compressed(
    trained: &Trained,
    compression: &Compression,
    request: &Request<'_>,
    path: PathBuf,
) -> Result<AtomicDir, ExportError> {
    let dir = AtomicDir::new(path)?;
    let (matrices, config) = (&compression.matrices, compression.config());
    save_compressed(trained.merged(), matrices, config, dir.path(), &METADATA)?;
    write_companions(request, dir.path())?;
    Ok(dir)
}

/// What a model folder has besides config and weights.
fn write_companions(request: &Request<'_>, dir: &Path) -> Result<(), ExportError> {
    for file in request.tokenizer.files() {
        write(&dir.join(&file.name), &file.bytes)?;
    }
    let card = folder_card(request, "transformers");
    write(&dir.join("README.md"), card.as_bytes())?;
    let generation = request.base_dir.join("generation_config.json");
    if generation.is_file() {
        let bytes = fs_err::read(&generation).map_err(|error| RunError::io(&generation, error))?;
        write(&dir.join("generation_config.json"), &bytes)?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    fs_err::write(path, bytes).map_err(|error| RunError::io(path, error))
}
