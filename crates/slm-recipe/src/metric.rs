//! The metrics by name: what each is called, which of two values is better, and which tasks have it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::OutputType;

/// A figure over the answers to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricName {
    /// Share of items whose likeliest choice, by summed log-likelihood, is the target.
    Accuracy,
    /// The same by log-likelihood per token.
    AccuracyNorm,
    /// Unweighted mean over the labels of F1.
    MacroF1,
    /// F1 over all labels together: with one label per item, the share that is right.
    MicroF1,
    /// Mean over the labels of F1, weighted by how often each is wanted.
    WeightedF1,
    /// Matthews' correlation coefficient, -1 to 1.
    Mcc,
    /// Expected calibration error of the likeliest choice's probability, in 15 bins of equal width.
    Ece,
    /// Brier score over all choices, 0 to 2.
    Brier,
    /// Share of items whose generated answer is the target; for a likelihood, whose greedy answer would be.
    ExactMatch,
    /// Share of generated answers that are none of the task's `choices`.
    InvalidOutputs,
    /// Share of answers that are a JSON object, of the items that want one.
    JsonValid,
    /// Share of fields that are right, of the items that want a JSON object.
    FieldAccuracy,
    /// F1 over the fields of the items that want a JSON object.
    FieldF1,
    /// BLEU of sacrebleu, 0 to 100.
    Bleu,
    /// chrF2 of sacrebleu, 0 to 100.
    Chrf,
    /// Mean F1 of the words in common with the target, as rouge-score without stemmer.
    #[serde(rename = "rouge1")]
    Rouge1,
    /// The same of pairs of words.
    #[serde(rename = "rouge2")]
    Rouge2,
    /// The same of the longest common subsequence of words.
    #[serde(rename = "rouge_l")]
    RougeL,
    /// Share of answers that ended by themselves.
    StopRate,
    /// Mean loss of a target token, in nats.
    Loss,
    /// `exp` of the loss per token.
    Perplexity,
    /// `exp` of the loss per byte of the target: comparable between tokenizers.
    BytePerplexity,
}

impl MetricName {
    /// The metric that recipes and files write so.
    pub fn from_key(key: &str) -> Option<Self> {
        serde_json::from_value(key.into()).ok()
    }

    /// The name as recipes write it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::AccuracyNorm => "accuracy_norm",
            Self::MacroF1 => "macro_f1",
            Self::MicroF1 => "micro_f1",
            Self::WeightedF1 => "weighted_f1",
            Self::Mcc => "mcc",
            Self::Ece => "ece",
            Self::Brier => "brier",
            Self::ExactMatch => "exact_match",
            Self::InvalidOutputs => "invalid_outputs",
            Self::JsonValid => "json_valid",
            Self::FieldAccuracy => "field_accuracy",
            Self::FieldF1 => "field_f1",
            Self::Bleu => "bleu",
            Self::Chrf => "chrf",
            Self::Rouge1 => "rouge1",
            Self::Rouge2 => "rouge2",
            Self::RougeL => "rouge_l",
            Self::StopRate => "stop_rate",
            Self::Loss => "loss",
            Self::Perplexity => "perplexity",
            Self::BytePerplexity => "byte_perplexity",
        }
    }

    /// The name for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::AccuracyNorm => "accuracy, per token",
            Self::MacroF1 => "macro F1",
            Self::MicroF1 => "micro F1",
            Self::WeightedF1 => "weighted F1",
            Self::Mcc => "MCC",
            Self::Ece => "calibration error",
            Self::Brier => "Brier score",
            Self::ExactMatch => "exact match",
            Self::InvalidOutputs => "invalid outputs",
            Self::JsonValid => "valid JSON",
            Self::FieldAccuracy => "field accuracy",
            Self::FieldF1 => "field F1",
            Self::Bleu => "BLEU",
            Self::Chrf => "chrF",
            Self::Rouge1 => "ROUGE-1",
            Self::Rouge2 => "ROUGE-2",
            Self::RougeL => "ROUGE-L",
            Self::StopRate => "stop rate",
            Self::Loss => "loss",
            Self::Perplexity => "perplexity",
            Self::BytePerplexity => "byte perplexity",
        }
    }

    /// Whether a larger value is better.
    pub fn higher_is_better(self) -> bool {
        !matches!(
            self,
            Self::Loss
                | Self::Perplexity
                | Self::BytePerplexity
                | Self::Ece
                | Self::Brier
                | Self::InvalidOutputs
        )
    }

    /// Whether the value is a share of 1, shown in per cent.
    pub fn is_share(self) -> bool {
        !matches!(
            self,
            Self::Loss
                | Self::Perplexity
                | Self::BytePerplexity
                | Self::Mcc
                | Self::Brier
                | Self::Bleu
                | Self::Chrf
        )
    }
}

impl OutputType {
    /// Every metric that its answers may have; those of closed labels and of JSON only where the items have such.
    pub fn metrics(self) -> &'static [MetricName] {
        use MetricName::*;
        match self {
            Self::MultipleChoice => &[
                Accuracy,
                AccuracyNorm,
                MacroF1,
                MicroF1,
                WeightedF1,
                Mcc,
                Ece,
                Brier,
            ],
            Self::GenerateUntil => &[
                ExactMatch,
                MacroF1,
                MicroF1,
                WeightedF1,
                Mcc,
                InvalidOutputs,
                JsonValid,
                FieldAccuracy,
                FieldF1,
                Bleu,
                Chrf,
                Rouge1,
                Rouge2,
                RougeL,
                StopRate,
            ],
            Self::Loglikelihood => &[Perplexity, BytePerplexity, Loss, ExactMatch],
            Self::LoglikelihoodRolling => &[Perplexity, BytePerplexity, Loss],
        }
    }

    /// The metrics that are computed where a task names none, in the order of tables; the first that a task has is its headline.
    pub fn default_metrics(self) -> &'static [MetricName] {
        use MetricName::*;
        match self {
            Self::MultipleChoice => &[Accuracy, AccuracyNorm, MacroF1],
            Self::GenerateUntil => &[
                ExactMatch,
                MacroF1,
                InvalidOutputs,
                JsonValid,
                FieldAccuracy,
                StopRate,
            ],
            Self::Loglikelihood => &[Perplexity, BytePerplexity, Loss, ExactMatch],
            Self::LoglikelihoodRolling => &[Perplexity, BytePerplexity, Loss],
        }
    }

    /// The metric of this name, if its answers may have it.
    pub fn metric(self, name: &str) -> Option<MetricName> {
        let mut metrics = self.metrics().iter();
        metrics.find(|metric| metric.key() == name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT_TYPES: [OutputType; 4] = [
        OutputType::MultipleChoice,
        OutputType::GenerateUntil,
        OutputType::Loglikelihood,
        OutputType::LoglikelihoodRolling,
    ];

    #[test]
    fn a_key_is_what_is_written_and_read() {
        for metric in OUTPUT_TYPES.map(OutputType::metrics).concat() {
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.key());
        }
    }

    #[test]
    fn defaults_are_among_what_there_is() {
        for output_type in OUTPUT_TYPES {
            for metric in output_type.default_metrics() {
                assert_eq!(output_type.metric(metric.key()), Some(*metric));
            }
        }
    }
}
