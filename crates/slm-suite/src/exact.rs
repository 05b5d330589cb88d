//! Exact match with the normalisations of lm-evaluation-harness.

use fancy_regex::Regex;

use crate::pattern::replace;

/// What is not looked at, in answer and target alike.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exactness {
    pub(crate) ignore_case: bool,
    pub(crate) ignore_punctuation: bool,
    pub(crate) ignore_numbers: bool,
    pub(crate) regexes_to_ignore: Vec<Regex>,
}

impl Exactness {
    /// Whether both are the same but for that.
    pub(crate) fn holds(&self, answer: &str, target: &str) -> bool {
        self.normalized(answer) == self.normalized(target)
    }

    fn normalized(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for regex in &self.regexes_to_ignore {
            text = replace(regex, &text, "");
        }
        if self.ignore_case {
            text = text.to_lowercase();
        }
        text.retain(|c| {
            let ignored = (self.ignore_punctuation && c.is_ascii_punctuation())
                || (self.ignore_numbers && c.is_ascii_digit());
            !ignored
        });
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::compile;

    #[test]
    fn gsm8k_compares_the_number_alone() {
        let exactness = Exactness {
            ignore_case: true,
            regexes_to_ignore: [",", "\\$", "(?s).*#### ", "\\.$"]
                .iter()
                .map(|pattern| compile(pattern).unwrap())
                .collect(),
            ..Exactness::default()
        };
        assert!(exactness.holds("$1,234.", "She has\n#### 1234"));
        assert!(!exactness.holds("1234.5", "#### 1234"));
    }

    #[test]
    fn each_rule_by_itself() {
        let plain = Exactness::default();
        assert!(plain.holds("a", "a") && !plain.holds("a ", "a") && !plain.holds("A", "a"));
        let rule = |ignore_punctuation, ignore_numbers| Exactness {
            ignore_punctuation,
            ignore_numbers,
            ..Exactness::default()
        };
        assert!(rule(true, false).holds("a.b!", "ab") && !rule(true, false).holds("a1", "a"));
        assert!(rule(false, true).holds("a1", "2a") && !rule(false, true).holds("a.", "a"));
    }
}
