//! Random JSON schemas, and what holds in them.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A schema of a few levels that some value holds in.
pub(crate) fn any() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "null"})),
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "string"})),
        (0..3usize, 0..4usize).prop_map(
            |(least, more)| json!({"type": "string", "minLength": least, "maxLength": least + more})
        ),
        Just(json!({"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"})),
        (-30..30i64, 0..99i64).prop_map(
            |(least, more)| json!({"type": "integer", "minimum": least, "maximum": least + more})
        ),
        (-30..30i64).prop_map(
            |least| json!({"type": "number", "exclusiveMinimum": least, "maximum": least + 7})
        ),
        Just(json!({"enum": ["a", "a\"b", "é", 1, null, [1, {}]]})),
        Just(json!({"const": {"k": [true, "x y"]}})),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let properties = proptest::collection::vec((inner.clone(), any_bool()), 0..4);
        prop_oneof![
            (properties, any_bool()).prop_map(|(properties, open)| object(properties, open)),
            (inner.clone(), 0..3usize, 0..3usize).prop_map(|(items, least, more)| {
                json!({"type": "array", "items": items, "minItems": least, "maxItems": least + more})
            }),
            proptest::collection::vec(inner, 1..3).prop_map(|any| json!({"anyOf": any})),
        ]
    })
}

fn any_bool() -> impl Strategy<Value = bool> {
    proptest::bool::ANY
}

fn object(properties: Vec<(Value, bool)>, open: bool) -> Value {
    let names = ["name", "käse", "a\"b", "n"];
    let required: Vec<&str> = names
        .iter()
        .zip(&properties)
        .filter(|(_, (_, required))| *required)
        .map(|(name, _)| *name)
        .collect();
    let properties: Map<String, Value> = names
        .iter()
        .zip(&properties)
        .map(|(name, (schema, _))| (name.to_string(), schema.clone()))
        .collect();
    let others = match open {
        true => json!({"type": "integer"}),
        false => json!(false),
    };
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": others,
    })
}

/// Whether a value holds in a schema that was made here; keywords of no such schema are a panic.
pub(crate) fn holds(schema: &Value, value: &Value) -> bool {
    let keywords = match schema {
        Value::Bool(all) => return *all,
        _ => schema.as_object().expect("a schema"),
    };
    keywords.iter().all(|(keyword, given)| {
        let number = |value: &Value| value.as_f64().expect("a number");
        let size = || given.as_u64().expect("a size") as usize;
        match keyword.as_str() {
            "type" => match given.as_str().expect("a type") {
                "null" => value.is_null(),
                "boolean" => value.is_boolean(),
                "string" => value.is_string(),
                "number" => value.is_number(),
                "integer" => value.is_number() && number(value).fract() == 0.0,
                "array" => value.is_array(),
                "object" => value.is_object(),
                other => panic!("type {other}"),
            },
            "enum" => given.as_array().expect("values").contains(value),
            "const" => given == value,
            "minLength" => value.as_str().is_none_or(|s| s.chars().count() >= size()),
            "maxLength" => value.as_str().is_none_or(|s| s.chars().count() <= size()),
            "pattern" => {
                let pattern = regex::Regex::new(given.as_str().expect("a regex")).expect("a regex");
                value.as_str().is_none_or(|s| pattern.is_match(s))
            }
            "minimum" => !value.is_number() || number(value) >= number(given),
            "exclusiveMinimum" => !value.is_number() || number(value) > number(given),
            "maximum" => !value.is_number() || number(value) <= number(given),
            "items" => value
                .as_array()
                .is_none_or(|all| all.iter().all(|one| holds(given, one))),
            "minItems" => value.as_array().is_none_or(|all| all.len() >= size()),
            "maxItems" => value.as_array().is_none_or(|all| all.len() <= size()),
            "anyOf" => given
                .as_array()
                .expect("schemas")
                .iter()
                .any(|one| holds(one, value)),
            "properties" => value.as_object().is_none_or(|object| {
                let schemas = given.as_object().expect("schemas");
                let is_right = |(name, value)| schemas.get(name).is_none_or(|s| holds(s, value));
                object.iter().all(is_right)
            }),
            "required" => value.as_object().is_none_or(|object| {
                let names = given.as_array().expect("names");
                names
                    .iter()
                    .all(|name| object.contains_key(name.as_str().expect("a name")))
            }),
            "additionalProperties" => value.as_object().is_none_or(|object| {
                let named = keywords["properties"].as_object().expect("schemas");
                let mut others = object.iter().filter(|(name, _)| !named.contains_key(*name));
                others.all(|(_, value)| holds(given, value))
            }),
            other => panic!("keyword {other}"),
        }
    })
}
