//! Pipelines that make an answer out of what was written, as lm-evaluation-harness filters it.

use std::collections::BTreeMap;

use fancy_regex::Regex;

use crate::pattern;

/// What a regular expression gives where it finds nothing.
pub(crate) const FALLBACK: &str = "[invalid]";
/// What the harness looks for where a file names no pattern.
pub(crate) const DEFAULT_PATTERN: &str = r"#### (\-?[0-9\.\,]+)";

/// A named pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

/// What happens to all texts that were written for one row.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    TakeFirst,
    TakeFirstK(usize),
    MajorityVote,
    Regex(Extraction),
    RemoveWhitespace,
    Lowercase,
    Uppercase,
    /// A text for each of some; what is none of them becomes the default, or nothing.
    Map(BTreeMap<String, String>, Option<String>),
}

/// What a regular expression takes out of a text.
#[derive(Clone, Debug)]
pub(crate) struct Extraction {
    pub(crate) regex: Regex,
    /// Counted from the end where it is negative.
    pub(crate) select: i64,
    pub(crate) fallback: String,
}

impl Pipeline {
    /// What a task without filters does: it keeps the first text.
    pub(crate) fn none() -> Self {
        Self {
            name: "none".into(),
            steps: vec![Step::TakeFirst],
        }
    }

    /// Whether one text is left at the end, and at most so many are asked for.
    pub(crate) fn check(&self, repeats: usize) -> Result<(), String> {
        let name = &self.name;
        if !matches!(self.steps.last(), Some(Step::TakeFirst)) {
            return Err(format!(
                "filter `{name}` has to end with `take_first`, so that one answer is left"
            ));
        }
        for step in &self.steps {
            match step {
                Step::TakeFirstK(k) if *k > repeats => {
                    return Err(format!(
                        "filter `{name}` takes {k} answers, `repeats` gives {repeats}"
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The answer out of the texts that were written, of which there is at least one.
    pub(crate) fn answer(&self, texts: &[String]) -> String {
        let mut texts = texts.to_vec();
        for step in &self.steps {
            step.apply(&mut texts);
        }
        texts.into_iter().next().unwrap_or_default()
    }
}

impl Step {
    fn apply(&self, texts: &mut Vec<String>) {
        let each = |texts: &mut Vec<String>, change: &dyn Fn(&str) -> String| {
            texts.iter_mut().for_each(|text| *text = change(text));
        };
        match self {
            Self::TakeFirst => texts.truncate(1),
            Self::TakeFirstK(k) => texts.truncate(*k),
            Self::MajorityVote => {
                if let Some(best) = commonest(texts) {
                    *texts = vec![best];
                }
            }
            Self::Regex(extraction) => each(texts, &|text| extraction.of(text)),
            Self::RemoveWhitespace => each(texts, &|text| text.trim().to_owned()),
            Self::Lowercase => each(texts, &str::to_lowercase),
            Self::Uppercase => each(texts, &str::to_uppercase),
            Self::Map(map, default) => each(texts, &|text| {
                map.get(text)
                    .or(default.as_ref())
                    .cloned()
                    .unwrap_or_default()
            }),
        }
    }
}

/// The text that is there most often; of several, the one that came first.
fn commonest(texts: &[String]) -> Option<String> {
    let count = |text: &String| texts.iter().filter(|other| *other == text).count();
    let mut best: Option<(&String, usize)> = None;
    for text in texts {
        let n = count(text);
        if best.is_none_or(|(_, most)| n > most) {
            best = Some((text, n));
        }
    }
    best.map(|(text, _)| text.clone())
}

impl Extraction {
    fn of(&self, text: &str) -> String {
        let found = pattern::find_all(&self.regex, text);
        let at = match usize::try_from(self.select) {
            Ok(at) => Some(at),
            Err(_) => found.len().checked_sub(self.select.unsigned_abs() as usize),
        };
        let groups = at.and_then(|at| found.get(at));
        let group = groups.and_then(|groups| match groups.len() {
            1 => groups.first(),
            _ => groups.iter().find(|group| !group.is_empty()),
        });
        group.map_or_else(|| self.fallback.clone(), |group| group.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex(pattern: &str, select: i64) -> Step {
        Step::Regex(Extraction {
            regex: pattern::compile(pattern).unwrap(),
            select,
            fallback: FALLBACK.into(),
        })
    }

    fn run(steps: Vec<Step>, texts: &[&str]) -> String {
        let texts: Vec<String> = texts.iter().map(|text| text.to_string()).collect();
        let name = "test".into();
        Pipeline { name, steps }.answer(&texts)
    }

    #[test]
    fn numbers_of_gsm8k() {
        let strict = || vec![regex(DEFAULT_PATTERN, 0), Step::TakeFirst];
        assert_eq!(run(strict(), &["so\n#### 1,234. #### 5"]), "1,234.");
        assert_eq!(run(strict(), &["so 5"]), "[invalid]");
        let flexible = || vec![regex("(-?[$0-9.,]{2,})|(-?[0-9]+)", -1), Step::TakeFirst];
        assert_eq!(run(flexible(), &["$5.00 and 7"]), "7");
        assert_eq!(run(flexible(), &["7 and $5.00"]), "$5.00");
        assert_eq!(run(flexible(), &["none"]), "[invalid]");
    }

    #[test]
    fn the_majority_wins_and_of_equals_the_first() {
        let steps = || vec![Step::RemoveWhitespace, Step::MajorityVote, Step::TakeFirst];
        assert_eq!(run(steps(), &["a", " b", "b ", "c"]), "b");
        assert_eq!(run(steps(), &["c", "a", "a ", "c"]), "c");
        let two = vec![
            Step::TakeFirstK(1),
            Step::MajorityVote,
            Step::Uppercase,
            Step::TakeFirst,
        ];
        assert_eq!(run(two, &["c", "a", "a"]), "C");
    }

    #[test]
    fn a_pipeline_leaves_one_text() {
        let pipeline = |steps| Pipeline {
            name: "p".into(),
            steps,
        };
        assert_eq!(pipeline(vec![Step::TakeFirst]).check(1), Ok(()));
        assert_eq!(
            pipeline(vec![Step::RemoveWhitespace]).check(1),
            Err("filter `p` has to end with `take_first`, so that one answer is left".into())
        );
        assert_eq!(
            pipeline(vec![Step::TakeFirstK(8), Step::TakeFirst]).check(4),
            Err("filter `p` takes 8 answers, `repeats` gives 4".into())
        );
    }
}
