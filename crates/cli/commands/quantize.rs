//! `slm-tune quantize`: a GGUF file of floats, written in blocks.

use std::{
    io::Write,
    num::NonZero,
    path::{Path, PathBuf},
    thread::available_parallelism,
};

use anyhow::Result;
use serde_json::json;
use slm_export::CERTIFICATE_KEY;
use slm_gguf::{FileType, GgufError, ImportanceMatrix, Quantized, Quantizer, Reader};
use slm_run::Event;

use crate::{
    args::QuantizeArguments, failure::refuse, reporter::Reporter, table::size, terminal::Terminal,
};

/// What a certificate says is true of the file that it was made for.
const OF_THE_SOURCE: [&str; 1] = [CERTIFICATE_KEY];

pub(crate) fn run(arguments: QuantizeArguments, terminal: &mut Terminal) -> Result<()> {
    let source = Reader::open(&arguments.source)?;
    let file_type: FileType = arguments.file_type.parse()?;
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| beside(&arguments.source, file_type));
    if is_same(&out, &arguments.source) {
        let message = format!("`{}` is the source itself", out.display());
        return Err(refuse(message, "name another file with `--out`"));
    }
    let quantizer = quantizer(&arguments, file_type)?;
    let mut reporter = Reporter::new(terminal, arguments.output.json);
    let quantized = quantizer.write(&source, &out, &mut |done, total| {
        reporter.show(Event::Progress {
            stage: "quantize".into(),
            done: done >> 20,
            total: total >> 20,
            unit: "MiB".into(),
        });
    })?;
    tell(&quantized, file_type, &mut reporter);
    drop(reporter);
    let Quantized { size_bytes, .. } = quantized;
    if arguments.output.json {
        let fallen_back = quantized
            .fallen_back
            .iter()
            .map(|(name, it)| json!({"tensor": name, "type": it.to_string()}));
        return terminal.json(&json!({
            "file": out, "type": file_type.name(), "size_bytes": size_bytes, "fallen_back": fallen_back.collect::<Vec<_>>(),
            "unweighted": quantized.unweighted, "unmet_rules": quantized.unmet,
        }));
    }
    writeln!(terminal.out, "{}  {}", out.display(), size(size_bytes))?;
    Ok(())
}

fn quantizer(arguments: &QuantizeArguments, file_type: FileType) -> Result<Quantizer, GgufError> {
    let importance = arguments
        .imatrix
        .as_ref()
        .map(|file| Ok::<_, GgufError>((ImportanceMatrix::read(file)?, file.clone())));
    let rules = arguments.tensor_type.iter().map(|rule| rule.parse());
    Ok(Quantizer {
        file_type,
        importance: importance.transpose()?,
        rules: rules.collect::<Result<_, _>>()?,
        n_threads: arguments
            .threads
            .unwrap_or_else(|| available_parallelism().map_or(1, NonZero::get)),
        forgotten: OF_THE_SOURCE.map(String::from).into(),
    })
}

/// `bank-F32.gguf` becomes `bank-Q4_K_M.gguf`, `bank.gguf` as well.
fn beside(source: &Path, file_type: FileType) -> PathBuf {
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    let floats = ["F32", "F16", "BF16"]
        .iter()
        .find_map(|name| stem.strip_suffix(&format!("-{name}")));
    source.with_file_name(format!(
        "{}-{}.gguf",
        floats.unwrap_or(&stem),
        file_type.name()
    ))
}

fn is_same(out: &Path, source: &Path) -> bool {
    match (fs_err::canonicalize(out), fs_err::canonicalize(source)) {
        (Ok(out), Ok(source)) => out == source,
        _ => false,
    }
}

fn tell(quantized: &Quantized, file_type: FileType, reporter: &mut Reporter) {
    let (n, name) = (quantized.fallen_back.len(), file_type.name());
    if let Some((first, tensor_type)) = quantized.fallen_back.first() {
        let text = format!(
            "{n} tensors have a larger type than `{name}` has for them, because a row is not whole blocks: `{first}` is {tensor_type}"
        );
        reporter.show(Event::Note { text });
    }
    if let Some(first) = quantized.unweighted.first() {
        let n = quantized.unweighted.len();
        let text = format!(
            "the importance matrix has nothing for {n} tensors, such as `{first}`: their columns matter evenly"
        );
        reporter.show(Event::Note { text });
    }
    for rule in &quantized.unmet {
        let text = format!("no tensor is met by `{rule}`");
        reporter.show(Event::Warning { text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_takes_the_place_of_the_floats() {
        let named = |source: &str| {
            let file_type = "Q4_K_M".parse().unwrap();
            beside(Path::new(source), file_type)
        };
        assert_eq!(named("a/bank-F32.gguf"), Path::new("a/bank-Q4_K_M.gguf"));
        assert_eq!(named("a/bank-BF16.gguf"), Path::new("a/bank-Q4_K_M.gguf"));
        assert_eq!(named("bank.gguf"), Path::new("bank-Q4_K_M.gguf"));
    }
}
