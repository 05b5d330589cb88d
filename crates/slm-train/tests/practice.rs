//! Generated answers and what is learned of them against TRL (`tests/goldens/data/on_policy.safetensors`).

use std::path::{Path, PathBuf};

use slm_data::{Sample, collate};
use slm_model::{Decoder, device};
use slm_ops::Divergence;
use slm_recipe::{DistillSection, Dtype, GenerationSection};
use slm_testkit::{Golden, relative_difference};
use slm_train::{
    Author, Gradients, LiveTeacher, LossOptions, Measure, Practice, Teaching, Tutor,
    taught_loss_and_gradients,
};

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

fn practice(golden: &Golden) -> Practice {
    let section = DistillSection {
        lmbda: 1.0,
        generation: GenerationSection {
            max_new_tokens: 6,
            temperature: 0.0,
            top_p: 1.0,
        },
        ..DistillSection::default()
    };
    let stop = golden.i64("stop")[0] as u32;
    Practice::new(&section, vec![stop], 64, 80).unwrap()
}

/// The rows whose prompts were answered, with answers that are not to be seen again.
fn rows(golden: &Golden) -> Vec<Sample> {
    let row = |row: usize| {
        let prompt = golden.i64(&format!("prompt{row}"));
        let ids: Vec<u32> = prompt.iter().map(|id| *id as u32).chain([9, 9]).collect();
        let learn = (0..ids.len()).map(|at| at >= prompt.len()).collect();
        Sample::new(row, ids, learn)
    };
    (0..3).map(row).collect()
}

/// What TRL's trainer learns in place of them: ids, and which are learned.
fn expected(golden: &Golden, author: &str) -> Vec<(Vec<u32>, Vec<bool>)> {
    let take = |name: &str| golden.i64(&format!("{author}.{name}"));
    let (ids, mask, labels) = (take("ids"), take("attention_mask"), take("labels"));
    let width = ids.len() / 3;
    let row = |row: usize| {
        let places = (row * width..(row + 1) * width).filter(|at| mask[*at] == 1);
        places
            .map(|at| (ids[at] as u32, labels[at] != -100))
            .unzip()
    };
    (0..3).map(row).collect()
}

#[test]
fn answers_and_their_losses_are_trls() {
    let golden = Golden::open(&data().join("on_policy.safetensors"));
    for backend in device::usable() {
        let models = models(&backend);
        let given = rows(&golden);
        let asked: Vec<_> = given.iter().collect();
        for (name, author, of) in [
            ("student", Author::Student, 0),
            ("teacher", Author::Teacher, 1),
        ] {
            let answered = practice(&golden).answered(&models[of], &asked, 7);
            let found: Vec<_> = answered
                .iter()
                .cloned()
                .map(|it| (it.ids, it.learn))
                .collect();
            assert_eq!(found, expected(&golden, name), "{name} on {backend}");
            for beta in ["0.0", "0.5", "1.0"] {
                let what = format!("{name}.beta{beta}");
                check(&golden, &models, &answered, author, &what);
            }
        }
    }
}

/// The loss, and its gradients where the golden has them.
fn check(golden: &Golden, models: &[Decoder; 2], rows: &[Sample], author: Author, what: &str) {
    let (_, beta) = what.rsplit_once("beta").unwrap();
    let measure = Measure {
        alpha: 1.0,
        temperature: 1.0,
        divergence: Divergence::JensenShannon {
            beta: beta.parse().unwrap(),
        },
        vocab: 80,
        hidden: 0.0,
    };
    let tutor = Tutor::Live(LiveTeacher::new(&models[1], &models[0], 80));
    let teaching = Teaching { measure, tutor };
    let batch = collate(&rows.iter().collect::<Vec<_>>());
    let lesson = teaching.lesson(&models[0], &batch, rows, author).unwrap();
    let (options, mut gradients) = (LossOptions::mean_of(batch.learned), Gradients::new());
    let [_, sums, _] =
        taught_loss_and_gradients(&models[0], &batch, &lesson, &options, &mut gradients);
    let loss = sums.read().loss / batch.learned as f64;
    let want = golden.f64(&format!("{what}.loss"))[0];
    assert!(
        (loss - want).abs() < 1e-5 * want,
        "{what}: {loss} is not {want}"
    );
    for (name, gradient) in gradients.iter().filter(|_| what == "student.beta1.0") {
        let key = [
            format!("{what}.grad.{name}"),
            format!("{what}.grad.{name}.weight"),
            format!("{what}.grad.base_model.model.{name}"),
        ];
        let key = key.into_iter().find(|key| golden.has(key)).unwrap();
        let found: Vec<f32> = gradient.clone().into_data().try_into_vec().unwrap();
        let off = relative_difference(&found, &golden.f32(&key));
        assert!(off < 2e-4, "{what}: {name} is off by {off:e}");
    }
}

/// Of the student's own words the divergence alone is learned, whatever the share of the rows' tokens is.
#[test]
fn the_students_own_tokens_are_not_learned() {
    let golden = Golden::open(&data().join("on_policy.safetensors"));
    let models = models("cpu");
    let rows = rows(&golden);
    let batch = collate(&rows.iter().collect::<Vec<_>>());
    let gradients = |alpha: f64, author: Author| {
        let measure = Measure {
            alpha,
            temperature: 1.0,
            divergence: Divergence::ReverseKl,
            vocab: 80,
            hidden: 0.0,
        };
        let tutor = Tutor::Live(LiveTeacher::new(&models[1], &models[0], 80));
        let lesson = Teaching { measure, tutor }
            .lesson(&models[0], &batch, &rows, author)
            .unwrap();
        // So that the divergence counts alike.
        let options = LossOptions {
            loss_scale: 1.0 / alpha,
            ..LossOptions::mean_of(batch.learned)
        };
        let mut found = Gradients::new();
        taught_loss_and_gradients(&models[0], &batch, &lesson, &options, &mut found);
        let values = found.into_values();
        let values = values.flat_map(|it| it.into_data().try_into_vec::<f32>().unwrap());
        values.collect::<Vec<_>>()
    };
    let all = gradients(1.0, Author::Student);
    assert!(relative_difference(&gradients(0.5, Author::Student), &all) < 1e-5);
    assert!(relative_difference(&gradients(0.5, Author::Teacher), &all) > 0.1);
}

/// No answer is longer than the room that its prompt leaves, and none holds an id that only one of both knows.
#[test]
fn answers_fit() {
    let golden = Golden::open(&data().join("on_policy.safetensors"));
    let [student, _] = models("cpu");
    let given = rows(&golden);
    let asked: Vec<_> = given.iter().collect();
    let free = practice(&golden).answered(&student, &asked, 7);
    let tight = Practice {
        max_length: 7,
        ..practice(&golden)
    };
    for (row, whole) in tight.answered(&student, &asked, 7).iter().zip(&free) {
        assert_eq!(row.ids, whole.ids[..7.min(whole.ids.len())]);
    }
    // 71 and 73 are among what the third row is answered with.
    let few = Practice {
        vocab: 73,
        ..practice(&golden)
    };
    let answered = few.answered(&student, &asked, 7);
    assert_eq!(answered[2].ids, given[2].ids[..5]);
    assert_eq!(answered[1].ids, free[1].ids);
}

#[test]
fn draws_are_those_of_the_micro_batch() {
    let golden = Golden::open(&data().join("on_policy.safetensors"));
    let [student, _] = models("cpu");
    let given = rows(&golden);
    let asked: Vec<_> = given.iter().collect();
    let warm = Practice {
        temperature: 1.0,
        ..practice(&golden)
    };
    let ids = |draw: u64| warm.answered(&student, &asked, draw);
    assert_eq!(ids(1), ids(1));
    assert_ne!(ids(1), ids(2));
}
