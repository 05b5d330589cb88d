//! A summary for pull requests.

use std::fmt::Write;
use std::path::Path;

use slm_eval::GateReport;
use slm_metrics::gate::Verdict;

use super::{Line, conclusion};

pub(super) fn text(report: &GateReport, lines: &[Line], run: &Path) -> String {
    let mut text = format!(
        "### Gates of `{}`: {}\n\n",
        run.display(),
        conclusion(report)
    );
    text += "| | gate | figure | interval | p | items | could show | would decide |\n";
    text += "|---|---|--:|---|--:|--:|--:|--:|\n";
    for line in lines {
        let cells = line.cells().into_iter();
        let cells: Vec<_> = cells
            .map(|cell| cell.replace('|', "\\|").replace('<', "&lt;"))
            .collect();
        let _ = writeln!(text, "| {} | {} |", line.verdict, cells.join(" | "));
    }
    let others: Vec<_> = lines
        .iter()
        .filter(|it| it.verdict != Verdict::Pass)
        .collect();
    if !others.is_empty() {
        text += "\n";
    }
    for line in others {
        let sentence = line.sentence.replace('<', "&lt;");
        let _ = writeln!(text, "- **{}** {}: {sentence}", line.verdict, line.title);
    }
    if let Some(baseline) = &report.baseline {
        let _ = writeln!(text, "\nBaseline: `{baseline}`.");
    }
    text
}
