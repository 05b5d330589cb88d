//! A file that appears only when it is complete.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::GgufError;

/// A temporary file next to the final one; removed unless it is finished.
#[derive(Debug)]
pub(crate) struct PendingFile {
    path: PathBuf,
    file: BufWriter<NamedTempFile<fs_err::File>>,
}

impl PendingFile {
    pub(crate) fn create(path: &Path) -> Result<Self, GgufError> {
        let path = path.to_path_buf();
        match temporary(&path) {
            Ok(file) => Ok(Self {
                path,
                file: BufWriter::with_capacity(1 << 20, file),
            }),
            Err(source) => Err(GgufError::Write { path, source }),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), GgufError> {
        self.file
            .write_all(bytes)
            .map_err(|source| GgufError::Write {
                path: self.path.clone(),
                source,
            })
    }

    /// Brings everything to the disk and gives the file its name, replacing one that was there.
    pub(crate) fn finish(self) -> Result<(), GgufError> {
        let Self { path, file } = self;
        let rename = || -> io::Result<()> {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            sync_folder(folder_of(&path))
        };
        rename().map_err(|source| GgufError::Write {
            path: path.clone(),
            source,
        })
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// A new file next to `path`, with the permissions of any new file, that is removed unless it is renamed.
fn temporary(path: &Path) -> io::Result<NamedTempFile<fs_err::File>> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path does not end in a file name",
        ));
    };
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    let create = |path: &Path| fs_err::File::create_new(path);
    tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".partial")
        .make_in(folder_of(path), create)
}

/// Makes the new name last, where the system can: only Unix opens a folder for that.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        fs_err::File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}
