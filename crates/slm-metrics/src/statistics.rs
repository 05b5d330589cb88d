//! How sure a figure is: Wilson's and Newcombe's intervals for proportions and their paired differences, the bootstrap for everything else,
//! McNemar's test for two models on the same items.

mod bootstrap;
mod mcnemar;
mod newcombe;
mod wilson;

pub use bootstrap::{RESAMPLES, bootstrap};
pub use mcnemar::mcnemar_exact;
pub use newcombe::{Agreement, newcombe};
use serde::{Deserialize, Serialize};
pub use wilson::wilson;

/// A two-sided 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Where nothing could be computed.
    pub const NAN: Self = Self {
        low: f64::NAN,
        high: f64::NAN,
    };
}
