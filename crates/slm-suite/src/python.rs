//! Values as Python writes and reads them: Jinja in lm-evaluation-harness prints lists and reads them back.

use minijinja::value::ValueKind;
use serde_json::{Map, Number, Value};

/// `str(value)`: texts as they are, all else as `repr` writes it.
pub(crate) fn written(value: &minijinja::Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => repr(value),
    }
}

fn repr(value: &minijinja::Value) -> String {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => "None".into(),
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.into(),
        ValueKind::Number if value.is_integer() => value.to_string(),
        ValueKind::Number => float(f64::try_from(value.clone()).unwrap_or(f64::NAN)),
        ValueKind::String => quoted(value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Vec<String> = value
                .try_iter()
                .map(|items| items.map(|item| repr(&item)).collect())
                .unwrap_or_default();
            format!("[{}]", items.join(", "))
        }
        ValueKind::Map => {
            let items: Vec<String> = value
                .try_iter()
                .map(|keys| {
                    keys.map(|key| {
                        let item = value.get_item(&key).unwrap_or_default();
                        format!("{}: {}", repr(&key), repr(&item))
                    })
                    .collect()
                })
                .unwrap_or_default();
            format!("{{{}}}", items.join(", "))
        }
        _ => value.to_string(),
    }
}

/// `repr` of a text: single quotes, double ones where it holds only single ones.
fn quoted(text: &str) -> String {
    let quote = match text.contains('\'') && !text.contains('"') {
        true => '"',
        false => '\'',
    };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// `repr` of a float.
fn float(x: f64) -> String {
    if x == 0.0 || (1e-4..1e16).contains(&x.abs()) {
        return format!("{x:?}");
    }
    let text = format!("{x:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if x.is_finite() => {
            let (sign, number) = match exponent.strip_prefix('-') {
                Some(number) => ('-', number),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{number:0>2}")
        }
        _ => text.to_lowercase(),
    }
}

/// `ast.literal_eval`: texts, numbers, `True`, `False`, `None`, lists, tuples and dictionaries.
pub(crate) fn literal(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text.trim() };
    let value = reader.value()?;
    reader.skip();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, c: char) -> bool {
        self.skip();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Option<Value> {
        self.skip();
        for (word, value) in [
            ("True", Value::Bool(true)),
            ("False", Value::Bool(false)),
            ("None", Value::Null),
        ] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Some(value);
            }
        }
        match self.rest.chars().next()? {
            '[' => self.list('[', ']'),
            '(' => self.list('(', ')'),
            '{' => self.table(),
            quote @ ('\'' | '"') => {
                let mut text = self.text(quote)?;
                // Texts beside each other are one.
                loop {
                    self.skip();
                    match self.rest.chars().next() {
                        Some(quote @ ('\'' | '"')) => text += &self.text(quote)?,
                        _ => return Some(Value::String(text)),
                    }
                }
            }
            _ => self.number(),
        }
    }

    fn list(&mut self, open: char, close: char) -> Option<Value> {
        self.take(open);
        let mut items = Vec::new();
        while !self.take(close) {
            items.push(self.value()?);
            if !self.take(',') {
                return self.take(close).then_some(Value::Array(items));
            }
        }
        Some(Value::Array(items))
    }

    fn table(&mut self) -> Option<Value> {
        self.take('{');
        let mut table = Map::new();
        while !self.take('}') {
            let key = match self.value()? {
                Value::String(key) => key,
                other => other.to_string(),
            };
            if !self.take(':') {
                return None;
            }
            table.insert(key, self.value()?);
            if !self.take(',') {
                return self.take('}').then_some(Value::Object(table));
            }
        }
        Some(Value::Object(table))
    }

    fn text(&mut self, quote: char) -> Option<String> {
        let mut chars = self.rest.strip_prefix(quote)?.chars();
        let mut text = String::new();
        loop {
            match chars.next()? {
                c if c == quote => break,
                '\n' => return None,
                '\\' => match chars.next()? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    '\n' => {}
                    'x' => text.push(code(&mut chars, 2)?),
                    'u' => text.push(code(&mut chars, 4)?),
                    'U' => text.push(code(&mut chars, 8)?),
                    c @ ('\\' | '\'' | '"') => text.push(c),
                    c => text.extend(['\\', c]),
                },
                c => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Some(text)
    }

    fn number(&mut self) -> Option<Value> {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "+-._".contains(c)))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let word = word.replace('_', "");
        self.rest = rest;
        match word.parse::<i64>() {
            Ok(number) => Some(number.into()),
            Err(_) => Number::from_f64(word.parse().ok()?).map(Value::Number),
        }
    }
}

fn code(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let digits: String = chars.by_ref().take(digits).collect();
    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let value = json!(["it's", "say \"a\"", "both ' and \"", "line\nä", 1, 2.5, 1e-7, true, null, {"k": [1]}]);
        let text = written(&minijinja::Value::from(minijinja::value::Serde(&value)));
        assert_eq!(
            text,
            r#"["it's", 'say "a"', 'both \' and "', 'line\nä', 1, 2.5, 1e-07, True, None, {'k': [1]}]"#
        );
        assert_eq!(literal(&text), Some(value));
    }

    #[test]
    fn only_literals_are_read() {
        assert_eq!(literal("('a', 'b',)"), Some(json!(["a", "b"])));
        assert_eq!(literal("'a' \"b\""), Some(json!("ab")));
        assert_eq!(literal(r"'\x41\u00e4\d'"), Some(json!("Aä\\d")));
        for broken in ["[a]", "['a'", "1 + 1", "f()", "", "{1: }"] {
            assert_eq!(literal(broken), None, "{broken}");
        }
    }
}
