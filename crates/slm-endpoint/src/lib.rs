//! Models behind an OpenAI-compatible endpoint: requests in flight, retries, a journal, and a limit on what is spent.
//!
//! [`Asker::ask`] answers [`Request`]s, from its [`Journal`] or by the endpoint. [`teach`] makes rows of a teacher's answers,
//! [`judge`] sets two models' answers side by side.

#[cfg_attr(
    not(feature = "http"),
    expect(dead_code, reason = "only a client needs all of it")
)]
mod answer;
mod answered_row;
mod asker;
#[cfg_attr(
    not(feature = "http"),
    expect(dead_code, reason = "only a client needs all of it")
)]
mod backoff;
mod budget;
#[cfg_attr(not(feature = "http"), path = "no_client.rs")]
mod client;
mod error;
#[cfg_attr(
    not(feature = "http"),
    expect(dead_code, reason = "only a client needs all of it")
)]
mod failure;
mod filter;
mod journal;
mod judge;
mod judgement;
mod judging_prompt;
#[cfg_attr(
    not(feature = "http"),
    expect(dead_code, reason = "only a client needs all of it")
)]
mod request;
mod served_tokens;
mod spelling;
mod teaching;
mod verdict;

pub use answer::{Answer, Tokens};
pub use answered_row::write_held_out;
pub use asker::{Answered, Asker, Cost, Terms};
pub use error::EndpointError;
pub use journal::Journal;
pub use judge::{Contest, judge};
pub use judgement::{JudgedItem, Judgement, TaskVerdict};
pub use request::Request;
pub use spelling::{Alignment, Spelling};
pub use teaching::{Taught, teach};
