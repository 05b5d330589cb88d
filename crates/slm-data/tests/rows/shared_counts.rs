//! Every public data set that may be at hand, prepared: rows and tokens are those that another implementation counts, see
//! `tests/goldens/PROVENANCE.md`.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use slm_data::{CleanStep, prepare};
use slm_recipe::{CleanSection, DataSection, Finding, Format, Source};
use slm_text::ChatTokenizer;
use tempfile::TempDir;

/// Counts of a data set.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Figures {
    rows: usize,
    tokens: usize,
    learned_tokens: usize,
}

const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens");

fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if !path.join("data").exists() {
        eprintln!("skipped: 1 test needs `../shared/data`");
        return None;
    }
    Some(path)
}

/// The tokenizer of the goldens: SmolLM2's, with a ChatML template.
fn tokenizer(shared: &Path) -> (TempDir, ChatTokenizer) {
    let dir = tempfile::tempdir().unwrap();
    for (from, to) in [
        (
            shared.join("tokenizers/smollm2/tokenizer.json"),
            "tokenizer.json",
        ),
        (
            Path::new(GOLDENS).join("chatml_config.json"),
            "tokenizer_config.json",
        ),
    ] {
        fs_err::copy(from, dir.path().join(to)).unwrap();
    }
    let tokenizer = ChatTokenizer::load(dir.path(), "auto").unwrap();
    (dir, tokenizer)
}

/// How the rows of a data set are read.
fn source(name: &str) -> (Source, Format) {
    let columns = |columns: &[(&str, &str)]| {
        let columns = columns.iter();
        let columns = columns.map(|(name, column)| ((*name).to_owned(), (*column).to_owned()));
        Source {
            columns: columns.collect(),
            ..Source::default()
        }
    };
    let pair = |prompt, completion| columns(&[("prompt", prompt), ("completion", completion)]);
    let pairs = |prompt, completion| (pair(prompt, completion), Format::PromptCompletion);
    match name {
        "banking77/train.csv" => {
            let source = Source {
                prompt: Some("Query: {text}\nIntent:".into()),
                completion: Some(" {category}".into()),
                ..Source::default()
            };
            (source, Format::Auto)
        }
        "gsm8k/train.jsonl" => pairs("question", "answer"),
        "humaneval/HumanEval.jsonl.gz" => pairs("prompt", "canonical_solution"),
        "maintie/gold_release.json" => pairs(
            "text",
            "{{ entities | map(attribute='type') | join('; ') }}",
        ),
        "mt_bench/question.jsonl" => (columns(&[("text", "turns.0")]), Format::Text),
        name if name.starts_with("mts_dialog/") => pairs("dialogue", "section_text"),
        "sms_spam/SMSSpamCollection" => {
            pairs("{{ text.split('\\t')[1] }}", "{{ text.split('\\t')[0] }}")
        }
        "tatqa/tatqa_dataset_dev.json" => pairs("paragraphs.0.text", "questions.0.question"),
        "text2sql/advising.json" => pairs("sentences.0.text", "sql.0"),
        // It has the columns of pairs of answers, too.
        "instruct_llms_from_scratch/instruction-data-with-preference.json" => {
            (Source::default(), Format::Alpaca)
        }
        _ => (Source::default(), Format::Auto),
    }
}

/// Learns from all rows of a data set.
fn section(shared: &Path, name: &str, work: &Path) -> DataSection {
    let mut path = shared.join("data").join(name);
    if path.extension().is_none() {
        // A table without a header and an extension: lines of text.
        let copy = work.join("lines.txt");
        fs_err::copy(&path, &copy).unwrap();
        path = copy;
    }
    let (source, format) = source(name);
    DataSection {
        format,
        val_size: 0.0,
        accept_findings: vec![Finding::UnlearnedEnd],
        train: vec![Source {
            path: path.display().to_string(),
            ..source
        }],
        ..DataSection::default()
    }
}

#[test]
fn every_data_set_has_the_rows_and_tokens_that_others_count() {
    let Some(shared) = shared() else { return };
    let goldens = fs_err::read(Path::new(GOLDENS).join("shared_rows.json")).unwrap();
    let goldens: BTreeMap<String, Figures> = serde_json::from_slice(&goldens).unwrap();
    let (_kept, tokenizer) = tokenizer(&shared);
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (name, expected) in &goldens {
        let section = section(&shared, name, dir.path());
        let out = dir.path().join("out").join(name.replace('/', "-"));
        match prepare(&section, &[], &tokenizer, 100_000, 42, &out, &mut |_| {}) {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(manifest) => {
                let found = Figures {
                    rows: manifest.train.rows,
                    tokens: manifest.train.tokens,
                    learned_tokens: manifest.train.learned_tokens,
                };
                if found != *expected {
                    wrong.push(format!("{name}: {found:?}, {expected:?} was needed"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// All of these sets are said to be English, and were cleaned by their authors.
#[test]
fn clean_rows_stay_whatever_is_looked_for() {
    let Some(shared) = shared() else { return };
    let goldens = fs_err::read(Path::new(GOLDENS).join("shared_rows.json")).unwrap();
    let goldens: BTreeMap<String, Figures> = serde_json::from_slice(&goldens).unwrap();
    let (_kept, tokenizer) = tokenizer(&shared);
    let dir = tempfile::tempdir().unwrap();
    let (mut rows, mut found) = (0, Vec::new());
    for (name, figures) in &goldens {
        let section = DataSection {
            clean: CleanSection {
                strip_boilerplate: true,
                languages: vec!["en".into()],
                ..CleanSection::default()
            },
            ..section(&shared, name, dir.path())
        };
        let out = dir.path().join("out").join(name.replace('/', "-"));
        let manifest = prepare(&section, &[], &tokenizer, 100_000, 42, &out, &mut |_| {}).unwrap();
        rows += figures.rows;
        for step in manifest.cleaning {
            if step.changed + step.left_out > 0 {
                let (changed, left_out) = (step.changed, step.left_out);
                found.push((name.as_str(), step.step, changed, left_out));
            }
        }
    }
    let (language, boilerplate) = (CleanStep::Language, CleanStep::Boilerplate);
    let expected = vec![
        // Wrong: short questions with the name of an intent, 0.08 % of all.
        ("banking77/train.csv", language, 0, 8),
        // Footers of web pages.
        ("instruct_llamafactory/c4_demo.jsonl", boilerplate, 3, 0),
        // Right: answers in Spanish, Hindi, German and Indonesian; Chinese ones; Spanish, Hindi, Finnish, French.
        ("instruct_llamafactory/dpo_en_demo.json", language, 0, 4),
        ("instruct_llamafactory/identity.json", language, 0, 66),
        ("instruct_llamafactory/kto_en_demo.json", language, 0, 6),
        // Wrong: lists of the names of classes are in no language.
        ("maintie/gold_release.json", language, 0, 93),
        // Wrong: what people wrote on telephones with twelve keys, 0.3 % of all.
        ("sms_spam/SMSSpamCollection", language, 0, 17),
    ];
    assert_eq!((rows, found), (64_474, expected));
}

#[test]
fn what_is_one_object_or_packed_otherwise_is_refused_with_what_to_do() {
    let Some(shared) = shared() else { return };
    let (_kept, tokenizer) = tokenizer(&shared);
    let dir = tempfile::tempdir().unwrap();
    for (name, message, hint) in [
        (
            "pubmedqa/ori_pqal.json",
            "begins one object over several lines",
            "jq -c '.[]'",
        ),
        (
            "teleqna/teleqna_dev_2000.json",
            "begins one object over several lines",
            "jq -c '.[]'",
        ),
        (
            "text2sql/wikisql.json.bz2",
            "is compressed (`.bz2`)",
            "bunzip2 -k",
        ),
    ] {
        let path = shared.join("data").join(name).display().to_string();
        let section = DataSection {
            val_size: 0.0,
            train: vec![Source {
                path,
                ..Source::default()
            }],
            ..DataSection::default()
        };
        let out = dir.path().join("out");
        let error = prepare(&section, &[], &tokenizer, 100_000, 42, &out, &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains(message), "{name}: {error}");
        assert!(
            error.hint().unwrap().contains(hint),
            "{name}: {:?}",
            error.hint()
        );
    }
}
