//! The trained model in f32, which files are made of and compared with.

use burn::tensor::DType;
use slm_model::{Decoder, ModelError, Param, save_adapter};
use slm_run::AtomicDir;

use crate::{ExportError, Request};

/// The trained model outside the graph and in f32, so that merging rounds nothing and files are compared with what the
/// weights say.
pub(crate) fn in_f32(request: &Request<'_>) -> Result<Decoder, ExportError> {
    let decoder = request.decoder;
    let is_f32 = |param: &&Param| param.value.dtype() == DType::F32;
    if decoder.params().iter().all(is_f32) {
        return Ok(decoder.inference().in_floats());
    }
    let widen = |name: &str, _: &[usize]| {
        let mut params = decoder.params().into_iter();
        let param = params.find(|param| param.name == name);
        param
            .map(Param::file_values)
            .ok_or_else(|| ModelError::MissingTensor {
                path: request.base_dir.into(),
                name: name.into(),
            })
    };
    let mut widened = Decoder::from_tensors(decoder.config().clone(), widen, decoder.device())?;
    if !decoder.lora_params().is_empty() {
        // Never committed, so it is removed again.
        let dir = AtomicDir::new(request.out.join("widened"))?;
        save_adapter(decoder, request.base_model, dir.path(), &[])?;
        widened.load_adapter(dir.path())?;
    }
    Ok(widened)
}
