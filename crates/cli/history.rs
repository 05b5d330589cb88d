//! What became of a run, told from its `run.json`.

use slm_run::{RunRecord, StageRecord, StageStatus};

use crate::table::duration;

/// The order of stages that began within one second.
const STAGES: [&str; 5] = ["data", "train", "eval", "export", "report"];

/// The stages in the order in which they began.
pub(crate) fn by_start(record: &RunRecord) -> Vec<(&str, &StageRecord)> {
    let stages = record.stages.iter();
    let mut stages: Vec<_> = stages.map(|(name, stage)| (name.as_str(), stage)).collect();
    let place = |name: &str| STAGES.iter().position(|it| *it == name);
    stages.sort_by_key(|(name, stage)| (stage.started_unix_s, place(name)));
    stages
}

/// `done`, or what became of the stage that is not.
pub(crate) fn status(record: &RunRecord) -> String {
    let open = by_start(record)
        .into_iter()
        .rfind(|(_, stage)| stage.status != StageStatus::Done);
    match open {
        Some((_, stage)) => stage.status.name().into(),
        None if record.stages.is_empty() => "empty".into(),
        None => "done".into(),
    }
}

pub(crate) fn last(record: &RunRecord) -> String {
    by_start(record)
        .last()
        .map_or_else(String::new, |(name, _)| (*name).into())
}

pub(crate) fn time(record: &RunRecord) -> String {
    duration(record.stages.values().map(|stage| stage.elapsed_s).sum())
}
