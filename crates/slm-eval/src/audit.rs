//! Rows whose label is likely wrong, by what a model thinks of the closed set of labels.

use serde::Serialize;
use slm_data::{HeldOut, Prompt};
use slm_metrics::{ConfidentLearning, LabelError, probabilities};

use crate::sample::{Sample, Score};

/// What a model thinks of the labels of some rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelAudit {
    /// Rows that were looked at.
    pub rows: usize,
    /// The closed set.
    pub labels: Vec<String>,
    /// Rows whose label is likely wrong, the least probable label first.
    pub suspects: Vec<Suspect>,
    /// How often one label stands where another is likely meant, the most frequent pair first.
    pub pairs: Vec<Pair>,
}

/// A row whose label is likely wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspect {
    /// As in [`HeldOut::row`].
    pub row: usize,
    /// Where it came from, as in `train.csv:12`.
    pub origin: String,
    /// The label that it has.
    pub label: String,
    /// The label that it likely should have.
    pub suggested: String,
    /// Probability of the label that it has, among those of the closed set.
    pub confidence: f64,
    /// Probability of the label that it likely should have.
    pub suggested_confidence: f64,
    /// What the model was given: the last message, or the text.
    pub asked: String,
}

/// One label that likely stands where another is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The label that the rows have.
    pub label: String,
    /// The label that they likely should have.
    pub suggested: String,
    /// Such rows.
    pub rows: usize,
}

impl LabelAudit {
    /// Looks for label errors in answered rows by confident learning, see [`ConfidentLearning::of`].
    ///
    /// `samples` are the answers to `items`, one each and in their order, scored by the choices `labels`. Items without such a
    /// score are not looked at.
    pub fn of(labels: &[String], items: &[HeldOut], samples: &[Sample]) -> Self {
        let scored: Vec<_> = items
            .iter()
            .zip(samples)
            .filter_map(|(item, sample)| {
                let Score::Choices { logprobs, .. } = &sample.score else {
                    return None;
                };
                let target = sample.target.trim();
                let given = labels.iter().position(|label| label == target)?;
                let logprobs: Vec<f64> = logprobs.iter().map(|p| f64::from(*p)).collect();
                Some((item, given, probabilities(&logprobs, 1.0)))
            })
            .collect();
        let given: Vec<usize> = scored.iter().map(|(_, given, _)| *given).collect();
        let beliefs: Vec<Vec<f64>> = scored.iter().map(|(_, _, it)| it.clone()).collect();
        let learned = ConfidentLearning::of(&beliefs, &given, labels.len());
        let suspect = |error: &LabelError| {
            let item = scored[error.item].0;
            Suspect {
                row: item.row,
                origin: item.origin.clone(),
                label: labels[error.given].clone(),
                suggested: labels[error.suggested].clone(),
                confidence: error.confidence,
                suggested_confidence: error.suggested_confidence,
                asked: asked(&item.prompt),
            }
        };
        let pair = |(given, suggested, rows): (usize, usize, usize)| Pair {
            label: labels[given].clone(),
            suggested: labels[suggested].clone(),
            rows,
        };
        Self {
            rows: scored.len(),
            labels: labels.to_vec(),
            suspects: learned.errors.iter().map(suspect).collect(),
            pairs: learned.pairs().into_iter().map(pair).collect(),
        }
    }
}

fn asked(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Chat(chat) => chat
            .messages
            .last()
            .map_or_else(String::new, |message| message.content.clone()),
        Prompt::Text(text) => text.clone(),
        Prompt::Tokens { .. } => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(row: usize, target: &str, logprobs: [f32; 2]) -> (HeldOut, Sample) {
        let item = HeldOut {
            row,
            origin: format!("rows.jsonl:{}", row + 1),
            prompt: Prompt::Text(format!("text {row}")),
            target: format!(" {target}"),
            slices: Default::default(),
        };
        let sample = Sample {
            row,
            origin: item.origin.clone(),
            prompt: String::new(),
            target: target.into(),
            output: "a".into(),
            prompt_tokens: 1,
            output_tokens: 1,
            slices: Default::default(),
            score: Score::Choices {
                correct: true,
                output_norm: "a".into(),
                correct_norm: true,
                logprobs: logprobs.to_vec(),
                choice_tokens: vec![1, 1],
            },
        };
        (item, sample)
    }

    #[test]
    fn a_row_that_the_model_contradicts_is_a_suspect() {
        let rows = [
            answered(0, "a", [-0.1, -3.0]),
            answered(1, "a", [-0.2, -3.0]),
            answered(2, "a", [-5.0, -0.1]),
            answered(3, "b", [-3.0, -0.1]),
            answered(4, "b", [-3.0, -0.3]),
        ];
        let (items, samples): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let audit = LabelAudit::of(&["a".into(), "b".into()], &items, &samples);
        assert_eq!(audit.rows, 5);
        let [suspect] = &audit.suspects[..] else {
            panic!("{:?}", audit.suspects)
        };
        assert_eq!(
            (
                suspect.row,
                suspect.label.as_str(),
                suspect.suggested.as_str()
            ),
            (2, "a", "b")
        );
        assert_eq!(
            (suspect.origin.as_str(), suspect.asked.as_str()),
            ("rows.jsonl:3", "text 2")
        );
        // exp(-5) / (exp(-5) + exp(-0.1)).
        assert!((suspect.confidence - 0.007_391_541_344_281_971).abs() < 1e-7);
        let pair = Pair {
            label: "a".into(),
            suggested: "b".into(),
            rows: 1,
        };
        assert_eq!(audit.pairs, [pair]);
    }
}
