//! Objects of a store, by their addresses. Their bytes are fetched into a folder, and read from there as any file.

mod error;
#[cfg(feature = "cloud")]
mod store;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use slm_run::sha256_bytes;

pub use self::error::ObjectError;
use crate::error::DataError;

/// What the address of an object begins with.
const SCHEMES: [&str; 4] = ["s3://", "gs://", "https://", "http://"];

/// Whether a path is the address of an object.
pub(super) fn is_object(path: &str) -> bool {
    SCHEMES.iter().any(|scheme| path.starts_with(scheme))
}

/// Refuses an address with more than a host and a path, as those that are signed have it: it is written into manifests.
pub(super) fn check_address(path: &str) -> Result<(), DataError> {
    let (scheme, rest) = path.split_once("://").unwrap_or_default();
    let plain = rest.split(['?', '#']).next().unwrap_or_default();
    let host = plain.split('/').next().unwrap_or_default();
    let without_user = host.rfind('@').map_or(plain, |at| &plain[at + 1..]);
    if without_user == rest {
        return Ok(());
    }
    let path = format!("{scheme}://{without_user}");
    let source = ObjectError::Secret { path };
    Err(DataError::Object { source })
}

/// Where the bytes of a path are: there, or of an object where it was fetched to.
pub(crate) fn local(path: &str) -> Cow<'_, Path> {
    match is_object(path) {
        true => Cow::Owned(fetched_to(path, &folder())),
        false => Cow::Borrowed(Path::new(path)),
    }
}

/// Fetches an object, once for all times that it is asked for in a process: what is hashed and what is read are the same bytes.
#[cfg(feature = "cloud")]
pub(super) fn fetch(path: &str) -> Result<(), DataError> {
    use std::collections::BTreeSet;
    use std::sync::{Mutex, PoisonError};

    static FETCHED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut fetched = FETCHED.lock().unwrap_or_else(PoisonError::into_inner);
    if !fetched.contains(path) {
        store::fetch(path, &folder())?;
        fetched.insert(path.to_owned());
    }
    Ok(())
}

/// This build has no way to objects.
#[cfg(not(feature = "cloud"))]
pub(super) fn fetch(path: &str) -> Result<(), DataError> {
    let source = ObjectError::NotBuilt { path: path.into() };
    Err(DataError::Object { source })
}

/// The folder that objects are fetched into: `SLM_TUNE_CACHE`, or `slm-tune` in the user's folder for caches.
fn folder() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let named = variable("SLM_TUNE_CACHE").map(PathBuf::from);
    let of_user = || variable("XDG_CACHE_HOME").map(|folder| Path::new(&folder).join("slm-tune"));
    let of_home = || std::env::home_dir().map(|home| home.join(".cache/slm-tune"));
    let folder = named.or_else(of_user).or_else(of_home);
    folder.unwrap_or_else(std::env::temp_dir).join("objects")
}

/// The file of an object in a folder.
fn fetched_to(path: &str, folder: &Path) -> PathBuf {
    folder.join(sha256_bytes(path.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_files_stay() {
        for path in ["rows.jsonl", "s3/rows.jsonl", "/a/s3://b", "file.s3"] {
            assert_eq!(local(path), Path::new(path));
        }
        let [one, other] = ["s3://a/rows.jsonl", "gs://a/rows.jsonl"].map(local);
        assert_ne!(one, other);
        assert!(one.parent().unwrap().ends_with("objects"));
    }

    #[test]
    fn an_address_that_may_hold_a_key_is_not_even_told() {
        for plain in ["s3://rows/a@b.jsonl", "https://example.org:8080/a b.jsonl"] {
            assert!(check_address(plain).is_ok(), "{plain}");
        }
        for secret in [
            "https://me:word@example.org/a.jsonl",
            "https://example.org/a.jsonl?sig=word",
            "https://example.org/a.jsonl#word@x/",
        ] {
            let error = check_address(secret).unwrap_err().to_string();
            let told = "the address of `https://example.org/a.jsonl` has a user, a query or a fragment, which may hold a key and would be kept";
            assert_eq!(error, told);
        }
    }
}
