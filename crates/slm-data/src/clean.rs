//! What is done to rows before they are split; every change and every row left out is recorded. Only rows that were given to learn from
//! are compared with each other: held-out rows stay what they are measured on.

mod balance;
mod boilerplate;
mod conflicts;
mod duplicates;
mod html;
mod language;
mod outliers;
mod personal;
mod quality;
mod record;
mod texts;

pub(crate) use self::balance::{PerLabel, balance};
pub(crate) use self::conflicts::{asked_and_answered, conflicts};
pub(crate) use self::duplicates::{equal_ones, near_ones};
pub(crate) use self::language::Languages;
pub(crate) use self::outliers::{Lengths, outliers, reasons};
pub use self::personal::PersonalTotals;
pub(crate) use self::personal::{Redaction, personal_found, personal_inputs};
pub(crate) use self::quality::oddities;
pub(crate) use self::record::CleanCounts;
pub use self::record::{CLEANING, CleanRecord, CleanStep, CleanTotals, Effect, Like};
pub(crate) use self::texts::{misfit, texts};
