//! The template language, and the scene in which a template is expanded.
//!
//! - `[a|b|]` one of the alternatives, nested as deep as one likes; an alternative may be empty
//! - `<a|b|c>` all of the clauses, in a random order
//! - `{slot}` a word or rule of the lexicon; within one scene a word keeps its value
//! - `{slot.2}` another value of the same slot, different from `{slot}`

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::rng::{Rng, stable_hash};

/// Which half of the material a text may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    Train,
    Test,
}

impl Split {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "test",
        }
    }
}

/// What stands behind a slot's name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A template, expanded anew each time.
    Rule(&'static str),
    /// `"a, b, c / x, y"`: words for training, then words held out for the test; without `/` both splits share them.
    Words(&'static str),
    /// `"RO-#####|@@-###"`: alternatives with `#` a digit and `@` a capital letter.
    Code(&'static str),
    /// A whole number from the first to the second.
    Number(usize, usize),
    /// Dollars from the first to the second, with or without cents.
    Money(usize, usize),
    Date,
    Time,
    /// First and last name.
    Person,
}

/// Slots by name.
pub(crate) type Slots = &'static [(&'static str, Kind)];

const MONTHS: &str =
    "January,February,March,April,May,June,July,August,September,October,November,December";
/// Of the generated values (codes, numbers, dates), one in this many belongs to the test alone.
const HELD_OUT_ONE_IN: u64 = 4;
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
            let value = self.draw(kind);
            let fits = !is_generated(kind) || is_held_out(&value) == (self.split == Split::Test);
            if fits && !self.is_taken(name, &value) {
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

    fn draw(&mut self, kind: Kind) -> String {
        match kind {
            Kind::Rule(body) => body.to_owned(),
            Kind::Words(words) => (*self.rng.pick(&words_of(words, self.split))).to_owned(),
            Kind::Code(patterns) => self.code(patterns),
            Kind::Number(low, high) => self.rng.between(low, high).to_string(),
            Kind::Money(low, high) => {
                let dollars = self.rng.between(low, high);
                match self.rng.below(2) {
                    0 => format!("${dollars}"),
                    _ => format!("${dollars}.{:02}", self.rng.below(100)),
                }
            }
            Kind::Date => self.date(),
            Kind::Time => {
                let minutes = *self
                    .rng
                    .pick(&["00", "05", "10", "15", "20", "30", "40", "45", "50"]);
                match self.rng.below(3) {
                    0 => format!(
                        "{} {}",
                        self.rng.between(1, 12),
                        self.rng.pick(&["am", "pm"])
                    ),
                    _ => format!("{}:{minutes}", self.rng.between(6, 22)),
                }
            }
            Kind::Person => {
                let first = *self.rng.pick(&words_of(FIRST_NAMES, self.split));
                let last = *self.rng.pick(&words_of(LAST_NAMES, self.split));
                format!("{first} {last}")
            }
        }
    }

    fn code(&mut self, patterns: &str) -> String {
        let patterns: Vec<&str> = patterns.split('|').collect();
        let pattern = *self.rng.pick(&patterns);
        // No 0, O, 1 or I: readers of codes mix them up.
        let letters = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
        pattern
            .chars()
            .map(|mark| match mark {
                '#' => char::from(b'0' + self.rng.below(10) as u8),
                '@' => char::from(*self.rng.pick(letters)),
                other => other,
            })
            .collect()
    }

    fn date(&mut self) -> String {
        let months: Vec<&str> = MONTHS.split(',').collect();
        let number = self.rng.below(12);
        let (month, day, year) = (
            months[number],
            self.rng.between(1, 28),
            self.rng.between(2024, 2028),
        );
        match self.rng.below(4) {
            0 => format!("{day} {month}"),
            1 => format!("{month} {day}"),
            2 => format!("{day} {month} {year}"),
            _ => format!("{year}-{:02}-{day:02}", number + 1),
        }
    }
}

/// Invented people; after the `/` those of the test.
const FIRST_NAMES: &str = "Mara, Tobin, Elise, Jonas, Priya, Owen, Lena, Marcus, Noor, Felix, Greta, Ivan, Rosa, Samir, \
    Tess, Victor, Wanda, Yusuf, Carla, Dario, Edith, Hugo, Nina, Paolo, Ruth, Simon, Alma, Bruno, Kira, Leon, Mina, Oscar, \
    Amara, Colin, Daphne, Emil, Farah, Gavin, Helen, Igor / Imogen, Rafael, Sunita, Theo, Bridget, Kenji, Olga, Walter, \
    Zara, Anton, Celia, Dmitri";
const LAST_NAMES: &str = "Oakfield, Brennick, Castellan, Dunmore, Eastley, Farrow, Grimwald, Hartwell, Ingleby, Jarrold, \
    Kestrel, Lindqvist, Marlowe, Norwick, Ormond, Pellman, Quillan, Rosedale, Stanwick, Thornby, Underhay, Vandermeer, \
    Westcott, Yardley, Abara, Bellini, Corbray, Delacour, Emsworth, Fontane, Garrick, Holmgren, Joshi, Kowal, Mbeki \
    / Zimmerlin, Ashdown, Blackmere, Okonjo, Petrosyan, Sandoval, Tremayne, Wolfhart, Castwell, Harrowgate, Nakata, Rookwood";

/// The entries of a word list that `split` may use.
pub(crate) fn words_of(list: &'static str, split: Split) -> Vec<&'static str> {
    let half = match (list.split_once(" / "), split) {
        (Some((train, _)), Split::Train) => train,
        (Some((_, test)), Split::Test) => test,
        (None, _) => list,
    };
    half.split(',').map(str::trim).collect()
}

fn is_generated(kind: Kind) -> bool {
    !matches!(kind, Kind::Rule(_) | Kind::Words(_) | Kind::Person)
}

/// Whether a generated value belongs to the test. A date counts without its year, so that `3 May` in one split and
/// `3 May 2026` in the other cannot be.
fn is_held_out(value: &str) -> bool {
    let year = value.len().checked_sub(5).and_then(|at| value.get(at..));
    let dated = year.is_some_and(|year| year.starts_with(" 20"));
    let key = if dated {
        &value[..value.len() - 5]
    } else {
        value
    };
    stable_hash(key)
        .rotate_right(17)
        .is_multiple_of(HELD_OUT_ONE_IN)
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
