use std::cmp::Reverse;
use std::fmt::Write;

use slm_recipe::Pii;

use super::DataCard;
use crate::manifest::{SourceRecord, SplitRecord};

/// Labels that are listed before the rest is only counted.
const NAMED_LABELS: usize = 100;
/// What stands where nobody stated anything.
const NOT_STATED: &str = "not stated";

/// The card for people, in Markdown.
pub fn markdown(card: &DataCard) -> String {
    let sections = [
        head(card),
        sources(card),
        splits(card),
        lengths(card),
        labels(card),
        cleaning(card),
        personal(card),
        leaks(card),
        digests(card),
    ];
    let sections: Vec<String> = sections.into_iter().filter(|it| !it.is_empty()).collect();
    sections.join("\n")
}

fn head(card: &DataCard) -> String {
    let stated = card.card();
    let mut text = format!("# Data card: {}\n\n", card.name);
    let description = stated.description.as_deref();
    let _ = writeln!(
        text,
        "{}\n",
        description.unwrap_or("No description is stated.")
    );
    let languages = match stated.languages.is_empty() {
        true => NOT_STATED.into(),
        false => stated.languages.join(", "),
    };
    let or_not = |value: Option<&str>| value.unwrap_or(NOT_STATED).to_owned();
    let rows = card.manifest.rows();
    let facts = [
        ("licence", or_not(card.whole_license())),
        ("languages", languages),
        ("made by", or_not(stated.creator.as_deref())),
        ("found at", or_not(stated.url.as_deref())),
        ("published", or_not(stated.published.as_deref())),
        ("cited as", or_not(stated.citation.as_deref())),
        ("rows", rows.to_string()),
        ("counted by", format!("slm-tune {}", card.tool_version)),
    ];
    let facts = facts.map(|(name, value)| vec![name.to_owned(), value]);
    text + &table(&["", ""], facts)
}

fn sources(card: &DataCard) -> String {
    let row = |(at, source): (usize, &SourceRecord)| {
        let format = serde_json::to_value(source.format).unwrap_or_default();
        vec![
            format!("`{}`", source.path),
            source.rows.to_string(),
            source.not_sampled.to_string(),
            format.as_str().unwrap_or_default().to_owned(),
            card.license(at).unwrap_or(NOT_STATED).to_owned(),
            source.weight.to_string(),
            source.size_bytes.to_string(),
            format!("`{}`", source.sha256),
        ]
    };
    let header = [
        "file",
        "rows",
        "not sampled",
        "read as",
        "licence",
        "weight",
        "bytes",
        "sha256",
    ];
    let rows = card.manifest.sources.iter().enumerate().map(row);
    section("Files", &table(&header, rows))
}

fn splits(card: &DataCard) -> String {
    let side = |name: &str, it: &SplitRecord| {
        counted(
            name,
            [
                it.read,
                it.dropped.total(),
                it.truncated,
                it.rows,
                it.tokens,
                it.learned_tokens,
            ],
        )
    };
    let manifest = &card.manifest;
    let rows = manifest.sides().map(|(name, it)| side(name.told(), it));
    let header = [
        "split",
        "read",
        "too long",
        "cut",
        "rows",
        "tokens",
        "learned tokens",
    ];
    let how = card.split().map(|how| format!("{how}.\n\n"));
    let equal = match manifest.leaked {
        0 => String::new(),
        n => format!("\n{n} held-out rows say exactly what a training row says.\n"),
    };
    let body = how.unwrap_or_default() + &table(&header, rows) + &equal;
    section("Splits", &body)
}

fn lengths(card: &DataCard) -> String {
    let rows = card.stats.sides().filter_map(|(name, side)| {
        let it = side.lengths.as_ref()?;
        let mut cells = counted(name.told(), [it.min, it.p50, it.p90, it.p99, it.max]);
        cells.insert(2, format!("{:.1}", it.mean));
        Some(cells)
    });
    let header = ["tokens", "least", "mean", "median", "90 %", "99 %", "most"];
    let longest = card.manifest.max_length;
    let note = format!("\nA row may have {longest} tokens.\n");
    section("Lengths", &(table(&header, rows) + &note))
}

fn labels(card: &DataCard) -> String {
    let (stats, rows) = (&card.stats, card.stats.train.rows);
    let distinct = stats.distinct_targets;
    if stats.targets.is_empty() || distinct == rows {
        let body = format!("None: {distinct} different answers in {rows} training rows.\n");
        return section("Labels", &body);
    }
    let mut targets: Vec<_> = stats.targets.iter().collect();
    targets.sort_by_key(|(_, count)| Reverse(**count));
    let named = targets.iter().take(NAMED_LABELS).map(|(label, count)| {
        let share = 100.0 * **count as f64 / rows as f64;
        vec![
            code(label.trim()),
            count.to_string(),
            format!("{share:.1} %"),
        ]
    });
    let rest = match distinct.saturating_sub(NAMED_LABELS) {
        0 => String::new(),
        rest => format!("\nand {rest} more.\n"),
    };
    let body = format!("{distinct} different answers in the training rows.\n\n");
    let listed = table(&["label", "rows", "share"], named);
    section("Labels", &(body + &listed + &rest))
}

fn cleaning(card: &DataCard) -> String {
    let steps = &card.manifest.cleaning;
    if steps.is_empty() {
        return section("Cleaning", "None.\n");
    }
    let rows = steps
        .iter()
        .map(|it| counted(it.step.name(), [it.changed, it.left_out, it.listed]));
    let note = "\n`cleaning.jsonl` beside the rows has every row that a step changed, left out or listed.\n";
    let header = ["step", "changed", "left out", "listed"];
    section("Cleaning", &(table(&header, rows) + note))
}

fn personal(card: &DataCard) -> String {
    let policy = card.stated.as_ref().map(|it| it.section.clean.pii);
    let found = card.personal.iter();
    let rows = found.map(|(kind, it)| counted(kind.name(), [it.rows, it.places]));
    let found = table(&["kind", "rows", "places"], rows);
    let body = match (policy, card.personal.is_empty()) {
        (Some(Pii::Off), _) => "It was not looked for.\n".into(),
        (Some(_), true) => {
            "None was found. What has another shape than the known ones is not found.\n".into()
        }
        (None, true) => "Nothing is recorded of any.\n".into(),
        (Some(Pii::Report), false) => found + "\nIt is still in the rows.\n",
        (Some(Pii::Redact), false) => found + "\nPlaceholders stand in its stead.\n",
        (Some(Pii::Pseudonymise), false) => found + "\nPseudonyms stand in its stead.\n",
        (Some(Pii::Error) | None, false) => found,
    };
    section("Personal data", &body)
}

fn leaks(card: &DataCard) -> String {
    let leaks = &card.manifest.leaks;
    if leaks.is_empty() {
        return String::new();
    }
    let rows = leaks.iter().map(|it| {
        counted(
            &it.task,
            [it.rows, it.leaked, it.exact, it.near, it.passage],
        )
    });
    let header = [
        "task",
        "its rows",
        "among the training rows",
        "equal",
        "nearly equal",
        "13 words in a row",
    ];
    let out = match card.manifest.leaked_out {
        0 => String::new(),
        n => format!("\n{n} training rows were left out for it.\n"),
    };
    section("Rows of tasks", &(table(&header, rows) + &out))
}

fn digests(card: &DataCard) -> String {
    let manifest = &card.manifest;
    let of = |name: &str, digest: &str| vec![name.to_owned(), format!("`{digest}`")];
    let all = "everything that the rows depend on";
    let mut rows = vec![of(all, &manifest.input_digest)];
    let shards = manifest.shards.iter();
    rows.extend(shards.map(|shard| of(&format!("`{}`", shard.file), &shard.sha256)));
    section("Digests", &table(&["what", "sha256"], rows))
}

fn section(title: &str, body: &str) -> String {
    format!("## {title}\n\n{body}")
}

/// A row of counts under a name.
fn counted<const N: usize>(name: &str, counts: [usize; N]) -> Vec<String> {
    let counts = counts.iter().map(usize::to_string);
    std::iter::once(name.to_owned()).chain(counts).collect()
}

fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(header.iter().map(|cell| (*cell).to_owned()).collect());
    text += &line(header.iter().map(|_| "---".to_owned()).collect());
    let cell = |cell: String| cell.replace('|', "\\|").replace(['\n', '\r'], " ");
    let rows = rows.into_iter();
    text.extend(rows.map(|cells| line(cells.into_iter().map(cell).collect())));
    text
}

/// A text as code, whatever is in it.
fn code(text: &str) -> String {
    match text.contains('`') {
        true => format!("`` {text} ``"),
        false => format!("`{text}`"),
    }
}
