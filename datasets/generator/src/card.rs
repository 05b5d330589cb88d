//! The cards: what a data set is, how it was made, and the digests of its files.

use sha2::{Digest, Sha256};

use crate::domain::Domain;
use crate::grammar::Split;
use crate::rows::{Row, TASKS, labels, row_count, title};

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A file and what the card says about it.
pub(crate) struct Listed<'a> {
    pub(crate) name: &'a str,
    pub(crate) rows: usize,
    pub(crate) bytes: &'a [u8],
}

/// Markdown table of files with rows, size and digest.
pub(crate) fn file_table(files: &[Listed]) -> String {
    let mut table = String::from("| file | rows | bytes | SHA-256 |\n|---|---:|---:|---|\n");
    for file in files {
        let (name, rows, size) = (file.name, file.rows, file.bytes.len());
        table.push_str(&format!(
            "| `{name}` | {rows} | {size} | `{}` |\n",
            digest(file.bytes)
        ));
    }
    table
}

/// `datasets/<domain>/README.md`.
pub(crate) fn domain_card(domain: &Domain, splits: &[Vec<Row>; 2], files: &[Listed]) -> String {
    let name = domain.name;
    let mut card = format!("# {}\n\n{}\n\n", title(domain), domain.about);
    card.push_str(&format!(
        "Every row is invented: a seeded generator expands templates that were written for this project. No row, \
         person, brand, product or number comes from a real source; a likeness is chance. Make it again, byte for \
         byte, with `cargo run --release -p slm-datasets`; `-- --check` compares the committed files with what the \
         generator makes. The material is in `datasets/generator/src/{name}.rs`.\n\n\
         Licence: CC0-1.0, no rights reserved.\n\n## Files\n\n{}\n",
        file_table(files)
    ));
    card.push_str(
        "`test.jsonl` holds all three tasks; the `test_*.jsonl` files are the same rows cut by task, for evaluations \
         that score one task.\n\n## Columns\n\n\
         | column | what |\n|---|---|\n\
         | `id` | name of the row |\n\
         | `task` | `intent`, `extraction` or `answer` |\n\
         | `group` | the template that the row was made from; the splits share no group |\n\
         | `messages` | one `user` turn and the `assistant` turn to learn |\n\n## Tasks\n\n",
    );
    card.push_str("| task | train | test | answer |\n|---|---:|---:|---|\n");
    let answers = [
        "one label out of the list below",
        "a JSON object without spaces, keys in the order of the prompt, values copied from the text",
        "a span of the note, a number, `yes`, `no` or `not stated`",
    ];
    for (task, answer) in TASKS.iter().zip(answers) {
        let (train, test) = (row_count(task, Split::Train), row_count(task, Split::Test));
        card.push_str(&format!("| {task} | {train} | {test} | {answer} |\n"));
    }
    card.push_str("\nOne row of each task from the test:\n\n```json\n");
    for task in TASKS {
        let example = splits[1].iter().find(|row| row.task == task);
        let json = example.map(|row| serde_json::to_string(row).unwrap_or_default());
        card.push_str(&format!("{}\n", json.unwrap_or_default()));
    }
    card.push_str("```\n\n## Labels\n\n");
    for label in labels(domain) {
        card.push_str(&format!("- `{label}`\n"));
    }
    card.push_str(&format!("\n## Splits\n\n{}\n", splits_text(domain)));
    card.push_str(LIMITS);
    card
}

fn splits_text(domain: &Domain) -> String {
    let count =
        |list: fn(&crate::domain::Intent) -> usize| domain.intents.iter().map(list).sum::<usize>();
    let fields = |list: fn(&crate::domain::Extraction) -> usize| {
        domain.extractions.iter().map(list).sum::<usize>()
    };
    format!(
        "Templates (train / test): intent {} / {}, extraction {} / {}, notes of the answers {} / {}. Each label has as \
         many rows as any other, in both splits. Names, products and other words with a held-out list, and generated \
         codes, dates, times, amounts and numbers, differ between the splits: no value that a test extraction asks \
         for is the answer to a training row's field.\n",
        count(|i| i.train.len()),
        count(|i| i.held_out.len()),
        fields(|e| e.train.len()),
        fields(|e| e.held_out.len()),
        domain.notes.len(),
        domain.notes_held_out.len(),
    )
}

const LIMITS: &str = "## Limits\n\n\
- English only, short, and written by one hand: real messages are longer, messier and more varied. A score here says \
  that training works, not that a model is ready for customers.\n\
- About one message in twelve has a typing mistake, one in seven is all lower case.\n\
- There is one intent in each message and none that is out of scope.\n\
- Extraction values are copied as they stand; nothing has to be converted. Answers need no arithmetic.\n";
