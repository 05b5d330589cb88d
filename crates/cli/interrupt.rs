//! Ctrl-C: the first one lets training write a checkpoint, and requests in flight be answered; the second one ends the process.

use std::{
    io::{self, Write},
    process::exit,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context;

static STOP: AtomicBool = AtomicBool::new(false);
/// Whether somebody looks at `STOP`.
static WATCHED: AtomicBool = AtomicBool::new(false);
static HANDLER: Once = Once::new();

/// Runs work that looks at the flag and ends early when it is set. Outside of it, Ctrl-C ends the process as it always does.
pub(crate) fn heeded<T>(work: impl FnOnce(&AtomicBool) -> T) -> anyhow::Result<T> {
    let mut installed = Ok(());
    HANDLER.call_once(|| installed = ctrlc::set_handler(signalled));
    installed.context("failed to listen for Ctrl-C")?;
    WATCHED.store(true, Ordering::SeqCst);
    let result = work(&STOP);
    WATCHED.store(false, Ordering::SeqCst);
    Ok(result)
}

#[expect(
    clippy::exit,
    reason = "the second Ctrl-C is to end the process, whatever it does"
)]
fn signalled() {
    if !WATCHED.load(Ordering::SeqCst) || STOP.swap(true, Ordering::SeqCst) {
        exit(130);
    }
    let told =
        "\nstopping as soon as what is under way is kept; press Ctrl-C again to stop at once\n";
    // Where stderr is gone, nobody waits for this line.
    let _ = io::stderr().write_all(told.as_bytes());
}
