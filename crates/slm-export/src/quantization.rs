//! What all quantized GGUF files of an export are made with.

use slm_gguf::{
    FileType, GgufError, Metadata, Mixture, TensorSpec, TensorType, TypeRule, may_be_quantized,
};
use slm_model::Decoder;

use crate::architecture::tensor_name;
use crate::importance::Importance;

/// The importance of columns, and the recipe's own types.
#[derive(Debug, Default)]
pub(crate) struct Quantization {
    pub(crate) importance: Option<Importance>,
    pub(crate) rules: Vec<TypeRule>,
}

impl Quantization {
    /// With the rules of `export.tensor_types`.
    ///
    /// # Errors
    /// [`GgufError::TypeRule`]; a checked recipe has none that is wrong.
    pub(crate) fn of(rules: &[String]) -> Result<Self, GgufError> {
        let rules = rules.iter().map(|rule| rule.parse());
        Ok(Self {
            importance: None,
            rules: rules.collect::<Result<_, _>>()?,
        })
    }

    /// The mixture of a file.
    ///
    /// # Errors
    /// Those of [`Mixture::of`].
    pub(crate) fn mixture(
        &self,
        metadata: &Metadata,
        file_type: FileType,
    ) -> Result<Mixture<'_>, GgufError> {
        Ok(Mixture {
            has_importance: self.importance.is_some(),
            rules: &self.rules,
            ..Mixture::of(metadata, file_type)?
        })
    }

    /// The rules that meet no matrix of `decoder`.
    pub(crate) fn unmet(&self, decoder: &Decoder) -> Vec<String> {
        let matrices: Vec<String> = decoder
            .params()
            .into_iter()
            .filter_map(|param| {
                let name = tensor_name(decoder.config().family.gguf, &param.name)?;
                let spec = TensorSpec::from_shape(name, &param.file_shape(), TensorType::F32);
                may_be_quantized(&spec).then_some(spec.name)
            })
            .collect();
        let is_met = |rule: &&TypeRule| matrices.iter().any(|name| rule.meets(name));
        let unmet = self.rules.iter().filter(|rule| !is_met(rule));
        unmet.map(ToString::to_string).collect()
    }

    /// How much the columns of a tensor matter.
    ///
    /// # Errors
    /// [`GgufError::ImportanceSize`] where the matrix is of another model.
    pub(crate) fn importance_of(&self, tensor: &TensorSpec) -> Result<Option<Vec<f32>>, GgufError> {
        match &self.importance {
            Some(importance) if tensor.tensor_type.is_quantized() => importance.of(tensor),
            _ => Ok(None),
        }
    }
}
