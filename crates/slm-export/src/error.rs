//! What can go wrong with an export.

use std::path::PathBuf;

use slm_gguf::GgufError;
use slm_model::ModelError;
use slm_run::RunError;
use slm_text::TextError;
use thiserror::Error;

use crate::Comparison;

/// Why a file could not be exported, or must not be shipped.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The trained model could not be written or read back.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tokenizer's files could not be read.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A file or folder could not be written.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A GGUF file could not be written or read back.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A run's name that is not the name of a file.
    #[error("the name `{name}` cannot be that of a file, needed one without `/` and `\\`")]
    Name {
        /// The name.
        name: String,
    },
    /// The model has something that llama.cpp has no place for.
    #[error("GGUF has no place for {what}")]
    NotInGguf {
        /// What it is.
        what: String,
    },
    /// The adapter has something that is no pair of matrices.
    #[error("a GGUF adapter has no place for {what}")]
    NotInGgufAdapter {
        /// What it is.
        what: String,
    },
    /// A tokenizer that llama.cpp does not run.
    #[error("`tokenizer.json` has {found}, GGUF takes {needed}")]
    Tokenizer {
        /// What was found.
        found: String,
        /// What was needed.
        needed: &'static str,
    },
    /// A prompt of the comparison that is not of this model.
    #[error("prompt {prompt} of the comparison has the token id {id}, the model has {vocab_size}")]
    Probe {
        /// Which prompt, counted from 0.
        prompt: usize,
        /// The id.
        id: u32,
        /// Tokens of the model.
        vocab_size: usize,
    },
    /// Nothing to observe the model on.
    #[error("there are no training rows to observe the model on")]
    NoRows,
    /// A row that is not of this model.
    #[error("training row {row} has the token id {id}, the model has {vocab_size}")]
    Row {
        /// Which row, counted from 0.
        row: usize,
        /// The id.
        id: u32,
        /// Tokens of the model.
        vocab_size: usize,
    },
    /// Weights that compressed-tensors has no place for.
    #[error("compressed-tensors has no place for {what}")]
    NotCompressible {
        /// What it is.
        what: String,
    },
    /// What a layer is multiplied with is not finite.
    #[error("what `{path}` is multiplied with on the training rows is not finite")]
    NotFinite {
        /// The layer.
        path: String,
    },
    /// A written file describes another model than the one that was trained.
    #[error("`{}` is not the model that was trained: {what}", path.display())]
    AnotherModel {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// A GGUF file's keys that make no tokenizer.
    #[error("the tokenizer in `{}` has {found}, needed {needed}", path.display())]
    UnreadableTokenizer {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What was needed.
        needed: &'static str,
    },
    /// The run's tasks could not be answered with an exported file.
    #[error("the run's tasks could not be answered with an exported file")]
    Tasks {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file that a certificate says nothing about.
    #[error("`{}` is none of the files that `{}` is about, or was changed", path.display(), certificate.display())]
    NotCertified {
        /// The file.
        path: PathBuf,
        /// The certificate.
        certificate: PathBuf,
    },
    /// A list or certificate that is none.
    #[error("`{}` is not readable: {what}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A GGUF file of an architecture that no family here has.
    #[error("`{}` has the architecture `{found}`, which slm-tune cannot read (it reads {known})", path.display())]
    UnknownArchitecture {
        /// The file.
        path: PathBuf,
        /// The architecture.
        found: String,
        /// Those that are read.
        known: String,
    },
    /// The tensors of a GGUF file are not those that its metadata describes.
    #[error("`{}` is not whole: {what}", path.display())]
    OddTensors {
        /// The file.
        path: PathBuf,
        /// What is odd.
        what: String,
    },
    /// Written files answer differently from the model that was trained; they have `refused` in their names.
    #[error("{}", mismatch(failed))]
    Mismatch {
        /// The comparisons that failed.
        failed: Vec<Comparison>,
    },
}

fn mismatch(failed: &[Comparison]) -> String {
    let of = |c: &Comparison| {
        format!(
            "`{}` differs from the model that was trained: {}",
            c.file,
            c.finding()
        )
    };
    failed.iter().map(of).collect::<Vec<_>>().join("; ")
}

impl ExportError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Model(error) => error.hint(),
            Self::Text(error) => error.hint(),
            Self::Run(error) => error.hint(),
            Self::Gguf(error) => error.hint(),
            Self::Name { .. } => Some("set `name` in the recipe".into()),
            Self::NotInGguf { .. } | Self::Tokenizer { .. } => {
                Some("leave `export.gguf` empty and ship `merged/` instead".into())
            }
            Self::NoRows => {
                Some("leave out `export.imatrix = \"rows\"` and `export.compressed_tensors`".into())
            }
            Self::NotCompressible { .. } => Some(
                "leave it out of `export.compressed_tensors`, or take \"W8A16\" or \"FP8\"".into(),
            ),
            Self::NotFinite { .. } => Some("the weights may have diverged in training".into()),
            Self::NotInGgufAdapter { .. } => Some(
                "set `export.gguf_adapter = false`, and ship `adapter/` or a whole GGUF file instead"
                    .into(),
            ),
            Self::Probe { .. } | Self::Row { .. } => {
                Some("the run's data may have been prepared for another base".into())
            }
            Self::UnreadableTokenizer { .. } => {
                Some("convert the model again, from its folder in Hugging Face format".into())
            }
            Self::NotCertified { .. } => {
                Some("do not ship it; `slm-tune export RUN` writes file and certificate again".into())
            }
            Self::Certificate { .. } => Some("write it again with `slm-tune export RUN`".into()),
            Self::UnknownArchitecture { .. } | Self::Tasks { .. } => None,
            Self::OddTensors { .. } => {
                Some("the file may have been cut, or be of a newer llama.cpp".into())
            }
            Self::AnotherModel { .. } => {
                Some("this is a fault of slm-tune: please report it".into())
            }
            Self::Mismatch { failed } => Some(mismatch_hint(failed)),
        }
    }

    /// Whether a file was written that is not the model that was trained.
    pub fn is_mismatch(&self) -> bool {
        use ExportError::{AnotherModel, Mismatch, NotCertified};
        matches!(
            self,
            Mismatch { .. } | AnotherModel { .. } | NotCertified { .. }
        )
    }

    /// Whether a file that was given cannot be read, or what was asked for cannot be made of this model.
    pub fn is_input(&self) -> bool {
        use ExportError::{
            Certificate, Gguf, NoRows, NotCompressible, NotInGguf, NotInGgufAdapter, OddTensors,
            UnknownArchitecture, UnreadableTokenizer,
        };
        matches!(
            self,
            Gguf(GgufError::Open { .. } | GgufError::Read { .. })
                | OddTensors { .. }
                | UnknownArchitecture { .. }
                | UnreadableTokenizer { .. }
                | Certificate { .. }
                | NoRows
                | NotCompressible { .. }
                | NotInGguf { .. }
                | NotInGgufAdapter { .. }
        )
    }
}

/// Where only rounding can be the cause, a finer type helps.
fn mismatch_hint(failed: &[Comparison]) -> String {
    if failed.iter().all(|comparison| comparison.faults.is_empty()) {
        "the weights do not survive this rounding: choose a finer type in `export.gguf`, such as \"F32\", or another limit in `export.parity`; `certificate.json` has the figures".into()
    } else {
        "this is a fault of slm-tune: please report it, with `certificate.json`".into()
    }
}
