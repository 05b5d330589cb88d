//! SHA-256 of what is on disk, as lowercase hexadecimal digits.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::RunError;

const BLOCK_BYTES: usize = 1 << 20;

/// Digest of bytes in memory.
pub fn sha256_bytes(bytes: &[u8]) -> String {
    hexadecimal(Sha256::digest(bytes).as_slice())
}

/// Digest of a value by its JSON, such as a section of the recipe together with other digests.
pub fn sha256_json(value: &impl Serialize) -> String {
    // Only a map whose keys are not strings, or a failing `Serialize`, has no JSON: neither exists in this workspace.
    let text = serde_json::to_string(value).expect("every value of this workspace has a JSON form");
    sha256_bytes(text.as_bytes())
}

/// Digest of a file's content.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_file(path: impl AsRef<Path>) -> Result<String, RunError> {
    let path = path.as_ref();
    let mut file = fs_err::File::open(path).map_err(|error| RunError::io(path, error))?;
    let mut digest = Sha256::new();
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let count = file
            .read(&mut block)
            .map_err(|error| RunError::io(path, error))?;
        if count == 0 {
            return Ok(hexadecimal(digest.finalize().as_slice()));
        }
        digest.update(&block[..count]);
    }
}

/// Digest of a file's content as if `patch` stood at the byte `at`.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_file_with(
    path: impl AsRef<Path>,
    at: usize,
    patch: &[u8],
) -> Result<String, RunError> {
    let path = path.as_ref();
    let failed = |error| RunError::io(path, error);
    let mut file = fs_err::File::open(path).map_err(failed)?;
    let (mut digest, mut block, mut start) = (Sha256::new(), vec![0; BLOCK_BYTES], 0);
    loop {
        let count = file.read(&mut block).map_err(failed)?;
        if count == 0 {
            return Ok(hexadecimal(digest.finalize().as_slice()));
        }
        let (from, to) = (at.max(start), (at + patch.len()).min(start + count));
        if from < to {
            block[from - start..to - start].copy_from_slice(&patch[from - at..to - at]);
        }
        digest.update(&block[..count]);
        start += count;
    }
}

/// Digest of a folder: of the names and digests of all its files, in the order of their names.
///
/// # Errors
/// When the folder or a file in it cannot be read.
pub fn digest_dir(path: impl AsRef<Path>) -> Result<String, RunError> {
    let root = path.as_ref();
    let mut digest = Sha256::new();
    for file in files_below(root)? {
        let name = file.strip_prefix(root).unwrap_or(&file);
        digest.update(name.as_os_str().as_encoded_bytes());
        digest.update([0]);
        digest.update(sha256_file(&file)?);
        digest.update([b'\n']);
    }
    Ok(hexadecimal(digest.finalize().as_slice()))
}

/// Digest of a file or a folder, whichever it is.
///
/// # Errors
/// When it cannot be read.
pub fn sha256_path(path: impl AsRef<Path>) -> Result<String, RunError> {
    if path.as_ref().is_dir() {
        digest_dir(path)
    } else {
        sha256_file(path)
    }
}

/// Every file below a folder, sorted; links are followed, because a hub's cache is made of them.
///
/// # Errors
/// When the folder cannot be read.
pub fn files_below(root: &Path) -> Result<Vec<PathBuf>, RunError> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).map_err(|error| RunError::io(&folder, error))? {
            let path = entry.map_err(|error| RunError::io(&folder, error))?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-2, appendix B.1, and the digest of nothing.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn bytes_and_files_have_the_published_digests() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(sha256_bytes(b"abc"), ABC);
        assert_eq!(sha256_bytes(b""), NOTHING);
        fs_err::write(dir.path().join("a"), "abc").unwrap();
        assert_eq!(sha256_file(dir.path().join("a")).unwrap(), ABC);
        assert_eq!(sha256_path(dir.path().join("a")).unwrap(), ABC);
        assert!(matches!(
            sha256_file(dir.path().join("b")),
            Err(RunError::Missing { .. })
        ));
    }

    #[test]
    fn a_file_longer_than_a_block_is_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = vec![7; BLOCK_BYTES + 3];
        fs_err::write(dir.path().join("a"), &bytes).unwrap();
        assert_eq!(
            sha256_file(dir.path().join("a")).unwrap(),
            sha256_bytes(&bytes)
        );
    }

    #[test]
    fn a_patch_counts_wherever_blocks_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut bytes = vec![7; BLOCK_BYTES + 30];
        fs_err::write(&path, &bytes).unwrap();
        for at in [0, BLOCK_BYTES - 5, BLOCK_BYTES + 20] {
            let found = sha256_file_with(&path, at, b"0123456789").unwrap();
            bytes.fill(7);
            bytes[at..at + 10].copy_from_slice(b"0123456789");
            assert_eq!(found, sha256_bytes(&bytes));
        }
    }

    #[test]
    fn a_folder_is_its_names_and_contents() {
        let write = |names: &[(&str, &str)]| {
            let dir = tempfile::tempdir().unwrap();
            for (name, content) in names {
                fs_err::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
                fs_err::write(dir.path().join(name), content).unwrap();
            }
            digest_dir(dir.path()).unwrap()
        };
        let base = write(&[("a", "1"), ("sub/b", "2")]);
        assert_eq!(base, write(&[("sub/b", "2"), ("a", "1")]));
        assert_ne!(
            base,
            write(&[("a", "1"), ("sub/b", "3")]),
            "a content changed"
        );
        assert_ne!(base, write(&[("a", "1"), ("sub/c", "2")]), "a name changed");
        assert_ne!(base, write(&[("a", "1")]), "a file is gone");
    }

    #[test]
    fn a_value_is_its_json() {
        assert_eq!(sha256_json(&("a", 1)), sha256_bytes(br#"["a",1]"#));
    }
}
