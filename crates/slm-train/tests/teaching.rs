//! Learning from a teacher against TRL and PyTorch (`tests/goldens/data/teaching.safetensors`), and a cache against the teacher.

use std::path::{Path, PathBuf};

use slm_data::{
    Batch, CacheFolder, CacheKey, Sample, TeacherCache, Translator, WorkerShare, collate,
};
use slm_model::{Decoder, device};
use slm_ops::Divergence;
use slm_recipe::Dtype;
use slm_testkit::{Golden, relative_difference};
use slm_train::{
    Author, Faithfulness, Gradients, LiveTeacher, LossOptions, Measure, Teaching, Tutor,
    taught_loss_and_gradients, teach,
};

const CASES: [(&str, f64); 4] = [
    ("forward_kl", 0.0),
    ("reverse_kl", 1.0),
    ("jsd", 0.25),
    ("tvd", -1.0),
];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/data")
}

/// A student with an adapter, and a teacher of another family.
fn models(backend: &str) -> [Decoder; 2] {
    let device = device::open(backend).unwrap();
    let load = |family: &str| {
        let folder = data().join(family).join("model");
        Decoder::load(&folder, &device, Dtype::F32).unwrap()
    };
    let mut student = load("llama");
    student.load_adapter(&data().join("llama/lora")).unwrap();
    student.train_adapter();
    [student, load("qwen3")]
}

/// The rows of the first batch of `train_batches`, without their padding.
fn samples() -> Vec<Sample> {
    let golden = Golden::open(&data().join("train_batches.safetensors"));
    let take = |name: &str| golden.i64(&format!("step0.{name}"));
    let (ids, mask, labels) = (take("input_ids"), take("attention_mask"), take("labels"));
    let row = |row: usize| {
        let places = (row * 10..row * 10 + 10).filter(|place| mask[*place] == 1);
        let (ids, learn) = places
            .map(|place| (ids[place] as u32, labels[place] != -100))
            .unzip();
        Sample::new(row, ids, learn)
    };
    vec![row(0), row(1)]
}

fn batch() -> Batch {
    collate(&samples().iter().collect::<Vec<_>>())
}

fn measure(golden: &Golden, case: &str) -> Measure {
    let numbers = golden.f64(&format!("{case}.case"));
    Measure {
        alpha: numbers[1],
        temperature: numbers[2],
        divergence: match numbers[0] {
            beta if beta < 0.0 => Divergence::TotalVariation,
            beta => Divergence::JensenShannon { beta },
        },
        vocab: 80,
        hidden: 0.0,
    }
}

fn live([student, teacher]: &[Decoder; 2], measure: Measure) -> Teaching {
    let tutor = Tutor::Live(LiveTeacher::new(teacher, student, measure.vocab));
    Teaching { measure, tutor }
}

/// Loss, divergence, cross entropy and gradients of the batch, as the trainer's step takes them.
fn learned(student: &Decoder, teaching: &Teaching, checkpointing: bool) -> ([f64; 3], Gradients) {
    let batch = batch();
    let options = LossOptions {
        gradient_checkpointing: checkpointing,
        ..LossOptions::mean_of(batch.learned)
    };
    let mut gradients = Gradients::new();
    let lesson = teaching.lesson(student, &batch, &samples(), Author::Rows);
    let lesson = lesson.unwrap();
    let sums = taught_loss_and_gradients(student, &batch, &lesson, &options, &mut gradients);
    let [own, divergence, _] = sums.map(|sums| sums.read().loss / batch.learned as f64);
    let taught = slm_run::Taught {
        divergence,
        agreement: 0.0,
        cross_entropy: own,
        own_share: None,
        hidden: None,
    };
    ([teaching.measure.loss(&taught), divergence, own], gradients)
}

#[test]
fn a_batch_has_trls_losses_and_gradients() {
    let golden = Golden::open(&data().join("teaching.safetensors"));
    for backend in device::usable() {
        let models = models(&backend);
        for (case, beta) in CASES {
            let measure = measure(&golden, case);
            assert_eq!(golden.f64(&format!("{case}.case"))[0], beta);
            let teaching = live(&models, measure);
            for checkpointing in [false, true] {
                let what = format!("{case} on {backend}, checkpointing {checkpointing}");
                let (found, gradients) = learned(&models[0], &teaching, checkpointing);
                let want = golden.f64(&format!("{case}.loss"));
                for (found, want) in found.iter().zip(&want) {
                    let off = (found - want).abs() / want;
                    assert!(off < 1e-5, "{what}: {found} is not {want}");
                }
                compare(&golden, case, &gradients, &what);
            }
        }
    }
}

fn compare(golden: &Golden, case: &str, gradients: &Gradients, what: &str) {
    assert_eq!(gradients.len(), 28, "{what}");
    for (name, gradient) in gradients {
        let names = [
            format!("{case}.grad.{name}"),
            format!("{case}.grad.{name}.weight"),
            format!("{case}.grad.base_model.model.{name}"),
        ];
        let key = names.into_iter().find(|name| golden.has(name));
        let want = golden.f32(&key.unwrap_or_else(|| panic!("{what}: no gradient of {name}")));
        let found: Vec<f32> = gradient.clone().into_data().try_into_vec().unwrap();
        let off = relative_difference(&found, &want);
        assert!(off < 2e-4, "{what}: {name} is off by {off:e}");
    }
}

/// A cache of the rows in a folder.
fn taught(folder: &Path, teacher: &Decoder, top_k: usize, mass: f64) -> TeacherCache {
    let key = CacheKey::new(&samples(), top_k, mass, 80);
    let cache = CacheFolder::new(folder, key);
    let share = WorkerShare::ALL;
    let done = teach(teacher, &cache, &samples(), share, 8, &mut |_| {}).unwrap();
    assert_eq!(
        (done.shards, done.rows, done.learned_tokens),
        (1, 2, batch().learned)
    );
    TeacherCache::open(&cache, &samples()).unwrap()
}

#[test]
fn with_the_whole_vocabulary_a_cache_is_the_teacher() {
    let golden = Golden::open(&data().join("teaching.safetensors"));
    let (models, folder) = (models("cpu"), tempfile::tempdir().unwrap());
    let cache = std::sync::Arc::new(taught(folder.path(), &models[1], 80, 1.0));
    for (case, _) in CASES {
        let measure = measure(&golden, case);
        let (said, gradients) = learned(&models[0], &live(&models, measure), false);
        let tutor = Tutor::Cached(cache.clone());
        let kept = learned(&models[0], &Teaching { measure, tutor }, false);
        for (said, kept) in said.iter().zip(&kept.0) {
            assert!(
                (said - kept).abs() < 1e-3 * said,
                "{case}: {kept} is not {said}"
            );
        }
        for (name, gradient) in &gradients {
            let values = |it: &Gradients| -> Vec<f32> {
                it[name].clone().into_data().try_into_vec().unwrap()
            };
            let off = relative_difference(&values(&kept.1), &values(&gradients));
            assert!(off < 5e-3, "{case}: {name} is off by {off:e}");
            assert_eq!(gradient.dims(), kept.1[name].dims());
        }
    }
}

#[test]
fn a_cache_of_few_tokens_sees_less_and_never_more() {
    let (models, folder) = (models("cpu"), tempfile::tempdir().unwrap());
    let golden = Golden::open(&data().join("teaching.safetensors"));
    let (samples, mut seen) = (samples(), 0.0);
    for top_k in [2, 8, 32, 80] {
        let cache = taught(
            &folder.path().join(top_k.to_string()),
            &models[1],
            top_k,
            1.0,
        );
        let measure = measure(&golden, "forward_kl");
        let live = LiveTeacher::new(&models[1], &models[0], 80);
        let rows: Vec<_> = samples.iter().collect();
        let found = Faithfulness::of(&live, &cache, &models[0], &measure, &rows, 8);
        assert!(found.gap < 1e-4, "{found:?}");
        assert!(
            found.cached > seen && found.cached < found.live * 1.001,
            "{found:?}"
        );
        seen = found.cached;
    }
    // Another teacher, the student itself, is not what the cache has.
    let cache = taught(&folder.path().join("other"), &models[1], 8, 0.9);
    let live = LiveTeacher::new(&models[0], &models[0], 80);
    let measure = measure(&golden, "forward_kl");
    let rows: Vec<_> = samples.iter().collect();
    let found = Faithfulness::of(&live, &cache, &models[0], &measure, &rows, 8);
    assert!(found.gap > 0.1, "{found:?}");
}

#[test]
fn what_a_larger_head_has_beyond_the_smaller_is_left_out() {
    let device = device::open("cpu").unwrap();
    let config = |vocab_size: usize| {
        let config = serde_json::json!({
            "model_type": "llama", "vocab_size": vocab_size, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": false, "initializer_range": 0.2,
        });
        slm_model::DecoderConfig::from_json(config, Path::new("config.json")).unwrap()
    };
    let model = |vocab_size, seed| Decoder::init(config(vocab_size), seed, &device);
    let sample = Sample::new(0, vec![1, 7, 3, 5], vec![true; 4]);
    let batch = collate(&[&sample]);
    for [size, of_teacher] in [[40, 32], [32, 40]] {
        let (mut student, teacher) = (model(size, 5), model(of_teacher, 6));
        student.train_all();
        let measure = Measure {
            alpha: 1.0,
            temperature: 1.0,
            divergence: Divergence::ForwardKl,
            vocab: 32,
            hidden: 0.0,
        };
        let teaching = live(&[student.clone(), teacher], measure);
        let lesson = teaching.lesson(
            &student,
            &batch,
            std::slice::from_ref(&sample),
            Author::Rows,
        );
        let lesson = lesson.unwrap();
        let options = LossOptions::mean_of(batch.learned);
        let mut gradients = Gradients::new();
        let [_, sums, _] =
            taught_loss_and_gradients(&student, &batch, &lesson, &options, &mut gradients);
        let sums = sums.read();
        assert!(sums.loss.is_finite() && sums.loss > 0.0, "{sums:?}");
        let head: Vec<f32> = gradients["lm_head.weight"]
            .clone()
            .into_data()
            .try_into_vec()
            .unwrap();
        let (shared, beyond) = head.split_at(32 * 16);
        assert!(shared.iter().any(|x| *x != 0.0));
        assert!(
            beyond.iter().all(|x| *x == 0.0),
            "padding is not pushed anywhere"
        );
    }
}

/// A teacher of the same tokens, as one of others: the distance between sorted probabilities at each learned token.
#[test]
fn a_foreign_teacher_is_asked_where_tokens_begin_together() {
    let tokenizer = || {
        let vocab: serde_json::Map<_, _> = ('a'..='z')
            .enumerate()
            .map(|(id, letter)| (letter.to_string(), id.into()))
            .collect();
        let bytes = serde_json::json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
        let file = serde_json::json!({
            "version": "1.0", "added_tokens": [], "normalizer": null, "post_processor": null, "pre_tokenizer": bytes, "decoder": bytes,
            "model": {"type": "BPE", "vocab": vocab, "merges": []},
        });
        let file = slm_text::TokenizerFile {
            name: "tokenizer.json".into(),
            bytes: file.to_string().into_bytes(),
        };
        slm_text::ChatTokenizer::from_files(Path::new("letters"), vec![file]).unwrap()
    };
    let translator = Translator::new(&tokenizer(), tokenizer()).unwrap();
    let [student, teacher] = models("cpu");
    let rows = [
        Sample::new(0, vec![3, 7, 1, 9], vec![false, false, true, true]),
        Sample::new(1, vec![4, 4, 2], vec![false, true, true]),
    ];
    let measure = Measure {
        alpha: 1.0,
        temperature: 1.0,
        divergence: Divergence::TotalVariation,
        vocab: 80,
        hidden: 0.0,
    };
    let live = LiveTeacher::foreign(&teacher, &student, translator.into());
    let teaching = Teaching {
        measure,
        tutor: Tutor::Live(live),
    };
    let batch = collate(&rows.iter().collect::<Vec<_>>());
    let lesson = teaching
        .lesson(&student, &batch, &rows, Author::Rows)
        .unwrap();
    let (options, mut gradients) = (LossOptions::mean_of(batch.learned), Gradients::new());
    let [_, sums, _] =
        taught_loss_and_gradients(&student, &batch, &lesson, &options, &mut gradients);
    assert_eq!(gradients.len(), 28);
    let want: f64 = rows
        .iter()
        .map(|row| by_hand(&student, &teacher, row))
        .sum();
    let found = sums.read().loss;
    assert!((found - want).abs() < 1e-5 * want, "{found} is not {want}");
}

/// The sum of the distances between sorted probabilities at the learned tokens of a row.
fn by_hand(student: &Decoder, teacher: &Decoder, row: &Sample) -> f64 {
    let sorted = |decoder: &Decoder| {
        let decoder = decoder.inference();
        let tokens = slm_model::Tokens::of_row(&row.ids, decoder.device());
        let states = decoder.hidden(&tokens, None, None);
        let [_, time, width] = states.dims();
        let logits = decoder.logits(states.reshape([time, width]));
        let values: Vec<f32> = logits.into_data().try_into_vec().unwrap();
        let rows = values.chunks(80).map(|logits| {
            let weights: Vec<f64> = logits.iter().map(|x| f64::from(*x).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let mut shares: Vec<f64> = weights.iter().map(|x| x / sum).collect();
            shares.sort_by(|a, b| b.total_cmp(a));
            shares
        });
        rows.collect::<Vec<_>>()
    };
    let (student, teacher) = (sorted(student), sorted(teacher));
    let places = (1..row.ids.len())
        .filter(|at| row.learn[*at])
        .map(|at| at - 1);
    let each = places.map(|at| {
        let pairs = student[at].iter().zip(&teacher[at]);
        pairs.map(|(s, t)| (s - t).abs()).sum::<f64>()
    });
    each.sum()
}
