//! The certificate's hash inside the files that it is about.
//!
//! A certificate tells the digest of each file, and each file tells the hash of the certificate. Both are possible because a file
//! is written with a blank in the place of the hash, its digest is that of the blank file, and the hash is filled in last.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use slm_run::{RunError, sha256_bytes};

use crate::ExportError;

/// The metadata key, in GGUF and in safetensors files.
pub const CERTIFICATE_KEY: &str = "slm_tune.certificate_sha256";
/// What stands there until the hash is known: as long as one.
pub(crate) const BLANK: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// How many bytes may stand between key and hash: `":"` in JSON, a type and a length in GGUF.
const GAP: usize = 16;
/// Where the key is looked for: it stands among the first ones.
const HEADER_BYTES: u64 = 1 << 20;

/// Where the hash stands in a file; `None` in one that has no place for it.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn find(path: &Path) -> Result<Option<Seal>, ExportError> {
    let failed = |error| RunError::io(path, error);
    let mut file = fs_err::File::open(path).map_err(failed)?;
    let mut header = Vec::new();
    let mut limited = Read::by_ref(&mut file).take(HEADER_BYTES);
    limited.read_to_end(&mut header).map_err(failed)?;
    let key = CERTIFICATE_KEY.as_bytes();
    let mut windows = header.windows(key.len());
    let Some(at) = windows.position(|bytes| bytes == key) else {
        return Ok(None);
    };
    let from = at + key.len();
    let is_hash = |start: &usize| {
        let bytes = header.get(*start..*start + BLANK.len());
        bytes.is_some_and(|bytes| bytes.iter().all(u8::is_ascii_hexdigit))
    };
    let Some(at) = (from..=from + GAP).find(is_hash) else {
        return Ok(None);
    };
    let hash = String::from_utf8_lossy(&header[at..at + BLANK.len()]).into_owned();
    Ok(Some(Seal {
        path: path.to_path_buf(),
        at,
        hash,
    }))
}

/// A hash in a file.
pub(crate) struct Seal {
    path: PathBuf,
    at: usize,
    /// What stands there.
    pub(crate) hash: String,
}

impl Seal {
    /// Puts `hash` in its place.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn fill(&self, hash: &str) -> Result<(), ExportError> {
        let failed = |error| RunError::io(&self.path, error);
        let mut options = fs_err::OpenOptions::new();
        let mut file = options.write(true).open(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(self.at as u64)).map_err(failed)?;
        file.write_all(hash.as_bytes()).map_err(failed)?;
        Ok(file.sync_all().map_err(failed)?)
    }
}

/// SHA-256 of a file with a blank in the place of the certificate's hash.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn blank_digest(path: &Path) -> Result<String, ExportError> {
    let Some(seal) = find(path)? else {
        return Ok(slm_run::sha256_file(path)?);
    };
    Ok(slm_run::sha256_file_with(path, seal.at, BLANK.as_bytes())?)
}

/// [`blank_digest`] of a file, or of all files of a folder with their names, in the order of these.
///
/// # Errors
/// Something cannot be read.
pub(crate) fn content_digest(path: &Path) -> Result<String, ExportError> {
    if !path.is_dir() {
        return blank_digest(path);
    }
    let mut lines = String::new();
    for file in slm_run::files_below(path)? {
        let name = file.strip_prefix(path).unwrap_or(&file);
        let name = name.to_string_lossy().replace('\\', "/");
        lines += &format!("{} {name}\n", blank_digest(&file)?);
    }
    Ok(sha256_bytes(lines.as_bytes()))
}

/// The places for a hash in a file, or in the files of a folder.
///
/// # Errors
/// Something cannot be read.
pub(crate) fn seals(path: &Path) -> Result<Vec<Seal>, ExportError> {
    let files = match path.is_dir() {
        true => slm_run::files_below(path)?,
        false => vec![path.to_path_buf()],
    };
    let is_container = |file: &PathBuf| {
        let end = file.extension().unwrap_or_default();
        end == "gguf" || end == "safetensors"
    };
    let found = files.iter().filter(|file| is_container(file));
    found.filter_map(|file| find(file).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use slm_gguf::{Metadata, TensorSpec, TensorType, Value, Writer};

    use super::*;

    fn gguf(path: &Path) {
        let mut metadata = Metadata::new();
        metadata.insert("general.architecture", Value::String("llama".into()));
        metadata.insert(CERTIFICATE_KEY, Value::String(BLANK.into()));
        let tensors = vec![TensorSpec::from_shape("a", &[4], TensorType::F32)];
        let mut writer = Writer::create(path, &metadata, tensors).unwrap();
        writer.write_f32("a", &[1.0, 2.0, 3.0, 4.0]).unwrap();
        writer.finish().unwrap();
    }

    #[test]
    fn a_hash_in_its_place_changes_the_file_and_not_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gguf");
        gguf(&path);
        let before = slm_run::sha256_file(&path).unwrap();
        assert_eq!(blank_digest(&path).unwrap(), before);
        let hash = sha256_bytes(b"a certificate");
        for seal in seals(dir.path()).unwrap() {
            assert_eq!(seal.hash, BLANK);
            seal.fill(&hash).unwrap();
        }
        assert_ne!(slm_run::sha256_file(&path).unwrap(), before);
        assert_eq!(blank_digest(&path).unwrap(), before);
        let reader = slm_gguf::Reader::open(&path).unwrap();
        assert_eq!(
            reader.metadata().value(CERTIFICATE_KEY),
            Some(&Value::String(hash.clone()))
        );
        assert_eq!(find(&path).unwrap().unwrap().hash, hash);
        // One byte of a tensor is content.
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_ne!(blank_digest(&path).unwrap(), before);
    }

    #[test]
    fn a_file_without_the_key_has_no_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        std::fs::write(&path, "slm_tune.certificate and no hash").unwrap();
        assert!(find(&path).unwrap().is_none());
        assert_eq!(
            blank_digest(&path).unwrap(),
            slm_run::sha256_file(&path).unwrap()
        );
    }
}
