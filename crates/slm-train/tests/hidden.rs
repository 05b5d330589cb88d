//! Layers that follow a teacher's, against PyTorch (`tests/goldens/data/hidden.safetensors`).

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use slm_data::{Sample, collate};
use slm_model::{Decoder, device};
use slm_ops::Divergence;
use slm_recipe::{Dtype, HiddenLoss, HiddenSection, LayerMap};
use slm_testkit::{Golden, relative_difference};
use slm_train::{
    Alignment, Author, Gradients, LiveTeacher, LossOptions, Measure, Teaching, TrainError, Tutor,
    taught_loss_and_gradients,
};

/// Case, teacher, how many projections.
const CASES: [(&str, &str, usize); 4] = [
    ("mse", "qwen3", 0),
    ("cosine", "qwen3", 0),
    ("wide_mse", "hidden", 2),
    ("wide_cosine", "hidden", 1),
];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/data")
}

fn golden() -> Golden {
    Golden::open(&data().join("hidden.safetensors"))
}

fn load(family: &str, backend: &str) -> Decoder {
    let (folder, device) = (
        data().join(family).join("model"),
        device::open(backend).unwrap(),
    );
    Decoder::load(&folder, &device, Dtype::F32).unwrap()
}

/// A model with an adapter to train.
fn student(backend: &str) -> Decoder {
    let mut student = load("llama", backend);
    student.load_adapter(&data().join("llama/lora")).unwrap();
    student.train_adapter();
    student
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

/// What the recipe of a case says.
fn section(golden: &Golden, case: &str) -> HiddenSection {
    let pairs = golden.i64(&format!("{case}.pairs"));
    let pairs = pairs.chunks(2).map(|it| [it[0] as usize, it[1] as usize]);
    HiddenSection {
        weight: golden.f64(&format!("{case}.case"))[0],
        loss: match case.ends_with("mse") {
            true => HiddenLoss::Mse,
            false => HiddenLoss::Cosine,
        },
        layers: LayerMap::Pairs(pairs.collect()),
    }
}

/// A teacher with the projections of a case.
fn teaching(golden: &Golden, case: &str, student: &Decoder, teacher: &Decoder) -> Teaching {
    let section = section(golden, case);
    let alignment = Alignment::new(&section, student, teacher.config(), 1).unwrap();
    let mut alignment = alignment.unwrap();
    for param in alignment.projections_mut() {
        let layer = param.name.split('.').nth(2).unwrap();
        let values = golden.f32(&format!("{case}.projection.{layer}"));
        let device = student.device().clone().inner();
        let data = TensorData::new(values, param.value.dims());
        param.set(Tensor::from_data(data, &device));
    }
    let numbers = golden.f64(&format!("{case}.case"));
    let measure = Measure {
        alpha: numbers[1],
        temperature: numbers[2],
        divergence: Divergence::ForwardKl,
        vocab: 80,
        hidden: section.weight,
    };
    let live = LiveTeacher::new(teacher, student, 80).aligned(Some(alignment));
    Teaching {
        measure,
        tutor: Tutor::Live(live),
    }
}

/// Loss, divergence, cross entropy and distance of rows that are one micro-batch of a step with `learned` tokens, as the trainer's
/// step takes them; adds their gradients.
fn learn(
    student: &Decoder,
    teaching: &Teaching,
    rows: &[Sample],
    options: &LossOptions,
    gradients: &mut Gradients,
) -> [f64; 3] {
    let batch = collate(&rows.iter().collect::<Vec<_>>());
    let lesson = teaching.lesson(student, &batch, rows, Author::Rows);
    let sums = taught_loss_and_gradients(student, &batch, &lesson.unwrap(), options, gradients);
    sums.map(|sums| sums.read().loss)
}

#[test]
fn a_batch_has_pytorchs_losses_and_gradients() {
    let golden = golden();
    for backend in device::usable() {
        let student = student(&backend);
        for (case, teacher, n_projections) in CASES {
            let teacher = load(teacher, &backend);
            let teaching = teaching(&golden, case, &student, &teacher);
            let n_pairs = golden.i64(&format!("{case}.pairs")).len() / 2;
            let rows = samples();
            let learned: usize = rows.iter().map(Sample::learned).sum();
            let n = learned as f64;
            for checkpointing in [false, true] {
                let what = format!("{case} on {backend}, checkpointing {checkpointing}");
                let options = LossOptions {
                    gradient_checkpointing: checkpointing,
                    ..LossOptions::mean_of(learned)
                };
                let mut gradients = Gradients::new();
                let [own, divergence, distance] =
                    learn(&student, &teaching, &rows, &options, &mut gradients);
                let taught = slm_run::Taught {
                    divergence: divergence / n,
                    agreement: 0.0,
                    cross_entropy: own / n,
                    own_share: None,
                    hidden: Some(distance / n / n_pairs as f64),
                };
                let found = [
                    teaching.measure.loss(&taught),
                    taught.divergence,
                    taught.cross_entropy,
                    taught.hidden.unwrap(),
                ];
                let want = golden.f64(&format!("{case}.loss"));
                for (found, want) in found.iter().zip(&want) {
                    let off = (found - want).abs() / want;
                    assert!(off < 1e-5, "{what}: {found} is not {want}");
                }
                assert_eq!(gradients.len(), 28 + n_projections, "{what}");
                compare(&golden, case, &gradients, &what);
            }
        }
    }
}

fn compare(golden: &Golden, case: &str, gradients: &Gradients, what: &str) {
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

/// Rows of two lengths, together and one after the other.
#[test]
fn micro_batches_add_up_to_the_batch() {
    let (golden, student) = (golden(), student("cpu"));
    let teacher = load("hidden", "cpu");
    let teaching = teaching(&golden, "wide_mse", &student, &teacher);
    let rows = samples();
    assert_ne!(rows[0].ids.len(), rows[1].ids.len());
    let options = LossOptions::mean_of(rows.iter().map(Sample::learned).sum());
    let (mut together, mut apart) = (Gradients::new(), Gradients::new());
    let whole = learn(&student, &teaching, &rows, &options, &mut together);
    let parts = rows
        .chunks(1)
        .map(|row| learn(&student, &teaching, row, &options, &mut apart));
    let parts = parts.fold([0.0; 3], |sums, it| [0, 1, 2].map(|i| sums[i] + it[i]));
    for (whole, parts) in whole.iter().zip(parts) {
        assert!((whole - parts).abs() < 1e-5 * whole, "{whole} {parts}");
    }
    assert_eq!(together.len(), 30);
    for (name, gradient) in together {
        let values = |it: Tensor<2>| it.into_data().try_into_vec::<f32>().unwrap();
        let off = relative_difference(&values(apart[&name].clone()), &values(gradient));
        assert!(off < 1e-4, "{name} is off by {off:e}");
    }
}

/// A layer below the first one that is trained has a distance, and pulls at its projection alone.
#[test]
fn a_layer_below_what_is_trained_is_measured() {
    let (golden, teacher) = (golden(), load("hidden", "cpu"));
    let mut student = student("cpu");
    for param in student.trainable_mut() {
        if param.name.contains("layers.0.") {
            *param = param.detached();
        }
    }
    let teaching = teaching(&golden, "wide_cosine", &student, &teacher);
    let rows = samples();
    let found = [false, true].map(|gradient_checkpointing| {
        let options = LossOptions {
            gradient_checkpointing,
            ..LossOptions::mean_of(rows.iter().map(Sample::learned).sum())
        };
        let mut gradients = Gradients::new();
        let sums = learn(&student, &teaching, &rows, &options, &mut gradients);
        assert_eq!(gradients.len(), 14 + 1);
        sums[2]
    });
    assert!(
        found[0] > 0.0 && (found[0] - found[1]).abs() < 1e-6 * found[0],
        "{found:?}"
    );
}

#[test]
fn a_layer_that_is_not_there_is_told() {
    let (student, teacher) = (student("cpu"), load("hidden", "cpu"));
    let section = |layers| HiddenSection {
        weight: 1.0,
        layers,
        ..HiddenSection::default()
    };
    let of = |layers| Alignment::new(&section(layers), &student, teacher.config(), 1);
    let error = of(LayerMap::Pairs(vec![[0, 1], [1, 3]])).unwrap_err();
    assert!(matches!(error, TrainError::NoSuchLayers { .. }));
    assert_eq!(
        error.to_string(),
        "`distill.hidden.layers` has the student's layer 1 follow the teacher's 3, and they have 2 and 3 layers, counted from 0"
    );
    assert_eq!(
        error.hint().unwrap(),
        "name layers from 0 to 1 and from 0 to 2, or leave them to `distill.hidden.layers = \"uniform\"`"
    );
    // As PyTorch begins: within 1/√32 and spread over all of it; another seed, other values.
    let alignment = of(LayerMap::Uniform).unwrap().unwrap();
    assert_eq!(alignment.n_pairs(), 2);
    let values = |alignment: &Alignment| -> Vec<f32> {
        let each = alignment.projections().map(|it| it.file_values());
        each.flatten().collect()
    };
    let first = values(&alignment);
    assert_eq!(first.len(), 2 * 48 * 32);
    let largest = first.iter().fold(0f32, |most, x| most.max(x.abs()));
    assert!(largest < 0.17678 && largest > 0.176, "{largest}");
    let uniform = section(LayerMap::Uniform);
    let other = Alignment::new(&uniform, &student, teacher.config(), 2).unwrap();
    assert_ne!(values(&other.unwrap()), first);
    let off = HiddenSection::default();
    assert!(
        Alignment::new(&off, &student, teacher.config(), 1)
            .unwrap()
            .is_none()
    );
}
