//! Lines that GitHub Actions shows beside a run.

use std::io::{self, Write};

use slm_eval::GateReport;
use slm_metrics::gate::Verdict;
use slm_recipe::OnInconclusive;

use super::Line;

/// An error for every gate that closes, a warning for one that is undecided and passes all the same.
pub(super) fn write(report: &GateReport, lines: &[Line], out: &mut dyn Write) -> io::Result<()> {
    for line in lines {
        let level = match (line.verdict, report.on_inconclusive) {
            (Verdict::Pass, _) => continue,
            (Verdict::Inconclusive, OnInconclusive::Pass) => "warning",
            _ => "error",
        };
        let title = property(&format!("{} {}", line.verdict, line.title));
        writeln!(out, "::{level} title={title}::{}", message(&line.sentence))?;
    }
    Ok(())
}

/// As the runner reads it back.
fn message(text: &str) -> String {
    let text = text.replace('%', "%25");
    text.replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runner_reads_as_its_own_is_escaped() {
        assert_eq!(message("60 %\nnext"), "60 %25%0Anext");
        assert_eq!(property("a: b, c"), "a%3A b%2C c");
    }
}
