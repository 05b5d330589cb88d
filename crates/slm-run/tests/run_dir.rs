//! The life of a run directory, seen from outside.

use std::io::Write;
use std::path::Path;

use slm_run::{Event, RunDir, RunError, StageStatus, list_runs, sha256_bytes};

fn step(step: usize) -> Event {
    Event::Eval {
        step,
        loss: 1.0,
        entropy: 1.0,
        token_accuracy: 0.5,
        rewards: None,
        metric: None,
        best: false,
    }
}

#[test]
fn a_run_is_made_left_and_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("runs/first");
    let mut run = RunDir::create(&root).unwrap();
    run.write_recipe("seed = 1", "seed = 1\nname = \"x\"")
        .unwrap();
    run.metrics_log().unwrap().append(&step(1)).unwrap();
    run.set_digest("base", "abc".into()).unwrap();
    drop(run);

    let run = RunDir::open(&root).unwrap();
    assert_eq!(
        fs_err::read_to_string(run.path("recipe.toml")).unwrap(),
        "seed = 1"
    );
    assert_eq!(run.metrics().unwrap(), [step(1)]);
    assert_eq!(run.record().digests["base"], "abc");
    assert_eq!(
        run.record().digests["recipe"],
        sha256_bytes(b"seed = 1\nname = \"x\"")
    );
    assert_eq!(run.record().format_version, slm_run::FORMAT_VERSION);
}

#[test]
fn a_stage_is_current_while_inputs_and_outputs_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = RunDir::create(dir.path().join("run")).unwrap();
    assert!(!run.stage_is_current("data", "in"), "never run");

    run.start_stage("data", "in").unwrap();
    assert!(!run.stage_is_current("data", "in"), "only begun");

    fs_err::create_dir(run.path("data")).unwrap();
    fs_err::write(run.path("data/rows"), "1").unwrap();
    fs_err::write(run.path("data.json"), "{}").unwrap();
    run.finish_stage("data", "in", &[run.path("data"), "data.json".into()])
        .unwrap();
    assert_eq!(
        run.record().stages["data"]
            .outputs
            .keys()
            .collect::<Vec<_>>(),
        ["data", "data.json"]
    );
    assert!(run.stage_is_current("data", "in"));
    assert!(!run.stage_is_current("data", "other"), "another input");
    assert!(!run.stage_is_current("train", "in"), "another stage");

    let root = run.root().to_path_buf();
    drop(run);
    let run = RunDir::open(&root).unwrap();
    assert!(run.stage_is_current("data", "in"), "read back");
    fs_err::write(run.path("data/rows"), "2").unwrap();
    assert!(!run.stage_is_current("data", "in"), "an output changed");
    fs_err::remove_dir_all(run.path("data")).unwrap();
    assert!(!run.stage_is_current("data", "in"), "an output is gone");
}

#[test]
fn a_stage_that_stopped_is_not_current() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = RunDir::create(dir.path().join("run")).unwrap();
    for status in [StageStatus::Failed, StageStatus::Interrupted] {
        run.start_stage("train", "in").unwrap();
        run.stop_stage("train", status).unwrap();
        assert_eq!(run.record().stages["train"].status, status);
        assert!(!run.stage_is_current("train", "in"));
    }
}

#[test]
fn a_stage_cannot_finish_with_an_output_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = RunDir::create(dir.path().join("run")).unwrap();
    run.start_stage("export", "in").unwrap();
    let error = run
        .finish_stage("export", "in", &["model.gguf"])
        .unwrap_err();
    assert!(matches!(error, RunError::Missing { .. }), "{error}");
    assert_eq!(run.record().stages["export"].status, StageStatus::Started);
}

#[test]
fn one_process_writes_and_others_read() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("run");
    let writer = RunDir::create(&root).unwrap();
    assert!(matches!(RunDir::create(&root), Err(RunError::InUse { .. })));

    let mut reader = RunDir::open(&root).unwrap();
    reader.metrics().unwrap();
    assert!(matches!(
        reader.start_stage("eval", "in"),
        Err(RunError::InUse { .. })
    ));
    assert!(matches!(reader.lock(), Err(RunError::InUse { .. })));
    drop(writer);
    reader.start_stage("eval", "in").unwrap();
}

#[test]
fn a_reader_that_becomes_the_writer_keeps_what_was_written_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("run");
    let mut writer = RunDir::create(&root).unwrap();
    let mut reader = RunDir::open(&root).unwrap();
    writer.set_digest("base", "abc".into()).unwrap();
    drop(writer);
    reader.set_digest("data", "def".into()).unwrap();
    assert_eq!(RunDir::open(&root).unwrap().record().digests.len(), 2);
}

#[test]
fn a_folder_of_something_else_is_refused_and_untouched() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("thesis.txt"), "1").unwrap();
    for result in [RunDir::create(dir.path()), RunDir::open(dir.path())] {
        assert!(matches!(result, Err(RunError::NotARun { .. })));
    }
    assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
    assert!(matches!(
        RunDir::open(dir.path().join("none")),
        Err(RunError::Missing { .. })
    ));
}

#[test]
fn a_run_killed_before_its_first_record_can_start_again() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join(".lock"), "1").unwrap();
    fs_err::write(dir.path().join(".run.json.partial"), "{").unwrap();
    RunDir::create(dir.path()).unwrap();
    RunDir::open(dir.path()).unwrap();
}

#[test]
fn a_run_directory_below_a_file_is_refused_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("file"), "1").unwrap();
    for root in ["file", "file/run", "file/runs/run"] {
        let error = RunDir::create(dir.path().join(root)).unwrap_err();
        assert!(
            matches!(error, RunError::NotAFolder { .. }),
            "{root}: {error}"
        );
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_read_only_folder_is_refused_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("locked");
    fs_err::create_dir(&folder).unwrap();
    let mut rights = fs_err::metadata(&folder).unwrap().permissions();
    rights.set_readonly(true);
    fs_err::set_permissions(&folder, rights).unwrap();
    if fs_err::File::create(folder.join("probe")).is_ok() {
        // The superuser may write anywhere; the test above stands in for this one.
        writeln!(
            std::io::stderr(),
            "skipped: 1 case, this user may write into read-only folders"
        )
        .unwrap();
        return;
    }
    let error = RunDir::create(folder.join("run")).unwrap_err();
    assert!(matches!(error, RunError::Permission { .. }), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn runs_are_listed_with_the_broken_ones() {
    let dir = tempfile::tempdir().unwrap();
    RunDir::create(dir.path().join("b")).unwrap();
    RunDir::create(dir.path().join("a")).unwrap();
    fs_err::create_dir(dir.path().join("c")).unwrap();
    fs_err::write(dir.path().join("c/run.json"), "{").unwrap();
    fs_err::create_dir(dir.path().join("no-run")).unwrap();

    let runs = list_runs(dir.path()).unwrap();
    let found: Vec<_> = runs
        .iter()
        .map(|(path, run)| (path.strip_prefix(dir.path()).unwrap(), run.is_ok()))
        .collect();
    assert_eq!(
        found,
        [
            (Path::new("a"), true),
            (Path::new("b"), true),
            (Path::new("c"), false)
        ]
    );
    assert!(list_runs(dir.path().join("none")).unwrap().is_empty());
}

#[test]
fn outputs_of_a_run_with_a_relative_root_are_found() {
    // Relative to the folder that tests run in, which is the crate's own.
    let folder = tempfile::Builder::new()
        .prefix("relative-run")
        .tempdir_in(".")
        .unwrap();
    let root = std::path::Path::new(folder.path().file_name().unwrap());
    let mut run = RunDir::create(root).unwrap();
    std::fs::write(run.path("made"), "x").unwrap();
    run.start_stage("data", "digest").unwrap();
    run.finish_stage("data", "digest", &[run.path("made")])
        .unwrap();
    assert!(run.stage_is_current("data", "digest"));
    assert_eq!(
        run.record().stages["data"]
            .outputs
            .keys()
            .collect::<Vec<_>>(),
        ["made"]
    );
}
