//! How sure a figure is, and whether two figures differ.
//!
//! | question | one proportion | two on the same items | any other metric |
//! |---|---|---|---|
//! | interval | [`wilson`]; [`clopper_pearson`] at a limit | [`newcombe`]; [`Discordance::interval`] at a limit | [`bootstrap`], [`Resamples`] |
//! | test | [`at_least`], [`at_most`] | [`mcnemar_exact`]; [`Discordance::p_above`] | [`permutation`], [`Resamples::p_above`] |
//! | rows that share a [group](Groups) | [`EffectiveSample`] | [`Resamples`] | [`Resamples`] |
//! | how many items | [`ProportionTest`] | [`PairedTest`] | from [`Resamples::standard_error`] |
//!
//! [`holm`] for several tests at once.

mod binomial;
mod bootstrap;
mod clustered;
mod groups;
mod holm;
mod mcnemar;
mod newcombe;
mod paired;
mod permutation;
mod power;
mod random;
mod wilson;

pub use binomial::{at_least, at_most, clopper_pearson};
pub use bootstrap::{RESAMPLES, Resamples, bootstrap};
pub use clustered::EffectiveSample;
pub use groups::Groups;
pub use holm::holm;
pub use mcnemar::mcnemar_exact;
pub use newcombe::{Agreement, newcombe};
pub use paired::Discordance;
pub use permutation::permutation;
pub use power::{Errors, PairedTest, ProportionTest, reach};
use serde::{Deserialize, Serialize};
pub use wilson::wilson;

/// A two-sided interval; of 95 % where nothing else is said.
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
