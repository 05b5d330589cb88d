use std::path::Path;

use crate::sandbox::Sandbox;

/// A base or rows that are not there stop the check; a recipe that does not parse stops it before.
#[test]
fn every_recipe_of_the_project_is_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join("recipes"), &mut found);
    assert!(found.len() >= 10, "{found:?}");
    let sandbox = Sandbox::new();
    for path in found {
        let output = sandbox
            .command(&[
                "check",
                path.to_str().unwrap(),
                "model.base_model=nowhere/at/all",
            ])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.starts_with("error: no model at `nowhere/at/all`"),
            "{}: {stderr}",
            path.display()
        );
    }
}

fn walk(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|end| end == "toml") {
            found.push(path);
        }
    }
}
