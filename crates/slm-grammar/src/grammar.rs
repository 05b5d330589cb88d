//! The texts that an answer may be.

use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use llguidance::regex_to_lark;
use serde_json::{Value, json};

use crate::{Constraint, GrammarError, Vocabulary, pattern, schema};

/// A set of texts: labels, what a regular expression matches, or the JSON that a schema describes.
#[derive(Clone, Debug)]
pub struct Grammar {
    /// In words, for errors.
    pub(crate) what: String,
    rule: Rule,
}

/// White space between two parts of a JSON text: what writers of JSON put there, and never so much that a model that has
/// lost its way could go on with it for ever.
const JSON_BLANKS: &str = r" |\n {0,16}";

/// How the texts are told apart.
#[derive(Clone, Debug)]
enum Rule {
    /// Matches the whole text.
    Pattern(String),
    Schema(Value),
}

impl Grammar {
    /// One of these texts, without the white space around each.
    ///
    /// # Errors
    /// No label, or one that is blank.
    pub fn labels<T: AsRef<str>>(labels: &[T]) -> Result<Grammar, GrammarError> {
        if labels.is_empty() {
            return Err(GrammarError::NoLabels);
        }
        let trimmed = labels.iter().map(|label| label.as_ref().trim());
        if let Some(at) = trimmed.clone().position(str::is_empty) {
            return Err(GrammarError::BlankLabel {
                number: at + 1,
                label: labels[at].as_ref().into(),
            });
        }
        let literals: Vec<String> = trimmed.map(regex_syntax::escape).collect();
        Ok(Grammar {
            what: format!("the {} labels", labels.len()),
            rule: Rule::Pattern(literals.join("|")),
        })
    }

    /// The texts that a regular expression in the syntax of the `regex` crate matches from end to end.
    ///
    /// # Errors
    /// One that does not parse; one with an assertion (`\b`, `^` and `$` but at the ends), which cannot be held while the text
    /// is still being written.
    pub fn regex(regex: &str) -> Result<Grammar, GrammarError> {
        pattern::check(regex)?;
        Ok(Grammar {
            what: format!("the regex `{regex}`"),
            rule: Rule::Pattern(regex.into()),
        })
    }

    /// The JSON that a schema describes, with the properties of an object in the order in which the schema lists them. Between
    /// two parts stands nothing, a blank, or a line break and at most 16 blanks.
    ///
    /// # Errors
    /// A keyword that is not enforced: an answer would look as if it had been checked.
    pub fn json_schema(schema: &Value) -> Result<Grammar, GrammarError> {
        schema::check(schema)?;
        let mut schema = match schema {
            Value::Bool(true) => json!({}),
            other => other.clone(),
        };
        if let Some(keywords) = schema.as_object_mut() {
            // How llguidance is told.
            keywords.insert(
                "x-guidance".into(),
                json!({"whitespace_pattern": JSON_BLANKS}),
            );
        }
        Ok(Grammar {
            what: "the JSON schema".into(),
            rule: Rule::Schema(schema),
        })
    }

    /// The grammar over the tokens of a vocabulary, at the beginning of an answer.
    ///
    /// # Errors
    /// A grammar without any text, or one that is too large.
    pub fn over(&self, vocabulary: &Vocabulary) -> Result<Constraint, GrammarError> {
        Constraint::new(self, vocabulary)
    }

    /// With the one blank or line break that may stand before the answer.
    pub(crate) fn rules(&self) -> TopLevelGrammar {
        match &self.rule {
            // A text that begins with white space itself is always told from the white space before it.
            Rule::Pattern(pattern) => {
                let pattern = regex_to_lark(pattern, "");
                TopLevelGrammar::from_lark(format!(
                    "start: ANSWER\n\
                     ANSWER: BLANK TEXT | (TEXT & /([^ \\n](?s:.*))?/)\n\
                     BLANK: /[ \\n]/\n\
                     TEXT: /(?:{pattern})/\n"
                ))
            }
            Rule::Schema(schema) => {
                let json = GrammarWithLexer {
                    name: Some("json".into()),
                    json_schema: Some(schema.clone()),
                    ..GrammarWithLexer::default()
                };
                let lark = "start: BLANK? @json\nBLANK: /[ \\n]/\n";
                TopLevelGrammar {
                    grammars: vec![GrammarWithLexer::from_lark(lark.into()), json],
                    max_tokens: None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_need_text() {
        let error = |labels: &[&str]| Grammar::labels(labels).expect_err("refused").to_string();
        assert_eq!(error(&[]), "found no label, needed at least one");
        assert_eq!(error(&["a", " "]), "label 2 is ` `, needs text");
        assert!(Grammar::labels(&[" a.b ", "a|b"]).is_ok());
    }
}
