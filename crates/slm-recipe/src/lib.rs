//! What the user asked for: a TOML file becomes validated, resolved types.
//!
//! One file per section of the recipe.

mod data;
mod eval;
mod export;
mod lora;
mod model;
mod recipe;
mod tokenizer;
mod train;

pub use data::{DataSection, Format, Overlong, Source, TrainOn};
pub use eval::{EvalSection, EvalTask, OutputType};
pub use export::{ExportSection, GgufType};
pub use lora::{LoraSection, TargetModules};
pub use model::{Dtype, Init, ModelSection, ScratchConfig};
pub use recipe::{Recipe, SCHEMA_VERSION};
pub use tokenizer::TokenizerSection;
pub use train::{Method, Scheduler, TrainSection};
