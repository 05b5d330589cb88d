//! What is written once all files are judged: the certificate, its hash in the files, and what lies beside them.

use slm_run::{Event, write_file_atomic};

use super::{Request, Walk};
use crate::card::card;
use crate::exported::list;
use crate::modelfile::modelfile;
use crate::seal::seals;
use crate::{CERTIFICATE_JSON, Certificate, Comparison, ExportError, Exported};

/// What Ollama makes a model of.
const MODELFILE: &str = "Modelfile";
/// The model card.
const CARD: &str = "README.md";

/// What lies beside the files to ship, and is about them.
pub const COMPANIONS: [&str; 3] = [MODELFILE, CARD, CERTIFICATE_JSON];

impl Walk<'_, '_> {
    pub(super) fn finish(self) -> Result<Exported, ExportError> {
        let Request {
            out,
            name,
            base_model,
            section,
            ..
        } = *self.request;
        let mut files = Vec::new();
        let is_certified = !self.comparisons.is_empty();
        if is_certified {
            let prompts = self.trained.probes().to_vec();
            let figures = self.comparisons.clone();
            let certificate = Certificate::new(name, base_model, &section.parity, figures, prompts);
            let hash = certificate.write(out)?;
            for artifact in self.kept.iter().chain(&self.refused) {
                for seal in seals(&out.join(artifact))? {
                    seal.fill(&hash)?;
                }
            }
        }
        let ggufs = self.kept.iter().filter(|name| name.ends_with(".gguf"));
        let mut whole = ggufs.filter(|name| !is_beside(name));
        let mut companions = Vec::new();
        if let Some(file) = whole.next() {
            let text = modelfile(file, self.request.tokenizer);
            write_file_atomic(out.join(MODELFILE), text.as_bytes())?;
            companions.push(MODELFILE);
        }
        if is_certified {
            let text = card(self.request, &self.comparisons);
            write_file_atomic(out.join(CARD), text.as_bytes())?;
            companions.extend([CARD, CERTIFICATE_JSON]);
        }
        for artifact in &self.kept {
            let of = list(out, artifact)?;
            let size_bytes = of.iter().map(|file| file.size_bytes).sum();
            let path = out.join(artifact);
            (self.emit)(Event::Wrote { path, size_bytes });
            files.extend(of);
        }
        for companion in companions {
            files.extend(list(out, companion)?);
        }
        let comparisons = self.comparisons;
        let exported = Exported {
            files,
            comparisons,
            calibration: self.calibration,
        };
        exported.write(out, name, base_model)?;
        let failed = exported.comparisons.iter().filter(|c| !c.ok);
        let failed: Vec<Comparison> = failed.cloned().collect();
        match failed.is_empty() {
            true => Ok(exported),
            false => Err(ExportError::Mismatch { failed }),
        }
    }
}

/// Whether a GGUF file is no model: an adapter, an importance matrix.
fn is_beside(name: &str) -> bool {
    name.ends_with("-lora-F32.gguf") || name.ends_with(".imatrix.gguf")
}
