//! A part of a prompt: a message of a conversation, or a text with what separates it from the next.

/// One part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Turn {
    pub(crate) role: &'static str,
    pub(crate) content: String,
    /// What follows it where parts are texts.
    delimiter: String,
}

impl Turn {
    fn new(role: &'static str, content: &str, delimiter: &str) -> Self {
        Self {
            role,
            content: content.into(),
            delimiter: delimiter.into(),
        }
    }

    pub(crate) fn system(content: String) -> Self {
        Self::new("system", &content, "")
    }

    /// What is asked, and how its answer begins.
    pub(crate) fn question(text: &str, prefix: Option<&str>, delimiter: &str) -> Vec<Self> {
        let prefix = prefix.filter(|prefix| !prefix.is_empty());
        let delimiter = match prefix {
            Some(prefix) if is_to_be_separated(text, prefix) => delimiter,
            _ => "",
        };
        let mut turns = vec![Self::new("user", text, delimiter)];
        turns.extend(prefix.map(|prefix| Self::new("assistant", prefix, "")));
        turns
    }

    /// An example: what is asked, and the answer behind the prefix. An empty answer is none.
    pub(crate) fn answered(
        text: &str,
        answer: &str,
        prefix: Option<&str>,
        delimiter: &str,
        after: &str,
    ) -> Vec<Self> {
        if answer.is_empty() {
            return Self::question(text, prefix, delimiter);
        }
        let prefix = prefix.unwrap_or_default();
        let separated = prefix.is_empty() || is_to_be_separated(text, prefix);
        let answer = match prefix.is_empty() || answer.is_empty() {
            false if is_to_be_separated(prefix, answer) => format!("{prefix} {answer}"),
            _ => format!("{prefix}{answer}"),
        };
        vec![
            Self::new("user", text, if separated { delimiter } else { "" }),
            Self::new("assistant", &answer, after),
        ]
    }

    /// The part as text.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.content, self.delimiter)
    }
}

/// Whether two texts, of which the second is not empty, meet without white space.
fn is_to_be_separated(before: &str, after: &str) -> bool {
    !before.is_empty()
        && !before.ends_with(char::is_whitespace)
        && !after.starts_with(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(turns: &[Turn]) -> String {
        turns.iter().map(Turn::text).collect()
    }

    #[test]
    fn delimiters_stand_only_where_nothing_separates() {
        assert_eq!(text(&Turn::question("Q", None, " ")), "Q");
        assert_eq!(text(&Turn::question("Q", Some("A:"), " ")), "Q A:");
        assert_eq!(text(&Turn::question("Q\n", Some("A:"), " ")), "Q\nA:");
        assert_eq!(
            text(&Turn::answered("Q", "x", None, " ", "\n\n")),
            "Q x\n\n"
        );
        assert_eq!(
            text(&Turn::answered("Q", "x", Some("A:"), " ", "\n\n")),
            "Q A: x\n\n"
        );
        assert_eq!(text(&Turn::answered("Q", "", None, " ", "\n\n")), "Q");
    }
}
