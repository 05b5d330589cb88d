//! Typed access to the keys of a `config.json`; every error names the file, the key, what was found and what was needed.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::ModelError;

/// A JSON object with the path and the section that its errors name.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    path: PathBuf,
    /// What stands before a key in errors, such as `rope_scaling.`.
    prefix: String,
    map: Map<String, Value>,
}

/// Keys that do not change what a model computes here. Dropouts of the base are among them: fine-tuning runs without.
const HARMLESS: &[&str] = &[
    "_attn_implementation",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attn_pdrop",
    "bos_token_id",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "dtype",
    "embd_pdrop",
    "eos_token_id",
    "hidden_dropout",
    "id2label",
    "is_llama_config",
    "label2id",
    "model_type",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "pretraining_tp",
    "resid_pdrop",
    "return_dict",
    "task_specific_params",
    "torch_dtype",
    "transformers.js_config",
    "transformers_version",
    "unsloth_fixed",
    "unsloth_version",
    "use_cache",
];

impl Keys {
    /// The keys of a parsed file; anything but an object has none.
    pub(crate) fn new(value: &Value, path: &Path) -> Self {
        Self {
            path: path.into(),
            prefix: String::new(),
            map: value.as_object().cloned().unwrap_or_default(),
        }
    }

    /// The object at `key`; `None` where it is missing or null.
    pub(crate) fn section(&self, key: &str) -> Result<Option<Self>, ModelError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let map = value
            .as_object()
            .cloned()
            .ok_or_else(|| self.wrong(key, value, "an object"))?;
        Ok(Some(Self {
            path: self.path.clone(),
            prefix: format!("{}{key}.", self.prefix),
            map,
        }))
    }

    /// The error of a key.
    pub(crate) fn wrong(
        &self,
        key: &str,
        found: impl ToString,
        needed: impl Into<String>,
    ) -> ModelError {
        ModelError::Config {
            path: self.path.clone(),
            key: format!("{}{key}", self.prefix),
            found: found.to_string(),
            needed: needed.into(),
        }
    }

    /// A key that is there and not null.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// A whole number above 0.
    pub(crate) fn size(&self, key: &str) -> Result<usize, ModelError> {
        let value = self
            .get(key)
            .ok_or_else(|| self.wrong(key, "missing", "a whole number"))?;
        let size = value.as_u64().filter(|&n| n > 0 && n < 1 << 32);
        size.map(|n| n as usize)
            .ok_or_else(|| self.wrong(key, value, "a whole number above 0"))
    }

    pub(crate) fn size_or(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        self.get(key).map_or(Ok(default), |_| self.size(key))
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        let number = |value: &Value| {
            value
                .as_f64()
                .ok_or_else(|| self.wrong(key, value, "a number"))
        };
        self.get(key).map(number).transpose()
    }

    pub(crate) fn number_or(&self, key: &str, default: f64) -> Result<f64, ModelError> {
        Ok(self.number(key)?.unwrap_or(default))
    }

    pub(crate) fn required_number(&self, key: &str) -> Result<f64, ModelError> {
        self.number(key)?
            .ok_or_else(|| self.wrong(key, "missing", "a number"))
    }

    /// A list of `len` numbers.
    pub(crate) fn numbers(&self, key: &str, len: usize) -> Result<Vec<f64>, ModelError> {
        let needed = format!("a list of {len} numbers");
        let value = self
            .get(key)
            .ok_or_else(|| self.wrong(key, "missing", needed.as_str()))?;
        let list: Option<Vec<f64>> = value
            .as_array()
            .and_then(|list| list.iter().map(Value::as_f64).collect());
        match list {
            Some(list) if list.len() == len => Ok(list),
            Some(list) => Err(self.wrong(key, format!("a list of {}", list.len()), needed)),
            None => Err(self.wrong(key, value, needed)),
        }
    }

    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        self.get(key).map_or(Ok(default), |value| {
            value
                .as_bool()
                .ok_or_else(|| self.wrong(key, value, "true or false"))
        })
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, ModelError> {
        let text = |value: &Value| Err(self.wrong(key, value, "a string"));
        self.get(key)
            .map(|value| value.as_str().map_or_else(|| text(value), Ok))
            .transpose()
    }

    /// A key that may only say what this program does anyway.
    pub(crate) fn insist(&self, key: &str, only: bool) -> Result<(), ModelError> {
        match self.flag(key, only)? {
            found if found == only => Ok(()),
            found => Err(self.wrong(key, found, only.to_string())),
        }
    }

    /// Refuses keys outside `read`, unless they change nothing; null and false count as absent.
    pub(crate) fn refuse_others(&self, read: &[&[&str]]) -> Result<(), ModelError> {
        let known =
            |key: &str| read.iter().any(|list| list.contains(&key)) || HARMLESS.contains(&key);
        let other = self
            .map
            .iter()
            .find(|(key, value)| !known(key) && !value.is_null() && **value != Value::Bool(false));
        match other {
            None => Ok(()),
            Some((key, value)) => {
                Err(self.wrong(key, value, "a key that slm-tune supports for this family"))
            }
        }
    }
}
