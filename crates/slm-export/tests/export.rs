//! Exports of tiny models, read back and compared; and files with faults in them, which must not pass.
//!
//! | test | what |
//! |---|---|
//! | `every_type_of_every_family_*` | all files of all families pass, and say what they are |
//! | `an_adapter_*`, `a_fully_trained_*` | which folders there are, and what is in them |
//! | `a_fault_*` | a file that is wrong in one place is found out |
//! | `a_type_that_is_too_coarse_*` | the file does not appear, the figures do |
//! | `fixtures_*`, `stories260k_*` | models that others made |

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use serde_json::{Value, json};
use slm_export::{Comparison, ExportError, Exported, Request, Trained, export, read_gguf};
use slm_gguf::{Array, Metadata, Reader, TensorSpec, Writer};
use slm_model::{Decoder, DecoderConfig, LoraSpec, device};
use slm_recipe::{Dtype, ExportSection, GgufType};
use slm_run::Event;
use slm_testkit::shared;
use slm_text::{ChatTokenizer, train_bpe};

const TYPES: [GgufType; 4] = [GgufType::F32, GgufType::F16, GgufType::BF16, GgufType::Q8_0];

/// A folder with a tokenizer, and room for an export.
struct Bench {
    dir: tempfile::TempDir,
    tokenizer: ChatTokenizer,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let texts =
            (0..200).map(|i| format!("the {i}th row of the table says that line {i} is done"));
        train_bpe(texts, 300, dir.path()).unwrap();
        fs_err::write(
            dir.path().join("generation_config.json"),
            "{\"eos_token_id\": 2}\n",
        )
        .unwrap();
        let tokenizer = ChatTokenizer::load(dir.path(), "auto").unwrap();
        Self { dir, tokenizer }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("export")
    }

    fn probes(&self) -> Vec<Vec<u32>> {
        let texts = [
            "the 7th row of the table",
            "line 12 is",
            "says that the line is done",
        ];
        texts
            .map(|text| self.tokenizer.encode(text, true).unwrap())
            .into()
    }

    fn export(
        &self,
        decoder: &Decoder,
        gguf: &[GgufType],
    ) -> (Result<Exported, ExportError>, Vec<Event>) {
        let section = ExportSection {
            gguf: gguf.to_vec(),
            ..ExportSection::default()
        };
        let mut events = Vec::new();
        let request = Request {
            section: &section,
            name: "tiny",
            base_model: "../models/tiny-base",
            decoder,
            tokenizer: &self.tokenizer,
            base_dir: self.dir.path(),
            probes: &self.probes(),
            out: &self.out(),
        };
        let exported = export(&request, &mut |event| events.push(event));
        (exported, events)
    }
}

/// `{..}` over a small Llama whose weights are large enough for a wrong one to show.
fn config(vocab_size: usize, changes: Value) -> DecoderConfig {
    let mut raw = json!({
        "model_type": "llama", "vocab_size": vocab_size, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": true, "initializer_range": 0.2,
    });
    let map = raw.as_object_mut().unwrap();
    map.extend(changes.as_object().unwrap().clone());
    DecoderConfig::from_json(raw, Path::new("config.json")).unwrap()
}

/// A model with random weights, vectors included.
fn random(config: DecoderConfig, seed: u64) -> Decoder {
    let device = device::open("cpu").unwrap();
    let mut state = seed;
    let mut unit = move || {
        // Knuth's 64-bit congruential generator.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let values = |name: &str, shape: &[usize]| -> Result<Vec<f32>, ExportError> {
        let offset = if name.contains("norm") { 1.0 } else { 0.0 };
        let n = shape.iter().product();
        Ok((0..n).map(|_| offset + 0.6 * unit()).collect())
    };
    Decoder::from_tensors(config, values, &device).unwrap()
}

/// With an adapter that changes something.
fn with_adapter(mut decoder: Decoder) -> Decoder {
    let spec = LoraSpec {
        r: 4,
        alpha: 8.0,
        dropout: 0.0,
        targets: ["q_proj", "k_proj", "v_proj", "down_proj"]
            .map(String::from)
            .into(),
    };
    decoder.attach_lora(&spec, 5).unwrap();
    for (n, param) in decoder.trainable_mut().into_iter().enumerate() {
        let dims = param.value.dims();
        let values: Vec<f32> = (0..dims[0] * dims[1])
            .map(|i| ((i * 7 + n * 13) % 23) as f32 / 46.0 - 0.25)
            .collect();
        let device = param.value.device().inner();
        param.set(Tensor::from_data(TensorData::new(values, dims), &device));
    }
    decoder
}

fn families() -> Vec<(&'static str, Value)> {
    vec![
        ("llama", json!({})),
        (
            "llama",
            json!({
                "tie_word_embeddings": false, "head_dim": 24, "num_key_value_heads": 1, "attention_bias": true, "mlp_bias": true,
                "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 64},
            }),
        ),
        (
            "llama",
            json!({"rope_scaling": {"rope_type": "linear", "factor": 4.0}, "num_key_value_heads": 4}),
        ),
        ("llama", json!({"model_type": "mistral", "rope_theta": 5e5})),
        ("qwen2", json!({"model_type": "qwen2", "rope_theta": 1e6})),
        (
            "qwen3",
            json!({"model_type": "qwen3", "head_dim": 32, "tie_word_embeddings": false}),
        ),
    ]
}

#[test]
fn every_type_of_every_family_answers_as_the_trained_model() {
    let bench = Bench::new();
    for (architecture, changes) in families() {
        let decoder = random(config(300, changes.clone()), 3);
        let (exported, _) = bench.export(&decoder, &TYPES);
        let exported = exported.unwrap();
        assert_eq!(exported.comparisons.len(), 5, "merged/ and four GGUF files");
        for comparison in &exported.comparisons {
            assert!(
                comparison.ok && comparison.tokens > 20,
                "{changes}: {comparison:?}"
            );
        }
        let reader = Reader::open(bench.out().join("tiny-Q8_0.gguf")).unwrap();
        let text = |key: &str| format!("{:?}", reader.metadata().value(key));
        assert!(text("general.architecture").contains(architecture));
        assert_eq!(
            reader.tensor("output.weight").is_ok(),
            changes["tie_word_embeddings"] == false
        );
    }
}

#[test]
fn an_adapter_is_exported_beside_the_merged_model() {
    let bench = Bench::new();
    let decoder = with_adapter(random(config(300, json!({})), 4));
    let (exported, events) = bench.export(&decoder, &[GgufType::F32]);
    let exported = exported.unwrap();
    let paths: Vec<&str> = exported
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    let expected = [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "merged/config.json",
        "merged/generation_config.json",
        "merged/model.safetensors",
        "merged/tokenizer.json",
        "merged/tokenizer_config.json",
        "tiny-F32.gguf",
    ];
    assert_eq!(paths, expected);
    let files: Vec<&str> = exported
        .comparisons
        .iter()
        .map(|c| c.file.as_str())
        .collect();
    assert_eq!(files, ["adapter", "merged", "tiny-F32.gguf"]);
    let wrote = events
        .iter()
        .filter(|event| matches!(event, Event::Wrote { .. }));
    assert_eq!(wrote.count(), 3);
    for name in [
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    ] {
        let [theirs, ours] = [
            bench.dir.path().join(name),
            bench.out().join("merged").join(name),
        ];
        assert_eq!(fs_err::read(theirs).unwrap(), fs_err::read(ours).unwrap());
    }
    let list = fs_err::read_to_string(bench.out().join("export.json")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["files"].as_array().unwrap().len(), expected.len());
    assert_eq!(list["comparisons"][0]["file"], "adapter");
    assert_eq!(list["files"][7]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(left_over(&bench.out()), Vec::<String>::new());

    // What the adapter adds is in the files: the base alone answers otherwise.
    let trained = Trained::new(&decoder.inference(), &bench.probes()).unwrap();
    assert!(!trained.compare("base", "F32", &decoder.base()).ok);
}

#[test]
fn a_fully_trained_model_has_no_adapter_folder() {
    let bench = Bench::new();
    let (exported, _) = bench.export(&random(config(300, json!({})), 4), &[]);
    assert!(
        exported
            .unwrap()
            .files
            .iter()
            .all(|file| file.path.starts_with("merged/"))
    );
    assert!(!bench.out().join("adapter").exists());
}

#[test]
fn the_gguf_says_what_the_tokenizer_is() {
    let bench = Bench::new();
    // Eight rows of the embedding have no token.
    let n_tokens = bench.tokenizer.vocab_size();
    let (exported, events) = bench.export(
        &random(config(n_tokens + 8, json!({})), 1),
        &[GgufType::F16],
    );
    exported.unwrap();
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Warning { .. }))
    );
    let reader = Reader::open(bench.out().join("tiny-F16.gguf")).unwrap();
    let text = |key: &str| format!("{:?}", reader.metadata().value(key).unwrap());
    assert_eq!(text("tokenizer.ggml.model"), "String(\"gpt2\")");
    assert_eq!(text("tokenizer.ggml.pre"), "String(\"smollm\")");
    assert_eq!(text("tokenizer.ggml.eos_token_id"), "U32(2)");
    assert_eq!(text("tokenizer.ggml.padding_token_id"), "U32(0)");
    assert_eq!(text("tokenizer.ggml.add_bos_token"), "Bool(false)");
    assert!(
        reader
            .metadata()
            .value("tokenizer.ggml.bos_token_id")
            .is_none()
    );
    assert!(text("tokenizer.chat_template").contains("<|im_start|>"));
    let tokens = strings(reader.metadata(), "tokenizer.ggml.tokens");
    assert_eq!(tokens.len(), n_tokens + 8);
    assert_eq!(tokens[..3], ["<|pad|>", "<|im_start|>", "<|im_end|>"]);
    assert_eq!(tokens[n_tokens], format!("[PAD{n_tokens}]"));
    let types = types(reader.metadata());
    assert_eq!(
        (types[0], types[2], types[3], types[n_tokens]),
        (3, 3, 1, 5)
    );
    let merges = strings(reader.metadata(), "tokenizer.ggml.merges");
    assert_eq!(merges.len(), n_tokens - 3 - 256);
    assert!(merges.contains(&"t h".to_string()), "{merges:?}");
}

#[test]
fn a_width_that_is_no_multiple_of_32_falls_back_and_is_told() {
    let bench = Bench::new();
    let decoder = random(config(300, json!({"intermediate_size": 172})), 2);
    let (exported, events) = bench.export(&decoder, &[GgufType::Q8_0]);
    exported.unwrap();
    let notes: Vec<&Event> = events
        .iter()
        .filter(|event| matches!(event, Event::Note { .. }))
        .collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        format!("{:?}", notes[0]).contains("2 tensors of `tiny-Q8_0.gguf` are F16"),
        "{notes:?}"
    );
    let reader = Reader::open(bench.out().join("tiny-Q8_0.gguf")).unwrap();
    let stored = |name: &str| reader.tensor(name).unwrap().tensor_type().name();
    assert_eq!(stored("blk.0.ffn_down.weight"), "F16");
    assert_eq!(stored("blk.0.ffn_up.weight"), "Q8_0");
    assert_eq!(stored("blk.0.attn_norm.weight"), "F32");
}

#[test]
fn an_unknown_pre_tokenizer_is_told() {
    let mut bench = Bench::new();
    let path = bench.dir.path().join("tokenizer.json");
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(
        &path,
        text.replace(
            "\"individual_digits\": true",
            "\"individual_digits\": false",
        ),
    )
    .unwrap();
    bench.tokenizer = ChatTokenizer::load(bench.dir.path(), "auto").unwrap();
    let (exported, events) = bench.export(&random(config(300, json!({})), 1), &[GgufType::F32]);
    exported.unwrap();
    let warned =
        |event: &Event| matches!(event, Event::Warning { text } if text.contains("`default`"));
    assert!(events.iter().any(warned), "{events:?}");
}

#[test]
fn without_prompts_a_warning_says_that_nothing_was_compared() {
    let bench = Bench::new();
    let decoder = random(config(300, json!({})), 1);
    let section = ExportSection::default();
    let mut events = Vec::new();
    let request = Request {
        section: &section,
        name: "tiny",
        base_model: "base",
        decoder: &decoder,
        tokenizer: &bench.tokenizer,
        base_dir: bench.dir.path(),
        probes: &[Vec::new()],
        out: &bench.out(),
    };
    let exported = export(&request, &mut |event| events.push(event)).unwrap();
    assert!(exported.comparisons.is_empty());
    assert!(matches!(&events[0], Event::Warning { text } if text.contains("not compared")));
}

#[test]
fn wrong_requests_are_refused() {
    let bench = Bench::new();
    let decoder = random(config(300, json!({})), 1);
    let section = ExportSection::default();
    let request = Request {
        section: &section,
        name: "tiny",
        base_model: "base",
        decoder: &decoder,
        tokenizer: &bench.tokenizer,
        base_dir: bench.dir.path(),
        probes: &[vec![1, 2], vec![3, 300]],
        out: &bench.out(),
    };
    let error = |request: &Request<'_>| export(request, &mut |_| {}).unwrap_err().to_string();
    assert_eq!(
        error(&request),
        "prompt 1 of the comparison has the token id 300, the model has 300"
    );
    assert!(
        error(&Request {
            name: "a/b",
            ..request
        })
        .contains("`a/b`")
    );

    let qwen = random(
        config(
            300,
            json!({"model_type": "qwen3", "attention_bias": true, "head_dim": 32}),
        ),
        1,
    );
    let (exported, _) = bench.export(&qwen, &[GgufType::F32]);
    let error = exported.unwrap_err();
    assert_eq!(
        error.to_string(),
        "GGUF has no place for biases in the attention of a qwen3 model"
    );
    assert!(error.hint().unwrap().contains("`merged/`"));
    assert_eq!(left_over(&bench.out()), Vec::<String>::new());
}

/// A good F32 file, written once more with `change` done to its metadata and to each tensor.
fn with_fault(
    bench: &Bench,
    decoder: &Decoder,
    mut change: impl FnMut(&mut Metadata, &mut Vec<(TensorSpec, Vec<f32>)>),
) -> Result<Comparison, ExportError> {
    let (exported, _) = bench.export(decoder, &[GgufType::F32]);
    exported.unwrap();
    let reader = Reader::open(bench.out().join("tiny-F32.gguf")).unwrap();
    let mut tensors: Vec<(TensorSpec, Vec<f32>)> = reader
        .tensors()
        .iter()
        .map(|info| {
            let spec = TensorSpec {
                name: info.name().into(),
                dims: info.dims().to_vec(),
                tensor_type: info.tensor_type(),
            };
            (spec, reader.dequantize(info.name()).unwrap())
        })
        .collect();
    let mut metadata = reader.metadata().clone();
    change(&mut metadata, &mut tensors);
    let path = bench.dir.path().join("fault.gguf");
    let specs = tensors.iter().map(|(spec, _)| spec.clone()).collect();
    let mut writer = Writer::create(&path, &metadata, specs).unwrap();
    for (spec, values) in &tensors {
        writer.write_f32(&spec.name, values).unwrap();
    }
    writer.finish().unwrap();
    let trained = Trained::new(decoder, &bench.probes()).unwrap();
    let exported = read_gguf(&path, decoder.config(), decoder.device())?;
    Ok(trained.compare("fault.gguf", "F32", &exported))
}

fn find<'a>(tensors: &'a mut [(TensorSpec, Vec<f32>)], name: &str) -> &'a mut Vec<f32> {
    &mut tensors
        .iter_mut()
        .find(|(spec, _)| spec.name == name)
        .unwrap()
        .1
}

#[test]
fn a_fault_in_a_tensor_is_found() {
    let bench = Bench::new();
    let decoder = random(config(300, json!({})), 6);
    let nothing = with_fault(&bench, &decoder, |_, _| {}).unwrap();
    assert!(nothing.ok, "{nothing:?}");

    // Rows of q in HF's order instead of pairs: one layer is enough.
    let trained = decoder.params();
    let q = trained
        .iter()
        .find(|p| p.name == "model.layers.1.self_attn.q_proj.weight")
        .unwrap();
    let halves: Vec<f32> = q.value.clone().into_data().try_into_vec().unwrap();
    let unpermuted = with_fault(&bench, &decoder, |_, tensors| {
        assert_ne!(*find(tensors, "blk.1.attn_q.weight"), halves);
        find(tensors, "blk.1.attn_q.weight").clone_from(&halves);
    });
    let unpermuted = unpermuted.unwrap();
    assert!(
        !unpermuted.ok && unpermuted.mean_kl > slm_export::MEAN_KL_LIMIT,
        "{unpermuted:?}"
    );

    let transposed = with_fault(&bench, &decoder, |_, tensors| {
        let o = find(tensors, "blk.0.attn_output.weight");
        *o = (0..64 * 64).map(|i| o[(i % 64) * 64 + i / 64]).collect();
    });
    let transposed = transposed.unwrap();
    assert!(
        !transposed.ok && transposed.mean_kl > slm_export::MEAN_KL_LIMIT,
        "{transposed:?}"
    );
}

#[test]
fn a_fault_in_the_metadata_is_found() {
    let bench = Bench::new();
    let decoder = random(config(300, json!({})), 6);
    let set = |key: &'static str, value: f32| {
        with_fault(&bench, &decoder, move |metadata, _| {
            assert!(metadata.value(key).is_some());
            metadata.insert(key, slm_gguf::Value::F32(value));
        })
    };
    assert!(!set("llama.rope.freq_base", 100_000.0).unwrap().ok);
    assert!(
        !set("llama.attention.layer_norm_rms_epsilon", 0.1)
            .unwrap()
            .ok
    );
}

#[test]
fn a_fault_in_what_the_file_holds_is_found() {
    let bench = Bench::new();
    let untied = random(config(300, json!({"tie_word_embeddings": false})), 6);
    let dropped = with_fault(&bench, &untied, |_, tensors| {
        tensors.retain(|(spec, _)| spec.name != "output.weight");
    });
    assert!(!dropped.unwrap().ok);

    let scaling = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64});
    let scaled = random(config(300, json!({"rope_scaling": scaling})), 6);
    let plain = with_fault(&bench, &scaled, |_, tensors| {
        find(tensors, "rope_freqs.weight").fill(1.0);
    });
    let error = plain.unwrap_err();
    assert!(
        error.is_mismatch() && error.to_string().contains("other factors"),
        "{error}"
    );
    let without = with_fault(&bench, &scaled, |_, tensors| {
        tensors.retain(|(spec, _)| spec.name != "rope_freqs.weight");
    });
    assert!(!without.unwrap().ok);
}

#[test]
fn a_type_that_is_too_coarse_does_not_appear() {
    let bench = Bench::new();
    let changes =
        json!({"hidden_size": 32, "num_attention_heads": 2, "tie_word_embeddings": false});
    let mut decoder = random(config(300, changes), 8);
    // One large column of the head adds the same to all logits, and leaves Q8_0 no steps for the others of its block.
    decoder.train_all();
    for param in decoder.trainable_mut() {
        if param.name == "lm_head.weight" {
            let mut values: Vec<f32> = param
                .value
                .clone()
                .inner()
                .into_data()
                .try_into_vec()
                .unwrap();
            values.iter_mut().step_by(32).for_each(|v| *v = 300.0);
            let device = param.value.device().inner();
            param.set(Tensor::from_data(
                TensorData::new(values, [300, 32]),
                &device,
            ));
        }
    }
    let (exported, _) = bench.export(&decoder, &[GgufType::F32, GgufType::Q8_0]);
    let error = exported.unwrap_err();
    assert!(
        error.is_mismatch() && error.to_string().contains("`tiny-Q8_0.gguf`"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("finer type"));
    assert!(bench.out().join("tiny-F32.gguf").exists());
    assert!(!bench.out().join("tiny-Q8_0.gguf").exists());
    assert_eq!(left_over(&bench.out()), Vec::<String>::new());
    let list = fs_err::read_to_string(bench.out().join("export.json")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["comparisons"][2]["ok"], false);
    assert!(
        list["files"]
            .as_array()
            .unwrap()
            .iter()
            .all(|file| file["path"] != "tiny-Q8_0.gguf")
    );
}

#[test]
fn fixtures_answer_as_the_trained_model() {
    let names = [
        "llama_tied",
        "llama_untied",
        "llama_rope_llama3",
        "llama_headdim_bias",
        "qwen2",
        "qwen3",
    ];
    let Some(fixtures) = shared("fixtures", names.len()) else {
        return;
    };
    let bench = Bench::new();
    let device = device::open("cpu").unwrap();
    for name in names {
        let dir = fixtures.join(name);
        let mut decoder = Decoder::load(&dir.join("model"), &device, Dtype::F32).unwrap();
        decoder.load_adapter(&dir.join("lora")).unwrap();
        // The fixtures have 256 tokens, the tokenizer more: it is cut to what both have.
        let (exported, _) = export_with_tiny_vocabulary(&bench, &decoder);
        for comparison in exported.unwrap().comparisons {
            assert!(comparison.ok, "{name}: {comparison:?}");
        }
    }
}

/// The fixtures have 256 tokens and no tokenizer: a vocabulary of single characters.
fn export_with_tiny_vocabulary(
    bench: &Bench,
    decoder: &Decoder,
) -> (Result<Exported, ExportError>, Vec<Event>) {
    let dir = bench.dir.path().join("small");
    fs_err::create_dir_all(&dir).unwrap();
    let vocab: Value = (0..250u32)
        .map(|id| (char::from_u32(0x100 + id).unwrap().to_string(), json!(id)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null, "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": []},
    });
    fs_err::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let section = ExportSection {
        gguf: TYPES.into(),
        ..ExportSection::default()
    };
    let probes = [(0..40).map(|i| (i * 37 + 11) % 250).collect::<Vec<u32>>()];
    let mut events = Vec::new();
    let request = Request {
        section: &section,
        name: "tiny",
        base_model: "tiny",
        decoder,
        tokenizer: &ChatTokenizer::load(&dir, "auto").unwrap(),
        base_dir: &dir,
        probes: &probes,
        out: &bench.out(),
    };
    let exported = export(&request, &mut |event| events.push(event));
    (exported, events)
}

#[test]
fn stories260k_answers_as_the_trained_model_and_keeps_its_tokens() {
    let Some(dir) = shared("models/stories260k", 5) else {
        return;
    };
    let device = device::open("cpu").unwrap();
    let decoder = Decoder::load(&dir, &device, Dtype::F32).unwrap();
    let tokenizer = ChatTokenizer::load(&dir, "auto").unwrap();
    let texts = [
        "Once upon a time, there was a little girl named Lily.",
        "She said: \"Déjà vu!\" 3 x 7 = 21\n\tand  went home 🚀",
    ];
    let probes: Vec<Vec<u32>> = texts
        .iter()
        .map(|text| tokenizer.encode(text, true).unwrap())
        .collect();
    let out = tempfile::tempdir().unwrap();
    let section = ExportSection {
        gguf: TYPES.into(),
        ..ExportSection::default()
    };
    let mut events = Vec::new();
    let request = Request {
        section: &section,
        name: "stories",
        base_model: "stories260k",
        decoder: &decoder,
        tokenizer: &tokenizer,
        base_dir: &dir,
        probes: &probes,
        out: out.path(),
    };
    let exported = export(&request, &mut |event| events.push(event)).unwrap();
    assert!(
        exported.comparisons.iter().all(|c| c.ok),
        "{:?}",
        exported.comparisons
    );
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Warning { .. })),
        "{events:?}"
    );

    let reader = Reader::open(out.path().join("stories-F32.gguf")).unwrap();
    let types = types(reader.metadata());
    assert_eq!((types[0], types[1], types[3], types[300]), (2, 3, 6, 1));
    for text in texts {
        assert_eq!(
            joined(reader.metadata(), text),
            tokenizer.encode(text, false).unwrap()
        );
    }
}

/// Tokens of `text` as llama.cpp makes them of a `llama` vocabulary: the best-scored neighbours are joined first, the
/// leftmost of equals; what is no token becomes bytes.
fn joined(metadata: &Metadata, text: &str) -> Vec<u32> {
    let tokens = strings(metadata, "tokenizer.ggml.tokens");
    let Some(slm_gguf::Value::Array(Array::F32(scores))) = metadata.value("tokenizer.ggml.scores")
    else {
        panic!("no scores");
    };
    let id = |piece: &str| tokens.iter().position(|token| token == piece);
    let mut pieces: Vec<String> = format!("▁{}", text.replace(' ', "▁"))
        .chars()
        .map(String::from)
        .collect();
    loop {
        let joins = (1..pieces.len()).filter_map(|at| {
            let id = id(&format!("{}{}", pieces[at - 1], pieces[at]))?;
            Some((at, scores[id]))
        });
        let best = joins.fold(None, |best: Option<(usize, f32)>, join| match best {
            Some(best) if best.1 >= join.1 => Some(best),
            _ => Some(join),
        });
        let Some((at, _)) = best else { break };
        let right = pieces.remove(at);
        pieces[at - 1].push_str(&right);
    }
    let ids = pieces.iter().flat_map(|piece| match id(piece) {
        Some(id) => vec![id as u32],
        None => piece
            .bytes()
            .map(|b| id(&format!("<0x{b:02X}>")).unwrap() as u32)
            .collect(),
    });
    ids.collect()
}

fn strings(metadata: &Metadata, key: &str) -> Vec<String> {
    match metadata.value(key) {
        Some(slm_gguf::Value::Array(Array::String(values))) => values.clone(),
        other => panic!("{key}: {other:?}"),
    }
}

fn types(metadata: &Metadata) -> Vec<i32> {
    match metadata.value("tokenizer.ggml.token_type") {
        Some(slm_gguf::Value::Array(Array::I32(values))) => values.clone(),
        other => panic!("{other:?}"),
    }
}

/// What an unfinished write leaves behind.
fn left_over(dir: &Path) -> Vec<String> {
    fs_err::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.'))
        .collect()
}
