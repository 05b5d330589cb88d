//! `data.html`: the rows as a page.

use std::path::Path;

use anyhow::Result;
use slm_data::{Answer, Groups, Outlined, Side, leaks};
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
    let manifest = looked.outline.manifest();
    let groups = Groups::read(&looked.folder, MOST_GROUPS)?;
    let groups = match (&looked.recipe, &looked.tokenizer) {
        (Some(recipe), Some(tokenizer)) => groups.with_texts(&recipe.data, manifest, tokenizer)?,
        _ => groups,
    };
    let page = RowsPage {
        card: looked.card()?,
        sides: manifest
            .sides()
            .map(|(name, it)| side(name.told(), it))
            .collect(),
        shares: looked.outline.shares(),
        groups,
        leaks: leaks(&looked.folder)?,
        samples: match &looked.tokenizer {
            Some(tokenizer) => samples(looked, tokenizer)?,
            None => Vec::new(),
        },
    };
    write_file_atomic(path, rows_html(&page).as_bytes())?;
    Ok(())
}

/// The shortest and the longest row to learn from, some between them, and some that are held out.
fn samples(looked: &Looked, tokenizer: &ChatTokenizer) -> Result<Vec<ShownRow>> {
    let train = looked.outline.side(Side::Train);
    let mut by_length: Vec<u32> = (0..train.len() as u32).collect();
    by_length.sort_by_key(|at| train[*at as usize].tokens());
    let by_length = spread(train, BETWEEN + 2).map(|at| by_length[at] as usize);
    let held_out = spread(looked.outline.side(Side::Validation), HELD_OUT);
    let train = by_length.map(|at| (Side::Train, at));
    let all = train.chain(held_out.map(|at| (Side::Validation, at)));
    all.map(|(side, at)| shown(looked, side, at, tokenizer))
        .collect()
}

/// The places of the first, the last, and some evenly between.
fn spread(samples: &[Outlined], most: usize) -> impl Iterator<Item = usize> {
    let last = samples.len().saturating_sub(1);
    let n = most.min(samples.len());
    (0..n).map(move |i| i * last / (n - 1).max(1))
}

fn shown(looked: &Looked, side: Side, at: usize, tokenizer: &ChatTokenizer) -> Result<ShownRow> {
    let (sample, origin) = looked.outline.sample(side, at)?;
    let answer = match sample.answer {
        Answer::Only => String::new(),
        answer => format!(", {}", answer.name()),
    };
    let side = match side {
        Side::Train => "to learn from",
        side => side.told(),
    };
    let tokens = tokens::of(&sample, tokenizer).into_iter();
    let tokens = tokens.map(|token| ShownToken {
        text: token.text,
        learned: token.learned,
    });
    Ok(ShownRow {
        title: format!("row {}{answer}, {side}", sample.row),
        origin,
        tokens: tokens.collect(),
    })
}
