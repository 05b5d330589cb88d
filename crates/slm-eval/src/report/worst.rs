//! The items that went most wrong: where to look first.

use super::TaskResult;
use super::markup::{escape, excerpt};
use super::numbers::plain;
use crate::sample::{Sample, Score};
use slm_metrics::{ChrfCounts, probabilities};

/// Items shown per task.
const MOST: usize = 8;
/// Characters shown of one text.
const MOST_CHARACTERS: usize = 240;

/// The tuned model's worst items of a task; empty where none is wrong.
pub(super) fn section(task: &TaskResult) -> String {
    let report = &task.tuned;
    let mut items: Vec<(f64, String, &Sample)> = report
        .samples
        .iter()
        .filter_map(|sample| {
            let (badness, says) = badness(sample)?;
            Some((badness, says, sample))
        })
        .collect();
    items.sort_by(|a, b| b.0.total_cmp(&a.0));
    if items.is_empty() {
        return String::new();
    }
    let rows: String = items
        .iter()
        .take(MOST)
        .map(|(_, says, sample)| row(says, sample))
        .collect();
    format!(
        "<details class=\"worst\"><summary>The {} worst items</summary><table class=\"stack\"><thead><tr><th>prompt</th><th>wanted</th><th>given</th><th></th></tr></thead>\
         <tbody>{rows}</tbody></table></details>",
        items.len().min(MOST)
    )
}

/// How wrong an answer is, larger is worse, and in words; `None` for right ones.
fn badness(sample: &Sample) -> Option<(f64, String)> {
    match &sample.score {
        Score::Likelihood { logprob, .. } => {
            let loss = -logprob / sample.output_tokens.max(1) as f64;
            Some((loss, format!("{} nats per token", plain(loss))))
        }
        Score::Choices {
            correct: false,
            logprobs,
            ..
        } => {
            let logprobs: Vec<f64> = logprobs.iter().map(|p| f64::from(*p)).collect();
            let sure = probabilities(&logprobs, 1.0)
                .into_iter()
                .fold(0.0, f64::max);
            Some((sure, format!("wrong with {:.1} %", 100.0 * sure)))
        }
        Score::Generated { correct: false, .. } => {
            let chrf = ChrfCounts::of(&sample.output, &[&sample.target]).score();
            Some((-chrf, format!("chrF {chrf:.1}")))
        }
        _ => None,
    }
}

fn row(says: &str, sample: &Sample) -> String {
    // The end of a prompt is what is asked.
    let from = sample.prompt.char_indices().rev().nth(MOST_CHARACTERS - 1);
    let prompt = from.map_or(sample.prompt.as_str(), |(at, _)| &sample.prompt[at..]);
    let dots = if from.is_some() { "… " } else { "" };
    let given = match sample.score {
        Score::Likelihood { .. } => String::new(),
        _ => excerpt(sample.output.trim(), MOST_CHARACTERS),
    };
    format!(
        "<tr><td class=\"asked\"><bdi>{dots}{}</bdi><small>{}</small></td><td data-name=\"wanted\"><bdi>{}</bdi></td>\
         <td data-name=\"given\"><bdi>{given}</bdi></td><td><small>{says}</small></td></tr>",
        escape(prompt.trim()),
        escape(&sample.origin),
        excerpt(sample.target.trim(), MOST_CHARACTERS),
    )
}
