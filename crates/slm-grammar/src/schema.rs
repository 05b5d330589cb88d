//! JSON schemas that an answer can be held to while it is written.

use serde_json::{Map, Value};

use crate::GrammarError;

/// Keywords that decoding enforces (those of llguidance 1.9, `json/schema.rs`, without `minProperties` and `maxProperties`:
/// an object that writes a name twice has fewer properties than it seems to have).
const ENFORCED: [&str; 25] = [
    "$ref",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "multipleOf",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "required",
    "type",
];

/// Keywords that say nothing about what is valid (JSON Schema 2020-12, core 8 and validation 9; `id` and `definitions` of older
/// drafts).
const ANNOTATIONS: [&str; 16] = [
    "$anchor",
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "contentEncoding",
    "contentMediaType",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "id",
    "readOnly",
    "title",
    "writeOnly",
];

/// Refuses keywords that are not enforced, in the schema and in every schema within it.
pub(crate) fn check(schema: &Value) -> Result<(), GrammarError> {
    check_at(schema, &Pointer::Root)
}

fn check_at(schema: &Value, at: &Pointer<'_>) -> Result<(), GrammarError> {
    let keywords = match schema {
        Value::Bool(_) => return Ok(()),
        _ => table(schema, at, "a schema: an object, `true` or `false`")?,
    };
    for (keyword, value) in keywords {
        if !ENFORCED.contains(&keyword.as_str()) && !ANNOTATIONS.contains(&keyword.as_str()) {
            return Err(GrammarError::Keyword {
                keyword: keyword.clone(),
                at: at.to_string(),
                nearest: nearest(keyword),
            });
        }
        let here = at.then(keyword);
        match keyword.as_str() {
            "properties" | "patternProperties" | "$defs" | "definitions" => {
                for (name, schema) in table(value, &here, "an object of schemas")? {
                    check_at(schema, &here.then(name))?;
                }
            }
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => check_all(value, &here)?,
            "items" if value.is_array() => check_all(value, &here)?,
            "items" | "additionalItems" | "additionalProperties" => check_at(value, &here)?,
            _ => {}
        }
    }
    Ok(())
}

fn check_all(schemas: &Value, at: &Pointer<'_>) -> Result<(), GrammarError> {
    let Some(schemas) = schemas.as_array() else {
        return Err(at.shape(schemas, "a list of schemas"));
    };
    for (number, schema) in schemas.iter().enumerate() {
        check_at(schema, &at.then(&number.to_string()))?;
    }
    Ok(())
}

fn table<'a>(
    value: &'a Value,
    at: &Pointer<'_>,
    needed: &'static str,
) -> Result<&'a Map<String, Value>, GrammarError> {
    value.as_object().ok_or_else(|| at.shape(value, needed))
}

/// A keyword that is spelled nearly like this one.
fn nearest(keyword: &str) -> Option<String> {
    let known = ENFORCED.iter().chain(&ANNOTATIONS);
    known
        .map(|known| (strsim::jaro_winkler(known, keyword), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.9)
        .map(|(_, known)| known.to_string())
}

/// A place in a schema.
enum Pointer<'a> {
    Root,
    Below(&'a Pointer<'a>, &'a str),
}

impl Pointer<'_> {
    fn then<'a>(&'a self, step: &'a str) -> Pointer<'a> {
        Pointer::Below(self, step)
    }

    fn shape(&self, found: &Value, needed: &'static str) -> GrammarError {
        GrammarError::Shape {
            at: self.to_string(),
            found: match found {
                Value::Null => "null",
                Value::Bool(_) => "a boolean",
                Value::Number(_) => "a number",
                Value::String(_) => "a string",
                Value::Array(_) => "a list",
                Value::Object(_) => "an object",
            },
            needed,
        }
    }
}

/// As RFC 6901 writes it; `/` for the whole.
impl std::fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Root => f.write_str("/"),
            Self::Below(above, step) => {
                if let Self::Below(..) = above {
                    write!(f, "{above}")?;
                }
                write!(f, "/{}", step.replace('~', "~0").replace('/', "~1"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_name_the_keyword_and_its_place() {
        for (schema, message, hint) in [
            (
                json!({"properties": {"a/b": {"minLenght": 1}}}),
                "the JSON schema has `minLenght` at `/properties/a~1b`, which is not enforced",
                "did you mean `minLength`?",
            ),
            (
                json!({"anyOf": [true, {"not": {"type": "null"}}]}),
                "the JSON schema has `not` at `/anyOf/1`, which is not enforced",
                "leave it out: what is not enforced while decoding would only look as if it were",
            ),
            (
                json!({"uniqueItems": true}),
                "the JSON schema has `uniqueItems` at `/`, which is not enforced",
                "leave it out: what is not enforced while decoding would only look as if it were",
            ),
        ] {
            let error = check(&schema).expect_err("refused");
            assert_eq!(error.to_string(), message);
            assert_eq!(error.hint().as_deref(), Some(hint));
        }
        let shape = check(&json!({"items": {"anyOf": {}}})).expect_err("refused");
        assert_eq!(
            shape.to_string(),
            "the JSON schema has an object at `/items/anyOf`, needs a list of schemas"
        );
        // Data, not schemas.
        assert!(check(&json!({"enum": [{"not": 1}], "default": {"not": 1}})).is_ok());
    }
}
