//! Regular expressions that an answer can be held to while it is written.

use regex_syntax::ast::{self, Assertion, AssertionKind, Ast, Span, Visitor, parse::Parser};
use regex_syntax::hir::translate::Translator;

use crate::GrammarError;

/// Refuses what does not parse, and conditions on what stands beside the text.
pub(crate) fn check(regex: &str) -> Result<(), GrammarError> {
    let invalid = |span: &Span, reason: String| GrammarError::InvalidRegex {
        regex: regex.into(),
        at: place(regex, span),
        reason,
    };
    let parsed = Parser::new()
        .parse(regex)
        .map_err(|error| invalid(error.span(), error.kind().to_string()))?;
    Translator::new()
        .translate(regex, &parsed)
        .map_err(|error| invalid(error.span(), error.kind().to_string()))?;
    let found = ast::visit(&parsed, Assertions(regex));
    found.map_err(|assertion| GrammarError::Assertion {
        regex: regex.into(),
        at: place(regex, &assertion.span),
        assertion: regex[assertion.span.start.offset..assertion.span.end.offset].into(),
    })
}

fn place(regex: &str, span: &Span) -> usize {
    regex[..span.start.offset].chars().count() + 1
}

/// Finds the first assertion that says more than that the text begins or ends at its ends.
struct Assertions<'a>(&'a str);

impl Visitor for Assertions<'_> {
    type Output = ();
    type Err = Assertion;

    fn finish(self) -> Result<(), Assertion> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Assertion> {
        let Ast::Assertion(assertion) = ast else {
            return Ok(());
        };
        let says_nothing = match assertion.kind {
            AssertionKind::StartLine | AssertionKind::StartText => assertion.span.start.offset == 0,
            AssertionKind::EndLine | AssertionKind::EndText => {
                assertion.span.end.offset == self.0.len()
            }
            _ => false,
        };
        match says_nothing {
            true => Ok(()),
            false => Err((**assertion).clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_place() {
        for (regex, expected) in [
            (
                "é(b",
                "the regex `é(b` is wrong at character 2: unclosed group",
            ),
            (
                "a{2,1}",
                "the regex `a{2,1}` is wrong at character 2: invalid repetition count range, the start must be <= the end",
            ),
            (
                r"\p{Nonsense}",
                r"the regex `\p{Nonsense}` is wrong at character 1: Unicode property not found",
            ),
            (
                r"(?=a)b",
                "the regex `(?=a)b` is wrong at character 1: look-around, including look-ahead and look-behind, is not supported",
            ),
            (
                r"a\bb",
                r"the regex `a\bb` has `\b` at character 2, which no answer can be held to while it is written",
            ),
            (
                "a^b",
                "the regex `a^b` has `^` at character 2, which no answer can be held to while it is written",
            ),
        ] {
            assert_eq!(check(regex).expect_err(regex).to_string(), expected);
        }
        assert!(check(r"^\d{3}[a-z]+$").is_ok());
    }
}
