//! The files to ship, each compared with the model that was trained before it gets its name.
//!
//! A file is written under a temporary name, read back as a stranger would read it, and put beside the trained model on
//! held-out prompts; only then is it renamed. [`export`] does all of it for a run, and writes `export.json`.
//!
//! | file | what |
//! |---|---|
//! | `export.rs` | the walk: which files, in which order, and `export.json` |
//! | `folders.rs` | `adapter/` (PEFT) and `merged/` (Hugging Face) |
//! | `gguf_file.rs`, `blocks.rs` | a GGUF file: its tensors, their types, their order; their bytes, on all threads |
//! | `architecture.rs`, `ggml_rows.rs` | llama.cpp's names for the tensors, and its order of their rows |
//! | `gguf_built_in.rs`, `gguf_limits.rs` | what llama.cpp computes in each architecture; all else is refused |
//! | `gguf_metadata.rs`, `gguf_rope.rs` | what the file says about the model, and about its rotary encoding |
//! | `vocabulary.rs`, `tokenizer_json.rs`, `pre_tokenizer.rs` | what it says about the tokenizer |
//! | `gguf_config.rs`, `gguf_decoder.rs` | the file read back into a config and a decoder |
//! | `gguf_adapter.rs` | the adapter alone as a GGUF file, and back |
//! | `comparison.rs`, `divergence.rs` | two models on the same prompts |
//! | `gguf_comparison.rs`, `rounding.rs` | a GGUF file beside the trained model: its weights, its metadata, its answers |

mod architecture;
mod blocks;
mod comparison;
mod divergence;
mod error;
mod export;
mod folders;
mod ggml_rows;
mod gguf_adapter;
mod gguf_built_in;
mod gguf_comparison;
mod gguf_config;
mod gguf_decoder;
mod gguf_file;
mod gguf_limits;
mod gguf_metadata;
mod gguf_rope;
mod pre_tokenizer;
mod rounding;
mod tokenizer_json;
mod vocabulary;

pub use comparison::{Comparison, LOGIT_LIMIT, MEAN_KL_LIMIT, Trained};
pub use error::ExportError;
pub use export::{EXPORT_JSON, Exported, File, Request, export};
pub use gguf_adapter::read_gguf_adapter;
pub use gguf_config::gguf_config;
pub use gguf_decoder::read_gguf;
pub use rounding::Rounding;
