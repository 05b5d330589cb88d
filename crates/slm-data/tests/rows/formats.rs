//! What rows of each format and file type become.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, DictionaryArray, Float32Array,
    ListArray, RecordBatch, StringArray, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int32Type};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::basic::{Compression, ZstdLevel};
use slm_data::{HeldOut, Prompt, Row, load_examples, read_rows};
use slm_recipe::{Format, LabelNames, Source};

use crate::bench::{Bench, NO_TEMPLATE, TOKENIZER, parquet, table};

fn load(content: &str, source: impl Fn(Source) -> Source, format: Format) -> Vec<HeldOut> {
    let bench = Bench::with("a.jsonl", content);
    load_examples(
        &source(bench.source("a.jsonl")),
        format,
        1,
        Some(&TOKENIZER),
    )
    .unwrap()
}

fn auto(content: &str) -> Vec<HeldOut> {
    load(content, |source| source, Format::Auto)
}

/// `role: content` of each message, then the target after `=>`.
fn shown(row: &HeldOut) -> String {
    match &row.prompt {
        Prompt::Text(text) => format!("{text} => {}", row.target),
        Prompt::Chat(chat) => {
            let messages = chat
                .messages
                .iter()
                .map(|m| format!("{}: {}", m.role, m.content));
            format!(
                "{} => {}",
                messages.collect::<Vec<_>>().join(" | "),
                row.target
            )
        }
        Prompt::Tokens { prompt, answer } => format!("{prompt:?} => {answer:?}"),
    }
}

#[test]
fn messages() {
    let rows = auto(
        r#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]}"#,
    );
    assert_eq!(shown(&rows[0]), "system: s | user: u => a");
    let parts = r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "u"}, {"type": "text", "value": "v"}]}, {"role": "assistant", "content": "a", "name": null}]}"#;
    assert_eq!(shown(&auto(parts)[0]), "user: uv => a");
}

#[test]
fn tool_calls_reach_the_template_and_tools_are_kept() {
    let rows = auto(
        r#"{"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": null, "tool_calls": [{"name": "f"}]}, {"role": "tool", "content": "1"}, {"role": "assistant", "content": "a"}], "tools": "[{\"name\": \"f\"}]"}"#,
    );
    let Prompt::Chat(chat) = &rows[0].prompt else {
        panic!("not a chat")
    };
    assert_eq!(chat.messages[1].extra["tool_calls"][0]["name"], "f");
    assert_eq!(chat.tools[0]["name"], "f");
}

#[test]
fn share_gpt_roles_are_translated() {
    let rows = auto(
        r#"{"conversations": [{"from": "human", "value": "u"}, {"from": "function_call", "value": "{}"}, {"from": "observation", "value": "o"}, {"from": "gpt", "value": "a"}], "system": "s"}"#,
    );
    assert_eq!(
        shown(&rows[0]),
        "system: s | user: u | assistant: {} | tool: o => a"
    );
}

#[test]
fn renamed_columns_and_fields() {
    let names = [("messages", "chat"), ("role", "who"), ("content", "what")];
    let columns = names.map(|(name, column)| (name.to_owned(), column.to_owned()));
    let content = r#"{"chat": [{"who": "user", "what": "u"}, {"who": "assistant", "what": "a"}]}"#;
    let rows = load(
        content,
        |source| Source {
            columns: columns.clone().into(),
            ..source
        },
        Format::Auto,
    );
    assert_eq!(shown(&rows[0]), "user: u => a");
    let columns = [
        ("prompt".to_owned(), "q".to_owned()),
        ("completion".to_owned(), "a".to_owned()),
    ];
    let rows = load(
        r#"{"q": "1", "a": "2"}"#,
        |source| Source {
            columns: columns.clone().into(),
            ..source
        },
        Format::Auto,
    );
    assert_eq!(shown(&rows[0]), "1 => 2");
}

#[test]
fn roles_nested_fields_and_expressions_are_those_of_the_recipe() {
    let roles = [
        ("customer", "user"),
        ("agent", "assistant"),
        ("gpt", "tool"),
    ];
    let roles = roles.map(|(theirs, ours)| (theirs.to_owned(), ours.to_owned()));
    let content = r#"{"call": {"turns": [{"role": "customer", "content": "u"}, {"role": "gpt", "content": "o"}, {"role": "agent", "content": "a"}]}}"#;
    let chat = |column: &'static str| {
        let columns = [("messages".to_owned(), column.to_owned())];
        load(
            content,
            |source| Source {
                columns: columns.clone().into(),
                roles: roles.clone().into(),
                ..source
            },
            Format::Auto,
        )
    };
    for column in ["call.turns", "{{ call.turns }}"] {
        assert_eq!(shown(&chat(column)[0]), "user: u | tool: o => a");
    }
    let names = LabelNames::List(vec!["ham".into(), "spam".into()]);
    let rows = load(
        "{\"sms\": {\"text\": \"win!\"}, \"label\": 1}\n",
        |source| Source {
            prompt: Some("{sms.text}\n".into()),
            completion: Some(" {label}".into()),
            label_names: [("label".to_owned(), names.clone())].into(),
            ..source
        },
        Format::Auto,
    );
    assert_eq!(shown(&rows[0]), "win!\n =>  spam");
}

#[test]
fn alpaca_is_a_conversation_with_a_template_and_text_without() {
    let content = r#"{"instruction": "i", "input": "x", "output": "o", "history": [["q", "a"]]}"#;
    assert_eq!(
        shown(&auto(content)[0]),
        "user: q | assistant: a | user: i\nx => o"
    );
    let bench = Bench::with(
        "a.jsonl",
        r#"{"instruction": "i", "input": "", "output": "o"}"#,
    );
    let rows = load_examples(
        &bench.source("a.jsonl"),
        Format::Auto,
        1,
        Some(&NO_TEMPLATE),
    )
    .unwrap();
    let text = "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n\
                ### Instruction:\ni\n\n### Response: => o";
    assert_eq!(shown(&rows[0]), text);
}

#[test]
fn templates_make_pairs_of_any_table_and_conversations_where_asked() {
    let bench = Bench::with("a.csv", "text,category,id\n\"where, is it\",lost,7\n");
    let source = Source {
        prompt: Some("Query: {text}\nIntent:".into()),
        completion: Some(" {category}".into()),
        ..bench.source("a.csv")
    };
    let rows = load_examples(&source, Format::Auto, 1, None).unwrap();
    assert_eq!(shown(&rows[0]), "Query: where, is it\nIntent: =>  lost");
    assert_eq!(rows[0].origin, format!("{}:2", source.path));
    let slices: Vec<_> = rows[0]
        .slices
        .iter()
        .map(|(column, value)| format!("{column}={value}"))
        .collect();
    assert_eq!(slices, ["category=lost", "id=7"]);
    let source = Source {
        system: Some("s".into()),
        ..source
    };
    let rows = load_examples(&source, Format::Messages, 1, Some(&TOKENIZER)).unwrap();
    assert_eq!(
        shown(&rows[0]),
        "system: s | user: Query: where, is it\nIntent: =>  lost"
    );
}

#[test]
fn text_is_a_row_per_line() {
    let bench = Bench::with("a.txt", "one\n\ntwo\n");
    let rows = load_examples(&bench.source("a.txt"), Format::Auto, 1, None).unwrap();
    assert_eq!(
        rows.iter().map(shown).collect::<Vec<_>>(),
        [" => one", " => two"]
    );
}

#[test]
fn tables_of_every_kind_hold_the_same_rows() {
    let batch = table(&["one", "two"]);
    let mut file = Vec::new();
    let mut writer = FileWriter::try_new(&mut file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let mut stream = Vec::new();
    let mut writer = StreamWriter::try_new(&mut stream, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let zstd = Compression::ZSTD(ZstdLevel::default());
    for (name, bytes) in [
        ("plain.parquet", parquet(&batch, Compression::UNCOMPRESSED)),
        ("snappy.parquet", parquet(&batch, Compression::SNAPPY)),
        ("zstd.parquet", parquet(&batch, zstd)),
        ("file.arrow", file),
        ("stream.arrow", stream),
    ] {
        let bench = Bench::with(name, bytes);
        let read = read_rows(&bench.source(name).path).unwrap();
        assert_eq!(read.columns, ["text: Utf8", "label: Int64"], "{name}");
        let cells: Vec<_> = read
            .rows
            .iter()
            .map(|row| format!("{} {}", row.fields["text"], row.fields["label"]))
            .collect();
        assert_eq!(cells, ["\"one\" 0", "\"two\" 1"], "{name}");
        assert!(
            read.rows[1].origin.to_string().ends_with(" row 2"),
            "{name}"
        );
    }
}

#[test]
fn nested_and_foreign_columns_become_json() {
    let text = |values: &[&str]| Arc::new(StringArray::from_iter_values(values)) as ArrayRef;
    let roles = text(&["user", "assistant", "user", "assistant"]);
    let contents = text(&["u", "a", "v", "b"]);
    let field = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
    let messages = StructArray::from(vec![(field("role"), roles), (field("content"), contents)]);
    let item = Arc::new(Field::new("item", messages.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([2, 2]);
    let messages = ListArray::new(item, offsets, Arc::new(messages), None);
    let labels: DictionaryArray<Int32Type> = ["x", "y"].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("messages", Arc::new(messages)),
        ("label", Arc::new(labels)),
        ("day", Arc::new(Date32Array::from(vec![0, 1]))),
        ("score", Arc::new(Float32Array::from(vec![0.1, 2.0]))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        (
            "bytes",
            Arc::new(BinaryArray::from_vec(vec![b"text", b"\xff\xfe"])),
        ),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, true)),
    );
    let bench = Bench::with("a.parquet", parquet(&batch.unwrap(), Compression::SNAPPY));
    let source = bench.source("a.parquet");
    let rows = load_examples(&source, Format::Auto, 1, Some(&TOKENIZER)).unwrap();
    assert_eq!(
        rows.iter().map(shown).collect::<Vec<_>>(),
        ["user: u => a", "user: v => b"]
    );
    let read = read_rows(&source.path).unwrap().rows;
    let cells = |row: &Row| {
        ["label", "day", "score", "flag", "bytes"].map(|name| row.fields[name].to_string())
    };
    assert_eq!(
        cells(&read[0]),
        ["\"x\"", "\"1970-01-01\"", "0.1", "true", "\"text\""]
    );
    assert_eq!(
        cells(&read[1]),
        ["\"y\"", "\"1970-01-02\"", "2.0", "null", "{\"bytes\":2}"]
    );
}
