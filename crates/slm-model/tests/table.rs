//! The table of `README.md`: which model is held to which reference, made from the goldens that the tests read.
//!
//! `UPDATE_TABLES=1 cargo test` writes it anew.

use std::path::{Path, PathBuf};

use slm_testkit::{Golden, golden_adapters, golden_models, golden_name};

const BEGIN: &str = "<!-- begin: made by tests/table.rs -->\n";
const END: &str = "<!-- end -->\n";

fn own_models() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/data");
    let own = own.canonicalize().unwrap();
    let all = golden_models(15).into_iter();
    all.filter(|model| model.canonicalize().unwrap().starts_with(&own))
        .collect()
}

/// The names that stand before `.end` in a file.
fn having(golden: &Golden, end: &str) -> Vec<String> {
    let mut names: Vec<String> = golden
        .names()
        .iter()
        .filter_map(|name| name.strip_suffix(end).map(String::from))
        .collect();
    names.sort();
    names
}

fn row(model: &Path) -> String {
    let golden = Golden::open(&model.join("base_ref.safetensors"));
    let config = std::fs::read_to_string(model.join("model/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let adapters = golden_adapters(model);
    let named = |adapters: Vec<&PathBuf>| -> String {
        let names = adapters
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
        names.collect::<Vec<_>>().join(", ")
    };
    let with = |part: &str| {
        let holds = |path: &&PathBuf| {
            let reference = Golden::open(&path.join("ref.safetensors"));
            reference.names().iter().any(|name| name.starts_with(part))
        };
        named(adapters.iter().filter(holds).collect())
    };
    let yes = |file: &str| {
        if model.join(file).is_file() {
            "yes"
        } else {
            ""
        }
    };
    [
        golden_name(model),
        config["model_type"].as_str().unwrap().to_string(),
        having(&golden, ".logits").join(", "),
        having(&golden, ".sequence")
            .join(", ")
            .replace("generate_", "")
            .replace("generate", "plain"),
        named(adapters.iter().collect()),
        with("plain.grad."),
        with("train.loss"),
        with("merged."),
        yes("full_ref.safetensors").into(),
        yes("bf16_ref.safetensors").into(),
    ]
    .join(" | ")
}

#[test]
fn the_readme_shows_what_is_tested() {
    let header = [
        "model",
        "family",
        "logits",
        "greedy, with and without the cache",
        "adapter logits",
        "adapter gradients",
        "ten steps",
        "merged weights",
        "full fine-tuning",
        "bf16",
    ];
    let mut table = format!(
        "| {} |\n|{}\n",
        header.join(" | "),
        "---|".repeat(header.len())
    );
    for model in own_models() {
        table += &format!("| {} |\n", row(&model));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the table has a beginning");
    let (held, after) = rest.split_once(END).expect("the table has an end");
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(
        held, table,
        "README.md is out of date: run `UPDATE_TABLES=1 cargo test`"
    );
}
