//! One verb per file.

pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod init;
pub(crate) mod recipes;
pub(crate) mod runs;
