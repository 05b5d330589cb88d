//! 2,000 experiments for every kind of gate, at its limit and off it: what is said wrongly, and what is found.
//!
//! At the limit a claim is false and true by a hair, so PASS and FAIL are both wrong there, each with a probability of at most `alpha`. With the truth as far off as
//! a gate says that it could show, it has to pass with the `power` that was asked for.

use std::collections::BTreeMap;

use slm_metrics::gate::{Question, Side, Subject, Verdict, judge};
use slm_metrics::statistics::{Agreement, Errors, Groups, at_least, at_most};
use slm_metrics::{LabelFigure, Series};

const EXPERIMENTS: usize = 2000;
const ERRORS: Errors = Errors {
    alpha: 0.05,
    power: 0.8,
};

/// Random numbers of a test: SplitMix64, counted on.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) as f64 / 2f64.powi(64)
    }

    fn is(&mut self, share: f64) -> bool {
        self.uniform() < share
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// How often a gate passes and fails.
#[derive(Debug, Default)]
struct Rates {
    pass: usize,
    fail: usize,
}

impl Rates {
    fn of(mut experiment: impl FnMut(&mut Random) -> Verdict) -> Self {
        let mut rates = Self::default();
        for seed in 0..EXPERIMENTS as u64 {
            match experiment(&mut Random(seed << 32)) {
                Verdict::Pass => rates.pass += 1,
                Verdict::Fail => rates.fail += 1,
                Verdict::Inconclusive => {}
            }
        }
        rates
    }

    /// No more than the declared error can explain.
    #[track_caller]
    fn assert_errs_as_declared(&self) {
        for count in [self.pass, self.fail] {
            let chance = at_least(count as f64, EXPERIMENTS as f64, ERRORS.alpha);
            assert!(chance > 1e-3, "{self:?} at the limit");
        }
    }

    /// No less than the declared power can explain.
    #[track_caller]
    fn assert_has_power(&self) {
        let chance = at_most(self.pass as f64, EXPERIMENTS as f64, ERRORS.power);
        assert!(chance > 1e-3, "{self:?} where the claim is true");
    }
}

fn question<'a>(subject: Subject<'a>, side: Side, limit: f64, groups: &'a Groups) -> Question<'a> {
    Question {
        subject,
        side,
        limit,
        errors: ERRORS,
        groups,
        // So that thousands of experiments end; a p-value of 0.05 is seen as well.
        resamples: 600,
        seed: 7,
    }
}

fn ask(subject: Subject<'_>, side: Side, limit: f64, groups: &Groups) -> Verdict {
    let evidence = question(subject, side, limit, groups).answer().evidence;
    judge(&[(&evidence, ERRORS.alpha)])[0].verdict
}

fn smallest_effect(subject: Subject<'_>, side: Side, limit: f64, groups: &Groups) -> f64 {
    let plan = question(subject, side, limit, groups).answer().plan();
    plan.smallest_effect.unwrap()
}

/// [`ask`] for pairs of right and wrong answers, whose counts say it all.
#[derive(Default)]
struct Asked(BTreeMap<[usize; 2], Verdict>);

impl Asked {
    fn ask(&mut self, pairs: [Series; 2], limit: f64) -> Verdict {
        let [Series::Proportion(first), Series::Proportion(second)] = &pairs else {
            unreachable!()
        };
        let counts = Agreement::of(first, second);
        let key = [counts.first_only, counts.second_only];
        *self.0.entry(key).or_insert_with(|| {
            let subject = Subject::Difference(&pairs[0], &pairs[1]);
            ask(subject, Side::Above, limit, &Groups::alone(first.len()))
        })
    }
}

fn right(random: &mut Random, n: usize, share: f64) -> Series {
    Series::Proportion((0..n).map(|_| random.is(share)).collect())
}

#[test]
fn min_of_a_proportion() {
    for (n, limit) in [(10, 0.6), (40, 0.9), (200, 0.6)] {
        let groups = Groups::alone(n);
        let rates = |share: f64| {
            Rates::of(|random| {
                let series = right(random, n, share);
                ask(Subject::Figure(&series), Side::Above, limit, &groups)
            })
        };
        rates(limit).assert_errs_as_declared();
        let any = Series::Proportion(vec![true; n]);
        let effect = smallest_effect(Subject::Figure(&any), Side::Above, limit, &groups);
        rates(limit + effect).assert_has_power();
    }
}

#[test]
fn max_of_a_proportion() {
    let (n, limit) = (150, 0.1);
    let groups = Groups::alone(n);
    let rates = |share: f64| {
        Rates::of(|random| {
            let series = right(random, n, share);
            ask(Subject::Figure(&series), Side::Below, limit, &groups)
        })
    };
    rates(limit).assert_errs_as_declared();
    let any = Series::Proportion(vec![false; n]);
    let effect = smallest_effect(Subject::Figure(&any), Side::Below, limit, &groups);
    rates(limit - effect).assert_has_power();
}

/// Two models that disagree on a share of the items, the first better by `difference`.
fn pair(random: &mut Random, n: usize, difference: f64, discordance: f64) -> [Series; 2] {
    let gained = (discordance + difference) / 2.0;
    let (first, second) = (0..n)
        .map(|_| match random.uniform() {
            at if at < gained => (true, false),
            at if at < discordance => (false, true),
            at => (at < 0.8, at < 0.8),
        })
        .unzip();
    [Series::Proportion(first), Series::Proportion(second)]
}

#[test]
fn non_inferiority_of_a_proportion() {
    for (n, margin, discordance) in [
        (15, 0.1, 0.1),
        (50, 0.1, 0.3),
        (200, 0.02, 0.02),
        (200, 0.05, 0.2),
    ] {
        let mut asked = Asked::default();
        let rates = Rates::of(|random| asked.ask(pair(random, n, -margin, discordance), -margin));
        rates.assert_errs_as_declared();
    }
}

/// The effect that 200 items say that they could show, and the number of items that they say would decide.
#[test]
fn the_power_of_non_inferiority() {
    let (margin, discordance) = (0.05, 0.2);
    let rates = |n: usize, difference: f64| {
        let mut asked = Asked::default();
        Rates::of(|random| asked.ask(pair(random, n, difference, discordance), -margin))
    };
    let counts = |of: &[(bool, bool, usize)]| -> [Series; 2] {
        let items = of
            .iter()
            .flat_map(|(first, second, n)| vec![(*first, *second); *n]);
        let (first, second) = items.unzip();
        [Series::Proportion(first), Series::Proportion(second)]
    };
    let [first, second] = counts(&[(true, false, 20), (false, true, 20), (true, true, 160)]);
    let subject = Subject::Difference(&first, &second);
    let plan = question(subject, Side::Above, -margin, &Groups::alone(200))
        .answer()
        .plan();
    rates(200, plan.smallest_effect.unwrap() - margin).assert_has_power();
    let needed = plan.items_needed.unwrap();
    assert!((400..700).contains(&needed), "{needed}");
    rates(needed, 0.0).assert_has_power();
}

#[test]
fn better_than_of_a_proportion() {
    for (n, discordance) in [(30, 0.4), (200, 0.1)] {
        let groups = Groups::alone(n);
        let mut asked = Asked::default();
        let mut rates = |difference: f64| {
            Rates::of(|random| asked.ask(pair(random, n, difference, discordance), 0.0))
        };
        rates(0.0).assert_errs_as_declared();
        let [first, second] = pair(&mut Random(1), n, 0.0, discordance);
        let subject = Subject::Difference(&first, &second);
        let effect = smallest_effect(subject, Side::Above, 0.0, &groups);
        if effect <= discordance && n == 200 {
            // As this sample's disagreement is not quite the truth's, half as much again.
            rates(1.5 * effect).assert_has_power();
        }
    }
}

/// Losses per item, skewed as losses are: nats and tokens, the ratio of their sums 1.5 and then `shift` more.
fn losses(random: &mut Random, n: usize, shift: f64) -> Series {
    let pairs = (0..n).map(|_| {
        let tokens = 5.0 + (20.0 * random.uniform()).floor();
        let skewed = (0.5 * random.normal() - 0.125).exp();
        [tokens * (1.5 * skewed + shift), tokens]
    });
    Series::Ratio(pairs.collect())
}

#[test]
fn max_of_a_loss() {
    // Of 60 such items 6.6 % of the experiments pass wrongly, of 200 it is 5.5 %: what is left of the skewness.
    let (n, limit) = (200, 1.5);
    let groups = Groups::alone(n);
    let rates = |shift: f64| {
        Rates::of(|random| {
            let series = losses(random, n, shift);
            ask(Subject::Figure(&series), Side::Below, limit, &groups)
        })
    };
    rates(0.0).assert_errs_as_declared();
    // Each sample says something else; on average they have to be right.
    let effects = (0..50).map(|seed| {
        let series = losses(&mut Random(seed << 40), n, 0.0);
        smallest_effect(Subject::Figure(&series), Side::Below, limit, &groups)
    });
    rates(-effects.sum::<f64>() / 50.0).assert_has_power();
}

#[test]
fn non_inferiority_of_a_loss() {
    let (n, margin) = (50, 0.05);
    let groups = Groups::alone(n);
    let rates = |shift: f64| {
        Rates::of(|random| {
            let Series::Ratio(second) = losses(random, n, 0.0) else {
                unreachable!()
            };
            let first = second
                .iter()
                .map(|[nats, tokens]| [nats + tokens * (shift + 0.2 * random.normal()), *tokens])
                .collect();
            let [first, second] = [Series::Ratio(first), Series::Ratio(second)];
            ask(
                Subject::Difference(&first, &second),
                Side::Below,
                margin,
                &groups,
            )
        })
    };
    rates(margin).assert_errs_as_declared();
    rates(-0.06).assert_has_power();
}

/// Three labels, all alike: macro F1 is the accuracy. The two models seldom differ.
#[test]
fn non_inferiority_of_macro_f1() {
    for (n, margin, discordance) in [(60, 0.05, 0.05), (100, 0.05, 0.15)] {
        let groups = Groups::alone(n);
        let rates = Rates::of(|random| {
            let [first, second] = pair(random, n, -margin, discordance);
            let truth: Vec<u32> = (0..n).map(|_| (3.0 * random.uniform()) as u32).collect();
            let mut labels = |right: &Series| {
                let Series::Proportion(right) = right else {
                    unreachable!()
                };
                let wrong = 1 + u32::from(random.is(0.5));
                let answers = right.iter().zip(&truth);
                let predicted = answers.map(|(right, truth)| match right {
                    true => *truth,
                    false => (truth + wrong) % 3,
                });
                Series::Labels {
                    figure: LabelFigure::MacroF1,
                    truth: truth.clone(),
                    predicted: predicted.collect(),
                    n_labels: 3,
                }
            };
            let [first, second] = [labels(&first), labels(&second)];
            ask(
                Subject::Difference(&first, &second),
                Side::Above,
                -margin,
                &groups,
            )
        });
        rates.assert_errs_as_declared();
    }
}

/// Groups of five rows that are right or wrong together more often than not. Without the groups the errors are far above what is declared.
#[test]
fn rows_of_one_group() {
    let (n, limit) = (200, 0.7);
    let groups = Groups::of((0..n).map(|row| row / 5));
    let rates = |groups: &Groups| {
        Rates::of(|random| {
            let mut series = Vec::new();
            for _ in 0..n / 5 {
                let shared = random.is(0.7);
                series.extend((0..5).map(|_| {
                    if random.is(0.7) {
                        shared
                    } else {
                        random.is(0.7)
                    }
                }));
            }
            ask(
                Subject::Figure(&Series::Proportion(series)),
                Side::Above,
                limit,
                groups,
            )
        })
    };
    rates(&groups).assert_errs_as_declared();
    assert!(rates(&Groups::alone(n)).pass > 200);
}

#[test]
fn pairs_of_one_group() {
    let (n, margin) = (160, 0.1);
    let groups = Groups::of((0..n).map(|row| row / 4));
    let rates = Rates::of(|random| {
        let [mut first, mut second] = [Vec::new(), Vec::new()];
        for _ in 0..n / 4 {
            let [one, other] = pair(random, 1, -margin, 0.4);
            let (Series::Proportion(one), Series::Proportion(other)) = (one, other) else {
                unreachable!()
            };
            first.extend([one[0]; 4]);
            second.extend([other[0]; 4]);
        }
        let [first, second] = [Series::Proportion(first), Series::Proportion(second)];
        ask(
            Subject::Difference(&first, &second),
            Side::Above,
            -margin,
            &groups,
        )
    });
    rates.assert_errs_as_declared();
}

/// Five gates whose claims all hold by a hair: any FAIL among them is wrong. One of five that is false by a hair: all passing is wrong.
#[test]
fn the_gates_of_a_file_together() {
    let n = 300;
    let groups = Groups::alone(n);
    let file = |random: &mut Random, shares: [f64; 5]| {
        let evidence = shares.map(|share| {
            let series = right(random, n, share);
            let subject = Subject::Figure(&series);
            question(subject, Side::Above, 0.7, &groups)
                .answer()
                .evidence
        });
        let gates = evidence.each_ref().map(|it| (it, ERRORS.alpha));
        Verdict::of_all(judge(&gates).into_iter().map(|it| it.verdict))
    };
    Rates::of(|random| file(random, [0.7; 5])).assert_errs_as_declared();
    let one_false = Rates::of(|random| file(random, [0.7, 0.85, 0.85, 0.85, 0.85]));
    one_false.assert_errs_as_declared();
    assert!(one_false.pass > 50, "it is not stricter than declared");
}
