//! GGUF bytes: reader, writer, block codecs.
//!
//! A GGUF file is a header (metadata and a table of tensors) followed by the tensors' bytes, each aligned. Format: version 3
//! of `docs/gguf.md` in ggml-org/ggml, little-endian. What this crate knows ends at the bytes: which tensor a model needs and
//! what it is called is decided by whoever writes one.
//!
//! ```no_run
//! use slm_gguf::{Metadata, Reader, TensorSpec, TensorType, Writer, keys};
//!
//! # fn main() -> Result<(), slm_gguf::GgufError> {
//! let mut metadata = Metadata::new();
//! metadata.set(&keys::general::ARCHITECTURE, "llama".to_string());
//! metadata.set(&keys::llm::BLOCK_COUNT.of("llama"), 1);
//!
//! // [out, in] in the source model is written as dims [in, out].
//! let tensors = vec![TensorSpec::from_shape("output_norm.weight", &[576], TensorType::F32)];
//! let mut writer = Writer::create("model.gguf", &metadata, tensors)?;
//! writer.write_f32("output_norm.weight", &[1.0; 576])?;
//! writer.finish()?;
//!
//! let reader = Reader::open("model.gguf")?;
//! let blocks = reader.metadata().require(&keys::llm::BLOCK_COUNT.of("llama"))?;
//! assert_eq!(blocks, 1);
//! assert_eq!(reader.dequantize("output_norm.weight")?.len(), 576);
//! # Ok(())
//! # }
//! ```
//!
//! | file | what |
//! |---|---|
//! | `tensor_type.rs` | what a tensor's elements are stored as, and how many bytes a block takes |
//! | `codec.rs`, `codec/` | blocks to f32 and back, bit for bit what ggml computes; one file per type |
//! | `product.rs`, `product/` | blocks multiplied with vectors, by the processor's instructions for bytes |
//! | `matrix.rs` | a matrix that stays in its blocks |
//! | `value.rs`, `value_bytes.rs`, `metadata.rs` | metadata values, their bytes, and the ordered table of them |
//! | `keys.rs` | the names of the metadata keys, with their types |
//! | `header.rs`, `tensor_info.rs`, `cursor.rs` | bytes to a checked header |
//! | `reader.rs`, `mapping.rs` | a memory-mapped file |
//! | `layout.rs`, `header_bytes.rs` | a checked plan to the bytes of a header |
//! | `writer.rs`, `pending_file.rs` | a file, tensor by tensor, that appears only when it is complete |
//! | `file_type.rs`, `mixture.rs`, `choice.rs`, `tensor_role.rs`, `type_rule.rs` | which tensor is stored as what |
//! | `quantizer.rs` | a file of floats to one of blocks |
//! | `imatrix.rs`, `imatrix_file.rs`, `imatrix_dat.rs` | how much each column matters, and llama.cpp's files of that |

mod choice;
pub mod codec;
mod cursor;
mod error;
mod file_type;
mod header;
mod header_bytes;
mod imatrix;
mod imatrix_dat;
mod imatrix_file;
pub mod keys;
mod layout;
mod mapping;
mod matrix;
mod metadata;
mod mixture;
mod pending_file;
pub mod product;
mod quantizer;
mod reader;
mod tensor_info;
mod tensor_role;
mod tensor_type;
mod type_rule;
mod value;
mod value_bytes;
mod writer;

pub use choice::Choice;
pub use error::GgufError;
pub use file_type::FileType;
pub use header::Header;
pub use imatrix::{ColumnSums, ImportanceMatrix};
pub use layout::TensorSpec;
pub use matrix::BlockMatrix;
pub use metadata::Metadata;
pub use mixture::Mixture;
pub use quantizer::{Quantized, Quantizer};
pub use reader::Reader;
pub use tensor_info::TensorInfo;
pub use tensor_role::may_be_quantized;
pub use tensor_type::TensorType;
pub use type_rule::TypeRule;
pub use value::{Array, FieldType, Value, ValueType};
pub use writer::Writer;
