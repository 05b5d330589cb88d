//! `slm-tune schema`: the JSON Schema of recipes, for editors.

use crate::terminal::Terminal;

pub(crate) fn run(terminal: &mut Terminal) -> anyhow::Result<()> {
    terminal.json(&slm_recipe::json_schema())
}
