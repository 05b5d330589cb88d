//! The linear layers of a model in the codes of `compressed-tensors`, which vLLM runs.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};
use serde_json::{Value, json};
use slm_model::{Codes, CompressedMatrix, Decoder, Layout, Observation, Param, e4m3};
use slm_recipe::CompressedScheme;

use crate::ExportError;
use crate::calibration::Calibration;
use crate::comparison::values;
use crate::error_correction::{Correction, Grid};

/// Columns that share a scale of 4 bits, the best first: the kernels of vLLM have these.
const GROUPS: [usize; 3] = [128, 64, 32];

/// Matrices in codes by the path of their layer, and how a `config.json` says so.
pub(crate) struct Compression {
    pub(crate) scheme: CompressedScheme,
    pub(crate) matrices: BTreeMap<String, CompressedMatrix>,
    /// Columns that share a scale, where that is not all of them.
    pub(crate) group: Option<usize>,
    head: &'static str,
}

impl Compression {
    /// Rounds the linear layers of `decoder`, which has no adapter.
    ///
    /// Integers are corrected on the rows of a calibration, layer by layer, each observed behind layers that are rounded already.
    /// Floats of 8 bits are rounded to the nearest, as `llm-compressor` does it for FP8_DYNAMIC: their steps shrink with the
    /// number, and what is left to correct is small beside the activations that a server rounds as well.
    ///
    /// # Errors
    /// [`ExportError::NotCompressible`] for matrices that compressed-tensors has no place for; [`ExportError::NotFinite`].
    pub(crate) fn of(
        decoder: &Decoder,
        scheme: CompressedScheme,
        calibration: &Calibration,
    ) -> Result<Self, ExportError> {
        let group = match scheme {
            CompressedScheme::W4A16 => Some(group_of(decoder)?),
            CompressedScheme::W8A16 | CompressedScheme::FP8 => None,
        };
        ensure_linear(decoder)?;
        let matrices = match scheme {
            CompressedScheme::W4A16 => corrected(decoder, calibration, 4, group)?,
            CompressedScheme::W8A16 => corrected(decoder, calibration, 8, None)?,
            CompressedScheme::FP8 => linears(decoder)
                .map(|param| {
                    let matrix = rounded(&param.file_values(), param.value.dims());
                    (param.module().to_string(), matrix)
                })
                .collect(),
        };
        Ok(Self {
            scheme,
            matrices,
            group,
            head: decoder.config().family.head(),
        })
    }

    /// What a reader of the files should know.
    pub(crate) fn remark(&self) -> Option<String> {
        let name = self.scheme.name();
        match (self.scheme, self.group) {
            (CompressedScheme::FP8, _) => Some(format!(
                "`{name}`: the comparison is of the weights; a server rounds activations to 8 bits as well"
            )),
            (_, Some(group)) if group != GROUPS[0] => Some(format!(
                "`{name}` has a scale for each {group} columns instead of {}, because rows are not whole groups of more",
                GROUPS[0]
            )),
            _ => None,
        }
    }

    /// The part of a `config.json`, as compressed-tensors 0.20 writes it.
    pub(crate) fn config(&self) -> Value {
        let (format, kind, bits) = match self.scheme {
            CompressedScheme::W8A16 => ("pack-quantized", "int", 8),
            CompressedScheme::W4A16 => ("pack-quantized", "int", 4),
            CompressedScheme::FP8 => ("float-quantized", "float", 8),
        };
        let arguments = |strategy: &str, group: Option<usize>, is_dynamic: bool| {
            json!({
                "num_bits": bits, "type": kind, "symmetric": true, "strategy": strategy, "group_size": group,
                "dynamic": is_dynamic,
            })
        };
        let strategy = self.group.map_or("channel", |_| "group");
        // transformers calls every head `lm_head`, whatever the files call it.
        let mut heads = vec!["lm_head", self.head];
        heads.dedup();
        let inputs = match self.scheme {
            CompressedScheme::FP8 => arguments("token", None, true),
            CompressedScheme::W8A16 | CompressedScheme::W4A16 => Value::Null,
        };
        json!({
            "quant_method": "compressed-tensors",
            "format": format,
            "quantization_status": "compressed",
            "config_groups": {"group_0": {
                "targets": ["Linear"],
                "weights": arguments(strategy, self.group, false),
                "input_activations": inputs,
                "output_activations": null,
                "format": format,
            }},
            "ignore": heads,
            "kv_cache_scheme": null,
            "global_compression_ratio": null,
            "sparsity_config": {},
            "transform_config": {},
        })
    }
}

/// The matrices of the layers.
pub(crate) fn linears(decoder: &Decoder) -> impl Iterator<Item = &Param> {
    let layers = decoder.layers().iter();
    layers.flat_map(|layer| layer.params().filter(|param| !param.is_vector()))
}

pub(crate) fn ensure_linear(decoder: &Decoder) -> Result<(), ExportError> {
    match linears(decoder).find(|param| param.layout == Layout::Transposed) {
        Some(param) => Err(ExportError::NotCompressible {
            what: format!("`{}`, which is stored transposed", param.name),
        }),
        None => Ok(()),
    }
}

/// The best group that all rows are whole groups of.
pub(crate) fn group_of(decoder: &Decoder) -> Result<usize, ExportError> {
    let is_whole = |group: &usize| {
        let mut widths = linears(decoder).map(|param| param.value.dims()[1]);
        widths.all(|width| width.is_multiple_of(*group))
    };
    let group = GROUPS.into_iter().find(is_whole);
    group.ok_or_else(|| ExportError::NotCompressible {
        what: "rows that are not whole groups of 32 columns, in 4 bits".into(),
    })
}

/// Integers that make up for each other's errors; a scale for each `group` columns, or for a whole row.
fn corrected(
    decoder: &Decoder,
    calibration: &Calibration,
    bits: u32,
    group: Option<usize>,
) -> Result<BTreeMap<String, CompressedMatrix>, ExportError> {
    let weights: BTreeMap<&str, &Param> = linears(decoder)
        .map(|param| (param.module(), param))
        .collect();
    let mut matrices = BTreeMap::new();
    let mut observation = Observation::new(decoder, &calibration.rows);
    while !observation.is_through() {
        let mut sums: BTreeMap<String, Tensor<2>> = BTreeMap::new();
        observation.look(&mut |path, x| {
            let square = x.clone().transpose().matmul(x.clone()); // [in, in]
            let sum = match sums.remove(path) {
                Some(sum) => sum.add(square),
                None => square,
            };
            sums.insert(path.into(), sum);
        });
        for (path, sum) in sums {
            let weight = weights[path.as_str()];
            let n = weight.value.dims()[1];
            let correction = Correction::of(&values(sum), n);
            let correction =
                correction.ok_or_else(|| ExportError::NotFinite { path: path.clone() })?;
            let grid = Grid {
                bits,
                group: group.unwrap_or(n),
            };
            let matrix = correction.round(&weight.file_values(), grid);
            let data = TensorData::new(matrix.values(), matrix.shape);
            observation.replace(&path, Tensor::from_data(data, decoder.device()));
            matrices.insert(path, matrix);
        }
        observation.advance(&mut |_, _| {});
    }
    Ok(matrices)
}

/// The nearest floats of 8 bits, a scale for each row.
fn rounded(weight: &[f32], shape: [usize; 2]) -> CompressedMatrix {
    let rows = weight.chunks_exact(shape[1]);
    let scale = |row: &[f32]| match row.iter().fold(0f32, |size, w| size.max(w.abs())) {
        0.0 => f32::EPSILON,
        size => size / e4m3::MAX,
    };
    let scales: Vec<f32> = rows.clone().map(scale).collect();
    let codes = rows
        .zip(&scales)
        .flat_map(|(row, scale)| row.iter().map(move |weight| e4m3::to_bits(weight / scale)));
    CompressedMatrix {
        shape,
        codes: Codes::E4m3(codes.collect()),
        scales,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use slm_testkit::Golden;

    use super::*;

    #[test]
    fn floats_are_rounded_as_the_package_does() {
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens/data");
        let golden = Golden::open(&Path::new(data).join("compressed.safetensors"));
        let matrix = rounded(&golden.f32("fp8.original"), [4, 130]);
        assert_eq!(matrix.scales, golden.f32("fp8.weight_scale"));
        assert_eq!(matrix.codes, Codes::E4m3(golden.u8("fp8.weight")));
    }
}
