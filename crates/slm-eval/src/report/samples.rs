//! A few answers, side by side.

use std::collections::BTreeMap;

use super::TaskResult;
use super::markup::{escape, excerpt};
use crate::sample::{Sample, Score};

/// Answers shown per kind.
const PER_KIND: usize = 2;
/// Characters shown of one text.
const MOST_CHARACTERS: usize = 1200;

/// The section with the answers of all tasks.
pub(super) fn section(tasks: &[TaskResult]) -> String {
    let answers: String = tasks.iter().map(side_by_side).collect();
    if answers.is_empty() {
        return String::new();
    }
    format!("<section class=\"samples\"><h2>Answers</h2>{answers}</section>\n")
}

/// Some samples of each kind (won, lost, wrong in both), spread over the items.
fn side_by_side(task: &TaskResult) -> String {
    let tuned = &task.tuned.samples;
    let base = task.base.as_ref().map(|base| &base.samples);
    let mut kinds: BTreeMap<Kind, Vec<usize>> = BTreeMap::new();
    for (i, tuned) in tuned.iter().enumerate() {
        let base = base.and_then(|base| base.get(i));
        kinds.entry(Kind::of(base, tuned)).or_default().push(i);
    }
    let mut cards = String::new();
    for (kind, members) in &kinds {
        for i in spread(members) {
            let base = base.and_then(|base| base.get(i));
            cards += &card(*kind, members.len(), base, &tuned[i]);
        }
    }
    if cards.is_empty() {
        return String::new();
    }
    format!("<h3>{}</h3>{cards}", escape(&task.tuned.task))
}

/// What became of an answer, in the order shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Gained,
    Lost,
    WrongInBoth,
    RightInBoth,
    Likelier,
    LessLikely,
    Right,
    Wrong,
    Scored,
}

impl Kind {
    fn of(base: Option<&Sample>, tuned: &Sample) -> Self {
        match (base.map(|base| &base.score), &tuned.score) {
            (
                Some(Score::Likelihood {
                    logprob: before, ..
                }),
                Score::Likelihood { logprob: after, .. },
            ) if after > before => Self::Likelier,
            (Some(_), Score::Likelihood { .. }) => Self::LessLikely,
            (None, Score::Likelihood { .. }) => Self::Scored,
            _ => match (base.map(Sample::is_correct), tuned.is_correct()) {
                (Some(false), true) => Self::Gained,
                (Some(true), false) => Self::Lost,
                (Some(false), false) => Self::WrongInBoth,
                (Some(true), true) => Self::RightInBoth,
                (None, true) => Self::Right,
                (None, false) => Self::Wrong,
            },
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Gained => "right only after tuning",
            Self::Lost => "right only before tuning",
            Self::WrongInBoth => "wrong in both",
            Self::RightInBoth => "right in both",
            Self::Likelier => "likelier after tuning",
            Self::LessLikely => "not likelier after tuning",
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::Scored => "scored",
        }
    }
}

fn spread(members: &[usize]) -> Vec<usize> {
    let n = members.len().min(PER_KIND);
    (0..n).map(|i| members[i * members.len() / n]).collect()
}

fn card(kind: Kind, of_kind: usize, base: Option<&Sample>, tuned: &Sample) -> String {
    let base = base.map(|base| answer("base", base)).unwrap_or_default();
    let wanted = match tuned.score {
        Score::Likelihood { .. } => String::new(),
        _ => text("wanted", "", "", &tuned.target),
    };
    format!(
        "<article><p class=\"what\"><span>{} <small>one of {}</small></span><span>{}</span></p>{}<div class=\"answers\">{wanted}{base}{}</div></article>",
        kind.label(),
        super::count(of_kind),
        escape(&tuned.origin),
        text("prompt", "prompt", "", &tuned.prompt),
        answer("tuned", tuned)
    )
}

fn answer(who: &str, sample: &Sample) -> String {
    let (class, mark) = match sample.is_correct() {
        true => ("good", "right"),
        false => ("bad", "wrong"),
    };
    match &sample.score {
        Score::Likelihood { logprob, .. } => {
            let per_token = -logprob / sample.output_tokens.max(1) as f64;
            let note = format!(" <span>{per_token:.3} nats per token</span>");
            text(who, "", &note, &sample.target)
        }
        _ => {
            let note = format!(" <span class=\"{class}\">{mark}</span>");
            text(who, "", &note, &sample.output)
        }
    }
}

/// One text under its name; `note` is markup.
fn text(name: &str, class: &str, note: &str, text: &str) -> String {
    let shown = match text.trim().is_empty() {
        true => "<em class=\"more\">nothing</em>".into(),
        false => excerpt(text.trim_matches('\n'), MOST_CHARACTERS),
    };
    format!("<div class=\"text {class}\"><h4>{name}{note}</h4><bdi>{shown}</bdi></div>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_spread_over_the_items() {
        assert_eq!(spread(&[3, 5, 8, 9]), [3, 8]);
        assert_eq!(spread(&[3]), [3]);
        assert!(spread(&[]).is_empty());
    }
}
