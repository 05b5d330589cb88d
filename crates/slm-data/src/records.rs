//! The files of a prepared folder that have a record a line.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::DataError;
use crate::leak::{LEAKS, Leak};

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
