//! One verb per file.

pub(crate) mod baseline;
pub(crate) mod bench;
pub(crate) mod chat;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod distill;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod eval_suite;
pub(crate) mod export;
pub(crate) mod gate;
pub(crate) mod generate;
pub(crate) mod init;
pub(crate) mod judge;
pub(crate) mod logits;
pub(crate) mod quantize;
pub(crate) mod recipes;
pub(crate) mod resume;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod synth;
pub(crate) mod teach;
pub(crate) mod train;
pub(crate) mod verify;
