//! The files that one source of a recipe names: a file, a folder, or a pattern.

use std::path::Path;

use slm_run::{sha256_bytes, sha256_file};
use walkdir::WalkDir;

use super::names::{Names, SIGNS};
use super::object::{self, local};
use super::{Kind, check_readable, size_bytes};
use crate::error::DataError;
use crate::manifest::FileRecord;

/// The files of one source, in the order of their names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SourceFiles(pub(crate) Vec<String>);

impl SourceFiles {
    /// Those that a path names. A file that is there is meant even if its name looks like a pattern.
    pub(crate) fn of(path: &str) -> Result<Self, DataError> {
        if object::is_object(path) {
            return object::files(path).map(Self);
        }
        let place = Path::new(path);
        if place.is_dir() {
            return Self::below(&Names::all(path), place);
        }
        if place.exists() || !path.contains(SIGNS) {
            check_readable(path)?;
            return Ok(Self(vec![path.to_owned()]));
        }
        let names = Names::like(path)?;
        let folder = match names.folder() {
            "" => Path::new("."),
            folder => Path::new(folder),
        };
        if !folder.is_dir() {
            check_readable(&folder.display().to_string())?;
        }
        Self::below(&names, folder)
    }

    /// Those of a folder and of the ones in it.
    fn below(names: &Names<'_>, folder: &Path) -> Result<Self, DataError> {
        let visible = |entry: &walkdir::DirEntry| {
            entry.depth() == 0 || names.sees(&entry.file_name().to_string_lossy())
        };
        let walk = WalkDir::new(folder)
            .follow_links(true)
            .max_depth(names.depth().unwrap_or(usize::MAX));
        let mut files = Vec::new();
        for entry in walk.into_iter().filter_entry(visible) {
            let entry = entry.map_err(|error| unreadable(names.path(), error))?;
            if !entry.file_type().is_file() {
                continue;
            }
            let file = entry.path();
            let file = file
                .strip_prefix(".")
                .ok()
                .filter(|_| !names.path().starts_with('.'))
                .unwrap_or(file);
            let file = file.display().to_string();
            if names.means(&file) {
                Kind::of(&file)?;
                files.push(file);
            }
        }
        names.sorted(files).map(Self)
    }

    /// Digest of all of them, and their size. That of one file is its own; that of several is of what `sha256sum` prints for
    /// them.
    pub(crate) fn digest(&self) -> Result<(String, Vec<FileRecord>), DataError> {
        let record = |path: &String| {
            Ok(FileRecord {
                sha256: sha256_file(local(path)).map_err(|source| DataError::Write { source })?,
                size_bytes: size_bytes(path)?,
                path: path.clone(),
                rows: 0,
            })
        };
        let records: Vec<FileRecord> = self
            .0
            .iter()
            .map(record)
            .collect::<Result<_, DataError>>()?;
        let sha256 = match records.as_slice() {
            [one] => one.sha256.clone(),
            several => {
                let line = |file: &FileRecord| format!("{}  {}\n", file.sha256, file.path);
                sha256_bytes(several.iter().map(line).collect::<String>().as_bytes())
            }
        };
        Ok((sha256, records))
    }
}

fn unreadable(path: &str, error: walkdir::Error) -> DataError {
    let at =
        |place: Option<&Path>| place.map_or(String::new(), |place| place.display().to_string());
    if let Some(ancestor) = error.loop_ancestor() {
        return DataError::LinkLoop {
            path: path.into(),
            link: at(error.path()),
            target: at(Some(ancestor)),
        };
    }
    let shown = at(error.path());
    match error.into_io_error() {
        // A link that leads nowhere.
        Some(error) if error.kind() == std::io::ErrorKind::NotFound => DataError::Missing {
            path: shown,
            nearest: None,
        },
        Some(source) => DataError::Io { source },
        None => DataError::NoFiles { path: path.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let names = [
            "b.txt",
            "a.txt",
            ".hidden.txt",
            "_SUCCESS",
            "deep/c.txt",
            "deep/.git/d.txt",
            "e.jsonl",
        ];
        for name in names {
            let path = dir.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "x\n").unwrap();
        }
        dir
    }

    fn found(dir: &Path, pattern: &str) -> Vec<String> {
        let path = dir.join(pattern);
        let files = SourceFiles::of(path.to_str().unwrap()).unwrap().0;
        let name = |file: &String| {
            let file = Path::new(file).strip_prefix(dir).unwrap();
            file.display().to_string()
        };
        files.iter().map(name).collect()
    }

    #[test]
    fn folders_and_patterns_give_their_files_by_name() {
        let dir = folder();
        let dir = dir.path();
        assert_eq!(found(dir, ""), ["a.txt", "b.txt", "deep/c.txt", "e.jsonl"]);
        assert_eq!(found(dir, "*.txt"), ["a.txt", "b.txt"]);
        assert_eq!(found(dir, "**/*.txt"), ["a.txt", "b.txt", "deep/c.txt"]);
        assert_eq!(found(dir, "*/[a-c].txt"), ["deep/c.txt"]);
        assert_eq!(found(dir, "a.txt"), ["a.txt"]);
        let path = dir.join("*.csv").display().to_string();
        let error = SourceFiles::of(&path).unwrap_err().to_string();
        assert_eq!(error, format!("`{path}` names no file"));
    }

    #[test]
    #[cfg(unix)]
    fn links_are_followed_and_loops_are_named() {
        let dir = folder();
        let dir = dir.path();
        std::os::unix::fs::symlink(dir.join("a.txt"), dir.join("deep/link.txt")).unwrap();
        assert_eq!(found(dir, "deep"), ["deep/c.txt", "deep/link.txt"]);
        std::os::unix::fs::symlink(dir, dir.join("deep/loop")).unwrap();
        let error = SourceFiles::of(dir.to_str().unwrap()).unwrap_err();
        let shown = dir.display();
        assert_eq!(
            error.to_string(),
            format!("`{shown}` never ends: `{shown}/deep/loop` leads back to `{shown}`")
        );
    }
}
