//! What went in and what came out, by digest.

use super::markup::escape;
use super::numbers::size;

/// A file or folder and its digest.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// What it is: `base`, `data`, or a path in the run.
    pub what: String,
    /// SHA-256 in hex.
    pub sha256: String,
    /// Its size, where it is a file.
    pub size_bytes: Option<u64>,
}

pub(super) fn section(digests: &[Digest]) -> String {
    if digests.is_empty() {
        return String::new();
    }
    let rows: String = digests
        .iter()
        .map(|digest| {
            let size = digest.size_bytes.map(size).unwrap_or_default();
            format!(
                "<tr><th scope=\"row\">{}</th><td class=\"n\">{size}</td><td><code>{}</code></td></tr>",
                escape(&digest.what),
                escape(&digest.sha256)
            )
        })
        .collect();
    format!(
        "<section><h2>Digests</h2>\n<table class=\"digests\"><thead><tr><th>what</th><th class=\"n\">size</th><th>SHA-256</th></tr></thead>\
         <tbody>{rows}</tbody></table>\n</section>\n"
    )
}
