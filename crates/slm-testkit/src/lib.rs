//! For tests only: goldens, comparisons, and where shared material lies.

#![expect(clippy::print_stderr, reason = "tests say what they skip")]

mod endpoint;
mod golden;

pub use endpoint::{Log, Reply, Seen, Server};
pub use golden::Golden;

use std::path::{Path, PathBuf};

/// A file or folder of the material that lies beside a checkout (`../shared`), or `None` where it is missing; the caller
/// then returns, and the skip is printed with the number of checks that it leaves out.
pub fn shared(relative: &str, checks: usize) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("../shared").join(relative);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {checks} checks need `../shared/{relative}`");
    None
}

/// The folders of goldens, one per model: those of this project (`tests/goldens/data`), then those beside a checkout, of
/// which there are `shared_folders`.
pub fn golden_models(shared_folders: usize) -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/data");
    let models = |folder: PathBuf| {
        let entries = std::fs::read_dir(&folder).expect("goldens are there");
        let paths = entries.map(|entry| entry.expect("goldens can be listed").path());
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| path.join("base_ref.safetensors").is_file())
            .collect();
        paths.sort();
        paths
    };
    let mut all = models(own);
    assert_eq!(all.len(), 24, "models of the project's own goldens");
    if let Some(fixtures) = shared("fixtures", shared_folders) {
        let others = models(fixtures);
        assert_eq!(others.len(), shared_folders, "models of the shared goldens");
        all.extend(others);
    }
    all
}

/// The adapters of a folder of [`golden_models`].
pub fn golden_adapters(model: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(model).expect("goldens can be listed");
    let paths = entries.map(|entry| entry.expect("goldens can be listed").path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.join("adapter_config.json").is_file())
        .collect();
    paths.sort();
    paths
}

/// The name of a folder of goldens, with its parent's where that is a model.
pub fn golden_name(folder: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
    let own = name(folder).unwrap_or_default();
    match folder.join("adapter_config.json").is_file() {
        false => own,
        true => format!(
            "{}/{own}",
            folder.parent().and_then(name).unwrap_or_default()
        ),
    }
}

/// Asserts that two arrays agree within `tolerance` times the largest reference value.
///
/// # Panics
/// They do not, or their lengths differ; the message names the worst place.
pub fn assert_close(what: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{what}: lengths differ");
    let largest = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            (g - w).abs() <= tolerance * largest,
            "{what}[{i}]: {g} is not {w} (tolerance {tolerance} of {largest})"
        );
    }
}

/// ‖got − want‖ / ‖want‖
pub fn relative_difference(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len(), "lengths differ");
    let square = |v: f64| v * v;
    let difference: f64 = got
        .iter()
        .zip(want)
        .map(|(g, w)| square(f64::from(*g) - f64::from(*w)))
        .sum();
    let reference: f64 = want.iter().map(|w| square(f64::from(*w))).sum();
    (difference / reference.max(f64::MIN_POSITIVE)).sqrt()
}
