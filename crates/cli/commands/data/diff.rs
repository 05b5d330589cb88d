//! `slm-tune data diff`: what is different between two prepared sets.

use std::io::Write;

use anyhow::Result;
use slm_data::{ComparedRow, DataDiff, RowPair, Side, SplitRecord};
use slm_text::ChatTokenizer;

use crate::{
    args::DiffArguments,
    prepared::Prepared,
    table::{Table, thousands},
    terminal::Terminal,
    tokens::visible,
};

pub(crate) fn diff(arguments: DiffArguments, terminal: &mut Terminal) -> Result<()> {
    let [a, b] = [Prepared::at(&arguments.a)?, Prepared::at(&arguments.b)?];
    let diff = DataDiff::of(&a.folder, &b.folder)?;
    if arguments.output.json {
        return terminal.json(&diff);
    }
    let tokenizers = [&a, &b].map(|it| it.tokenizer(terminal.offline));
    let out = &mut terminal.out;
    write_counts(&diff, out)?;
    write_sources(&diff, out)?;
    write_labels(&diff, arguments.count, out)?;
    let shown = Shown {
        tokenizers,
        count: arguments.count,
    };
    shown.pairs("answered anew", &diff.answered_anew, out)?;
    shown.pairs("changed", &diff.changed, out)?;
    shown.pairs("on another side", &diff.moved, out)?;
    shown.rows("only in A", 0, &diff.only_a, out)?;
    shown.rows("only in B", 1, &diff.only_b, out)?;
    if diff.is_empty() {
        writeln!(out, "\nboth hold the same rows")?;
    }
    Ok(())
}

fn write_counts(diff: &DataDiff, out: &mut dyn Write) -> Result<()> {
    let mut table = Table::new(&["", "A", "B", "difference"]).right(&[1, 2, 3]);
    let mut row = |name: &str, of: fn(&SplitRecord) -> usize, side: Side| {
        let (a, b) = (of(diff.a.side(side)), of(diff.b.side(side)));
        table.row([name.into(), thousands(a), thousands(b), signed(a, b)]);
    };
    row("rows", |it| it.rows, Side::Train);
    row("tokens", |it| it.tokens, Side::Train);
    row("learned", |it| it.learned_tokens, Side::Train);
    row("rows held out", |it| it.rows, Side::Validation);
    row("tokens held out", |it| it.tokens, Side::Validation);
    let tests = [&diff.a, &diff.b].iter().any(|it| !it.test.is_empty());
    if tests {
        row("rows of the test", |it| it.rows, Side::Test);
        row("tokens of the test", |it| it.tokens, Side::Test);
    }
    table.write(out)?;
    writeln!(out)?;
    let mut table = Table::new(&[]).right(&[1]);
    let to_test = ("  now of the test", diff.moved_to(Side::Test));
    let same = [
        ("same", diff.same),
        ("  with other tokens", diff.encoded_anew),
        ("  now held out", diff.moved_to(Side::Validation)),
        ("  now learned from", diff.moved_to(Side::Train)),
    ];
    let others = [
        ("answered anew", diff.answered_anew.len()),
        ("changed", diff.changed.len()),
        ("only in A", diff.only_a.len()),
        ("only in B", diff.only_b.len()),
    ];
    let to_test = tests.then_some(to_test);
    for (name, count) in same.into_iter().chain(to_test).chain(others) {
        table.row([name.into(), thousands(count)]);
    }
    table.write(out)?;
    Ok(())
}

fn write_sources(diff: &DataDiff, out: &mut dyn Write) -> Result<()> {
    for (path, digests) in &diff.sources {
        let what = match digests {
            [Some(_), Some(_)] => "is another file",
            [Some(_), None] => "is only read in A",
            [None, _] => "is only read in B",
        };
        writeln!(out, "`{path}` {what}")?;
    }
    Ok(())
}

fn write_labels(diff: &DataDiff, most: usize, out: &mut dyn Write) -> Result<()> {
    if diff.labels.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut labels: Vec<_> = diff.labels.iter().collect();
    labels.sort_by_key(|(_, [a, b])| std::cmp::Reverse(a.abs_diff(*b)));
    let mut table = Table::new(&["answer", "A", "B", "difference"]).right(&[1, 2, 3]);
    for (label, [a, b]) in labels.iter().take(most) {
        let label = visible(label.trim());
        table.row([label, thousands(*a), thousands(*b), signed(*a, *b)]);
    }
    table.write(out)?;
    write_rest(labels.len(), most, out)
}

/// How rows are listed.
struct Shown {
    /// Of A and B, where they are known.
    tokenizers: [Option<ChatTokenizer>; 2],
    count: usize,
}

impl Shown {
    fn pairs(&self, title: &str, pairs: &[RowPair], out: &mut dyn Write) -> Result<()> {
        if pairs.is_empty() {
            return Ok(());
        }
        writeln!(out)?;
        let mut table = Table::new(&[title, "in B", "answer", "in B"]);
        for RowPair { a, b } in pairs.iter().take(self.count) {
            table.row([place(a), place(b), self.answer(0, a), self.answer(1, b)]);
        }
        table.write(out)?;
        write_rest(pairs.len(), self.count, out)
    }

    fn rows(
        &self,
        title: &str,
        of: usize,
        rows: &[ComparedRow],
        out: &mut dyn Write,
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(out)?;
        let mut table = Table::new(&[title, "answer"]);
        for row in rows.iter().take(self.count) {
            table.row([place(row), self.answer(of, row)]);
        }
        table.write(out)?;
        write_rest(rows.len(), self.count, out)
    }

    /// The answer as text; its tokens where no tokenizer is known.
    fn answer(&self, of: usize, row: &ComparedRow) -> String {
        let token = |id: &u32| match &self.tokenizers[of] {
            Some(tokenizer) => tokenizer.token(*id),
            None => format!("<{id}>"),
        };
        let text: String = row.answer.iter().map(token).collect();
        let more = if row.learned > row.answer.len() {
            ".."
        } else {
            ""
        };
        visible(text.trim()) + more
    }
}

fn place(row: &ComparedRow) -> String {
    let side = match row.side {
        Side::Train => "",
        Side::Validation => " (held out)",
        Side::Test => " (test)",
    };
    format!("{}{side}", row.origin)
}

fn write_rest(all: usize, most: usize, out: &mut dyn Write) -> Result<()> {
    if all > most {
        writeln!(out, ".. and {} more", thousands(all - most))?;
    }
    Ok(())
}

fn signed(a: usize, b: usize) -> String {
    match b.cmp(&a) {
        std::cmp::Ordering::Less => format!("-{}", thousands(a - b)),
        std::cmp::Ordering::Equal => "0".into(),
        std::cmp::Ordering::Greater => format!("+{}", thousands(b - a)),
    }
}
