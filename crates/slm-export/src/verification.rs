//! A file beside its certificate: is it the one that was certified, and does it still answer so?

use std::path::Path;

use serde::Serialize;

use crate::certificate::CERTIFICATE_JSON;
use crate::precision::in_f32;
use crate::seal::{content_digest, seals};
use crate::task_parity::AnswerTasks;
use crate::{Certificate, Certifier, Comparison, ExportError, Request, Trained};

/// What a figure may be off when another machine computes it again: sums in f32 are taken in another order there. Relative, and in
/// nats where a figure is near zero.
const TOLERANCE: f64 = 0.02;
const SMALLEST: f64 = 1e-5;

/// One thing that has to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is compared.
    pub what: String,
    /// What the certificate says.
    pub certified: String,
    /// What was found.
    pub found: String,
    /// Whether they agree.
    pub ok: bool,
}

impl Check {
    fn of(what: &str, certified: impl Into<String>, found: impl Into<String>, ok: bool) -> Self {
        Self {
            what: what.into(),
            certified: certified.into(),
            found: found.into(),
            ok,
        }
    }

    fn equal(what: &str, certified: impl ToString, found: impl ToString) -> Self {
        let (certified, found) = (certified.to_string(), found.to_string());
        let ok = certified == found;
        Self::of(what, certified, found, ok)
    }
}

/// A file that has a certificate.
pub struct Certified {
    /// The whole certificate.
    pub certificate: Certificate,
    /// What it says about the file.
    pub entry: Comparison,
    /// Whether file and certificate belong together.
    pub checks: Vec<Check>,
}

impl Certified {
    /// Reads the certificate of the file or folder at `path`, by default the one beside it, and holds hashes against each other.
    ///
    /// # Errors
    /// There is no certificate, or it says nothing about the file.
    pub fn open(path: &Path, certificate: Option<&Path>) -> Result<Self, ExportError> {
        let beside = path
            .parent()
            .unwrap_or(Path::new(""))
            .join(CERTIFICATE_JSON);
        let certificate_path = certificate.unwrap_or(&beside);
        let (certificate, hash) = Certificate::read(certificate_path)?;
        let digest = content_digest(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A file may have been renamed; what it holds tells which one it is.
        let by_content = |entry: &&Comparison| entry.content_sha256 == digest;
        let entry = certificate.files.iter().find(by_content);
        let entry = entry.or_else(|| certificate.entry(&name)).cloned();
        let entry = entry.ok_or_else(|| ExportError::NotCertified {
            path: path.into(),
            certificate: certificate_path.into(),
        })?;
        let mut checks = vec![Check::equal("content", &entry.content_sha256, &digest)];
        let seals = seals(path)?;
        let hashes: Vec<&str> = seals.iter().map(|seal| seal.hash.as_str()).collect();
        let other = hashes.iter().find(|found| **found != hash);
        let found = other.or(hashes.first()).copied().unwrap_or("none");
        checks.push(Check::equal("certificate", &hash, found));
        Ok(Self {
            certificate,
            entry,
            checks,
        })
    }
}

/// Figures that were computed again beside those of the certificate.
pub fn compare_again(certified: &Comparison, found: &Comparison) -> Vec<Check> {
    let verdict = |comparison: &Comparison| match comparison.finding() {
        _ if comparison.ok => "may be shipped".to_string(),
        finding => finding,
    };
    let mut checks = vec![Check::of(
        "verdict",
        verdict(certified),
        verdict(found),
        certified.ok && found.ok,
    )];
    checks.push(Check::equal(
        "prompts rendered alike",
        certified.text.rendered_alike,
        found.text.rendered_alike,
    ));
    checks.push(Check::equal(
        "prompts tokenized alike",
        certified.text.tokenized_alike,
        found.text.tokenized_alike,
    ));
    checks.push(Check::equal("tokens", certified.tokens, found.tokens));
    if !certified.is_rounded() {
        // Only its size counts, which the verdict has judged: it is nothing but rounding.
        let told = |c: &Comparison| format!("{:.1e}", c.max_logit_difference);
        checks.push(Check::of(
            "logits within",
            told(certified),
            told(found),
            found.ok,
        ));
        return checks;
    }
    let mut figures = vec![
        ("mean KL".to_string(), certified.mean_kl, found.mean_kl),
        ("99 % KL".into(), certified.p99_kl, found.p99_kl),
        ("worst KL".into(), certified.max_kl, found.max_kl),
        (
            "top-1".into(),
            certified.top1_agreement,
            found.top1_agreement,
        ),
    ];
    if let (Some(a), Some(b)) = (certified.perplexity_ratio, found.perplexity_ratio) {
        figures.push(("perplexity ratio".into(), a, b));
    }
    for task in &certified.tasks {
        let same = |it: &&crate::TaskParity| it.task == task.task && it.metric == task.metric;
        let again = found.tasks.iter().find(same);
        let again = again.map_or(f64::NAN, |task| task.exported);
        figures.push((
            format!("{} {}", task.task, task.metric),
            task.exported,
            again,
        ));
    }
    let figure = |(what, a, b): (String, f64, f64)| {
        let is_near = (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()) + SMALLEST;
        Check::of(&what, told(a), told(b), is_near)
    };
    checks.extend(figures.into_iter().map(figure));
    checks
}

fn told(figure: f64) -> String {
    match figure.abs() {
        small if small < 0.01 => format!("{figure:.2e}"),
        _ => format!("{figure:.4}"),
    }
}

/// Compares the file or folder at `path` with the trained model once more, on the prompts and under the limits of its certificate, and
/// the figures with those that it has.
///
/// # Errors
/// The file cannot be read, or is another model.
pub fn recertify(
    request: &Request<'_>,
    certified: &Certified,
    tasks: Option<&AnswerTasks<'_>>,
    path: &Path,
) -> Result<Vec<Check>, ExportError> {
    let decoder = in_f32(request)?;
    let limits = &certified.certificate.limits;
    let trained = Trained::new(&decoder, request.probes, limits)?;
    // Tasks that were not answered then are not now.
    let tasks = tasks.filter(|_| !certified.entry.tasks.is_empty());
    let certifier = Certifier::new(&trained, request.tokenizer, tasks);
    let found = certifier.certify(path, &certified.entry.file)?;
    let found = found.ok_or_else(|| ExportError::Certificate {
        path: path.into(),
        what: "the certificate has no prompts".into(),
    })?;
    Ok(compare_again(&certified.entry, &found))
}
