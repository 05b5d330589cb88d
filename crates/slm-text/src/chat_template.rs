//! Chat templates: Jinja as transformers runs it.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State};
use minijinja_contrib::pycompat::unknown_method_callback;

use crate::TextError;
use crate::python_json::tojson;
use crate::template_text::TemplateText;

/// The template for conversations without tools.
const DEFAULT: &str = "default";
/// The template that transformers prefers when tools are given and there is one of this name.
const TOOL_USE: &str = "tool_use";
/// The filter that `{% generation %}` blocks go through.
const GENERATION: &str = "slm_generation";
/// The variable that holds what is written before and after such a block.
pub(crate) const MARKS: &str = "slm_generation_marks";
/// Marks an error that the template raised on purpose.
const RAISED: &str = "raised by the chat template: ";

/// A compiled chat template.
///
/// The engine is set up as in transformers: `trim_blocks`, `lstrip_blocks`, loop controls, `raise_exception`,
/// `strftime_now`, Python's `tojson` and methods on strings and mappings. `{% generation %}` blocks render as their body,
/// between two marks where the variable [`MARKS`] has them.
#[derive(Debug)]
pub(crate) struct ChatTemplate {
    engine: Environment<'static>,
    source: String,
    has_generation: bool,
}

impl ChatTemplate {
    /// Compiles `text`.
    pub(crate) fn compile(text: &TemplateText) -> Result<ChatTemplate, TextError> {
        let mut engine = Environment::new();
        let invalid = |error: Error| TextError::InvalidTemplate {
            origin: text.origin.clone(),
            message: describe(&error),
        };
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(invalid)?;
        engine.set_syntax(syntax);
        engine.set_auto_escape_callback(|_| AutoEscape::None);
        engine.set_unknown_method_callback(unknown_method_callback);
        engine.add_filter("tojson", tojson);
        engine.add_filter(GENERATION, generation);
        engine.add_function("raise_exception", raise_exception);
        let tool_use = text.tool_use.iter().map(|source| (TOOL_USE, source));
        let mut has_generation = false;
        for (name, source) in std::iter::once((DEFAULT, &text.text)).chain(tool_use) {
            let (source, found) = with_generation_filter(&with_line_feeds(source));
            has_generation |= found;
            engine.add_template_owned(name, source).map_err(invalid)?;
        }
        let source = text.text.clone();
        Ok(ChatTemplate {
            engine,
            source,
            has_generation,
        })
    }

    /// The template's text as it was found.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it marks what is learned with `{% generation %}` blocks.
    pub(crate) fn has_generation(&self) -> bool {
        self.has_generation
    }

    /// Renders with `variables` (a mapping that holds `messages` and what else a template may read).
    pub(crate) fn render(&self, variables: Value, has_tools: bool) -> Result<String, TextError> {
        let name = if has_tools && self.engine.get_template(TOOL_USE).is_ok() {
            TOOL_USE
        } else {
            DEFAULT
        };
        let rendered = self
            .engine
            .get_template(name)
            .and_then(|template| template.render(variables));
        rendered.map_err(|error| {
            match error
                .detail()
                .and_then(|detail| detail.strip_prefix(RAISED))
            {
                Some(message) => TextError::Refused {
                    message: message.into(),
                },
                None => TextError::Render {
                    message: describe(&error),
                },
            }
        })
    }
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(
        ErrorKind::InvalidOperation,
        format!("{RAISED}{message}"),
    ))
}

/// The `strftime_now` function of a template, for a given time.
pub(crate) fn strftime_at(now: DateTime<Utc>) -> Value {
    Value::from_function(move |format: &str| strftime(now, format))
}

fn strftime(now: DateTime<Utc>, format: &str) -> Result<String, Error> {
    let mut out = String::new();
    write!(out, "{}", now.format(format)).map_err(|_| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("`{format}` is not a date format"),
        )
    })?;
    Ok(out)
}

fn describe(error: &Error) -> String {
    let what = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => format!("{what} (line {line})"),
        None => what,
    }
}

/// Line ends as Jinja reads them, which knows only `\n` whatever the file has.
fn with_line_feeds(source: &str) -> String {
    source.replace("\r\n", "\n").replace('\r', "\n")
}

/// What a `{% generation %}` block wrote, between the two texts of [`MARKS`].
fn generation(state: &State, body: String) -> String {
    let mark = |at: usize| {
        let marks = state.lookup(MARKS)?;
        Some(marks.get_item_by_index(at).ok()?.to_string())
    };
    match (mark(0), mark(1)) {
        (Some(open), Some(close)) => format!("{open}{body}{close}"),
        _ => body,
    }
}

/// Turns `{% generation %}..{% endgeneration %}` into a block whose text goes through a filter, and says whether there is one.
///
/// The tag is transformers' own extension, which marks the assistant's text. A filter block keeps the whitespace rules of
/// a block tag, dashes included.
fn with_generation_filter(source: &str) -> (String, bool) {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let mut found = false;
    while let Some(at) = rest.find("{%").into_iter().chain(rest.find("{#")).min() {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let close = if tag.starts_with("{#") { "#}" } else { "%}" };
        let end = tag.find(close).map_or(tag.len(), |end| end + 2);
        let (tag, after) = tag.split_at(end);
        let word = tag.trim_matches(|c: char| "{%}-+".contains(c) || c.is_whitespace());
        match word {
            "generation" => {
                found = true;
                out.push_str(&tag.replacen(word, &format!("filter {GENERATION}"), 1));
            }
            "endgeneration" => out.push_str(&tag.replacen(word, "endfilter", 1)),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    (out, found)
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    fn compile(source: &str) -> Result<ChatTemplate, TextError> {
        ChatTemplate::compile(&TemplateText {
            origin: "test.jinja".into(),
            text: source.into(),
            tool_use: Some("tools!".into()),
        })
    }

    fn render(source: &str, variables: Value) -> Result<String, TextError> {
        compile(source)?.render(variables, false)
    }

    #[test]
    fn renders_as_transformers_does() {
        let source = "{%- for m in messages %}\r\n    {% generation %}\n{{ m.content.strip().upper() }}\n    {% endgeneration %}\n\
                      {% if loop.last %}{% break %}{% endif %}\n{% endfor %}\n{{ missing }}{{ strftime_now('%d %b %Y') }}\n";
        let text = render(
            source,
            context! {
                messages => vec![context! { content => " a<b " }],
                strftime_now => strftime_at(DateTime::from_timestamp(1_721_952_000, 0).unwrap()),
            },
        )
        .unwrap();
        assert_eq!(text, "A<B\n26 Jul 2024");
    }

    #[test]
    fn generation_blocks_are_marked_when_asked_for() {
        let source = "{# {% generation %} #}{% for m in messages %}\n    {%- generation %}\n  {{- m -}}\n    {% endgeneration %}\n;{% endfor %}";
        let variables = context! { messages => vec!["a", "b"] };
        assert_eq!(render(source, variables).unwrap(), "a;b;");
        let variables =
            context! { messages => vec!["a", "b"], slm_generation_marks => vec!["<", ">"] };
        assert_eq!(render(source, variables).unwrap(), "<a>;<b>;");
        assert!(compile(source).unwrap().has_generation());
        assert!(!compile("{# {% generation %} #}").unwrap().has_generation());
    }

    #[test]
    fn tells_refusals_from_failures() {
        let error = render("{{ raise_exception('no system role') }}", context! {}).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the chat template refuses the conversation: no system role"
        );
        let error = render("a\n{{ x.y.z }}", context! {}).unwrap_err();
        assert!(
            error.to_string().starts_with("the chat template failed: "),
            "{error}"
        );
        let error = render("a\n{% if %}", context! {}).unwrap_err();
        assert!(
            error.to_string().contains("test.jinja") && error.to_string().contains("line 2"),
            "{error}"
        );
        let now = strftime_at(DateTime::default());
        assert!(render("{{ strftime_now('%!') }}", context! { strftime_now => now }).is_err());
    }

    #[test]
    fn prefers_the_tool_template_when_tools_are_given() {
        let template = compile("plain").unwrap();
        assert_eq!(template.render(context! {}, true).unwrap(), "tools!");
        assert_eq!(template.render(context! {}, false).unwrap(), "plain");
    }
}
