//! What a CI job asks of a model: suites of tasks, as TOML or as files of lm-evaluation-harness, and the requests that they make.
//!
//! [`load`] reads tasks with their rows, [`Task::items`] words what a model is asked, [`Task::observe`] measures what it answered.

mod bundled;
mod declared;
mod error;
mod exact;
mod fewshot;
mod field;
mod figure;
mod filter;
mod harness;
mod item;
mod measure;
mod pattern;
mod python;
mod rows;
mod said;
mod suite;
mod task;
mod template;
mod turn;
mod yaml;

pub use error::SuiteError;
pub use figure::{Answer, FigureName, Likelihood, Observed};
pub use item::{Ask, Item};
pub use rows::Given;
pub use said::Said;
pub use suite::{Entry, load};
pub use task::{Generation, Task};
