//! For tests only: goldens, comparisons, and where shared material lies.

#![expect(clippy::print_stderr, reason = "tests say what they skip")]

mod golden;

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
