//! Regular expressions as Python's `re` reads them.

use fancy_regex::{Captures, Regex};

/// Compiles a pattern of Python. `$` also stands before a line feed at the end, `\Z` at the very end.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(&translated(pattern))
        .map_err(|error| format!("`{pattern}` is no regular expression: {error}"))
}

fn translated(pattern: &str) -> String {
    let multi_line =
        pattern.starts_with("(?m") || pattern.starts_with("(?sm") || pattern.starts_with("(?im");
    let mut out = String::new();
    let mut in_class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('Z') => out.push_str("\\z"),
                Some(next) => out.extend([c, next]),
                None => out.push(c),
            },
            '[' if !in_class => {
                in_class = true;
                out.push(c);
                // A bracket that comes first is a character of the class.
                let rest = chars.as_str();
                let lead = rest.strip_prefix('^').unwrap_or(rest);
                let skip = rest.len() - lead.len() + usize::from(lead.starts_with(']'));
                out.push_str(&rest[..skip].replace(']', "\\]"));
                chars = rest[skip..].chars();
            }
            // Python has no classes within classes.
            '[' => out.push_str("\\["),
            '&' | '~' if in_class => out.extend(['\\', c]),
            ']' => {
                in_class = false;
                out.push(c);
            }
            '$' if !in_class && !multi_line => out.push_str("(?=\\n?\\z)"),
            c => out.push(c),
        }
    }
    out
}

/// `re.sub`: `\1` and `\g<name>` stand for groups.
pub(crate) fn replace(regex: &Regex, text: &str, with: &str) -> String {
    regex
        .replace_all(text, |found: &Captures<'_, str>| {
            let mut out = String::new();
            let mut chars = with.chars();
            while let Some(c) = chars.next() {
                if c != '\\' {
                    out.push(c);
                    continue;
                }
                match chars.next() {
                    Some(digit) if digit.is_ascii_digit() => {
                        let group = digit as usize - '0' as usize;
                        out.push_str(found.get(group).map_or("", |group| group.as_str()));
                    }
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some(other) => out.push(other),
                    None => out.push('\\'),
                }
            }
            out
        })
        .into_owned()
}

/// `re.findall`: the whole match without groups, else the groups of each match.
pub(crate) fn find_all(regex: &Regex, text: &str) -> Vec<Vec<String>> {
    let found = regex.captures_iter(text).filter_map(Result::ok);
    found
        .map(|captures| {
            let from = usize::from(captures.len() > 1);
            (from..captures.len())
                .map(|group| {
                    captures
                        .get(group)
                        .map_or("", |group| group.as_str())
                        .to_owned()
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pattern: &str, text: &str) -> Vec<Vec<String>> {
        find_all(&compile(pattern).unwrap(), text)
    }

    #[test]
    fn patterns_mean_what_they_mean_in_python() {
        assert_eq!(all(r"#### (\-?[0-9\.\,]+)", "a #### 1,234."), [["1,234."]]);
        assert_eq!(
            all(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", "$5 and 7"),
            [["$5", ""], ["", "7"]]
        );
        assert_eq!(all(r"\d+", "1 22"), [["1"], ["22"]]);
        assert_eq!(all(r"[[a]", "[a"), [["["], ["a"]]);
        assert_eq!(all(r"(?<=x)\d", "x1 2"), [["1"]]);
        let dot = compile("\\.$").unwrap();
        assert_eq!(replace(&dot, "a.\n", ""), "a\n");
        assert_eq!(replace(&dot, "a.b", ""), "a.b");
        assert_eq!(
            replace(&compile("(?s).*#### ").unwrap(), "x\n#### 5", ""),
            "5"
        );
        assert_eq!(replace(&compile("(a)(b)").unwrap(), "ab", r"\2\1"), "ba");
        assert!(
            compile("(")
                .unwrap_err()
                .starts_with("`(` is no regular expression: ")
        );
    }
}
