//! The template language, and the scene in which a template is expanded.
//!
//! - `[a|b|]` one of the alternatives, nested as deep as one likes; an alternative may be empty
//! - `<a|b|c>` all of the clauses, in a random order
//! - `{slot}` a word or rule of the lexicon; within one scene a word keeps its value
//! - `{slot.2}` another value of the same slot, different from `{slot}`

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::rng::Rng;
use crate::words::{Kind, Slots, Split};

/// Draws until a value fits; a slot that needs more has too few values.
const MAX_DRAWS: usize = 2_000;

/// One text's worth of values: slots bound so far, and where new ones come from.
pub(crate) struct Scene<'a> {
    pub(crate) rng: &'a mut Rng,
    pub(crate) split: Split,
    lexicons: &'a [Slots],
    bound: BTreeMap<String, String>,
}

impl<'a> Scene<'a> {
    /// A scene with nothing bound; the first lexicon that has a slot wins.
    pub(crate) fn new(rng: &'a mut Rng, split: Split, lexicons: &'a [Slots]) -> Self {
        Scene {
            rng,
            split,
            lexicons,
            bound: BTreeMap::new(),
        }
    }

    /// Expands `template` and tidies spaces, articles and capitals.
    pub(crate) fn text(&mut self, template: &str) -> Result<String> {
        Ok(tidy(&self.expand(template)?))
    }

    /// Expands `template` as it stands.
    pub(crate) fn expand(&mut self, template: &str) -> Result<String> {
        let mut out = String::new();
        let mut rest = template;
        while let Some(at) = rest.find(['{', '[', '<']) {
            out.push_str(&rest[..at]);
            let (inner, after) =
                bracketed(&rest[at..]).with_context(|| format!("in template `{template}`"))?;
            match rest.as_bytes()[at] {
                b'{' => out.push_str(&self.value(inner)?),
                b'[' => {
                    let choices = alternatives(inner);
                    let choice = *self.rng.pick(&choices);
                    out.push_str(&self.expand(choice)?);
                }
                _ => {
                    let mut clauses = alternatives(inner);
                    self.rng.shuffle(&mut clauses);
                    out.push_str(&self.expand(&clauses.join(" "))?);
                }
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The value of `slot` in this scene, drawn where it is not bound yet.
    pub(crate) fn value(&mut self, slot: &str) -> Result<String> {
        if let Some(value) = self.bound.get(slot) {
            return Ok(value.clone());
        }
        let name = slot.split('.').next().unwrap_or(slot);
        let kind = self
            .lexicons
            .iter()
            .flat_map(|slots| slots.iter())
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
            .with_context(|| format!("no slot `{name}`"))?;
        if let Kind::Rule(body) = kind {
            return self.expand(body);
        }
        for _ in 0..MAX_DRAWS {
            let value = kind.draw(self.rng, self.split);
            if let Some(value) = value.filter(|value| !self.is_taken(name, value)) {
                self.bound.insert(slot.to_owned(), value.clone());
                return Ok(value);
            }
        }
        bail!("slot `{slot}` has too few values");
    }

    fn is_taken(&self, name: &str, value: &str) -> bool {
        let same_slot = |slot: &str| slot.split('.').next() == Some(name);
        self.bound
            .iter()
            .any(|(slot, bound)| same_slot(slot) && bound == value)
    }
}

/// The inside of the bracket that `text` opens with, and what follows it.
fn bracketed(text: &str) -> Result<(&str, &str)> {
    let mut depth = 0usize;
    for (at, mark) in text.char_indices() {
        match mark {
            '{' | '[' | '<' => depth += 1,
            '}' | ']' | '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok((&text[1..at], &text[at + mark.len_utf8()..]));
        }
    }
    bail!("a bracket is not closed");
}

/// `a|[b|c]|d` cut at its outer bars.
fn alternatives(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0usize, 0);
    for (at, mark) in text.char_indices() {
        match mark {
            '{' | '[' | '<' => depth += 1,
            '}' | ']' | '>' => depth -= 1,
            '|' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// One space between words, none before punctuation, `an` before a vowel, a capital after a full stop.
pub(crate) fn tidy(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut out = String::with_capacity(text.len());
    let mut sentence_starts = true;
    for (at, &word) in words.iter().enumerate() {
        let closes = word.starts_with([',', '.', '?', '!', ';', ':']);
        if !out.is_empty() && !closes {
            out.push(' ');
        }
        let before_vowel = words
            .get(at + 1)
            .is_some_and(|next| sounds_like_vowel(next));
        let word = match word {
            "a" if before_vowel => "an",
            "A" if before_vowel => "An",
            word => word,
        };
        if sentence_starts {
            out.push_str(&capitalised(word));
        } else {
            out.push_str(word);
        }
        sentence_starts = word.ends_with(['.', '?', '!']);
    }
    out
}

fn sounds_like_vowel(word: &str) -> bool {
    let lower = word.to_lowercase();
    let consonant = ["uni", "use", "eu", "one", "usu"];
    lower.starts_with(['a', 'e', 'i', 'o', 'u'])
        && !consonant.iter().any(|start| lower.starts_with(start))
        || lower.starts_with("hour")
}

/// `word` with its first letter large.
pub(crate) fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOTS: Slots = &[
        ("pet", Kind::Words("cat, dog / fox")),
        ("code", Kind::Code("A-##")),
        ("both", Kind::Rule("{pet} and {pet.2}")),
    ];

    fn texts(split: Split, template: &str) -> Vec<String> {
        let mut rng = Rng::of(&["grammar"]);
        (0..60)
            .map(|_| {
                Scene::new(&mut rng, split, &[SLOTS])
                    .text(template)
                    .unwrap()
            })
            .collect()
    }

    #[test]
    fn alternatives_nest_and_clauses_change_places() {
        let all = texts(Split::Train, "[a [b|c]|] <x,|y,> z");
        for expected in ["A b x, y, z", "A c y, x, z", "X, y, z"] {
            assert!(all.iter().any(|text| text == expected), "{expected}");
        }
    }

    #[test]
    fn a_slot_keeps_its_value_and_a_second_one_differs() {
        for text in texts(Split::Train, "see {pet}: {both}") {
            assert!(
                text == "See cat: cat and dog" || text == "See dog: dog and cat",
                "{text}"
            );
        }
    }

    #[test]
    fn the_splits_share_no_value() {
        assert!(texts(Split::Test, "{pet}").iter().all(|text| text == "Fox"));
        let train = texts(Split::Train, "{code}");
        assert!(
            texts(Split::Test, "{code}")
                .iter()
                .all(|code| !train.contains(code))
        );
    }

    #[test]
    fn tidy_mends_spaces_articles_and_capitals() {
        assert_eq!(
            tidy("a  apple , and a unit . so it is"),
            "An apple, and a unit. So it is"
        );
    }

    #[test]
    fn mistakes_in_templates_are_errors() {
        let mut rng = Rng::of(&["grammar"]);
        let mut scene = Scene::new(&mut rng, Split::Train, &[SLOTS]);
        assert!(scene.text("{nothing}").is_err());
        assert!(scene.text("[open").is_err());
        assert!(scene.text("{pet} {pet.2} {pet.3}").is_err());
    }
}
