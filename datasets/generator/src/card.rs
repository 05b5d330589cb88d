//! The cards: what a data set is, how it was made, and the digests of its files.

use sha2::{Digest, Sha256};

use crate::baseline::nearest_message;
use crate::domain::Domain;
use crate::rows::{Row, TASKS, labels, row_count, title};
use crate::words::Split;

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
    card.push_str(&format!("\n## Splits\n\n{}", splits_text(domain)));
    let (right, rows) = nearest_message(&splits[0], &splits[1]);
    card.push_str(&format!(
        "\nMemorising is not enough: the label of the most similar training message (most shared words) is right for \
         {right} of the {rows} test intents.\n\n"
    ));
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

/// `datasets/base/README.md`.
pub(crate) fn base_card(files: &[Listed]) -> String {
    format!("{BASE_INTRO}{}{BASE_END}", file_table(files))
}

const BASE_INTRO: &str = "# Corpus of the base model\n\n\
What the project's own small base model is trained on: simple English about everyday life and the five domains. It is not \
committed; the generator writes it, the same bytes each time:\n\n    \
cargo run --release -p slm-datasets -- base --out runs/base-corpus\n\n\
Licence: CC0-1.0, no rights reserved. Every row is invented.\n\n## Files\n\n";

const BASE_END: &str = "\nThe generator's tests and `--check` make the files again and compare these digests.\n\n\
## Columns\n\n\
`train.jsonl` and `validation.jsonl` have `text`: domain facts 24 %, customer messages with replies 18 %, stories 18 %, \
statements 8 %, questions and answers 10 %, records and JSON 12 %, lists 6 %, explained words 4 %.\n\n\
`chat.jsonl` and `chat_validation.jsonl` have `messages` (some with a system turn) and `task`:\n\n\
| task | share | what |\n|---|---:|---|\n\
| copy_fields | 26 % | everyday fields out of a text into JSON, keys as asked |\n\
| read_note | 22 % | an everyday note and a question |\n\
| choose_topic | 12 % | one label out of a list in the prompt |\n\
| choose_area | 8 % | which domain a message belongs to, out of a list in the prompt |\n\
| copy_words | 8 % | repeat, first word, last word, the code in a text |\n\
| use_list | 8 % | count, first, last, next, in the list or not, as JSON |\n\
| small_talk | 7 % | greetings and the like |\n\
| explain | 5 % | what a word of a domain means |\n\
| count | 4 % | sums up to 40 |\n\n\
## What it shares with the data sets\n\n\
The wording of the *training* messages of the five domains occurs here without labels, and so do their training words. No \
template, no row and no held-out name of a test occurs. The three tasks of the domains (classify the intent, extract the \
fields of a domain, answer from a domain note) do not occur; a model has to learn them by fine-tuning.\n";

const LIMITS: &str = "## Limits\n\n\
- Each test task has 4 to 30 templates, with several rows each. Rows of one template tend to be right or wrong together, so an \
  interval that takes rows as independent is too narrow.\n\
- English only, short, and written by one hand: real messages are longer, messier and more varied. A score here says \
  that training works, not that a model is ready for customers.\n\
- About one message in twelve has a typing mistake, one in seven is all lower case.\n\
- There is one intent in each message and none that is out of scope.\n\
- Extraction values are copied as they stand; nothing has to be converted. Answers need no arithmetic.\n";
