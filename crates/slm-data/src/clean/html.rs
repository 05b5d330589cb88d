use html5gum::{Error, Token, Tokenizer};

/// Elements that end a line (the block-level ones of the HTML standard's section 15.3, and `br`).
const BLOCKS: [&[u8]; 38] = [
    b"address",
    b"article",
    b"aside",
    b"blockquote",
    b"body",
    b"br",
    b"center",
    b"dd",
    b"details",
    b"dialog",
    b"div",
    b"dl",
    b"dt",
    b"fieldset",
    b"figcaption",
    b"figure",
    b"footer",
    b"form",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
    b"header",
    b"hr",
    b"html",
    b"legend",
    b"li",
    b"main",
    b"nav",
    b"ol",
    b"p",
    b"pre",
    b"section",
    b"table",
    b"tr",
    b"ul",
];
/// Elements whose content is nothing to read.
const HIDDEN: [&[u8]; 5] = [b"script", b"style", b"head", b"template", b"noscript"];

/// A text without tags, comments, scripts and styles, entities as characters; none where there is nothing of that in it. A `<` that
/// begins no tag, as in `a < b`, stays.
pub(super) fn without_tags(text: &str) -> Option<String> {
    if !text.contains(['<', '&']) {
        return None;
    }
    let mut plain = Vec::with_capacity(text.len());
    let (mut hidden, mut tags) = (Vec::<Vec<u8>>::new(), false);
    for Ok(token) in Tokenizer::new(text) {
        match token {
            Token::String(said) if hidden.is_empty() => plain.extend_from_slice(&said),
            Token::StartTag(tag) => {
                tags = true;
                if HIDDEN.contains(&tag.name.as_slice()) && !tag.self_closing {
                    hidden.push(tag.name.to_vec());
                }
                end_line(&mut plain, &tag.name);
            }
            Token::EndTag(tag) => {
                tags = true;
                if let Some(at) = hidden.iter().rposition(|name| **name == **tag.name) {
                    hidden.truncate(at);
                }
                end_line(&mut plain, &tag.name);
            }
            Token::Comment(_) | Token::Doctype(_) => tags = true,
            // A `<` whose tag never ends was none; reading on would lose the rest of the text.
            Token::Error(error) if *error == Error::EofInTag => return None,
            Token::String(_) | Token::Error(_) => {}
        }
    }
    let plain = String::from_utf8_lossy(&plain).into_owned();
    let plain = match tags {
        true => tidied(&plain),
        false => plain,
    };
    (plain != text).then_some(plain)
}

fn end_line(plain: &mut Vec<u8>, name: &[u8]) {
    if BLOCKS.contains(&name) && !plain.is_empty() {
        plain.push(b'\n');
    }
}

/// No blanks at the ends of lines and of the text, and no more than one empty line in a row.
fn tidied(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if !line.trim().is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_markup_stays() {
        for text in [
            "",
            "plain",
            "if a < b && c > d",
            "x <- 3",
            "AT&T",
            "1 <2 and 3> 2",
            "I <3 you",
        ] {
            assert_eq!(without_tags(text), None, "{text}");
        }
    }

    #[test]
    fn markup_goes() {
        for (html, plain) in [
            ("<b>bold</b> &amp; &lt;i&gt;", "bold & <i>"),
            ("<p>one</p><p>two<br>three</p>", "one\n\ntwo\nthree"),
            ("<script>let a = '<p>';</script>said<!-- not -->", "said"),
            ("<style>p { }</style><div class=\"a>b\">x</div>", "x"),
            ("caf&eacute; &#8364;", "café €"),
            ("<ul>\n<li>a</li>\n<li>b</li>\n</ul>", "a\n\nb"),
            ("<a href='x'>link</a>", "link"),
        ] {
            assert_eq!(without_tags(html).as_deref(), Some(plain), "{html}");
        }
    }
}
