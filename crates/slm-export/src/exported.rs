//! `export.json`: the files of an export.

use std::path::Path;

use serde::{Deserialize, Serialize};
use slm_run::{RunError, sha256_file, write_file_atomic};

use crate::{CalibrationSize, Certificate, Comparison, ExportError};

/// The list of what was exported, written last.
pub const EXPORT_JSON: &str = "export.json";
/// Version of [`EXPORT_JSON`].
const FORMAT_VERSION: u32 = 2;

/// One file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Relative to the export folder, with `/`: `merged/config.json`.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: String,
}

/// What was written, and how it compares.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// Every file that may be shipped, [`EXPORT_JSON`] itself apart.
    pub files: Vec<File>,
    /// One for each artifact; none where there were no prompts.
    pub comparisons: Vec<Comparison>,
    /// On how much of the training rows files were made, where any was.
    pub calibration: Option<CalibrationSize>,
}

/// [`EXPORT_JSON`]
#[derive(Serialize, Deserialize)]
struct List {
    format_version: u32,
    name: String,
    base_model: String,
    calibration: Option<CalibrationSize>,
    files: Vec<File>,
}

impl Exported {
    /// Reads an export folder.
    ///
    /// # Errors
    /// It is not one, or not whole.
    pub fn read(folder: &Path) -> Result<Self, ExportError> {
        let path = folder.join(EXPORT_JSON);
        let bytes = fs_err::read(&path).map_err(|error| RunError::io(&path, error))?;
        let list: List =
            serde_json::from_slice(&bytes).map_err(|error| ExportError::Certificate {
                path,
                what: error.to_string(),
            })?;
        let certificate = folder.join(crate::CERTIFICATE_JSON);
        let comparisons = match certificate.exists() {
            true => Certificate::read(&certificate)?.0.files,
            false => Vec::new(),
        };
        Ok(Self {
            files: list.files,
            comparisons,
            calibration: list.calibration,
        })
    }

    /// Writes the list.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn write(
        &self,
        folder: &Path,
        name: &str,
        base_model: &str,
    ) -> Result<(), ExportError> {
        let list = List {
            format_version: FORMAT_VERSION,
            name: name.into(),
            base_model: base_model.into(),
            calibration: self.calibration,
            files: self.files.clone(),
        };
        let mut text = serde_json::to_vec_pretty(&list).unwrap_or_default();
        text.push(b'\n');
        Ok(write_file_atomic(folder.join(EXPORT_JSON), &text)?)
    }
}

/// The files of an artifact in `folder`: of a file itself, of a folder each.
///
/// # Errors
/// They cannot be read.
pub(crate) fn list(folder: &Path, artifact: &str) -> Result<Vec<File>, ExportError> {
    let path = folder.join(artifact);
    let files = match path.is_dir() {
        true => slm_run::files_below(&path)?,
        false => vec![path],
    };
    let entry = |file: std::path::PathBuf| -> Result<File, ExportError> {
        let metadata = fs_err::metadata(&file).map_err(|error| RunError::io(&file, error))?;
        let relative = file.strip_prefix(folder).unwrap_or(&file);
        Ok(File {
            path: relative.to_string_lossy().replace('\\', "/"),
            size_bytes: metadata.len(),
            sha256: sha256_file(&file)?,
        })
    };
    files.into_iter().map(entry).collect()
}
