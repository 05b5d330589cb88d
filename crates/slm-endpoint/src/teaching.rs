//! Rows made of a teacher's answers.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};
use slm_data::{HeldOut, Prompt};
use slm_recipe::{DistillSection, Rubric};
use slm_run::{Emit, RunError, write_file_atomic};

use crate::answered_row::answered;
use crate::filter::{Filters, Reason};
use crate::judge::scores;
use crate::judging_prompt::Subject;
use crate::{Answer, Asker, Cost, EndpointError, Journal, Request, Terms};

/// What became of a teacher's answers: `teacher.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Taught {
    /// The model that answered.
    pub teacher: String,
    /// Prompts.
    pub prompts: usize,
    /// Answers.
    pub answers: usize,
    /// Rows that were written.
    pub rows: usize,
    /// Prompts without a row.
    pub prompts_without_row: usize,
    /// Answers that were dropped, by filter.
    pub dropped: BTreeMap<&'static str, usize>,
    /// The filters that were in force.
    pub filters: Vec<&'static str>,
    /// What the answers cost.
    pub cost: Cost,
    /// What the judge cost, where one filters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge_cost: Option<Cost>,
}

/// One answer on its way to a row.
struct Candidate<'a> {
    row: &'a HeldOut,
    request: &'a Request,
    answer: &'a Answer,
    agreement: f64,
    score: Option<f64>,
    reason: Option<Reason>,
}

/// Has the teacher of a recipe answer the prompts of rows, and writes what the filters keep as `rows.jsonl` into a folder, what
/// they drop as `dropped.jsonl`, and the counts as `teacher.json`. The journal beside them answers what was asked before.
///
/// `labels` are `data.labels`; `rubric` is that of the filters.
///
/// # Errors
/// For rows that cannot be asked, where no answer is kept, and for all that [`Asker::ask`] ends with. The files are then as they
/// were.
pub fn teach(
    section: &DistillSection,
    labels: &[String],
    rubric: Option<&Rubric>,
    rows: &[HeldOut],
    terms: Terms<'_>,
    folder: &Path,
    emit: Emit<'_>,
) -> Result<Taught, EndpointError> {
    let endpoint = &section.teacher.endpoint;
    let requests = requests(section, rows, terms.seed)?;
    let mut journal = Journal::open(&folder.join("journal.jsonl"))?;
    let asker = Asker {
        endpoint,
        terms,
        stage: "teacher",
    };
    let found = asker.ask(&requests, &mut journal, emit)?;
    let labels = match section.filters.labels.is_empty() {
        true => labels,
        false => &section.filters.labels,
    };
    let filters = Filters {
        section: &section.filters,
        labels,
    };
    let mut candidates = candidates(&filters, endpoint.samples, rows, &requests, &found.answers);
    let judge_cost = match rubric {
        Some(rubric) => {
            let mut journal = Journal::open(&folder.join("judge.journal.jsonl"))?;
            Some(score(
                rubric,
                section.filters.min_score,
                &mut candidates,
                terms,
                &mut journal,
                emit,
            )?)
        }
        None => None,
    };
    let taught = Taught {
        teacher: endpoint.model.clone(),
        prompts: rows.len(),
        answers: candidates.len(),
        rows: candidates.iter().filter(|it| it.reason.is_none()).count(),
        prompts_without_row: candidates
            .chunks(endpoint.samples)
            .filter(|answers| answers.iter().all(|it| it.reason.is_some()))
            .count(),
        dropped: dropped(&candidates),
        filters: filters.names(),
        cost: found.cost,
        judge_cost,
    };
    write(folder, &taught, &candidates)?;
    Ok(taught)
}

/// Every sample of every row.
fn requests(
    section: &DistillSection,
    rows: &[HeldOut],
    seed: u64,
) -> Result<Vec<Request>, EndpointError> {
    let endpoint = &section.teacher.endpoint;
    let of_row = |row: &HeldOut| {
        let samples = 0..endpoint.samples;
        let requests = samples.map(|sample| Request::new(endpoint, &row.prompt, seed, sample));
        requests
            .collect::<Result<Vec<_>, _>>()
            .map_err(|reason| EndpointError::Row {
                origin: row.origin.clone(),
                reason,
            })
    };
    Ok(rows
        .iter()
        .map(of_row)
        .collect::<Result<Vec<_>, _>>()?
        .concat())
}

fn candidates<'a>(
    filters: &Filters<'_>,
    samples: usize,
    rows: &'a [HeldOut],
    requests: &'a [Request],
    answers: &'a [Answer],
) -> Vec<Candidate<'a>> {
    let mut found = Vec::new();
    let asked = requests.chunks(samples).zip(answers.chunks(samples));
    for (row, (requests, answers)) in rows.iter().zip(asked) {
        let judged = filters.judge(&answers.iter().collect::<Vec<_>>());
        let each = requests.iter().zip(answers).zip(judged);
        found.extend(
            each.map(|((request, answer), (reason, agreement))| Candidate {
                row,
                request,
                answer,
                agreement,
                score: None,
                reason,
            }),
        );
    }
    found
}

/// Has a judge score what is kept so far.
fn score(
    rubric: &Rubric,
    least: f64,
    candidates: &mut [Candidate<'_>],
    terms: Terms<'_>,
    journal: &mut Journal,
    emit: Emit<'_>,
) -> Result<Cost, EndpointError> {
    let mut kept: Vec<_> = candidates
        .iter_mut()
        .filter(|it| it.reason.is_none())
        .collect();
    let prompts: Vec<_> = kept.iter().map(|it| readable(&it.row.prompt)).collect();
    let answers: Vec<_> = kept.iter().map(|it| [it.answer.text.trim()]).collect();
    let subjects = kept.iter().zip(&prompts).zip(&answers);
    let subjects = subjects.map(|((it, prompt), answers)| Subject {
        prompt,
        target: &it.row.target,
        answers,
    });
    let (found, cost) = scores(rubric, subjects, terms, journal, emit)?;
    for (candidate, score) in kept.iter_mut().zip(found) {
        candidate.score = score;
        candidate.reason = match score {
            None => Some(Reason::NoScore),
            Some(score) if score < least => Some(Reason::Score),
            Some(_) => None,
        };
    }
    Ok(cost)
}

/// A prompt as a judge reads it.
fn readable(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Chat(chat) => {
            let turns = chat.messages.iter();
            let turns: Vec<_> = turns
                .map(|it| format!("{}: {}", it.role, it.content))
                .collect();
            turns.join("\n\n")
        }
        Prompt::Tokens { .. } => String::new(),
    }
}

fn dropped(candidates: &[Candidate<'_>]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for reason in candidates.iter().filter_map(|it| it.reason) {
        *counts.entry(reason.name()).or_default() += 1;
    }
    counts
}

fn write(
    folder: &Path,
    taught: &Taught,
    candidates: &[Candidate<'_>],
) -> Result<(), EndpointError> {
    let (kept, dropped): (Vec<_>, Vec<_>) = candidates.iter().partition(|it| it.reason.is_none());
    let lines = |candidates: &[&Candidate<'_>]| {
        let rows = candidates
            .iter()
            .map(|it| format!("{}\n", it.to_row(taught)));
        rows.collect::<String>()
    };
    write_file_atomic(folder.join("dropped.jsonl"), lines(&dropped).as_bytes())?;
    if kept.is_empty() {
        let counts = taught
            .dropped
            .iter()
            .map(|(name, count)| format!("{name} {count}"));
        return Err(EndpointError::NothingKept {
            answers: candidates.len(),
            counts: counts.collect::<Vec<_>>().join(", "),
        });
    }
    write_file_atomic(folder.join("rows.jsonl"), lines(&kept).as_bytes())?;
    let mut counts = serde_json::to_vec_pretty(taught).map_err(|error| RunError::Io {
        path: folder.join("teacher.json"),
        error: error.into(),
    })?;
    counts.push(b'\n');
    Ok(write_file_atomic(folder.join("teacher.json"), &counts)?)
}

impl Candidate<'_> {
    /// The row as `train` reads it: the prompt with the teacher's answer, the columns that it had, and where the answer comes
    /// from.
    fn to_row(&self, taught: &Taught) -> Value {
        let mut row = answered(self.row, self.answer.text.trim());
        let mut from = Map::new();
        let mut note = |name: &str, value: Value| drop(from.insert(name.into(), value));
        note("model", json!(taught.teacher));
        note("request", json!(self.request.key));
        note("sample", json!(self.request.sample));
        note("filters", json!(taught.filters));
        note("agreement", json!(self.agreement));
        if let Some(score) = self.score {
            note("score", json!(score));
        }
        if let Some(reason) = self.reason {
            note("dropped_by", json!(reason.name()));
        }
        note("origin", json!(self.row.origin));
        row.insert("teacher".into(), Value::Object(from));
        Value::Object(row)
    }
}
