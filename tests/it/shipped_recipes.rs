use std::path::Path;

use crate::sandbox::Sandbox;

/// A device that is not there stops a run before it begins; a recipe that is not valid stops it before that.
#[test]
fn every_recipe_of_the_project_is_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join("recipes"), &mut found);
    assert!(found.len() >= 10, "{found:?}");
    let sandbox = Sandbox::new();
    for path in found {
        let output = sandbox
            .command(&["train", path.to_str().unwrap(), "model.device=nowhere"])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.starts_with("error: device `nowhere` is not known"),
            "{}: {stderr}",
            path.display()
        );
    }
}

/// Every file under recipes/eval is a suite that can be asked.
#[test]
fn every_suite_of_the_project_is_asked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/eval");
    let sandbox = Sandbox::with_base();
    let mut found = 0;
    for entry in fs_err::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let arguments = [
            "eval",
            "base",
            "--suite",
            path.to_str().unwrap(),
            "--limit",
            "2",
            "--json",
            "--quiet",
        ];
        let reports = sandbox.json(&arguments);
        assert!(
            reports
                .as_array()
                .unwrap()
                .iter()
                .all(|report| report["n"] == 2)
        );
        found += 1;
    }
    assert_eq!(found, 1);
}

fn walk(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Suites are no recipes.
        if path.is_dir() && path.ends_with("eval") {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|end| end == "toml") {
            found.push(path);
        }
    }
}
