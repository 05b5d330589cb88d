//! Learning rates against transformers' (`tests/goldens/data/schedules.*`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use slm_recipe::TrainSection;
use slm_testkit::Golden;
use slm_train::{Plateau, Schedule};

fn data(name: &str) -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/data");
    data.join(name)
}

/// The `[train]` section of each case.
fn cases() -> BTreeMap<String, TrainSection> {
    let text = fs_err::read_to_string(data("schedules.json")).unwrap();
    let cases: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    let section = |mut keys: serde_json::Value| {
        keys["learning_rate"] = 3e-4.into();
        keys["warmup_ratio"] = 0.into();
        serde_json::from_value(keys).unwrap()
    };
    cases
        .into_iter()
        .map(|(name, keys)| (name, section(keys)))
        .collect()
}

#[test]
fn every_schedule_has_the_rates_of_transformers() {
    let golden = Golden::open(&data("schedules.safetensors"));
    let metrics = golden.f64("metrics");
    let cases = cases();
    assert_eq!(
        cases.len() + 1,
        golden.names().len(),
        "each golden has a case"
    );
    for (name, section) in cases {
        let want = golden.f64(&name);
        let got: Vec<f64> = match Plateau::new(&section) {
            Some(mut plateau) => {
                let after = |metric: &f64| {
                    plateau.observe(&section, *metric);
                    plateau.lr
                };
                metrics.iter().map(after).collect()
            }
            None => {
                let schedule = Schedule::new(&section, want.len());
                (0..want.len()).map(|step| schedule.lr(step)).collect()
            }
        };
        for (step, (got, want)) in got.iter().zip(&want).enumerate() {
            let close = (got - want).abs() <= 1e-12 * 3e-4;
            assert!(close, "{name}, step {step}: {got} is not {want}");
        }
    }
}
