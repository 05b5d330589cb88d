//! Which answers become rows.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use slm_recipe::FilterSection;

use crate::Answer;

/// Why an answer does not become a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// It has no text.
    Empty,
    /// It did not end by itself.
    Finished,
    /// It is no JSON.
    Json,
    /// It is none of the labels.
    Labels,
    /// It is too short or too long.
    Length,
    /// Too few of the prompt's answers are equal to it.
    Agreement,
    /// It agrees with an answer to the same prompt that is kept.
    Repeated,
    /// The judge gave too low a score.
    Score,
    /// The judge gave no score.
    NoScore,
}

impl Reason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Finished => "finished",
            Self::Json => "json",
            Self::Labels => "labels",
            Self::Length => "length",
            Self::Agreement => "agreement",
            Self::Repeated => "repeated",
            Self::Score => "score",
            Self::NoScore => "no_score",
        }
    }
}

/// The filters of a recipe that need no judge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filters<'a> {
    pub(crate) section: &'a FilterSection,
    /// The set that an answer has to be of; empty for any.
    pub(crate) labels: &'a [String],
}

impl Filters<'_> {
    /// Names of those that are in force.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let section = self.section;
        let all = [
            (true, Reason::Empty),
            (section.finished, Reason::Finished),
            (section.json, Reason::Json),
            (!self.labels.is_empty(), Reason::Labels),
            (
                section.min_chars > 1 || section.max_chars > 0,
                Reason::Length,
            ),
            (section.min_agreement > 0.0, Reason::Agreement),
            (section.rubric.is_some(), Reason::Score),
        ];
        let in_force = all.into_iter().filter(|(on, _)| *on);
        in_force.map(|(_, reason)| reason.name()).collect()
    }

    /// What becomes of the answers to one prompt, and the share of them that each agrees with.
    pub(crate) fn judge(&self, answers: &[&Answer]) -> Vec<(Option<Reason>, f64)> {
        let mut found: Vec<_> = answers.iter().map(|it| self.alone(it)).collect();
        let texts: Vec<_> = answers.iter().map(|it| comparable(&it.text)).collect();
        // An answer that another filter drops is no witness, and still one of those that were asked.
        let share = |at: usize| {
            let alike = (0..texts.len()).filter(|i| found[*i].is_none() && texts[*i] == texts[at]);
            alike.count() as f64 / texts.len() as f64
        };
        let shares: Vec<_> = (0..texts.len()).map(share).collect();
        if self.section.min_agreement > 0.0 {
            // Of equal shares, the first.
            let best = (0..texts.len())
                .filter(|at| found[*at].is_none())
                .fold(None, |best, at| match best {
                    Some(best) if shares[best] >= shares[at] => Some(best),
                    _ => Some(at),
                });
            for (at, found) in found
                .iter_mut()
                .enumerate()
                .filter(|(_, found)| found.is_none())
            {
                *found = match best {
                    Some(best) if at == best && shares[at] >= self.section.min_agreement => None,
                    Some(best)
                        if texts[at] == texts[best] && shares[at] >= self.section.min_agreement =>
                    {
                        Some(Reason::Repeated)
                    }
                    _ => Some(Reason::Agreement),
                };
            }
        }
        found.into_iter().zip(shares).collect()
    }

    fn alone(&self, answer: &Answer) -> Option<Reason> {
        let (section, text) = (self.section, answer.text.trim());
        let chars = text.chars().count();
        let is_cut = matches!(answer.finish.as_deref(), Some("length" | "content_filter"));
        if text.is_empty() {
            Some(Reason::Empty)
        } else if section.finished && is_cut {
            Some(Reason::Finished)
        } else if section.json && serde_json::from_str::<Value>(text).is_err() {
            Some(Reason::Json)
        } else if !self.labels.is_empty() && !self.labels.iter().any(|label| label == text) {
            Some(Reason::Labels)
        } else if chars < section.min_chars || (section.max_chars > 0 && chars > section.max_chars)
        {
            Some(Reason::Length)
        } else {
            None
        }
    }
}

/// JSON agrees whatever its layout and the order of its keys are; a text, white space at both ends aside.
fn comparable(text: &str) -> String {
    let text = text.trim();
    match serde_json::from_str::<Value>(text) {
        Ok(value) => sorted(value).to_string(),
        Err(_) => text.to_owned(),
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(keys) => {
            let keys: BTreeMap<_, _> = keys.into_iter().collect();
            let sorted = keys.into_iter().map(|(key, value)| (key, sorted(value)));
            Value::Object(sorted.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tokens;

    fn answer(text: &str, finish: &str) -> Answer {
        Answer {
            text: text.into(),
            finish: Some(finish.into()),
            tokens: Tokens::default(),
            logprobs: None,
        }
    }

    fn judged(section: &FilterSection, labels: &[&str], texts: &[&str]) -> Vec<Option<Reason>> {
        let labels: Vec<_> = labels.iter().map(|it| (*it).to_owned()).collect();
        let answers: Vec<_> = texts.iter().map(|text| answer(text, "stop")).collect();
        let answers: Vec<_> = answers.iter().collect();
        let filters = Filters {
            section,
            labels: &labels,
        };
        filters
            .judge(&answers)
            .into_iter()
            .map(|(reason, _)| reason)
            .collect()
    }

    #[test]
    fn each_filter_drops_what_it_is_for() {
        let default = FilterSection::default();
        let filters = Filters {
            section: &default,
            labels: &[],
        };
        let cut = filters.judge(&[&answer("a", "length"), &answer(" \n", "stop")]);
        assert_eq!(
            cut,
            [(Some(Reason::Finished), 0.0), (Some(Reason::Empty), 0.0)]
        );
        let json = FilterSection {
            json: true,
            ..default.clone()
        };
        assert_eq!(
            judged(&json, &[], &["{\"a\": 1}", "{\"a\": 1"]),
            [None, Some(Reason::Json)]
        );
        assert_eq!(
            judged(&default, &["yes", "no"], &[" yes\n", "Yes"]),
            [None, Some(Reason::Labels)]
        );
        let length = FilterSection {
            min_chars: 2,
            max_chars: 3,
            ..default
        };
        let found = judged(&length, &[], &["ä", "äö", "äöü", "äöüß"]);
        assert_eq!(
            found,
            [Some(Reason::Length), None, None, Some(Reason::Length)]
        );
    }

    #[test]
    fn of_answers_that_agree_one_is_kept() {
        let half = FilterSection {
            min_agreement: 0.5,
            ..FilterSection::default()
        };
        let (none, few) = (None, Some(Reason::Agreement));
        let again = Some(Reason::Repeated);
        assert_eq!(
            judged(&half, &[], &["b", "a", "a ", "c"]),
            [few, none, again, few]
        );
        assert_eq!(judged(&half, &[], &["a", "b", "c"]), [few, few, few]);
        assert_eq!(
            judged(&half, &["a"], &["a", "x", "x", "x"]),
            [
                few,
                Some(Reason::Labels),
                Some(Reason::Labels),
                Some(Reason::Labels)
            ]
        );
        assert_eq!(
            judged(&half, &[], &["a", "b", "a", "b"]),
            [none, few, again, few]
        );
        let objects = [
            r#"{"a":1,"b":{"c":1,"d":[2]}}"#,
            r#"{ "b": {"d": [2], "c": 1}, "a": 1 }"#,
        ];
        assert_eq!(judged(&half, &[], &objects), [none, again]);
    }

    #[test]
    fn without_agreement_all_are_kept() {
        assert_eq!(
            judged(&FilterSection::default(), &[], &["a", "a"]),
            [None, None]
        );
    }
}
