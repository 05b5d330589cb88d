//! Tests, intervals and power beside scipy's and statsmodels' (goldens/PROVENANCE.md).

use serde_json::Value;
use slm_metrics::statistics::{
    Discordance, EffectiveSample, Errors, Groups, ProportionTest, at_least, at_most,
    clopper_pearson, holm, mcnemar_exact, permutation,
};

/// The rows of one table; never none.
fn table(name: &str) -> Vec<Value> {
    let goldens: Value = serde_json::from_str(include_str!("goldens/statistics.json")).unwrap();
    let rows = goldens[name].as_array().unwrap().clone();
    assert!(!rows.is_empty());
    rows
}

fn number(row: &Value, key: &str) -> f64 {
    row[key].as_f64().unwrap_or_else(|| panic!("{key}: {row}"))
}

fn count(row: &Value, key: &str) -> usize {
    row[key].as_u64().unwrap_or_else(|| panic!("{key}: {row}")) as usize
}

fn numbers(row: &Value, key: &str) -> Vec<f64> {
    let list = row[key].as_array().unwrap().iter();
    list.map(|it| it.as_f64().unwrap()).collect()
}

fn pairs(row: &Value) -> Discordance {
    Discordance {
        gained: count(row, "gained"),
        lost: count(row, "lost"),
        n: count(row, "n"),
    }
}

#[track_caller]
fn assert_near(found: f64, expected: f64, tolerance: f64, row: &Value) {
    let error = (found - expected).abs();
    assert!(error <= tolerance, "{found} instead of {expected}: {row}");
}

#[test]
fn exact_intervals() {
    for row in table("clopper_pearson") {
        let tail = number(&row, "tail");
        let found = clopper_pearson(number(&row, "k"), number(&row, "n"), tail);
        assert_near(found.low, number(&row, "low"), 1e-12, &row);
        assert_near(found.high, number(&row, "high"), 1e-12, &row);
    }
}

#[test]
fn binomial_tests() {
    for row in table("binomial_tests") {
        let [k, n, p] = ["k", "n", "p"].map(|key| number(&row, key));
        assert_near(at_least(k, n, p), number(&row, "above"), 1e-12, &row);
        assert_near(at_most(k, n, p), number(&row, "below"), 1e-12, &row);
    }
}

#[test]
fn adjusted_p_values() {
    for row in table("holm") {
        let found = holm(&numbers(&row, "p"));
        for (found, expected) in found.into_iter().zip(numbers(&row, "adjusted")) {
            assert_near(found, expected, 1e-15, &row);
        }
    }
}

#[test]
fn permutations() {
    for row in table("permutations") {
        let d = numbers(&row, "d");
        let found = permutation(&Groups::alone(d.len()), 1, |exchanged| {
            let signed = d.iter().zip(exchanged);
            signed
                .map(|(d, flip)| if *flip { -d } else { *d })
                .sum::<f64>()
                / d.len() as f64
        });
        assert_near(found, number(&row, "p"), 1e-15, &row);
    }
}

#[test]
fn mcnemar_one_sided_and_two_sided() {
    for row in table("one_sided_mcnemar") {
        let [gained, lost] = ["gained", "lost"].map(|key| count(&row, key));
        let pairs = Discordance {
            gained,
            lost,
            n: gained + lost + 20,
        };
        // The score statistic's p-value is never above it.
        assert_near(pairs.p_above(0.0), number(&row, "p"), 1e-12, &row);
        let two_sided = number(&row, "two_sided");
        assert_near(mcnemar_exact(gained, lost), two_sided, 1e-12, &row);
    }
}

#[test]
fn score_statistics() {
    for row in table("scores") {
        let found = pairs(&row).z(number(&row, "limit"));
        assert_near(found, number(&row, "z"), 1e-5, &row);
    }
}

#[test]
fn score_intervals() {
    for row in table("score_intervals") {
        let found = pairs(&row).interval(number(&row, "tail"));
        assert_near(found.low, number(&row, "low"), 1e-6, &row);
        assert_near(found.high, number(&row, "high"), 1e-6, &row);
    }
}

#[test]
fn exact_paired_tests() {
    for row in table("exact_paired") {
        let found = pairs(&row).p_above(number(&row, "limit"));
        assert_near(found, number(&row, "p"), 1e-6, &row);
    }
}

#[test]
fn clustered_proportions() {
    for row in table("clustered") {
        let right: Vec<bool> = numbers(&row, "right").iter().map(|it| *it == 1.0).collect();
        let groups = Groups::of(row["group"].as_array().unwrap().iter().map(Value::as_u64));
        let sample = EffectiveSample::of(&right, &groups);
        assert_near(sample.n, number(&row, "n"), 1e-9, &row);
        let found = sample.interval(0.05);
        assert_near(found.low, number(&row, "low"), 1e-9, &row);
        assert_near(found.high, number(&row, "high"), 1e-9, &row);
    }
}

#[test]
fn the_power_of_a_proportion() {
    for row in table("proportion_power") {
        let errors = Errors {
            alpha: 0.05,
            power: 0.8,
        };
        let test = ProportionTest {
            limit: number(&row, "limit"),
            errors,
        };
        let (n, truth) = (count(&row, "n"), number(&row, "truth"));
        let found = test.power(n, truth);
        assert_near(found, number(&row, "power"), 1e-10, &row);
    }
}
