//! The files of a prepared folder that have a record a line.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use slm_run::RunError;

use crate::error::DataError;
use crate::leak::{LEAKS, Leak};

/// A file with a record a line, while it is written.
pub(crate) struct Records {
    path: PathBuf,
    file: BufWriter<fs_err::File>,
}

impl Records {
    /// Writes a file of records that are all there.
    pub(crate) fn write_all<R: Serialize>(
        path: &Path,
        records: impl IntoIterator<Item = R>,
    ) -> Result<(), DataError> {
        let mut file = Self::create(path)?;
        file.write(records)?;
        file.close()
    }

    pub(crate) fn create(path: &Path) -> Result<Self, DataError> {
        let file = fs_err::File::create(path).map_err(|error| failed(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
        })
    }

    pub(crate) fn write<R: Serialize>(
        &mut self,
        records: impl IntoIterator<Item = R>,
    ) -> Result<(), DataError> {
        for record in records {
            // Strings, numbers, lists and maps with string keys: none of them can fail to serialize.
            let line = serde_json::to_string(&record).unwrap_or_default();
            let written = writeln!(self.file, "{line}");
            written.map_err(|error| failed(&self.path, error))?;
        }
        Ok(())
    }

    /// Brings what was written to the disk.
    pub(crate) fn close(mut self) -> Result<(), DataError> {
        let flushed = self.file.flush();
        let synced = flushed.and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|error| failed(&self.path, error))
    }
}

fn failed(path: &Path, error: std::io::Error) -> DataError {
    DataError::Write {
        source: RunError::io(path, error),
    }
}

/// Reads the records one after the other, so that no file needs to fit into memory.
pub(crate) fn each_record<R: DeserializeOwned>(
    folder: &Path,
    name: &str,
    take: &mut dyn FnMut(R),
) -> Result<(), DataError> {
    let path = folder.join(name);
    let io = |source| DataError::Io { source };
    let file = fs_err::File::open(&path).map_err(io)?;
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let record = serde_json::from_str(&line.map_err(io)?);
        take(record.map_err(|error| DataError::Shards {
            path: path.display().to_string(),
            reason: format!("line {} is broken: {error}", at + 1),
        })?);
    }
    Ok(())
}

/// The rows of tasks that were found among those to learn from, as a prepared folder has them.
///
/// # Errors
/// When the folder has no such file, or one that is broken.
pub fn leaks(folder: &Path) -> Result<Vec<Leak>, DataError> {
    let mut leaks = Vec::new();
    each_record(folder, LEAKS, &mut |leak| leaks.push(leak))?;
    Ok(leaks)
}
