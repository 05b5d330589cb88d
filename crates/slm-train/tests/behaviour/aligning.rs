//! Runs whose layers follow a teacher's.

use std::path::Path;

use serde_json::json;
use slm_model::{Decoder, DecoderConfig, device};
use slm_ops::Divergence;
use slm_recipe::{HiddenLoss, HiddenSection, TrainSection};
use slm_run::{Event, Taught};
use slm_train::{Alignment, LiveTeacher, Measure, Teaching, Tutor};
use tempfile::tempdir;

use crate::tiny::{Run, samples, section, tiny, weights};

/// A teacher that is deeper and wider.
fn teaching(student: &Decoder, loss: HiddenLoss) -> Teaching {
    let shape = json!({
        "model_type": "llama", "vocab_size": 32, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3,
        "num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": true, "initializer_range": 0.2,
    });
    let shape = DecoderConfig::from_json(shape, Path::new("config.json")).unwrap();
    let teacher = Decoder::init(shape, 11, &device::open("cpu").unwrap());
    let hidden = HiddenSection {
        weight: 0.5,
        loss,
        ..HiddenSection::default()
    };
    let measure = Measure {
        alpha: 0.5,
        temperature: 1.0,
        divergence: Divergence::ForwardKl,
        vocab: 32,
        hidden: hidden.weight,
    };
    let alignment = Alignment::new(&hidden, student, teacher.config(), 5).unwrap();
    assert_eq!(alignment.as_ref().unwrap().projections().count(), 2);
    let live = LiveTeacher::new(&teacher, student, 32).aligned(alignment);
    Teaching {
        measure,
        tutor: Tutor::Live(live),
    }
}

/// What the steps say of the teacher, and the bits of their losses.
fn steps(decoder: &mut Decoder, run: &Run<'_>, teaching: Teaching) -> Vec<(Taught, u64)> {
    let measure = teaching.measure;
    let told = run.taught_over(decoder, &samples(8), Some(teaching), |_| unreachable!());
    told.outcome.unwrap();
    let steps = told.events.iter().filter_map(|event| match event {
        Event::Step {
            taught: Some(taught),
            loss,
            ..
        } => {
            assert!((measure.loss(taught) - loss).abs() < 1e-9, "{taught:?}");
            Some((*taught, loss.to_bits()))
        }
        _ => None,
    });
    steps.collect()
}

#[test]
fn a_resumed_run_has_the_projections_of_an_uninterrupted_one() {
    for (checkpointing, loss) in [(false, HiddenLoss::Mse), (true, HiddenLoss::Cosine)] {
        let section = TrainSection {
            gradient_accumulation_steps: 2,
            load_best_model_at_end: false,
            gradient_checkpointing: checkpointing,
            ..section(8)
        };
        let (whole, parts) = (tempdir().unwrap(), tempdir().unwrap());
        let run = |folder, resume, stop_at| Run {
            folder,
            section: &section,
            resume,
            stop_at,
        };
        let mut uninterrupted = tiny(false, 0.1);
        let taught = teaching(&uninterrupted, loss);
        let told = steps(&mut uninterrupted, &run(whole.path(), false, 0), taught);
        let mut first = tiny(false, 0.1);
        let taught = teaching(&first, loss);
        let mut parts_told = steps(&mut first, &run(parts.path(), false, 3), taught);
        let mut resumed = tiny(false, 0.1);
        let taught = teaching(&resumed, loss);
        parts_told.extend(steps(&mut resumed, &run(parts.path(), true, 0), taught));
        assert_eq!(told.len(), 8);
        let losses = |told: &[(Taught, u64)]| told.iter().map(|it| it.1).collect::<Vec<_>>();
        assert_eq!(losses(&parts_told), losses(&told), "{loss:?}");
        assert_eq!(weights(&resumed), weights(&uninterrupted), "{loss:?}");
        // Projections are in checkpoints, and no part of the model.
        let last = |folder: &tempfile::TempDir| {
            let weights = folder
                .path()
                .join("checkpoints/step-000008/weights.safetensors");
            fs_err::read(weights).unwrap()
        };
        assert_eq!(last(&whole), last(&parts), "{loss:?}");
        let is_in = |name: &str| {
            last(&whole)
                .windows(name.len())
                .any(|at| at == name.as_bytes())
        };
        assert!(is_in("distill.hidden.0.weight") && is_in("distill.hidden.1.weight"));
        let names = uninterrupted.trainable().into_iter().map(|it| &it.name);
        assert_eq!(names.filter(|name| name.contains("hidden")).count(), 0);
    }
}

#[test]
fn layers_come_closer_to_the_teachers() {
    for loss in [HiddenLoss::Mse, HiddenLoss::Cosine] {
        let section = TrainSection {
            load_best_model_at_end: false,
            ..section(40)
        };
        let folder = tempdir().unwrap();
        let mut student = tiny(false, 0.0);
        let taught = teaching(&student, loss);
        let run = Run {
            folder: folder.path(),
            section: &section,
            resume: false,
            stop_at: 0,
        };
        let told = steps(&mut student, &run, taught);
        let [first, last] = [&told[0], &told[39]].map(|it| it.0.hidden.unwrap());
        assert!(last < 0.5 * first, "{loss:?}: from {first} to {last}");
    }
}
