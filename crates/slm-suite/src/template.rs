//! What a key makes of a row: a column, a text with `{column}` places, or Jinja as lm-evaluation-harness runs it.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde_json::{Map, Value as Json};

use crate::pattern;
use crate::python::written;

/// The columns of a row.
pub(crate) type Fields = Map<String, Json>;

/// A text that a row fills.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    engine: Environment<'static>,
    source: String,
}

const NAME: &str = "template";

impl Template {
    /// Compiles Jinja with the harness's settings: an unknown name is an error, and a line feed at the end stays.
    pub(crate) fn compile(source: &str) -> Result<Self, String> {
        let mut engine = Environment::new();
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        engine.set_syntax(syntax.map_err(|error| describe(&error))?);
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        engine.set_auto_escape_callback(|_| AutoEscape::None);
        engine.set_unknown_method_callback(method);
        engine.add_filter("regex_replace", regex_replace);
        engine.set_formatter(|out, _, value| match value.is_undefined() {
            true => Err(Error::from(ErrorKind::UndefinedError)),
            false => out.write_str(&written(value)).map_err(Error::from),
        });
        engine
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| describe(&error))?;
        Ok(Self {
            engine,
            source: source.to_owned(),
        })
    }

    /// The text as it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The text for a row.
    pub(crate) fn fill(&self, fields: &Fields) -> Result<String, String> {
        let filled = self
            .engine
            .get_template(NAME)
            .and_then(|template| template.render(Value::from(Serde(fields))));
        filled.map_err(|error| self.missing(fields).unwrap_or_else(|| describe(&error)))
    }

    /// The column that the row does not have, if that is what is wrong.
    fn missing(&self, fields: &Fields) -> Option<String> {
        let template = self.engine.get_template(NAME).ok()?;
        let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        names.retain(|name| !fields.contains_key(name) && name != "range" && name != "namespace");
        names.sort();
        let name = names.first()?;
        let columns: Vec<String> = fields.keys().map(|key| format!("`{key}`")).collect();
        Some(format!(
            "the row has no column `{name}`; it has {}",
            columns.join(", ")
        ))
    }
}

/// `{column}` places as Jinja; `{{` and `{%` mean that it is Jinja already.
pub(crate) fn as_jinja(text: &str) -> String {
    if text.contains("{{") || text.contains("{%") {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((column, after)) = after.split_once('}') else {
            break;
        };
        out += before;
        out += &format!("{{{{ {column} }}}}");
        rest = after;
    }
    out + rest
}

fn describe(error: &Error) -> String {
    error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned)
}

/// Python's methods, and `index` of a list.
fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if let ("index", [wanted]) = (name, args) {
        let found = match value.as_str() {
            Some(text) => {
                let wanted = wanted.as_str().unwrap_or_default();
                text.find(wanted).map(|at| text[..at].chars().count())
            }
            None => value.try_iter()?.position(|item| item == *wanted),
        };
        return found.map(Value::from).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!("`{}` is not in the list", written(wanted)),
            )
        });
    }
    unknown_method_callback(state, value, name, args)
}

fn regex_replace(text: &str, regex: &str, with: &str) -> Result<String, Error> {
    let refuse = |reason: String| Error::new(ErrorKind::InvalidOperation, reason);
    let regex = pattern::compile(regex).map_err(refuse)?;
    Ok(pattern::replace(&regex, text, with))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fill(source: &str) -> Result<String, String> {
        let Json::Object(fields) = json!({
            "question": " Why? ", "choices": {"text": ["a", "b'c"], "label": ["A", "B"]}, "answerKey": "B",
            "text": "one two three", "n": 3, "list": [1, "x"],
        }) else {
            unreachable!()
        };
        Template::compile(source)?.fill(&fields)
    }

    #[test]
    fn templates_of_the_harness_render_as_there() {
        for (source, expected) in [
            (
                "Question: {{question.strip()}}\nAnswer:",
                "Question: Why?\nAnswer:",
            ),
            ("{{choices.label.index(answerKey)}}", "1"),
            ("{{choices.text}}", "['a', \"b'c\"]"),
            ("{{[text, n]}}", "['one two three', 3]"),
            ("{{text.split(' ')[:-1]|join(' ')}}", "one two"),
            ("{{' '+text.split(' ')[-1]}}", " three"),
            (
                "{{text.split(' ')[-1].strip() if text is defined else target}}",
                "three",
            ),
            ("{{ 'ABCD'[n|int - 1] if n|string in '1234' else n }}", "C"),
            (
                "{% set p = 'Q: a\\n' %}{{p + text}}\n",
                "Q: a\none two three\n",
            ),
            (
                "{{text | regex_replace('o(.)e', '\\\\1!')}}",
                "n! two three",
            ),
            ("{{n == 3}} {{none}}", "True None"),
        ] {
            assert_eq!(fill(source).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn a_missing_column_is_named() {
        assert_eq!(
            fill("{{goal}}"),
            Err("the row has no column `goal`; it has `question`, `choices`, `answerKey`, `text`, `n`, `list`".into())
        );
        assert!(fill("{{ if }}").is_err());
    }

    #[test]
    fn columns_in_braces_are_jinja() {
        assert_eq!(
            as_jinja("Query: {text}\nIntent:"),
            "Query: {{ text }}\nIntent:"
        );
        assert_eq!(as_jinja("{{text}} {a}"), "{{text}} {a}");
        assert_eq!(as_jinja("a } b { c"), "a } b { c");
    }
}
