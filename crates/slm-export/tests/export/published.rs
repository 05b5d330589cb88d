//! Models that others made, from `../shared`.

use std::path::Path;

use serde_json::{Value, json};
use slm_export::{ExportError, Exported, Probe, ProbePrompt, Request, export, read_gguf};
use slm_gguf::{Array, Metadata, Reader};
use slm_model::{Decoder, device};
use slm_recipe::{Dtype, ExportSection};
use slm_run::Event;
use slm_testkit::shared;
use slm_text::ChatTokenizer;

use crate::bench::{Bench, TYPES, of_ids, strings, types};

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
        let exported = export_with_tiny_vocabulary(&bench, &decoder);
        for comparison in exported.unwrap().comparisons {
            assert!(comparison.ok, "{name}: {comparison:?}");
        }
    }
}

/// A file that llama.cpp's converter wrote, years ago: no rotary base, no number of tokens.
#[test]
fn a_file_of_llama_cpp_is_read_from_itself_alone() {
    let Some(dir) = shared("models/llama2_tiny_random_gguf", 1) else {
        return;
    };
    let path = dir.join("llama-2-tiny-random.gguf");
    let device = device::open("cpu").unwrap();
    let decoder = read_gguf(&path, &device).unwrap();
    let config = decoder.config();
    assert_eq!(config.family.model_type, "llama");
    assert_eq!(
        (config.vocab_size, config.hidden_size, config.head_dim),
        (32_000, 8, 4)
    );
    assert_eq!((config.ropes[0].theta, config.ropes[0].dim), (10_000.0, 4));
    assert!(!config.tie_word_embeddings);
}

/// The fixtures have 256 tokens and no tokenizer: a vocabulary of single characters.
fn export_with_tiny_vocabulary(bench: &Bench, decoder: &Decoder) -> Result<Exported, ExportError> {
    let dir = bench.dir.path().join("small");
    fs_err::create_dir_all(&dir).unwrap();
    write_tokenizer(&dir, 250);
    // Which names the special tokens, beside the tokenizer as beside the merged model.
    let config = decoder.config().raw.to_string();
    fs_err::write(dir.join("config.json"), config).unwrap();
    let section = ExportSection {
        gguf: TYPES.into(),
        ..ExportSection::default()
    };
    let probes = [of_ids((0..40).map(|i| (i * 37 + 11) % 250).collect())];
    let request = Request {
        section: &section,
        name: "tiny",
        base_model: "tiny",
        decoder,
        tokenizer: &ChatTokenizer::load(&dir, "auto").unwrap(),
        base_dir: &dir,
        probes: &probes,
        calibration: &[],
        out: &bench.out(),
    };
    export(&request, None, &mut |_| {})
}

/// A tokenizer of `n_tokens` single characters.
pub(crate) fn write_tokenizer(dir: &Path, n_tokens: usize) {
    // The printable half of GPT-2's alphabet, and what follows its other half.
    let letters = ('!'..='~').chain('\u{100}'..).take(n_tokens);
    let vocab: Value = letters
        .enumerate()
        .map(|(id, letter)| (letter.to_string(), json!(id)))
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
    let probes: Vec<Probe> = texts
        .iter()
        .map(|text| Probe {
            origin: "stories.txt:1".into(),
            prompt: ProbePrompt::Text((*text).into()),
            ids: tokenizer.encode(text, true).unwrap(),
        })
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
        calibration: &[],
        out: out.path(),
    };
    let exported = export(&request, None, &mut |event| events.push(event)).unwrap();
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
