//! `slm-tune judge`: a served model compares the answers of a run with those of its base.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Result;
use slm_endpoint::{Contest, Journal, Judgement, TaskVerdict, Terms, judge};
use slm_eval::{Sample, Score, TaskReport};
use slm_recipe::{JudgeMode, Rubric};
use slm_run::{Event, RunDir, write_file_atomic};

use crate::{
    args::JudgeArguments,
    commands::synth::cost,
    failure::refuse,
    interrupt,
    reporter::Reporter,
    table::{Table, figure, percent},
    terminal::Terminal,
    walk::recipe_of,
};

pub(crate) fn run(arguments: JudgeArguments, terminal: &mut Terminal) -> Result<()> {
    let rubric = Rubric::load(&arguments.rubric, &arguments.overrides)?;
    let run = RunDir::open(&arguments.run)?;
    let seed = recipe_of(run.root(), &[])?.seed;
    let contests = contests(&run, rubric.max_samples)?;
    let mut reporter = Reporter::new(terminal, arguments.output.json);
    let mut journal = Journal::open(&run.path("judge.journal.jsonl"))?;
    let judgement = interrupt::heeded(|stop| {
        let terms = Terms {
            seed,
            offline: terminal.offline,
            stop,
        };
        let mut emit = |event: Event| reporter.show(event);
        judge(&rubric, &contests, terms, &mut journal, &mut emit)
    })??;
    drop(reporter);
    let path = run.path("judge.json");
    let mut text = serde_json::to_vec_pretty(&judgement)?;
    text.push(b'\n');
    write_file_atomic(&path, &text)?;
    match arguments.output.json {
        true => terminal.json(&judgement),
        false => write(&judgement, &path, &mut terminal.out),
    }
}

/// Every item that both models wrote an answer to, up to `most` of each task.
fn contests(run: &RunDir, most: usize) -> Result<Vec<Contest>> {
    let most = if most == 0 { usize::MAX } else { most };
    let mut found = Vec::new();
    for folder in folders(&run.path("eval/tuned"))? {
        let name = folder.file_name().unwrap_or_default();
        let of_base = run.path("eval/base").join(name);
        if !of_base.exists() {
            continue;
        }
        let (tuned, base) = (TaskReport::read(&folder)?, TaskReport::read(&of_base)?);
        let pairs = tuned.samples.iter().zip(&base.samples);
        let answered = pairs.filter(|(tuned, base)| tuned.row == base.row && is_answer(tuned));
        found.extend(answered.take(most).map(|(tuned, base)| Contest {
            task: name.to_string_lossy().into_owned(),
            row: tuned.row,
            origin: tuned.origin.clone(),
            prompt: tuned.prompt.clone(),
            target: tuned.target.trim().to_owned(),
            tuned: tuned.output.trim().to_owned(),
            base: base.output.trim().to_owned(),
        }));
    }
    if found.is_empty() {
        return Err(refuse(
            format!(
                "`{}` has no answers of both the tuned model and its base",
                run.root().display()
            ),
            "measure it with `slm-tune eval RUN eval.compare_base=true`, on a task that asks for answers",
        ));
    }
    Ok(found)
}

/// A likelihood is asked of the wanted answer: there is none of the model's own.
fn is_answer(sample: &Sample) -> bool {
    !matches!(sample.score, Score::Likelihood { .. })
}

/// The folders in a folder by name; none where it is not there.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs_err::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut found = entries.collect::<Result<Vec<_>>>()?;
    found.retain(|path| path.is_dir());
    found.sort();
    Ok(found)
}

fn write(judgement: &Judgement, path: &Path, out: &mut dyn Write) -> Result<()> {
    let counts = [
        "task",
        "items",
        "win",
        "tie",
        "loss",
        "no verdict",
        "win rate",
        "95 %",
        "p",
    ];
    let by_mode = match judgement.mode {
        JudgeMode::Pairwise => ["orders agree", "first preferred"],
        JudgeMode::Score => ["mean tuned", "mean base"],
    };
    let columns = [&counts[..], &by_mode].concat();
    let mut table = Table::new(&columns).right(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    for (task, verdict) in &judgement.tasks {
        table.row(cells(task, verdict));
    }
    table.write(out)?;
    let (model, hash) = (&judgement.model, &judgement.prompt_hash[..12]);
    writeln!(
        out,
        "\njudged by {model} with prompt {hash}: {}",
        cost(&judgement.cost)
    )?;
    writeln!(out, "wrote `{}`", path.display())?;
    Ok(())
}

fn cells(task: &str, verdict: &TaskVerdict) -> Vec<String> {
    let said = |value: Option<String>| value.unwrap_or_else(|| "-".into());
    let share = |value: Option<f64>| said(value.map(percent));
    let counts = [
        verdict.n,
        verdict.win,
        verdict.tie,
        verdict.loss,
        verdict.invalid,
    ];
    let mut cells = vec![task.to_owned()];
    cells.extend(counts.map(|count| count.to_string()));
    let interval = |[_, low, high]: [f64; 3]| format!("{} to {}", percent(low), percent(high));
    cells.extend([
        share(verdict.win_rate.map(|[value, ..]| value)),
        said(verdict.win_rate.map(interval)),
        said(verdict.p_value.map(|p| format!("{p:.3}"))),
    ]);
    match verdict.mean_scores {
        Some(means) => cells.extend(means.map(|mean| said(mean.map(figure)))),
        None => cells.extend([share(verdict.agreement), share(verdict.first_preferred)]),
    }
    cells
}
