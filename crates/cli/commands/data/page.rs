//! `data.html`: the rows as a page.

use std::path::Path;

use anyhow::Result;
use slm_data::{Answer, Groups, Sample, leaks};
use slm_eval::report::{RowsPage, ShownRow, ShownToken, rows_html};
use slm_run::write_file_atomic;
use slm_text::ChatTokenizer;

use crate::{looked::Looked, tokens, walk::side};

/// Groups of duplicates and of contradictions that are shown.
const MOST_GROUPS: usize = 12;
/// Rows to learn from that are shown between the shortest and the longest.
const BETWEEN: usize = 4;
/// Held-out rows that are shown.
const HELD_OUT: usize = 2;

/// Writes the page into a file.
pub(crate) fn write(looked: &Looked, path: &Path) -> Result<()> {
    let manifest = looked.shards.manifest();
    let groups = Groups::read(&looked.folder, MOST_GROUPS)?;
    let groups = match (&looked.recipe, &looked.tokenizer) {
        (Some(recipe), Some(tokenizer)) => groups.with_texts(&recipe.data, manifest, tokenizer)?,
        _ => groups,
    };
    let page = RowsPage {
        card: looked.card()?,
        sides: vec![
            side("training", &manifest.train),
            side("held out", &manifest.validation),
        ],
        shares: looked.shards.shares(),
        groups,
        leaks: leaks(&looked.folder)?,
        samples: match &looked.tokenizer {
            Some(tokenizer) => samples(looked, tokenizer),
            None => Vec::new(),
        },
    };
    write_file_atomic(path, rows_html(&page).as_bytes())?;
    Ok(())
}

/// The shortest and the longest row to learn from, some between them, and some that are held out.
fn samples(looked: &Looked, tokenizer: &ChatTokenizer) -> Vec<ShownRow> {
    let (train, held_out) = (looked.shards.train(), looked.shards.validation());
    let mut by_length: Vec<&Sample> = train.iter().collect();
    by_length.sort_by_key(|sample| sample.ids.len());
    let chosen = spread(&by_length, BETWEEN + 2);
    let held: Vec<&Sample> = held_out.iter().collect();
    let train = chosen.into_iter().map(|sample| (sample, "to learn from"));
    let held = spread(&held, HELD_OUT).into_iter();
    let all = train.chain(held.map(|sample| (sample, "held out")));
    all.map(|(sample, side)| shown(looked, sample, side, tokenizer))
        .collect()
}

/// The first, the last, and some evenly between.
fn spread<'a>(samples: &[&'a Sample], most: usize) -> Vec<&'a Sample> {
    let last = samples.len().saturating_sub(1);
    let n = most.min(samples.len());
    (0..n).map(|i| samples[i * last / (n - 1).max(1)]).collect()
}

fn shown(looked: &Looked, sample: &Sample, side: &str, tokenizer: &ChatTokenizer) -> ShownRow {
    let answer = match sample.answer {
        Answer::Only => String::new(),
        answer => format!(", {}", answer.name()),
    };
    let tokens = tokens::of(sample, tokenizer).into_iter();
    let tokens = tokens.map(|token| ShownToken {
        text: token.text,
        learned: token.learned,
    });
    let origin = looked.shards.origin(sample.row).unwrap_or_default();
    ShownRow {
        title: format!("row {}{answer}, {side}", sample.row),
        origin: origin.to_owned(),
        tokens: tokens.collect(),
    }
}
