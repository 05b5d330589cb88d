//! What stores were asked for in this process. Each pass over the rows has the same objects, and the same bytes of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::super::names::Names;
use super::local;
use super::store::{Object, Store};
use crate::error::DataError;

struct Asked {
    /// What is in a folder, and below it where that was asked.
    lists: BTreeMap<(String, bool), Vec<String>>,
    /// What a list says of the version of an object.
    tags: BTreeMap<String, String>,
    /// What was fetched.
    files: BTreeMap<String, Version>,
}

/// Tells a file from another of the same name.
#[derive(PartialEq)]
struct Version {
    changed: SystemTime,
    size_bytes: u64,
}

static ASKED: Mutex<Asked> = Mutex::new(Asked {
    lists: BTreeMap::new(),
    tags: BTreeMap::new(),
    files: BTreeMap::new(),
});

/// The addresses of all objects that may be meant.
pub(super) fn list(names: &Names<'_>) -> Result<Vec<String>, DataError> {
    let (folder, deep) = (names.folder(), names.depth() != Some(1));
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let of = (folder.to_owned(), deep);
    if let Some(list) = asked.lists.get(&of) {
        return Ok(list.clone());
    }
    let mut list = Vec::new();
    for Object { address, e_tag } in Store::of(folder)?.list(folder, deep)? {
        if let Some(e_tag) = e_tag {
            asked.tags.insert(address.clone(), e_tag);
        }
        list.push(address);
    }
    asked.lists.insert(of, list.clone());
    Ok(list)
}

/// Fetches objects of one store, those that were not fetched before.
///
/// # Errors
/// When a store does not give one; when another process put another version in the place of one that was fetched.
pub(super) fn fetch(paths: &[String]) -> Result<(), DataError> {
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut missing = Vec::new();
    for path in paths {
        match asked.files.get(path) {
            None => missing.push(Object {
                address: path.clone(),
                e_tag: asked.tags.get(path).cloned(),
            }),
            Some(known) if Version::of(path).is_ok_and(|version| version == *known) => {}
            Some(_) => return Err(DataError::ChangedWhileRead { path: path.clone() }),
        }
    }
    let Some(first) = missing.first() else {
        return Ok(());
    };
    Store::of(&first.address)?.fetch(&missing, &super::folder())?;
    for Object { address, .. } in missing {
        let version = Version::of(&address).map_err(|source| DataError::Io { source })?;
        asked.files.insert(address, version);
    }
    Ok(())
}

impl Version {
    fn of(path: &str) -> std::io::Result<Self> {
        let metadata = fs_err::metadata(local(path))?;
        Ok(Self {
            changed: metadata.modified()?,
            size_bytes: metadata.len(),
        })
    }
}
