use serde::Serialize;
use slm_recipe::{DataSection, LabelNames, OnLeak, Source};
use slm_run::{sha256_bytes, sha256_file, sha256_json};
use slm_text::ChatTokenizer;

use crate::clean::personal_inputs;
use crate::error::DataError;
use crate::leak::{Guarded, GuardedRows};
use crate::manifest::FORMAT_VERSION;
use crate::source::SourceFiles;

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
        personal: Vec<String>,
        tokenizer: Vec<(String, String)>,
    }
    // Packing and order are a matter of batches, and what is stated of rows changes none.
    let section = DataSection {
        packing: false,
        shuffle: true,
        ..section.without_statements()
    };
    let digest = |source: &Source| {
        let (mut sha256, _) = SourceFiles::of(&source.path)?.digest()?;
        for names in source.label_names.values() {
            if let LabelNames::File(path) = names {
                let names = sha256_file(path).map_err(|source| DataError::Write { source })?;
                sha256 = format!("{sha256} {names}");
            }
        }
        Ok(sha256)
    };
    let sources = section.sources().map(digest);
    let sources = sources.collect::<Result<_, DataError>>()?;
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
        personal: personal_inputs(&section.clean)?,
        tokenizer,
    }))
}
