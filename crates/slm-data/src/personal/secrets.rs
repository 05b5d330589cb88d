//! Keys to services, and web addresses that hold one.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::follows_word;

/// Shapes that providers document: AWS access keys, GitHub, GitLab, Slack, Stripe, Google, npm, Hugging Face, OpenAI and Anthropic
/// tokens, and JSON web tokens (RFC 7519).
static SHAPES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}|glpat-[A-Za-z0-9_-]{20,}",
        r"|xox[abprs]-[A-Za-z0-9-]{10,}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{35}|npm_[A-Za-z0-9]{36}",
        r"|hf_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$"
    ))
    .ok()
});

/// Words behind which a random text is a secret.
const WORDS: [&str; 12] = [
    "key",
    "apikey",
    "secret",
    "token",
    "password",
    "passwd",
    "pwd",
    "bearer",
    "authorization",
    "credential",
    "api_key",
    "access_token",
];
/// Bits a character, of texts of 20 characters or more: random letters and digits have about 4, words of a language less.
const RANDOM_BITS: f64 = 3.5;

/// Whether it is a key by its shape, or a random text behind a word for one.
pub(super) fn is_key(text: &str, at: Range<usize>) -> bool {
    let said = &text[at.clone()];
    let before = text[..at.start].chars().next_back();
    if before.is_some_and(|c| c.is_alphanumeric() || "_+/.-".contains(c)) {
        return false;
    }
    if SHAPES.as_ref().is_some_and(|shapes| shapes.is_match(said)) {
        return true;
    }
    // Names in programs and paths are long words as well: they rarely have digits, and are often parted by dots.
    let mixed = said.chars().any(|c| c.is_ascii_digit()) && said.chars().any(char::is_alphabetic);
    said.len() >= 20
        && mixed
        && !said.contains('.')
        && !said.starts_with('/')
        && entropy(said) >= RANDOM_BITS
        && follows_word(text, at.start, &WORDS)
}

/// Shannon's entropy of the characters, in bits.
fn entropy(text: &str) -> f64 {
    let mut counts = std::collections::BTreeMap::<char, f64>::new();
    for c in text.chars() {
        *counts.entry(c).or_default() += 1.0;
    }
    let all: f64 = counts.values().sum();
    counts
        .values()
        .map(|count| -count / all * (count / all).log2())
        .sum()
}

/// Whether a web address has a password before its host (RFC 3986, 3.2.1) or a secret among its parameters.
pub(super) fn has_secret(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let password = host
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'));
    let parameters = rest.split(['?', '&', '#', ';']).skip(1);
    let mut pairs = parameters.filter_map(|parameter| parameter.split_once('='));
    password
        || pairs.any(|(name, value)| {
            let name = name.to_lowercase();
            let names = [
                "token",
                "secret",
                "password",
                "passwd",
                "pwd",
                "apikey",
                "api_key",
                "sig",
                "signature",
                "key",
            ];
            value.len() >= 6
                && names.iter().any(|it| {
                    name == *it
                        || name.ends_with(&format!("_{it}"))
                        || name.ends_with(&format!("-{it}"))
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_by_hand() {
        assert_eq!(entropy("aaaa"), 0.0);
        assert_eq!(entropy("abcd"), 2.0);
    }
}
