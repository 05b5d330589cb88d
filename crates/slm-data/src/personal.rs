//! Personal data in texts: found by shape, by check digits where a kind has them, and by lists of words.

mod checksums;
mod national;
mod pseudonym;
mod redaction;
mod secrets;
mod value;
mod words;

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use self::checksums::{digits, luhn, mod_97};
use self::national::{NUMBERS, national_id};
pub(crate) use self::pseudonym::PseudonymKey;
pub(crate) use self::redaction::{Placeholders, Places, Substitute};
use self::secrets::{has_secret, is_key};
pub(crate) use self::words::WordList;

/// A kind of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonalKind {
    /// An address of electronic mail.
    Email,
    /// A web address with a password, key or token in it.
    SecretUrl,
    /// A key to a service, told by its shape or by its randomness beside a word such as `password`.
    Secret,
    /// An international bank account number.
    Iban,
    /// The number of a payment card.
    Card,
    /// The number that a state gives to a person.
    NationalId,
    /// The number of a telephone.
    Phone,
    /// The address of a network card.
    Mac,
    /// An address of the internet, version 4 or 6.
    Ip,
    /// A name of `data.clean.personal.names`.
    Name,
    /// An address, or a part of one, of `data.clean.personal.addresses`.
    Address,
}

impl PersonalKind {
    /// As placeholders and reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "EMAIL",
            Self::SecretUrl => "URL",
            Self::Secret => "SECRET",
            Self::Iban => "IBAN",
            Self::Card => "CARD",
            Self::NationalId => "ID",
            Self::Phone => "PHONE",
            Self::Mac => "MAC",
            Self::Ip => "IP",
            Self::Name => "NAME",
            Self::Address => "ADDRESS",
        }
    }
}

/// A place of a text with personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personal {
    /// What it is.
    pub kind: PersonalKind,
    /// Its bytes.
    pub range: Range<usize>,
}

/// What else has to hold of a place in a text.
type Holds = fn(&str, Range<usize>) -> bool;

/// A shape, and what else has to hold: given the whole text and the place.
struct Shape {
    kind: PersonalKind,
    pattern: Regex,
    holds: Holds,
}

/// Earlier shapes win where places overlap.
static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let shapes: [(PersonalKind, &str, Holds); 9] = [
        (
            PersonalKind::SecretUrl,
            r#"\b[a-z][a-z0-9+.-]*://[^\s"'<>]+"#,
            |text, at| has_secret(&text[at]),
        ),
        (
            PersonalKind::Email,
            r"\b[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b",
            |text, at| !text[at.clone()].contains("..") && !inside_url(text, at.start),
        ),
        (PersonalKind::Secret, r"[A-Za-z0-9_+/.-]{16,}={0,2}", is_key),
        (
            PersonalKind::Mac,
            r"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b",
            |text, at| alone(text, &at, ":-"),
        ),
        (
            PersonalKind::Iban,
            r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
            |text, at| is_iban(&text[at]),
        ),
        (
            PersonalKind::Ip,
            r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b",
            |text, at| {
                alone(text, &at, ".")
                    && !follows_word(text, at.start, &["version", "release", "v", "section", "§"])
                    && text[at]
                        .parse::<std::net::Ipv4Addr>()
                        .is_ok_and(|ip| !ip.is_unspecified())
            },
        ),
        (
            PersonalKind::Ip,
            r"(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}",
            |text, at| alone(text, &at, ":.") && is_ipv6(&text[at]),
        ),
        (
            PersonalKind::Card,
            r"\b[2-6][0-9]{3}(?:[ -]?[0-9]{2,6}){2,4}\b",
            |text, at| alone(text, &at, "-.,") && is_card(&text[at]),
        ),
        (
            PersonalKind::Phone,
            r"(?:\+|\(|\b)[0-9](?:[ ()./-]{0,2}[0-9]){6,14}\b",
            is_phone,
        ),
    ];
    let ids = NUMBERS.map(|pattern| (PersonalKind::NationalId, pattern, national_id as Holds));
    let (first, last) = shapes.split_at(7);
    let shapes = first.iter().chain(&ids).chain(last).copied();
    let compiled = shapes.filter_map(|(kind, pattern, holds)| {
        let pattern = Regex::new(pattern).ok()?;
        Some(Shape {
            kind,
            pattern,
            holds,
        })
    });
    compiled.collect()
});

/// All personal data of a text that its shape tells, in order; no two overlap.
pub fn personal_data(text: &str) -> Vec<Personal> {
    let mut found: Vec<Personal> = Vec::new();
    for shape in SHAPES.iter() {
        let mut from = 0;
        while let Some(place) = shape.pattern.find_at(text, from) {
            let mut at = place.range();
            // A sentence's full stop is none of it.
            let said = text[at.clone()].trim_end_matches(['.', ',', ';', ':', ')', '-', ' ']);
            if shape.kind != PersonalKind::Ip {
                at.end = at.start + said.len();
            }
            let free = found
                .iter()
                .all(|it| at.end <= it.range.start || at.start >= it.range.end);
            if !at.is_empty() && free && (shape.holds)(text, at.clone()) {
                from = at.end;
                found.push(Personal {
                    kind: shape.kind,
                    range: at,
                });
            } else {
                // What begins a little later may be it.
                let next = text[place.start()..].char_indices().nth(1);
                from = next.map_or(text.len(), |(length, _)| place.start() + length);
            }
        }
    }
    found.sort_by_key(|it| it.range.start);
    found
}

/// What has a shape, and what a list has where no shape is.
pub(crate) fn personal_data_and(text: &str, list: &WordList) -> Vec<Personal> {
    let mut found = personal_data(text);
    let free = |place: &Personal| {
        let after = found.partition_point(|other| other.range.end <= place.range.start);
        found
            .get(after)
            .is_none_or(|other| other.range.start >= place.range.end)
    };
    let listed: Vec<Personal> = list.places(text).into_iter().filter(free).collect();
    found.extend(listed);
    found.sort_by_key(|it| it.range.start);
    found
}

/// Whether nothing goes on before or after a place: no letter, digit, or one of these characters with one behind it.
fn alone(text: &str, at: &Range<usize>, joined_by: &str) -> bool {
    let mut before = text[..at.start].chars().rev();
    let mut after = text[at.end..].chars();
    let goes_on = |side: &mut dyn Iterator<Item = char>| match side.next() {
        Some(c) if c.is_alphanumeric() || c == '_' => true,
        // Two numbers may stand beside each other, a number and a word always do.
        Some(' ') if joined_by.contains(' ') => side.next().is_some_and(|c| c.is_ascii_digit()),
        Some(c) if joined_by.contains(c) => side.next().is_some_and(char::is_alphanumeric),
        _ => false,
    };
    !goes_on(&mut before) && !goes_on(&mut after)
}

/// Whether one of these words stands in the 40 bytes before a place.
fn follows_word(text: &str, at: usize, words: &[&str]) -> bool {
    let mut from = at.saturating_sub(40);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let before = text[from..at].to_lowercase();
    let mut said = before.split(|c: char| !c.is_alphanumeric() && c != '§');
    said.any(|word| words.contains(&word))
}

fn inside_url(text: &str, at: usize) -> bool {
    let word = text[..at].rsplit(char::is_whitespace).next();
    word.is_some_and(|word| word.contains("://"))
}

fn is_ipv6(text: &str) -> bool {
    // `::` alone, and times such as 10:20:30, are written like one.
    text.len() >= 6 && text.parse::<std::net::Ipv6Addr>().is_ok()
}

/// Length by country (SWIFT's IBAN registry, release 97) and MOD 97-10 (ISO 13616).
fn is_iban(text: &str) -> bool {
    const LENGTHS: [(&str, usize); 36] = [
        ("AD", 24),
        ("AE", 23),
        ("AT", 20),
        ("BE", 16),
        ("BG", 22),
        ("BR", 29),
        ("CH", 21),
        ("CY", 28),
        ("CZ", 24),
        ("DE", 22),
        ("DK", 18),
        ("EE", 20),
        ("ES", 24),
        ("FI", 18),
        ("FR", 27),
        ("GB", 22),
        ("GR", 27),
        ("HR", 21),
        ("HU", 28),
        ("IE", 22),
        ("IL", 23),
        ("IS", 26),
        ("IT", 27),
        ("LI", 21),
        ("LT", 20),
        ("LU", 20),
        ("LV", 21),
        ("MC", 27),
        ("MT", 31),
        ("NL", 18),
        ("NO", 15),
        ("PL", 28),
        ("PT", 25),
        ("SE", 24),
        ("SI", 19),
        ("TR", 26),
    ];
    let plain: String = text.chars().filter(|c| *c != ' ').collect();
    let known = LENGTHS
        .iter()
        .find(|(country, _)| plain.starts_with(country));
    known.is_some_and(|(_, length)| *length == plain.len())
        && mod_97(plain[4..].chars().chain(plain[..4].chars())) == Some(1)
}

/// 13 to 19 digits (ISO/IEC 7812-1), grouped as on cards if at all, with Luhn's check digit, not all the same.
fn is_card(text: &str) -> bool {
    let digits = digits(text);
    let groups: Vec<usize> = text.split([' ', '-']).map(str::len).collect();
    (13..=19).contains(&digits.len())
        && matches!(
            groups[..],
            [_] | [4, 4, 4, 4] | [4, 4, 4, 4, 3] | [4, 6, 4 | 5]
        )
        && digits.iter().any(|digit| *digit != digits[1])
        && luhn(&digits)
}

/// With its country's code (ITU-T E.164: at most 15 digits), in groups as in North America, in groups after a trunk prefix 0, or
/// behind a word that says so.
fn is_phone(text: &str, at: Range<usize>) -> bool {
    const WORDS: [&str; 13] = [
        "phone",
        "tel",
        "telephone",
        "mobile",
        "cell",
        "call",
        "fax",
        "whatsapp",
        "sms",
        "telefon",
        "handy",
        "tél",
        "teléfono",
    ];
    let said = &text[at.clone()];
    let groups: Vec<&str> = said
        .split(|c: char| !c.is_ascii_digit())
        .filter(|group| !group.is_empty())
        .collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let count: usize = lengths.iter().sum();
    let closed = said.matches('(').count() == said.matches(')').count();
    // The groups of a social security number and of dates.
    let others = matches!(
        lengths[..],
        [3, 2, 4] | [4, 1..=2, 1..=2] | [1..=2, 1..=2, 4] | [2, 2, 2]
    );
    if !closed || others || !alone(text, &at, "-/.: ") {
        return false;
    }
    if said.starts_with('+') {
        return (8..=15).contains(&count);
    }
    // The North American Numbering Plan: area codes and exchanges begin with 2 to 9.
    let american = lengths == [3, 3, 4]
        && groups[..2]
            .iter()
            .all(|group| !group.starts_with(['0', '1']));
    let prefixed = groups[0].starts_with('0') && groups[0].len() > 1;
    let national = prefixed && (2..=5).contains(&groups.len()) && count >= 9;
    let named = (7..=15).contains(&count) && !said.contains(['/', '(']);
    american || national || (named && follows_word(text, at.start, &WORDS))
}
