//! Tasks, scoring, metrics, statistics and reports.
//!
//! [`Evaluator::evaluate`] answers the items of one task with one model, [`compare`] sets two models side by side on the same items,
//! [`report::html`] writes the page that shows it all.

mod comparison;
mod error;
mod evaluator;
mod metric;
pub mod report;
mod request;
mod sample;
mod suite;
mod task;
mod task_report;

pub use comparison::{Comparison, Verdict, compare};
pub use error::EvalError;
pub use evaluator::Evaluator;
pub use metric::{Metric, MetricName};
pub use sample::{Finish, Sample, Score};
pub use suite::{Exchange, Task};
pub use task::multiple_choice::with_choices;
pub use task_report::TaskReport;
