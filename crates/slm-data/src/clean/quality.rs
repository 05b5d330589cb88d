//! Signs of texts that nobody wrote to be read, by the rules of Rae et al. (2021, "Gopher", appendix A.1.1).

use std::collections::HashMap;

use slm_recipe::OutlierSection;

/// Words below which shares say nothing: the shortest document that they keep.
const LEAST_WORDS: usize = 50;
/// Share of lines that are said before (their table A1).
const SAME_LINES: f64 = 0.30;
/// Share of the characters in the most frequent run of so many words.
const TOP_RUNS: [(usize, f64); 3] = [(2, 0.20), (3, 0.18), (4, 0.16)];
/// Share of the characters in runs of so many words that come more than once.
const SAME_RUNS: [(usize, f64); 6] = [
    (5, 0.15),
    (6, 0.14),
    (7, 0.13),
    (8, 0.12),
    (9, 0.11),
    (10, 0.10),
];

/// What is odd about the texts of a row, for people; of each rule that has several sizes, the first.
pub(crate) fn oddities(section: &OutlierSection, texts: &[&str]) -> Vec<String> {
    let words: Vec<&str> = texts
        .iter()
        .flat_map(|text| text.split_whitespace())
        .collect();
    let mut odd = Vec::new();
    if words.len() < LEAST_WORDS {
        return odd;
    }
    let lettered = words
        .iter()
        .filter(|word| word.contains(char::is_alphabetic));
    let share = lettered.count() as f64 / words.len() as f64;
    if share < section.min_words_with_letters {
        odd.push(format!("{share:.2} of the words have letters"));
    }
    if !section.repetition {
        return odd;
    }
    let share = same_lines(texts);
    if share > SAME_LINES {
        odd.push(format!("{share:.2} of the lines are said before"));
    }
    let top = TOP_RUNS.map(|(size, most)| (size, most, runs(&words, size).top));
    if let Some((size, _, share)) = top.into_iter().find(|(_, most, share)| share > most) {
        odd.push(format!(
            "{share:.2} of the characters are the same {size} words"
        ));
    }
    let same = SAME_RUNS
        .iter()
        .map(|(size, most)| (size, most, runs(&words, *size).repeated));
    if let Some((size, _, share)) = { same }.find(|(_, most, share)| share > *most) {
        odd.push(format!(
            "{share:.2} of the characters are in {size} words that come again"
        ));
    }
    odd
}

/// Share of the lines that have words and are said before.
fn same_lines(texts: &[&str]) -> f64 {
    let lines = texts.iter().flat_map(|text| text.lines()).map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let distinct: std::collections::HashSet<&str> = lines.iter().copied().collect();
    match lines.len() {
        0 => 0.0,
        all => (all - distinct.len()) as f64 / all as f64,
    }
}

/// Shares of the characters of all words.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Runs {
    /// In the run that has the most characters, all times that it comes together, of those that come more than once.
    top: f64,
    /// In runs that come more than once, each word counted once.
    repeated: f64,
}

fn runs(words: &[&str], size: usize) -> Runs {
    let chars: Vec<usize> = words.iter().map(|word| word.chars().count()).collect();
    let all: usize = chars.iter().sum();
    let mut places: HashMap<&[&str], Vec<usize>> = HashMap::new();
    for (at, run) in words.windows(size).enumerate() {
        places.entry(run).or_default().push(at);
    }
    let mut again = vec![false; words.len()];
    let mut top = 0;
    for places in places.values().filter(|places| places.len() > 1) {
        let mut of_run = vec![];
        for at in places {
            again[*at..at + size].fill(true);
            // A run that begins within the last one is part of it.
            if of_run.last().is_none_or(|last| last + size <= *at) {
                of_run.push(*at);
            }
        }
        let of_one: usize = chars[places[0]..places[0] + size].iter().sum();
        if of_run.len() > 1 {
            top = top.max(of_one * of_run.len());
        }
    }
    let repeated: usize = chars
        .iter()
        .zip(&again)
        .filter(|(_, again)| **again)
        .map(|(chars, _)| chars)
        .sum();
    Runs {
        top: top as f64 / all.max(1) as f64,
        repeated: repeated as f64 / all.max(1) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_by_hand() {
        // 10 words of one character: `a b` comes twice.
        let words: Vec<&str> = "a b c d a b e f g h".split(' ').collect();
        let both = runs(&words, 2);
        assert_eq!((both.top, both.repeated), (0.4, 0.4));
        let none = runs(&words, 3);
        assert_eq!((none.top, none.repeated), (0.0, 0.0));
        // Four times the same word: `a a` comes twice without overlap.
        assert_eq!(runs(&["a"; 4], 2).top, 1.0);
        assert_eq!(runs(&[], 2).top, 0.0);
    }

    #[test]
    fn texts_that_nobody_wrote_are_odd_and_others_are_not() {
        let section = OutlierSection::default();
        let odd = |text: &str| oddities(&section, &[text]);
        let words = |word: fn(usize) -> String| (0..60).map(word).collect::<Vec<_>>().join(" ");
        assert_eq!(odd(&words(|i| format!("word{i}"))), Vec::<String>::new());
        assert_eq!(
            odd(&words(|i| (i * 7919).to_string())),
            ["0.00 of the words have letters"]
        );
        assert_eq!(
            odd(&words(|i| ["buy", "it", "now"][i % 3].into())),
            [
                "0.71 of the characters are the same 2 words",
                "1.00 of the characters are in 5 words that come again"
            ]
        );
        let lines: String = (0..12)
            .map(|i| format!("line number five words {}\n", i / 2))
            .collect();
        assert_eq!(odd(&lines)[0], "0.50 of the lines are said before");
        // Above, `now buy` comes 19 times with 6 of 160 characters. Too short to tell:
        assert_eq!(odd("no no no no"), Vec::<String>::new());
        let off = OutlierSection {
            min_words_with_letters: 0.0,
            repetition: false,
            ..section.clone()
        };
        assert_eq!(
            oddities(&off, &["1 ".repeat(90).as_str()]),
            Vec::<String>::new()
        );
    }
}
