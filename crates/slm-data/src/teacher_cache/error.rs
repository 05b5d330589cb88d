use std::path::PathBuf;

use slm_run::RunError;

/// Why a teacher's cache cannot be used, or not be written.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the message of each variant says what its fields are"
)]
pub enum CacheError {
    #[error("`{}` holds no cache of what this teacher says of these rows{}", dir.display(), nearest(differences))]
    Absent {
        dir: PathBuf,
        /// Of the nearest one, in words.
        differences: Vec<&'static str>,
    },
    #[error("the teacher's cache `{}` lacks {} of {needed} shards: {}", folder.display(), missing.len(), first(missing))]
    Incomplete {
        folder: PathBuf,
        /// Counted from 1.
        missing: Vec<usize>,
        needed: usize,
    },
    #[error("`{}` of the teacher's cache is not usable: {reason}", path.display())]
    Unusable { path: PathBuf, reason: String },
    #[error("failed to write the teacher's cache")]
    Write {
        #[source]
        source: RunError,
    },
}

fn nearest(differences: &[&str]) -> String {
    match differences {
        [] => String::new(),
        names => format!(
            "; the nearest is of another {}",
            names.join(" and another ")
        ),
    }
}

/// At most eight numbers.
fn first(missing: &[usize]) -> String {
    let shown: Vec<_> = missing.iter().take(8).map(ToString::to_string).collect();
    let more = match missing.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}

impl CacheError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Absent { .. } => Some("`slm-tune teach RECIPE` asks the teacher, and keeps what it says".into()),
            Self::Incomplete { .. } => Some(
                "`slm-tune teach RECIPE` makes those that are missing; where several machines share the work, one of them did not end"
                    .into(),
            ),
            Self::Unusable { path, .. } => Some(format!(
                "delete `{}`; `slm-tune teach RECIPE` makes it again, and keeps the rest",
                path.display()
            )),
            Self::Write {
                source: source @ RunError::DiskFull { .. },
            } => source.hint(),
            Self::Write { .. } => {
                Some("choose a folder that can be written with `distill.cache_dir`".into())
            }
        }
    }
}
