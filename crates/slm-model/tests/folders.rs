//! Model and adapter folders: written and read back, and the message of each way in which one can be broken.

use std::path::Path;

use serde_json::{Value, json};
use slm_model::{
    Decoder, DecoderConfig, LoraSpec, ModelError, Param, Tokens, device, save_adapter,
    save_pretrained,
};
use slm_recipe::{Dtype, LoraSection, TargetModules};
use tempfile::{TempDir, tempdir};

fn config() -> Value {
    json!({
        "model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": false, "initializer_range": 0.2,
    })
}

fn decoder() -> Decoder {
    let config = DecoderConfig::from_json(config(), Path::new("config.json")).unwrap();
    Decoder::init(config, 7, &device::open("cpu").unwrap())
}

fn folder() -> TempDir {
    let folder = tempdir().unwrap();
    save_pretrained(&decoder(), folder.path(), usize::MAX, &[]).unwrap();
    folder
}

fn load(folder: &TempDir) -> Result<Decoder, ModelError> {
    Decoder::load(folder.path(), &device::open("cpu").unwrap(), Dtype::F32)
}

fn refused(folder: &TempDir) -> (String, String) {
    let error = load(folder).unwrap_err();
    let text = error
        .to_string()
        .replace(&folder.path().display().to_string(), "DIR");
    (text, error.hint().unwrap_or_default())
}

fn edit_config(folder: &TempDir, edit: impl Fn(&mut Value)) {
    let path = folder.path().join("config.json");
    let mut value: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    edit(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

/// Rewrites the weights without those that `keep` refuses.
fn keep_tensors(folder: &TempDir, keep: impl Fn(&Param) -> bool) {
    let decoder = decoder();
    let kept: Vec<&Param> = decoder.params().into_iter().filter(|p| keep(p)).collect();
    slm_model::write_safetensors(&folder.path().join("model.safetensors"), kept, &[]).unwrap();
}

fn logits(decoder: &Decoder) -> Vec<f32> {
    let ids: Vec<i32> = (1..9).collect();
    let tokens = Tokens::new(
        &ids,
        &[0, 1, 2, 3, 4, 5, 6, 7],
        &[1; 8],
        [1, 8],
        decoder.device(),
    );
    let hidden = decoder.config().hidden_size;
    let states = decoder.hidden(&tokens, None, None).reshape([8, hidden]);
    decoder.logits(states).into_data().try_into_vec().unwrap()
}

/// Published GPT-2 files were saved without the head's wrapper, and hold tables that nothing needs.
#[test]
fn a_file_of_the_bare_model_is_the_same_model() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/data");
    for (family, prefix, table) in [
        ("gpt2", "transformer.", "h.0.attn.bias"),
        ("llama", "model.", "layers.0.self_attn.rotary_emb.inv_freq"),
    ] {
        let whole = goldens.join(family).join("model");
        let device = device::open("cpu").unwrap();
        let decoder = Decoder::load(&whole, &device, Dtype::F32).unwrap();
        let folder = tempdir().unwrap();
        std::fs::copy(whole.join("config.json"), folder.path().join("config.json")).unwrap();
        let bare = |p: &&Param| {
            let name = p.name.strip_prefix(prefix).unwrap_or(&p.name).to_string();
            (name, p.file_shape(), p.file_values())
        };
        let mut tensors: Vec<_> = decoder.params().iter().map(bare).collect();
        tensors.push((table.into(), vec![1], vec![0.0]));
        let path = folder.path().join("model.safetensors");
        slm_model::write_values(&path, &tensors, &[]).unwrap();
        assert_eq!(
            logits(&load(&folder).unwrap()),
            logits(&decoder),
            "{family}"
        );
    }
}

/// What a plan says of an adapter without making it.
#[test]
fn an_adapters_size_follows_from_the_shapes() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/data");
    let plain = LoraSection {
        r: 3,
        ..LoraSection::default()
    };
    let ranks = [(r"1\..*(down_proj|c_proj)".to_owned(), 5)];
    let sections = [
        plain.clone(),
        LoraSection {
            use_dora: true,
            layers_to_transform: vec![1],
            ..plain.clone()
        },
        LoraSection {
            rank_pattern: ranks.into(),
            ..plain.clone()
        },
    ];
    for family in ["gpt2", "llama"] {
        let device = device::open("cpu").unwrap();
        let config = DecoderConfig::read(&goldens.join(family).join("model")).unwrap();
        for section in &sections {
            let spec = LoraSpec::from(section);
            let mut decoder = Decoder::init(config.clone(), 1, &device);
            decoder.attach_lora(&spec, 1).unwrap();
            let trained = decoder.n_trainable();
            assert_eq!(spec.n_params(&config), trained, "{family}: {section:?}");
        }
    }
    let mut decoder = decoder();
    let spec = LoraSpec::from(&LoraSection {
        modules_to_save: vec!["embed_tokens".into(), "q_proj".into()],
        ..plain
    });
    decoder.attach_lora(&spec, 1).unwrap();
    assert_eq!(spec.n_params(decoder.config()), decoder.n_trainable());
}

#[test]
fn a_written_model_is_the_same_model() {
    assert_eq!(logits(&load(&folder()).unwrap()), logits(&decoder()));
}

#[test]
fn a_written_adapter_is_the_same_adapter() {
    let mut tuned = decoder();
    let targets = vec!["q_proj".into(), "down_proj".into()];
    tuned
        .attach_lora(
            &LoraSpec::from(&LoraSection {
                r: 2,
                lora_alpha: 3.0,
                lora_dropout: 0.0,
                target_modules: TargetModules::Names(targets),
                ..LoraSection::default()
            }),
            5,
        )
        .unwrap();
    for param in tuned.trainable_mut() {
        param.set(param.tensor().add_scalar(0.05));
    }
    let folder = tempdir().unwrap();
    save_adapter(&tuned, "base", folder.path(), &[]).unwrap();
    let mut loaded = decoder();
    loaded.load_adapter(folder.path()).unwrap();
    assert_eq!(logits(&loaded), logits(&tuned.inference()));
    assert_ne!(logits(&loaded), logits(&decoder()));
    for (a, b) in logits(&loaded.merged())
        .iter()
        .zip(logits(&tuned.inference()))
    {
        assert!((a - b).abs() < 1e-5, "merged {a} is not {b}");
    }
}

#[test]
fn a_folder_without_a_model_says_what_is_missing() {
    let empty = tempdir().unwrap();
    assert_eq!(
        refused(&empty).0,
        "no model at `DIR`: config.json is not there"
    );
    let folder = folder();
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let (text, hint) = refused(&folder);
    assert_eq!(text, "no model at `DIR`: model.safetensors is not there");
    assert!(hint.contains("tokenizer.json"));
}

#[test]
fn an_unknown_architecture_is_named() {
    let folder = folder();
    edit_config(&folder, |config| config["model_type"] = json!("rwkv"));
    assert!(refused(&folder).0.contains("`model_type` is `rwkv`"));
}

#[test]
fn missing_misshapen_and_unexpected_tensors_are_named() {
    let broken = folder();
    keep_tensors(&broken, |p| p.name != "model.layers.1.mlp.up_proj.weight");
    let (text, hint) = refused(&broken);
    assert_eq!(
        text,
        "`DIR/model.safetensors` has no tensor `model.layers.1.mlp.up_proj.weight`"
    );
    assert!(hint.contains("different models"));

    let broken = folder();
    edit_config(&broken, |config| config["intermediate_size"] = json!(40));
    assert_eq!(
        refused(&broken).0,
        "tensor `model.layers.0.mlp.gate_proj.weight` of `DIR/model.safetensors` has shape [24, 16], `config.json` needs [40, 16]"
    );

    let broken = folder();
    edit_config(&broken, |config| config["num_hidden_layers"] = json!(1));
    let (text, _) = refused(&broken);
    assert!(
        text.contains("no place for: `model.layers.1.input_layernorm.weight`"),
        "{text}"
    );
}

#[test]
fn truncated_weights_are_refused() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for (keep, reason) in [
        (bytes.len() - 100, "truncated"),
        (40, "header"),
        (3, "shorter than a header"),
    ] {
        std::fs::write(&path, &bytes[..keep]).unwrap();
        let (text, hint) = refused(&folder);
        assert!(
            text.starts_with("`DIR/model.safetensors` is not a readable safetensors file")
                && text.contains(reason),
            "{text}"
        );
        assert!(hint.contains("partial download"));
    }
}

#[test]
fn shards_behind_an_index_are_one_model() {
    let folder = folder();
    let decoder = decoder();
    let (first, second): (Vec<&Param>, Vec<&Param>) = decoder
        .params()
        .into_iter()
        .partition(|p| p.name.contains("layers.0"));
    let mut map = serde_json::Map::new();
    for (file, part) in [
        ("model-00001-of-00002.safetensors", first),
        ("model-00002-of-00002.safetensors", second),
    ] {
        map.extend(part.iter().map(|p| (p.name.clone(), json!(file))));
        slm_model::write_safetensors(&folder.path().join(file), part, &[]).unwrap();
    }
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let index = json!({ "metadata": {}, "weight_map": map });
    std::fs::write(
        folder.path().join("model.safetensors.index.json"),
        index.to_string(),
    )
    .unwrap();
    assert_eq!(logits(&load(&folder).unwrap()), logits(&decoder));
    std::fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    assert!(
        refused(&folder)
            .0
            .contains("model-00002-of-00002.safetensors")
    );
}

#[test]
fn an_adapter_of_another_kind_or_model_is_refused() {
    let folder = tempdir().unwrap();
    let mut tuned = decoder();
    tuned
        .attach_lora(
            &LoraSpec::from(&LoraSection {
                r: 2,
                lora_alpha: 3.0,
                lora_dropout: 0.0,
                target_modules: TargetModules::Names(vec!["q_proj".into()]),
                ..LoraSection::default()
            }),
            5,
        )
        .unwrap();
    save_adapter(&tuned, "base", folder.path(), &[]).unwrap();
    let path = folder.path().join("adapter_config.json");
    let written = std::fs::read_to_string(&path).unwrap();
    for (from, to, what) in [
        (
            "\"use_dora\": false",
            "\"use_dora\": true",
            "has no tensor `base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector`",
        ),
        (
            "\"init_lora_weights\": true",
            "\"init_lora_weights\": \"olora\"",
            "changes the base in a way that is not supported",
        ),
        (
            "\"bias\": \"none\"",
            "\"bias\": \"all\"",
            "`bias` is \"all\"",
        ),
        (
            "\"q_proj\"",
            "\"k_proj\"",
            "has no tensor `base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight`",
        ),
        ("\"r\": 2", "\"r\": 4", "has shape [2, 16]"),
        ("\"LORA\"", "\"IA3\"", "`peft_type` is \"IA3\""),
    ] {
        std::fs::write(&path, written.replace(from, to)).unwrap();
        let error = decoder()
            .load_adapter(folder.path())
            .unwrap_err()
            .to_string();
        assert!(error.contains(what), "{error}");
    }
    let error = decoder()
        .attach_lora(
            &LoraSpec::from(&LoraSection {
                target_modules: TargetModules::Names(vec!["query".into()]),
                ..tuned_spec()
            }),
            1,
        )
        .unwrap_err();
    assert!(error.hint().unwrap().contains("q_proj"));
}

fn tuned_spec() -> LoraSection {
    LoraSection {
        r: 2,
        lora_alpha: 3.0,
        ..LoraSection::default()
    }
}

#[test]
fn weights_that_are_too_many_for_a_file_go_to_several() {
    let folder = tempdir().unwrap();
    save_pretrained(&decoder(), folder.path(), 4096, &[("note", "kept")]).unwrap();
    assert!(!folder.path().join("model.safetensors").exists());
    let index = folder.path().join("model.safetensors.index.json");
    let index: Value = serde_json::from_str(&std::fs::read_to_string(index).unwrap()).unwrap();
    let map = index["weight_map"].as_object().unwrap();
    assert_eq!(map.len(), decoder().params().len());
    assert_eq!(
        index["metadata"]["total_size"],
        decoder().n_params() as u64 * 4
    );
    let mut files: Vec<&str> = map.values().filter_map(Value::as_str).collect();
    files.dedup();
    assert!(files.len() > 2, "{files:?}");
    let n = files.len();
    for (i, file) in files.into_iter().enumerate() {
        assert_eq!(file, format!("model-{:05}-of-{n:05}.safetensors", i + 1));
        let bytes = std::fs::read(folder.path().join(file)).unwrap();
        let header = usize::from_le_bytes(bytes[..8].try_into().unwrap());
        assert!(bytes.len() - 8 - header <= 4096, "{file}");
        let header: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
        assert_eq!(header["__metadata__"]["note"], "kept");
    }
    assert_eq!(logits(&load(&folder).unwrap()), logits(&decoder()));
}
