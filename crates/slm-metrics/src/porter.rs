//! Porter's stemmer (Program 14.3, 1980) in the variant that rouge-score uses: that of NLTK, with Porter's later rules and NLTK's own.
//!
//! Stemmers of the Snowball family follow other rules, so that no crate gives rouge-score's figures.

/// Words with stems of their own.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// Step 2: what a suffix becomes after a stem of positive measure.
const SECOND: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

/// Step 3, as step 2.
const THIRD: [(&str, &str); 7] = [
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

/// Step 4: what is dropped after a stem whose measure is above one; `ion` only after `s` or `t`.
const FOURTH: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
    "ism", "ate", "iti", "ous", "ive", "ize",
];

/// The stem of a word in lower case, of ASCII letters and digits.
pub(crate) fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return (*stem).into();
    }
    if word.len() <= 2 {
        return word.into();
    }
    let steps = [plural, past, y_to_i, second, third, fourth, last_e, last_l];
    steps.iter().fold(word.to_owned(), |word, step| step(word))
}

/// Step 1a.
fn plural(word: String) -> String {
    let n = word.len();
    match word.as_str() {
        it if it.ends_with("ies") && n == 4 => cut(it, 1),
        it if it.ends_with("sses") || it.ends_with("ies") => cut(it, 2),
        it if it.ends_with("ss") => word,
        it if it.ends_with('s') => cut(it, 1),
        _ => word,
    }
}

/// Step 1b.
fn past(word: String) -> String {
    if word.ends_with("ied") {
        return cut(&word, if word.len() == 4 { 1 } else { 2 });
    }
    if let Some(stem) = word.strip_suffix("eed") {
        return if measure(stem) > 0 {
            cut(&word, 1)
        } else {
            word
        };
    }
    let mut stems = ["ed", "ing"]
        .into_iter()
        .filter_map(|it| word.strip_suffix(it));
    let Some(stem) = stems.find(|stem| consonants(stem).contains(&false)) else {
        return word;
    };
    let end = stem.as_bytes()[stem.len() - 1];
    if ["at", "bl", "iz"].iter().any(|it| stem.ends_with(it)) {
        format!("{stem}e")
    } else if ends_double_consonant(stem) {
        if b"lsz".contains(&end) {
            stem.into()
        } else {
            cut(stem, 1)
        }
    } else if measure(stem) == 1 && ends_cvc(stem) {
        format!("{stem}e")
    } else {
        stem.into()
    }
}

/// Step 1c.
fn y_to_i(word: String) -> String {
    match word.strip_suffix('y') {
        Some(stem) if stem.len() > 1 && consonants(stem).last() == Some(&true) => {
            format!("{stem}i")
        }
        _ => word,
    }
}

fn second(word: String) -> String {
    match word.strip_suffix("alli") {
        Some(stem) if measure(stem) > 0 => return second(format!("{stem}al")),
        _ => {}
    }
    // Of this suffix the `l` counts among the stem.
    if word.ends_with("logi") {
        return if measure(&word[..word.len() - 3]) > 0 {
            cut(&word, 1)
        } else {
            word
        };
    }
    replaced(word, &SECOND)
}

fn third(word: String) -> String {
    replaced(word, &THIRD)
}

fn fourth(word: String) -> String {
    let Some(suffix) = FOURTH.iter().find(|suffix| word.ends_with(**suffix)) else {
        return word;
    };
    let stem = &word[..word.len() - suffix.len()];
    let may_go = *suffix != "ion" || stem.ends_with(['s', 't']);
    if measure(stem) > 1 && may_go {
        stem.into()
    } else {
        word
    }
}

/// Step 5a.
fn last_e(word: String) -> String {
    match word.strip_suffix('e') {
        Some(stem) if measure(stem) > 1 || measure(stem) == 1 && !ends_cvc(stem) => stem.into(),
        _ => word,
    }
}

/// Step 5b.
fn last_l(word: String) -> String {
    match word.ends_with("ll") && measure(&word[..word.len() - 1]) > 1 {
        true => cut(&word, 1),
        false => word,
    }
}

/// The first rule whose suffix the word has decides.
fn replaced(word: String, rules: &[(&str, &str)]) -> String {
    for (suffix, by) in rules {
        if let Some(stem) = word.strip_suffix(suffix) {
            return if measure(stem) > 0 {
                format!("{stem}{by}")
            } else {
                word
            };
        }
    }
    word
}

fn cut(word: &str, letters: usize) -> String {
    word[..word.len() - letters].into()
}

/// For each letter whether it is a consonant; `y` is one at the beginning and after a vowel.
fn consonants(word: &str) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for letter in word.bytes() {
        flags.push(match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => flags.last().is_none_or(|before| !before),
            _ => true,
        });
    }
    flags
}

/// How often a consonant follows a vowel: Porter's `m`.
fn measure(stem: &str) -> usize {
    let flags = consonants(stem);
    flags.windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn ends_double_consonant(word: &str) -> bool {
    let letters = word.as_bytes();
    let n = letters.len();
    n >= 2 && letters[n - 1] == letters[n - 2] && consonants(word)[n - 1]
}

/// Consonant, vowel, consonant other than w, x and y at the end; or a vowel and a consonant are all there is.
fn ends_cvc(word: &str) -> bool {
    match consonants(word)[..] {
        [.., true, false, true] => !word.ends_with(['w', 'x', 'y']),
        [false, true] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of Porter's paper, what NLTK changed, and words of every rule: tests/goldens/figures/PROVENANCE.md.
    #[test]
    fn agrees_with_nltk() {
        let goldens: serde_json::Value =
            serde_json::from_str(include_str!("../tests/goldens/figures/figures.json"))
                .expect("goldens");
        let stems = goldens["stems"].as_array().expect("stems");
        assert!(stems.len() > 100);
        for pair in stems {
            let word = pair[0].as_str().expect("a word");
            assert_eq!(Some(stem(word).as_str()), pair[1].as_str(), "{word}");
        }
    }
}
