//! A written file, read back as a stranger would read it and held against the model that was trained.

use std::path::Path;

use slm_gguf::{FileType, Reader, keys};
use slm_model::Decoder;
use slm_recipe::{CompressedScheme, Dtype};
use slm_text::ChatTokenizer;

use crate::compressed_comparison::scheme_of;
use crate::gguf_adapter::{is_gguf_adapter, read_gguf_adapter};
use crate::gguf_comparison::read_same;
use crate::seal::content_digest;
use crate::task_parity::AnswerTasks;
use crate::text_comparison::compare_texts;
use crate::{Comparison, ExportError, Trained, read_gguf_tokenizer};

/// How much text the worst place is shown with, in tokens.
const CONTEXT: usize = 12;

/// Judges files. Export and verification use the same one.
pub struct Certifier<'a> {
    trained: &'a Trained,
    tokenizer: &'a ChatTokenizer,
    tasks: Option<&'a AnswerTasks<'a>>,
}

/// A file or folder, as it was read back.
struct Opened {
    decoder: Decoder,
    /// None in an adapter's folder.
    tokenizer: Option<ChatTokenizer>,
    kind: Kind,
}

/// What decides how it is compared.
enum Kind {
    Floats,
    Codes(CompressedScheme),
    /// Of this type, by llama.cpp's name.
    Gguf(String),
}

impl<'a> Certifier<'a> {
    /// `tokenizer` is the one that the model was trained with; `tasks` answers the run's tasks with a rounded file.
    pub fn new(
        trained: &'a Trained,
        tokenizer: &'a ChatTokenizer,
        tasks: Option<&'a AnswerTasks<'a>>,
    ) -> Self {
        Self {
            trained,
            tokenizer,
            tasks,
        }
    }

    /// Reads the file or folder at `path`, which is called `file`, and compares it; `None` where there is nothing to compare on.
    ///
    /// # Errors
    /// It cannot be read, is another model, or a task cannot be answered.
    pub fn certify(&self, path: &Path, file: &str) -> Result<Option<Comparison>, ExportError> {
        let opened = self.open(path)?;
        if self.trained.n_tokens() == 0 {
            return Ok(None);
        }
        let (trained, decoder) = (self.trained, &opened.decoder);
        let mut comparison = match &opened.kind {
            Kind::Floats => trained.compare(file, "F32", decoder),
            Kind::Codes(scheme) => trained.compare_compressed(path, decoder, file, *scheme)?,
            Kind::Gguf(weights) => trained.compare_read_gguf(path, decoder, file, weights)?,
        };
        if let Some(tokenizer) = &opened.tokenizer {
            let probes = self.trained.probes();
            let (text, faults) = compare_texts(self.tokenizer, tokenizer, probes)?;
            comparison.text = text;
            comparison.faults.extend(faults);
        }
        self.answer_tasks(&opened, &mut comparison)?;
        self.tell_worst(&mut comparison);
        comparison.content_sha256 = content_digest(path)?;
        comparison.ok = comparison.faults.is_empty() && comparison.beyond.is_empty();
        Ok(Some(comparison))
    }

    fn open(&self, path: &Path) -> Result<Opened, ExportError> {
        let device = self.trained.merged().device();
        if path.join("adapter_config.json").exists() {
            let mut decoder = self.trained.decoder().base();
            decoder.load_adapter(path)?;
            return Ok(Opened {
                decoder,
                tokenizer: None,
                kind: Kind::Floats,
            });
        }
        if path.is_dir() {
            let decoder = Decoder::load(path, device, Dtype::F32)?;
            let scheme = scheme_of(path)?;
            return Ok(Opened {
                decoder,
                tokenizer: Some(ChatTokenizer::load(path, "auto")?.at(self.tokenizer.now())),
                kind: scheme.map_or(Kind::Floats, Kind::Codes),
            });
        }
        if is_gguf_adapter(path)? {
            return Ok(Opened {
                decoder: read_gguf_adapter(path, &self.trained.decoder().base())?,
                tokenizer: None,
                kind: Kind::Floats,
            });
        }
        Ok(Opened {
            decoder: read_same(path, self.trained.merged())?,
            tokenizer: Some(read_gguf_tokenizer(path)?.at(self.tokenizer.now())),
            kind: Kind::Gguf(weights_of(path)?),
        })
    }

    fn answer_tasks(
        &self,
        opened: &Opened,
        comparison: &mut Comparison,
    ) -> Result<(), ExportError> {
        let (Some(answer), Some(tokenizer)) = (self.tasks, &opened.tokenizer) else {
            return Ok(());
        };
        // What does not answer alike fails already; its answers take as long as good ones.
        if !comparison.is_rounded() || !comparison.faults.is_empty() {
            return Ok(());
        }
        let tasks = answer(&opened.decoder, tokenizer);
        comparison.tasks = tasks.map_err(|source| ExportError::Tasks { source })?;
        let limits = self.trained.limits();
        let beyond = comparison.tasks.iter();
        comparison
            .beyond
            .extend(beyond.filter_map(|task| task.beyond(limits)));
        Ok(())
    }

    /// The text of the place where the two differ most.
    fn tell_worst(&self, comparison: &mut Comparison) {
        let Some(worst) = &mut comparison.worst else {
            return;
        };
        let ids = &self.trained.probes()[worst.prompt].ids[..=worst.place];
        let from = ids.len().saturating_sub(CONTEXT);
        // A character may be cut at the front; that is no reason to fail.
        worst.text = self
            .tokenizer
            .decode(&ids[from..], false)
            .unwrap_or_default();
    }
}

/// The type of a GGUF file's weights, by llama.cpp's name.
fn weights_of(path: &Path) -> Result<String, ExportError> {
    let reader = Reader::open(path)?;
    let id = reader.metadata().get(&keys::general::FILE_TYPE)?;
    let known = id.and_then(FileType::from_id);
    Ok(known.map_or("unknown".into(), |kind| kind.name().to_string()))
}
