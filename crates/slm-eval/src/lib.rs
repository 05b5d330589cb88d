//! Tasks, scoring, metrics, statistics and reports.
//!
//! [`Evaluator::evaluate`] answers the items of one task with one model, [`compare`] sets two models side by side on the same items,
//! [`report::html`] writes the page that shows it all.

mod comparison;
mod error;
mod evaluator;
pub mod metrics;
pub mod report;
mod request;
mod sample;
pub mod statistics;
mod task;
mod task_report;

pub use comparison::{Comparison, Verdict, compare};
pub use error::EvalError;
pub use evaluator::Evaluator;
pub use metrics::{Method, Metric, MetricName};
pub use sample::{Finish, Sample, Score};
pub use task::multiple_choice::with_choices;
pub use task_report::TaskReport;
