//! Text of a run as HTML that cannot do anything.

/// Text for an element or a quoted attribute.
///
/// Besides the five characters of markup, control characters (a model writes what it likes) and the marks that turn the
/// direction of text around become visible signs.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            // Unicode has a picture for each of the first 32 controls, at U+2400 and on.
            '\0'..='\u{1f}' => {
                escaped.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'))
            }
            '\u{7f}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                escaped.push_str(&format!("‹U+{:04X}›", c as u32));
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

/// At most `most` characters of a text, escaped, and how many are left out.
pub(super) fn excerpt(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => escape(text),
        Some((end, _)) => format!(
            "{}<em class=\"more\"> … {} more characters</em>",
            escape(&text[..end]),
            super::numbers::count(text[end..].chars().count())
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(
            escape("<script>alert(\"a\" & 'b')</script>"),
            "&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt;"
        );
    }

    #[test]
    fn controls_become_signs() {
        assert_eq!(escape("a\0b\u{1b}[0m\nc"), "a␀b␛[0m\nc");
        assert_eq!(escape("\u{202e}abc"), "‹U+202E›abc");
    }

    #[test]
    fn an_excerpt_counts_characters() {
        assert_eq!(excerpt("äöü", 3), "äöü");
        assert_eq!(
            excerpt("äöü<", 2),
            "äö<em class=\"more\"> … 2 more characters</em>"
        );
    }
}
