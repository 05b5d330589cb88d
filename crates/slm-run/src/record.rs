//! `run.json`: which stages are done, from what inputs, with what outputs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::{RunError, StageStatus, write_file_atomic};

/// The format of a run directory that this version reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// The content of `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Format of the run directory.
    pub format_version: u32,
    /// The slm-tune that wrote it.
    pub tool_version: String,
    /// Digests of what the run was made of: `recipe`, `base`, `data`.
    pub digests: BTreeMap<String, String>,
    /// The stages, by name.
    pub stages: BTreeMap<String, StageRecord>,
}

/// One stage in `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// What became of it.
    pub status: StageStatus,
    /// Digest of everything the stage read.
    pub input_digest: String,
    /// What it wrote: path below the run directory -> digest.
    pub outputs: BTreeMap<String, String>,
    /// When it began, in seconds since 1970.
    pub started_unix_s: u64,
    /// How long it took; 0 until it ended.
    pub elapsed_s: f64,
}

impl StageRecord {
    /// The record of a stage that begins now.
    pub(crate) fn started(input_digest: &str) -> Self {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            status: StageStatus::Started,
            input_digest: input_digest.into(),
            outputs: BTreeMap::new(),
            started_unix_s: since_1970.as_secs(),
            elapsed_s: 0.0,
        }
    }
}

impl Default for RunRecord {
    fn default() -> Self {
        Self {
            format_version: FORMAT_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").into(),
            digests: BTreeMap::new(),
            stages: BTreeMap::new(),
        }
    }
}

impl RunRecord {
    /// Reads a `run.json`.
    ///
    /// # Errors
    /// When it is missing, broken, or of another format version.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let text = fs_err::read(path).map_err(|error| RunError::io(path, error))?;
        let broken = |error: serde_json::Error| RunError::Broken {
            path: path.into(),
            line: error.line(),
            reason: error.to_string(),
        };
        let Version { format_version } = serde_json::from_slice(&text).map_err(broken)?;
        if format_version != FORMAT_VERSION {
            return Err(RunError::FormatVersion {
                path: path.into(),
                found: format_version,
                supported: FORMAT_VERSION,
            });
        }
        serde_json::from_slice(&text).map_err(broken)
    }

    /// Replaces a `run.json`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), RunError> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| RunError::Io {
            path: path.into(),
            error: error.into(),
        })?;
        text.push('\n');
        write_file_atomic(path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_format_is_refused_by_its_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.json");
        fs_err::write(&path, r#"{"format_version": 2, "phases": []}"#).unwrap();
        let error = RunRecord::read(&path).unwrap_err();
        assert!(
            matches!(
                error,
                RunError::FormatVersion {
                    found: 2,
                    supported: 1,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_broken_record_names_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.json");
        fs_err::write(&path, "{\n\"format_version\": 1,\n\"tool_version\": 3 }").unwrap();
        let error = RunRecord::read(&path).unwrap_err();
        assert!(matches!(error, RunError::Broken { line: 3, .. }), "{error}");
    }
}
