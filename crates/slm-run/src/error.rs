//! What can go wrong with a run directory.

use std::io;
use std::path::{Path, PathBuf};

/// A failure on disk, told apart by what the user can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// No space, or no quota, is left.
    #[error("no space is left to write `{}`", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// The file system is mounted read-only.
    #[error("`{}` is on a read-only file system", path.display())]
    ReadOnly {
        /// What was being written.
        path: PathBuf,
    },
    /// The user may not.
    #[error("permission denied for `{}`", path.display())]
    Permission {
        /// What was being read or written.
        path: PathBuf,
    },
    /// It is not there.
    #[error("`{}` does not exist", path.display())]
    Missing {
        /// What was being read or written.
        path: PathBuf,
    },
    /// A folder is needed where a file is.
    #[error("`{}` cannot be a folder: a part of that path is a file", path.display())]
    NotAFolder {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// Any other failure of the file system.
    #[error("failed to use `{}`: {error}", path.display())]
    Io {
        /// What was being read or written.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another process works in this run directory.
    #[error("run directory `{}` is in use by {}", path.display(), holder(*pid))]
    InUse {
        /// The run directory.
        path: PathBuf,
        /// The process that holds it, where it left its number.
        pid: Option<u32>,
    },
    /// The folder holds something else than a run.
    #[error("`{}` is not a run directory: it has no `run.json`", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// The folder was written in a format that this version does not read.
    #[error("`{}` has format version {found}, this version reads {supported}", path.display())]
    FormatVersion {
        /// The `run.json`.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// The file is not what we wrote.
    #[error("`{}:{line}` is broken: {reason}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

impl RunError {
    /// Sorts a failure of the file system by what the user can do about it.
    pub fn io(path: impl AsRef<Path>, error: io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            io::ErrorKind::PermissionDenied => Self::Permission { path },
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                Self::NotAFolder { path }
            }
            _ => Self::Io { path, error },
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::DiskFull { .. } => "free some space, or choose another disk with `output_dir`",
            Self::ReadOnly { .. } | Self::Permission { .. } | Self::NotAFolder { .. } => {
                "choose a folder that can be written with `output_dir`"
            }
            Self::InUse { .. } => "wait for it, or choose another folder with `output_dir`",
            Self::NotARun { .. } => {
                "`slm-tune runs ls` lists the runs; a new run needs an empty or a new folder"
            }
            Self::FormatVersion { .. } => {
                "use the version of slm-tune that wrote it, or train into a new folder"
            }
            Self::Broken { .. } => "nothing but slm-tune may write there; train into a new folder",
            Self::Missing { .. } | Self::Io { .. } => return None,
        };
        Some(hint.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn the_kind_of_a_failure_decides_its_message() {
        let cases = [
            (
                ErrorKind::StorageFull,
                "no space is left to write `runs/x/a`",
                true,
            ),
            (
                ErrorKind::QuotaExceeded,
                "no space is left to write `runs/x/a`",
                true,
            ),
            (
                ErrorKind::ReadOnlyFilesystem,
                "`runs/x/a` is on a read-only file system",
                true,
            ),
            (
                ErrorKind::PermissionDenied,
                "permission denied for `runs/x/a`",
                true,
            ),
            (ErrorKind::NotFound, "`runs/x/a` does not exist", false),
            (
                ErrorKind::NotADirectory,
                "`runs/x/a` cannot be a folder: a part of that path is a file",
                true,
            ),
            (
                ErrorKind::TimedOut,
                "failed to use `runs/x/a`: timed out",
                false,
            ),
        ];
        for (kind, message, has_hint) in cases {
            let error = RunError::io("runs/x/a", kind.into());
            assert_eq!(error.to_string(), message);
            assert_eq!(error.hint().is_some(), has_hint, "{message}");
        }
    }

    #[test]
    fn the_system_number_of_a_full_disk_is_a_full_disk() {
        let enospc = io::Error::from_raw_os_error(28);
        assert!(matches!(
            RunError::io("a", enospc),
            RunError::DiskFull { .. }
        ));
    }
}
