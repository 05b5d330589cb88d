//! A file that appears complete or not at all: written under a temporary name, synced, renamed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err::File;

use crate::RunError;

/// Replaces a file: readers see the old content or the new, never a part.
///
/// # Errors
/// When the file cannot be written; the old one is then still there.
pub fn write_file_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), RunError> {
    let mut file = AtomicFile::new(path)?;
    file.write_all(bytes)
        .map_err(|error| RunError::io(&file.target, error))?;
    file.commit()
}

/// A file that is written piece by piece and appears when it is committed; dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    partial: PathBuf,
    file: File,
    committed: bool,
}

impl AtomicFile {
    /// Starts the file that will be at `target`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn new(target: impl AsRef<Path>) -> Result<Self, RunError> {
        let target = target.as_ref().to_path_buf();
        let partial = sibling(&target, "partial");
        let file = File::create(&partial).map_err(|error| RunError::io(&target, error))?;
        Ok(Self {
            target,
            partial,
            file,
            committed: false,
        })
    }

    /// Where the file is until it is committed, for a writer that wants a path.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// The same file, to get another name beside the one it was meant to have.
    pub fn under(mut self, name: &str) -> Self {
        self.target = self.target.with_file_name(name);
        self
    }

    /// Syncs the file and gives it its name.
    ///
    /// # Errors
    /// When it cannot be synced or renamed; nothing is left behind then.
    pub fn commit(mut self) -> Result<(), RunError> {
        let failed = |error| RunError::io(&self.target, error);
        self.file.sync_all().map_err(failed)?;
        fs_err::rename(&self.partial, &self.target).map_err(failed)?;
        self.committed = true;
        sync_parent(&self.target)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl io::Seek for AtomicFile {
    fn seek(&mut self, position: io::SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing can be done about a failure here, and the name says that the file is no result.
            let _ = fs_err::remove_file(&self.partial);
        }
    }
}

/// Whether a name is one that an unfinished write uses.
pub fn is_partial(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| {
        name.starts_with('.') && (name.ends_with(".partial") || name.ends_with(".replaced"))
    })
}

/// `folder/name` -> `folder/.name.suffix`
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{suffix}"))
}

pub(crate) fn sync_parent(path: &Path) -> Result<(), RunError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
        _ => sync(Path::new(".")),
    }
}

pub(crate) fn sync(path: &Path) -> Result<(), RunError> {
    // A folder cannot be opened for syncing on Windows; its entries are journalled there.
    if cfg!(windows) && path.is_dir() {
        return Ok(());
    }
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| RunError::io(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs_err::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_leaves_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.json");
        write_file_atomic(&path, b"one").unwrap();
        write_file_atomic(&path, b"two").unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"two");
        assert_eq!(names(dir.path()), ["run.json"]);
    }

    #[test]
    fn a_file_that_is_not_committed_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_file_atomic(&path, b"old").unwrap();
        let mut file = AtomicFile::new(&path).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs_err::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a"]);
    }
}
