//! `multiple_choice`: every choice is scored by its log-likelihood, the likeliest is the answer.

use std::collections::BTreeMap;

use rayon::prelude::*;
use slm_data::{HeldOut, Shards};
use slm_model::{Decoder, score_choices};
use slm_recipe::{EvalTask, OutputType};

use crate::error::EvalError;
use crate::request::{Choices, Encoding};
use crate::sample::{Sample, Score};

/// The task with its choices filled in, where it has some: its own, else `data.labels`, else the distinct targets of the training rows.
pub fn with_choices(task: &EvalTask, labels: &[String], shards: &Shards) -> EvalTask {
    let mut task = task.clone();
    let is_labelled = task.constraint.as_ref().is_some_and(|it| it.labels);
    let has_choices = task.output_type == OutputType::MultipleChoice || is_labelled;
    if has_choices && task.choices.is_empty() {
        task.choices = labels.to_vec();
        if task.choices.is_empty() {
            task.choices = shards
                .targets()
                .map(|target| target.trim().to_owned())
                .collect();
            task.choices.sort();
            task.choices.dedup();
        }
    }
    task
}

/// The task's choices without the white space around them.
pub(crate) fn trimmed(task: &EvalTask) -> Vec<String> {
    let choices = task.choices.iter();
    choices.map(|choice| choice.trim().to_owned()).collect()
}

/// The same, at least two of them and none twice.
pub(crate) fn distinct(task: &EvalTask) -> Result<Vec<String>, EvalError> {
    let choices = trimmed(task);
    if let Some(at) = (1..choices.len()).find(|at| choices[..*at].contains(&choices[*at])) {
        return Err(EvalError::DuplicateChoice {
            task: task.name.clone(),
            choice: choices[at].clone(),
        });
    }
    if choices.len() < 2 {
        return Err(EvalError::TooFewChoices {
            task: task.name.clone(),
            found: choices.len(),
        });
    }
    Ok(choices)
}

pub(crate) fn answer(
    decoder: &Decoder,
    encoding: Encoding<'_>,
    choices: &[String],
    items: &[&HeldOut],
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Sample>, EvalError> {
    for item in items {
        check_target(&encoding, choices, item)?;
    }
    let requests = items
        .par_iter()
        .map(|item| encoding.choices(item, choices))
        .collect::<Result<Vec<_>, _>>()?;
    // Items whose choices are the same ids are asked together: nearly always all of them.
    let mut alike: BTreeMap<&[Vec<u32>], Vec<usize>> = BTreeMap::new();
    for (i, request) in requests.iter().enumerate() {
        alike.entry(&request.continuations).or_default().push(i);
    }
    let mut scored: Vec<Vec<Vec<f32>>> = vec![Vec::new(); items.len()];
    let mut before = 0;
    for (continuations, members) in alike {
        let prompts: Vec<Vec<u32>> = members
            .iter()
            .map(|i| requests[*i].prompt.clone())
            .collect();
        let results = score_choices(decoder, &prompts, continuations, &mut |n| done(before + n));
        before += members.len();
        for (i, result) in members.into_iter().zip(results) {
            scored[i] = result;
        }
    }
    items
        .iter()
        .zip(requests.iter().zip(&scored))
        .map(|(item, (request, scored))| sample(&encoding, choices, item, request, scored))
        .collect()
}

fn check_target(
    encoding: &Encoding<'_>,
    choices: &[String],
    item: &HeldOut,
) -> Result<(), EvalError> {
    let target = item.target.trim();
    if choices.iter().any(|choice| choice == target) {
        return Ok(());
    }
    let nearest = choices
        .iter()
        .map(|choice| (strsim::jaro_winkler(choice, target), choice))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.8);
    Err(EvalError::UnknownTarget {
        task: encoding.task.into(),
        origin: item.origin.clone(),
        target: target.into(),
        n_choices: choices.len(),
        nearest: nearest.map(|(_, choice)| choice.clone()),
    })
}

fn sample(
    encoding: &Encoding<'_>,
    choices: &[String],
    item: &HeldOut,
    request: &Choices,
    scored: &[Vec<f32>],
) -> Result<Sample, EvalError> {
    let logprobs: Vec<f64> = scored
        .iter()
        .zip(&request.unscored)
        .map(|(tokens, unscored)| tokens[*unscored..].iter().map(|p| f64::from(*p)).sum())
        .collect();
    if let Some(value) = logprobs.iter().find(|value| !value.is_finite()) {
        return Err(EvalError::NotFinite {
            task: encoding.task.into(),
            origin: item.origin.clone(),
            value: *value,
        });
    }
    let choice_tokens: Vec<usize> = request
        .continuations
        .iter()
        .zip(&request.unscored)
        .map(|(ids, unscored)| ids.len() - unscored)
        .collect();
    let per_token: Vec<f64> = logprobs
        .iter()
        .zip(&choice_tokens)
        .map(|(sum, tokens)| sum / *tokens as f64)
        .collect();
    let (best, best_norm) = (first_largest(&logprobs), first_largest(&per_token));
    let target = item.target.trim();
    let prompt = encoding
        .tokenizer
        .decode(&request.prompt, false)
        .map_err(|source| encoding.refused(item, source))?;
    Ok(Sample {
        row: item.row,
        origin: item.origin.clone(),
        prompt,
        target: target.into(),
        output: choices[best].clone(),
        prompt_tokens: request.prompt.len() + request.unscored[best],
        output_tokens: choice_tokens[best],
        slices: item.slices.clone(),
        score: Score::Choices {
            correct: choices[best] == target,
            correct_norm: choices[best_norm] == target,
            output_norm: choices[best_norm].clone(),
            logprobs: logprobs.iter().map(|sum| *sum as f32).collect(),
            choice_tokens,
        },
    })
}

/// The place of the largest value; of equal ones, the first.
fn first_largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if value > &values[best] {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(choices: &[&str]) -> EvalTask {
        EvalTask {
            name: "intent".into(),
            output_type: OutputType::MultipleChoice,
            choices: choices.iter().map(|choice| choice.to_string()).collect(),
            ..EvalTask::default()
        }
    }

    #[test]
    fn the_first_of_equal_choices_wins() {
        assert_eq!(first_largest(&[-2.0, -1.0, -1.0]), 1);
        assert_eq!(first_largest(&[-1.0]), 0);
    }

    #[test]
    fn choices_are_distinct_and_at_least_two() {
        assert_eq!(distinct(&task(&[" a", "b "])).expect("two"), ["a", "b"]);
        let few = distinct(&task(&["a"])).expect_err("one");
        assert_eq!(
            few.to_string(),
            "task `intent` has 1 choices, `multiple_choice` needs at least 2"
        );
        let twice = distinct(&task(&["a", "b", " a"])).expect_err("twice");
        assert_eq!(
            twice.to_string(),
            "task `intent` names the choice `a` more than once"
        );
    }
}
