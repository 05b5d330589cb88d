//! Runs whose answers are generated on the way.

use slm_model::Decoder;
use slm_ops::Divergence;
use slm_recipe::{DistillSection, GenerationSection, TrainSection};
use slm_run::{Event, Taught};
use slm_train::{LiveTeacher, Measure, Practice, Teaching, Tutor};
use tempfile::tempdir;

use crate::tiny::{Run, samples, section, tiny, weights};

/// A teacher of the student's shape with other weights.
fn teaching(student: &Decoder, lmbda: f64, seq_kd: bool) -> Teaching {
    let mut teacher = tiny(true, 0.0);
    for param in teacher.trainable_mut() {
        let turned = param.tensor().inner().mul_scalar(-0.9);
        param.set(turned);
    }
    let section = DistillSection {
        lmbda,
        seq_kd,
        generation: GenerationSection {
            max_new_tokens: 4,
            ..GenerationSection::default()
        },
        ..DistillSection::default()
    };
    let measure = Measure {
        alpha: 0.5,
        temperature: 1.0,
        divergence: Divergence::ReverseKl,
        vocab: 32,
        hidden: 0.0,
    };
    let live = LiveTeacher::new(&teacher, student, 32);
    let practice = Practice::new(&section, vec![5], 16, 32);
    Teaching {
        measure,
        tutor: Tutor::Live(live.practising(practice)),
    }
}

/// What the steps say of the teacher, and the bits of their losses.
fn steps(decoder: &mut Decoder, run: &Run<'_>, teaching: Teaching) -> Vec<(Taught, u64)> {
    let told = run.taught_over(decoder, &samples(8), Some(teaching), |_| unreachable!());
    told.outcome.unwrap();
    let steps = told.events.iter().filter_map(|event| match event {
        Event::Step {
            taught: Some(taught),
            loss,
            ..
        } => Some((*taught, loss.to_bits())),
        _ => None,
    });
    steps.collect()
}

#[test]
fn a_resumed_run_generates_what_an_uninterrupted_one_does() {
    for (lmbda, seq_kd) in [(1.0, false), (0.5, false), (0.5, true), (0.0, true)] {
        let section = TrainSection {
            gradient_accumulation_steps: 2,
            load_best_model_at_end: false,
            ..section(8)
        };
        let (whole, parts) = (tempdir().unwrap(), tempdir().unwrap());
        let run = |folder, resume, stop_at| Run {
            folder,
            section: &section,
            resume,
            stop_at,
        };
        let of = |decoder: &Decoder| teaching(decoder, lmbda, seq_kd);
        let mut uninterrupted = tiny(false, 0.1);
        let taught = of(&uninterrupted);
        let told = steps(&mut uninterrupted, &run(whole.path(), false, 0), taught);
        let mut first = tiny(false, 0.1);
        let taught = of(&first);
        let mut parts_told = steps(&mut first, &run(parts.path(), false, 3), taught);
        let mut resumed = tiny(false, 0.1);
        let taught = of(&resumed);
        parts_told.extend(steps(&mut resumed, &run(parts.path(), true, 0), taught));
        assert_eq!(told.len(), 8);
        let losses = |told: &[(Taught, u64)]| told.iter().map(|it| it.1).collect::<Vec<_>>();
        assert_eq!(losses(&parts_told), losses(&told), "{lmbda} {seq_kd}");
        assert_eq!(
            weights(&resumed),
            weights(&uninterrupted),
            "{lmbda} {seq_kd}"
        );
        check_shares(&told, lmbda);
    }
}

/// Every micro-batch is the student's or is not.
fn check_shares(told: &[(Taught, u64)], lmbda: f64) {
    let shares: Vec<_> = told.iter().map(|it| it.0.own_share.unwrap()).collect();
    match lmbda {
        1.0 => assert!(shares.iter().all(|share| *share == 1.0)),
        0.0 => assert!(shares.iter().all(|share| *share == 0.0)),
        _ => assert!(
            shares.iter().any(|share| *share < 1.0) && shares.iter().any(|share| *share > 0.0),
            "{shares:?}"
        ),
    }
}

/// A student that answers by itself comes closer to its teacher where it goes by itself.
#[test]
fn a_student_learns_from_what_is_said_of_its_own_answers() {
    let section = TrainSection {
        load_best_model_at_end: false,
        ..section(60)
    };
    let folder = tempdir().unwrap();
    let mut student = tiny(false, 0.0);
    let taught = teaching(&student, 1.0, false);
    let run = Run {
        folder: folder.path(),
        section: &section,
        resume: false,
        stop_at: 0,
    };
    let told = steps(&mut student, &run, taught);
    let mean = |told: &[(Taught, u64)]| {
        told.iter().map(|it| it.0.divergence).sum::<f64>() / told.len() as f64
    };
    let (first, last) = (mean(&told[..10]), mean(&told[50..]));
    assert!(
        last < 0.8 * first,
        "the divergence went from {first} to {last}"
    );
}
