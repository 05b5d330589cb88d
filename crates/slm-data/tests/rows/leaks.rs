//! Rows of tasks among the rows to learn from: found, refused, left out or listed.

use slm_data::{
    Guarded, GuardedRow, GuardedRows, LEAKS, Leak, LeakKind, training_rows, training_texts,
};
use slm_recipe::{DataSection, OnLeak};

use crate::bench::Bench;

fn pair(prompt: &str, completion: &str) -> String {
    serde_json::json!({"prompt": prompt, "completion": completion}).to_string() + "\n"
}

/// Forty rows to learn from that share nothing, with the given ones after them; and a task of ten rows that begins with others.
fn bench(train: &[String], task: &[String]) -> Bench {
    let filler = |what: &str, i: usize| pair(&format!("{what} {}", i * 7919), "fine");
    let rows: String = (0..40).map(|i| filler("row", i)).collect();
    let items: String = (task.len()..10).map(|i| filler("item", i)).collect();
    let mut bench = Bench::with("a.jsonl", rows + &train.concat());
    bench.write("t.jsonl", task.concat() + &items);
    bench.guarded = vec![Guarded {
        task: "intent".into(),
        rows: GuardedRows::File(bench.source("t.jsonl")),
    }];
    bench
}

fn section(bench: &Bench, on_leak: OnLeak) -> DataSection {
    DataSection {
        on_leak,
        ..bench.section("a.jsonl")
    }
}

fn leaks(bench: &Bench) -> Vec<Leak> {
    let text = fs_err::read_to_string(bench.out().join(LEAKS)).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const PASSAGE: &str = "one two three four five six seven eight nine ten eleven twelve thirteen";

/// An equal row, a near one, and one with a passage.
fn leaking() -> Bench {
    let long = "my parcel has not come and the driver says that it was left with a neighbour";
    let unlike = "and then something else altogether that goes on for quite a while longer here";
    bench(
        &[
            pair("Where is  my CARD", "card"),
            pair(&format!("{long}!"), "late"),
            pair(&format!("{PASSAGE} {unlike}"), "count"),
        ],
        &[
            pair("where is my card", "card"),
            pair(long, "late"),
            pair(PASSAGE, "number"),
        ],
    )
}

#[test]
fn a_task_that_is_learned_from_is_refused_and_shown() {
    let mut bench = leaking();
    let section = section(&bench, OnLeak::Error);
    assert_eq!(
        bench.refusal(&section),
        (
            format!(
                "3 of 10 rows of task `intent` are among the rows to learn from, `data.max_leak_rate` 0.01 lets 0 pass: \
                 `t.jsonl:1` is `a.jsonl:41`, `t.jsonl:2` is near `a.jsonl:42` (0.89), \
                 `t.jsonl:3` shares \"{PASSAGE}\" with `a.jsonl:43`"
            ),
            "leave them out of the rows to learn from with `data.on_leak = \"drop\"`, or measure all the same with `\"report\"`, which lists them beside the shards".into(),
        )
    );
    let passes = DataSection {
        max_leak_rate: 0.3,
        ..section
    };
    assert_eq!(bench.prepare(&passes).unwrap().train.rows, 43);
    assert_eq!(bench.warnings().len(), 1);
}

#[test]
fn leaked_rows_are_left_out_or_listed() {
    let mut bench = leaking();
    let drop = section(&bench, OnLeak::Drop);
    let manifest = bench.prepare(&drop).unwrap();
    assert_eq!((manifest.train.rows, manifest.leaked_out), (40, 3));
    assert_eq!(
        bench.warnings(),
        [
            "3 of 10 rows of task `intent` were among the rows to learn from, which are left out (1 equal, 1 nearly equal, 1 with 13 words in a row; `leaks.jsonl` lists them)"
        ]
    );
    let report = section(&bench, OnLeak::Report);
    let manifest = bench.prepare(&report).unwrap();
    assert_eq!((manifest.train.rows, manifest.leaked_out), (43, 0));
    let found: Vec<_> = leaks(&bench)
        .iter()
        .map(|leak| (leak.kind, leak.row))
        .collect();
    assert_eq!(
        found,
        [
            (LeakKind::Exact, 40),
            (LeakKind::Near, 41),
            (LeakKind::Passage, 42)
        ]
    );
    let off = section(&bench, OnLeak::Off);
    assert_eq!(bench.prepare(&off).unwrap().leaks, []);
    assert_eq!(leaks(&bench), []);
}

/// A tokenizer of one's own, and a teacher, see no more rows than the run learns from.
#[test]
fn rows_without_a_tokenizer_have_no_leaks_either() {
    let bench = leaking();
    let drop = section(&bench, OnLeak::Drop);
    let texts = training_texts(&drop, &bench.guarded, 1).unwrap();
    assert_eq!(texts.len(), 2 * 40);
    assert_eq!(training_texts(&drop, &[], 1).unwrap().len(), 2 * 43);
    assert_eq!(training_rows(&drop, &bench.guarded, 1).unwrap().len(), 40);
    let error = section(&bench, OnLeak::Error);
    assert!(training_rows(&error, &bench.guarded, 1).is_err());
}

#[test]
fn rows_that_a_suite_has_read_are_guarded_as_well() {
    let mut bench = leaking();
    let row = |prompt: &str, target: &str| GuardedRow {
        origin: "suite.jsonl:7".into(),
        prompt: prompt.into(),
        target: target.into(),
    };
    let rows = vec![
        row("where is my card", "card"),
        row("who are you", "a bank"),
    ];
    bench.guarded = vec![Guarded {
        task: "asked".into(),
        rows: GuardedRows::Said(rows),
    }];
    let section = section(&bench, OnLeak::Error);
    assert_eq!(
        bench.refusal(&section).0,
        "1 of 2 rows of task `asked` are among the rows to learn from, `data.max_leak_rate` 0.01 lets 0 pass: \
         `suite.jsonl:7` is `a.jsonl:41`"
    );
}

#[test]
fn a_phrase_that_many_rows_have_is_no_leak() {
    let with = |n: usize| -> Vec<String> {
        (0..n)
            .map(|i| {
                let own: String = (0..30)
                    .map(|word| format!(" {}", i * 1000 + word * 31))
                    .collect();
                pair(&format!("{PASSAGE}{own}"), "x")
            })
            .collect()
    };
    for (rows, found) in [(10, 10), (11, 0)] {
        let mut bench = bench(&with(rows), &[pair(PASSAGE, "number")]);
        let report = section(&bench, OnLeak::Report);
        bench.prepare(&report).unwrap();
        assert_eq!(leaks(&bench).len(), found, "{rows}");
    }
}

#[test]
fn the_tasks_of_a_recipe_are_what_is_guarded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.toml");
    let text = "model.base_model = \"b\"\n[[data.train]]\npath = \"a.jsonl\"\nprompt = \"{q}\"\ncompletion = \"{a}\"\nmax_samples = 3\n\
                [[eval.task]]\nname = \"own\"\npath = \"t.jsonl\"\noutput_type = \"multiple_choice\"\ncalibration = { path = \"c.jsonl\" }\n\
                [[eval.task]]\nname = \"worded\"\npath = \"w.jsonl\"\nprompt = \"{{q}}\"\ntarget = \"{{a}}\"\noutput_type = \"loglikelihood\"\n\
                [[eval.task]]\nname = \"held out\"\noutput_type = \"loglikelihood\"\n\
                [[data.test]]\npath = \"test.jsonl\"\nprompt = \"{q}\"\ncompletion = \"{a}\"\n";
    fs_err::write(&path, text).unwrap();
    let recipe = slm_recipe::Recipe::load(&path, &[]).unwrap();
    let guarded = Guarded::of(&recipe);
    let files = guarded.iter().map(|guarded| match &guarded.rows {
        GuardedRows::File(source) => (guarded.task.as_str(), source),
        GuardedRows::Said(_) => panic!("the recipe names files"),
    });
    let files: Vec<_> = files.collect();
    let named: Vec<_> = files
        .iter()
        .map(|(task, source)| (*task, source.path.as_str()))
        .collect();
    // How a task with templates of its own is worded, its suite knows.
    assert_eq!(
        named,
        [
            ("own", "t.jsonl"),
            ("own (calibration)", "c.jsonl"),
            ("data.test", "test.jsonl")
        ]
    );
    for (_, source) in files {
        assert_eq!(source.prompt.as_deref(), Some("{q}"));
        assert_eq!(source.max_samples, 0);
    }
}

/// The project's own data sets. The figures are those of a Python script that compares every pair: no row of a task is equal or
/// near (0.64 is the most) to one to learn from, and in finance two intents are asked for with the same list of thirteen words.
#[test]
fn the_recipes_of_the_project_pass() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let names = [
        "finance",
        "healthcare",
        "manufacturing",
        "retail",
        "telecom",
    ];
    for name in names {
        let path = root.join(format!("recipes/domains/{name}.toml"));
        let recipe = slm_recipe::Recipe::load(&path, &[]).unwrap();
        let mut section = recipe.data.clone();
        let rooted = |path: &str| root.join(path).display().to_string();
        for source in section.train.iter_mut().chain(&mut section.validation) {
            source.path = rooted(&source.path);
        }
        let mut bench = Bench::new();
        bench.max_length = 1024;
        bench.guarded = Guarded::of(&recipe);
        for guarded in &mut bench.guarded {
            if let GuardedRows::File(source) = &mut guarded.rows {
                source.path = rooted(&source.path);
            }
        }
        let manifest = bench.prepare(&section).unwrap();
        let found: Vec<_> = manifest
            .leaks
            .iter()
            .map(|it| (it.task.as_str(), it.rows, it.exact + it.near, it.passage))
            .collect();
        let passages = if name == "finance" { 2 } else { 0 };
        assert_eq!(
            found,
            [
                ("intent", 200, 0, passages),
                ("extraction", 100, 0, 0),
                ("answer", 100, 0, 0)
            ],
            "{name}"
        );
        assert_eq!(manifest.train.rows, 1600, "{name}");
    }
}
