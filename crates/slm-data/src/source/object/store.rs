//! Asking a store for lists of objects, and for objects that are not what was fetched before.

use std::error::Error as _;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use futures_util::{StreamExt, TryStreamExt};
use object_store::{
    Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreScheme, parse_url_opts, path,
};
use serde::{Deserialize, Serialize};
use slm_run::write_file_atomic;
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;
use url::Url;

use super::super::kind::Kind;
use super::{ObjectError, fetched_to};
use crate::error::DataError;

/// Objects that are fetched at the same time.
const AT_ONCE: usize = 8;

/// A store, and the thread that waits for it.
pub(super) struct Store {
    runtime: Runtime,
    store: Box<dyn ObjectStore>,
}

/// An object of a store.
pub(super) struct Object {
    pub(super) address: String,
    /// Names its version, where a list tells it.
    pub(super) e_tag: Option<String>,
}

/// What the store said of an object that was fetched.
#[derive(Serialize, Deserialize)]
struct Stamp {
    address: String,
    /// Names this version of the object.
    e_tag: String,
}

impl Store {
    /// The store that an address is in.
    pub(super) fn of(address: &str) -> Result<Self, DataError> {
        let url = url(address)?;
        // The same one as everything else here; another that was chosen before is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| DataError::Io { source })?;
        let store = parse_url_opts(&url, options(&url));
        let (store, _) = store.map_err(|error| failed(address, told(&error)))?;
        Ok(Self { runtime, store })
    }

    /// What is in a folder, and with `deep` in those in it.
    pub(super) fn list(&self, folder: &str, deep: bool) -> Result<Vec<Object>, DataError> {
        let place = location(folder)?;
        let objects = self.runtime.block_on(async {
            match deep {
                true => self.store.list(Some(&place)).try_collect().await,
                false => {
                    let listed = self.store.list_with_delimiter(Some(&place)).await;
                    listed.map(|listed| listed.objects)
                }
            }
        });
        let objects: Vec<ObjectMeta> = objects.map_err(|error| {
            let (path, reason) = (folder.into(), told(&error));
            let source = ObjectError::NotListed { path, reason };
            DataError::Object { source }
        })?;
        let object = |object: ObjectMeta| {
            let below = object.location.prefix_match(&place)?;
            let names: Vec<_> = below.map(|name| name.as_ref().to_owned()).collect();
            let address = format!("{folder}{}", encoded(&names.join("/")));
            // Consoles of stores make folders of such.
            let is_mark = object.size == 0 && Kind::of(&address).is_err();
            let e_tag = object.e_tag;
            (!is_mark).then_some(Object { address, e_tag })
        };
        Ok(objects.into_iter().filter_map(object).collect())
    }

    /// Fetches objects into a folder.
    pub(super) fn fetch(&self, objects: &[Object], folder: &Path) -> Result<(), DataError> {
        fs_err::create_dir_all(folder).map_err(|source| DataError::Io { source })?;
        let get = |object| self.get(object, folder);
        let all = futures_util::stream::iter(objects).map(get);
        let all = all.buffered(AT_ONCE).try_collect::<Vec<()>>();
        self.runtime.block_on(all)?;
        Ok(())
    }

    async fn get(&self, object: &Object, folder: &Path) -> Result<(), DataError> {
        let location = location(&object.address)?;
        let to = fetched_to(&object.address, folder);
        let got = self.get_to(&location, object, &to).await;
        got.map_err(|error| match error {
            Failure::Store(error) => failed(&object.address, told(&error)),
            Failure::File(source) => DataError::Io { source },
        })
    }

    /// The bytes go into a temporary file that takes the place of the last one when all are there.
    async fn get_to(
        &self,
        location: &path::Path,
        object: &Object,
        to: &Path,
    ) -> Result<(), Failure> {
        let stamp = to.with_extension("json");
        let known = fs_err::read(&stamp).ok().filter(|_| to.exists());
        let known = known.and_then(|text| serde_json::from_slice::<Stamp>(&text).ok());
        let known = known.map(|known| known.e_tag);
        if known.is_some() && known == object.e_tag {
            return Ok(());
        }
        let options = GetOptions {
            if_none_match: known,
            ..GetOptions::default()
        };
        let got = match self.store.get_opts(location, options).await {
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
        // Another process may be reading it.
        if !is_equal(file.path(), to)? {
            file.persist(to).map_err(|error| error.error)?;
        }
        if let Some(e_tag) = meta.e_tag {
            let address = object.address.clone();
            let text = serde_json::to_vec(&Stamp { address, e_tag }).unwrap_or_default();
            // Without it, the object is fetched again the next time.
            let _ = write_file_atomic(&stamp, &text);
        }
        Ok(())
    }
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

fn failed(path: &str, reason: String) -> DataError {
    let path = path.into();
    let source = ObjectError::Failed { path, reason };
    DataError::Object { source }
}

fn url(address: &str) -> Result<Url, DataError> {
    Url::parse(address).map_err(|error| failed(address, error.to_string()))
}

/// Where in its store an address leads.
fn location(address: &str) -> Result<path::Path, DataError> {
    let parsed = ObjectStoreScheme::parse(&url(address)?);
    let (_, location) = parsed.map_err(|error| failed(address, error.to_string()))?;
    Ok(location)
}

/// A name as it stands in an address.
fn encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for sign in name.chars() {
        match sign {
            '%' | '?' | '#' | '\0'..='\x1f' => encoded += &format!("%{:02X}", u32::from(sign)),
            sign => encoded.push(sign),
        }
    }
    encoded
}

/// Whether a file has the bytes of another that may not be there.
fn is_equal(file: &Path, other: &Path) -> Result<bool, std::io::Error> {
    let size_bytes = |path: &Path| fs_err::metadata(path).map(|metadata| metadata.len());
    if !other.exists() || size_bytes(file)? != size_bytes(other)? {
        return Ok(false);
    }
    let mut file = BufReader::new(fs_err::File::open(file)?);
    let mut other = BufReader::new(fs_err::File::open(other)?);
    loop {
        let (one, two) = (file.fill_buf()?, other.fill_buf()?);
        let count = one.len().min(two.len());
        if count == 0 || one[..count] != two[..count] {
            return Ok(one.is_empty() && two.is_empty());
        }
        file.consume(count);
        other.consume(count);
    }
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
