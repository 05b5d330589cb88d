//! A few answers, side by side.

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
    let kinds: &[(&str, Option<bool>, bool)] = match base {
        Some(_) => &[
            ("right only after tuning", Some(false), true),
            ("right only before tuning", Some(true), false),
            ("wrong in both", Some(false), false),
            ("right in both", Some(true), true),
        ],
        None => &[("right", None, true), ("wrong", None, false)],
    };
    let mut cards = String::new();
    for (kind, before, after) in kinds {
        let members: Vec<usize> = (0..tuned.len())
            .filter(|i| {
                let base = base.and_then(|base| base.get(*i)).map(Sample::is_correct);
                base == *before && tuned[*i].is_correct() == *after
            })
            .collect();
        for i in spread(&members) {
            cards += &card(kind, members.len(), base.map(|base| &base[i]), &tuned[i]);
        }
    }
    if cards.is_empty() {
        return String::new();
    }
    format!("<h3>{}</h3>{cards}", escape(&task.tuned.task))
}

fn spread(members: &[usize]) -> Vec<usize> {
    let n = members.len().min(PER_KIND);
    (0..n).map(|i| members[i * members.len() / n]).collect()
}

fn card(kind: &str, of_kind: usize, base: Option<&Sample>, tuned: &Sample) -> String {
    let base = base.map(|base| answer("base", base)).unwrap_or_default();
    let wanted = match tuned.score {
        Score::Likelihood { .. } => String::new(),
        _ => text("wanted", "", "", &tuned.target),
    };
    format!(
        "<article><p class=\"what\"><span>{kind} <small>one of {}</small></span><span>{}</span></p>{}<div class=\"answers\">{wanted}{base}{}</div></article>",
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
