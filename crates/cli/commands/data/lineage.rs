//! `slm-tune data lineage`: one row, from its file to its tokens.

use std::io::Write;

use anyhow::Result;
use slm_data::{CleanRecord, Effect, Fate, Lineage, Placed, Side, lineages, whose};
use slm_recipe::{DataSection, Source};
use slm_run::sha256_file;

use crate::{
    args::LineageArguments,
    prepared::Prepared,
    table::{Table, size, thousands},
    terminal::Terminal,
    tokens::visible,
};

/// Characters of a digest that are shown where it is one of several.
const SHORT: usize = 12;

pub(crate) fn lineage(arguments: LineageArguments, terminal: &mut Terminal) -> Result<()> {
    let prepared = Prepared::named_or_only(arguments.data.as_deref())?;
    let found = lineages(&prepared.folder, &arguments.row)?;
    if arguments.output.json {
        return terminal.json(&found);
    }
    let recipe = prepared.recipe(&[]).ok().flatten();
    for (at, row) in found.iter().enumerate() {
        if at > 0 {
            writeln!(terminal.out)?;
        }
        let source = recipe.as_ref().and_then(|it| source(&it.data, row));
        write(row, source, &mut terminal.out)?;
    }
    Ok(())
}

/// How the recipe reads the file of a row.
fn source<'a>(section: &'a DataSection, row: &Lineage) -> Option<&'a Source> {
    let mut all = section.sources();
    all.nth(row.source_index)
        .filter(|source| source.path == row.source.path)
}

fn write(row: &Lineage, source: Option<&Source>, out: &mut dyn Write) -> Result<()> {
    let mut facts = Table::new(&[]);
    let mut fact = |name: &str, value: String| facts.row([name.to_owned(), value]);
    fact("row", row.row.to_string());
    let origin = row.origin.as_ref().unwrap_or(&row.source.path);
    fact("source", origin.clone());
    let (digest, bytes) = (short(&row.source.sha256), size(row.source.size_bytes));
    fact("file", format!("sha256 {digest}, {bytes}, {}", since(row)));
    fact("read as", read_as(row, source)?);
    let digest = row.digest.as_deref().unwrap_or("not kept");
    fact("digest", digest.to_owned());
    for record in &row.steps {
        fact(record.step.name(), step(record));
    }
    for leak in &row.leaks {
        let kind = serde_json::to_value(leak.kind)?;
        let kind = kind.as_str().unwrap_or_default().to_owned();
        let (item, task) = (&leak.item, &leak.task);
        fact("leak", format!("{kind} of `{item}` of {}", whose(task)));
    }
    if let Some(digest) = row
        .encoded_digest
        .as_ref()
        .filter(|_| row.encoded_digest != row.digest)
    {
        fact("digest now", digest.clone());
    }
    for place in fate(row) {
        fact("now", place);
    }
    facts.write(out)?;
    Ok(())
}

/// Whether the file is still what it was.
fn since(row: &Lineage) -> &'static str {
    match sha256_file(&row.source.path) {
        Ok(digest) if digest == row.source.sha256 => "unchanged since",
        Ok(_) => "changed since: the line may be another now",
        Err(_) if row.source.path.contains("://") => "of a store that was not asked again",
        Err(_) => "not there any more",
    }
}

fn read_as(row: &Lineage, source: Option<&Source>) -> Result<String> {
    let format = serde_json::to_value(row.source.format)?;
    let mut told = vec![format.as_str().unwrap_or_default().to_owned()];
    if let Some(source) = source {
        let texts = [
            ("prompt", &source.prompt),
            ("completion", &source.completion),
            ("system", &source.system),
        ];
        let texts = texts
            .iter()
            .filter_map(|(name, text)| Some((name, text.as_ref()?)));
        told.extend(texts.map(|(name, text)| format!("{name} \"{}\"", visible(text))));
        let columns = source.columns.iter();
        told.extend(columns.map(|(name, column)| format!("{name} from column `{column}`")));
    }
    Ok(told.join(", "))
}

fn step(record: &CleanRecord) -> String {
    let effect = match record.effect {
        Effect::Changed => format!(
            "changed {}: {} characters, then {}",
            short(&record.digest),
            thousands(record.chars_before),
            thousands(record.chars_after)
        ),
        Effect::LeftOut => "left it out".into(),
        Effect::Listed => "listed it".into(),
    };
    let mut told = vec![effect];
    if let Some(like) = &record.like {
        let (row, origin, similarity) = (like.row, &like.origin, like.similarity);
        told.push(format!(
            "for row {row}, `{origin}` (similarity {similarity:.2})"
        ));
    }
    let personal = record.personal.iter();
    told.extend(personal.map(|(kind, count)| format!("{count} {}", kind.name())));
    told.join(", ")
}

/// Where it lies, or why it does not.
fn fate(row: &Lineage) -> Vec<String> {
    let reason = match &row.fate {
        Fate::Kept(side) => return row.placed.iter().map(|it| placed(*side, it)).collect(),
        Fate::Cleaned(step) => format!("left out by the step `{}`", step.name()),
        Fate::Leaked => "left out by `data.on_leak`".into(),
        Fate::Missing {
            not_sampled,
            too_long,
        } => format!(
            "not in the shards: {} rows of its file were not taken by `max_samples`, {} of all were left out for their length",
            thousands(*not_sampled),
            thousands(*too_long)
        ),
    };
    vec![reason]
}

fn placed(side: Side, it: &Placed) -> String {
    let side = match side {
        Side::Train => "learned from",
        side => side.told(),
    };
    let answer = match it.answer.as_str() {
        "only" => String::new(),
        answer => format!(", {answer}"),
    };
    let cut = if it.cut { ", cut to `max_length`" } else { "" };
    let (tokens, learned) = (thousands(it.tokens), thousands(it.learned));
    let (place, file) = (it.place, &it.file);
    format!("{side}{answer}: {tokens} tokens, {learned} learned{cut}; row {place} of {file}")
}

fn short(digest: &str) -> &str {
    &digest[..SHORT.min(digest.len())]
}
