//! Where results go, and what was said about how to print them.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// Results go to `out`; everything else, through a [`Reporter`](crate::reporter::Reporter), to stderr.
pub(crate) struct Terminal {
    pub(crate) out: Box<dyn Write>,
    pub(crate) quiet: bool,
    pub(crate) offline: bool,
}

impl Terminal {
    /// `HF_HUB_OFFLINE` counts as `--offline`, as it does for other tools that read the hub.
    pub(crate) fn new(quiet: bool, offline: bool) -> Self {
        let told = |value: String| !matches!(value.to_lowercase().as_str(), "" | "0" | "false");
        Self {
            out: Box::new(io::stdout()),
            quiet,
            offline: offline || std::env::var("HF_HUB_OFFLINE").is_ok_and(told),
        }
    }

    /// Prints one JSON document.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        writeln!(self.out, "{}", serde_json::to_string_pretty(value)?)?;
        Ok(())
    }

    /// Whether results may carry colours.
    pub(crate) fn colours(&self) -> bool {
        io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
    }
}
