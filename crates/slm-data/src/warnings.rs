use slm_recipe::{DataSection, OnLeak};
use slm_run::{Emit, Event};

use crate::clean::{CLEANING, CleanStep};
use crate::intake::SKIPPED;
use crate::manifest::Manifest;
use crate::side::Side;

/// Tells what a user should look at before training on it.
pub(crate) fn warn(section: &DataSection, manifest: &Manifest, emit: Emit<'_>) {
    for (name, side) in manifest.sides() {
        let name = named(name);
        for (count, why) in [
            (
                side.dropped.overlong,
                "longer than `max_length` and left out",
            ),
            (
                side.dropped.nothing_left_to_learn,
                "left out because truncation cut all that was to be learned",
            ),
            (side.truncated, "cut to `max_length`"),
        ] {
            if count > 0 {
                let text = format!(
                    "{count} of {} {name} rows {} {why}",
                    side.read,
                    if count == 1 { "was" } else { "were" }
                );
                emit(Event::Warning { text });
            }
        }
    }
    for (name, side) in manifest.mask.sides() {
        let name = named(name);
        for (finding, count) in &side.findings {
            let text = format!(
                "{count} of {} {name} sequences have the finding `{}`, which `data.accept_findings` accepts",
                side.sequences,
                finding.name()
            );
            emit(Event::Warning { text });
        }
    }
    let skipped: usize = manifest.sources.iter().map(|source| source.skipped).sum();
    if skipped > 0 {
        let rows: usize = manifest.sources.iter().map(|source| source.rows).sum();
        let text = format!(
            "{skipped} of {rows} rows could not be read and were skipped (`{SKIPPED}` lists them)"
        );
        emit(Event::Warning { text });
    }
    let steps = manifest.cleaning.iter();
    for conflicts in steps.filter(|step| step.step == CleanStep::Conflict && step.listed > 0) {
        let text = format!(
            "{} rows give another answer to a prompt than another row (`{CLEANING}` lists them)",
            conflicts.listed
        );
        emit(Event::Warning { text });
    }
    for leaks in manifest.leaks.iter().filter(|leaks| leaks.leaked > 0) {
        emit(Event::Warning {
            text: leaks.told(section.on_leak == OnLeak::Drop),
        });
    }
    if manifest.leaked > 0 {
        let text = format!(
            "{} of {} held-out rows are equal to a training row",
            manifest.leaked,
            manifest.validation.read + manifest.test.read
        );
        emit(Event::Warning { text });
    }
    if section.holds_out() && manifest.validation.rows == 0 {
        let text = format!(
            "no row is held out: `data.val_size` {} of {} rows gave none",
            section.val_size, manifest.train.read
        );
        emit(Event::Warning { text });
    }
    if section.holds_test() && manifest.test.rows == 0 {
        let text = format!(
            "no row is one of the test: `data.test_size` {} of {} rows gave none, and tasks are measured on what is held out",
            section.test_size, manifest.train.read
        );
        emit(Event::Warning { text });
    }
}

/// A side before `rows`.
fn named(side: Side) -> &'static str {
    match side {
        Side::Validation => "held-out",
        side => side.told(),
    }
}
