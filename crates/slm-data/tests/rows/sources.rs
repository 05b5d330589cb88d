//! Packed files, folders, patterns, and bad rows that are skipped.

use std::fmt::Write as _;
use std::io::Write;

use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::basic::Compression;
use slm_data::{Manifest, SKIPPED, Shards, SkippedRow, read_rows};
use slm_recipe::{DataSection, OnBadRow, Source};

use crate::bench::{Bench, parquet, table};

fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes.as_ref()).unwrap();
    packed.finish().unwrap()
}

fn zstd(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    zstd::encode_all(bytes.as_ref(), 1).unwrap()
}

#[test]
fn every_kind_of_file_is_read_packed_as_it_is_plain() {
    let batch = table(&["one", "two", "three"]);
    let (mut file, mut stream) = (Vec::new(), Vec::new());
    let mut writer = FileWriter::try_new(&mut file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let mut writer = StreamWriter::try_new(&mut stream, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let parquet = parquet(&batch, Compression::SNAPPY);
    let lines = "{\"text\": \"one\"}\r\n{\"text\": \"two\"}\r\n{\"text\": \"three\"}";
    let plain: [(&str, &[u8]); 8] = [
        ("a.jsonl", lines.as_bytes()),
        (
            "a.json",
            b"[{\"text\": \"one\"}, {\"text\": \"two\"}, {\"text\": \"three\"}]",
        ),
        ("a.csv", b"\xef\xbb\xbftext,label\none,0\ntwo,1\nthree,2\n"),
        ("a.tsv", b"text\tlabel\none\t0\ntwo\t1\nthree\t2\n"),
        ("a.txt", b"one\ntwo\nthree\n"),
        ("a.parquet", &parquet),
        ("a.arrow", &file),
        ("b.arrow", &stream),
    ];
    for (name, bytes) in plain {
        for (name, bytes) in [
            (name.to_owned(), bytes.to_vec()),
            (format!("{name}.gz"), gzip(bytes)),
            (format!("{name}.zst"), zstd(bytes)),
        ] {
            let bench = Bench::with(&name, bytes);
            let read = read_rows(&bench.source(&name).path).unwrap();
            let texts: Vec<_> = read
                .rows
                .iter()
                .map(|row| row.fields["text"].clone())
                .collect();
            assert_eq!(texts, ["one", "two", "three"], "{name}");
        }
    }
}

#[test]
fn a_folder_and_a_pattern_are_one_source() {
    let mut bench = Bench::new();
    fs_err::create_dir_all(bench.dir.path().join("rows/later")).unwrap();
    bench.write(
        "rows/b.jsonl.gz",
        gzip("{\"text\": \"three\"}\n{\"text\": \"four\"}\n"),
    );
    bench.write("rows/a.txt", "one\ntwo\n");
    bench.write("rows/later/c.csv", "text\nfive\n");
    bench.write("rows/.hidden.txt", "never\n");
    let train = Source {
        weight: 2.0,
        ..bench.source("rows")
    };
    let section = DataSection {
        train: vec![train],
        ..bench.section("rows")
    };
    let shards = bench.shards(&section);
    let origins: Vec<_> = (0..5)
        .map(|row| {
            shards
                .origin(row)
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(
        origins,
        [
            "a.txt:1",
            "a.txt:2",
            "b.jsonl.gz:1",
            "b.jsonl.gz:2",
            "c.csv:2"
        ]
    );
    let source = &shards.manifest().sources[0];
    assert_eq!((source.rows, source.files.len()), (5, 3));
    let rows: Vec<_> = source.files.iter().map(|file| file.rows).collect();
    assert_eq!(rows, [2, 2, 1]);
    let shares = shards.shares();
    assert_eq!(
        (shares.len(), shares[0].rows, shares[0].per_epoch()),
        (1, 5, 10)
    );

    let section = bench.section("rows/*.txt");
    assert_eq!(bench.prepare(&section).unwrap().train.rows, 2);
    let sampled = Source {
        max_samples: 3,
        ..bench.source("rows")
    };
    let section = DataSection {
        train: vec![sampled],
        ..bench.section("rows")
    };
    let manifest = bench.prepare(&section).unwrap();
    assert_eq!(
        (manifest.train.rows, manifest.sources[0].not_sampled),
        (3, 2)
    );
}

#[test]
fn files_of_one_source_have_rows_of_one_kind() {
    let mut bench = Bench::new();
    fs_err::create_dir(bench.dir.path().join("rows")).unwrap();
    bench.write("rows/a.txt", "one\n");
    bench.write(
        "rows/b.jsonl",
        "{\"prompt\": \"p\", \"completion\": \"c\"}\n",
    );
    let section = bench.section("rows");
    let (message, hint) = bench.refusal(&section);
    assert_eq!(
        message,
        "`rows/b.jsonl` has prompt_completion rows, and `rows/a.txt` of the same source has text rows"
    );
    assert_eq!(hint, "give each kind of rows a `[[data.train]]` of its own");
}

/// What is skipped of a file, and how many rows are learned from.
fn skipped(name: &str, content: impl AsRef<[u8]>) -> (Vec<String>, Manifest) {
    let mut bench = Bench::with(name, content);
    let section = bench.section(name);
    let (error, _) = bench.refusal(&section);
    let section = DataSection {
        on_bad_row: OnBadRow::Skip,
        ..section
    };
    let manifest = bench.prepare(&section).unwrap();
    let lines = fs_err::read_to_string(bench.out().join(SKIPPED)).unwrap();
    let folder = format!("{}/", bench.dir.path().display());
    let rows: Vec<SkippedRow> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(manifest.sources[0].skipped, rows.len());
    assert_eq!(manifest.sources[0].rows, manifest.train.read + rows.len());
    let shards = Shards::open(&bench.out()).unwrap();
    for row in &rows {
        assert_eq!(
            shards.origin(row.row),
            None,
            "a skipped row is learned from"
        );
    }
    let reasons: Vec<_> = rows
        .iter()
        .map(|row| row.reason.replace(&folder, ""))
        .collect();
    // The first of them is the error without skipping.
    assert!(reasons[0].starts_with(&error), "{reasons:?} {error}");
    let warned = format!("{} of {}", rows.len(), manifest.sources[0].rows);
    assert!(
        bench
            .warnings()
            .iter()
            .any(|text| text.starts_with(&warned))
    );
    (reasons, manifest)
}

#[test]
fn bad_rows_are_skipped_counted_and_listed() {
    let mut lines =
        b"{\"text\": \"one\"}\n{\"text\": }\n[1]\n{\"txt\": \"x\"}\n{\"text\": 3}\n".to_vec();
    lines.extend(b"{\"text\": \"caf\xe9\"}\n{\"text\": \"a\0\"}\n");
    lines.extend(b"{\"text\": \"two\"}\n");
    let deep = format!("{{\"text\": {}}}\n", "[".repeat(10_000));
    lines.extend(deep.as_bytes());
    let (reasons, manifest) = skipped("a.jsonl", lines);
    assert_eq!(
        reasons,
        [
            "`a.jsonl:2` is not valid JSON: expected value at column 10",
            "`a.jsonl:3` holds a list, an object with the columns of a row was needed",
            "`a.jsonl:4` has no column `text`, needed by format `text`; found `txt`",
            "`a.jsonl:5`: column `text` holds a number, a text was needed",
            "`a.jsonl:6` is not valid UTF-8: found byte 0xe9 at column 14",
            "`a.jsonl:7` has a NUL byte at column 12",
            "`a.jsonl:9` is not valid JSON: recursion limit exceeded at column 136",
        ]
    );
    assert_eq!(manifest.train.rows, 2);

    let (reasons, manifest) = skipped("a.csv", b"text,label\none\ntwo,b\ncaf\xe9,c\nthree,d\n");
    assert_eq!(
        reasons,
        [
            "`a.csv:2` is not valid CSV: found 1 cells, the first record names 2 columns",
            "`a.csv:4` is not valid UTF-8: found byte 0xe9 at column 4",
        ]
    );
    assert_eq!(manifest.train.rows, 2);

    let array = "[{\"text\": \"one\"}, 7, {\"text\": tru},\n {\"text\": \"two\"}]";
    let (reasons, manifest) = skipped("a.json", array);
    assert_eq!(
        reasons,
        [
            "`a.json:1` holds a number, an object with the columns of a row was needed",
            "`a.json:1` is not valid JSON: expected ident at column 34",
        ]
    );
    assert_eq!(manifest.train.rows, 2);

    // A chat template may refuse a row.
    let chat = |role: &str| {
        format!(
            "{{\"messages\": [{{\"role\": \"{role}\", \"content\": \"x\"}}, {{\"role\": \"assistant\", \"content\": \"y\"}}]}}\n"
        )
    };
    let (reasons, _) = skipped("a.jsonl", format!("{}{{\"messages\": 1}}\n", chat("user")));
    assert_eq!(reasons.len(), 1);
}

#[test]
fn a_file_of_bad_rows_only_is_an_error_all_the_same() {
    let mut bench = Bench::with("a.jsonl", "{\"text\n{]\n");
    let section = DataSection {
        on_bad_row: OnBadRow::Skip,
        ..bench.section("a.jsonl")
    };
    let (message, _) = bench.refusal(&section);
    assert_eq!(
        message,
        "`a.jsonl:1` is not valid JSON: EOF while parsing a string at column 6"
    );
    let section = bench.section("a.jsonl");
    assert_eq!(bench.refusal(&section).0, message);
}

#[test]
fn a_file_that_breaks_off_is_an_error_with_skipping_too() {
    let rows: String = (0..9000).fold(String::new(), |mut rows, row| {
        let _ = writeln!(rows, "{{\"text\": \"row {row}\"}}");
        rows
    });
    for (name, bytes) in [("a.jsonl.gz", gzip(&rows)), ("a.jsonl.zst", zstd(&rows))] {
        let mut bench = Bench::with(name, &bytes[..bytes.len() - 20]);
        let section = DataSection {
            on_bad_row: OnBadRow::Skip,
            ..bench.section(name)
        };
        let (message, hint) = bench.refusal(&section);
        assert!(
            message.starts_with(&format!("data file `{name}` cannot be unpacked: ")),
            "{message}"
        );
        assert_eq!(
            hint,
            "it may be cut off, or of another type than its extension says"
        );
    }
    let mut bench = Bench::with("a.json", "[{\"text\": \"x\"},\n{\"text\": \"y\"}");
    let section = DataSection {
        on_bad_row: OnBadRow::Skip,
        ..bench.section("a.json")
    };
    assert_eq!(
        bench.refusal(&section).0,
        "`a.json:2` is not valid JSON: EOF while parsing a list at column 13"
    );
}

#[test]
fn a_row_of_a_hundred_megabytes_names_its_line() {
    let mut lines = b"{\"text\": \"one\"}\n{\"text\": \"".to_vec();
    lines.resize(lines.len() + 100_000_000, b'x');
    lines.extend(b"\"}\n{\"text\": \"two\"}\n");
    let (reasons, manifest) = skipped("a.jsonl", &lines);
    assert_eq!(reasons, ["`a.jsonl:2` begins a row of more than 64 MiB"]);
    assert_eq!(manifest.train.rows, 2);
    // A quote that is never closed makes one row of the rest of a file.
    let mut csv = b"text\none\n\"".to_vec();
    csv.resize(csv.len() + 100_000_000, b'x');
    let mut bench = Bench::with("a.csv", csv);
    let section = bench.section("a.csv");
    assert_eq!(
        bench.refusal(&section),
        (
            "`a.csv:3` begins a row of more than 64 MiB".into(),
            "is it a file of rows? In a CSV, look for a quote that is never closed; else split the row".into()
        )
    );
}

#[test]
fn packed_files_that_become_too_much_are_refused() {
    let blanks = gzip(vec![b' '; 1 << 20]).repeat(100);
    let line = zstd(vec![b'x'; 100 << 20]);
    for (name, bytes) in [("a.jsonl.gz", blanks), ("a.parquet.zst", line)] {
        let mut bench = Bench::with(name, bytes);
        let section = bench.section(name);
        let (message, hint) = bench.refusal(&section);
        let start = format!("data file `{name}` unpacks to more than it may: its first ");
        assert!(message.starts_with(&start), "{message}");
        assert!(
            message.ends_with("more than 250 times as many"),
            "{message}"
        );
        assert_eq!(
            hint,
            format!(
                "unpack it yourself if it is what it should be, and name the plain file instead of `{name}`"
            )
        );
    }
}
