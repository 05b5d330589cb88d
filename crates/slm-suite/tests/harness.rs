//! Files of lm-evaluation-harness as it ships them: read whole, or refused with the key that only it can run.

use std::path::{Path, PathBuf};

use slm_suite::{Given, SuiteError, Task, load};

fn given(text: &str) -> Given {
    text.parse().expect("rows")
}

/// The tasks of a file of the harness, with rows for all that it names.
fn tasks(file: &Path, rows: &Path) -> Result<Vec<Task>, SuiteError> {
    let entries = load(
        &[file.to_owned()],
        &names(file)
            .iter()
            .map(|name| given(&format!("{name}={}", rows.display())))
            .collect::<Vec<_>>(),
        42,
    )?;
    Ok(entries
        .into_iter()
        .filter_map(|entry| match entry {
            slm_suite::Entry::Templated(task) => Some(*task),
            slm_suite::Entry::Plain(_) => None,
        })
        .collect())
}

fn names(file: &Path) -> Vec<String> {
    let text = fs_err::read_to_string(file).expect("a task");
    let name = text.lines().find_map(|line| {
        line.trim_matches('"').strip_prefix("task").map(|rest| {
            rest.trim_start_matches(['"', ':', ' '])
                .trim_matches('"')
                .to_owned()
        })
    });
    name.into_iter().filter(|name| !name.is_empty()).collect()
}

fn yaml(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs_err::read_dir(folder).expect("tasks") {
        let path = entry.expect("a task").path();
        if path.is_dir() {
            yaml(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml") {
            found.push(path);
        }
    }
    found.sort();
}

/// Of the files that are beside a checkout: how many hold no Python, and what the others are refused for.
#[test]
fn files_of_the_harness_are_read_or_refused_by_key() {
    let Some(folder) = slm_testkit::shared("eval/lm_harness/tasks", 1) else {
        return;
    };
    let rows = tempfile::tempdir().expect("a folder");
    for split in ["train", "validation", "test", "dev"] {
        fs_err::write(
            rows.path().join(format!("{split}.jsonl")),
            "{\"a\": 1}\n{\"a\": 2}\n",
        )
        .expect("rows");
    }
    let mut files = Vec::new();
    yaml(&folder, &mut files);
    let (mut read, mut python, mut missing) = (0, 0, 0);
    for file in files {
        match tasks(&file, rows.path()) {
            Ok(tasks) => read += tasks.len(),
            Err(SuiteError::Python { key, place, .. }) => {
                let place = place.to_string();
                assert!(place.contains(".yaml:"), "{place}");
                assert!(!key.is_empty());
                python += 1;
            }
            // Groups of tasks of which not all are here.
            Err(
                SuiteError::UnknownTask { .. }
                | SuiteError::UnusedRows { .. }
                | SuiteError::NoRows { .. },
            ) => missing += 1,
            Err(error) => panic!("{}: {error}", file.display()),
        }
    }
    assert_eq!(read + python + missing, 41);
    assert_eq!((read, python, missing), (21, 14, 6));
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs_err::write(&path, text).expect("a file");
    path
}

#[test]
fn groups_and_includes_are_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str, text: &str| written(folder.path(), name, text);
    let rows = at("rows.jsonl", "{\"q\": \"a\", \"t\": \"b\"}\n");
    let data = format!(
        "dataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {}\n",
        rows.display()
    );
    at(
        "_base",
        &format!(
            "output_type: loglikelihood\ntest_split: test\ndoc_to_text: q\ndoc_to_target: t\n{data}"
        ),
    );
    at("one.yaml", "include: _base\ntask: one\ntag: pair\n");
    at(
        "two.yaml",
        "include: _base\ntask: two\ntag: [pair, other]\ndoc_to_text: \"{{q}}!\"\n",
    );
    let group = at(
        "all.yaml",
        "group: all\ntask: [pair]\naggregate_metric_list:\n  - metric: acc\n",
    );
    let entries = load(&[group], &[], 42).expect("the group");
    let names: Vec<_> = entries.iter().map(slm_suite::Entry::name).collect();
    assert_eq!(names, ["one", "two"]);
    let broken = at("broken.yaml", "group: broken\ntask: [three]\n");
    let error = load(&[broken], &[], 42)
        .expect_err("no such task")
        .to_string();
    assert!(error.ends_with("names the task or tag `three`"), "{error}");
    let circle = at("circle.yaml", "include: circle.yaml\ntask: x\n");
    let error = load(&[circle], &[], 42).expect_err("a circle").to_string();
    assert!(error.contains("`include` leads back to"), "{error}");
    let odd = at("odd.yaml", "group: odd\ntask: [one]\nweights: 3\n");
    let error = load(&[odd], &[], 42)
        .expect_err("an unknown key")
        .to_string();
    assert!(
        error.ends_with("odd.yaml:3:1 unknown key `weights`"),
        "{error}"
    );
}
