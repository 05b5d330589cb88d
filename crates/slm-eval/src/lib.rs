//! Tasks, scoring, metrics, statistics and reports.

mod comparison;
mod error;
pub mod metrics;
mod sample;
pub mod statistics;
mod task_report;

pub use comparison::{Comparison, Verdict, compare};
pub use error::EvalError;
pub use metrics::{Method, Metric, MetricName};
pub use sample::{Finish, Sample, Score};
pub use task_report::TaskReport;
