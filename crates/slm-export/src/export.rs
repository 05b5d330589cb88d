//! The walk: which files, in which order, and `export.json`.

use std::path::Path;

use burn::tensor::DType;
use serde::{Deserialize, Serialize};
use serde_json::json;
use slm_gguf::FileType;
use slm_model::{Activation, Decoder, ModelError, Param, save_adapter};
use slm_recipe::{ExportSection, GgufType};
use slm_run::{AtomicDir, AtomicFile, Emit, Event, RunError, sha256_file, write_file_atomic};
use slm_text::ChatTokenizer;

use crate::folders::{self, Folder};
use crate::gguf_adapter::{read_gguf_adapter, write_gguf_adapter};
use crate::gguf_comparison::read_same;
use crate::gguf_file::GgufFile;
use crate::gguf_metadata::model_metadata;
use crate::vocabulary::set_vocabulary;
use crate::{Comparison, ExportError, Trained};

/// The list of what was exported, written last.
pub const EXPORT_JSON: &str = "export.json";
/// Version of [`EXPORT_JSON`].
const FORMAT_VERSION: u32 = 1;
/// The adapter's folder.
const ADAPTER: &str = "adapter";
/// The whole model's folder.
const MERGED: &str = "merged";

/// What to export, and where.
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
    /// Token ids of held-out prompts, on which every file is compared with the trained model.
    pub probes: &'a [Vec<u32>],
    /// The folder that the files go to.
    pub out: &'a Path,
}

/// One file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Relative to the export folder, with `/`: `merged/config.json`.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: String,
}

/// What was written, and how it compares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    /// Every file, [`EXPORT_JSON`] itself apart.
    pub files: Vec<File>,
    /// One for `adapter`, for `merged` and for each GGUF file; none where there were no prompts.
    pub comparisons: Vec<Comparison>,
}

/// Writes the files that the section names, compares each with the trained model, and lists them in `export.json`.
///
/// A file that differs does not appear. The others do, `export.json` then has the figures of all, and the error is
/// [`ExportError::Mismatch`]. Without prompts nothing can be compared; a warning says so.
///
/// # Errors
/// See [`ExportError`].
pub fn export(request: &Request<'_>, emit: Emit<'_>) -> Result<Exported, ExportError> {
    ensure_name(request.name)?;
    let out = request.out;
    fs_err::create_dir_all(out).map_err(|error| RunError::io(out, error))?;
    remove_list(out)?;
    let decoder = in_f32(request)?;
    let trained = Trained::new(&decoder, request.probes, &request.section.parity)?;
    if trained.n_tokens() == 0 {
        let text = "there are no held-out prompts: the exported files are not compared with the trained model";
        emit(Event::Warning { text: text.into() });
    }
    let writes_whole = request.section.merged || !request.section.gguf.is_empty();
    if writes_whole && request.decoder.quant_scheme().is_some() {
        let text = "the base is quantized: `merged` and GGUF files hold what its codes stand for, with the adapter added";
        emit(Event::Note { text: text.into() });
    }
    let mut walk = Walk {
        request,
        trained,
        files: Vec::new(),
        comparisons: Vec::new(),
        emit,
    };
    walk.folders()?;
    if request.section.gguf_adapter && !request.decoder.lora_params().is_empty() {
        walk.gguf_adapter()?;
    }
    walk.merge();
    for &weights in &request.section.gguf {
        walk.gguf(weights)?;
    }
    walk.finish()
}

struct Walk<'a> {
    request: &'a Request<'a>,
    trained: Trained,
    files: Vec<File>,
    comparisons: Vec<Comparison>,
    emit: Emit<'a>,
}

impl Walk<'_> {
    fn folders(&mut self) -> Result<(), ExportError> {
        let Request { section, out, .. } = *self.request;
        let has_adapter = !self.request.decoder.lora_params().is_empty();
        if section.peft_adapter && has_adapter {
            let base_model = self.request.base_model;
            let folder = folders::adapter(&self.trained, base_model, out, ADAPTER)?;
            self.keep_folder(folder, ADAPTER)?;
        }
        if section.merged {
            let folder = folders::merged(
                &self.trained,
                self.request.tokenizer,
                self.request.base_dir,
                out,
                MERGED,
            )?;
            self.keep_folder(folder, MERGED)?;
        }
        Ok(())
    }

    fn keep_folder(&mut self, folder: Folder, name: &str) -> Result<(), ExportError> {
        if self.judge(folder.comparison) {
            folder.dir.commit()?;
            let path = self.request.out.join(name);
            let mut size_bytes = 0;
            for entry in names(&path)? {
                size_bytes += self.list(&format!("{name}/{entry}"))?;
            }
            (self.emit)(Event::Wrote { path, size_bytes });
        }
        Ok(())
    }

    /// GGUF files are made from the merged weights, so these have to answer like base and adapter. The folder of them was
    /// compared when it was written.
    fn merge(&mut self) {
        let Request { section, .. } = *self.request;
        let is_new = !section.merged && !section.gguf.is_empty() && self.trained.n_tokens() > 0;
        if is_new {
            let merged = self.trained.merged();
            self.comparisons
                .push(self.trained.compare("merged weights", "F32", merged));
        }
    }

    /// The adapter alone, for a runtime that has the base already.
    fn gguf_adapter(&mut self) -> Result<(), ExportError> {
        let Request {
            name,
            out,
            base_model,
            ..
        } = *self.request;
        let file_name = format!("{name}-lora-F32.gguf");
        let path = out.join(&file_name);
        let file = AtomicFile::new(&path)?;
        let trained = &self.trained;
        write_gguf_adapter(trained.decoder(), name, base_model, file.path())?;
        let reloaded = read_gguf_adapter(file.path(), &trained.decoder().base())?;
        let is_measurable = trained.n_tokens() > 0;
        let comparison = is_measurable.then(|| trained.compare(&file_name, "F32", &reloaded));
        if self.judge(comparison) {
            file.commit()?;
            let size_bytes = self.list(&file_name)?;
            (self.emit)(Event::Wrote { path, size_bytes });
        }
        Ok(())
    }

    fn gguf(&mut self, weights: GgufType) -> Result<(), ExportError> {
        let Request { name, out, .. } = *self.request;
        let file_name = format!("{name}-{}.gguf", weights.name());
        let path = out.join(&file_name);
        let file = AtomicFile::new(&path)?;
        self.write_gguf(weights, &file_name, file.path())?;
        let trained = &self.trained;
        let comparison = if trained.n_tokens() > 0 {
            Some(trained.compare_gguf(file.path(), &file_name, weights.name())?)
        } else {
            let merged = trained.merged();
            read_same(file.path(), merged)?;
            None
        };
        if self.judge(comparison) {
            file.commit()?;
            let size_bytes = self.list(&file_name)?;
            (self.emit)(Event::Wrote { path, size_bytes });
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
        if config.activation == Activation::Gelu {
            let text = format!(
                "llama.cpp computes GELU by its approximation with tanh: answers to `{file_name}` may differ in the fourth digit"
            );
            (self.emit)(Event::Note { text });
        }
        let file = GgufFile::plan(self.trained.merged(), &metadata, file_type)?;
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

    /// Keeps the figures; whether the file may be kept too.
    fn judge(&mut self, comparison: Option<Comparison>) -> bool {
        let is_ok = comparison.as_ref().is_none_or(|comparison| comparison.ok);
        self.comparisons.extend(comparison);
        is_ok
    }

    /// Adds a finished file to the list; its size.
    fn list(&mut self, relative: &str) -> Result<u64, ExportError> {
        let path = self.request.out.join(relative);
        let metadata = fs_err::metadata(&path).map_err(|error| RunError::io(&path, error))?;
        self.files.push(File {
            path: relative.into(),
            size_bytes: metadata.len(),
            sha256: sha256_file(&path)?,
        });
        Ok(metadata.len())
    }

    fn finish(self) -> Result<Exported, ExportError> {
        let Self {
            request,
            files,
            comparisons,
            ..
        } = self;
        let list = json!({
            "format_version": FORMAT_VERSION,
            "name": request.name,
            "base_model": request.base_model,
            "files": files,
            "comparisons": comparisons,
        });
        write_file_atomic(
            request.out.join(EXPORT_JSON),
            format!("{list:#}\n").as_bytes(),
        )?;
        let failed: Vec<Comparison> = comparisons.iter().filter(|c| !c.ok).cloned().collect();
        match failed.is_empty() {
            true => Ok(Exported { files, comparisons }),
            false => Err(ExportError::Mismatch { failed }),
        }
    }
}

fn ensure_name(name: &str) -> Result<(), ExportError> {
    if name.is_empty() || name.contains(['/', '\\']) || matches!(name, "." | "..") {
        return Err(ExportError::Name { name: name.into() });
    }
    Ok(())
}

/// What an earlier export listed is not true any more.
fn remove_list(out: &Path) -> Result<(), RunError> {
    let path = out.join(EXPORT_JSON);
    match fs_err::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(RunError::io(&path, error))
        }
        _ => Ok(()),
    }
}

/// The names in a folder, sorted.
fn names(dir: &Path) -> Result<Vec<String>, RunError> {
    let failed = |error| RunError::io(dir, error);
    let mut names = Vec::new();
    for entry in fs_err::read_dir(dir).map_err(failed)? {
        names.push(
            entry
                .map_err(failed)?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    names.sort();
    Ok(names)
}

/// The trained model outside the graph and in f32, so that merging rounds nothing and files are compared with what the
/// weights say.
fn in_f32(request: &Request<'_>) -> Result<Decoder, ExportError> {
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
        save_adapter(decoder, request.base_model, dir.path())?;
        widened.load_adapter(dir.path())?;
    }
    Ok(widened)
}
