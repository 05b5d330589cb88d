//! Fetching an object as a stream, unless it is what was fetched before.

use std::error::Error as _;
use std::io::Write;
use std::path::Path;

use futures_util::StreamExt;
use object_store::{Error, GetOptions, ObjectStore, parse_url_opts};
use serde::{Deserialize, Serialize};
use slm_run::write_file_atomic;
use tempfile::NamedTempFile;
use url::Url;

use super::{ObjectError, fetched_to};
use crate::error::DataError;

/// What the store said of an object that was fetched.
#[derive(Serialize, Deserialize)]
struct Stamp {
    address: String,
    /// Names this version of the object.
    e_tag: String,
}

/// Fetches an object into a folder.
pub(super) fn fetch(path: &str, folder: &Path) -> Result<(), DataError> {
    let failed = |reason: String| DataError::Object {
        source: ObjectError::Failed {
            path: path.into(),
            reason,
        },
    };
    let url = Url::parse(path).map_err(|error| failed(error.to_string()))?;
    // The same one as everything else here; another that was chosen before is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| DataError::Io { source })?;
    fs_err::create_dir_all(folder).map_err(|source| DataError::Io { source })?;
    let to = fetched_to(path, folder);
    runtime
        .block_on(get(&url, &to))
        .map_err(|error| match error {
            Failure::Store(error) => failed(told(&error)),
            Failure::File(source) => DataError::Io { source },
        })
}

/// Why an object was not fetched.
enum Failure {
    Store(Error),
    File(std::io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::File(error)
    }
}

/// The bytes go into a temporary file that takes the place of the last one when all are there.
async fn get(url: &Url, to: &Path) -> Result<(), Failure> {
    let (store, location) = parse_url_opts(url, options(url))?;
    let stamp = to.with_extension("json");
    let known = fs_err::read(&stamp).ok().filter(|_| to.exists());
    let known = known.and_then(|text| serde_json::from_slice::<Stamp>(&text).ok());
    let options = GetOptions {
        if_none_match: known.map(|known| known.e_tag),
        ..GetOptions::default()
    };
    let got = match store.get_opts(&location, options).await {
        Err(Error::NotModified { .. }) => return Ok(()),
        got => got?,
    };
    let meta = got.meta.clone();
    let folder = to.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    let mut bytes = got.into_stream();
    while let Some(part) = bytes.next().await {
        file.write_all(&part?)?;
    }
    if stamp.exists() {
        fs_err::remove_file(&stamp)?;
    }
    file.persist(to).map_err(|error| error.error)?;
    if let Some(e_tag) = meta.e_tag {
        let address = url.to_string();
        let text = serde_json::to_vec(&Stamp { address, e_tag }).unwrap_or_default();
        // Without it, the object is fetched again the next time.
        let _ = write_file_atomic(&stamp, &text);
    }
    Ok(())
}

/// Credentials, region and endpoint as the environment has them (`AWS_..`, `GOOGLE_..`).
fn options(url: &Url) -> Vec<(String, String)> {
    let variables = std::env::vars_os();
    let variables = variables.filter_map(|(name, value)| {
        let name = name.into_string().ok()?.to_lowercase();
        Some((name, value.into_string().ok()?))
    });
    let known =
        variables.filter(|(name, _)| name.starts_with("aws_") || name.starts_with("google_"));
    // However long it takes, as long as something comes.
    let times = [("timeout", "1day"), ("read_timeout", "1min")];
    let times = times.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut options: Vec<_> = known.chain(times).collect();
    if url.scheme() == "http" {
        options.push(("allow_http".into(), "true".into()));
    }
    options
}

/// An error with its causes.
fn told(error: &Error) -> String {
    if let Error::NotFound { .. } = error {
        return "the store has no such object".into();
    }
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            told += &format!(": {text}");
        }
        cause = error.source();
    }
    told
}
