//! What the user asked for: a TOML file becomes validated, resolved types.
//!
//! One file per section of the recipe.

mod card;
mod clean;
mod combination;
mod data;
mod distill;
mod document;
mod eval;
mod export;
mod gate;
mod loader;
mod lora;
mod metric;
mod model;
mod names;
mod preference;
mod problem;
mod range;
mod recipe;
mod rubric;
mod schema;
mod shape;
mod tokenizer;
mod train;

pub use card::CardSection;
pub use clean::{
    BalanceSection, CleanSection, Conflicts, Dedup, LANGUAGES, OutlierAction, OutlierSection,
    PersonalSection, Pii, Shingle, Unicode, language_code,
};
pub use data::{
    DataSection, Finding, Format, LabelNames, OnBadRow, OnLeak, Overlong, Source, TrainOn,
};
pub use distill::{
    Api, DistillLoss, DistillMethod, DistillSection, DivergenceKind, EndpointSection,
    FilterSection, GenerationSection, HiddenLoss, HiddenSection, LayerMap, TeacherSection,
};
pub use eval::{
    AnswerConstraint, CalibrationSection, EvalSection, EvalTask, ExactMatch, FewshotSampler,
    FilterFunction, FilterPipeline, FilterStep, OutputType, Suite,
};
pub use export::{CompressedScheme, ExportSection, GgufType, ParitySection};
pub use gate::{Against, GateCheck, GateSection, GateTask, OnInconclusive};
pub use lora::{InitLora, LoraSection, TargetModules};
pub use metric::MetricName;
pub use model::{Dtype, Init, ModelSection, Quantization, ScratchConfig};
pub use preference::{LossType, PreferenceSection};
pub use problem::{Place, RecipeError, RecipeErrors};
pub use recipe::{Recipe, SCHEMA_VERSION};
pub use rubric::{JudgeMode, Rubric};
pub use schema::json_schema;
pub use tokenizer::TokenizerSection;
pub use train::{
    BatchSize, LrSchedulerKwargs, Method, Objective, Optim, Ramp, ReportTo, Scheduler,
    ThresholdMode, TrainSection,
};
