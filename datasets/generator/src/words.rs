//! What a slot may stand for, and which of it belongs to the test alone.

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
    /// A name that means nothing, such as `Torvela`.
    Coined,
}

/// Slots by name.
pub(crate) type Slots = &'static [(&'static str, Kind)];

/// Of the generated values (codes, numbers, dates), one in this many belongs to the test alone.
const HELD_OUT_ONE_IN: u64 = 4;
/// Without O and I, which look like digits.
const CODE_LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Invented people; after the `/` those of the test.
pub(crate) const FIRST_NAMES: &str = "Mara, Tobin, Elise, Jonas, Priya, Owen, Lena, Marcus, Noor, Felix, Greta, Ivan, Rosa, Samir, \
    Tess, Victor, Wanda, Yusuf, Carla, Dario, Edith, Hugo, Nina, Paolo, Ruth, Simon, Alma, Bruno, Kira, Leon, Mina, Oscar, \
    Amara, Colin, Daphne, Emil, Farah, Gavin, Helen, Igor / Imogen, Rafael, Sunita, Theo, Bridget, Kenji, Olga, Walter, \
    Zara, Anton, Celia, Dmitri";
const LAST_NAMES: &str = "Oakfield, Brennick, Castellan, Dunmore, Eastley, Farrow, Grimwald, Hartwell, Ingleby, Jarrold, \
    Kestrel, Lindqvist, Marlowe, Norwick, Ormond, Pellman, Quillan, Rosedale, Stanwick, Thornby, Underhay, Vandermeer, \
    Westcott, Yardley, Abara, Bellini, Corbray, Delacour, Emsworth, Fontane, Garrick, Holmgren, Joshi, Kowal, Mbeki \
    / Zimmerlin, Ashdown, Blackmere, Okonjo, Petrosyan, Sandoval, Tremayne, Wolfhart, Castwell, Harrowgate, Nakata, Rookwood";

impl Kind {
    /// A value, or `None` where the drawn one belongs to the other split. A rule stands for itself.
    pub(crate) fn draw(self, rng: &mut Rng, split: Split) -> Option<String> {
        let value = match self {
            Kind::Rule(body) => return Some(body.to_owned()),
            Kind::Words(list) => return Some(word(list, rng, split)),
            Kind::Person => {
                return Some(format!(
                    "{} {}",
                    word(FIRST_NAMES, rng, split),
                    word(LAST_NAMES, rng, split)
                ));
            }
            Kind::Code(patterns) => code(patterns, rng),
            Kind::Number(low, high) => rng.between(low, high).to_string(),
            Kind::Money(low, high) => money(low, high, rng),
            Kind::Date => date(rng),
            Kind::Time => time(rng),
            Kind::Coined => coined(rng),
        };
        (is_held_out(&value) == (split == Split::Test)).then_some(value)
    }
}

/// The entries of a word list that `split` may use.
pub(crate) fn words_of(list: &'static str, split: Split) -> Vec<&'static str> {
    let half = match (list.split_once(" / "), split) {
        (Some((train, _)), Split::Train) => train,
        (Some((_, test)), Split::Test) => test,
        (None, _) => list,
    };
    half.split(',').map(str::trim).collect()
}

fn word(list: &'static str, rng: &mut Rng, split: Split) -> String {
    (*rng.pick(&words_of(list, split))).to_owned()
}

/// One of the patterns, separated by `|`, with digits and letters filled in.
pub(crate) fn code(patterns: &str, rng: &mut Rng) -> String {
    let patterns: Vec<&str> = patterns.split('|').collect();
    let pattern = *rng.pick(&patterns);
    let fill = |mark: char| match mark {
        '#' => char::from(b'0' + rng.below(10) as u8),
        '@' => char::from(*rng.pick(CODE_LETTERS)),
        other => other,
    };
    pattern.chars().map(fill).collect()
}

fn coined(rng: &mut Rng) -> String {
    let starts = [
        "Tor", "Bel", "Vin", "Qua", "Ros", "Zel", "Mor", "Lu", "Ka", "Fen", "Gro", "Hal", "Ix",
        "Jo", "Nar", "Pel", "Sy", "Wex", "Ur", "Da",
    ];
    let middles = [
        "ve", "lo", "di", "ran", "mi", "tu", "bor", "san", "ku", "fi", "gel", "", "", "",
    ];
    let ends = [
        "la", "ra", "dex", "mont", "ton", "via", "nix", "po", "sa", "met", "rin", "do", "kes",
        "zor", "lin", "ga",
    ];
    format!(
        "{}{}{}",
        rng.pick(&starts),
        rng.pick(&middles),
        rng.pick(&ends)
    )
}

fn money(low: usize, high: usize, rng: &mut Rng) -> String {
    let dollars = rng.between(low, high);
    match rng.below(2) {
        0 => format!("${dollars}"),
        _ => format!("${dollars}.{:02}", rng.below(100)),
    }
}

fn time(rng: &mut Rng) -> String {
    let minutes = [0, 5, 10, 15, 20, 30, 40, 45, 50];
    match rng.below(3) {
        0 => format!("{} {}", rng.between(1, 12), rng.pick(&["am", "pm"])),
        _ => format!("{}:{:02}", rng.between(6, 22), rng.pick(&minutes)),
    }
}

fn date(rng: &mut Rng) -> String {
    let (month, day, year) = (rng.below(12), rng.between(1, 28), rng.between(2024, 2028));
    let name = MONTHS[month];
    match rng.below(4) {
        0 => format!("{day} {name}"),
        1 => format!("{name} {day}"),
        2 => format!("{day} {name} {year}"),
        _ => format!("{year}-{:02}-{day:02}", month + 1),
    }
}

/// Whether a generated value belongs to the test. A date counts without its year, so that `3 May` in one split and
/// `3 May 2026` in the other cannot be.
fn is_held_out(value: &str) -> bool {
    let year_at = value.len().saturating_sub(5);
    let has_year = value
        .get(year_at..)
        .is_some_and(|year| year.starts_with(" 20"));
    let key = if has_year { &value[..year_at] } else { value };
    stable_hash(key)
        .rotate_right(17)
        .is_multiple_of(HELD_OUT_ONE_IN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_a_held_out_part_serves_both_splits() {
        assert_eq!(words_of("a, b / c", Split::Train), ["a", "b"]);
        assert_eq!(words_of("a, b / c", Split::Test), ["c"]);
        assert_eq!(words_of("a, b", Split::Test), ["a", "b"]);
    }

    #[test]
    fn a_code_follows_its_pattern() {
        let mut rng = Rng::of(&["words"]);
        for _ in 0..50 {
            let made = code("@#-##", &mut rng);
            let kinds: Vec<bool> = made.chars().map(|letter| letter.is_ascii_digit()).collect();
            assert_eq!(kinds, [false, true, false, true, true], "{made}");
        }
    }

    #[test]
    fn a_quarter_of_the_generated_values_is_held_out() {
        let held_out = (0..1_000)
            .filter(|n| is_held_out(&format!("RO-{n}")))
            .count();
        assert!((200..300).contains(&held_out), "{held_out}");
        assert_eq!(is_held_out("3 May"), is_held_out("3 May 2026"));
    }
}
