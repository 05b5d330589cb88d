//! Whether the files that a recipe asks for can be written of a model: known before it is trained.

use slm_model::Decoder;
use slm_recipe::{CompressedScheme, ExportSection};

use crate::ExportError;
use crate::architecture::{not_in_gguf, tensor_name};
use crate::compression::{ensure_linear, group_of};
use crate::gguf_limits::ensure_expressible;

/// Refuses what [`export`](crate::export) would refuse whatever the weights become.
///
/// # Errors
/// [`ExportError::NotInGguf`], [`ExportError::NotInGgufAdapter`], [`ExportError::NotCompressible`].
pub fn ensure_exportable(section: &ExportSection, decoder: &Decoder) -> Result<(), ExportError> {
    let (base, config) = (decoder.base(), decoder.config());
    if !section.gguf.is_empty() || section.gguf_adapter {
        ensure_expressible(config)?;
        let mut params = base.params().into_iter();
        let unnamed = params.find(|param| tensor_name(config.family.gguf, &param.name).is_none());
        if let Some(param) = unnamed {
            return Err(not_in_gguf(&format!("`{}`", param.name), config));
        }
    }
    if let Some(what) = decoder.beside_pairs().filter(|_| section.gguf_adapter) {
        return Err(ExportError::NotInGgufAdapter { what });
    }
    for scheme in &section.compressed_tensors {
        ensure_linear(&base)?;
        if *scheme == CompressedScheme::W4A16 {
            group_of(&base)?;
        }
    }
    Ok(())
}
