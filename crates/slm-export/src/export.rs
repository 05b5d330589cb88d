//! The walk: which files, in which order, and what is kept of them.

mod calibrated;
mod ending;

pub use ending::COMPANIONS;

use std::path::Path;

use slm_gguf::{FileType, Value};
use slm_model::{Activation, Decoder};
use slm_recipe::{ExportSection, GgufType};
use slm_run::{AtomicDir, AtomicFile, Emit, Event, RunError};
use slm_text::ChatTokenizer;

use crate::certifier::Certifier;
use crate::gguf_adapter::write_gguf_adapter;
use crate::gguf_file::GgufFile;
use crate::gguf_metadata::model_metadata;
use crate::precision::in_f32;
use crate::quantization::Quantization;
use crate::seal::{BLANK, CERTIFICATE_KEY};
use crate::task_parity::AnswerTasks;
use crate::vocabulary::set_vocabulary;
use crate::{
    CERTIFICATE_JSON, CalibrationSize, Comparison, EXPORT_JSON, ExportError, Exported, Probe,
    Trained, folders,
};

/// The adapter's folder.
const ADAPTER: &str = "adapter";
/// The whole model's folder.
const MERGED: &str = "merged";

/// What to export, and where.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Which files.
    pub section: &'a ExportSection,
    /// The run's name: the GGUF files are `<name>-<TYPE>.gguf`.
    pub name: &'a str,
    /// The base as the recipe names it, for the adapter's and the GGUF's metadata.
    pub base_model: &'a str,
    /// The trained model: the base with its adapter, or fully trained.
    pub decoder: &'a Decoder,
    /// The tokenizer that it was trained with.
    pub tokenizer: &'a ChatTokenizer,
    /// The base's folder, for `generation_config.json`.
    pub base_dir: &'a Path,
    /// Held-out rows, on which every file is compared with the trained model.
    pub probes: &'a [Probe],
    /// Token ids of training rows, on which the model is observed where `section` asks for it: the first ones, see
    /// [`CALIBRATION_ROWS`](crate::CALIBRATION_ROWS).
    pub calibration: &'a [Vec<u32>],
    /// The folder that the files go to.
    pub out: &'a Path,
}

/// Writes the files that the section names, compares each with the trained model, and lists them in `export.json`; `certificate.json`
/// has the figures of all. `tasks` answers the run's tasks with a rounded file.
///
/// A file that differs gets another name, with `refused` in it, and the error is then [`ExportError::Mismatch`]. Without prompts nothing
/// can be compared, and there is no certificate; a warning says so.
///
/// # Errors
/// See [`ExportError`].
pub fn export(
    request: &Request<'_>,
    tasks: Option<&AnswerTasks<'_>>,
    emit: Emit<'_>,
) -> Result<Exported, ExportError> {
    ensure_name(request.name)?;
    let out = request.out;
    fs_err::create_dir_all(out).map_err(|error| RunError::io(out, error))?;
    for list in [EXPORT_JSON, CERTIFICATE_JSON] {
        remove(&out.join(list))?;
    }
    let decoder = in_f32(request)?;
    let trained = Trained::new(&decoder, request.probes, &request.section.parity)?;
    if trained.n_tokens() == 0 {
        let text = "there are no held-out prompts: the exported files are not compared with the trained model";
        emit(Event::Warning { text: text.into() });
    }
    if writes_whole(request.section) && request.decoder.quant_scheme().is_some() {
        let text = "the base is quantized: files of the whole model hold what its codes stand for, with the adapter added";
        emit(Event::Note { text: text.into() });
    }
    let walk = Walk {
        request,
        trained: &trained,
        certifier: Certifier::new(&trained, request.tokenizer, tasks),
        quantization: Quantization::of(&request.section.tensor_types)?,
        calibration: None,
        kept: Vec::new(),
        refused: Vec::new(),
        comparisons: Vec::new(),
        emit,
    };
    walk.all()
}

struct Walk<'a, 'b> {
    request: &'a Request<'a>,
    trained: &'a Trained,
    certifier: Certifier<'a>,
    quantization: Quantization,
    calibration: Option<CalibrationSize>,
    /// Names of the artifacts that may be shipped.
    kept: Vec<String>,
    /// Names of the others.
    refused: Vec<String>,
    comparisons: Vec<Comparison>,
    emit: Emit<'b>,
}

impl Walk<'_, '_> {
    fn all(mut self) -> Result<Exported, ExportError> {
        let section = self.request.section;
        let has_adapter = !self.request.decoder.lora_params().is_empty();
        if section.peft_adapter && has_adapter {
            let dir = folders::adapter(self.trained, self.request, self.at(ADAPTER))?;
            self.keep_folder(dir, ADAPTER)?;
        }
        if section.gguf_adapter && has_adapter {
            self.gguf_adapter()?;
        }
        if section.merged {
            let dir = folders::merged(self.trained, self.request, self.at(MERGED))?;
            self.keep_folder(dir, MERGED)?;
        }
        self.merge();
        for &scheme in &section.compressed_tensors {
            self.compressed(scheme)?;
        }
        self.prepare_quantization()?;
        for &weights in &section.gguf {
            self.gguf(weights)?;
        }
        self.finish()
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.request.out.join(name)
    }

    /// Quantized files are made from the merged weights, so these have to answer like base and adapter. The folder of them was
    /// compared when it was written.
    fn merge(&mut self) {
        let section = self.request.section;
        let is_new = !section.merged && writes_whole(section) && self.trained.n_tokens() > 0;
        if is_new {
            let merged = self.trained.merged();
            self.comparisons
                .push(self.trained.compare("merged weights", "F32", merged));
        }
    }

    /// The adapter alone, for a runtime that has the base already.
    fn gguf_adapter(&mut self) -> Result<(), ExportError> {
        let Request {
            name, base_model, ..
        } = *self.request;
        let file_name = format!("{name}-lora-F32.gguf");
        let file = AtomicFile::new(self.at(&file_name))?;
        write_gguf_adapter(self.trained.decoder(), name, base_model, file.path())?;
        self.keep_file(file, &file_name)
    }

    fn gguf(&mut self, weights: GgufType) -> Result<(), ExportError> {
        let name = format!("{}-{}.gguf", self.request.name, weights.name());
        let file = AtomicFile::new(self.at(&name))?;
        self.write_gguf(weights, &name, file.path())?;
        self.keep_file(file, &name)
    }

    fn keep_file(&mut self, file: AtomicFile, name: &str) -> Result<(), ExportError> {
        match self.judge(file.path(), name)? {
            None => file.commit()?,
            Some(refused) => file.under(&refused).commit()?,
        }
        Ok(())
    }

    fn keep_folder(&mut self, dir: AtomicDir, name: &str) -> Result<(), ExportError> {
        match self.judge(dir.path(), name)? {
            None => dir.commit()?,
            Some(refused) => dir.under(&refused).commit()?,
        }
        Ok(())
    }

    fn write_gguf(
        &mut self,
        weights: GgufType,
        file_name: &str,
        path: &Path,
    ) -> Result<(), ExportError> {
        let Request {
            name,
            base_model,
            tokenizer,
            ..
        } = *self.request;
        let config = self.trained.merged().config();
        let n_params = self.trained.merged().n_params();
        // Both have llama.cpp's names; a test holds them to each other.
        let file_type: FileType = weights.name().parse()?;
        let mut metadata = model_metadata(config, n_params, file_type, name, base_model);
        metadata.insert(CERTIFICATE_KEY, Value::String(BLANK.into()));
        if config.activation == Activation::Gelu {
            let text = format!(
                "llama.cpp computes GELU by its approximation with tanh: answers to `{file_name}` may differ in the fourth digit"
            );
            (self.emit)(Event::Note { text });
        }
        let quantization = &self.quantization;
        if let Some(importance) = quantization
            .importance
            .as_ref()
            .filter(|_| weights.is_quantized())
        {
            importance.note(&mut metadata);
        }
        let file = GgufFile::plan(self.trained.merged(), &metadata, file_type, quantization)?;
        if let (Some(first), true) = (file.unweighted.first(), quantization.importance.is_some()) {
            let n = file.unweighted.len();
            let text = format!(
                "the importance matrix has nothing for {n} tensors of `{file_name}`, such as `{first}`: their columns matter evenly"
            );
            (self.emit)(Event::Note { text });
        }
        let n = file.fallen_back.len();
        if let Some((first, tensor_type)) = file.fallen_back.first() {
            let text = format!(
                "{n} tensors of `{file_name}` have a larger type, because a row is not whole blocks of theirs: `{first}` is {tensor_type}"
            );
            (self.emit)(Event::Note { text });
        }
        set_vocabulary(&mut metadata, tokenizer, config.vocab_size, self.emit)?;
        file.write(&metadata, path)
    }

    /// Compares what was written to `path` and is to be called `name`; the name that it gets instead, where it is refused.
    fn judge(&mut self, path: &Path, name: &str) -> Result<Option<String>, ExportError> {
        let comparison = self.certifier.certify(path, name)?;
        let is_ok = comparison.as_ref().is_none_or(|comparison| comparison.ok);
        self.comparisons.extend(comparison);
        let refused = refused_name(name);
        // What an earlier export left under the name that is not given now.
        remove(&self.at(if is_ok { &refused } else { name }))?;
        if is_ok {
            self.kept.push(name.into());
            return Ok(None);
        }
        if let Some(last) = self.comparisons.last_mut() {
            last.file.clone_from(&refused);
        }
        self.refused.push(refused.clone());
        Ok(Some(refused))
    }
}

/// `run-Q2_K.gguf` is kept as `run-Q2_K.refused.gguf`, `merged` as `merged.refused`.
fn refused_name(name: &str) -> String {
    match name.strip_suffix(".gguf") {
        Some(stem) => format!("{stem}.refused.gguf"),
        None => format!("{name}.refused"),
    }
}

/// Whether a file holds the whole model.
fn writes_whole(section: &ExportSection) -> bool {
    section.merged || !section.gguf.is_empty() || !section.compressed_tensors.is_empty()
}

fn ensure_name(name: &str) -> Result<(), ExportError> {
    if name.is_empty() || name.contains(['/', '\\']) || matches!(name, "." | "..") {
        return Err(ExportError::Name { name: name.into() });
    }
    Ok(())
}

/// What an earlier export wrote is not true any more.
fn remove(path: &Path) -> Result<(), RunError> {
    let removed = match path.is_dir() {
        true => fs_err::remove_dir_all(path),
        false => fs_err::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(RunError::io(path, error))
        }
        _ => Ok(()),
    }
}
