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
    if !is_hub_name(base_model) {
        let why = "it is not a hub name either".into();
        return Err(ModelError::NotFound {
            name: base_model.into(),
            why,
        });
    }
    let told_offline =
        std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| !matches!(value.as_str(), "" | "0"));
    hub::fetch(
        base_model,
        revision.unwrap_or("main"),
        offline || told_offline,
    )
}

/// `owner/name`, and nothing that looks like a path.
fn is_hub_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match text.split_once('/') {
        Some((owner, name)) => {
            let plain = |part: &str| {
                !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed)
            };
            plain(owner) && plain(name)
        }
        None => false,
    }
}

#[cfg(feature = "hub")]
mod hub {
    use super::{ModelError, PathBuf};
    use hf_hub::api::sync::{ApiBuilder, ApiError};
    use hf_hub::{Cache, Repo, RepoType};

    /// What a model folder may hold besides its weights.
    const SMALL_FILES: [&str; 7] = [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "special_tokens_map.json",
        "chat_template.jinja",
        "README.md",
    ];

    pub(super) fn fetch(name: &str, revision: &str, offline: bool) -> Result<PathBuf, ModelError> {
        let repo = Repo::with_revision(name.into(), RepoType::Model, revision.into());
        if offline {
            let cached = Cache::from_env().repo(repo).get("config.json");
            let why = "this run is offline and the hub's cache does not hold it".to_string();
            let folder = cached.and_then(|config| config.parent().map(PathBuf::from));
            return folder.ok_or(ModelError::NotFound {
                name: name.into(),
                why,
            });
        }
        let failed = |error: ApiError| ModelError::Download {
            name: name.into(),
            reason: error.to_string(),
        };
        let api = ApiBuilder::from_env()
            .with_progress(false)
            .build()
            .map_err(failed)?;
        let repo = api.repo(repo);
        let files: Vec<String> = repo
            .info()
            .map_err(failed)?
            .siblings
            .into_iter()
            .map(|file| file.rfilename)
            .collect();
        let mut config = None;
        for file in files.iter().filter(|file| wanted(file, &files)) {
            let path = repo.get(file).map_err(failed)?;
            if file == "config.json" {
                config = path.parent().map(PathBuf::from);
            }
        }
        let reason = "the hub has no `config.json` under that name".to_string();
        config.ok_or(ModelError::Download {
            name: name.into(),
            reason,
        })
    }

    fn wanted(file: &str, all: &[String]) -> bool {
        let single = all.iter().any(|f| f == "model.safetensors");
        let shard = !single && file.starts_with("model-") && file.ends_with(".safetensors");
        let weights =
            file == "model.safetensors" || file == "model.safetensors.index.json" || shard;
        weights || SMALL_FILES.contains(&file)
    }
}

#[cfg(not(feature = "hub"))]
mod hub {
    use super::{ModelError, PathBuf};

    pub(super) fn fetch(
        name: &str,
        _revision: &str,
        _offline: bool,
    ) -> Result<PathBuf, ModelError> {
        let why = "this slm-tune was built without `hub`, so it takes paths only".into();
        Err(ModelError::NotFound {
            name: name.into(),
            why,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_not_hub_names() {
        assert!(is_hub_name("HuggingFaceTB/SmolLM2-135M"));
        for path in [
            "./model",
            "/tmp/model",
            "a/b/c",
            "model",
            "~/model",
            "../model",
            "models/",
        ] {
            assert!(!is_hub_name(path), "{path}");
        }
    }

    #[test]
    fn offline_never_asks_the_network() {
        let error = locate("nobody/has-this-model", None, true).unwrap_err();
        assert!(matches!(error, ModelError::NotFound { .. }), "{error}");
        assert!(error.hint().is_some());
    }
}
