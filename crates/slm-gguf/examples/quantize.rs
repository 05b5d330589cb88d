//! `llama-quantize` in a page: a GGUF file of floats becomes one of blocks.
//!
//!     cargo run --release -p slm-gguf --example quantize -- SOURCE TARGET Q4_K_M [THREADS [IMATRIX [REGEX=TYPE...]]]
//!
//! `IMATRIX` may be `-`. tests/peers/llama_quantize.py compares what it writes with what llama.cpp writes.

#![expect(clippy::print_stderr, reason = "an example tells what it does")]

use std::error::Error;
use std::ops::Range;
use std::time::Instant;

use slm_gguf::{
    Choice, FileType, GgufError, ImportanceMatrix, Mixture, Reader, TensorInfo, TensorSpec,
    TypeRule, Writer, codec, keys,
};

/// About how many elements are turned at a time.
const PIECE_ELEMENTS: u64 = 1 << 16;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, target, file_type, more @ ..] = arguments.as_slice() else {
        return Err("needs SOURCE TARGET FILE_TYPE".into());
    };
    let file_type: FileType = file_type.parse()?;
    let n_threads = more.first().map_or(Ok(1), |text| text.parse())?;
    let importance = more.get(1).filter(|path| *path != "-");
    let importance = importance.map(ImportanceMatrix::read).transpose()?;
    let rules = more.iter().skip(2).map(|rule| rule.parse());
    let rules: Vec<TypeRule> = rules.collect::<Result<_, _>>()?;

    let began = Instant::now();
    let reader = Reader::open(source)?;
    let specs: Vec<_> = reader.tensors().iter().map(spec).collect();
    let mixture = Mixture {
        has_importance: importance.is_some(),
        rules: &rules,
        ..Mixture::of(reader.metadata(), file_type)?
    };
    let choices = mixture.choose(&specs);
    let chosen = specs
        .into_iter()
        .zip(&choices)
        .map(|(spec, choice)| TensorSpec {
            tensor_type: choice.tensor_type,
            ..spec
        });
    let mut metadata = reader.metadata().clone();
    metadata.set(&keys::general::FILE_TYPE, file_type.id());
    let version = keys::general::QUANTIZATION_VERSION_NOW;
    metadata.set(&keys::general::QUANTIZATION_VERSION, version);

    let mut writer = Writer::create(target, &metadata, chosen.collect())?;
    for (info, choice) in reader.tensors().iter().zip(&choices) {
        if choice.fell_back() {
            let Choice {
                tensor_type,
                wanted,
            } = choice;
            let (name, len) = (info.name(), info.row_len());
            eprintln!("`{name}` is {tensor_type}: rows of {len} are not whole blocks of {wanted}");
        }
        let weights = importance
            .as_ref()
            .and_then(|matrix| matrix.weights(info.name()));
        let bytes = blocks(&reader, info, *choice, weights.as_deref(), n_threads)?;
        writer.write_bytes(info.name(), &bytes)?;
    }
    let size_bytes = writer.finish()?;
    let elapsed_s = began.elapsed().as_secs_f64();
    eprintln!("{size_bytes} bytes in {elapsed_s:.2} s");
    Ok(())
}

fn spec(info: &TensorInfo) -> TensorSpec {
    TensorSpec {
        name: info.name().to_string(),
        dims: info.dims().to_vec(),
        tensor_type: info.tensor_type(),
    }
}

/// A tensor in its new type; each thread turns some of the rows.
fn blocks(
    reader: &Reader,
    info: &TensorInfo,
    choice: Choice,
    weights: Option<&[f32]>,
    n_threads: u64,
) -> Result<Vec<u8>, GgufError> {
    let row_bytes = choice.tensor_type.size_bytes(info.row_len())?;
    let mut bytes = vec![0; (row_bytes * info.n_rows()) as usize];
    let rows = info.n_rows().div_ceil(n_threads.max(1));
    std::thread::scope(|scope| {
        let parts = bytes.chunks_mut((rows * row_bytes) as usize);
        let parts: Vec<_> = (0..)
            .zip(parts)
            .map(|(part, bytes)| {
                let rows = part * rows..info.n_rows().min((part + 1) * rows);
                scope.spawn(move || some_rows(reader, info, choice, weights, rows, bytes))
            })
            .collect();
        parts.into_iter().try_for_each(|part| {
            part.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;
    Ok(bytes)
}

fn some_rows(
    reader: &Reader,
    info: &TensorInfo,
    choice: Choice,
    weights: Option<&[f32]>,
    rows: Range<u64>,
    bytes: &mut [u8],
) -> Result<(), GgufError> {
    let piece = PIECE_ELEMENTS.div_ceil(info.row_len());
    let piece_bytes = choice.tensor_type.size_bytes(piece * info.row_len())? as usize;
    let starts = rows.clone().step_by(piece as usize);
    for (start, bytes) in starts.zip(bytes.chunks_mut(piece_bytes)) {
        let values = reader.rows(info.name(), start..rows.end.min(start + piece))?;
        match weights {
            None => codec::quantize(choice.tensor_type, &values, bytes)?,
            Some(weights) => {
                codec::quantize_weighted(choice.tensor_type, &values, weights, bytes)?;
            }
        }
    }
    Ok(())
}
