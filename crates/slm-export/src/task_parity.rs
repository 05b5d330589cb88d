//! The tasks of a run, answered by an exported file.

use serde::{Deserialize, Serialize};
use slm_model::Decoder;
use slm_recipe::ParitySection;
use slm_text::ChatTokenizer;

/// One metric of one task, of the trained model and of the file, over the same items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskParity {
    /// The task's name.
    pub task: String,
    /// The metric's name.
    pub metric: String,
    /// Items answered.
    pub items: usize,
    /// The trained model's figure.
    pub trained: f64,
    /// The file's.
    pub exported: f64,
    /// How much worse the file is: positive whichever way the metric goes.
    pub drop: f64,
    /// The 95 % interval of `drop`, of the differences of pairs.
    pub interval: [f64; 2],
}

impl TaskParity {
    /// What `export.parity` says against it.
    ///
    /// A file has to show that it loses no more than the limit: few items show little.
    pub(crate) fn beyond(&self, limits: &ParitySection) -> Option<String> {
        let limit = limits.max_task_drop?;
        let [_, most] = self.interval;
        // NaN is beyond any limit.
        let is_within = most <= limit;
        (!is_within).then(|| {
            format!(
                "{} of `{}` may be {most:.3} worse ({:.3} instead of {:.3} over {} items), the limit is {limit}",
                self.metric, self.task, self.exported, self.trained, self.items
            )
        })
    }
}

/// Answers the run's tasks with a decoder and its tokenizer, and compares with the trained model.
pub type AnswerTasks<'a> = dyn Fn(
        &Decoder,
        &ChatTokenizer,
    ) -> Result<Vec<TaskParity>, Box<dyn std::error::Error + Send + Sync>>
    + 'a;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_asks_for_proof() {
        let of = |drop: f64, most: f64| TaskParity {
            task: "intent".into(),
            metric: "accuracy".into(),
            items: 100,
            trained: 0.9,
            exported: 0.9 - drop,
            drop,
            interval: [drop - 0.02, most],
        };
        let limits = ParitySection {
            max_task_drop: Some(0.02),
            ..ParitySection::default()
        };
        assert_eq!(of(0.0, 0.02).beyond(&limits), None);
        assert_eq!(
            of(0.01, 0.05).beyond(&limits).unwrap(),
            "accuracy of `intent` may be 0.050 worse (0.890 instead of 0.900 over 100 items), the limit is 0.02"
        );
        assert!(of(0.0, f64::NAN).beyond(&limits).is_some());
        assert_eq!(of(0.5, 0.6).beyond(&ParitySection::default()), None);
    }
}
