use std::collections::BTreeMap;

use super::{PersonalKind, personal_data};

/// Personal data of one row, and the placeholders that stand for it: the same one for the same value in the whole row.
#[derive(Debug, Default)]
pub(crate) struct Redaction {
    values: BTreeMap<(PersonalKind, String), usize>,
    /// Places of each kind.
    pub(crate) counts: BTreeMap<PersonalKind, usize>,
}

impl Redaction {
    /// Counts the personal data of a text; gives the text with placeholders such as `<EMAIL_1>`, if there is any.
    pub(crate) fn redact(&mut self, text: &str) -> Option<String> {
        let found = personal_data(text);
        if found.is_empty() {
            return None;
        }
        let (mut redacted, mut done) = (String::with_capacity(text.len()), 0);
        for place in found {
            let (kind, value) = (place.kind, text[place.range.clone()].to_owned());
            *self.counts.entry(kind).or_default() += 1;
            let of_kind = self.values.keys().filter(|(other, _)| *other == kind);
            let next = of_kind.count() + 1;
            let number = self.values.entry((kind, value)).or_insert(next);
            redacted.push_str(&text[done..place.range.start]);
            redacted.push_str(&format!("<{}_{number}>", kind.name()));
            done = place.range.end;
        }
        redacted.push_str(&text[done..]);
        Some(redacted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_placeholder_in_all_texts_of_a_row() {
        let mut row = Redaction::default();
        let first = row.redact("Write to a@example.com or b@example.com, from 192.0.2.7.");
        let second = row.redact("b@example.com again");
        assert_eq!(
            first.as_deref(),
            Some("Write to <EMAIL_1> or <EMAIL_2>, from <IP_1>.")
        );
        assert_eq!(second.as_deref(), Some("<EMAIL_2> again"));
        assert_eq!(row.redact("nobody"), None);
        assert_eq!(row.counts[&PersonalKind::Email], 3);
    }
}
