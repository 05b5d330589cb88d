//! The certificate, and what it finds in tokenizers and templates.

use std::path::Path;

use serde_json::json;
use slm_export::{
    CERTIFICATE_JSON, Certificate, Certified, Certifier, Probe, ProbePrompt, TaskParity, Trained,
    compare_again, read_gguf_tokenizer,
};
use slm_gguf::{Metadata, Reader, TensorSpec, Value, Writer};
use slm_model::Decoder;
use slm_recipe::{GgufType, ParitySection};
use slm_text::{ChatTokenizer, Message};

use crate::bench::{Bench, config, random, with_adapter};

const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}{{ '<s>' + m.role + ': ' + m.content + '</s>' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<s>assistant: ' }}{% endif %}";

/// A bench whose tokenizer has a chat template, puts BOS before a text, and held-out conversations.
fn chatting() -> (Bench, Vec<Probe>) {
    let bench = Bench::new();
    let dir = bench.dir.path();
    fs_err::write(dir.join("chat_template.jinja"), TEMPLATE).unwrap();
    let path = dir.join("tokenizer_config.json");
    let mut config: serde_json::Value =
        serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    config["add_bos_token"] = true.into();
    config["bos_token"] = config["pad_token"].clone();
    config["tokenizer_class"] = "LlamaTokenizer".into();
    fs_err::write(&path, config.to_string()).unwrap();
    let tokenizer = ChatTokenizer::load(dir, "auto").unwrap();
    let mut probes: Vec<Probe> = ["the 7th row", "says line 12?"]
        .into_iter()
        .map(|text| {
            let messages = vec![Message::new("user", text)];
            Probe {
                origin: format!("rows.jsonl: {text}"),
                ids: tokenizer.render_prompt_ids(&messages).unwrap(),
                prompt: ProbePrompt::Chat(messages.into()),
            }
        })
        .collect();
    probes.push(Probe {
        origin: "rows.txt:1".into(),
        prompt: ProbePrompt::Text("line 12 is done".into()),
        ids: tokenizer.encode("line 12 is done", true).unwrap(),
    });
    let bench = Bench { tokenizer, ..bench };
    (bench, probes)
}

/// The GGUF file at `from` once more, its metadata changed.
fn rewritten(from: &Path, to: &Path, change: &dyn Fn(&mut Metadata)) {
    let reader = Reader::open(from).unwrap();
    let mut metadata = reader.metadata().clone();
    change(&mut metadata);
    let specs = reader.tensors().iter().map(|info| TensorSpec {
        name: info.name().into(),
        dims: info.dims().to_vec(),
        tensor_type: info.tensor_type(),
    });
    let mut writer = Writer::create(to, &metadata, specs.collect()).unwrap();
    for info in reader.tensors() {
        writer
            .write_bytes(info.name(), reader.bytes(info.name()).unwrap())
            .unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn files_hold_the_hash_of_the_certificate_that_is_about_them() {
    let bench = Bench::new();
    let decoder = with_adapter(random(config(300, json!({})), 4));
    let (exported, _) = bench.export(&decoder, &[GgufType::F32, GgufType::Q8_0]);
    let exported = exported.unwrap();
    for name in ["adapter", "merged", "tiny-F32.gguf", "tiny-Q8_0.gguf"] {
        let certified = Certified::open(&bench.out().join(name), None).unwrap();
        assert_eq!(certified.entry.file, name);
        assert!(
            certified.checks.iter().all(|check| check.ok),
            "{name}: {:?}",
            certified.checks
        );
        let digest = exported.files.iter().find(|file| file.path == name);
        if let Some(file) = digest {
            let found = slm_run::sha256_file(bench.out().join(name)).unwrap();
            assert_eq!(file.sha256, found, "the list has what is on the disk");
        }
    }
    let of = |name: &str| Certified::open(&bench.out().join(name), None).unwrap();
    let (certificate, _) = Certificate::read(&bench.out().join(CERTIFICATE_JSON)).unwrap();
    assert_eq!(certificate.prompts, bench.probes());
    let rounded = of("tiny-Q8_0.gguf").entry;
    assert_eq!((rounded.text.prompts, rounded.text.tokenized_alike), (3, 3));
    let worst = rounded.worst.unwrap();
    assert!(!worst.text.is_empty() && worst.prompt < 3, "{worst:?}");

    // A byte of a tensor, of a tokenizer's file, of the certificate: each is found.
    let flip = |path: &Path, at: usize| {
        let mut bytes = fs_err::read(path).unwrap();
        let at = bytes.len() - at;
        bytes[at] ^= 1;
        fs_err::write(path, bytes).unwrap();
    };
    let failed = |name: &str| -> Vec<String> {
        let checks = of(name).checks.into_iter().filter(|check| !check.ok);
        checks.map(|check| check.what).collect()
    };
    flip(&bench.out().join("tiny-Q8_0.gguf"), 1);
    assert_eq!(failed("tiny-Q8_0.gguf"), ["content"]);
    let tokenizer = bench.out().join("merged/tokenizer_config.json");
    flip(&tokenizer, 1);
    assert_eq!(failed("merged"), ["content"]);
    let path = bench.out().join(CERTIFICATE_JSON);
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, text.replace("\"ok\": true", "\"ok\": false")).unwrap();
    assert_eq!(failed("tiny-F32.gguf"), ["certificate"]);
}

#[test]
fn figures_come_out_again() {
    let bench = Bench::new();
    let decoder = random(config(300, json!({})), 4);
    let (exported, _) = bench.export(&decoder, &[GgufType::Q4_0]);
    exported.unwrap();
    let certified = Certified::open(&bench.out().join("tiny-Q4_0.gguf"), None).unwrap();
    let again = |decoder: &Decoder| {
        let probes = &certified.certificate.prompts;
        let trained = Trained::new(decoder, probes, &certified.certificate.limits).unwrap();
        let certifier = Certifier::new(&trained, &bench.tokenizer, None);
        let found = certifier.certify(&bench.out().join("tiny-Q4_0.gguf"), "tiny-Q4_0.gguf");
        compare_again(&certified.entry, &found.unwrap().unwrap())
    };
    let checks = again(&decoder);
    assert!(checks.iter().all(|check| check.ok), "{checks:?}");
    assert!(checks.iter().any(|check| check.what == "mean KL"));
    let checks = again(&random(config(300, json!({})), 5));
    let wrong = checks.iter().filter(|check| !check.ok);
    let wrong: Vec<&str> = wrong.map(|check| check.what.as_str()).collect();
    assert!(
        wrong.contains(&"verdict") && wrong.contains(&"mean KL"),
        "{wrong:?}"
    );
}

#[test]
fn a_fault_in_the_tokenizer_or_the_template_is_found() {
    let (bench, probes) = chatting();
    let decoder = random(config(300, json!({})), 4);
    let (exported, _) = bench.export(&decoder, &[GgufType::F32]);
    exported.unwrap();
    let trained = Trained::new(&decoder, &probes, &ParitySection::default()).unwrap();
    let certifier = Certifier::new(&trained, &bench.tokenizer, None);
    let good = bench.out().join("tiny-F32.gguf");
    let faults = |change: &dyn Fn(&mut Metadata)| {
        let path = bench.dir.path().join("fault.gguf");
        rewritten(&good, &path, change);
        let comparison = certifier.certify(&path, "fault.gguf").unwrap().unwrap();
        assert_eq!(comparison.ok, comparison.faults.is_empty());
        comparison.faults.join("; ")
    };
    assert_eq!(faults(&|_| {}), "");
    let set = |key: &'static str, value: Value| {
        move |metadata: &mut Metadata| {
            assert!(metadata.value(key).is_some(), "{key}");
            metadata.insert(key, value.clone());
        }
    };
    let template = |text: &str| Value::String(text.into());
    for (what, change, said) in [
        (
            "no BOS",
            set("tokenizer.ggml.add_bos_token", Value::Bool(false)),
            "the text `a` becomes",
        ),
        (
            "an EOS behind every text",
            set("tokenizer.ggml.add_eos_token", Value::Bool(true)),
            "the text `a` becomes",
        ),
        (
            "another EOS",
            set("tokenizer.ggml.eos_token_id", Value::U32(5)),
            "answers end at",
        ),
        (
            "a changed template",
            set(
                "tokenizer.chat_template",
                template(&TEMPLATE.replace(": ", ":")),
            ),
            "1 of 3 prompts are rendered alike",
        ),
        (
            "a double BOS",
            set(
                "tokenizer.chat_template",
                template(&format!("{{{{ bos_token }}}}{TEMPLATE}")),
            ),
            "1 of 3 prompts are rendered alike and 1 become the same tokens",
        ),
        (
            "a template that refuses",
            set(
                "tokenizer.chat_template",
                template("{{ raise_exception('no') }}"),
            ),
            "is refused",
        ),
        (
            "other merges",
            set(
                "tokenizer.ggml.merges",
                Value::Array(slm_gguf::Array::String(vec!["t h".into()])),
            ),
            "the same tokens",
        ),
    ] {
        let found = faults(&change);
        assert!(found.contains(said), "{what}: {found}");
    }
    // Missing, not changed.
    let found = faults(&|metadata| {
        let kept = metadata
            .iter()
            .filter(|(key, _)| !key.ends_with("eos_token_id"));
        let kept: Vec<_> = kept
            .map(|(key, value)| (key.to_string(), value.clone()))
            .collect();
        *metadata = Metadata::new();
        for (key, value) in kept {
            metadata.insert(key, value);
        }
    });
    assert!(found.contains("EOS is none"), "{found}");
}

#[test]
fn a_file_whose_tasks_may_be_worse_is_refused() {
    let mut bench = Bench::new();
    let decoder = random(config(300, json!({})), 4);
    let task = |most: f64| {
        move |_: &Decoder, _: &ChatTokenizer| {
            Ok(vec![TaskParity {
                task: "intent".into(),
                metric: "accuracy".into(),
                items: 10,
                trained: 0.5,
                exported: 0.4,
                drop: 0.1,
                interval: [0.0, most],
            }])
        }
    };
    bench.parity.max_task_drop = Some(0.2);
    let (exported, _) = bench.export_with(&decoder, &[GgufType::Q8_0], Some(&task(0.15)));
    let exported = exported.unwrap();
    // Folders in f32 are compared closer than by tasks.
    let n_tasks: Vec<usize> = exported.comparisons.iter().map(|c| c.tasks.len()).collect();
    assert_eq!(n_tasks, [0, 1]);
    let (exported, _) = bench.export_with(&decoder, &[GgufType::Q8_0], Some(&task(0.25)));
    let error = exported.unwrap_err();
    assert!(error.is_mismatch());
    assert!(
        error
            .to_string()
            .contains("accuracy of `intent` may be 0.250 worse"),
        "{error}"
    );
    assert!(bench.out().join("tiny-Q8_0.refused.gguf").exists());
}

#[test]
fn what_a_gguf_says_is_the_same_tokenizer() {
    let (bench, _) = chatting();
    let decoder = random(config(300, json!({})), 4);
    let (exported, _) = bench.export(&decoder, &[GgufType::F32]);
    exported.unwrap();
    let read = read_gguf_tokenizer(&bench.out().join("tiny-F32.gguf")).unwrap();
    for text in ["the row", " line  12\n\tof 7", "<s>a</s>", "Déjà vu 🚀", ""] {
        let ids = bench.tokenizer.encode(text, true).unwrap();
        assert_eq!(read.encode(text, true).unwrap(), ids, "{text:?}");
        assert_eq!(
            read.decode(&ids, false).unwrap(),
            bench.tokenizer.decode(&ids, false).unwrap()
        );
    }
    assert_eq!(read.stop_ids(), bench.tokenizer.stop_ids());
    assert_eq!(read.template_source(), Some(TEMPLATE));
}
