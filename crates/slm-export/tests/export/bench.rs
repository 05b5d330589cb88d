//! Tiny models, and room to export them.

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use serde_json::{Value, json};
use slm_export::{AnswerTasks, ExportError, Exported, Probe, ProbePrompt, Request, export};
use slm_gguf::Metadata;
use slm_gguf::{Array, Value as GgufValue};
use slm_model::{Decoder, DecoderConfig, LoraSpec, device};
use slm_recipe::{ExportSection, GgufType, LoraSection, ParitySection, TargetModules};
use slm_run::Event;
use slm_text::{ChatTokenizer, train_bpe};

pub(crate) const TYPES: [GgufType; 19] = [
    GgufType::F32,
    GgufType::F16,
    GgufType::BF16,
    GgufType::Q8_0,
    GgufType::Q6_K,
    GgufType::Q5_K_M,
    GgufType::Q5_K_S,
    GgufType::Q5_1,
    GgufType::Q5_0,
    GgufType::Q4_K_M,
    GgufType::Q4_K_S,
    GgufType::Q4_1,
    GgufType::Q4_0,
    GgufType::IQ4_NL,
    GgufType::IQ4_XS,
    GgufType::Q3_K_L,
    GgufType::Q3_K_M,
    GgufType::Q3_K_S,
    GgufType::Q2_K,
];

/// A folder with a tokenizer, and room for an export.
pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) tokenizer: ChatTokenizer,
    pub(crate) parity: ParitySection,
    pub(crate) gguf_adapter: bool,
}

impl Bench {
    pub(crate) fn new() -> Self {
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
        Self {
            dir,
            tokenizer,
            parity: ParitySection::default(),
            gguf_adapter: false,
        }
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.dir.path().join("export")
    }

    pub(crate) fn probes(&self) -> Vec<Probe> {
        let texts = [
            "the 7th row of the table",
            "line 12 is done, and row 345 of another table is not",
            "says that the line is done",
        ];
        texts
            .map(|text| Probe {
                origin: "rows.csv:1".into(),
                prompt: ProbePrompt::Text(text.into()),
                ids: self.tokenizer.encode(text, true).unwrap(),
            })
            .into()
    }

    /// The ids of the prompts.
    pub(crate) fn rows(&self) -> Vec<Vec<u32>> {
        self.probes().into_iter().map(|probe| probe.ids).collect()
    }

    pub(crate) fn export(
        &self,
        decoder: &Decoder,
        gguf: &[GgufType],
    ) -> (Result<Exported, ExportError>, Vec<Event>) {
        self.export_with(decoder, gguf, None)
    }

    pub(crate) fn export_with(
        &self,
        decoder: &Decoder,
        gguf: &[GgufType],
        tasks: Option<&AnswerTasks<'_>>,
    ) -> (Result<Exported, ExportError>, Vec<Event>) {
        let section = ExportSection {
            gguf: gguf.to_vec(),
            parity: self.parity.clone(),
            gguf_adapter: self.gguf_adapter,
            ..ExportSection::default()
        };
        self.export_all(decoder, &section, tasks)
    }

    pub(crate) fn export_as(
        &self,
        decoder: &Decoder,
        section: &ExportSection,
    ) -> (Result<Exported, ExportError>, Vec<Event>) {
        self.export_all(decoder, section, None)
    }

    /// The prompts of the comparison are the training rows as well.
    fn export_all(
        &self,
        decoder: &Decoder,
        section: &ExportSection,
        tasks: Option<&AnswerTasks<'_>>,
    ) -> (Result<Exported, ExportError>, Vec<Event>) {
        let mut events = Vec::new();
        let request = Request {
            section,
            name: "tiny",
            base_model: "../models/tiny-base",
            decoder,
            tokenizer: &self.tokenizer,
            base_dir: self.dir.path(),
            probes: &self.probes(),
            calibration: &self.rows(),
            out: &self.out(),
        };
        let exported = export(&request, tasks, &mut |event| events.push(event));
        (exported, events)
    }
}

/// A row that was ids from the beginning.
pub(crate) fn of_ids(ids: Vec<u32>) -> Probe {
    Probe {
        origin: "rows.jsonl:1".into(),
        prompt: ProbePrompt::Ids,
        ids,
    }
}

/// `{..}` over a small Llama whose weights are large enough for a wrong one to show.
pub(crate) fn config(vocab_size: usize, changes: Value) -> DecoderConfig {
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
pub(crate) fn random(config: DecoderConfig, seed: u64) -> Decoder {
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
pub(crate) fn with_adapter(decoder: Decoder) -> Decoder {
    let section = LoraSection {
        r: 4,
        lora_alpha: 8.0,
        lora_dropout: 0.0,
        target_modules: TargetModules::Names(
            ["q_proj", "k_proj", "v_proj", "down_proj"]
                .map(String::from)
                .into(),
        ),
        ..LoraSection::default()
    };
    with_lora(decoder, &section)
}

/// With the adapter that a recipe asks for, changed as by training.
pub(crate) fn with_lora(mut decoder: Decoder, section: &LoraSection) -> Decoder {
    decoder.attach_lora(&LoraSpec::from(section), 5).unwrap();
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

pub(crate) fn strings(metadata: &Metadata, key: &str) -> Vec<String> {
    match metadata.value(key) {
        Some(GgufValue::Array(Array::String(values))) => values.clone(),
        other => panic!("{key}: {other:?}"),
    }
}

pub(crate) fn types(metadata: &Metadata) -> Vec<i32> {
    match metadata.value("tokenizer.ggml.token_type") {
        Some(GgufValue::Array(Array::I32(values))) => values.clone(),
        other => panic!("{other:?}"),
    }
}

/// What an unfinished write leaves behind.
pub(crate) fn left_over(dir: &Path) -> Vec<String> {
    fs_err::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.'))
        .collect()
}
