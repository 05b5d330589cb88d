//! A GGUF file beside the model that was trained.
//!
//! Rounding must not hide a fault, and a fault must not pass for rounding, so each part is compared with what it alone
//! has to equal: the weights with those of the merged model, and the answers with those of a twin that has the file's
//! weights and the trained model's own config. Answers beside the trained model's say what the rounding costs.

use std::path::Path;

use slm_gguf::{Reader, TensorType};
use slm_model::{Decoder, Param};

use crate::architecture::tensor_name;
use crate::ggml_rows::{PLUS_ONE_LOSS, Rows};
use crate::gguf_rope::rotates_alike;
use crate::rounding::{SMALLEST, Stored, compare_weights, limit};
use crate::{Comparison, ExportError, Trained, read_gguf};

impl Trained {
    /// Reads the GGUF file at `path` back and compares it. `file` and `weights` are what the comparison calls it.
    ///
    /// # Errors
    /// Those of [`read_gguf`], and [`ExportError::AnotherModel`] where it has other tensors than the model.
    pub fn compare_gguf(
        &self,
        path: &Path,
        file: &str,
        weights: &str,
    ) -> Result<Comparison, ExportError> {
        let merged = self.merged();
        let exported = read_same(path, merged)?;
        self.compare_read_gguf(path, &exported, file, weights)
    }

    /// [`Self::compare_gguf`] of a file that was read as `exported`.
    pub(crate) fn compare_read_gguf(
        &self,
        path: &Path,
        exported: &Decoder,
        file: &str,
        weights: &str,
    ) -> Result<Comparison, ExportError> {
        let merged = self.merged();
        let reader = Reader::open(path)?;
        let architecture = merged.config().family.gguf;
        let stored_as = |param: &Param| {
            let tensor = tensor_name(architecture, &param.name).unwrap_or_default();
            let info = reader.tensor(&tensor).map_err(|error| error.to_string())?;
            let tensor_type = info.tensor_type();
            Ok(Stored {
                tensor,
                tensor_type: tensor_type.to_string(),
                limit: limit(tensor_type),
                floor: match (tensor_type, Rows::of(architecture, &param.name)) {
                    (TensorType::F32, Rows::PlusOne) => PLUS_ONE_LOSS,
                    (TensorType::F32, _) => 0.0,
                    _ => SMALLEST,
                },
            })
        };
        let rounding = compare_weights(stored_as, exported, merged, &self.decoder().base());
        let rounding = rounding.map_err(|what| ExportError::AnotherModel {
            path: path.into(),
            what,
        })?;
        let twin = Self::new(&twin(merged, exported), self.probes(), self.limits())?;
        let alike = twin.compare(file, "F32", exported);
        let mut comparison = self.compare(file, weights, exported);
        comparison.faults.extend(rounding.faults());
        if !alike.ok {
            comparison.faults.push(format!(
                "the metadata says something else than the model's config: with the same weights {}",
                alike.finding()
            ));
        }
        comparison.rounding = Some(rounding);
        comparison.twin_logit_difference = Some(alike.max_logit_difference);
        comparison.ok = comparison.ok && comparison.faults.is_empty();
        Ok(comparison)
    }
}

/// Reads the file at `path`, which has to describe the model that was trained.
///
/// # Errors
/// Those of [`read_gguf`], and [`ExportError::AnotherModel`] where dimensions or rotary factors differ.
pub(crate) fn read_same(path: &Path, trained: &Decoder) -> Result<Decoder, ExportError> {
    let found = read_gguf(path, trained.device())?;
    let another = |what: String| {
        Err(ExportError::AnotherModel {
            path: path.into(),
            what,
        })
    };
    let of = |decoder: &Decoder| {
        let config = decoder.config();
        (
            config.vocab_size,
            config.hidden_size,
            config.num_hidden_layers,
        )
    };
    if of(&found) != of(trained) {
        return another(format!(
            "vocabulary, width and layers are {:?}, needed {:?}",
            of(&found),
            of(trained)
        ));
    }
    if !rotates_alike(found.config(), trained.config()) {
        return another("its layers rotate by other factors than those it was trained with".into());
    }
    Ok(found)
}

/// The model that `merged` is, with the weights of `exported`. Both have the same tensors.
fn twin(merged: &Decoder, exported: &Decoder) -> Decoder {
    let params = exported.params();
    let values = |name: &str, _: &[usize]| -> Result<Vec<f32>, std::convert::Infallible> {
        let param = params.iter().find(|param| param.name == name);
        Ok(param.copied().map(Param::file_values).unwrap_or_default())
    };
    match Decoder::from_tensors(merged.config().clone(), values, merged.device()) {
        Ok(twin) => twin,
        Err(never) => match never {},
    }
}
