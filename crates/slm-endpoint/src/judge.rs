//! A model as a judge of two models' answers.

use std::collections::BTreeMap;

use slm_recipe::{JudgeMode, Rubric};
use slm_run::Emit;

use crate::judging_prompt::{JudgingPrompt, Subject};
use crate::verdict::{Preferred, preferred, score};
use crate::{Answer, Asker, EndpointError, Journal, JudgedItem, Judgement, TaskVerdict, Terms};

/// Version of `judge.json`.
const FORMAT_VERSION: u32 = 1;

/// One item with two models' answers.
#[derive(Clone, Debug)]
pub struct Contest {
    /// The task.
    pub task: String,
    /// Number of the row.
    pub row: usize,
    /// Where the row comes from.
    pub origin: String,
    /// What the models were asked.
    pub prompt: String,
    /// The answer that was wanted.
    pub target: String,
    /// The tuned model's answer.
    pub tuned: String,
    /// The base's.
    pub base: String,
}

/// Has a judge compare the answers to every item.
///
/// # Errors
/// Without items, for a rubric that cannot ask, and for all that [`Asker::ask`] ends with.
pub fn judge(
    rubric: &Rubric,
    contests: &[Contest],
    terms: Terms<'_>,
    journal: &mut Journal,
    emit: Emit<'_>,
) -> Result<Judgement, EndpointError> {
    if contests.is_empty() {
        return Err(EndpointError::NothingToJudge);
    }
    let prompt = JudgingPrompt::new(rubric)?;
    let mut requests = Vec::new();
    for contest in contests {
        for answers in shown(rubric.mode, contest) {
            let subject = Subject {
                prompt: &contest.prompt,
                target: &contest.target,
                answers: &answers,
            };
            requests.extend(prompt.requests(subject, terms.seed)?);
        }
    }
    let asker = Asker {
        endpoint: &rubric.endpoint,
        terms,
        stage: "judge",
    };
    let answered = asker.ask(&requests, journal, emit)?;
    // Two questions about each item, in both modes.
    let votes = rubric.endpoint.samples;
    let both = answered
        .answers
        .chunks(2 * votes)
        .zip(requests.chunks(2 * votes));
    let items: Vec<_> = contests
        .iter()
        .zip(both)
        .map(|(contest, (answers, requests))| {
            let keys = requests.iter().step_by(votes).map(|it| it.key.clone());
            item(rubric, contest, answers.split_at(votes), keys.collect())
        })
        .collect();
    let mut tasks: BTreeMap<String, Vec<&JudgedItem>> = BTreeMap::new();
    for item in &items {
        tasks.entry(item.task.clone()).or_default().push(item);
    }
    let tasks = tasks.into_iter();
    Ok(Judgement {
        format_version: FORMAT_VERSION,
        mode: rubric.mode,
        model: rubric.endpoint.model.clone(),
        prompt_hash: prompt.hash,
        tasks: tasks
            .map(|(name, items)| (name, TaskVerdict::of(&items)))
            .collect(),
        cost: answered.cost,
        items,
    })
}

/// Gives scores to single answers; none where the judge gives none.
pub(crate) fn scores<'a>(
    rubric: &Rubric,
    subjects: impl Iterator<Item = Subject<'a>>,
    terms: Terms<'_>,
    journal: &mut Journal,
    emit: Emit<'_>,
) -> Result<(Vec<Option<f64>>, crate::Cost), EndpointError> {
    let prompt = JudgingPrompt::new(rubric)?;
    let requests = subjects.map(|subject| prompt.requests(subject, terms.seed));
    let requests = requests.collect::<Result<Vec<_>, _>>()?.concat();
    let asker = Asker {
        endpoint: &rubric.endpoint,
        terms,
        stage: "judge",
    };
    let answered = asker.ask(&requests, journal, emit)?;
    let votes = answered.answers.chunks(rubric.endpoint.samples);
    Ok((
        votes
            .map(|votes| mean_score(votes, &rubric.scale))
            .collect(),
        answered.cost,
    ))
}

/// What the judge is shown of an item: both orders of a pair, or one answer at a time.
fn shown(mode: JudgeMode, contest: &Contest) -> [Vec<&str>; 2] {
    let (tuned, base) = (contest.tuned.as_str(), contest.base.as_str());
    match mode {
        JudgeMode::Pairwise => [vec![tuned, base], vec![base, tuned]],
        JudgeMode::Score => [vec![tuned], vec![base]],
    }
}

fn item(
    rubric: &Rubric,
    contest: &Contest,
    (first, second): (&[Answer], &[Answer]),
    requests: Vec<String>,
) -> JudgedItem {
    let (orders, scores) = match rubric.mode {
        JudgeMode::Pairwise => (
            vec![majority(first), majority(second).map(|it| -it)],
            Vec::new(),
        ),
        JudgeMode::Score => {
            let scale = &rubric.scale;
            (
                Vec::new(),
                vec![mean_score(first, scale), mean_score(second, scale)],
            )
        }
    };
    let outcome = match (&orders[..], &scores[..]) {
        ([Some(first), Some(second)], _) if first == second => Some(*first),
        ([Some(_), Some(_)], _) => Some(0),
        (_, [Some(tuned), Some(base)]) => Some(tuned.total_cmp(base) as i8),
        _ => None,
    };
    JudgedItem {
        task: contest.task.clone(),
        row: contest.row,
        origin: contest.origin.clone(),
        outcome,
        orders,
        scores,
        requests,
    }
}

/// Which side most votes are for: 1 for the answer seen first, -1 for the second; none if a vote cannot be read.
fn majority(votes: &[Answer]) -> Option<i8> {
    let votes = votes.iter().map(|vote| match preferred(&vote.text)? {
        Preferred::A => Some(1),
        Preferred::B => Some(-1),
        Preferred::Tie => Some(0_i32),
    });
    Some(votes.sum::<Option<i32>>()?.signum() as i8)
}

fn mean_score(votes: &[Answer], scale: &[f64]) -> Option<f64> {
    let sum: f64 = votes
        .iter()
        .map(|vote| score(&vote.text, scale))
        .sum::<Option<f64>>()?;
    Some(sum / votes.len() as f64)
}
