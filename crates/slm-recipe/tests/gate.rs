//! `[gate]` in a recipe and in a file of its own: what it holds, and every way in which it can be wrong.

use slm_recipe::{Against, GateSection, GateTask, OnInconclusive, Recipe};

/// A recipe with two tasks, ten lines long; what follows it begins on line 10.
const RIGHT: &str = "model.base_model = \"base\"\n[[data.train]]\npath = \"rows.jsonl\"\n\
    [[eval.task]]\nname = \"intent\"\noutput_type = \"multiple_choice\"\n\
    [[eval.task]]\nname = \"answer\"\noutput_type = \"generate_until\"\n";

/// The lines of the message without the heading.
fn lines(file: &std::path::Path, message: String) -> Vec<String> {
    let folder = file.parent().unwrap().display().to_string() + "/";
    let message = message.replace(&folder, "");
    let lines = message.lines().skip(1);
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

fn recipe(gates: &str) -> Result<Recipe, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.toml");
    fs_err::write(&path, format!("{RIGHT}{gates}")).unwrap();
    Recipe::load(&path, &[]).map_err(|errors| lines(&path, errors.to_string()))
}

fn file(gates: &str) -> Result<GateSection, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.toml");
    fs_err::write(&path, gates).unwrap();
    let tasks = [GateTask {
        name: "intent".into(),
        metrics: vec!["accuracy".into(), "macro_f1".into()],
    }];
    GateSection::load(&path, Some(&tasks)).map_err(|errors| lines(&path, errors.to_string()))
}

const WHOLE: &str = "[gate]\nbaseline = \"b.json\"\ngroup_by = \"customer\"\non_inconclusive = \"pass\"\n\
    [[gate.check]]\ntask = \"intent\"\nmetric = \"accuracy\"\nmin = 0.6\nmax = 0.99\n\
    non_inferior_to = \"baseline\"\nmargin = 0.02\nbetter_than = \"base\"\nalpha = 0.01\npower = 0.9\n";

#[test]
fn every_key_is_read() {
    let section = recipe(WHOLE).unwrap().gate;
    assert_eq!(section.baseline.as_deref(), Some("b.json"));
    assert_eq!(section.group_by.as_deref(), Some("customer"));
    assert_eq!(section.on_inconclusive, OnInconclusive::Pass);
    let check = &section.check[0];
    assert_eq!(
        (check.task.as_str(), check.metric.as_str()),
        ("intent", "accuracy")
    );
    assert_eq!(
        (check.min, check.max, check.margin),
        (Some(0.6), Some(0.99), Some(0.02))
    );
    assert_eq!(check.non_inferior_to, Some(Against::Baseline));
    assert_eq!(check.better_than, Some(Against::Base));
    assert_eq!((check.alpha, check.power), (0.01, 0.9));
    assert_eq!(file(WHOLE).unwrap(), section);
}

#[test]
fn defaults_do_not_let_pass_what_is_not_shown() {
    let section = recipe("[[gate.check]]\ntask = \"intent\"\nmetric = \"accuracy\"\nmin = 0.6")
        .unwrap()
        .gate;
    assert_eq!(section.on_inconclusive, OnInconclusive::Fail);
    assert_eq!(
        (section.check[0].alpha, section.check[0].power),
        (0.05, 0.8)
    );
    assert!(recipe("").unwrap().gate.check.is_empty());
}

/// The tasks of suites and the figures of templates are known where their files are read.
#[test]
fn a_gate_of_a_suite_is_looked_at_with_the_suite() {
    let of_suite = "[[gate.check]]\ntask = \"arc\"\nmetric = \"acc_norm\"\nmin = 0.3\n[eval]\nsuite = [\"s.yaml\"]\n";
    let check = recipe(of_suite).unwrap().gate.check[0].clone();
    let task = |metric: &str| GateTask {
        name: "arc".into(),
        metrics: vec![metric.into()],
    };
    assert_eq!(check.unknown(&[task("acc_norm")]), None);
    let error = check.unknown(&[task("acc")]).unwrap().to_string();
    assert!(
        error.contains("`acc_norm`") && error.contains("`acc`"),
        "{error}"
    );
    // A task of the recipe itself is still looked at.
    let own = of_suite.replace("\"arc\"", "\"intent\"");
    assert!(recipe(&own).unwrap_err()[0].contains("accuracy_norm"));
}

#[test]
fn what_contradicts_itself_is_told_with_its_place() {
    let check = "[[gate.check]]\ntask = \"intent\"\nmetric = \"accuracy\"\n";
    for (gates, expected) in [
        (
            "[[gate.check]]\ntask = \"intents\"\nmetric = \"accuracy\"\nmin = 0.6".to_owned(),
            "r.toml:11:1 `gate.check.0.task` is `intents`, needs one of `intent`, `answer`; did you mean `intent`?",
        ),
        (
            "[[gate.check]]\ntask = \"intent\"\nmetric = \"acuracy\"\nmin = 0.6".to_owned(),
            "r.toml:12:1 `gate.check.0.metric` is `acuracy`, needs one of `accuracy`, `accuracy_norm`, `macro_f1`; did you mean `accuracy`?",
        ),
        (
            format!("{check}margin = 0.02"),
            "r.toml:13:1 `gate.check.0.margin` is only read with `non_inferior_to`",
        ),
        (
            format!("{check}non_inferior_to = \"base\""),
            "r.toml:13:1 missing key `gate.check.0.margin`: `non_inferior_to` needs to know how much worse is not worse",
        ),
        (
            format!("{check}better_than = \"baseline\""),
            "r.toml:13:1 missing key `gate.baseline`: `gate.check.0.better_than` compares with it",
        ),
        (
            check.to_owned(),
            "r.toml:10:1 `gate.check.0` claims nothing; give it `min`, `max`, `non_inferior_to` or `better_than`",
        ),
        (
            format!("{check}min = 0.9\nmax = 0.8"),
            "r.toml:13:1 `gate.check.0.min` is 0.9 and `gate.check.0.max` is 0.8: nothing lies between",
        ),
        (
            format!("{check}min = 60"),
            "r.toml:13:1 `gate.check.0.min` is 60, and `accuracy` is a share of 1: 60 % is 0.6",
        ),
        (
            format!("{check}non_inferior_to = \"base\"\nmargin = 0"),
            "r.toml:14:10 `gate.check.0.margin` is 0, needs more than 0",
        ),
        (
            format!("{check}min = 0.5\nalpha = 0.5"),
            "r.toml:14:9 `gate.check.0.alpha` is 0.5, needs more than 0 and less than 0.5",
        ),
        (
            format!("{check}min = 0.5\npower = 0.4"),
            "r.toml:14:9 `gate.check.0.power` is 0.4, needs at least 0.5 and less than 1",
        ),
        (
            format!("{check}min = 0.5\n[gate]\non_inconclusive = \"ignore\""),
            "r.toml:15:19 `gate.on_inconclusive` is `ignore`, needs one of `fail`, `pass`",
        ),
        (
            format!("{check}min = 0.5\nminimum = 0.5"),
            "r.toml:14:1 unknown key `gate.check.0.minimum`",
        ),
        (
            "[[gate.check]]\nmin = 0.5\nmetric = \"accuracy\"".to_owned(),
            "r.toml:10:1 missing key `gate.check.0.task`",
        ),
        (
            format!("{check}better_than = \"base\"\n[eval]\ncompare_base = false"),
            "r.toml:13:1 `gate.check.0.better_than` is `base`, and `eval.compare_base = false` leaves it unmeasured",
        ),
    ] {
        let found = recipe(&gates).unwrap_err();
        assert_eq!(found.len(), 1, "{gates}\n{found:?}");
        assert!(
            found[0].starts_with(expected),
            "{gates}\n{found:?}\n{expected}"
        );
    }
}

#[test]
fn a_file_holds_gates_and_nothing_else() {
    for (gates, expected) in [
        ("", "g.toml missing key `gate`"),
        (
            "[gate]\nbaseline = \"b\"",
            "g.toml:1:2 `gate.check` is empty, so nothing would be decided",
        ),
        (
            "[gate]\n[train]\nmax_steps = 1",
            "g.toml:2:2 unknown key `train`",
        ),
        (
            "[[gate.check]]\ntask = \"intent\"\nmetric = \"loss\"\nmin = 1",
            "g.toml:3:1 `gate.check.0.metric` is `loss`, needs one of `accuracy`, `macro_f1`",
        ),
    ] {
        let found = file(gates).unwrap_err();
        assert_eq!(found.len(), 1, "{gates}\n{found:?}");
        assert!(
            found[0].starts_with(expected),
            "{gates}\n{found:?}\n{expected}"
        );
    }
    let missing = GateSection::load(std::path::Path::new("nowhere.toml"), None).unwrap_err();
    assert!(missing.to_string().contains("nowhere.toml"), "{missing}");
}

/// The gates that are shown in examples/ are right.
#[test]
fn the_example_is_right() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/ci/gates.toml");
    let section = GateSection::load(std::path::Path::new(path), None).unwrap();
    assert_eq!(section.check.len(), 2);
}
