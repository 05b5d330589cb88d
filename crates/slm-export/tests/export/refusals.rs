//! Requests that cannot be met, and what is told.

use burn::tensor::{Tensor, TensorData};
use serde_json::{Value, json};
use slm_export::{Certified, Request, export, read_gguf};
use slm_gguf::{Metadata, TensorSpec, Writer, keys};
use slm_model::device;
use slm_recipe::{ExportSection, GgufType};
use slm_run::Event;

use crate::bench::{Bench, config, left_over, of_ids, random};

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
        probes: &[of_ids(Vec::new())],
        calibration: &[],
        out: &bench.out(),
    };
    let exported = export(&request, None, &mut |event| events.push(event)).unwrap();
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
        probes: &[of_ids(vec![1, 2]), of_ids(vec![3, 300])],
        calibration: &[],
        out: &bench.out(),
    };
    let error = |request: &Request<'_>| export(request, None, &mut |_| {}).unwrap_err().to_string();
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

    let measured = ExportSection {
        gguf: vec![GgufType::Q4_0],
        imatrix: Some("rows".into()),
        ..ExportSection::default()
    };
    let observed = |calibration: &[Vec<u32>]| {
        error(&Request {
            section: &measured,
            probes: &[],
            calibration,
            ..request
        })
    };
    assert_eq!(
        observed(&[Vec::new()]),
        "there are no training rows to observe the model on"
    );
    assert_eq!(
        observed(&[vec![1, 2], vec![3, 300]]),
        "training row 1 has the token id 300, the model has 300"
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

#[test]
fn a_file_that_is_no_decoder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.gguf");
    let write = |metadata: &Metadata, specs: Vec<TensorSpec>| {
        let mut writer = Writer::create(&path, metadata, specs.clone()).unwrap();
        for spec in specs {
            let n = spec.dims.iter().product::<u64>() as usize;
            writer.write_f32(&spec.name, &vec![0.0; n]).unwrap();
        }
        writer.finish().unwrap();
        let device = device::open("cpu").unwrap();
        read_gguf(&path, &device).unwrap_err().to_string()
    };
    let mut metadata = Metadata::new();
    metadata.set(&keys::general::ARCHITECTURE, "mamba".to_string());
    assert_eq!(
        write(&metadata, Vec::new()),
        format!(
            "`{}` has the architecture `mamba`, which slm-tune cannot read (it reads llama, qwen2, qwen3, gemma, gemma2, \
             gemma3, phi3, smollm3, granite, olmo2, gptneox, gpt2)",
            path.display()
        )
    );
    metadata.set(&keys::general::ARCHITECTURE, "gpt2".to_string());
    let error = write(&metadata, Vec::new());
    assert!(error.contains("token_embd.weight"), "{error}");
}

#[test]
fn a_type_that_is_too_coarse_is_kept_under_another_name() {
    let mut bench = Bench::new();
    let changes =
        json!({"hidden_size": 32, "num_attention_heads": 2, "tie_word_embeddings": false});
    let mut decoder = random(config(300, changes), 8);
    // One large column of the head adds the same to all logits, and leaves Q8_0 no steps for the others of its block.
    decoder.train_all();
    for param in decoder.trainable_mut() {
        if param.name == "lm_head.weight" {
            let mut values: Vec<f32> = param.tensor().inner().into_data().try_into_vec().unwrap();
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
        error.is_mismatch() && error.to_string().contains("`tiny-Q8_0.refused.gguf`"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("finer type"));
    assert!(bench.out().join("tiny-F32.gguf").exists());
    assert!(!bench.out().join("tiny-Q8_0.gguf").exists());
    let refused = Certified::open(&bench.out().join("tiny-Q8_0.refused.gguf"), None).unwrap();
    assert!(refused.checks.iter().all(|check| check.ok) && !refused.entry.ok);
    assert_eq!(left_over(&bench.out()), Vec::<String>::new());
    let list = fs_err::read_to_string(bench.out().join("export.json")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let mut files = list["files"].as_array().unwrap().iter();
    assert!(files.all(|file| !file["path"].as_str().unwrap().contains("Q8_0")));

    // Once it is fine, the refused one goes.
    bench.parity.max_mean_kl = Some(100.0);
    let (exported, _) = bench.export(&decoder, &[GgufType::Q8_0]);
    exported.unwrap();
    assert!(bench.out().join("tiny-Q8_0.gguf").exists());
    assert!(!bench.out().join("tiny-Q8_0.refused.gguf").exists());
}
