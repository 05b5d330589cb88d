//! Packed and unpacked batches teach the same.

use std::collections::BTreeMap;

use proptest::prelude::*;
use slm_data::{Batch, BatchOptions, Sample, batches};

const MAX_LENGTH: usize = 24;

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let tokens = prop::collection::vec((1u32..50, any::<bool>()), 1..=MAX_LENGTH);
    prop::collection::vec(tokens, 0..40).prop_map(|rows| {
        let sample = |(row, tokens): (usize, Vec<(u32, bool)>)| {
            let (ids, learn) = tokens.into_iter().unzip();
            Sample::new(row, ids, learn)
        };
        rows.into_iter().enumerate().map(sample).collect()
    })
}

fn options(packing: bool, batch_size: usize, epoch: usize) -> BatchOptions {
    BatchOptions {
        batch_size,
        max_length: MAX_LENGTH,
        packing,
        shuffle: true,
        group_by_length: false,
        shares: Vec::new(),
        seed: 3,
        epoch,
    }
}

fn all(samples: &[Sample], options: &BatchOptions) -> Vec<Batch> {
    batches(samples, options).iter().collect()
}

/// How often each (ids up to and with the position, target) is learned.
type Lessons = BTreeMap<(Vec<u32>, u32), usize>;

fn lessons_of_samples(samples: &[Sample]) -> Lessons {
    let mut lessons = Lessons::new();
    for sample in samples {
        for at in (1..sample.ids.len()).filter(|at| sample.learn[*at]) {
            *lessons
                .entry((sample.ids[..at].to_vec(), sample.ids[at]))
                .or_default() += 1;
        }
    }
    lessons
}

/// The same from batches, by what attention lets a position see: its own segment up to itself, in the order of positions.
fn lessons_of_batches(batches: &[Batch]) -> Lessons {
    let mut lessons = Lessons::new();
    for batch in batches {
        for at in (0..batch.ids.len()).filter(|at| batch.learn[*at]) {
            let row = at / batch.cols * batch.cols..=at;
            let seen = row.filter(|other| batch.segments[*other] == batch.segments[at]);
            let mut seen: Vec<(i32, u32)> = seen
                .map(|other| (batch.positions[other], batch.ids[other] as u32))
                .collect();
            seen.sort_unstable();
            let context = seen.into_iter().map(|(_, id)| id).collect();
            *lessons
                .entry((context, batch.targets[at] as u32))
                .or_default() += 1;
        }
    }
    lessons
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn packed_and_unpacked_teach_what_the_samples_say(samples in samples(), batch_size in 1usize..5, epoch in 0usize..3) {
        let expected = lessons_of_samples(&samples);
        let tokens: usize = samples.iter().map(|sample| sample.ids.len()).sum();
        let learned: usize = samples.iter().map(Sample::learned).sum();
        for packing in [false, true] {
            let batches = all(&samples, &options(packing, batch_size, epoch));
            prop_assert_eq!(&lessons_of_batches(&batches), &expected);
            prop_assert_eq!(batches.iter().map(|batch| batch.tokens).sum::<usize>(), tokens);
            prop_assert_eq!(batches.iter().map(|batch| batch.learned).sum::<usize>(), learned);
            for batch in &batches {
                prop_assert!(batch.cols <= MAX_LENGTH && batch.rows <= batch_size);
                prop_assert_eq!(batch.learn.iter().filter(|learn| **learn).count(), batch.learned);
                for at in (0..batch.ids.len()).filter(|at| batch.segments[*at] == 0) {
                    prop_assert!(!batch.learn[at] && batch.ids[at] == 0 && batch.targets[at] == 0);
                }
            }
        }
    }

    #[test]
    fn an_epoch_is_a_function_of_its_number_and_holds_every_row_once(samples in samples(), packing in any::<bool>()) {
        let one = all(&samples, &options(packing, 3, 0));
        prop_assert_eq!(&one, &all(&samples, &options(packing, 3, 0)));
        let next = options(packing, 3, 1);
        let planned = batches(&samples, &next);
        prop_assert_eq!(planned.len(), one.len());
        let mut rows: Vec<usize> = (0..planned.len()).flat_map(|at| planned.sample_rows(at)).collect();
        rows.sort_unstable();
        prop_assert_eq!(rows, (0..samples.len()).collect::<Vec<_>>());
    }
}

#[test]
fn epochs_differ_in_order() {
    let samples: Vec<_> = (0..50)
        .map(|row| Sample::new(row, vec![row as u32 + 1; 5], vec![true; 5]))
        .collect();
    for packing in [false, true] {
        assert_ne!(
            all(&samples, &options(packing, 4, 0)),
            all(&samples, &options(packing, 4, 1))
        );
    }
    let in_order = BatchOptions {
        shuffle: false,
        group_by_length: false,
        ..options(false, 4, 0)
    };
    assert_eq!(batches(&samples, &in_order).sample_rows(1), [4, 5, 6, 7]);
}
