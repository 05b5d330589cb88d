//! How much each column of a weight matters, where GGUF files are quantized.

use std::path::Path;

use burn::tensor::Tensor;
use slm_gguf::{GgufError, ImportanceMatrix, Metadata, TensorSpec};
use slm_model::{Decoder, Observation};

use crate::ExportError;
use crate::architecture::{not_in_gguf, tensor_name};
use crate::calibration::Calibration;
use crate::comparison::values;

/// An importance matrix, and the file that it is in.
#[derive(Debug)]
pub(crate) struct Importance {
    matrix: ImportanceMatrix,
    file: String,
}

impl Importance {
    /// The one in `file`, in either of llama.cpp's forms.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn read(file: &str) -> Result<Self, ExportError> {
        Ok(Self {
            matrix: ImportanceMatrix::read(file)?,
            file: file.into(),
        })
    }

    /// The mean squares of what the weights of `decoder` are multiplied with on some rows, as `llama-imatrix` collects them:
    /// of the linear layers of all layers, without embedding and head. `name` is the run's.
    ///
    /// # Errors
    /// [`ExportError::NotInGguf`] for what llama.cpp has no tensor for; sums that are not finite.
    pub(crate) fn measure(
        decoder: &Decoder,
        calibration: &Calibration,
        name: &str,
        file: &str,
    ) -> Result<Self, ExportError> {
        let size = calibration.size();
        let dataset = format!("{} training rows of {name}", size.rows);
        // Rows are of uneven length: a chunk is a row of their mean.
        let chunk_size = size.tokens.div_ceil(size.rows) as u32;
        let mut matrix = ImportanceMatrix::new(dataset, chunk_size);
        let mut observation = Observation::new(decoder, &calibration.rows);
        let mut add = |path: &str, x: &Tensor<2>| {
            let tensor = tensor_name(decoder.config().family.gguf, &format!("{path}.weight"));
            let tensor =
                tensor.ok_or_else(|| not_in_gguf(&format!("`{path}`"), decoder.config()))?;
            let squares = values(x.clone().powi_scalar(2).sum_dim(0));
            matrix.add(&tensor, &squares, x.dims()[0] as u64)?;
            Ok::<_, ExportError>(())
        };
        while !observation.is_through() {
            let mut outcome = Ok(());
            observation.advance(&mut |path, x| {
                if outcome.is_ok() {
                    outcome = add(path, x);
                }
            });
            outcome?;
        }
        Ok(Self {
            matrix,
            file: file.into(),
        })
    }

    /// Writes it in llama.cpp's GGUF form.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), ExportError> {
        Ok(self.matrix.write(path)?)
    }

    /// Says in a file's metadata what it was quantized with, as `llama-quantize` does.
    pub(crate) fn note(&self, metadata: &mut Metadata) {
        self.matrix.note(&self.file, metadata);
    }

    /// How much the columns of a tensor matter. None where it was not seen.
    ///
    /// # Errors
    /// [`GgufError::ImportanceSize`] where it has another number of columns.
    pub(crate) fn of(&self, tensor: &TensorSpec) -> Result<Option<Vec<f32>>, GgufError> {
        self.matrix.weights_of(&tensor.name, tensor.dims[0])
    }
}
