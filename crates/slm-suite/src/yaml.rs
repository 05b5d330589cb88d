//! A YAML document in which every key and value knows where it was written.

use std::path::Path;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use slm_recipe::Place;

use crate::error::SuiteError;

/// A value and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Yaml,
    pub(crate) place: Place,
}

/// What a task's file can say.
#[derive(Clone, Debug)]
pub(crate) enum Yaml {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// `!function module.name`, or another tag.
    Function(String),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) node: Node,
}

/// Parses the text of `file`, which is one table.
pub(crate) fn parse(file: &Path, text: &str) -> Result<Vec<Entry>, SuiteError> {
    let documents = MarkedYaml::load_from_str(text).map_err(|error| SuiteError::Syntax {
        place: place(file, error.marker().line(), error.marker().col()),
        reason: error.info().to_owned(),
    })?;
    let whole = Place::File { file: file.into() };
    let Some(document) = documents.first() else {
        return Ok(Vec::new());
    };
    match node(file, document).value {
        Yaml::Table(entries) => Ok(entries),
        Yaml::Null => Ok(Vec::new()),
        other => Err(SuiteError::Value {
            place: whole,
            key: "the document".into(),
            found: other.kind().into(),
            needed: "a table of keys".into(),
        }),
    }
}

fn place(file: &Path, line: usize, column_from_0: usize) -> Place {
    Place::Position {
        file: file.into(),
        line,
        column: column_from_0 + 1,
    }
}

fn node(file: &Path, marked: &MarkedYaml<'_>) -> Node {
    let start = marked.span.start;
    let place = place(file, start.line(), start.col());
    let value = match &marked.data {
        YamlData::Value(scalar) => match scalar {
            Scalar::Null => Yaml::Null,
            Scalar::Boolean(value) => Yaml::Boolean(*value),
            Scalar::Integer(value) => Yaml::Integer(*value),
            Scalar::FloatingPoint(value) => Yaml::Float(value.0),
            Scalar::String(text) => Yaml::Text(text.to_string()),
        },
        YamlData::Representation(text, ..) => Yaml::Text(text.to_string()),
        YamlData::Sequence(items) => {
            Yaml::List(items.iter().map(|item| node(file, item)).collect())
        }
        YamlData::Mapping(entries) => Yaml::Table(
            entries
                .iter()
                .map(|(key, value)| {
                    let key = node(file, key);
                    Entry {
                        key: key.value.as_key(),
                        place: key.place,
                        node: node(file, value),
                    }
                })
                .collect(),
        ),
        YamlData::Tagged(tag, inner) => match node(file, inner).value {
            Yaml::Text(name) if tag.suffix == "function" => Yaml::Function(name),
            _ => Yaml::Function(format!("{}{}", tag.handle, tag.suffix)),
        },
        YamlData::Alias(_) | YamlData::BadValue => Yaml::Null,
    };
    Node { value, place }
}

impl Yaml {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Function(_) => "a Python function",
        }
    }

    fn as_key(&self) -> String {
        match self {
            Self::Text(text) | Self::Function(text) => text.clone(),
            Self::Integer(value) => value.to_string(),
            Self::Boolean(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Null | Self::List(_) | Self::Table(_) => String::new(),
        }
    }
}

impl Entry {
    /// The function of a value that is Python, at any depth.
    fn python(node: &Node) -> Option<(&str, &Place)> {
        match &node.value {
            Yaml::Function(name) => Some((name, &node.place)),
            Yaml::List(items) => items.iter().find_map(Self::python),
            Yaml::Table(entries) => entries.iter().find_map(|entry| Self::python(&entry.node)),
            _ => None,
        }
    }

    /// Refuses a value that holds Python.
    pub(crate) fn without_python(&self) -> Result<&Self, SuiteError> {
        match Self::python(&self.node) {
            None => Ok(self),
            Some((function, place)) => Err(SuiteError::Python {
                place: place.clone(),
                key: self.key.clone(),
                function: function.into(),
            }),
        }
    }

    /// The refusal of a value that is not what the key needs.
    pub(crate) fn needs(&self, needed: &str) -> SuiteError {
        wrong(&self.key, &self.node, needed)
    }

    pub(crate) fn text(&self) -> Result<String, SuiteError> {
        match &self.node.value {
            Yaml::Text(text) => Ok(text.clone()),
            _ => Err(self.needs("a text")),
        }
    }

    /// `null` is no value.
    pub(crate) fn optional_text(&self) -> Result<Option<String>, SuiteError> {
        match &self.node.value {
            Yaml::Null => Ok(None),
            _ => self.text().map(Some),
        }
    }

    pub(crate) fn boolean(&self) -> Result<bool, SuiteError> {
        match &self.node.value {
            Yaml::Boolean(value) => Ok(*value),
            _ => Err(self.needs("`true` or `false`")),
        }
    }

    pub(crate) fn integer(&self) -> Result<i64, SuiteError> {
        match &self.node.value {
            Yaml::Integer(value) => Ok(*value),
            _ => Err(self.needs("an integer")),
        }
    }

    pub(crate) fn count(&self) -> Result<usize, SuiteError> {
        let value = self.integer()?;
        usize::try_from(value).map_err(|_| self.needs("an integer that is not negative"))
    }

    pub(crate) fn float(&self) -> Result<f64, SuiteError> {
        match &self.node.value {
            Yaml::Float(value) => Ok(*value),
            Yaml::Integer(value) => Ok(*value as f64),
            _ => Err(self.needs("a number")),
        }
    }

    /// A list of texts; one text is a list of one.
    pub(crate) fn texts(&self) -> Result<Vec<String>, SuiteError> {
        match &self.node.value {
            Yaml::Text(text) => Ok(vec![text.clone()]),
            Yaml::List(items) => {
                let texts = items.iter().map(|item| match &item.value {
                    Yaml::Text(text) => Ok(text.clone()),
                    _ => Err(wrong(&self.key, item, "texts")),
                });
                texts.collect()
            }
            _ => Err(self.needs("a text or a list of texts")),
        }
    }

    /// The tables of a list.
    pub(crate) fn tables(&self) -> Result<Vec<(&Place, &[Entry])>, SuiteError> {
        let Yaml::List(items) = &self.node.value else {
            return Err(self.needs("a list"));
        };
        let tables = items.iter().map(|item| match &item.value {
            Yaml::Table(entries) => Ok((&item.place, &entries[..])),
            _ => Err(wrong(&self.key, item, "tables")),
        });
        tables.collect()
    }

    pub(crate) fn table(&self) -> Result<&[Entry], SuiteError> {
        match &self.node.value {
            Yaml::Table(entries) => Ok(entries),
            Yaml::Null => Ok(&[]),
            _ => Err(self.needs("a table")),
        }
    }
}

fn wrong(key: &str, node: &Node, needed: &str) -> SuiteError {
    let found = match &node.value {
        Yaml::Text(text) => format!("`{text}`"),
        Yaml::Integer(value) => value.to_string(),
        other => other.kind().into(),
    };
    SuiteError::Value {
        place: node.place.clone(),
        key: key.into(),
        found,
        needed: needed.into(),
    }
}

/// The refusal of a key that means nothing, with the one that was probably meant.
pub(crate) fn unknown(entry: &Entry, known: &[&str]) -> SuiteError {
    let nearest = known
        .iter()
        .map(|key| (strsim::jaro_winkler(key, &entry.key), key))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(alike, _)| *alike > 0.85);
    SuiteError::UnknownKey {
        place: entry.place.clone(),
        key: entry.key.clone(),
        nearest: nearest.map(|(_, key)| key.to_string()),
    }
}

/// Values as JSON, for rows that are written in the file.
pub(crate) fn to_json(node: &Node) -> serde_json::Value {
    use serde_json::Value;
    match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Boolean(value) => (*value).into(),
        Yaml::Integer(value) => (*value).into(),
        Yaml::Float(value) => (*value).into(),
        Yaml::Text(text) | Yaml::Function(text) => text.clone().into(),
        Yaml::List(items) => items.iter().map(to_json).collect(),
        Yaml::Table(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), to_json(&entry.node)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_know_their_places() {
        let text = "task: x\nmetric_list:\n  - metric: acc\n    k: [1, 2]\nf: !function a.b\n";
        let entries = parse(Path::new("t.yaml"), text).unwrap();
        let keys: Vec<_> = entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["task", "metric_list", "f"]);
        let tables = entries[1].tables().unwrap();
        assert_eq!(tables[0].1[1].place.to_string(), "t.yaml:4:5");
        let error = entries[2].without_python().unwrap_err();
        assert_eq!(
            error.to_string(),
            "t.yaml:5:4 `f` is the Python function `a.b`, which only lm-evaluation-harness can run"
        );
        let error = entries[0].boolean().unwrap_err();
        assert_eq!(
            error.to_string(),
            "t.yaml:1:7 `task` is `x`, needs `true` or `false`"
        );
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_line() {
        let error = parse(Path::new("t.yaml"), "a: b\nc: [1,\n").unwrap_err();
        assert!(error.to_string().starts_with("t.yaml:3:"), "{error}");
    }
}
