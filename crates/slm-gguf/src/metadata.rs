//! The ordered table of metadata.

use std::collections::HashMap;

use crate::keys::{self, Key};
use crate::{FieldType, GgufError, Value};

/// The alignment where a file names none, from gguf.md.
const DEFAULT_ALIGNMENT: u64 = 32;

/// Metadata: values by key, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    entries: Vec<(String, Value)>,
    places: HashMap<String, usize>,
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Metadata {
    /// Metadata without any key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what a known key holds, replacing the value it had.
    pub fn set<T: FieldType>(&mut self, key: &Key<T>, value: T) {
        self.insert(key.name(), value.into_value());
    }

    /// Sets any key to any value, replacing the value it had; a new key goes to the end.
    pub fn insert(&mut self, key: impl Into<String>, value: Value) {
        let key = key.into();
        match self.places.get(&key) {
            Some(&place) => self.entries[place].1 = value,
            None => {
                self.places.insert(key.clone(), self.entries.len());
                self.entries.push((key, value));
            }
        }
    }

    /// Forgets a key; the others keep their order.
    pub fn remove(&mut self, key: &str) {
        self.entries.retain(|(name, _)| name != key);
        let places = self.entries.iter().enumerate();
        self.places = places
            .map(|(place, (name, _))| (name.clone(), place))
            .collect();
    }

    /// The value of any key.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.places.get(key).map(|&place| &self.entries[place].1)
    }

    /// What a known key holds, where it is there.
    ///
    /// # Errors
    /// [`GgufError::KeyType`] where the value is of another type. Counts are taken from any integer type.
    pub fn get<T: FieldType>(&self, key: &Key<T>) -> Result<Option<T>, GgufError> {
        let Some(value) = self.value(key.name()) else {
            return Ok(None);
        };
        match T::from_value(value) {
            Some(value) => Ok(Some(value)),
            None => Err(GgufError::KeyType {
                key: key.name().to_string(),
                found: value.type_name(),
                needed: T::NAME,
            }),
        }
    }

    /// What a known key holds, which must be there.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`], and those of [`get`](Self::get).
    pub fn require<T: FieldType>(&self, key: &Key<T>) -> Result<T, GgufError> {
        self.get(key)?.ok_or_else(|| GgufError::MissingKey {
            key: key.name().to_string(),
        })
    }

    /// Keys and values, in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What every tensor's place is a multiple of: `general.alignment`, or 32.
    ///
    /// # Errors
    /// [`GgufError::Alignment`] unless it is a power of two from 8 up: gguf.md asks for a multiple of 8, ggml for a power of two.
    pub fn alignment(&self) -> Result<u64, GgufError> {
        match self.value(keys::general::ALIGNMENT.name()) {
            None => Ok(DEFAULT_ALIGNMENT),
            Some(&Value::U32(alignment)) if alignment >= 8 && alignment.is_power_of_two() => {
                Ok(alignment.into())
            }
            Some(value) => Err(GgufError::Alignment {
                found: format!("{value:?}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_set_twice_keeps_its_place_and_the_last_value() {
        let mut metadata = Metadata::new();
        metadata.set(&keys::general::ARCHITECTURE, "llama".to_string());
        metadata.set(&keys::general::NAME, "first".to_string());
        metadata.set(&keys::general::ARCHITECTURE, "qwen2".to_string());
        let keys: Vec<_> = metadata.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["general.architecture", "general.name"]);
        assert_eq!(
            metadata.require(&keys::general::ARCHITECTURE).unwrap(),
            "qwen2"
        );
    }

    #[test]
    fn a_value_of_another_type_is_an_error_with_both_types() {
        let mut metadata = Metadata::new();
        metadata.insert(
            "tokenizer.ggml.scores",
            Value::Array(crate::Array::I32(vec![1])),
        );
        let error = metadata.get(&keys::tokenizer::SCORES).unwrap_err();
        assert_eq!(
            error.to_string(),
            "metadata key `tokenizer.ggml.scores` holds a value of type array of int32, needs array of float32"
        );
        assert_eq!(metadata.get(&keys::tokenizer::TOKENS).unwrap(), None);
        assert!(matches!(
            metadata.require(&keys::tokenizer::TOKENS),
            Err(GgufError::MissingKey { .. })
        ));
    }

    #[test]
    fn alignment_is_a_power_of_two_from_8() {
        let with = |value: Value| {
            let mut metadata = Metadata::new();
            metadata.insert("general.alignment", value);
            metadata.alignment()
        };
        assert_eq!(Metadata::new().alignment().unwrap(), 32);
        assert_eq!(with(Value::U32(64)).unwrap(), 64);
        for wrong in [
            Value::U32(0),
            Value::U32(4),
            Value::U32(24),
            Value::U64(32),
            Value::String("32".into()),
        ] {
            assert!(matches!(with(wrong), Err(GgufError::Alignment { .. })));
        }
    }
}
