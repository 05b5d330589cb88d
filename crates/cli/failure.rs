//! What went wrong: one message, its causes, a hint, and the exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Error;

/// Fix the arguments, the recipe or the data.
const INPUT: u8 = 2;
const STAGE: u8 = 1;

/// What the command line itself finds wrong with what was typed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    message: String,
    hint: String,
}

/// An error about what was typed, with what to do about it.
pub(crate) fn refuse(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::new(Refusal {
        message: message.into(),
        hint: hint.into(),
    })
}

/// Prints `error` on stderr and gives the exit code it stands for.
pub(crate) fn print(error: &Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let (code, hint) = diagnose(error);
    let mut text = render(error);
    if let Some(hint) = hint {
        text += &format!("\nhint: {hint}\n");
    }
    // Nothing is left to tell an unwritable stderr to.
    let _ = io::stderr().write_all(text.as_bytes());
    ExitCode::from(code)
}

fn render(error: &Error) -> String {
    let mut said = error.to_string();
    let mut text = format!("error: {said}\n");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            text += &format!("  caused by: {cause}\n");
        }
        said = cause;
    }
    text
}

/// The exit code and the hint of the outermost error that has them.
fn diagnose(error: &Error) -> (u8, Option<String>) {
    for cause in error.chain() {
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            return (INPUT, Some(refusal.hint.clone()));
        }
    }
    (STAGE, None)
}

/// Whoever reads stdout has seen enough, as in `slm-tune schema | head`.
fn is_broken_pipe(error: &Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
