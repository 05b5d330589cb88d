//! What a source makes of its columns before they are read: nested fields, expressions, and names of labels.

use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Map, Value};
use slm_recipe::{LabelNames, Source};

use crate::error::{DataError, json_kind};
use crate::source::Row;
use crate::template::Template;

/// The variable that an expression is put into.
const RESULT: &str = "__result";

/// Columns that a file does not have as they are needed.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// Dotted paths into nested fields, as in `answer.text` and `turns.0.content`.
    paths: Vec<String>,
    /// Columns that hold the number of a label, and the names by number.
    labels: BTreeMap<String, Vec<String>>,
    /// Names of columns and the expressions that make them.
    expressions: Vec<(String, String)>,
    /// One template for each of them, by its name.
    templates: Environment<'static>,
}

impl Mapping {
    /// What a source asks for, and the source without what is done here.
    pub(crate) fn of(source: &Source) -> Result<(Self, Source), DataError> {
        let is_expression = |column: &str| column.contains("{{") || column.contains("{%");
        let all = source.columns.clone().into_iter();
        let (expressions, columns): (BTreeMap<_, _>, BTreeMap<_, _>) =
            all.partition(|(_, column)| is_expression(column));
        let mut paths: Vec<String> = columns.values().cloned().collect();
        paths.extend(source.label_names.keys().cloned());
        for template in [&source.prompt, &source.completion].into_iter().flatten() {
            let template = Template::parse(template)?;
            paths.extend(template.columns().map(str::to_owned));
        }
        paths.retain(|path| path.contains('.'));
        let labels = source.label_names.iter();
        let labels =
            labels.map(|(column, names)| Ok((column.clone(), label_names(column, names)?)));
        let mapping = Self {
            paths,
            labels: labels.collect::<Result<_, DataError>>()?,
            templates: templates(&expressions)?,
            expressions: expressions.into_iter().collect(),
        };
        let mut source = source.clone();
        source.columns = columns;
        Ok((mapping, source))
    }

    /// Adds what is asked for to the columns of a row.
    pub(crate) fn apply(&self, mut row: Row) -> Result<Row, DataError> {
        for path in &self.paths {
            if !row.fields.contains_key(path)
                && let Some(value) = nested(&row.fields, path)
            {
                let value = value.clone();
                row.fields.insert(path.clone(), value);
            }
        }
        for (column, names) in &self.labels {
            if let Some(value) = row.fields.get(column) {
                let name = label(value, names).ok_or_else(|| DataError::WrongValue {
                    origin: row.origin.clone(),
                    column: column.clone(),
                    found: match value {
                        Value::Number(_) | Value::String(_) => format!("`{value}`"),
                        other => json_kind(other).into(),
                    },
                    needed: format!("the number of a label from 0 to {}", names.len() - 1),
                })?;
                row.fields.insert(column.clone(), Value::from(name));
            }
        }
        let mut made = Map::new();
        for (name, expression) in &self.expressions {
            let value = self.value(name, &row.fields);
            let value = value.map_err(|error| DataError::Expression {
                origin: row.origin.clone(),
                expression: expression.clone(),
                reason: told(&error),
            })?;
            made.insert(name.clone(), value);
        }
        row.fields.extend(made);
        Ok(row)
    }

    fn value(&self, name: &str, fields: &Map<String, Value>) -> Result<Value, minijinja::Error> {
        let template = self.templates.get_template(name)?;
        let columns = minijinja::Value::from(Serde(fields));
        if !template.source().starts_with(SET) {
            return Ok(Value::from(template.render(columns)?));
        }
        let rendered = template.render_captured(columns)?;
        let value = rendered.state().lookup(RESULT).unwrap_or_default();
        // What is undefined is refused where it is printed, and here it is not.
        if value.is_undefined() {
            return Err(minijinja::ErrorKind::UndefinedError.into());
        }
        serde_json::to_value(value).map_err(|error| {
            minijinja::Error::new(minijinja::ErrorKind::BadSerialization, error.to_string())
        })
    }
}

/// How the template of an expression begins whose value is kept as it is.
const SET: &str = "{% set __result = (";

/// `{{ .. }}` alone gives a value of any kind, anything else a text.
fn templates(expressions: &BTreeMap<String, String>) -> Result<Environment<'static>, DataError> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    for (name, expression) in expressions {
        let text = expression.trim();
        let alone = text
            .strip_prefix("{{")
            .and_then(|text| text.strip_suffix("}}"));
        let alone = alone.filter(|text| !text.contains("{{") && !text.contains("}}"));
        let template = match alone {
            Some(value) => format!("{SET}{value}) %}}"),
            None => expression.clone(),
        };
        let added = templates.add_template_owned(name.clone(), template);
        added.map_err(|error| DataError::BrokenExpression {
            expression: expression.clone(),
            reason: told(&error),
        })?;
    }
    Ok(templates)
}

/// What is wrong, without the place in a template that no one wrote.
fn told(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// A value inside others: by name in an object, by number in a list.
fn nested<'a>(fields: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('.')?;
    rest.split('.')
        .try_fold(fields.get(first)?, |value, step| match value {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            Value::Object(fields) => fields.get(step),
            _ => None,
        })
}

/// The name of a label by its number, which a CSV has as text.
fn label(value: &Value, names: &[String]) -> Option<String> {
    let number = match value {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    names.get(usize::try_from(number).ok()?).cloned()
}

fn label_names(column: &str, names: &LabelNames) -> Result<Vec<String>, DataError> {
    let path = match names {
        LabelNames::List(names) => return Ok(names.clone()),
        LabelNames::File(path) => path,
    };
    let text = fs_err::read_to_string(path).map_err(|source| DataError::Io { source })?;
    let names: Option<Vec<String>> = match path.ends_with(".json") {
        true => {
            let value: Option<Value> = serde_json::from_str(&text).ok();
            value.as_ref().and_then(|value| names_in(value, column))
        }
        false => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            Some(lines.map(str::to_owned).collect())
        }
    };
    match names.filter(|names| !names.is_empty()) {
        Some(names) => Ok(names),
        None => Err(DataError::LabelNames {
            path: path.clone(),
            column: column.to_owned(),
        }),
    }
}

/// A list of texts, or the `names` of the column's feature in what HF `datasets` writes into `dataset_info.json`.
fn names_in(value: &Value, column: &str) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect()
        }
        Value::Object(fields) => {
            let feature = fields.get(column).and_then(|feature| feature.get("names"));
            let inner = || {
                let objects = fields.values().filter(|value| value.is_object());
                objects
                    .into_iter()
                    .find_map(|value| names_in(value, column))
            };
            match feature {
                Some(names) => names_in(names, column),
                None => inner(),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::origin::Origin;

    fn apply(source: &Source, fields: Value) -> Result<Map<String, Value>, String> {
        let (mapping, _) = Mapping::of(source).map_err(|error| error.to_string())?;
        let Value::Object(fields) = fields else {
            unreachable!()
        };
        let origin = Origin::line(&"a.jsonl".into(), 3);
        let row = mapping.apply(Row { origin, fields });
        row.map(|row| row.fields).map_err(|error| error.to_string())
    }

    fn columns(column: &str) -> Source {
        Source {
            columns: [("completion".to_owned(), column.to_owned())].into(),
            ..Source::default()
        }
    }

    #[test]
    fn paths_lead_into_objects_and_lists() {
        let row = json!({"turns": [{"text": "a"}, {"text": "b"}], "x.y": 1, "x": {"y": 2}});
        for (path, value) in [("turns.1.text", json!("b")), ("x.y", json!(1))] {
            let fields = apply(&columns(path), row.clone()).unwrap();
            assert_eq!(fields[path], value);
        }
        for path in ["turns.2.text", "turns.text", "x.y.z", "no.where"] {
            let fields = apply(&columns(path), row.clone()).unwrap();
            assert!(!fields.contains_key(path), "{path}");
        }
    }

    #[test]
    fn expressions_keep_kinds_and_templates_make_texts() {
        let row = json!({"a": " x ", "n": 2, "list": [1, {"b": "c"}]});
        for (column, value) in [
            ("{{ a | trim }}", json!("x")),
            ("{{ a.strip() ~ n }}", json!("x2")),
            ("{{ list }}", json!([1, {"b": "c"}])),
            ("{{ n + 1 }}", json!(3)),
            ("{{ n }} and {{ list[1].b }}", json!("2 and c")),
            ("{% if n > 1 %}many{% else %}few{% endif %}", json!("many")),
            ("{{ gone | default('-') }}", json!("-")),
        ] {
            let fields = apply(&columns(column), row.clone()).unwrap();
            assert_eq!(fields["completion"], value, "{column}");
        }
        assert_eq!(
            apply(&columns("{{ gone }}"), row.clone()).unwrap_err(),
            "`a.jsonl:3`: `{{ gone }}` gives nothing: undefined value"
        );
        let error = apply(&columns("{{ a | }}"), row).unwrap_err();
        assert!(
            error.starts_with("`{{ a | }}` is no expression: syntax error"),
            "{error}"
        );
    }

    #[test]
    fn labels_have_the_names_of_a_list_or_a_file() {
        let source = |names| Source {
            label_names: [("label".to_owned(), names)].into(),
            ..Source::default()
        };
        let list = LabelNames::List(vec!["ham".into(), "spam".into()]);
        let label = |value: Value| {
            let row = apply(&source(list.clone()), json!({"label": value}));
            row.map(|row| row["label"].clone())
        };
        assert_eq!(label(json!(1)), Ok(json!("spam")));
        assert_eq!(label(json!("0")), Ok(json!("ham")));
        let refused = |found: &str| {
            Err(format!(
                "`a.jsonl:3`: column `label` holds {found}, the number of a label from 0 to 1 was needed"
            ))
        };
        assert_eq!(label(json!(2)), refused("`2`"));
        assert_eq!(label(json!(-1)), refused("`-1`"));
        assert_eq!(label(json!("spam")), refused("`\"spam\"`"));
        assert_eq!(label(json!(null)), refused("null"));

        let dir = tempfile::tempdir().unwrap();
        let info = r#"{"features": {"text": {"dtype": "string", "_type": "Value"},
            "label": {"names": ["ham", "spam"], "_type": "ClassLabel"}}}"#;
        for (name, content) in [
            ("names.json", r#"["ham", "spam"]"#),
            ("dataset_info.json", info),
            ("names.txt", "ham\n\nspam\n"),
        ] {
            let path = dir.path().join(name);
            fs_err::write(&path, content).unwrap();
            let names = LabelNames::File(path.display().to_string());
            let row = apply(&source(names), json!({"label": 1})).unwrap();
            assert_eq!(row["label"], "spam", "{name}");
        }
        let path = dir.path().join("other.json");
        fs_err::write(&path, r#"{"features": {"label": {"dtype": "int64"}}}"#).unwrap();
        let path = path.display().to_string();
        let error = apply(&source(LabelNames::File(path.clone())), json!({})).unwrap_err();
        assert_eq!(
            error,
            format!("`{path}` has no names of the labels in `label`")
        );
    }
}
