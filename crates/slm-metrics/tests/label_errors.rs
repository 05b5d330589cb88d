//! Label errors against those that cleanlab finds.

use std::collections::BTreeSet;

use serde::Deserialize;
use slm_metrics::ConfidentLearning;

#[derive(Deserialize)]
struct Case {
    probabilities: Vec<Vec<f64>>,
    given: Vec<usize>,
    joint: Vec<Vec<usize>>,
    errors: BTreeSet<usize>,
}

#[test]
fn the_joint_and_the_errors_are_those_of_cleanlab() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("goldens/label_errors.json")).unwrap();
    for case in cases {
        let n_labels = case.joint.len();
        let found = ConfidentLearning::of(&case.probabilities, &case.given, n_labels);
        assert_eq!(found.joint, case.joint, "{n_labels} labels");
        let errors: BTreeSet<usize> = found.errors.iter().map(|error| error.item).collect();
        assert_eq!(errors, case.errors, "{n_labels} labels");
        let confidences = found.errors.iter().map(|error| error.confidence);
        assert!(confidences.is_sorted(), "{n_labels} labels");
    }
}
