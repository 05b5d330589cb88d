//! Tasks, scoring, metrics, statistics and reports.
//!
//! [`Evaluator::evaluate`] answers the items of one task with one model, [`compare`] sets two models side by side on the same items,
//! [`report::html`] writes the page that shows it all.

mod audit;
mod baseline;
mod calibration;
mod comparison;
mod constraint;
mod cost;
mod error;
mod evaluation;
mod evaluator;
mod gating;
mod measure_name;
mod metric;
pub mod report;
mod request;
mod sample;
mod suite;
mod task;
mod task_report;
mod unleaked;

pub use audit::{LabelAudit, Pair, Suspect};
pub use baseline::{BASELINE_FORMAT, Baseline, BaselineTask};
pub use calibration::{Calibration, Figure, Split};
pub use comparison::{Comparison, Verdict, compare, holm_across};
pub use constraint::constraint;
pub use cost::{Cost, Latency};
pub use error::EvalError;
pub use evaluation::Evaluation;
pub use evaluator::Evaluator;
pub use gating::{Claim, GateReport, GateResult, gate};
pub use measure_name::MeasureName;
pub use metric::Metric;
pub use sample::{Finish, Sample, Score};
pub use slm_metrics::ClassifierFile;
pub use slm_recipe::MetricName;
pub use suite::{Exchange, Task};
pub use task::multiple_choice::with_choices;
pub use task_report::{Mistaken, TaskReport};
pub use unleaked::Unleaked;
