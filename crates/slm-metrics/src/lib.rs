//! Figures and what they are worth: metrics over plain labels, texts and numbers, intervals and tests.
//!
//! Nothing here knows a model or a file of an evaluation.

mod bits;
mod bleu;
mod calibration;
mod chrf;
mod classification;
mod classifier;
pub mod gate;
mod json;
mod label_errors;
mod porter;
mod rouge;
mod series;
pub mod statistics;
mod text;
mod words;

pub use bleu::BleuCounts;
pub use calibration::{
    CALIBRATION_BINS, Confidence, ReliabilityBin, ScoredItem, calibration_error, fit_temperature,
    likeliest, probabilities, reliability,
};
pub use chrf::ChrfCounts;
pub use classification::{Confused, LabelCounts, LabelFigure, Tally, confusion, most_confused};
pub use classifier::{Classifier, ClassifierFile, Decision};
pub use json::{JsonScore, score_json};
pub use label_errors::{ConfidentLearning, LabelError};
pub use rouge::{Rouge, RougeScore};
pub use series::{Method, Series};
pub use text::{Normalisation, exact_match};
