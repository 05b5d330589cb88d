//! A folder in codes of `compressed-tensors` beside the model that was trained.
//!
//! Its config is the model's own, so there is no metadata to be wrong: the weights are compared with those of the merged model,
//! and the answers with the trained model's. What a server rounds besides, the activations of FP8, is not in the files.

use std::path::Path;

use slm_model::{Decoder, Param};
use slm_recipe::{CompressedScheme, Dtype};

use crate::compression::Compression;
use crate::rounding::{Stored, compare_weights};
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

impl Trained {
    /// Reads the folder at `path` back and compares it; `file` is what the comparison calls it. `None` where there is nothing
    /// to compare on.
    ///
    /// # Errors
    /// It cannot be read, or has other tensors than the model.
    pub(crate) fn compare_compressed(
        &self,
        path: &Path,
        file: &str,
        compression: &Compression,
    ) -> Result<Option<Comparison>, ExportError> {
        let merged = self.merged();
        let exported = Decoder::load(path, merged.device(), Dtype::F32)?;
        if self.n_tokens() == 0 {
            return Ok(None);
        }
        let scheme = compression.scheme;
        let stored_as = |param: &Param| {
            let is_coded = !param.is_vector() && compression.matrices.contains_key(param.module());
            let (tensor_type, limit) = match is_coded {
                true => (scheme.name(), limit(scheme)),
                false => ("F32", 0.0),
            };
            Ok(Stored {
                tensor: param.name.clone(),
                tensor_type: tensor_type.into(),
                limit,
            })
        };
        let rounding = compare_weights(stored_as, &exported, merged, &self.decoder().base());
        let rounding = rounding.map_err(|what| ExportError::AnotherModel {
            path: path.into(),
            what,
        })?;
        let mut comparison = self.compare(file, scheme.name(), &exported);
        comparison.faults.extend(rounding.faults());
        comparison.rounding = Some(rounding);
        comparison.ok = comparison.ok && comparison.faults.is_empty();
        Ok(Some(comparison))
    }
}
