//! Quantized files that follow what matters, and types that the recipe sets.

use serde_json::json;
use slm_export::ExportError;
use slm_gguf::{GgufError, ImportanceMatrix, Reader, TensorType, Value};
use slm_model::Decoder;
use slm_recipe::{ExportSection, GgufType, ParitySection};
use slm_run::Event;

use crate::bench::{Bench, config, random};

/// Rows of 256: no type has to fall back.
fn wide() -> Decoder {
    let changes = json!({"hidden_size": 256, "intermediate_size": 256});
    random(config(300, changes), 6)
}

fn section(gguf: &[GgufType], imatrix: Option<&str>) -> ExportSection {
    ExportSection {
        peft_adapter: false,
        merged: false,
        gguf: gguf.to_vec(),
        imatrix: imatrix.map(String::from),
        // What rounding costs is not what is looked for.
        parity: ParitySection {
            max_mean_kl: Some(100.0),
            min_top1_agreement: None,
            ..ParitySection::default()
        },
        ..ExportSection::default()
    }
}

fn open(bench: &Bench, name: &str) -> Reader {
    Reader::open(bench.out().join(name)).unwrap()
}

/// For the first layer's queries: Σ over all tokens of (norm · x / rms(x))², in f64.
fn sums_by_hand(decoder: &Decoder, rows: &[Vec<u32>]) -> Vec<f64> {
    let params = decoder.params();
    let values = |name: &str| {
        let param = params.iter().find(|param| param.name == name).unwrap();
        param.file_values()
    };
    let embed = values("model.embed_tokens.weight");
    let norm = values("model.layers.0.input_layernorm.weight");
    let n = norm.len();
    let mut sums = vec![0.0; n];
    for &id in rows.iter().flatten() {
        let x: Vec<f64> = embed[id as usize * n..][..n]
            .iter()
            .map(|&v| v.into())
            .collect();
        let mean_square = x.iter().map(|v| v * v).sum::<f64>() / n as f64;
        for ((sum, x), norm) in sums.iter_mut().zip(&x).zip(&norm) {
            *sum += (x * f64::from(*norm)).powi(2) / (mean_square + 1e-5);
        }
    }
    sums
}

#[test]
fn what_matters_is_measured_on_the_rows() {
    let (bench, decoder) = (Bench::new(), wide());
    let (exported, _) = bench.export_as(&decoder, &section(&[GgufType::Q4_0], Some("rows")));
    let exported = exported.unwrap();
    let paths: Vec<_> = exported.files.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "tiny.imatrix.gguf",
            "tiny-Q4_0.gguf",
            "Modelfile",
            "README.md",
            "certificate.json"
        ]
    );

    let matrix = ImportanceMatrix::read(bench.out().join("tiny.imatrix.gguf")).unwrap();
    assert_eq!(
        matrix.tensors().len(),
        14,
        "seven linear layers in each of two"
    );
    assert_eq!(matrix.datasets(), ["3 training rows of tiny"]);
    let tokens: usize = bench.rows().iter().map(Vec::len).sum();
    let sums: Vec<_> = matrix
        .tensors()
        .map(|(_, sums)| sums.counts.clone())
        .collect();
    assert!(sums.iter().all(|counts| counts == &[tokens as u64]));
    let by_hand = sums_by_hand(&decoder, &bench.rows());
    for name in ["blk.0.attn_q.weight", "blk.0.attn_v.weight"] {
        let (_, sums) = matrix.tensors().find(|(found, _)| *found == name).unwrap();
        for (found, needed) in sums.in_sum2.iter().zip(&by_hand) {
            assert!(
                (f64::from(*found) - needed).abs() < 1e-4 * needed,
                "{found} {needed}"
            );
        }
    }

    let reader = open(&bench, "tiny-Q4_0.gguf");
    let value = |key: &str| reader.metadata().value(key).cloned();
    let text = |text: &str| Some(Value::String(text.into()));
    assert_eq!(value("quantize.imatrix.file"), text("tiny.imatrix.gguf"));
    assert_eq!(
        value("quantize.imatrix.dataset"),
        text("3 training rows of tiny")
    );
    assert_eq!(
        value("quantize.imatrix.entries_count"),
        Some(Value::U32(14))
    );
    assert_eq!(
        value("quantize.imatrix.chunks_count"),
        Some(Value::U32(matrix.chunk_count()))
    );
    let list = fs_err::read_to_string(bench.out().join("export.json")).unwrap();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["calibration"], json!({"rows": 3, "tokens": tokens}));
}

/// Σ importance · (stored − weight)² over the tensors of the layers.
fn weighted_error(file: &Reader, exact: &Reader, matrix: &ImportanceMatrix) -> f64 {
    let mut sum = 0.0;
    for info in exact.tensors() {
        let Some(importance) = matrix.weights(info.name()) else {
            continue;
        };
        let [stored, weight] = [file, exact].map(|file| file.dequantize(info.name()).unwrap());
        let rows = stored
            .chunks(importance.len())
            .zip(weight.chunks(importance.len()));
        for (stored, weight) in rows {
            let columns = stored.iter().zip(weight).zip(&importance);
            sum += columns
                .map(|((stored, weight), importance)| importance * (stored - weight).powi(2))
                .map(f64::from)
                .sum::<f64>();
        }
    }
    sum
}

#[test]
fn what_matters_is_met_better() {
    let (bench, decoder) = (Bench::new(), wide());
    let types = [
        GgufType::Q5_0,
        GgufType::Q4_K_M,
        GgufType::Q4_0,
        GgufType::IQ4_XS,
        GgufType::Q3_K_S,
        GgufType::Q2_K,
    ];
    let (exported, _) = bench.export_as(&decoder, &section(&types, None));
    exported.unwrap();
    let evenly: Vec<Reader> = types
        .iter()
        .map(|weights| {
            let name = format!("even-{}.gguf", weights.name());
            let path = bench.out().join(format!("tiny-{}.gguf", weights.name()));
            fs_err::rename(path, bench.out().join(&name)).unwrap();
            open(&bench, &name)
        })
        .collect();
    assert!(!bench.out().join("tiny.imatrix.gguf").exists());
    let with_exact = [&[GgufType::F32], types.as_slice()].concat();
    let (exported, _) = bench.export_as(&decoder, &section(&with_exact, Some("rows")));
    assert!(exported.unwrap().comparisons.iter().all(|it| it.ok));
    let exact = open(&bench, "tiny-F32.gguf");
    assert!(exact.metadata().value("quantize.imatrix.file").is_none());
    let matrix = ImportanceMatrix::read(bench.out().join("tiny.imatrix.gguf")).unwrap();
    for (weights, evenly) in types.iter().zip(&evenly) {
        let weighted = open(&bench, &format!("tiny-{}.gguf", weights.name()));
        let [found, without] = [&weighted, evenly].map(|it| weighted_error(it, &exact, &matrix));
        assert!(
            found < without,
            "{weights:?}: {found} with, {without} without"
        );
    }
}

#[test]
fn a_file_of_another_model_is_told() {
    let (bench, decoder) = (Bench::new(), wide());
    let path = bench.dir.path().join("other.gguf");
    let file = path.display().to_string();
    let write = |columns: usize| {
        let mut matrix = ImportanceMatrix::new("text", 512);
        let name = "blk.1.ffn_up.weight";
        matrix.add(name, &vec![1.0; columns], 1024).unwrap();
        matrix.write(&path).unwrap();
    };
    write(64);
    let section = section(&[GgufType::Q4_0], Some(&file));
    let (refused, _) = bench.export_as(&decoder, &section);
    assert!(matches!(
        refused.unwrap_err(),
        ExportError::Gguf(GgufError::ImportanceSize {
            found: 64,
            needed: 256,
            ..
        })
    ));
    write(256);
    let (exported, events) = bench.export_as(&decoder, &section);
    exported.unwrap();
    let notes: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Note { text } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        notes,
        [
            "the importance matrix has nothing for 13 tensors of `tiny-Q4_0.gguf`, such as `blk.0.attn_q.weight`: their columns matter evenly"
        ]
    );
    let reader = open(&bench, "tiny-Q4_0.gguf");
    let chunks = reader.metadata().value("quantize.imatrix.chunks_count");
    assert_eq!(chunks, Some(&Value::U32(2)));
}

#[test]
fn types_are_set_by_rules() {
    let (bench, decoder) = (Bench::new(), wide());
    let section = ExportSection {
        tensor_types: vec![
            "attn_v=Q8_0".into(),
            "blk\\.1\\.ffn_(up|down)=q6_k".into(),
            "ffn_moe=Q8_0".into(),
        ],
        ..section(&[GgufType::F16, GgufType::Q4_0, GgufType::Q4_K_M], None)
    };
    let (exported, events) = bench.export_as(&decoder, &section);
    assert!(exported.unwrap().comparisons.iter().all(|it| it.ok));
    let is_warning = |event: &&Event| matches!(event, Event::Warning { .. });
    let warnings: Vec<_> = events.iter().filter(is_warning).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        matches!(warnings[0], Event::Warning { text } if text.ends_with("no tensor of this model is met by `ffn_moe=Q8_0`")),
        "{warnings:?}"
    );
    for name in ["Q4_0", "Q4_K_M"] {
        let reader = open(&bench, &format!("tiny-{name}.gguf"));
        let of = |name: &str| reader.tensor(name).unwrap().tensor_type();
        assert_eq!(of("blk.0.attn_v.weight"), TensorType::Q8_0);
        assert_eq!(of("blk.1.attn_v.weight"), TensorType::Q8_0);
        assert_eq!(of("blk.1.ffn_up.weight"), TensorType::Q6_K);
        assert_eq!(of("blk.1.ffn_down.weight"), TensorType::Q6_K);
        let other = of("blk.0.ffn_up.weight");
        assert!(matches!(other, TensorType::Q4_0 | TensorType::Q4_K));
    }
    let floats = open(&bench, "tiny-F16.gguf");
    let tensor = floats.tensor("blk.0.attn_v.weight").unwrap();
    assert_eq!(tensor.tensor_type(), TensorType::F16);
}
