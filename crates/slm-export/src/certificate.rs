//! `certificate.json`: how each exported file compares with the model that was trained.

use std::path::Path;

use serde::{Deserialize, Serialize};
use slm_recipe::ParitySection;
use slm_run::{RunError, sha256_bytes, write_file_atomic};

use crate::{Comparison, ExportError, Probe};

/// The certificate's name in the export folder.
pub const CERTIFICATE_JSON: &str = "certificate.json";
/// Version of [`CERTIFICATE_JSON`].
const FORMAT_VERSION: u32 = 1;

/// What was compared, on what, and what came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    format_version: u32,
    /// Which slm-tune compared.
    pub tool_version: String,
    /// The run's name.
    pub name: String,
    /// The base as the recipe names it.
    pub base_model: String,
    /// The limits in force.
    pub limits: ParitySection,
    /// One for each file or folder, in the order in which they were written.
    pub files: Vec<Comparison>,
    /// The rows that trained model and files were given.
    pub prompts: Vec<Probe>,
}

impl Certificate {
    pub(crate) fn new(
        name: &str,
        base_model: &str,
        limits: &ParitySection,
        files: Vec<Comparison>,
        prompts: Vec<Probe>,
    ) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").into(),
            name: name.into(),
            base_model: base_model.into(),
            limits: limits.clone(),
            files,
            prompts,
        }
    }

    /// Reads the certificate at `path`, with the hash that the files about it hold.
    ///
    /// # Errors
    /// It cannot be read, or is none of this version.
    pub fn read(path: &Path) -> Result<(Self, String), ExportError> {
        let bytes = fs_err::read(path).map_err(|error| RunError::io(path, error))?;
        let unreadable = |what: String| ExportError::Certificate {
            path: path.into(),
            what,
        };
        let certificate: Self =
            serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
        let found = certificate.format_version;
        match found == FORMAT_VERSION {
            true => Ok((certificate, sha256_bytes(&bytes))),
            false => Err(unreadable(format!(
                "format version {found}, needed {FORMAT_VERSION}"
            ))),
        }
    }

    /// What it says about a file or folder.
    pub fn entry(&self, file: &str) -> Option<&Comparison> {
        self.files.iter().find(|entry| entry.file == file)
    }

    /// Writes it; the hash of the file.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<String, ExportError> {
        // Figures that are no numbers become null, strings and numbers always have a JSON form.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        write_file_atomic(folder.join(CERTIFICATE_JSON), &bytes)?;
        Ok(sha256_bytes(&bytes))
    }
}
