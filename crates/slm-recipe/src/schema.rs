//! The JSON Schema of a recipe, made from its types: the one list of keys, types, ranges and allowed values.

use serde_json::{Map, Value, json};

use crate::Recipe;

/// The JSON Schema of a recipe, for editors and for other tools.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(Recipe).to_value();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        let description = "A recipe that this one changes, relative to this file. `name` and `output_dir` are not taken over.";
        properties.insert(
            "extends".into(),
            json!({ "description": description, "type": "string", "minLength": 1 }),
        );
    }
    schema
}

/// A place in the schema, with references resolved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schema<'a> {
    root: &'a Value,
    node: &'a Map<String, Value>,
    /// Whether the key may be left out although it has no default.
    pub(crate) optional: bool,
}

/// What a value has to be.
pub(crate) enum Kind<'a> {
    /// A table with these keys.
    Section(&'a Map<String, Value>),
    /// A table with any keys, each with a value of this schema.
    Columns(Schema<'a>),
    List(Schema<'a>),
    /// A text that is one of these.
    Choice(Vec<&'a str>),
    Text,
    Number,
    Integer,
    Boolean,
    /// A value of one of several kinds.
    Either(Vec<Schema<'a>>),
}

impl<'a> Schema<'a> {
    /// The whole recipe.
    pub(crate) fn new(root: &'a Value) -> Option<Self> {
        Self::at(root, root)
    }

    fn at(root: &'a Value, node: &'a Value) -> Option<Self> {
        if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
            return Self::at(root, root.pointer(reference.strip_prefix('#')?)?);
        }
        if let Some([schema, null]) = node
            .get("anyOf")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            && null.get("type").is_some_and(|name| name == "null")
        {
            return Some(Self {
                optional: true,
                ..Self::at(root, schema)?
            });
        }
        let node = node.as_object()?;
        let optional = node.get("type").is_some_and(Value::is_array);
        Some(Self {
            root,
            node,
            optional,
        })
    }

    /// The schema of one of its keys.
    pub(crate) fn key(self, name: &str) -> Option<Self> {
        Self::at(self.root, self.node.get("properties")?.get(name)?)
    }

    /// A constraint such as `minimum`.
    pub(crate) fn constraint(self, name: &str) -> Option<f64> {
        self.node.get(name)?.as_f64()
    }

    /// The keys that have to be there.
    pub(crate) fn required(self) -> impl Iterator<Item = &'a str> {
        self.node
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }

    /// What a value has to be.
    pub(crate) fn kind(self) -> Option<Kind<'a>> {
        if let Some(choices) = self.choices() {
            return Some(Kind::Choice(choices));
        }
        if let Some(any) = self.node.get("anyOf").and_then(Value::as_array) {
            return Some(Kind::Either(
                any.iter()
                    .filter_map(|schema| Self::at(self.root, schema))
                    .collect(),
            ));
        }
        match self.type_name()? {
            "object" => match self.node.get("properties") {
                Some(properties) => Some(Kind::Section(properties.as_object()?)),
                None => Some(Kind::Columns(Self::at(
                    self.root,
                    self.node.get("additionalProperties")?,
                )?)),
            },
            "array" => Some(Kind::List(Self::at(self.root, self.node.get("items")?)?)),
            "string" => Some(Kind::Text),
            "number" => Some(Kind::Number),
            "integer" => Some(Kind::Integer),
            "boolean" => Some(Kind::Boolean),
            _ => None,
        }
    }

    /// Every key of every section, dotted; elements of lists without a number.
    pub(crate) fn keys(self) -> Vec<String> {
        let mut keys = Vec::new();
        self.collect_keys("", &mut keys);
        keys
    }

    fn collect_keys(self, prefix: &str, keys: &mut Vec<String>) {
        match self.kind() {
            Some(Kind::Section(properties)) => {
                for name in properties.keys() {
                    let path = if prefix.is_empty() {
                        name.clone()
                    } else {
                        format!("{prefix}.{name}")
                    };
                    if let Some(schema) = self.key(name) {
                        keys.push(path.clone());
                        schema.collect_keys(&path, keys);
                    }
                }
            }
            Some(Kind::List(items)) => items.collect_keys(prefix, keys),
            _ => {}
        }
    }

    fn choices(self) -> Option<Vec<&'a str>> {
        if let Some(names) = self.node.get("enum").and_then(Value::as_array) {
            return Some(names.iter().filter_map(Value::as_str).collect());
        }
        if let Some(name) = self.node.get("const").and_then(Value::as_str) {
            return Some(vec![name]);
        }
        let one_of = self.node.get("oneOf")?.as_array()?;
        Some(
            one_of
                .iter()
                .filter_map(|schema| Self::at(self.root, schema)?.choices())
                .flatten()
                .collect(),
        )
    }

    fn type_name(self) -> Option<&'a str> {
        match self.node.get("type")? {
            Value::Array(names) => names
                .iter()
                .filter_map(Value::as_str)
                .find(|name| *name != "null"),
            name => name.as_str(),
        }
    }
}
