//! A file of floats becomes one of blocks, as `llama-quantize` makes it.

use std::ops::Range;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread::scope;

use crate::{
    Choice, FileType, GgufError, ImportanceMatrix, Metadata, Mixture, Reader, TensorInfo,
    TensorSpec, TensorType, TypeRule, Writer, codec, keys,
};

/// About how many elements are turned at a time.
const PIECE_ELEMENTS: u64 = 1 << 16;

/// How a file of floats becomes one of blocks: tensor by tensor, the source mapped, the result of one tensor in memory.
#[derive(Debug)]
pub struct Quantizer {
    /// What the weights become.
    pub file_type: FileType,
    /// How much columns matter, and the file that says so.
    pub importance: Option<(ImportanceMatrix, String)>,
    /// Tensors that become something else.
    pub rules: Vec<TypeRule>,
    /// Threads that turn the rows of a tensor, at least 1.
    pub n_threads: usize,
    /// Metadata keys that say something of the source alone.
    pub forgotten: Vec<String>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantized {
    /// Size of the file.
    pub size_bytes: u64,
    /// Tensors whose rows are not whole blocks of what they should be, with what they are instead.
    pub fallen_back: Vec<(String, TensorType)>,
    /// Tensors of layers that are in blocks although the importance matrix does not have them.
    pub unweighted: Vec<String>,
    /// Rules that no tensor is met by.
    pub unmet: Vec<String>,
}

impl Quantizer {
    /// Writes `source` in its new types to `target`, which appears when it is whole; `told` hears how many of all bytes of the source are read.
    ///
    /// # Errors
    /// [`GgufError::Requantized`] for a source that is in blocks already, [`GgufError::ImportanceSize`] for an importance
    /// matrix of another model; weights that the type cannot hold; the disk.
    pub fn write(
        &self,
        source: &Reader,
        target: &Path,
        told: &mut dyn FnMut(u64, u64),
    ) -> Result<Quantized, GgufError> {
        let infos = source.tensors();
        if let Some(info) = infos.iter().find(|info| info.tensor_type().is_quantized()) {
            return Err(GgufError::Requantized {
                name: info.name().into(),
                tensor_type: info.tensor_type(),
            });
        }
        let specs: Vec<_> = infos.iter().map(spec).collect();
        let mixture = Mixture {
            has_importance: self.importance.is_some(),
            rules: &self.rules,
            ..Mixture::of(source.metadata(), self.file_type)?
        };
        let choices = mixture.choose(&specs);
        let chosen = specs
            .into_iter()
            .zip(&choices)
            .map(|(spec, choice)| TensorSpec {
                tensor_type: choice.tensor_type,
                ..spec
            });
        let chosen: Vec<_> = chosen.collect();
        let weights = infos
            .iter()
            .map(|info| self.weights(info))
            .collect::<Result<Vec<_>, _>>()?;
        let quantized = self.summary(infos, &choices, &weights);

        let mut writer = Writer::create(target, &self.metadata(source), chosen)?;
        let total = infos.iter().map(TensorInfo::size_bytes).sum();
        let mut done = 0;
        for ((info, choice), weights) in infos.iter().zip(choices).zip(&weights) {
            let bytes = self.blocks(source, info, choice, weights.as_deref())?;
            writer.write_bytes(info.name(), &bytes)?;
            done += info.size_bytes();
            told(done, total);
        }
        Ok(Quantized {
            size_bytes: writer.finish()?,
            ..quantized
        })
    }

    fn metadata(&self, source: &Reader) -> Metadata {
        let mut metadata = source.metadata().clone();
        for key in &self.forgotten {
            metadata.remove(key);
        }
        metadata.set(&keys::general::FILE_TYPE, self.file_type.id());
        metadata.set(
            &keys::general::QUANTIZATION_VERSION,
            keys::general::QUANTIZATION_VERSION_NOW,
        );
        if let Some((matrix, file)) = &self.importance {
            matrix.note(file, &mut metadata);
        }
        metadata
    }

    fn weights(&self, info: &TensorInfo) -> Result<Option<Vec<f32>>, GgufError> {
        let Some((matrix, _)) = &self.importance else {
            return Ok(None);
        };
        matrix.weights_of(info.name(), info.row_len())
    }

    fn summary(
        &self,
        infos: &[TensorInfo],
        choices: &[Choice],
        weights: &[Option<Vec<f32>>],
    ) -> Quantized {
        let fallen_back = infos
            .iter()
            .zip(choices)
            .filter(|(_, choice)| choice.fell_back());
        let is_unweighted = |info: &TensorInfo, choice: &Choice, weights: &Option<Vec<f32>>| {
            self.importance.is_some()
                && choice.tensor_type.is_quantized()
                && info.name().starts_with("blk.")
                && weights.is_none()
        };
        let all = infos.iter().zip(choices).zip(weights);
        let unweighted =
            all.filter(|((info, choice), weights)| is_unweighted(info, choice, weights));
        let unmet = self
            .rules
            .iter()
            .filter(|rule| !infos.iter().any(|info| rule.meets(info.name())));
        Quantized {
            size_bytes: 0,
            fallen_back: fallen_back
                .map(|(info, choice)| (info.name().into(), choice.tensor_type))
                .collect(),
            unweighted: unweighted
                .map(|((info, _), _)| info.name().into())
                .collect(),
            unmet: unmet.map(ToString::to_string).collect(),
        }
    }

    /// A tensor in its new type; each thread turns some of the rows.
    fn blocks(
        &self,
        source: &Reader,
        info: &TensorInfo,
        choice: Choice,
        weights: Option<&[f32]>,
    ) -> Result<Vec<u8>, GgufError> {
        let row_bytes = choice.tensor_type.size_bytes(info.row_len())?;
        let mut bytes = vec![0; (row_bytes * info.n_rows()) as usize];
        let rows = info.n_rows().div_ceil(self.n_threads.max(1) as u64);
        scope(|scope| {
            let parts = bytes.chunks_mut((rows * row_bytes) as usize);
            let parts: Vec<_> = (0..)
                .zip(parts)
                .map(|(part, bytes)| {
                    let rows = part * rows..info.n_rows().min((part + 1) * rows);
                    scope.spawn(move || some_rows(source, info, choice, weights, rows, bytes))
                })
                .collect();
            parts
                .into_iter()
                .try_for_each(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })?;
        Ok(bytes)
    }
}

fn spec(info: &TensorInfo) -> TensorSpec {
    TensorSpec {
        name: info.name().to_string(),
        dims: info.dims().to_vec(),
        tensor_type: info.tensor_type(),
    }
}

fn some_rows(
    source: &Reader,
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
        let values = source.rows(info.name(), start..rows.end.min(start + piece))?;
        let turned = match weights {
            None => codec::quantize(choice.tensor_type, &values, bytes),
            Some(weights) => codec::quantize_weighted(choice.tensor_type, &values, weights, bytes),
        };
        turned.map_err(|source| GgufError::Encode {
            name: info.name().into(),
            source: Box::new(source),
        })?;
    }
    Ok(())
}
