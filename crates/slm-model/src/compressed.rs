//! Matrices in codes, as the package `compressed-tensors` stores them and vLLM reads them.
//!
//! | format | tensors of a linear layer |
//! |---|---|
//! | `pack-quantized` | `weight_packed` `[out, ⌈in · bits / 32⌉]` I32: rows of `code + 2^(bits - 1)`, the lowest bits first; `weight_scale` `[out, groups]`; `weight_shape` `[2]` I64 |
//! | `float-quantized` | `weight` `[out, in]` in E4M3, `weight_scale` `[out, 1]` |

use std::path::Path;

use safetensors::tensor::Dtype;
use serde_json::Value;

use crate::weight_file::to_f32;
use crate::{ModelError, WeightFile, e4m3};

/// What the names of a matrix's tensors end in, with which they are read in place of `weight`.
pub(crate) const PARTS: [&str; 3] = ["_packed", "_scale", "_shape"];

/// A linear layer's matrix in codes with scales.
#[derive(Clone, Debug, PartialEq)]
pub struct CompressedMatrix {
    /// `[out, in]`
    pub shape: [usize; 2],
    /// Row-major.
    pub codes: Codes,
    /// `[out, groups]`, row-major: each for as many columns as there are, divided by the groups.
    pub scales: Vec<f32>,
}

/// What is multiplied with a scale.
#[derive(Clone, Debug, PartialEq)]
pub enum Codes {
    /// -8 to 7.
    Int4(Vec<i8>),
    Int8(Vec<i8>),
    E4m3(Vec<u8>),
}

/// A tensor as a file holds it.
pub(crate) struct FileTensor {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

impl CompressedMatrix {
    /// What it stands for, `[out, in]`.
    pub fn values(&self) -> Vec<f32> {
        let columns = self.shape[1].max(1);
        let groups = self.scales.len() / self.shape[0].max(1);
        let group = columns / groups.max(1);
        let scale = |at: usize| self.scales[at / columns * groups + at % columns / group];
        match &self.codes {
            Codes::Int4(codes) | Codes::Int8(codes) => {
                let codes = codes.iter().enumerate();
                codes
                    .map(|(at, &code)| f32::from(code) * scale(at))
                    .collect()
            }
            Codes::E4m3(codes) => {
                let codes = codes.iter().enumerate();
                codes
                    .map(|(at, &bits)| e4m3::from_bits(bits) * scale(at))
                    .collect()
            }
        }
    }

    /// As the matrix of the layer at `path` lies in a file.
    pub(crate) fn tensors(&self, path: &str) -> Vec<FileTensor> {
        let [rows, columns] = self.shape;
        let tensor = |end: &str, dtype, shape: Vec<usize>, bytes| FileTensor {
            name: format!("{path}.weight{end}"),
            dtype,
            shape,
            bytes,
        };
        let scales = self.scales.iter().flat_map(|scale| scale.to_le_bytes());
        let groups = self.scales.len() / rows.max(1);
        let scales = tensor("_scale", Dtype::F32, vec![rows, groups], scales.collect());
        let packed = match &self.codes {
            Codes::Int4(codes) => packed_4(codes, columns),
            Codes::Int8(codes) => packed_8(codes, columns),
            Codes::E4m3(codes) => {
                let weight = tensor("", Dtype::F8_E4M3, vec![rows, columns], codes.clone());
                return vec![weight, scales];
            }
        };
        let words = packed.len() / 4 / rows.max(1);
        let shape = [rows as i64, columns as i64];
        let shape = shape.iter().flat_map(|n| n.to_le_bytes());
        vec![
            tensor("_packed", Dtype::I32, vec![rows, words], packed),
            scales,
            tensor("_shape", Dtype::I64, vec![2], shape.collect()),
        ]
    }

    /// The matrix of the layer at `path`; `file` finds the file of a tensor by its name.
    ///
    /// # Errors
    /// A tensor is missing, or they do not fit together.
    pub(crate) fn read<'a>(
        path: &str,
        file: impl Fn(&str) -> Result<&'a WeightFile, ModelError>,
    ) -> Result<Self, ModelError> {
        let tensor = |end: &str| -> Result<FileTensor, ModelError> {
            let name = format!("{path}.weight{end}");
            let (dtype, shape, bytes) = file(&name)?.bytes(&name)?;
            Ok(FileTensor {
                name,
                dtype,
                shape,
                bytes,
            })
        };
        let scales = tensor("_scale")?;
        let found = match tensor("") {
            Ok(weight) => Self::of_floats(weight, &scales),
            Err(_) => Self::of_integers(tensor("_packed")?, &tensor("_shape")?, &scales),
        };
        found.ok_or_else(|| ModelError::Compressed {
            name: format!("{path}.weight"),
        })
    }

    fn of_floats(weight: FileTensor, scales: &FileTensor) -> Option<Self> {
        let &[rows, columns] = &weight.shape[..] else {
            return None;
        };
        let is_e4m3 = weight.dtype == Dtype::F8_E4M3;
        is_e4m3.then_some(())?;
        Self::of([rows, columns], Codes::E4m3(weight.bytes), scales)
    }

    fn of_integers(packed: FileTensor, shape: &FileTensor, scales: &FileTensor) -> Option<Self> {
        let shape = shape.bytes.chunks_exact(8).map(|n| {
            let n = i64::from_le_bytes(n.try_into().unwrap_or_default());
            usize::try_from(n).unwrap_or_default()
        });
        let &[rows, columns] = &shape.collect::<Vec<_>>()[..] else {
            return None;
        };
        let codes = match *packed.shape.last()? {
            words if words == columns.div_ceil(8) => {
                Codes::Int4(unpacked_4(&packed.bytes, columns))
            }
            words if words == columns.div_ceil(4) => {
                Codes::Int8(unpacked_8(&packed.bytes, columns))
            }
            _ => return None,
        };
        Self::of([rows, columns], codes, scales)
    }

    fn of(shape: [usize; 2], codes: Codes, scales: &FileTensor) -> Option<Self> {
        let &[rows, groups] = &scales.shape[..] else {
            return None;
        };
        let n_codes = match &codes {
            Codes::Int4(codes) | Codes::Int8(codes) => codes.len(),
            Codes::E4m3(codes) => codes.len(),
        };
        let is_whole = groups > 0 && shape[1].is_multiple_of(groups);
        let fits = rows == shape[0] && n_codes == shape[0] * shape[1] && is_whole;
        fits.then_some(())?;
        Some(Self {
            shape,
            codes,
            scales: to_f32(scales.dtype, &scales.bytes)?,
        })
    }
}

/// Takes what a config says about codes out of it, so that it is that of the model they stand for.
///
/// # Errors
/// [`ModelError::Config`] for codes that are not read.
pub(crate) fn take_quantization(config: &mut Value, path: &Path) -> Result<(), ModelError> {
    let taken = config.as_object_mut();
    let Some(quantization) = taken.and_then(|keys| keys.remove("quantization_config")) else {
        return Ok(());
    };
    let text = |key: &str| quantization[key].as_str().unwrap_or("missing");
    let is_known = text("quant_method") == "compressed-tensors"
        && matches!(text("format"), "pack-quantized" | "float-quantized");
    if quantization.is_null() || is_known {
        return Ok(());
    }
    Err(ModelError::Config {
        path: path.into(),
        key: "quantization_config".into(),
        found: format!("{} in the format {}", text("quant_method"), text("format")),
        needed: "none, or compressed-tensors in the format pack-quantized or float-quantized"
            .into(),
    })
}

/// Rows of nibbles, filled up with zeros to whole words of 32 bits.
fn packed_4(codes: &[i8], columns: usize) -> Vec<u8> {
    rows(codes, columns, |row| {
        let nibble = |code: &i8| (code + 8) as u8;
        let pairs = row.chunks(2);
        pairs
            .map(|pair| nibble(&pair[0]) | pair.get(1).map_or(0, |high| nibble(high) << 4))
            .collect()
    })
}

fn packed_8(codes: &[i8], columns: usize) -> Vec<u8> {
    rows(codes, columns, |row| {
        row.iter().map(|&code| (code as u8) ^ 0x80).collect()
    })
}

fn rows(codes: &[i8], columns: usize, pack: impl Fn(&[i8]) -> Vec<u8>) -> Vec<u8> {
    let mut packed = Vec::new();
    for row in codes.chunks_exact(columns.max(1)) {
        packed.extend(pack(row));
        packed.resize(packed.len().next_multiple_of(4), 0);
    }
    packed
}

fn unpacked_4(bytes: &[u8], columns: usize) -> Vec<i8> {
    let rows = bytes.chunks_exact(columns.div_ceil(8).max(1) * 4);
    rows.flat_map(|row| {
        let nibbles = row.iter().flat_map(|byte| [byte & 15, byte >> 4]);
        nibbles.take(columns).map(|nibble| nibble as i8 - 8)
    })
    .collect()
}

fn unpacked_8(bytes: &[u8], columns: usize) -> Vec<i8> {
    let rows = bytes.chunks_exact(columns.div_ceil(4).max(1) * 4);
    rows.flat_map(|row| row.iter().take(columns).map(|byte| (byte ^ 0x80) as i8))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use slm_testkit::Golden;

    use super::*;

    fn golden() -> Golden {
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens/data");
        Golden::open(&Path::new(data).join("compressed.safetensors"))
    }

    /// What the package wrote, by the ends of the names.
    fn stored(golden: &Golden, case: &str) -> Vec<FileTensor> {
        let tensor = |end: &str, dtype, bytes| FileTensor {
            name: format!("{case}.weight{end}"),
            dtype,
            shape: golden.shape(&format!("{case}.weight{end}")),
            bytes,
        };
        let name = |end: &str| format!("{case}.weight{end}");
        let scales = golden.f32(&name("_scale"));
        let scales = scales.iter().flat_map(|v| v.to_le_bytes()).collect();
        let scales = tensor("_scale", Dtype::F32, scales);
        if golden.has(&name("")) {
            let codes = tensor("", Dtype::F8_E4M3, golden.u8(&name("")));
            return vec![codes, scales];
        }
        let words = golden.i32(&name("_packed"));
        let words = words.iter().flat_map(|v| v.to_le_bytes()).collect();
        let shape = golden.i64(&name("_shape"));
        let shape = shape.iter().flat_map(|v| v.to_le_bytes()).collect();
        vec![
            tensor("_packed", Dtype::I32, words),
            scales,
            tensor("_shape", Dtype::I64, shape),
        ]
    }

    #[test]
    fn codes_lie_as_the_package_lays_them() {
        let golden = golden();
        for case in ["int8", "int4", "int4_row", "fp8"] {
            let stored = stored(&golden, case);
            let matrix = match case {
                "fp8" => {
                    let [codes, scales] = <[FileTensor; 2]>::try_from(stored).ok().unwrap();
                    CompressedMatrix::of_floats(codes, &scales)
                }
                _ => {
                    let [packed, scales, shape] = <[FileTensor; 3]>::try_from(stored).ok().unwrap();
                    CompressedMatrix::of_integers(packed, &shape, &scales)
                }
            };
            let matrix = matrix.unwrap();
            assert_eq!(
                matrix.values(),
                golden.f32(&format!("{case}.values")),
                "{case}"
            );
            let written = matrix.tensors(case);
            for (found, needed) in written.iter().zip(self::stored(&golden, case)) {
                let of = |it: &FileTensor| (it.name.clone(), it.dtype, it.shape.clone());
                assert_eq!(of(found), of(&needed));
                assert_eq!(found.bytes, needed.bytes, "{}", needed.name);
            }
        }
    }

    #[test]
    fn what_does_not_fit_together_is_none() {
        let golden = golden();
        let cut = |change: fn(&mut [FileTensor; 3])| {
            let mut parts = <[FileTensor; 3]>::try_from(stored(&golden, "int4"))
                .ok()
                .unwrap();
            change(&mut parts);
            let [packed, scales, shape] = parts;
            CompressedMatrix::of_integers(packed, &shape, &scales)
        };
        assert!(cut(|_| {}).is_some());
        assert!(cut(|parts| parts[0].bytes.truncate(64)).is_none());
        assert!(cut(|parts| parts[0].shape = vec![4, 31]).is_none());
        assert!(cut(|parts| parts[1].shape = vec![4, 3]).is_none());
        assert!(cut(|parts| parts[2].bytes.truncate(8)).is_none());
    }

    #[test]
    fn other_ways_to_quantize_are_refused() {
        let package = "compressed-tensors";
        let take = |quantization| {
            let mut config = json!({"model_type": "llama", "quantization_config": quantization});
            take_quantization(&mut config, Path::new("config.json"))?;
            Ok::<_, ModelError>(config)
        };
        let known = json!({"quant_method": package, "format": "pack-quantized"});
        for quantization in [Value::Null, known] {
            assert_eq!(take(quantization).unwrap(), json!({"model_type": "llama"}));
        }
        for (method, format) in [(package, "nvfp4-pack-quantized"), ("gptq", "gptq")] {
            let error = take(json!({"quant_method": method, "format": format}));
            assert!(error.unwrap_err().to_string().contains(method));
        }
    }
}
