//! `slm-tune runs`: what has been trained here.

use std::{io::Write, path::Path};

use serde_json::json;
use slm_run::{Event, RunDir, list_runs};

use crate::{
    args::{JsonArguments, RunArguments},
    history::{by_start, last, status, time},
    table::{Table, duration, figure, percent},
    terminal::Terminal,
};

pub(crate) fn ls(
    folder: &Path,
    output: JsonArguments,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let runs = list_runs(folder)?;
    if output.json {
        let list: Vec<_> = runs
            .iter()
            .map(|(path, record)| match record {
                Ok(record) => json!({"run": path, "status": status(record), "record": record}),
                Err(error) => json!({"run": path, "error": error.to_string()}),
            })
            .collect();
        return terminal.json(&list);
    }
    if runs.is_empty() {
        writeln!(terminal.out, "no runs under `{}`", folder.display())?;
        return Ok(());
    }
    let mut table = Table::new(&["run", "status", "last stage", "time"]).right(&[3]);
    for (path, record) in runs {
        let name = path.display().to_string();
        match record {
            Ok(record) => table.row([name, status(&record), last(&record), time(&record)]),
            Err(error) => table.row([name, error.to_string(), String::new(), String::new()]),
        }
    }
    table.write(&mut terminal.out)?;
    Ok(())
}

pub(crate) fn show(arguments: RunArguments, terminal: &mut Terminal) -> anyhow::Result<()> {
    let run = RunDir::open(&arguments.run)?;
    let (record, metrics) = (run.record(), run.metrics()?);
    if arguments.output.json {
        return terminal.json(&json!({
            "run": run.root(), "status": status(record), "record": record, "metrics": metrics,
        }));
    }
    writeln!(
        terminal.out,
        "{}: {}\n",
        run.root().display(),
        status(record)
    )?;
    let mut table = Table::new(&["stage", "status", "time", "files"]).right(&[2]);
    for (name, stage) in by_start(record) {
        let files: Vec<_> = stage.outputs.keys().map(String::as_str).collect();
        let time = duration(stage.elapsed_s);
        table.row([
            name.into(),
            stage.status.name().into(),
            time,
            files.join(", "),
        ]);
    }
    table.write(&mut terminal.out)?;
    evaluations(metrics).write(&mut terminal.out)?;
    Ok(())
}

/// What the evaluations during training said; a star for each that no earlier one was better than.
fn evaluations(metrics: Vec<Event>) -> Table {
    let named = metrics.iter().find_map(|event| match event {
        Event::Eval { metric, .. } => metric.as_ref().map(|metric| metric.name.clone()),
        _ => None,
    });
    let mut columns = vec!["step", "held-out loss", "token accuracy"];
    columns.extend(named.as_deref());
    let mut table = Table::new(&columns).right(&[0, 1, 2, 3]);
    for event in metrics {
        if let Event::Eval {
            step,
            loss,
            token_accuracy,
            metric,
            best,
            ..
        } = event
        {
            let star = if best { " *" } else { "  " };
            let mut cells = vec![step.to_string(), figure(loss), percent(token_accuracy)];
            cells.extend(metric.map(|metric| figure(metric.value)));
            if let Some(last) = cells.last_mut() {
                last.push_str(star);
            }
            table.row(cells);
        }
    }
    table
}
