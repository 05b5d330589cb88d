//! Models and adapters as llama.cpp's own converters write them (`tests/goldens/gguf/converted`).

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json, json};
use slm_export::{Probe, Request, Trained, export, read_gguf};
use slm_gguf::{Metadata, Reader, TensorSpec, Value, Writer};
use slm_model::{Decoder, DecoderConfig, device};
use slm_recipe::{Dtype, ExportSection, GgufType, ParitySection};
use slm_run::sha256_bytes;
use slm_text::ChatTokenizer;

use crate::bench::of_ids;
use crate::published::write_tokenizer;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens")
}

fn converted(file: &str) -> Map<String, Json> {
    let path = goldens().join("gguf/converted").join(file);
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

/// The golden model `name` with some keys of its config changed.
fn model(name: &str, changes: &Json) -> Decoder {
    let dir = goldens().join("data").join(name).join("model");
    let config = fs_err::read_to_string(dir.join("config.json")).unwrap();
    let mut config: Json = serde_json::from_str(&config).unwrap();
    let changes = changes.as_object().cloned().unwrap_or_default();
    config.as_object_mut().unwrap().extend(changes);
    let device = device::open("cpu").unwrap();
    let whole = Decoder::load(&dir, &device, Dtype::F32).unwrap();
    let params = whole.params();
    let values = |name: &str, _: &[usize]| {
        let param = params.iter().find(|param| param.name == name).unwrap();
        Ok::<_, std::convert::Infallible>(param.file_values())
    };
    let config = DecoderConfig::from_json(config, Path::new("config.json")).unwrap();
    Decoder::from_tensors(config, values, &device).unwrap()
}

fn probes() -> Vec<Probe> {
    vec![of_ids((0..24).map(|i| (i * 37 + 11) % 70).collect())]
}

/// Writes the files of `decoder` to `dir`: `tiny-F32.gguf` and, where it has an adapter, `tiny-lora-F32.gguf`.
fn written(decoder: &Decoder, dir: &Path) {
    write_tokenizer(dir, 70);
    let section = ExportSection {
        peft_adapter: false,
        merged: false,
        gguf_adapter: true,
        gguf: vec![GgufType::F32],
        ..ExportSection::default()
    };
    let request = Request {
        section: &section,
        name: "tiny",
        base_model: "tiny",
        decoder,
        tokenizer: &ChatTokenizer::load(dir, "auto").unwrap(),
        base_dir: dir,
        probes: &probes(),
        calibration: &[],
        out: dir,
    };
    export(&request, None, &mut |_| {}).unwrap();
}

/// Names, shapes and bytes are those of the golden; rotary factors are quotients, and may differ in their last bits.
fn assert_same_tensors(what: &str, reader: &Reader, golden: &Json) {
    let golden = golden["tensors"].as_object().unwrap();
    let mut names: Vec<&str> = reader.tensors().iter().map(|info| info.name()).collect();
    let mut needed: Vec<&str> = golden.keys().map(String::as_str).collect();
    names.sort_unstable();
    needed.sort_unstable();
    assert_eq!(names, needed, "{what}");
    for (name, found) in golden {
        let shape = json!(reader.tensor(name).unwrap().shape());
        assert_eq!(shape, found[0], "{what}: {name}");
        match &found[1] {
            Json::String(digest) => {
                let found = sha256_bytes(reader.bytes(name).unwrap());
                assert!(found.starts_with(digest), "{what}: {name}");
            }
            factors => {
                let factors = factors.as_array().unwrap().iter();
                for (needed, found) in factors.zip(reader.dequantize(name).unwrap()) {
                    let needed = needed.as_f64().unwrap();
                    let off = (f64::from(found) / needed - 1.0).abs();
                    assert!(off < 1e-6, "{what}: {name}: {found}, needed {needed}");
                }
            }
        }
    }
}

/// A key's value in the type that it has in a file.
fn value(json: &Json) -> Value {
    match json {
        Json::String(text) => Value::String(text.clone()),
        Json::Bool(flag) => Value::Bool(*flag),
        number if number.is_u64() => Value::U32(number.as_u64().unwrap() as u32),
        number => Value::F32(number.as_f64().unwrap() as f32),
    }
}

#[test]
fn tensors_and_keys_are_those_of_the_converter() {
    for (name, golden) in converted("models.json") {
        let decoder = model(&name, &golden["changes"]);
        let dir = tempfile::tempdir().unwrap();
        written(&decoder, dir.path());
        let reader = Reader::open(dir.path().join("tiny-F32.gguf")).unwrap();
        assert_same_tensors(&name, &reader, &golden);
        for (key, needed) in golden["keys"].as_object().unwrap() {
            let found = reader.metadata().value(key);
            // The converter writes these where they say nothing; and the last for nobody: llama.cpp reads another key.
            let is_moot = key.ends_with("attention.sliding_window") && needed == 0
                || key.ends_with("original_context_length") && needed == 64
                || key.ends_with("yarn_attn_factor");
            if !(is_moot && found.is_none()) {
                assert_eq!(found, Some(&value(needed)), "{name}: {key}");
            }
        }
    }
}

#[test]
fn a_file_of_the_converter_is_read() {
    for (name, golden) in converted("models.json") {
        let decoder = model(&name, &golden["changes"]);
        let dir = tempfile::tempdir().unwrap();
        written(&decoder, dir.path());
        // The tensors are the converter's, which the other test says. The keys are too.
        let reader = Reader::open(dir.path().join("tiny-F32.gguf")).unwrap();
        let mut metadata = Metadata::new();
        for (key, json) in golden["keys"].as_object().unwrap() {
            metadata.insert(key.as_str(), value(json));
        }
        let spec = |info: &slm_gguf::TensorInfo| TensorSpec {
            name: info.name().into(),
            dims: info.dims().to_vec(),
            tensor_type: info.tensor_type(),
        };
        let specs = reader.tensors().iter().map(spec).collect();
        let path = dir.path().join("converted.gguf");
        let mut writer = Writer::create(&path, &metadata, specs).unwrap();
        for info in reader.tensors() {
            let values = reader.dequantize(info.name()).unwrap();
            writer.write_f32(info.name(), &values).unwrap();
        }
        writer.finish().unwrap();
        let read = read_gguf(&path, decoder.device()).unwrap();
        let trained = Trained::new(&decoder, &probes(), &ParitySection::default()).unwrap();
        let comparison = trained.compare("converted.gguf", "F32", &read);
        assert!(comparison.ok, "{name}: {comparison:?}");
    }
}

#[test]
fn adapters_are_those_of_the_converter() {
    let models = converted("models.json");
    for (name, golden) in converted("adapters.json") {
        let mut decoder = model(&name, &models[&name]["changes"]);
        let adapter = goldens().join("data").join(&name).join("lora");
        decoder.load_adapter(&adapter).unwrap();
        let dir = tempfile::tempdir().unwrap();
        written(&decoder, dir.path());
        let reader = Reader::open(dir.path().join("tiny-lora-F32.gguf")).unwrap();
        assert_same_tensors(&name, &reader, &golden);
        for (key, needed) in golden["keys"].as_object().unwrap() {
            let found = reader.metadata().value(key);
            assert_eq!(found, Some(&value(needed)), "{name}: {key}");
        }
    }
}
