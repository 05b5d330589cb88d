//! Figures and what they are worth: metrics over plain labels, texts and numbers, intervals and tests.
//!
//! Nothing here knows a model or a file of an evaluation.

mod bits;
mod classification;
pub mod gate;
mod json;
mod series;
pub mod statistics;
mod text;

pub use classification::macro_f1;
pub use json::{JsonScore, score_json};
pub use series::{Method, Series};
pub use text::exact_match;
