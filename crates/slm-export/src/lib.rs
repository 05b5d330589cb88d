//! The files to ship, each compared with the model that was trained before it gets its name.
//!
//! A file is written under a temporary name, read back as a stranger would read it, and put beside the trained model on
//! held-out prompts; only then is it renamed. [`export`] does all of it for a run, and writes `export.json`.
//!
//! | file | what |
//! |---|---|
//! | `export.rs`, `export/`, `exported.rs` | the walk: which files, in which order; their list, `export.json` |
//! | `feasibility.rs` | what cannot be written of a model, known before it is trained |
//! | `folders.rs`, `precision.rs` | `adapter/` (PEFT) and `merged/` (Hugging Face); the model in f32 that all are made of |
//! | `card.rs`, `modelfile.rs` | `README.md` for the hub, `Modelfile` for Ollama |
//! | `gguf_file.rs`, `blocks.rs` | a GGUF file: its tensors, their types, their order; their bytes, on all threads |
//! | `quantization.rs`, `importance.rs`, `calibration.rs` | the recipe's own types; how much columns matter, on which rows |
//! | `compression.rs`, `error_correction.rs` | linear layers in codes for vLLM; integers that make up for each other's errors |
//! | `architecture.rs`, `ggml_rows.rs` | llama.cpp's names for the tensors, and its order of their rows |
//! | `gguf_built_in.rs`, `gguf_limits.rs` | what llama.cpp computes in each architecture; all else is refused |
//! | `gguf_metadata.rs`, `gguf_rope.rs` | what the file says about the model, and about its rotary encoding |
//! | `vocabulary.rs`, `tokenizer_json.rs`, `pre_tokenizer.rs` | what it says about the tokenizer |
//! | `gguf_config.rs`, `gguf_decoder.rs`, `gguf_tokenizer.rs` | the file read back into a config, a decoder and a tokenizer |
//! | `gguf_blocks.rs` | the file opened for inference, with its matrices in their blocks |
//! | `gguf_adapter.rs` | the adapter alone as a GGUF file, and back |
//! | `comparison.rs`, `divergence.rs` | two models on the same prompts |
//! | `gguf_comparison.rs`, `compressed_comparison.rs`, `rounding.rs` | a rounded file beside the trained model: its weights, its metadata, its answers |
//! | `probe.rs`, `text_comparison.rs` | held-out rows; two tokenizers and templates on them |
//! | `task_parity.rs` | the run's tasks, answered by a file |
//! | `certifier.rs`, `certificate.rs`, `seal.rs` | all of that on one file; `certificate.json`; its hash in the files |
//! | `verification.rs` | a file beside its certificate |

mod architecture;
mod blocks;
mod calibration;
mod card;
mod certificate;
mod certifier;
mod comparison;
mod compressed_comparison;
mod compression;
mod divergence;
mod error;
mod error_correction;
mod export;
mod exported;
mod feasibility;
mod folders;
mod ggml_rows;
mod gguf_adapter;
mod gguf_blocks;
mod gguf_built_in;
mod gguf_comparison;
mod gguf_config;
mod gguf_decoder;
mod gguf_file;
mod gguf_limits;
mod gguf_metadata;
mod gguf_rope;
mod gguf_tokenizer;
mod importance;
mod modelfile;
mod pre_tokenizer;
mod precision;
mod probe;
mod quantization;
mod rounding;
mod seal;
mod task_parity;
mod text_comparison;
mod tokenizer_json;
mod verification;
mod vocabulary;

pub use calibration::{CALIBRATION_ROWS, CALIBRATION_TOKENS, CalibrationSize};
pub use certificate::{CERTIFICATE_JSON, Certificate};
pub use certifier::Certifier;
pub use comparison::{Comparison, LOGIT_LIMIT, MEAN_KL_LIMIT, Trained, Worst};
pub use error::ExportError;
pub use export::{COMPANIONS, Request, export};
pub use exported::{EXPORT_JSON, Exported, File};
pub use feasibility::ensure_exportable;
pub use gguf_adapter::read_gguf_adapter;
pub use gguf_blocks::open_gguf;
pub use gguf_config::gguf_config;
pub use gguf_decoder::read_gguf;
pub use gguf_tokenizer::read_gguf_tokenizer;
pub use probe::{Probe, ProbePrompt};
pub use rounding::Rounding;
pub use seal::CERTIFICATE_KEY;
pub use task_parity::{AnswerTasks, TaskParity};
pub use text_comparison::TextComparison;
pub use verification::{Certified, Check, compare_again, recertify};
