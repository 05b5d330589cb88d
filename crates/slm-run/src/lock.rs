//! One writer per run directory.

use std::fs::TryLockError;
use std::io::{ErrorKind, Write};
use std::path::Path;

use fs_err::{File, OpenOptions};

use crate::RunError;

/// Name of the lock file in a run directory.
pub(crate) const LOCK_FILE: &str = ".lock";

/// Held while a process writes into a run directory. The system releases it with the process, however that ends, so
/// a lock is never stale; the number in the file only serves the message.
#[derive(Debug)]
pub(crate) struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock of the run directory `root`.
    pub(crate) fn take(root: &Path) -> Result<Self, RunError> {
        let path = root.join(LOCK_FILE);
        let failed = |error| RunError::io(&path, error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RunError::InUse {
                    path: root.into(),
                    pid: holder(&path),
                });
            }
            // A network folder without locks: a run there is not refused for it.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.write_all(std::process::id().to_string().as_bytes())
            .map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn holder(path: &Path) -> Option<u32> {
    fs_err::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = RunLock::take(dir.path()).unwrap();
        let error = RunLock::take(dir.path()).unwrap_err();
        let this = std::process::id();
        assert!(
            matches!(&error, RunError::InUse { pid: Some(pid), .. } if *pid == this),
            "{error}"
        );
        drop(first);
        RunLock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_lock_file_that_a_dead_process_left_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join(LOCK_FILE), "1").unwrap();
        RunLock::take(dir.path()).unwrap();
        let text = fs_err::read_to_string(dir.path().join(LOCK_FILE)).unwrap();
        assert_eq!(text, std::process::id().to_string());
    }
}
