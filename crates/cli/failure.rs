//! What went wrong: one message, its causes, a hint, and the exit code.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Error;
use slm_data::{CacheError, DataError, TranslationError};
use slm_dist::DistError;
use slm_endpoint::EndpointError;
use slm_eval::EvalError;
use slm_export::ExportError;
use slm_gguf::GgufError;
use slm_grammar::GrammarError;
use slm_model::ModelError;
use slm_recipe::RecipeErrors;
use slm_run::RunError;
use slm_suite::SuiteError;
use slm_text::TextError;
use slm_train::TrainError;

use crate::exhaustion::Exhausted;

/// A stage failed.
const STAGE: u8 = 1;
/// Fix the arguments, the recipe or the data.
const INPUT: u8 = 2;
/// A gate failed.
const GATE_FAILED: u8 = 3;
/// A gate could not decide.
const GATE_UNDECIDED: u8 = 4;
/// Will not fit into the memory.
const NO_ROOM: u8 = 5;
/// An artifact does not match what was trained.
const MISMATCH: u8 = 6;
/// Interrupted after a checkpoint was written.
const INTERRUPTED: u8 = 130;

/// What the command line itself finds wrong with what was typed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Refusal {
    message: String,
    hint: String,
}

/// A file that is not what its certificate says.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is not as certified: {what} is {found}, certified {certified}", file.display())]
pub(crate) struct NotAsCertified {
    pub(crate) file: PathBuf,
    pub(crate) what: String,
    pub(crate) certified: String,
    pub(crate) found: String,
}

/// A run that its gates do not let pass.
#[derive(Debug, thiserror::Error)]
#[error("{count} of {of} gates {}", if *is_undecided { "could not decide" } else { "failed" })]
pub(crate) struct GateClosed {
    pub(crate) is_undecided: bool,
    pub(crate) count: usize,
    pub(crate) of: usize,
}

/// The user stopped a training that can be resumed.
#[derive(Debug, thiserror::Error)]
#[error("interrupted after step {step}; its checkpoint is complete")]
pub(crate) struct Interrupted {
    pub(crate) run: PathBuf,
    pub(crate) step: usize,
}

/// Whether a training that can be resumed was stopped from outside: by the user, or by the end of another process.
pub(crate) fn is_interruption(error: &Error) -> bool {
    let is_lost = |it| matches!(it, &TrainError::Lost { .. });
    error.is::<Interrupted>() || error.downcast_ref().is_some_and(is_lost)
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
    let mut text = match error.is::<Interrupted>() {
        true => format!("{said}\n"),
        false => format!("error: {said}\n"),
    };
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            text += &format!("  caused by: {cause}\n");
        }
        said = cause;
    }
    text
}

/// The exit code of the outermost error that has one, and the first hint along the causes.
fn diagnose(error: &Error) -> (u8, Option<String>) {
    let known: Vec<_> = error.chain().filter_map(known).collect();
    let code = known.first().map_or(STAGE, |(code, _)| *code);
    let hint = known.into_iter().find_map(|(_, hint)| hint);
    (code, hint.or_else(|| full_disk(error)))
}

/// A full disk is told wherever it turns up.
fn full_disk(error: &Error) -> Option<String> {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    let is_full = causes.any(|cause| cause.kind() == io::ErrorKind::StorageFull);
    is_full.then(|| "the disk is full: free some space".into())
}

fn known(cause: &(dyn std::error::Error + 'static)) -> Option<(u8, Option<String>)> {
    if let Some(it) = cause.downcast_ref::<Refusal>() {
        return Some((INPUT, Some(it.hint.clone())));
    }
    if let Some(it) = cause.downcast_ref::<Interrupted>() {
        let hint = format!("go on with `slm-tune resume {}`", it.run.display());
        return Some((INTERRUPTED, Some(hint)));
    }
    if cause.is::<NotAsCertified>() {
        let hint = "do not ship it; `slm-tune export RUN` writes file and certificate again";
        return Some((MISMATCH, Some(hint.into())));
    }
    if let Some(it) = cause.downcast_ref::<GateClosed>() {
        return Some(match it.is_undecided {
            true => (
                GATE_UNDECIDED,
                Some("measure more items, or state a wider margin; `gate.on_inconclusive = \"pass\"` lets it through".into()),
            ),
            false => (GATE_FAILED, None),
        });
    }
    if let Some(it) = cause.downcast_ref::<RecipeErrors>() {
        return Some((INPUT, it.hint()));
    }
    if let Some(it) = cause.downcast_ref::<DataError>() {
        let code = match it {
            DataError::Write { .. } | DataError::Shards { .. } => STAGE,
            DataError::MaskMismatch { .. } => MISMATCH,
            _ => INPUT,
        };
        return Some((code, it.hint()));
    }
    if let Some(it) = cause.downcast_ref::<CacheError>() {
        return Some((STAGE, it.hint()));
    }
    if let Some(it) = cause.downcast_ref::<TranslationError>() {
        return Some((INPUT, it.hint()));
    }
    if let Some(it) = cause.downcast_ref::<TextError>() {
        return Some((INPUT, it.hint()));
    }
    if let Some(it) = cause.downcast_ref::<ModelError>() {
        let is_ours = matches!(it, ModelError::Io(_) | ModelError::Download { .. });
        return Some((if is_ours { STAGE } else { INPUT }, it.hint()));
    }
    if cause.is::<Exhausted>() {
        return Some((NO_ROOM, Some(Exhausted::HINT.into())));
    }
    if let Some(it) = cause.downcast_ref::<DistError>() {
        let is_ours = matches!(it, DistError::Lost { .. });
        return Some((if is_ours { STAGE } else { INPUT }, it.hint()));
    }
    if let Some(it) = cause.downcast_ref::<TrainError>() {
        let code = match it {
            TrainError::WillNotFit { .. } => NO_ROOM,
            _ => STAGE,
        };
        return Some((code, it.hint()));
    }
    if let Some(it) = cause.downcast_ref::<EndpointError>() {
        let code = match it {
            EndpointError::Stopped { .. } => INTERRUPTED,
            it if it.is_input() => INPUT,
            _ => STAGE,
        };
        return Some((code, it.hint()));
    }
    if let Some(it) = cause.downcast_ref::<EvalError>() {
        let is_asked = matches!(
            it,
            EvalError::Constraint { .. }
                | EvalError::SchemaFile { .. }
                | EvalError::Unspelled { .. }
                | EvalError::Run(RunError::Missing { .. })
        );
        let is_input = is_asked || it.is_about_rows();
        return Some((if is_input { INPUT } else { STAGE }, it.hint()));
    }
    if let Some(it) = cause.downcast_ref::<GrammarError>() {
        return Some((INPUT, it.hint()));
    }
    if let Some(it) = cause.downcast_ref::<SuiteError>() {
        return Some((INPUT, it.hint()));
    }
    if let Some(it) = cause.downcast_ref::<ExportError>() {
        let code = match it {
            it if it.is_mismatch() => MISMATCH,
            it if it.is_input() => INPUT,
            _ => STAGE,
        };
        return Some((code, it.hint()));
    }
    if let Some(it) = cause.downcast_ref::<GgufError>() {
        let is_ours = matches!(it, GgufError::Write { .. });
        return Some((if is_ours { STAGE } else { INPUT }, it.hint()));
    }
    if let Some(it) = cause.downcast_ref::<RunError>() {
        let is_typed = matches!(it, RunError::Missing { .. } | RunError::NotARun { .. });
        return Some((if is_typed { INPUT } else { STAGE }, it.hint()));
    }
    None
}

/// Whoever reads stdout has seen enough, as in `slm-tune schema | head`.
fn is_broken_pipe(error: &Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn causes_follow_and_are_not_said_twice() {
        let inner = RunError::Missing { path: "a".into() };
        let error = Error::new(inner).context("failed to load `b`: `a` does not exist");
        assert_eq!(
            render(&error),
            "error: failed to load `b`: `a` does not exist\n"
        );
        let error = error.context("no chat");
        assert_eq!(
            render(&error),
            "error: no chat\n  caused by: failed to load `b`: `a` does not exist\n"
        );
    }

    #[test]
    fn the_exit_code_says_whose_fault_it_is() {
        let full = RunError::DiskFull { path: "a".into() };
        assert_eq!(diagnose(&Error::new(full)).0, 1);
        let missing: Result<(), _> = Err(RunError::Missing { path: "a".into() });
        assert_eq!(diagnose(&missing.context("no run").unwrap_err()).0, 2);
        assert_eq!(diagnose(&Error::msg("?")).0, 1);
        let full = TrainError::WillNotFit {
            needed_bytes: 3,
            free_bytes: 2,
            row_tokens: 1,
        };
        assert_eq!(diagnose(&Error::new(full)).0, 5);
        let panic =
            || -> anyhow::Result<()> { panic!("CUDA out of memory. Tried to allocate 2 GiB") };
        let (code, hint) = diagnose(&crate::exhaustion::caught(panic).unwrap_err());
        assert_eq!(code, 5);
        assert!(hint.unwrap().contains("gradient_checkpointing"));
        let stopped = Interrupted {
            run: "runs/x".into(),
            step: 3,
        };
        let (code, hint) = diagnose(&Error::new(stopped));
        assert_eq!(
            (code, hint.unwrap().as_str()),
            (130, "go on with `slm-tune resume runs/x`")
        );
    }
}
