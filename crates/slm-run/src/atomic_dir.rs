//! A folder that appears complete or not at all: filled under a temporary name, synced, renamed.

use std::io;
use std::path::{Path, PathBuf};

use crate::RunError;
use crate::atomic_file::{sibling, sync, sync_parent};
use crate::digest::files_below;

/// A folder that is filled under a temporary name and appears when it is committed; dropped before that, it leaves nothing.
///
/// What a killed process left under the temporary name is removed by the next one that writes the same folder.
#[derive(Debug)]
pub struct AtomicDir {
    target: PathBuf,
    partial: PathBuf,
    committed: bool,
}

impl AtomicDir {
    /// Starts the folder that will be at `target`, with the folders above it.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn new(target: impl AsRef<Path>) -> Result<Self, RunError> {
        let target = target.as_ref().to_path_buf();
        let partial = sibling(&target, "partial");
        recover(&target)?;
        remove_dir(&partial)?;
        fs_err::create_dir_all(&partial).map_err(|error| RunError::io(&target, error))?;
        Ok(Self {
            target,
            partial,
            committed: false,
        })
    }

    /// Where to write until the folder is committed.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Where the folder will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The same folder, to get another name beside the one it was meant to have.
    pub fn under(mut self, name: &str) -> Self {
        self.target = self.target.with_file_name(name);
        self
    }

    /// Syncs everything in the folder and gives it its name; a folder that had the name is removed.
    ///
    /// # Errors
    /// When something cannot be synced or renamed; the folder that had the name is then still there.
    pub fn commit(mut self) -> Result<(), RunError> {
        sync_below(&self.partial)?;
        let replaced = sibling(&self.target, "replaced");
        let failed = |error| RunError::io(&self.target, error);
        let replaces = self.target.exists();
        if replaces {
            fs_err::rename(&self.target, &replaced).map_err(failed)?;
        }
        if let Err(error) = fs_err::rename(&self.partial, &self.target) {
            recover(&self.target)?;
            return Err(failed(error));
        }
        self.committed = true;
        sync_parent(&self.target)?;
        remove_dir(&replaced)
    }
}

impl Drop for AtomicDir {
    fn drop(&mut self) {
        if !self.committed {
            // As for a file: the name says that it is no result.
            let _ = fs_err::remove_dir_all(&self.partial);
        }
    }
}

/// Brings back the folder that a process moved away and was killed before it could replace it.
fn recover(target: &Path) -> Result<(), RunError> {
    let replaced = sibling(target, "replaced");
    if !replaced.exists() {
        return Ok(());
    }
    if target.exists() {
        return remove_dir(&replaced);
    }
    fs_err::rename(&replaced, target).map_err(|error| RunError::io(target, error))
}

fn remove_dir(path: &Path) -> Result<(), RunError> {
    match fs_err::remove_dir_all(path) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(())
        }
        result => result.map_err(|error| RunError::io(path, error)),
    }
}

fn sync_below(root: &Path) -> Result<(), RunError> {
    for path in files_below(root)? {
        sync(&path)?;
        if let Some(folder) = path.parent().filter(|folder| *folder != root) {
            sync(folder)?;
        }
    }
    sync(root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{is_partial, write_file_atomic};

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs_err::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_appears_when_it_is_committed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("export/adapter");
        let folder = AtomicDir::new(&target).unwrap();
        fs_err::create_dir(folder.path().join("sub")).unwrap();
        fs_err::write(folder.path().join("sub/a"), "1").unwrap();
        assert!(!target.exists() && is_partial(folder.path()));
        folder.commit().unwrap();
        assert_eq!(fs_err::read(target.join("sub/a")).unwrap(), b"1");
        assert_eq!(names(&dir.path().join("export")), ["adapter"]);
    }

    #[test]
    fn a_dropped_folder_leaves_nothing_and_a_committed_one_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("data");
        let first = AtomicDir::new(&target).unwrap();
        fs_err::write(first.path().join("old"), "1").unwrap();
        first.commit().unwrap();

        let dropped = AtomicDir::new(&target).unwrap();
        fs_err::write(dropped.path().join("half"), "1").unwrap();
        drop(dropped);
        assert_eq!(names(&target), ["old"]);

        let second = AtomicDir::new(&target).unwrap();
        fs_err::write(second.path().join("new"), "1").unwrap();
        second.commit().unwrap();
        assert_eq!(names(&target), ["new"]);
        assert_eq!(names(dir.path()), ["data"]);
    }

    #[test]
    fn what_a_killed_process_left_is_never_a_result() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("data");
        let killed = AtomicDir::new(&target).unwrap();
        fs_err::write(killed.path().join("half"), "1").unwrap();
        std::mem::forget(killed);
        assert!(!target.exists());

        let next = AtomicDir::new(&target).unwrap();
        assert!(
            names(next.path()).is_empty(),
            "the half of the killed one is gone"
        );
        next.commit().unwrap();
        assert_eq!(names(dir.path()), ["data"]);
    }

    #[test]
    fn a_folder_moved_away_by_a_killed_process_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("data");
        fs_err::create_dir(dir.path().join(".data.replaced")).unwrap();
        fs_err::write(dir.path().join(".data.replaced/old"), "1").unwrap();
        drop(AtomicDir::new(&target).unwrap());
        assert_eq!(names(&target), ["old"]);
        assert_eq!(names(dir.path()), ["data"]);
    }

    #[test]
    fn a_path_below_a_file_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("file"), "1").unwrap();
        let target = dir.path().join("file/data");
        assert!(
            matches!(AtomicDir::new(&target), Err(RunError::NotAFolder { path }) if path == target)
        );
        assert!(
            matches!(write_file_atomic(&target, b"1"), Err(RunError::NotAFolder { path }) if path == target)
        );
    }
}
