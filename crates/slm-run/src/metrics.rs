//! `metrics.jsonl`: one event per line, only ever appended to.

use std::io::Write;
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};

use crate::{Event, RunError};

/// The log of a run's steps and evaluations, open for appending.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
}

impl MetricsLog {
    /// Opens the log, or starts it. A last line that a killed process did not finish is cut off.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RunError> {
        let path = path.as_ref().to_path_buf();
        let failed = |error| RunError::io(&path, error);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(failed)?;
        let text = fs_err::read(&path).map_err(failed)?;
        let complete = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        if complete < text.len() {
            file.set_len(complete as u64).map_err(failed)?;
        }
        Ok(Self { path, file })
    }

    /// Appends an event, with one write so that a reader sees a whole line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, event: &Event) -> Result<(), RunError> {
        let mut line = serde_json::to_string(event).map_err(|error| RunError::Io {
            path: self.path.clone(),
            error: error.into(),
        })?;
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .map_err(|error| RunError::io(&self.path, error))
    }
}

/// The steps and evaluations that count: where a run was resumed, what it had already logged beyond that step is dropped.
///
/// # Errors
/// When a line other than the last cannot be read.
pub fn read_metrics(path: impl AsRef<Path>) -> Result<Vec<Event>, RunError> {
    let path = path.as_ref();
    let bytes = match fs_err::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.map_err(|error| RunError::io(path, error))?,
    };
    let mut events = Vec::new();
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(line) = line.strip_suffix(b"\n") else {
            break; // the last line, torn
        };
        let event = serde_json::from_slice(line).map_err(|error| RunError::Broken {
            path: path.into(),
            line: index + 1,
            reason: error.to_string(),
        })?;
        rewind(&mut events, &event);
        events.push(event);
    }
    Ok(events)
}

/// Drops what `next` repeats or undoes.
fn rewind(events: &mut Vec<Event>, next: &Event) {
    // What is kept is in order, so that mostly there is nothing to look for.
    let last = events.last().and_then(step_of);
    if last.is_some_and(|last| step_of(next).is_some_and(|next| last < next)) {
        return;
    }
    match next {
        Event::Step { step: next, .. } => {
            events.retain(|event| step_of(event).is_none_or(|step| step < *next))
        }
        Event::Eval { step: next, .. } => events.retain(|event| match event {
            Event::Eval { step, .. } => step < next,
            other => step_of(other).is_none_or(|step| step <= *next),
        }),
        _ => {}
    }
}

fn step_of(event: &Event) -> Option<usize> {
    match event {
        Event::Step { step, .. } | Event::Eval { step, .. } | Event::Checkpoint { step, .. } => {
            Some(*step)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: usize) -> Event {
        Event::Step {
            step,
            total_steps: 9,
            epoch: 0.5,
            loss: 1.25,
            entropy: 1.0,
            token_accuracy: 0.5,
            rewards: None,
            taught: None,
            lr: 2e-4,
            grad_norm: 0.1,
            tokens: 64,
            learned_tokens: 8,
            tokens_per_s: 100.0,
            eta_s: 1.5,
        }
    }

    fn eval(step: usize) -> Event {
        Event::Eval {
            step,
            loss: 1.0,
            entropy: 1.0,
            token_accuracy: 0.5,
            rewards: None,
            metric: None,
            best: true,
        }
    }

    fn append(path: &Path, events: &[Event]) {
        let mut log = MetricsLog::open(path).unwrap();
        for event in events {
            log.append(event).unwrap();
        }
    }

    #[test]
    fn what_was_appended_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        assert!(read_metrics(&path).unwrap().is_empty());
        append(&path, &[step(1), step(2)]);
        append(&path, &[eval(2), step(3)]);
        assert_eq!(
            read_metrics(&path).unwrap(),
            [step(1), step(2), eval(2), step(3)]
        );
    }

    #[test]
    fn a_torn_last_line_is_ignored_and_then_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        append(&path, &[step(1), step(2)]);
        let whole = fs_err::read(&path).unwrap();
        for kept in whole.len() / 2 + 1..whole.len() {
            fs_err::write(&path, &whole[..kept]).unwrap();
            assert_eq!(read_metrics(&path).unwrap(), [step(1)], "{kept} bytes");
            append(&path, &[step(2)]);
            assert_eq!(fs_err::read(&path).unwrap(), whole, "{kept} bytes");
        }
    }

    #[test]
    fn a_resumed_run_counts_each_step_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        append(
            &path,
            &[step(1), step(2), eval(2), step(3), step(4), eval(4)],
        );
        append(&path, &[step(3), step(4)]); // resumed from the checkpoint at step 2
        assert_eq!(
            read_metrics(&path).unwrap(),
            [step(1), step(2), eval(2), step(3), step(4)]
        );
        append(&path, &[eval(4), eval(4)]);
        assert_eq!(
            read_metrics(&path).unwrap(),
            [step(1), step(2), eval(2), step(3), step(4), eval(4)]
        );
    }

    #[test]
    fn a_broken_line_inside_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        append(&path, &[step(1)]);
        fs_err::write(
            &path,
            [&fs_err::read(&path).unwrap()[..], b"{\"event\":\n", b"{}\n"].concat(),
        )
        .unwrap();
        let error = read_metrics(&path).unwrap_err();
        assert!(
            matches!(&error, RunError::Broken { line: 2, .. }),
            "{error}"
        );
    }
}
