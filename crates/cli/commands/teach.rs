//! `slm-tune teach`: what the teacher says of the rows, asked once.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;
use slm_data::{CacheFolder, Sample, WorkerShare};
use slm_recipe::Recipe;
use slm_run::Event;
use slm_train::Taught;

use crate::{
    args::TeachArguments,
    failure::refuse,
    preview::Preview,
    reporter::Reporter,
    table::{Table, duration, size, thousands},
    teacher::{TeacherModel, refuse_served, refuse_without},
    terminal::Terminal,
};

/// What is there, and what this worker did for it.
#[derive(Debug, Serialize)]
struct Lesson {
    folder: String,
    shards: usize,
    /// Counted from 1.
    missing: Vec<usize>,
    taught: Option<Taught>,
    /// Where all shards are there.
    complete: Option<Complete>,
}

#[derive(Debug, Serialize)]
struct Complete {
    rows: usize,
    learned_tokens: usize,
    /// Of the vocabulary, for all learned tokens.
    kept_tokens: usize,
    size_bytes: u64,
    bytes_per_token: f64,
    /// Mean probability of what is kept of a learned token.
    mass: f64,
}

pub(crate) fn run(arguments: TeachArguments, terminal: &mut Terminal) -> Result<()> {
    let recipe = Recipe::load(&arguments.recipe.recipe, &arguments.recipe.overrides)?;
    refuse_without(&recipe, &arguments.recipe.recipe)?;
    refuse_served(&recipe, &arguments.recipe.recipe)?;
    let json = arguments.recipe.output.json;
    let mut reporter = match json {
        true => Reporter::warnings(terminal),
        false => Reporter::new(terminal, false),
    };
    let preview = Preview::of(&recipe, terminal.offline, &mut reporter)?;
    let samples = preview.shards.train();
    let teacher = TeacherModel::find(&recipe, terminal.offline)?;
    let teacher =
        teacher.expect("a recipe with `[distill]` has a teacher, here or behind an endpoint");
    for text in teacher.prove(&recipe, &preview.base, samples)? {
        reporter.show(Event::Note { text });
    }
    let Some(folder) = teacher.cache(&preview.base, samples)? else {
        return Err(refuse(
            "there is nowhere to keep what the teacher says",
            "name a folder, `distill.cache_dir=cache/teacher`; without one, `slm-tune distill` asks the teacher in every step",
        ));
    };
    let n = folder.shards(samples).len();
    let taught = match arguments.check {
        true => None,
        false => {
            let share = arguments.shard.unwrap_or(WorkerShare::ALL);
            let batch_size = recipe.train.per_device_eval_batch_size;
            Some(teacher.ask(&folder, samples, share, batch_size, &mut reporter)?)
        }
    };
    let missing: Vec<_> = (0..n)
        .filter(|at| !folder.has(*at, n))
        .map(|at| at + 1)
        .collect();
    let complete = match missing.is_empty() || arguments.check {
        true => Some(completed(&folder, samples)?),
        false => None,
    };
    let lesson = Lesson {
        folder: folder.path().display().to_string(),
        shards: n,
        missing,
        taught,
        complete,
    };
    match json {
        true => terminal.json(&lesson),
        false => lesson.write(&mut terminal.out),
    }
}

fn completed(folder: &CacheFolder, samples: &[Sample]) -> Result<Complete> {
    let it = folder.complete(samples)?;
    let learned_tokens: usize = it.rows.iter().map(|row| row.counts.len()).sum();
    let kept = it.rows.iter().flat_map(|row| &row.logprobs);
    let mass: f64 = kept.map(|x| x.to_f64().exp()).sum();
    Ok(Complete {
        rows: it.rows.len(),
        learned_tokens,
        kept_tokens: it.rows.iter().map(|row| row.ids.len()).sum(),
        size_bytes: it.size_bytes,
        bytes_per_token: it.size_bytes as f64 / learned_tokens.max(1) as f64,
        mass: mass / learned_tokens.max(1) as f64,
    })
}

impl Lesson {
    fn write(&self, out: &mut dyn Write) -> Result<()> {
        let mut table = Table::new(&[]);
        table.row(["cache".into(), self.folder.clone()]);
        let there = self.shards - self.missing.len();
        table.row(["shards".into(), format!("{there} of {}", self.shards)]);
        if let Some(taught) = self.taught.filter(|it| it.shards > 0) {
            let speed = taught.tokens as f64 / taught.elapsed_s.max(1e-9);
            let [rows, tokens] = [taught.rows, taught.tokens].map(thousands);
            let (speed, time) = (thousands(speed as usize), duration(taught.elapsed_s));
            table.row([
                "taught now".into(),
                format!("{rows} rows, {tokens} tokens in {time}: {speed} tokens/s"),
            ]);
        }
        if let Some(it) = &self.complete {
            let each = it.kept_tokens as f64 / it.learned_tokens.max(1) as f64;
            let [rows, learned] = [it.rows, it.learned_tokens].map(thousands);
            table.row(["rows".into(), format!("{rows}, {learned} learned tokens")]);
            let mass = 100.0 * it.mass;
            table.row([
                "kept".into(),
                format!("{each:.1} likely tokens of each, {mass:.2} % of the probability"),
            ]);
            let (size, bytes) = (size(it.size_bytes), it.bytes_per_token);
            table.row([
                "size".into(),
                format!("{size}, {bytes:.1} bytes per learned token"),
            ]);
        }
        table.write(out)?;
        Ok(())
    }
}
