//! `slm-tune baseline save`: what a run did on every item, for later ones to be compared with.

use anyhow::Result;
use serde_json::json;
use slm_eval::Baseline;

use crate::{
    args::BaselineArguments,
    gates::saved_run,
    table::{Table, size, thousands},
    terminal::Terminal,
};

pub(crate) fn save(arguments: BaselineArguments, terminal: &mut Terminal) -> Result<()> {
    let (name, evaluation) = saved_run(&arguments.run)?;
    let baseline = Baseline::of(&name, &evaluation)?;
    if let Some(folder) = arguments.file.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let size_bytes = baseline.write(&arguments.file)?;
    let items: usize = baseline.tasks.iter().map(|task| task.n).sum();
    if arguments.output.json {
        return terminal.json(&json!({
            "file": arguments.file, "name": name, "size_bytes": size_bytes, "items": items,
        }));
    }
    let mut table = Table::new(&["task", "items", "metrics"]).right(&[1]);
    for task in &baseline.tasks {
        let metrics: Vec<&str> = task.metrics.keys().map(String::as_str).collect();
        table.row([task.task.clone(), thousands(task.n), metrics.join(", ")]);
    }
    table.write(&mut terminal.out)?;
    writeln!(
        terminal.out,
        "wrote `{}` ({}, {:.1} bytes an item)",
        arguments.file.display(),
        size(size_bytes as u64),
        size_bytes as f64 / items as f64
    )?;
    Ok(())
}
