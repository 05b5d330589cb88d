//! The figures: each is a function of the samples alone, with an interval.

mod classification;
mod json;
mod metric;
mod series;
mod text;

pub use classification::macro_f1;
pub use json::{JsonScore, score_json};
pub use metric::{Metric, MetricName, measure};
pub use series::{Method, Series};
pub use text::exact_match;
