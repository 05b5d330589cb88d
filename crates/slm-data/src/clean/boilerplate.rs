//! Lines that nobody wrote for the reader, by rules that each name their source.
//!
//! A text of one line stays, and so does one that would be empty, and everything between code fences. Short lines without a
//! punctuation mark (jusText, Pomikálek 2011; C4, Raffel et al. 2020, section 2.2) are as often headings, list items and verse
//! in rows of instructions, so what a line says decides, not its shape.

mod rule;

use std::collections::BTreeSet;

use self::rule::{Rule, is_copyright, is_disclaimer, is_entry};
use super::{CleanRecord, CleanStep};
use crate::content::Where;
use crate::example::Example;

/// Lines of a text, from its end, among which a footer stands.
const FOOTER_LINES: usize = 5;
/// Words of a footer at most.
const FOOTER_WORDS: usize = 25;
/// Lines of a signature at most (four by RFC 3676; companies need more).
const SIGNATURE_LINES: usize = 8;
/// Entries of a menu in a row at least.
const MENU_ENTRIES: usize = 3;

/// A text without its boilerplate, and what that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stripped {
    pub(super) text: String,
    pub(super) rules: BTreeSet<Rule>,
}

/// Takes boilerplate out of what a row says, and gives the record of that; none where it has none.
pub(super) fn strip(row: &mut Example) -> Option<CleanRecord> {
    let before = row.clone();
    let mut rules = BTreeSet::new();
    let changed = row.content.edit(&mut |text, at| {
        // What a tool is called with is no page.
        let stripped = without_boilerplate(text).filter(|_| at == Where::Said)?;
        rules.extend(stripped.rules);
        Some(stripped.text)
    });
    changed.then(|| CleanRecord {
        reasons: rules
            .into_iter()
            .map(|rule| rule.name().to_owned())
            .collect(),
        ..CleanRecord::changed(&before, row, CleanStep::Boilerplate)
    })
}

/// A text without boilerplate; none where it has none, or nothing else.
pub(super) fn without_boilerplate(text: &str) -> Option<Stripped> {
    if !text.contains('\n') {
        return None;
    }
    let mut lines = Lines::of(text);
    lines.menus();
    lines.signature();
    lines.footer();
    lines.disclaimer();
    lines.stripped()
}

/// The lines of a text, and what each of them is.
struct Lines<'a> {
    lines: Vec<&'a str>,
    /// The rule by which a line goes.
    gone: Vec<Option<Rule>>,
    /// Whether a line is within a code fence, or one.
    code: Vec<bool>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let lines: Vec<&str> = text.split('\n').collect();
        let mut inside = false;
        let code: Vec<bool> = lines
            .iter()
            .map(|line| {
                let fence = line.trim_start().starts_with("```");
                inside ^= fence;
                inside || fence
            })
            .collect();
        let whole = |(line, code): (&&str, &bool)| {
            let line = Some(line.trim()).filter(|line| !line.is_empty() && !code)?;
            Rule::of_line(line)
        };
        let gone = lines.iter().zip(&code).map(whole).collect();
        Self { lines, gone, code }
    }

    /// Places of the lines that have something and are still there.
    fn left(&self) -> Vec<usize> {
        let is_left = |at: &usize| self.gone[*at].is_none() && !self.lines[*at].trim().is_empty();
        (0..self.lines.len()).filter(is_left).collect()
    }

    /// Entries of a menu one below the other, or beside each other.
    fn menus(&mut self) {
        let left = self.left();
        let is_one = |at: &usize| is_entry(self.lines[*at]) && !self.code[*at];
        let runs = left.chunk_by(|one, other| is_one(one) == is_one(other));
        let menus = runs.filter(|run| run.len() >= MENU_ENTRIES && is_one(&run[0]));
        let below: Vec<usize> = menus.flatten().copied().collect();
        let beside = left
            .into_iter()
            .filter(|at| !self.code[*at] && is_menu(self.lines[*at]));
        let all: Vec<usize> = beside.chain(below).collect();
        all.into_iter()
            .for_each(|at| self.gone[at] = Some(Rule::Navigation));
    }

    /// Everything behind the last separator, if that is short.
    fn signature(&mut self) {
        let separator = |line: &&str| line.trim_end_matches('\r') == "-- ";
        let Some(at) = self.lines.iter().rposition(separator) else {
            return;
        };
        let left = self.left();
        let behind = left.iter().filter(|line| **line > at).count();
        if !self.code[at] && left.iter().any(|line| *line < at) && behind <= SIGNATURE_LINES {
            self.gone[at..].fill(Some(Rule::Signature));
        }
    }

    fn footer(&mut self) {
        for at in self.left().into_iter().rev().take(FOOTER_LINES) {
            let line = self.lines[at].trim();
            let short = line.split_whitespace().count() <= FOOTER_WORDS;
            if short && !self.code[at] && is_copyright(line) {
                self.gone[at] = Some(Rule::Footer);
            }
        }
    }

    /// The last paragraph, if another is before it.
    fn disclaimer(&mut self) {
        let left = self.left();
        let Some(last) = left.last().copied() else {
            return;
        };
        let first = (0..last).rev().find(|at| self.lines[*at].trim().is_empty());
        let Some(first) = first.map(|blank| blank + 1) else {
            return;
        };
        let paragraph: Vec<&str> = self.lines[first..=last]
            .iter()
            .map(|line| line.trim())
            .collect();
        let is_one = is_disclaimer(&paragraph.join(" "));
        if is_one && !self.code[last] && left[0] < first {
            self.gone[first..=last].fill(Some(Rule::Disclaimer));
        }
    }

    /// What is left, with no more empty lines where something went than were there before.
    fn stripped(self) -> Option<Stripped> {
        let rules: BTreeSet<Rule> = self.gone.iter().flatten().copied().collect();
        if rules.is_empty() || self.left().is_empty() {
            return None;
        }
        let mut kept: Vec<&str> = Vec::with_capacity(self.lines.len());
        let mut after_gone = false;
        for (line, gone) in self.lines.iter().zip(&self.gone) {
            let is_blank = line.trim().is_empty();
            let doubled = kept.last().is_none_or(|last| last.trim().is_empty());
            match gone {
                Some(_) => after_gone = true,
                None if is_blank && after_gone && doubled => {}
                None => {
                    after_gone &= is_blank;
                    kept.push(line);
                }
            }
        }
        if after_gone {
            let end = kept.iter().rposition(|line| !line.trim().is_empty());
            kept.truncate(end.map_or(0, |end| end + 1));
        }
        Some(Stripped {
            text: kept.join("\n"),
            rules,
        })
    }
}

/// Whether a line has entries of a menu, with marks between them.
fn is_menu(line: &str) -> bool {
    let entries: Vec<&str> = line.split(['|', '·', '•', '»']).collect();
    entries.len() >= MENU_ENTRIES && entries.iter().all(|entry| is_entry(entry))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stripped(text: &str) -> Option<(String, Vec<&'static str>)> {
        let stripped = without_boilerplate(text)?;
        let rules = stripped.rules.into_iter().map(Rule::name);
        Some((stripped.text, rules.collect()))
    }

    #[test]
    fn what_nobody_wrote_for_the_reader_goes() {
        for (text, left, rule) in [
            (
                "This website uses cookies to improve your experience.\nAccept all cookies\nCookie settings\n\nThe bridge opens in May.\nIt took six years.",
                "The bridge opens in May.\nIt took six years.",
                "cookie notice",
            ),
            (
                "Alle akzeptieren\nDie Brücke öffnet im Mai.",
                "Die Brücke öffnet im Mai.",
                "cookie notice",
            ),
            (
                "The bridge opens in May.\n\nShare on Facebook\nTweet this on Twitter\n1,204 likes\n\nIt took six years.",
                "The bridge opens in May.\n\nIt took six years.",
                "links to share",
            ),
            (
                "Skip to main content\nHome\nAbout us\n\nContact\nThe bridge opens in May.",
                "The bridge opens in May.",
                "navigation",
            ),
            (
                "The bridge opens in May.\nHome | Privacy policy | Sitemap\n",
                "The bridge opens in May.",
                "navigation",
            ),
            (
                "The bridge opens in May.\r\n\r\n© 2024 The Daily Bridge. All rights reserved.\r\n",
                "The bridge opens in May.\r",
                "footer",
            ),
            (
                "See you on Monday.\n\nSent from my iPhone",
                "See you on Monday.",
                "mail client",
            ),
            (
                "See you on Monday.\n-- \nA. Person\nExample Ltd.\n+49 30 1234",
                "See you on Monday.",
                "signature",
            ),
            (
                "See you on Monday.\n\nThis e-mail and its attachments are confidential and\nintended solely for the person that they are addressed to.",
                "See you on Monday.",
                "mail disclaimer",
            ),
        ] {
            assert_eq!(
                stripped(text),
                Some((left.to_owned(), vec![rule])),
                "{text}"
            );
        }
    }

    #[test]
    fn what_may_be_meant_stays() {
        for text in [
            "Accept all cookies",
            "Accept all cookies\nCookie settings",
            "Which year was it?\n(a) 2019\n(b) 2021\n(c) 2020",
            "1. Share on Facebook\n2. Sign in\n3. Share on X",
            "- Home\n- About\n- Contact\n- Blog",
            "Write a slogan:\nHome\nAbout",
            "```\nHome\nAbout\nContact\nCopyright 2020 A\n```\nThat is the menu.",
            "We use cookies as a snack.\nThey are sweet.",
            "Websites use cookies to know you again.\nWe use cookies in this recipe with chocolate.",
            "Copyright 2019 The Authors.\na\nb\nc\nd\ne",
            "# Copyright 2019 The Authors.\ndef f():\n    return 1",
            "first\n--\nsecond",
            "first\n-- \n1\n2\n3\n4\n5\n6\n7\n8\n9",
            "This e-mail is confidential and intended for you only.\n",
            "a\n\n\n\nb\n\n",
        ] {
            assert_eq!(stripped(text), None, "{text}");
        }
    }

    proptest! {
        /// Lines stay as they are and in their order, and none comes to a text.
        #[test]
        fn only_whole_lines_go(picked in proptest::collection::vec(0..12_usize, 0..20)) {
            let lines = [
                "", " ", "A line.", "Home", "Contact", "News", "Share this", "Sent from my iPad", "-- ", "```", "© 2020 A", "Another\r",
            ];
            let text = picked.iter().map(|at| lines[*at]).collect::<Vec<_>>().join("\n");
            if let Some(stripped) = without_boilerplate(&text) {
                let mut before = text.split('\n');
                for line in stripped.text.split('\n') {
                    prop_assert!(before.any(|other| other == line), "{:?} is not in {:?}", line, text);
                }
                prop_assert!(stripped.text.len() < text.len());
                prop_assert!(!stripped.text.trim().is_empty());
            }
        }
    }
}
