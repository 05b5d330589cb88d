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
