use serde::Serialize;
use slm_recipe::{DataSection, OnLeak, Source};
use slm_run::{sha256_bytes, sha256_file, sha256_json};
use slm_text::ChatTokenizer;

use crate::error::DataError;
use crate::leak::{Guarded, GuardedRows};
use crate::manifest::FORMAT_VERSION;
use crate::source::check_readable;

/// Digest of everything that the shards depend on: rows, tokenizer, template, and the keys that are read. Equal digests mean
/// equal shards, so the stage can be skipped.
///
/// # Errors
/// When a source, the file of a task, or a file of the tokenizer cannot be read.
pub fn input_digest(
    section: &DataSection,
    guarded: &[Guarded],
    tokenizer: &ChatTokenizer,
    max_length: usize,
    seed: u64,
) -> Result<String, DataError> {
    #[derive(Serialize)]
    struct Inputs<'a> {
        format_version: u32,
        section: &'a DataSection,
        max_length: usize,
        seed: u64,
        sources: Vec<String>,
        guarded: Vec<(&'a Guarded, Option<String>)>,
        tokenizer: Vec<(String, String)>,
    }
    // Packing and order are a matter of batches.
    let section = DataSection {
        packing: false,
        shuffle: true,
        ..section.clone()
    };
    let digest = |source: &Source| {
        check_readable(&source.path)?;
        sha256_file(&source.path).map_err(|source| DataError::Write { source })
    };
    let sources = section.train.iter().chain(&section.validation);
    let sources = sources.map(digest).collect::<Result<_, _>>()?;
    let looked_at = guarded.iter().filter(|_| section.on_leak != OnLeak::Off);
    let guarded = looked_at.map(|guarded| match &guarded.rows {
        GuardedRows::File(source) => Ok((guarded, Some(digest(source)?))),
        GuardedRows::Said(_) => Ok((guarded, None)),
    });
    let guarded = guarded.collect::<Result<_, DataError>>()?;
    let files = tokenizer.files();
    let tokenizer = files
        .into_iter()
        .map(|file| (file.name, sha256_bytes(&file.bytes)))
        .collect();
    Ok(sha256_json(&Inputs {
        format_version: FORMAT_VERSION,
        section: &section,
        max_length,
        seed,
        sources,
        guarded,
        tokenizer,
    }))
}
