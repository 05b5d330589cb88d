//! Objects of a store, by their addresses. Their bytes are fetched into a folder, and read from there as any file.

#[cfg(feature = "cloud")]
mod asked;
mod error;
#[cfg(feature = "cloud")]
mod store;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use slm_run::sha256_bytes;

pub use self::error::ObjectError;
use super::kind::Kind;
use super::names::{Names, SIGNS};
use crate::error::DataError;

/// What the address of an object begins with.
const SCHEMES: [&str; 4] = ["s3://", "gs://", "https://", "http://"];

/// Whether a path is the address of an object, of a folder of them or of several.
pub(super) fn is_object(path: &str) -> bool {
    SCHEMES.iter().any(|scheme| path.starts_with(scheme))
}

/// Whether an address is of a store that tells what it has.
pub(crate) fn lists(path: &str) -> bool {
    path.starts_with("s3://") || path.starts_with("gs://")
}

/// Fetches the objects that a path names: one, a folder's (`/` at its end) or those of a pattern, in the order of their names.
pub(super) fn files(path: &str) -> Result<Vec<String>, DataError> {
    check_address(path)?;
    let names = match path.contains(SIGNS) {
        true => Names::like(path)?,
        false if path.ends_with('/') => Names::all(path),
        false => {
            Kind::of(path)?;
            fetch(&[path.to_owned()])?;
            return Ok(vec![path.to_owned()]);
        }
    };
    if !lists(path) {
        let source = ObjectError::NoList { path: path.into() };
        return Err(DataError::Object { source });
    }
    let folder = names.folder();
    if folder.ends_with("://") {
        let source = ObjectError::NoBucket { path: path.into() };
        return Err(DataError::Object { source });
    }
    let found = list(&names)?;
    let objects = match found.iter().any(|object| object == path) {
        // Meant even if its name looks like a pattern.
        true => vec![path.to_owned()],
        false => {
            let seen = |object: &String| {
                object[folder.len()..]
                    .split('/')
                    .all(|name| names.sees(name))
            };
            let meant = |object: &String| seen(object) && names.means(object);
            names.sorted(found.into_iter().filter(meant).collect())?
        }
    };
    for object in &objects {
        Kind::of(object)?;
    }
    fetch(&objects)?;
    Ok(objects)
}

/// Refuses an address with more than a host and a path, as those that are signed have it: it is written into manifests.
fn check_address(path: &str) -> Result<(), DataError> {
    let (scheme, rest) = path.split_once("://").unwrap_or_default();
    let begins = |(at, sign): &(usize, &str)| {
        *sign == "#" || !lists(path) || begins_query(&rest[at + sign.len()..])
    };
    let end = rest.match_indices(['?', '#']).find(begins);
    let plain = &rest[..end.map_or(rest.len(), |(at, _)| at)];
    let host = plain.split('/').next().unwrap_or_default();
    let without_user = host.rfind('@').map_or(plain, |at| &plain[at + 1..]);
    if without_user == rest {
        return Ok(());
    }
    let path = format!("{scheme}://{without_user}");
    let source = ObjectError::Secret { path };
    Err(DataError::Object { source })
}

/// Whether what is behind a `?` is a query (`name=..`), and it does not stand for a sign of a name.
fn begins_query(rest: &str) -> bool {
    let end = rest.find(['=', '/', '?', '*', '[']);
    end.is_some_and(|end| rest[end..].starts_with('='))
}

/// Where the bytes of a path are: there, or of an object where it was fetched to.
pub(crate) fn local(path: &str) -> Cow<'_, Path> {
    match is_object(path) {
        true => Cow::Owned(fetched_to(path, &folder())),
        false => Cow::Borrowed(Path::new(path)),
    }
}

#[cfg(feature = "cloud")]
use self::asked::{fetch, list};

/// This build has no way to objects.
#[cfg(not(feature = "cloud"))]
fn fetch(paths: &[String]) -> Result<(), DataError> {
    not_built(paths.first().map_or("", String::as_str))
}

#[cfg(not(feature = "cloud"))]
fn list(names: &Names<'_>) -> Result<Vec<String>, DataError> {
    not_built(names.path())
}

#[cfg(not(feature = "cloud"))]
fn not_built<T>(path: &str) -> Result<T, DataError> {
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
        for plain in [
            "s3://rows/a@b.jsonl",
            "s3://rows/day=2026-0?/part=1-?.jsonl",
            "https://example.org:8080/a b.jsonl",
        ] {
            assert!(check_address(plain).is_ok(), "{plain}");
        }
        for secret in [
            "https://me:word@example.org/a.jsonl",
            "https://example.org/a.jsonl?sig=word",
            "https://example.org/a.jsonl#word@x/",
            "s3://example.org/a.jsonl?sig=word",
            "gs://word@example.org/a.jsonl#*",
        ] {
            let (scheme, _) = secret.split_once("://").unwrap();
            let error = check_address(secret).unwrap_err().to_string();
            let told = format!(
                "the address of `{scheme}://example.org/a.jsonl` has a user, a query or a fragment, which may hold a key and would be kept"
            );
            assert_eq!(error, told);
        }
    }
}
