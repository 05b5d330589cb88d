//! Comparing JSON objects field by field.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// How an answer compares with a target that is a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonScore {
    /// Whether the answer is one JSON object and nothing else.
    pub valid: bool,
    /// Fields of the target, and those that the answer made up.
    pub fields: usize,
    /// Fields of the target that the answer has with an equal value.
    pub fields_correct: usize,
    /// Fields of the target.
    pub fields_wanted: usize,
    /// Fields of the answer.
    pub fields_given: usize,
}

/// Compares an answer with its target; `None` where the target is not a JSON object.
///
/// A field is a leaf, named by its path (`address.city`, `items[0].sku`); an empty object or list is a leaf too, so a target has at least one
/// field. Values are equal as JSON: the order
/// of keys and white space play no part, `1` equals `1.0`, strings are compared as they are. A field that the answer made up counts among
/// the fields and is never right. An answer that is not a JSON object has no right field.
pub fn score_json(output: &str, target: &str) -> Option<JsonScore> {
    let target = leaves_of(target)?;
    let Some(output) = leaves_of(output) else {
        return Some(JsonScore {
            valid: false,
            fields: target.len(),
            fields_correct: 0,
            fields_wanted: target.len(),
            fields_given: 0,
        });
    };
    let invented = output
        .keys()
        .filter(|path| !path.is_empty() && !target.contains_key(*path))
        .count();
    let fields_correct = target
        .iter()
        .filter(|(path, value)| {
            output
                .get(*path)
                .is_some_and(|found| equal_leaves(found, value))
        })
        .count();
    Some(JsonScore {
        valid: true,
        fields: target.len() + invented,
        fields_correct,
        fields_wanted: target.len(),
        fields_given: invented
            + target
                .keys()
                .filter(|path| output.contains_key(*path))
                .count(),
    })
}

fn leaves_of(text: &str) -> Option<BTreeMap<String, Value>> {
    match serde_json::from_str(text.trim()) {
        Ok(object @ Value::Object(_)) => {
            let mut leaves = BTreeMap::new();
            collect_leaves(String::new(), object, &mut leaves);
            Some(leaves)
        }
        _ => None,
    }
}

fn collect_leaves(path: String, value: Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                collect_leaves(format!("{path}{dot}{key}"), value, leaves);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (i, item) in items.into_iter().enumerate() {
                collect_leaves(format!("{path}[{i}]"), item, leaves);
            }
        }
        leaf => {
            leaves.insert(path, leaf);
        }
    }
}

fn equal_leaves(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || equal_numbers(a, b),
        _ => a == b,
    }
}

/// Integers compare as integers (beyond 2^53 floats would confuse them), all else as floats.
fn equal_numbers(a: &Number, b: &Number) -> bool {
    (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(output: &str, target: &str) -> (bool, usize, usize) {
        let score = score_json(output, target).expect("the target is an object");
        (score.valid, score.fields, score.fields_correct)
    }

    #[test]
    fn equal_objects_match_whatever_their_layout() {
        let target = r#"{"order": 12, "items": [{"sku": "A1", "n": 2}], "note": null}"#;
        assert_eq!(
            counts(
                "{\"note\":null,\n \"items\":[{\"n\":2.0,\"sku\":\"A1\"}],\"order\":12}",
                target
            ),
            (true, 4, 4)
        );
    }

    #[test]
    fn wrong_missing_and_invented_fields_count() {
        let target = r#"{"a": 1, "b": "x", "c": true}"#;
        assert_eq!(counts(r#"{"a": 1, "b": "y"}"#, target), (true, 3, 1));
        assert_eq!(
            counts(r#"{"a": 1, "b": "x", "c": true, "d": 4}"#, target),
            (true, 4, 3)
        );
        // A string is not a number.
        assert_eq!(counts(r#"{"a": "1"}"#, target), (true, 3, 0));
    }

    #[test]
    fn text_around_the_object_makes_it_invalid() {
        let target = r#"{"a": 1}"#;
        assert_eq!(counts("Sure: {\"a\": 1}", target), (false, 1, 0));
        assert_eq!(counts("{\"a\": 1", target), (false, 1, 0));
        assert_eq!(counts("[1]", target), (false, 1, 0));
        assert_eq!(counts("  {\"a\": 1}\n", target), (true, 1, 1));
    }

    #[test]
    fn only_an_object_is_a_json_target() {
        for target in ["card_arrival", "12", "[1, 2]", "\"text\"", ""] {
            assert_eq!(score_json("{}", target), None, "{target}");
        }
    }

    #[test]
    fn an_empty_object_is_one_field() {
        assert_eq!(counts("{}", "{}"), (true, 1, 1));
        assert_eq!(counts(r#"{"a": 1}"#, "{}"), (true, 2, 0));
        assert_eq!(counts("{}", r#"{"a": 1}"#), (true, 1, 0));
    }

    #[test]
    fn fields_of_both_sides_are_counted() {
        let score = score_json(r#"{"a": 1, "d": 4}"#, r#"{"a": 1, "b": "x", "c": true}"#);
        let score = score.expect("an object");
        assert_eq!((score.fields_wanted, score.fields_given), (3, 2));
        let given = |output| score_json(output, r#"{"a": 1}"#).map(|it| it.fields_given);
        assert_eq!((given("{}"), given("no")), (Some(0), Some(0)));
    }

    #[test]
    fn large_integers_are_not_confused() {
        assert_eq!(
            counts(
                r#"{"iban": 9007199254740993}"#,
                r#"{"iban": 9007199254740992}"#
            ),
            (true, 1, 0)
        );
    }
}
