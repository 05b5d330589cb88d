use serde_json::{Map, Value};

use crate::error::DataError;

/// A text with `{column}` places that a row fills; `{{` and `}}` stand for one brace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Literal(String),
    Column(String),
}

impl Template {
    pub(crate) fn parse(template: &str) -> Result<Self, DataError> {
        let broken = |reason: &str| DataError::Template {
            template: template.into(),
            reason: reason.into(),
        };
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..at + 1];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
            } else if brace == "}" {
                return Err(broken("a `}` closes nothing"));
            } else {
                let end = rest
                    .find('}')
                    .ok_or_else(|| broken("a `{` is never closed"))?;
                if rest[..end].is_empty() || rest[..end].contains('{') {
                    return Err(broken("a `{` is not followed by a column and `}`"));
                }
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Column(rest[..end].to_owned()));
                rest = &rest[end + 1..];
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// The columns that it takes, in the order of the template.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Column(column) => Some(column.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// Fills it: texts as they are, numbers, booleans, lists and objects as JSON. `Err` names a column that is missing or null.
    pub(crate) fn fill<'a>(&'a self, fields: &Map<String, Value>) -> Result<String, &'a str> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => filled.push_str(literal),
                Part::Column(column) => match fields.get(column) {
                    Some(Value::String(text)) => filled.push_str(text),
                    Some(Value::Null) | None => return Err(column),
                    Some(value) => filled.push_str(&value.to_string()),
                },
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fill(template: &str) -> Result<String, String> {
        let Value::Object(fields) = json!({"text": "hi", "n": 3, "gone": null, "with space": "x"})
        else {
            unreachable!()
        };
        let template = Template::parse(template).map_err(|error| error.to_string())?;
        template.fill(&fields).map_err(str::to_owned)
    }

    #[test]
    fn columns_and_escaped_braces() {
        assert_eq!(
            fill("Query: {text}\nn={n}{with space}"),
            Ok("Query: hi\nn=3x".into())
        );
        assert_eq!(fill("{{\"t\": \"{text}\"}}"), Ok("{\"t\": \"hi\"}".into()));
        assert_eq!(fill("{{{text}}}"), Ok("{hi}".into()));
        assert_eq!(fill(""), Ok(String::new()));
    }

    #[test]
    fn a_missing_or_null_column_is_named() {
        assert_eq!(fill("{nothing}"), Err("nothing".into()));
        assert_eq!(fill("{gone}"), Err("gone".into()));
    }

    #[test]
    fn unbalanced_braces_are_refused() {
        assert_eq!(
            fill("{text"),
            Err("template `{text` is broken: a `{` is never closed".into())
        );
        assert_eq!(
            fill("text}"),
            Err("template `text}` is broken: a `}` closes nothing".into())
        );
        assert_eq!(
            fill("{}"),
            Err("template `{}` is broken: a `{` is not followed by a column and `}`".into())
        );
        assert!(fill("{a{b}}").is_err());
    }
}
