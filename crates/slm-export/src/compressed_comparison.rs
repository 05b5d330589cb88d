//! A folder in codes of `compressed-tensors` beside the model that was trained.
//!
//! Its config is the model's own, so there is no metadata to be wrong: the weights are compared with those of the merged model,
//! and the answers with the trained model's. What a server rounds besides, the activations of FP8, is not in the files.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;
use slm_model::{Decoder, Param};
use slm_recipe::CompressedScheme;
use slm_run::RunError;

use crate::compression::linears;
use crate::rounding::{SMALLEST, Stored, compare_weights};
use crate::{Comparison, ExportError, Trained};

/// The largest RMS(stored − weight) / RMS(weight) of a matrix.
///
/// A row's scale is that of its largest number, which in rows as uneven as Student's t with three degrees of freedom is 50 times
/// their RMS: 50 / 127.5 / √12 in 8 bits, and in groups of 128 10 / 7.5 / √12 in 4 bits. Correction adds to both. Floats are off
/// by 2^-4 at most. Faults come to about 1.
fn limit(scheme: CompressedScheme) -> f64 {
    match scheme {
        CompressedScheme::W8A16 => 0.2,
        CompressedScheme::W4A16 => 0.8,
        CompressedScheme::FP8 => 0.0625,
    }
}

/// The scheme of a folder in codes; `None` for one in floats.
///
/// # Errors
/// [`ExportError::AnotherModel`] for codes of another kind, [`ExportError::Run`] for the disk.
pub(crate) fn scheme_of(path: &Path) -> Result<Option<CompressedScheme>, ExportError> {
    let config = path.join("config.json");
    let bytes = fs_err::read(&config).map_err(|error| RunError::io(&config, error))?;
    // It was parsed when the model was read, which takes what it says about codes out.
    let config: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let quantization = &config["quantization_config"];
    if quantization.is_null() {
        return Ok(None);
    }
    let weights = &quantization["config_groups"]["group_0"]["weights"];
    match (weights["type"].as_str(), weights["num_bits"].as_u64()) {
        (Some("int"), Some(8)) => Ok(Some(CompressedScheme::W8A16)),
        (Some("int"), Some(4)) => Ok(Some(CompressedScheme::W4A16)),
        (Some("float"), Some(8)) => Ok(Some(CompressedScheme::FP8)),
        _ => Err(ExportError::AnotherModel {
            path: path.into(),
            what: format!("its linear layers are in {weights}"),
        }),
    }
}

impl Trained {
    /// Compares the folder at `path`, which was read as `exported`; `file` is what the comparison calls it.
    ///
    /// # Errors
    /// It has other tensors than the model.
    pub(crate) fn compare_compressed(
        &self,
        path: &Path,
        exported: &Decoder,
        file: &str,
        scheme: CompressedScheme,
    ) -> Result<Comparison, ExportError> {
        let merged = self.merged();
        let coded: HashSet<&str> = linears(merged).map(|param| param.name.as_str()).collect();
        let stored_as = |param: &Param| {
            let (tensor_type, limit) = match coded.contains(param.name.as_str()) {
                true => (scheme.name(), limit(scheme)),
                false => ("F32", 0.0),
            };
            Ok(Stored {
                tensor: param.name.clone(),
                tensor_type: tensor_type.into(),
                limit,
                floor: if limit == 0.0 { 0.0 } else { SMALLEST },
            })
        };
        let rounding = compare_weights(stored_as, exported, merged, &self.decoder().base());
        let rounding = rounding.map_err(|what| ExportError::AnotherModel {
            path: path.into(),
            what,
        })?;
        let mut comparison = self.compare(file, scheme.name(), exported);
        comparison.faults.extend(rounding.faults());
        comparison.rounding = Some(rounding);
        comparison.ok = comparison.ok && comparison.faults.is_empty();
        Ok(comparison)
    }
}
