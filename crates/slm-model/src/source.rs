//! A base model by path or by hub name.

use std::path::{Path, PathBuf};

use crate::ModelError;

/// The folder of a base: `base_model` itself when it is one, else what the hub has under that name.
///
/// `offline` (or `HF_HUB_OFFLINE=1` in the environment) answers from the hub's local cache only.
///
/// # Errors
/// Neither a folder nor a hub name; the network or the hub does not answer; the feature `hub` is not built.
pub fn locate(
    base_model: &str,
    revision: Option<&str>,
    offline: bool,
) -> Result<PathBuf, ModelError> {
    let path = Path::new(base_model);
    if path.is_dir() {
        return Ok(path.into());
    }
    let looks_like_path =
        base_model.starts_with(['.', '/', '~']) || base_model.matches('/').count() != 1;
    if looks_like_path {
        let why = "it is not a folder".into();
        return Err(ModelError::NotFound {
            name: base_model.into(),
            why,
        });
    }
    let _ = (revision, offline);
    Err(ModelError::NotFound {
        name: base_model.into(),
        why: "this slm-tune was built without `hub`".into(),
    })
}
