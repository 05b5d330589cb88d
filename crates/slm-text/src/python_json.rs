//! JSON as Python's `json.dumps` writes it: what `tojson` means in a chat template.

use std::fmt::Write;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// The `tojson` filter of transformers: `ensure_ascii=False`, no HTML escaping, `indent`, `separators`, `sort_keys`.
pub(crate) fn tojson(value: &Value, arguments: Kwargs) -> Result<String, Error> {
    // `ensure_ascii` is accepted and ignored: transformers' default (false) is what every known template relies on.
    let ensure_ascii: Option<bool> = arguments.get("ensure_ascii")?;
    if ensure_ascii == Some(true) {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "`tojson` with `ensure_ascii=true` is not supported",
        ));
    }
    let indent = arguments.get::<Option<usize>>("indent")?;
    let separators = arguments.get::<Option<Vec<String>>>("separators")?;
    let sort_keys = arguments.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    arguments.assert_all_used()?;
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (item.clone(), key.clone()),
        Some(_) => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "`separators` needs two strings",
            ));
        }
        None if indent.is_some() => (",".into(), ": ".into()),
        None => (", ".into(), ": ".into()),
    };
    let mut writer = Writer {
        out: String::new(),
        indent,
        item,
        key,
        sort_keys,
    };
    writer.value(value, 0)?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    indent: Option<usize>,
    item: String,
    key: String,
    sort_keys: bool,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self
                .out
                .push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if value.is_integer() => write_to(&mut self.out, value),
            ValueKind::Number => self.out.push_str(&float(f64::try_from(value.clone())?)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.checked().collect::<Result<_, _>>()?;
                self.enclosed('[', ']', items, depth, |writer, item| {
                    writer.value(&item, depth + 1)
                })?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.checked().collect::<Result<_, _>>()?;
                if self.sort_keys {
                    keys.sort();
                }
                self.enclosed('{', '}', keys, depth, |writer, key| {
                    writer.string(&key.to_string());
                    writer.out.push_str(&writer.key.clone());
                    writer.value(&value.get_item(&key)?, depth + 1)
                })?;
            }
            kind => {
                let reason = format!("object of type {kind} is not JSON serializable");
                return Err(Error::new(ErrorKind::InvalidOperation, reason));
            }
        }
        Ok(())
    }

    fn enclosed(
        &mut self,
        open: char,
        close: char,
        items: Vec<Value>,
        depth: usize,
        mut write: impl FnMut(&mut Writer, Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        let is_empty = items.is_empty();
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.out.push_str(&self.item.clone());
            }
            self.new_line(depth + 1);
            write(self, item)?;
        }
        if !is_empty {
            self.new_line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(width) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', width * depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                c if c < ' ' => write_to(&mut self.out, format_args!("\\u{:04x}", c as u32)),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

fn write_to(out: &mut String, value: impl std::fmt::Display) {
    // Writing to a `String` cannot fail.
    let _ = write!(out, "{value}");
}

/// A float as Python's `repr` writes it: `1.0`, `0.0001`, `1e-05`, `1e+16`.
fn float(x: f64) -> String {
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return if x > 0.0 {
            "Infinity".into()
        } else {
            "-Infinity".into()
        };
    }
    if x == 0.0 || (1e-4..1e16).contains(&x.abs()) {
        return format!("{x:?}");
    }
    let text = format!("{x:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dumps(json: &str, arguments: &str) -> String {
        let mut env = minijinja::Environment::new();
        env.add_filter("tojson", tojson);
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        let source = format!("{{{{ x|tojson({arguments}) }}}}");
        env.render_str(
            &source,
            minijinja::context! { x => Value::from(minijinja::value::Serde(value)) },
        )
        .unwrap()
    }

    // The right-hand sides are what Python 3.12's json.dumps(.., ensure_ascii=False) prints.
    #[test]
    fn equals_python() {
        let source =
            r#"{"b": [1, 2.0, 1e-05, 1e16, null, true], "a": "<é\"\n\u0001&>", "e": {}, "l": []}"#;
        assert_eq!(
            dumps(source, ""),
            r#"{"b": [1, 2.0, 1e-05, 1e+16, null, true], "a": "<é\"\n\u0001&>", "e": {}, "l": []}"#
        );
        assert_eq!(
            dumps(r#"{"b": [1], "a": {}}"#, "indent=2"),
            "{\n  \"b\": [\n    1\n  ],\n  \"a\": {}\n}"
        );
        assert_eq!(
            dumps(
                r#"{"b": 1, "a": 2}"#,
                "sort_keys=true, separators=[',', ':']"
            ),
            r#"{"a":2,"b":1}"#
        );
    }
}
