//! `adapter/` (PEFT), `merged/` (Hugging Face), and the same in codes of `compressed-tensors`.

use std::path::Path;

use slm_model::{Decoder, save_adapter, save_compressed, save_pretrained};
use slm_recipe::Dtype;
use slm_run::{AtomicDir, RunError};
use slm_text::ChatTokenizer;

use crate::compression::Compression;
use crate::{Comparison, ExportError, Trained};

/// A folder that was written and compared, and has not got its name yet.
pub(crate) struct Folder {
    pub(crate) dir: AtomicDir,
    pub(crate) comparison: Option<Comparison>,
}

/// Writes the adapter to `out/name`, and reads it back onto the base.
///
/// # Errors
/// It cannot be written or read back.
pub(crate) fn adapter(
    trained: &Trained,
    base_model: &str,
    out: &Path,
    name: &str,
) -> Result<Folder, ExportError> {
    let dir = AtomicDir::new(out.join(name))?;
    save_adapter(trained.decoder(), base_model, dir.path())?;
    let reload = || {
        let mut reloaded = trained.decoder().base();
        reloaded.load_adapter(dir.path())?;
        Ok(reloaded)
    };
    let comparison = compared(trained, name, reload)?;
    Ok(Folder { dir, comparison })
}

/// Writes the whole model to `out/name`, with its tokenizer, and reads it back.
///
/// # Errors
/// It cannot be written or read back.
pub(crate) fn merged(
    trained: &Trained,
    tokenizer: &ChatTokenizer,
    base_dir: &Path,
    out: &Path,
    name: &str,
) -> Result<Folder, ExportError> {
    let dir = AtomicDir::new(out.join(name))?;
    let merged = trained.merged();
    save_pretrained(merged, dir.path())?;
    write_companions(tokenizer, base_dir, dir.path())?;
    let device = merged.device();
    let reload = || Ok(Decoder::load(dir.path(), device, Dtype::F32)?);
    let comparison = compared(trained, name, reload)?;
    Ok(Folder { dir, comparison })
}

/// [`merged`] with the linear layers in codes.
///
/// # Errors
/// It cannot be written or read back.
pub(crate) fn compressed(
    trained: &Trained,
    compression: &Compression,
    tokenizer: &ChatTokenizer,
    base_dir: &Path,
    out: &Path,
) -> Result<Folder, ExportError> {
    let name = compression.scheme.name();
    let dir = AtomicDir::new(out.join(name))?;
    let config = compression.config();
    save_compressed(trained.merged(), &compression.matrices, config, dir.path())?;
    write_companions(tokenizer, base_dir, dir.path())?;
    let comparison = trained.compare_compressed(dir.path(), name, compression)?;
    Ok(Folder { dir, comparison })
}

/// What a model folder has besides config and weights.
fn write_companions(
    tokenizer: &ChatTokenizer,
    base_dir: &Path,
    dir: &Path,
) -> Result<(), ExportError> {
    for file in tokenizer.files()? {
        write(&dir.join(&file.name), &file.bytes)?;
    }
    let generation = base_dir.join("generation_config.json");
    if generation.is_file() {
        let bytes = fs_err::read(&generation).map_err(|error| RunError::io(&generation, error))?;
        write(&dir.join("generation_config.json"), &bytes)?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    fs_err::write(path, bytes).map_err(|error| RunError::io(path, error))
}

/// The comparison of an f32 folder; `None` where there is nothing to compare on. It is read back in any case.
fn compared(
    trained: &Trained,
    name: &str,
    reload: impl FnOnce() -> Result<Decoder, ExportError>,
) -> Result<Option<Comparison>, ExportError> {
    let reloaded = reload()?;
    let is_measurable = trained.n_tokens() > 0;
    Ok(is_measurable.then(|| trained.compare(name, "F32", &reloaded)))
}
