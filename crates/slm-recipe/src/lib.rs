//! What the user asked for: a TOML file becomes validated, resolved types.
//!
//! One file per section of the recipe.

mod combination;
mod data;
mod document;
mod eval;
mod export;
mod loader;
mod lora;
mod model;
mod names;
mod preference;
mod problem;
mod range;
mod recipe;
mod schema;
mod shape;
mod tokenizer;
mod train;

pub use data::{DataSection, Finding, Format, Overlong, Source, TrainOn};
pub use eval::{
    EvalSection, EvalTask, ExactMatch, FewshotSampler, FilterFunction, FilterPipeline, FilterStep,
    OutputType, Suite,
};
pub use export::{CompressedScheme, ExportSection, GgufType, ParitySection};
pub use lora::{InitLora, LoraSection, TargetModules};
pub use model::{Dtype, Init, ModelSection, Quantization, ScratchConfig};
pub use preference::{LossType, PreferenceSection};
pub use problem::{Place, RecipeError, RecipeErrors};
pub use recipe::{Recipe, SCHEMA_VERSION};
pub use schema::json_schema;
pub use tokenizer::TokenizerSection;
pub use train::{
    BatchSize, LrSchedulerKwargs, Method, Objective, Optim, Ramp, ReportTo, Scheduler,
    ThresholdMode, TrainSection,
};
