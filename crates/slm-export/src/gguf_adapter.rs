//! The adapter alone as a GGUF file, which llama.cpp loads beside that of the base.
//!
//! What `convert_lora_to_gguf.py` writes and `llama_adapter_lora_init` reads: a pair of tensors for each layer, under the name
//! of the tensor that they are added to. The product counts `alpha / rank` times, with one alpha for all.

use std::path::Path;

use slm_gguf::{FileType, Metadata, Reader, TensorSpec, TensorType, Value, Writer, keys};
use slm_model::{Decoder, DecoderConfig, LoraPair};

use crate::ExportError;
use crate::architecture::tensor_name;
use crate::ggml_rows::Rows;
use crate::gguf_limits::ensure_expressible;
use crate::gguf_metadata::set_base_model;
use crate::seal::{BLANK, CERTIFICATE_KEY};

/// Writes the adapter of `decoder` to `path`; `name` is the run's, `base_model` a folder or a hub name.
///
/// Where layers differ in what their product is multiplied by, the difference is in `lora_b`.
///
/// # Errors
/// [`ExportError::NotInGgufAdapter`] for what is no pair (DoRA, `modules_to_save`), [`ExportError::NotInGguf`] for a base that no
/// GGUF file can hold, [`ExportError::Gguf`] for the disk.
pub(crate) fn write_gguf_adapter(
    decoder: &Decoder,
    name: &str,
    base_model: &str,
    path: &Path,
) -> Result<(), ExportError> {
    let config = decoder.config();
    ensure_expressible(config)?;
    if let Some(what) = decoder.beside_pairs() {
        return Err(ExportError::NotInGgufAdapter { what });
    }
    let pairs = decoder.lora_pairs();
    let alpha = pairs.first().map_or(1.0, alpha_of);
    let tensors = pairs.into_iter().map(|pair| tensors(config, pair, alpha));
    let tensors: Vec<_> = tensors.collect::<Result<Vec<_>, _>>()?;
    let metadata = metadata(config, name, base_model, alpha);
    let tensors = || tensors.iter().flatten();
    let specs = tensors().map(|(spec, _)| spec.clone()).collect();
    let mut writer = Writer::create(path, &metadata, specs)?;
    for (spec, values) in tensors() {
        writer.write_f32(&spec.name, values)?;
    }
    writer.finish()?;
    Ok(())
}

/// PEFT's `lora_alpha`, also where the pair counts `alpha / √rank` times.
fn alpha_of(pair: &LoraPair) -> f64 {
    pair.scale * pair.rank as f64
}

fn metadata(config: &DecoderConfig, name: &str, base_model: &str, alpha: f64) -> Metadata {
    use keys::{adapter, general};
    let mut metadata = Metadata::new();
    metadata.set(&general::ARCHITECTURE, config.family.gguf.to_string());
    metadata.set(&general::TYPE, adapter::GENERAL_TYPE.to_string());
    metadata.set(&adapter::TYPE, adapter::LORA.to_string());
    metadata.set(&general::NAME, name.to_string());
    set_base_model(&mut metadata, base_model);
    metadata.insert(CERTIFICATE_KEY, Value::String(BLANK.into()));
    metadata.set(&general::FILE_TYPE, FileType::F32.id());
    metadata.set(&adapter::LORA_ALPHA, alpha as f32);
    metadata.set(
        &general::QUANTIZATION_VERSION,
        general::QUANTIZATION_VERSION_NOW,
    );
    metadata
}

/// `[lora_a, lora_b]` of one layer.
fn tensors(
    config: &DecoderConfig,
    pair: LoraPair,
    alpha: f64,
) -> Result<[(TensorSpec, Vec<f32>); 2], ExportError> {
    let (name, rows) = place(config, &pair.module)?;
    let (rank, own) = (pair.rank, alpha_of(&pair));
    let (input, out) = (pair.a.len() / rank, pair.b.len() / rank);
    let mut b = rows.to_ggml(pair.b, &[out, rank], config.head_dim);
    if own != alpha {
        let share = (own / alpha) as f32;
        b.iter_mut().for_each(|value| *value *= share);
    }
    let spec = |part: &str, shape: [usize; 2]| {
        TensorSpec::from_shape(format!("{name}.{part}"), &shape, TensorType::F32)
    };
    Ok([
        (spec("lora_a", [rank, input]), pair.a),
        (spec("lora_b", [out, rank]), b),
    ])
}

/// The tensor that a layer's pair is added to, and the order of the rows of `lora_b`: those of the tensor, but that a pair is
/// never transposed.
fn place(config: &DecoderConfig, module: &str) -> Result<(String, Rows), ExportError> {
    let (architecture, hf) = (config.family.gguf, format!("{module}.weight"));
    let name = tensor_name(architecture, &hf).ok_or_else(|| ExportError::NotInGguf {
        what: format!("`{hf}`"),
    })?;
    Ok(match Rows::of(architecture, &hf) {
        Rows::Transposed => (name, Rows::Same),
        rows => (name, rows),
    })
}

/// Whether the GGUF file at `path` says that it is an adapter.
///
/// # Errors
/// [`ExportError::Gguf`] where it is no GGUF file.
pub(crate) fn is_gguf_adapter(path: &Path) -> Result<bool, ExportError> {
    let kind = Reader::open(path)?.metadata().get(&keys::general::TYPE)?;
    Ok(kind.as_deref() == Some(keys::adapter::GENERAL_TYPE))
}

/// Reads the adapter at `path` and puts it on `base`, which has none.
///
/// # Errors
/// [`ExportError::Gguf`] where the file is not whole, [`ExportError::OddTensors`] where it is no adapter of this base.
pub fn read_gguf_adapter(path: &Path, base: &Decoder) -> Result<Decoder, ExportError> {
    let reader = Reader::open(path)?;
    let config = base.config();
    let odd = |what: String| ExportError::OddTensors {
        path: path.into(),
        what,
    };
    for (key, needed) in [
        (keys::general::TYPE, keys::adapter::GENERAL_TYPE),
        (keys::adapter::TYPE, keys::adapter::LORA),
        (keys::general::ARCHITECTURE, config.family.gguf),
    ] {
        let found = reader.metadata().require(&key)?;
        if found != needed {
            return Err(odd(format!(
                "`{}` is `{found}`, needed `{needed}`",
                key.name()
            )));
        }
    }
    let alpha = f64::from(reader.metadata().require(&keys::adapter::LORA_ALPHA)?);
    let mut pairs = Vec::new();
    for (module, [out, input]) in base.linear_shapes() {
        let (name, rows) = place(config, &module)?;
        let [a, b] = ["lora_a", "lora_b"].map(|part| format!("{name}.{part}"));
        let Ok(first) = reader.tensor(&a) else {
            continue;
        };
        let (first, second) = (first.shape(), reader.tensor(&b)?.shape());
        let rank = first.first().copied().unwrap_or(0);
        let needed = (vec![rank, input as u64], vec![out as u64, rank]);
        if rank == 0 || (&first, &second) != (&needed.0, &needed.1) {
            return Err(odd(format!(
                "the pair of `{name}` has the shapes {first:?} and {second:?}, needed {needed:?}"
            )));
        }
        let rank = rank as usize;
        let b = rows.to_hf(reader.dequantize(&b)?, &[out, rank], config.head_dim);
        pairs.push(LoraPair {
            module,
            a: reader.dequantize(&a)?,
            b,
            rank,
            scale: alpha / rank as f64,
        });
    }
    let (held, used) = (reader.tensors().len(), 2 * pairs.len());
    if held != used {
        return Err(odd(format!(
            "it holds {held} tensors, the base has places for {used} of them"
        )));
    }
    let mut adapted = base.clone();
    adapted.place_pairs(pairs)?;
    Ok(adapted)
}
