//! Small language models on burn: where they run, how they are read and written, adapted, scored and sampled.

mod adapter;
mod cache;
mod config;
mod decoder;
pub mod device;
mod error;
mod generate;
mod layer;
mod linear;
mod param;
mod pretrained;
mod random;
mod rope;
mod score;
mod source;
mod tokens;
mod weights;

pub use adapter::{LoraSpec, save_adapter};
pub use cache::KvCache;
pub use config::{DecoderConfig, Family};
pub use decoder::Decoder;
pub use error::ModelError;
pub use generate::{Generated, Sampling, generate};
pub use layer::{Layer, Pass};
pub use param::Param;
pub use pretrained::save_pretrained;
pub use score::{Scored, Sequence, score, score_choices};
pub use source::locate;
pub use tokens::Tokens;
pub use weights::{WeightFile, write_safetensors};
