use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use super::value::value;
use super::{PersonalKind, PseudonymKey, WordList, personal_data_and};

/// Places with personal data, by kind.
pub(crate) type Places = BTreeMap<PersonalKind, usize>;

/// What stands for personal data in a text.
#[derive(Debug)]
pub(crate) enum Substitute<'a> {
    /// Nothing does: it is only counted.
    Nothing,
    /// Placeholders such as `<EMAIL_1>`.
    Placeholders(&'a mut Placeholders),
    /// Pseudonyms of a key.
    Pseudonyms(&'a PseudonymKey),
}

/// The number of each value of a run, in the order in which they first occur. It keeps 16 bytes of each value's hash, and not the
/// values themselves.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    numbers: HashMap<(PersonalKind, [u8; 16]), usize>,
    last: BTreeMap<PersonalKind, usize>,
}

impl Placeholders {
    fn placeholder(&mut self, kind: PersonalKind, text: &str) -> String {
        let hash = Sha256::digest(value(kind, text));
        let mut short = [0; 16];
        short.copy_from_slice(&hash[..16]);
        let last = self.last.entry(kind).or_default();
        let number = *self.numbers.entry((kind, short)).or_insert_with(|| {
            *last += 1;
            *last
        });
        format!("<{}_{number}>", kind.name())
    }
}

impl Substitute<'_> {
    /// Counts the personal data of a text; gives the text with what stands for it, if there is any and something does.
    pub(crate) fn put(
        &mut self,
        text: &str,
        list: &WordList,
        places: &mut Places,
    ) -> Option<String> {
        let found = personal_data_and(text, list);
        let (mut redacted, mut done) = (String::with_capacity(text.len()), 0);
        for place in &found {
            *places.entry(place.kind).or_default() += 1;
            let said = &text[place.range.clone()];
            let stands_for = match self {
                Self::Nothing => continue,
                Self::Placeholders(placeholders) => placeholders.placeholder(place.kind, said),
                Self::Pseudonyms(key) => key.pseudonym(place.kind, said),
            };
            redacted.push_str(&text[done..place.range.start]);
            redacted.push_str(&stands_for);
            done = place.range.end;
        }
        redacted.push_str(&text[done..]);
        (done > 0).then_some(redacted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_placeholder_in_all_texts() {
        let (mut run, list) = (Placeholders::default(), WordList::default());
        let mut places = Places::new();
        let mut put = |text| Substitute::Placeholders(&mut run).put(text, &list, &mut places);
        let first = put("Write to a@example.com or b@example.com, from 192.0.2.7.");
        let second = put("B@Example.com again");
        assert_eq!(
            first.as_deref(),
            Some("Write to <EMAIL_1> or <EMAIL_2>, from <IP_1>.")
        );
        assert_eq!(second.as_deref(), Some("<EMAIL_2> again"));
        assert_eq!(put("nobody"), None);
        assert_eq!(places[&PersonalKind::Email], 3);
        let told = Substitute::Nothing.put("a@example.com", &list, &mut places);
        assert_eq!((told, places[&PersonalKind::Email]), (None, 4));
    }
}
