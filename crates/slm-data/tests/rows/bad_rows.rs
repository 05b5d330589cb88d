//! Every refusal with its message and its hint.

use parquet::basic::Compression;
use slm_data::{DataError, Shards};
use slm_recipe::{DataSection, Format, Overlong, Source, TrainOn};

use crate::bench::{Bench, NO_TEMPLATE, parquet, table};

#[track_caller]
fn refused(name: &str, content: impl AsRef<[u8]>, message: &str, hint: &str) {
    let mut bench = Bench::with(name, content);
    let section = bench.section(name);
    let told = bench.refusal(&section);
    assert_eq!((told.0.as_str(), told.1.as_str()), (message, hint));
}

const PAIR: &str = "{\"prompt\": \"where is the card\", \"completion\": \" lost\"}\n";

#[test]
fn broken_json() {
    refused(
        "a.jsonl",
        format!("{PAIR}\n{{\"prompt\": \"x\" \"completion\": \"y\"}}\n"),
        "`a.jsonl:3` is not valid JSON: expected `,` or `}` at column 16",
        "every line has to be one complete JSON object, or the file one list of objects",
    );
    refused(
        "a.jsonl",
        format!("{PAIR}[1, 2]\n"),
        "`a.jsonl:2` holds a list, an object with the columns of a row was needed",
        "a row looks like {\"prompt\": \"..\", \"completion\": \"..\"}",
    );
    refused(
        "a.json",
        "{\n \"data\": [\n  {\"text\": \"a\"}\n ]\n}",
        "`a.json:1` begins one object over several lines, a list of rows or one row per line was needed",
        "to take the rows under `data`: `jq -c '.data[]' a.json > rows.jsonl`",
    );
}

#[test]
fn a_row_without_the_column() {
    refused(
        "a.jsonl",
        format!("{PAIR}{{\"prompt\": \"x\", \"complet\": \"y\"}}\n"),
        "`a.jsonl:2` has no column `completion`, needed by format `prompt_completion`; found `prompt`, `complet`",
        "`columns = { completion = \"complet\" }` takes it from another column",
    );
    refused(
        "a.jsonl",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"assistant\", \"text\": \"y\"}]}",
        "`a.jsonl:1`: column `messages[1]` holds `role`, `text`, `content` was needed",
        "",
    );
    refused(
        "a.jsonl",
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\"}]}]}",
        "`a.jsonl:1`: column `messages[0].content` holds a part of type `image_url`, text was needed",
        "",
    );
}

#[test]
fn a_template_that_does_not_fit_the_file() {
    let mut bench = Bench::with("a.csv", "text,category\nwhere is it,lost\n");
    let templates = |prompt: &str, completion: &str| -> (Option<String>, Option<String>) {
        (Some(prompt.into()), Some(completion.into()))
    };
    let mut told = |(prompt, completion)| {
        let source = Source {
            prompt,
            completion,
            ..bench.source("a.csv")
        };
        let section = DataSection {
            train: vec![source],
            ..bench.section("a.csv")
        };
        bench.refusal(&section)
    };
    let (message, hint) = told(templates("Query: {txt}", " {category}"));
    assert_eq!(
        message,
        "`a.csv:2` has no column `txt`, needed by the `prompt` template; found `text`, `category`"
    );
    assert_eq!(hint, "is it `text`?");
    let (message, hint) = told(templates("Query: {text", " {category}"));
    assert_eq!(
        message,
        "template `Query: {text` is broken: a `{` is never closed"
    );
    assert_eq!(
        hint,
        "`{column}` takes a column, `{{` and `}}` stand for braces"
    );
}

#[test]
fn rows_of_no_known_format() {
    refused(
        "a.csv",
        "question,answer\nwhy,so\n",
        "`a.csv` has rows of no known format; found `question`, `answer`; needed `messages`, `conversations`, \
         `instruction` and `output`, `prompt` and `completion`, `text`, or `input_ids` and `labels`",
        "say what is asked and answered: `prompt = \"{question}\"` and `completion = \"{answer}\"` beside `path`",
    );
}

#[test]
fn a_table_of_the_wrong_schema() {
    let mut bench = Bench::with("a.parquet", parquet(&table(&["x"]), Compression::SNAPPY));
    let section = DataSection {
        format: Format::PromptCompletion,
        ..bench.section("a.parquet")
    };
    let (message, hint) = bench.refusal(&section);
    assert_eq!(
        message,
        "`a.parquet row 1` has no column `prompt`, needed by format `prompt_completion`; found `text: Utf8`, `label: Int64`"
    );
    assert_eq!(
        hint,
        "`columns = { prompt = \"..\" }` takes it from another column"
    );
    let columns = [
        ("prompt".to_owned(), "text".to_owned()),
        ("completion".to_owned(), "label".to_owned()),
    ];
    let source = Source {
        columns: columns.into(),
        ..bench.source("a.parquet")
    };
    let section = DataSection {
        train: vec![source],
        ..section
    };
    let (message, _) = bench.refusal(&section);
    assert_eq!(
        message,
        "`a.parquet row 1`: column `label` holds a number, a text was needed"
    );
}

#[test]
fn files_that_hold_no_rows() {
    let hint = "a row is a line of JSON, a record after the header of a CSV, or a line of text";
    for (name, content) in [
        ("a.jsonl", ""),
        ("a.txt", "\n \n"),
        ("a.csv", "text,label\n"),
        ("a.json", "[]"),
    ] {
        refused(
            name,
            content,
            &format!("data file `{name}` has no rows"),
            hint,
        );
    }
    refused(
        "a.parquet",
        parquet(&table(&[]), Compression::SNAPPY),
        "data file `a.parquet` has no rows",
        hint,
    );
}

#[test]
fn bytes_that_are_no_text() {
    refused(
        "a.csv",
        b"text,label\nplain,a\ncaf\xe9,b\n",
        "`a.csv:3` is not valid UTF-8: found byte 0xe9 at column 4",
        "convert it to UTF-8; if it came from Windows: `iconv -f CP1252 -t UTF-8 a.csv > utf8-file`",
    );
    refused(
        "a.txt",
        b"\xff\xfeh\0i\0",
        "`a.txt:1` is not valid UTF-8: found byte 0xff at column 1",
        "it looks like UTF-16: `iconv -f UTF-16 -t UTF-8 a.txt > utf8-file`",
    );
}

#[test]
fn files_that_are_not_there_or_not_readable() {
    let mut bench = Bench::with("train.jsonl", PAIR);
    let section = bench.section("trian.jsonl");
    let told = bench.refusal(&section);
    assert_eq!(
        told,
        (
            "data file `trian.jsonl` does not exist".into(),
            "is it `train.jsonl`?".into()
        )
    );
    fs_err::create_dir(bench.dir.path().join("a.jsonl")).unwrap();
    let section = bench.section("a.jsonl");
    assert_eq!(bench.refusal(&section).0, "`a.jsonl` names no file");
    refused(
        "train.jsonl.xz",
        b"\xfd7zXZ",
        "data file `train.jsonl.xz` is compressed (`.xz`), a plain file was needed",
        "unpack it first: `xz -dk train.jsonl.xz`",
    );
    refused(
        "a.xlsx",
        "x",
        "data file `a.xlsx` has the unknown type `.xlsx`",
        "known are `.jsonl`, `.ndjson`, `.json`, `.csv`, `.tsv`, `.parquet`, `.arrow` and `.txt`, and each with `.gz` or `.zst` behind it; rename or convert it",
    );
}

#[test]
fn tables_that_are_damaged_or_compressed_otherwise() {
    let mut bench = Bench::with(
        "a.parquet",
        &parquet(&table(&["x", "y"]), Compression::SNAPPY)[..60],
    );
    let section = bench.section("a.parquet");
    let (message, hint) = bench.refusal(&section);
    assert!(
        message.starts_with("data file `a.parquet` is not a readable Parquet file: "),
        "{message}"
    );
    assert_eq!(
        hint,
        "it may be cut off, or of another type than its extension says"
    );
    bench.write("a.arrow", "not arrow at all");
    let section = bench.section("a.arrow");
    let (message, _) = bench.refusal(&section);
    assert!(
        message.starts_with("data file `a.arrow` is not a readable Arrow file: "),
        "{message}"
    );
}

#[test]
fn a_table_with_a_codec_that_is_not_built_in() {
    let mut bytes = parquet(&table(&["x", "y"]), Compression::SNAPPY);
    // The path `text` of the column's metadata, then the codec (Thrift compact, field 4): 1 is snappy, 2 is gzip.
    let snappy = b"\x04text\x15\x02";
    let at = bytes
        .windows(snappy.len())
        .position(|window| window == snappy)
        .unwrap();
    bytes[at + snappy.len() - 1] = 4;
    refused(
        "a.parquet",
        bytes,
        "data file `a.parquet` is compressed by `gzip`, `none`, `snappy` or `zstd` was needed for Parquet and `none` for Arrow",
        "write it again, for example with `duckdb -c \"COPY (FROM 'a.parquet') TO 'rows.parquet' (COMPRESSION zstd)\"`",
    );
}

#[test]
fn a_csv_record_with_a_cell_missing() {
    refused(
        "a.csv",
        "text,label\na,1\nb\n",
        "`a.csv:3` is not valid CSV: found 1 cells, the first record names 2 columns",
        "a cell that holds a comma, a quote or a line break is written in double quotes, a quote in it doubled",
    );
}

#[test]
fn a_conversation_that_teaches_nothing() {
    let good = "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"assistant\", \"content\": \"y\"}]}\n";
    let bad = "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}\n";
    refused(
        "a.jsonl",
        format!("{good}{bad}{good}{bad}"),
        "2 of 4 rows have nothing to learn: `a.jsonl:2`, `a.jsonl:4`",
        "learned are the messages of the role `assistant` (`gpt` in ShareGPT rows): look at the roles of these rows and at \
         `data.train_on`",
    );
    let mut bench = Bench::with("a.txt", "x\n");
    let section = DataSection {
        train_on: TrainOn::All,
        train_on_eos: false,
        ..bench.section("a.txt")
    };
    let (message, hint) = bench.refusal(&section);
    assert_eq!(message, "1 of 1 row has nothing to learn: `a.txt:1`");
    assert_eq!(
        hint,
        "a row needs at least two tokens: one to read and one to learn"
    );
}

#[test]
fn a_conversation_that_is_too_long() {
    let long = "z".repeat(40);
    let mut bench = Bench::with("a.txt", format!("the card\n{long}\n{long}{long}\n"));
    bench.max_length = 32;
    let section = bench.section("a.txt");
    let (message, hint) = bench.refusal(&section);
    assert_eq!(
        message,
        "2 of 3 rows are longer than `max_length` 32: `a.txt:2` (41 tokens), `a.txt:3` (81 tokens)"
    );
    assert_eq!(
        hint,
        "set `model.max_length` to 81, or choose with `data.overlong`: `drop`, `truncate_left` or `truncate_right` (each is \
         counted)"
    );
    let section = DataSection {
        overlong: Overlong::Drop,
        ..bench.section("a.txt")
    };
    assert_eq!(bench.prepare(&section).unwrap().train.dropped.overlong, 2);
}

#[test]
fn a_label_outside_the_set() {
    let mut bench = Bench::with("a.jsonl", format!("{PAIR}{}", PAIR.replace("lost", "lots")));
    let section = DataSection {
        labels: vec!["lost".into(), "found".into()],
        ..bench.section("a.jsonl")
    };
    let told = bench.refusal(&section);
    assert_eq!(
        told.0,
        "1 of 2 rows has a label outside `data.labels`: `a.jsonl:2` (`lots`)"
    );
    assert_eq!(told.1, "is `lots` meant to be `lost`?");
}

#[test]
fn columns_renamed_to_what_no_format_has() {
    let mut bench = Bench::with("a.jsonl", PAIR);
    let source = Source {
        columns: [("promt".to_owned(), "q".to_owned())].into(),
        ..bench.source("a.jsonl")
    };
    let section = DataSection {
        train: vec![source],
        ..bench.section("a.jsonl")
    };
    let told = bench.refusal(&section);
    assert_eq!(
        told.0,
        "`columns` of `a.jsonl` renames `promt`, which no format has"
    );
    assert_eq!(told.1, "is it `prompt`?");
}

#[test]
fn a_system_message_without_messages() {
    let mut bench = Bench::with("a.jsonl", PAIR);
    let source = Source {
        system: Some("be brief".into()),
        ..bench.source("a.jsonl")
    };
    let section = DataSection {
        train: vec![source],
        ..bench.section("a.jsonl")
    };
    let told = bench.refusal(&section);
    assert_eq!(
        told.0,
        "`system` of `a.jsonl` has no place in prompt/completion rows"
    );
    assert!(told.1.contains("data.format = \"messages\""), "{}", told.1);
}

#[test]
fn conversations_without_a_chat_template() {
    let mut bench = Bench::with(
        "a.jsonl",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}",
    );
    let section = bench.section("a.jsonl");
    let error = bench.prepare_with(&section, &NO_TEMPLATE).unwrap_err();
    assert_eq!(
        bench.told(&error).0,
        "`a.jsonl` has conversations, but the tokenizer has no chat template"
    );
}

#[test]
fn a_group_column_that_is_not_there() {
    let mut bench = Bench::with("a.jsonl", PAIR);
    let section = DataSection {
        group_by: Some("patient".into()),
        val_size: 0.5,
        ..bench.section("a.jsonl")
    };
    let (message, _) = bench.refusal(&section);
    assert_eq!(
        message,
        "`a.jsonl:1` has no column `patient`, needed by `data.group_by`; found `prompt`, `completion`"
    );
}

#[test]
fn nothing_left_to_learn_from() {
    let mut bench = Bench::with("a.jsonl", PAIR);
    let section = DataSection {
        val_every: 1,
        ..bench.section("a.jsonl")
    };
    let (message, _) = bench.refusal(&section);
    assert_eq!(
        message,
        "no rows are left to learn from: 1 read, 1 held out, 0 dropped"
    );
}

#[test]
fn a_folder_that_cannot_be_written() {
    let bench = Bench::with("a.jsonl", PAIR);
    bench.write("file", "x");
    let out = bench.dir.path().join("file/out");
    let made = slm_data::prepare(
        &bench.section("a.jsonl"),
        &[],
        &crate::bench::TOKENIZER,
        64,
        1,
        &out,
        &mut |_| {},
    );
    let error = made.unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Write {
                source: slm_run::RunError::NotAFolder { .. }
            }
        ),
        "{error}"
    );
    assert_eq!(
        error.hint().as_deref(),
        Some("choose a folder that can be written with `output_dir`")
    );
}

#[test]
fn shards_that_are_not_what_was_written() {
    let mut bench = Bench::with("a.jsonl", PAIR);
    let told = |bench: &Bench| {
        let error = Shards::open(&bench.out()).unwrap_err();
        assert_eq!(
            error.hint().as_deref(),
            Some("prepare the data again with `slm-tune data prepare`")
        );
        bench.told(&error).0
    };
    assert_eq!(
        told(&bench),
        "data in `out` is not usable: found no `manifest.json`, which is written last"
    );
    let section = bench.section("a.jsonl");
    bench.prepare(&section).unwrap();
    let shard = bench.out().join("train-00000.parquet");
    let mut bytes = fs_err::read(&shard).unwrap();
    bytes[100] ^= 1;
    fs_err::write(&shard, bytes).unwrap();
    let message = "data in `out/train-00000.parquet` is not usable: its digest is not the one in `manifest.json`";
    assert_eq!(told(&bench), message);
    fs_err::write(
        bench.out().join("manifest.json"),
        "{\"format_version\": 99}",
    )
    .unwrap();
    assert_eq!(
        told(&bench),
        "data in `out` is not usable: it has format version 99, 4 was needed"
    );
}
