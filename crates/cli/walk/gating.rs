//! The last stage: whether what was made is good enough.

use anyhow::Result;
use serde_json::json;
use slm_eval::GateReport;

use super::Walk;
use crate::{args::GateOutputs, gates, terminal::Terminal};

impl Walk {
    /// Puts the recipe's gates to the run and tells what comes of it; `None` without gates. It is told before the end, so that the last line stays the last.
    pub(crate) fn gate(&self, json: bool, terminal: &mut Terminal) -> Result<Option<GateReport>> {
        if self.recipe.gate.check.is_empty() {
            return Ok(None);
        }
        let report = gates::gate_run(&self.recipe, self.run.root());
        if json {
            writeln!(
                terminal.out,
                "{}",
                json!({"event": "gate", "report": report})
            )?;
        } else {
            writeln!(terminal.out)?;
            gates::write(&report, &GateOutputs::default(), self.run.root(), terminal)?;
        }
        Ok(Some(report))
    }
}
