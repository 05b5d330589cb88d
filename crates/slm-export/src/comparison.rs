//! Two models on the same prompts.

use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};
use slm_model::{Decoder, Tokens};
use slm_recipe::ParitySection;

use crate::divergence::Sums;
use crate::{ExportError, Probe, Rounding, TaskParity, TextComparison};

/// How far logits of an unrounded file may be off, as a part of the largest logit: the order in which f32 sums are
/// taken differs between adapter and merged weights (3e-6 of 3.3 on the fixtures), and nothing else may.
pub const LOGIT_LIMIT: f64 = 1e-4;

/// How far a file of 8 bits or more may be off, where the recipe does not say: the mean over tokens of KL(trained ‖ file),
/// in nats.
///
/// Measured on stories260k and the fixtures of six families: F16 at most 6e-7, BF16 5e-5, Q8_0 4e-4. What fewer bits cost
/// depends on the model (Q4_K_M: 0.03 to 0.5), so that no one limit is right for all.
pub const MEAN_KL_LIMIT: f64 = 0.01;

/// The types that [`MEAN_KL_LIMIT`] is for.
const FINE: [&str; 3] = ["F16", "BF16", "Q8_0"];

/// How many logits are held at a time.
const CHUNK_ELEMENTS: usize = 16 << 20;

/// JSON has no NaN; `null` is what is written for it.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Where two models differ most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worst {
    /// Which prompt, counted from 0.
    pub prompt: usize,
    /// After which of its tokens, counted from 0.
    pub place: usize,
    /// The text up to there, its end.
    pub text: String,
}

impl Worst {
    pub(crate) fn at(prompt: usize, place: usize) -> Self {
        Self {
            prompt,
            place,
            text: String::new(),
        }
    }
}

/// One exported file or folder beside the model that was trained, on every position of the prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The file or folder, relative to the export folder.
    pub file: String,
    /// Type of the weights, as the recipe names it: `F32`, `Q4_K_M`.
    pub weights: String,
    /// Largest difference of two logits.
    #[serde(deserialize_with = "number")]
    pub max_logit_difference: f64,
    /// The trained model's largest logit, without its sign.
    #[serde(deserialize_with = "number")]
    pub largest_logit: f64,
    /// Mean over tokens of KL(trained ‖ exported), in nats.
    #[serde(deserialize_with = "number")]
    pub mean_kl: f64,
    /// 99 of 100 tokens have no larger one.
    #[serde(deserialize_with = "number")]
    pub p99_kl: f64,
    /// The worst token's.
    #[serde(deserialize_with = "number")]
    pub max_kl: f64,
    /// Where that is; `None` without tokens.
    pub worst: Option<Worst>,
    /// Part of the tokens at which both models' likeliest next token is the same.
    #[serde(deserialize_with = "number")]
    pub top1_agreement: f64,
    /// The exported model's perplexity of the prompts, divided by the trained model's; `None` where no token has a next.
    pub perplexity_ratio: Option<f64>,
    /// Positions compared.
    pub tokens: usize,
    /// How the weights of a GGUF file were rounded.
    pub rounding: Option<Rounding>,
    /// Largest difference of a GGUF file's logits from those of the model with the file's weights and its own config.
    pub twin_logit_difference: Option<f64>,
    /// Its tokenizer and chat template beside those of the training.
    pub text: TextComparison,
    /// The run's tasks; empty for folders in f32, whose logits are compared closer than any task can.
    pub tasks: Vec<TaskParity>,
    /// SHA-256 of the file, or of the names and files of the folder, with zeros in the place of the certificate's own hash.
    pub content_sha256: String,
    /// What no rounding explains.
    pub faults: Vec<String>,
    /// Limits of `export.parity` that it is beyond.
    pub beyond: Vec<String>,
    /// Whether the file may be shipped: there are neither.
    pub ok: bool,
}

impl Comparison {
    /// Whether the weights were rounded, so that distributions and not logits decide.
    pub fn is_rounded(&self) -> bool {
        self.weights != "F32"
    }

    /// Why it may not be shipped; empty where it may.
    pub fn finding(&self) -> String {
        let all: Vec<&str> = (self.faults.iter().chain(&self.beyond))
            .map(String::as_str)
            .collect();
        all.join("; ")
    }

    /// Compares the figures with the limits. A figure that is not a number is beyond them.
    pub(crate) fn judge(mut self, limits: &ParitySection) -> Self {
        let is_within = |found: f64, limit: f64| found <= limit;
        if !self.is_rounded() {
            let limit = LOGIT_LIMIT * self.largest_logit;
            if !is_within(self.max_logit_difference, limit) {
                self.faults.push(format!(
                    "logits differ by {:.2e}, the limit is {limit:.2e} ({LOGIT_LIMIT:.0e} of the largest logit)",
                    self.max_logit_difference
                ));
            }
        } else {
            let is_fine = FINE.contains(&self.weights.as_str());
            let default = is_fine.then_some(MEAN_KL_LIMIT);
            let largest = limits.max_mean_kl.or(default).unwrap_or(f64::MAX);
            if !is_within(self.mean_kl, largest) {
                self.beyond.push(format!(
                    "mean KL {:.2e} over {} tokens, the limit is {largest}",
                    self.mean_kl, self.tokens
                ));
            }
        }
        let p99 = limits.max_p99_kl.unwrap_or(f64::MAX);
        if self.is_rounded() && !is_within(self.p99_kl, p99) {
            self.beyond.push(format!(
                "KL of one token in a hundred {:.2e} or more, the limit is {p99}",
                self.p99_kl
            ));
        }
        let ratio = self.perplexity_ratio.unwrap_or(1.0);
        let most = limits.max_perplexity_ratio.unwrap_or(f64::MAX);
        if !is_within(ratio, most) {
            self.beyond
                .push(format!("perplexity times {ratio:.3}, the limit is {most}"));
        }
        let least = limits.min_top1_agreement.unwrap_or(0.0);
        if !is_within(least, self.top1_agreement) {
            self.beyond.push(format!(
                "the likeliest token is the same at {:.4} of {} tokens, needed {least}",
                self.top1_agreement, self.tokens
            ));
        }
        self.ok = self.faults.is_empty() && self.beyond.is_empty();
        self
    }
}

/// The trained model with its answers to the prompts: what every file is compared with.
pub struct Trained {
    decoder: Decoder,
    /// The same with the adapter in the weights.
    merged: Decoder,
    limits: ParitySection,
    probes: Vec<Probe>,
    /// Final states by prompt, `[tokens, hidden]`.
    states: Vec<Tensor<2>>,
}

impl Trained {
    /// Runs the prompts through `decoder`, in f32. Empty prompts are left out. `limits` are the recipe's.
    ///
    /// # Errors
    /// [`ExportError::Probe`] for an id that the model does not have.
    pub fn new(
        decoder: &Decoder,
        probes: &[Probe],
        limits: &ParitySection,
    ) -> Result<Self, ExportError> {
        let vocab_size = decoder.config().vocab_size;
        for (prompt, probe) in probes.iter().enumerate() {
            if let Some(&id) = probe.ids.iter().find(|&&id| id as usize >= vocab_size) {
                return Err(ExportError::Probe {
                    prompt,
                    id,
                    vocab_size,
                });
            }
        }
        let is_empty = |probe: &&Probe| probe.ids.is_empty();
        let probes: Vec<Probe> = (probes.iter())
            .filter(|probe| !is_empty(probe))
            .cloned()
            .collect();
        let states = (probes.iter())
            .map(|probe| states(decoder, &probe.ids))
            .collect();
        Ok(Self {
            decoder: decoder.clone(),
            merged: decoder.merged(),
            limits: limits.clone(),
            probes,
            states,
        })
    }

    /// The model.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The model with its adapter in the weights.
    pub fn merged(&self) -> &Decoder {
        &self.merged
    }

    /// The prompts.
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    pub(crate) fn limits(&self) -> &ParitySection {
        &self.limits
    }

    /// Positions that a comparison covers.
    pub fn n_tokens(&self) -> usize {
        self.probes.iter().map(|probe| probe.ids.len()).sum()
    }

    /// Compares `exported`, which was read back from `file` and has weights of the type `weights`.
    pub fn compare(&self, file: &str, weights: &str, exported: &Decoder) -> Comparison {
        let chunk = (CHUNK_ELEMENTS / self.decoder.config().vocab_size).max(1);
        let mut sums = Sums::default();
        let trained = self.probes.iter().zip(&self.states).enumerate();
        for (prompt, (Probe { ids, .. }, trained)) in trained {
            let other = states(exported, ids);
            for start in (0..ids.len()).step_by(chunk) {
                let rows = start..(start + chunk).min(ids.len());
                let logits = |decoder: &Decoder, states: &Tensor<2>| {
                    values(decoder.logits(states.clone().slice([rows.clone()])))
                };
                let vocab_size = self.decoder.config().vocab_size;
                let (p, q) = (logits(&self.decoder, trained), logits(exported, &other));
                let rows_of_logits = p.chunks_exact(vocab_size).zip(q.chunks_exact(vocab_size));
                for (at, (p, q)) in rows.zip(rows_of_logits) {
                    sums.add([prompt, at], p, q, ids.get(at + 1).copied());
                }
            }
        }
        sums.comparison(file, weights).judge(&self.limits)
    }
}

/// Final states of one prompt, `[tokens, hidden]`.
fn states(decoder: &Decoder, ids: &[u32]) -> Tensor<2> {
    let tokens = Tokens::of_row(ids, decoder.device());
    let states = decoder.hidden(&tokens, None, None); // [1, t, d]
    states.reshape([ids.len(), decoder.config().hidden_size])
}

/// A matrix's values in f32, row-major.
pub(crate) fn values(matrix: Tensor<2>) -> Vec<f32> {
    let data = matrix.inner().cast(DType::F32).into_data();
    data.try_into_vec::<f32>().unwrap_or_default()
}
