//! Whether a document has the shape of a recipe: keys, types, ranges and allowed values, all checked against the JSON Schema.

use serde_json::{Map, Value as Json};

use crate::document::{Node, Table, Value};
use crate::names::{join, nearest, nearest_key};
use crate::range::Range;
use crate::schema::{Kind, Schema};
use crate::{Place, RecipeError};

/// What a walk over a document found.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// What is wrong.
    pub(crate) errors: Vec<(Place, RecipeError)>,
    /// The keys whose value is wrong: what is said about them together with others would only confuse.
    pub(crate) bad_keys: Vec<String>,
}

impl Shape {
    /// Checks a value; gives what is right of it as JSON.
    pub(crate) fn value(
        &mut self,
        path: &str,
        node: &Node,
        schema: Schema<'_>,
        root: Schema<'_>,
    ) -> Option<Json> {
        let json = match schema.kind()? {
            Kind::Section(keys) => self.section(path, node, keys, schema, root),
            Kind::Columns(of) => self.columns(path, node, of, root),
            Kind::List(items) => self.list(path, node, items, schema, root),
            Kind::Choice(allowed) => self.choice(path, node, &allowed),
            Kind::Text => self.text(path, node, schema),
            Kind::Number => self.number(path, node, schema),
            Kind::Integer => self.integer(path, node, schema),
            Kind::Boolean => match &node.value {
                Value::Boolean(value) => Some(Json::Bool(*value)),
                _ => self.wrong_type(path, node, "`true` or `false`"),
            },
            Kind::Either(schemas) => self.either(path, node, &schemas, root),
        };
        if json.is_none() {
            self.bad_keys.push(path.into());
        }
        json
    }

    fn section(
        &mut self,
        path: &str,
        node: &Node,
        keys: &Map<String, Json>,
        schema: Schema<'_>,
        root: Schema<'_>,
    ) -> Option<Json> {
        let Some(table) = node.table() else {
            return self.wrong_type(path, node, &format!("a section `[{path}]`"));
        };
        let mut object = Map::new();
        for (name, child) in table {
            match schema.key(name) {
                Some(schema) => {
                    let json = self.value(&join(path, name), child, schema, root);
                    object.extend(json.map(|json| (name.clone(), json)));
                }
                None => self.unknown_key(path, name, child, keys, root),
            }
        }
        self.missing_keys(path, node, schema);
        for name in keys.keys().filter(|name| !table.contains_key(*name)) {
            self.missing_section(&join(path, name), node, schema.key(name));
        }
        Some(Json::Object(object))
    }

    fn unknown_key(
        &mut self,
        path: &str,
        name: &str,
        node: &Node,
        keys: &Map<String, Json>,
        root: Schema<'_>,
    ) {
        let siblings: Vec<_> = keys.keys().map(String::as_str).collect();
        let nearest = nearest_key(&without_numbers(path), name, &siblings, root);
        let error = RecipeError::UnknownKey {
            key: join(path, name),
            nearest,
        };
        self.errors.push((node.key_place.clone(), error));
    }

    fn missing_keys(&mut self, path: &str, node: &Node, schema: Schema<'_>) {
        for name in schema.required() {
            if node.table().is_none_or(|table| !table.contains_key(name)) {
                let key = join(path, name);
                self.bad_keys.push(key.clone());
                self.errors.push((
                    node.key_place.clone(),
                    RecipeError::MissingKey { key, reason: None },
                ));
            }
        }
    }

    /// A section that is left out may have keys that have to be there.
    fn missing_section(&mut self, path: &str, around: &Node, schema: Option<Schema<'_>>) {
        if let Some(schema) = schema.filter(|schema| !schema.optional)
            && let Some(Kind::Section(_)) = schema.kind()
        {
            let empty = Node {
                value: Value::Table(Table::new()),
                ..around.clone()
            };
            self.missing_keys(path, &empty, schema);
        }
    }

    fn columns(
        &mut self,
        path: &str,
        node: &Node,
        of: Schema<'_>,
        root: Schema<'_>,
    ) -> Option<Json> {
        let Some(table) = node.table() else {
            return self.wrong_type(path, node, "a table such as `{ prompt = \"question\" }`");
        };
        let values = table.iter().filter_map(|(name, child)| {
            Some((
                name.clone(),
                self.value(&join(path, name), child, of, root)?,
            ))
        });
        Some(Json::Object(values.collect()))
    }

    fn list(
        &mut self,
        path: &str,
        node: &Node,
        items: Schema<'_>,
        schema: Schema<'_>,
        root: Schema<'_>,
    ) -> Option<Json> {
        let Value::Array(nodes) = &node.value else {
            let sections = matches!(items.kind(), Some(Kind::Section(_)));
            let needed = if sections {
                format!("a list of `[[{path}]]`")
            } else {
                "a list".into()
            };
            return self.wrong_type(path, node, &needed);
        };
        if let Some((found, needed)) = wrong_length(nodes.len(), schema) {
            return self.out_of_range(path, node, found, &needed);
        }
        let values = nodes.iter().enumerate().filter_map(|(index, child)| {
            self.value(&format!("{path}.{index}"), child, items, root)
        });
        Some(Json::Array(values.collect()))
    }

    fn choice(&mut self, path: &str, node: &Node, allowed: &[&str]) -> Option<Json> {
        match &node.value {
            Value::String(text) if allowed.contains(&text.as_str()) => {
                Some(Json::String(text.clone()))
            }
            Value::String(text) => {
                let error = RecipeError::NotAllowed {
                    key: path.into(),
                    found: text.clone(),
                    allowed: allowed.iter().map(|name| (*name).into()).collect(),
                    nearest: nearest(text, allowed.iter().copied()).map(Into::into),
                };
                self.errors.push((node.place.clone(), error));
                None
            }
            _ => self.wrong_type(path, node, "a string"),
        }
    }

    /// A text, a list or a number: what is none of those allowed is told all.
    fn either(
        &mut self,
        path: &str,
        node: &Node,
        schemas: &[Schema<'_>],
        root: Schema<'_>,
    ) -> Option<Json> {
        let fits = |schema: &&Schema<'_>| match schema.kind() {
            Some(Kind::List(_)) => matches!(node.value, Value::Array(_)),
            Some(Kind::Choice(_) | Kind::Text) => matches!(node.value, Value::String(_)),
            Some(Kind::Integer) => matches!(node.value, Value::Integer(_)),
            _ => false,
        };
        match schemas.iter().find(fits) {
            Some(schema) => self.value(path, node, *schema, root),
            None => {
                let names = schemas.iter().filter_map(|schema| match schema.kind()? {
                    Kind::List(_) => Some("a list"),
                    Kind::Choice(_) | Kind::Text => Some("a string"),
                    Kind::Integer => Some("an integer"),
                    _ => None,
                });
                let names: Vec<_> = names.collect();
                self.wrong_type(path, node, &names.join(" or "))
            }
        }
    }

    fn text(&mut self, path: &str, node: &Node, schema: Schema<'_>) -> Option<Json> {
        let text = match (&node.value, &node.place) {
            (Value::String(text), _) => text.clone(),
            // `name=7` on the command line: quotes would be asking too much of a shell's user.
            (
                Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime,
                Place::Override { text },
            ) => text.split_once('=')?.1.trim().into(),
            _ => return self.wrong_type(path, node, "a string"),
        };
        if text.is_empty() && schema.constraint("minLength").is_some() {
            return self.out_of_range(path, node, "empty".into(), "a text");
        }
        Some(Json::String(text))
    }

    fn integer(&mut self, path: &str, node: &Node, schema: Schema<'_>) -> Option<Json> {
        let Value::Integer(value) = node.value else {
            return self.wrong_type(path, node, "an integer");
        };
        let range = Range::of(schema);
        if !range.holds(value as f64) {
            return self.out_of_range(path, node, value.to_string(), &range.to_string());
        }
        Some(value.into())
    }

    fn number(&mut self, path: &str, node: &Node, schema: Schema<'_>) -> Option<Json> {
        let value = match node.value {
            Value::Float(value) => value,
            Value::Integer(value) => value as f64,
            _ => return self.wrong_type(path, node, "a number"),
        };
        let range = Range::of(schema);
        if !range.holds(value) {
            return self.out_of_range(path, node, value.to_string(), &range.to_string());
        }
        Some(value.into())
    }

    fn wrong_type(&mut self, path: &str, node: &Node, needed: &str) -> Option<Json> {
        let error = RecipeError::WrongType {
            key: path.into(),
            found: type_name(&node.value).into(),
            needed: needed.into(),
        };
        self.errors.push((node.place.clone(), error));
        None
    }

    fn out_of_range(
        &mut self,
        path: &str,
        node: &Node,
        found: String,
        needed: &str,
    ) -> Option<Json> {
        let error = RecipeError::OutOfRange {
            key: path.into(),
            found,
            needed: needed.into(),
        };
        self.errors.push((node.place.clone(), error));
        None
    }
}

/// How long a list is and has to be, where it is not.
fn wrong_length(n: usize, schema: Schema<'_>) -> Option<(String, String)> {
    let [least, most] = ["minItems", "maxItems"].map(|name| schema.constraint(name));
    let fits =
        least.is_none_or(|least| n as f64 >= least) && most.is_none_or(|most| n as f64 <= most);
    let found = match n {
        0 => "empty".to_owned(),
        1 => "a list of one element".to_owned(),
        n => format!("a list of {n} elements"),
    };
    let needed = match (least, most) {
        (Some(least), Some(most)) if least == most => format!("{least} elements"),
        _ => "at least one element".to_owned(),
    };
    (!fits).then_some((found, needed))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Boolean(_) => "a boolean",
        Value::Datetime => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

fn without_numbers(path: &str) -> String {
    path.split('.')
        .filter(|name| name.parse::<usize>().is_err())
        .collect::<Vec<_>>()
        .join(".")
}
