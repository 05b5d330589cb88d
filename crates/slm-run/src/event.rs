//! What a stage tells while it works.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a library sends its events; only the command line prints them.
pub type Emit<'a> = &'a mut dyn FnMut(Event);

/// Something a stage tells. Written as JSON with the kind under `event`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A stage began or ended.
    Stage {
        /// Name of the stage, as in `run.json`.
        name: String,
        /// What became of it.
        status: StageStatus,
    },
    /// Something worth knowing.
    Note {
        /// One sentence without a full stop.
        text: String,
    },
    /// Something the user should look at; also counted in the report.
    Warning {
        /// One sentence without a full stop.
        text: String,
    },
    /// How far a stage is.
    Progress {
        /// Name of the stage.
        stage: String,
        /// Units done.
        done: u64,
        /// Units in all, 0 when unknown.
        total: u64,
        /// What is counted: `rows`, `tensors`, `bytes`.
        unit: String,
    },
    /// An optimizer step was taken.
    Step {
        /// The step, counted from 1.
        step: usize,
        /// Steps of the whole run.
        total_steps: usize,
        /// Passes over the training rows so far.
        epoch: f64,
        /// Mean over the learned tokens of the step, in nats; NaN when it diverged.
        #[serde(with = "number")]
        loss: f64,
        /// Mean entropy of the predicted distributions over the learned tokens, in nats.
        #[serde(default = "unknown", with = "number")]
        entropy: f64,
        /// Share of the learned tokens that the model held for the likeliest.
        #[serde(default = "unknown", with = "number")]
        token_accuracy: f64,
        /// What the step says of judged answers, with an objective that has them; the loss is that of the objective then.
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        rewards: Option<Rewards>,
        /// What the step says of the teacher, where there is one; the loss is that of both together then.
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        taught: Option<Taught>,
        /// Learning rate of the step.
        lr: f64,
        /// Norm of the gradient before clipping.
        #[serde(with = "number")]
        grad_norm: f64,
        /// Tokens of the step without padding.
        tokens: usize,
        /// Tokens of the step that are learned.
        learned_tokens: usize,
        /// Tokens per second over the last steps.
        #[serde(with = "number")]
        tokens_per_s: f64,
        /// Seconds until the last step.
        #[serde(with = "number")]
        eta_s: f64,
    },
    /// The held-out rows were evaluated.
    Eval {
        /// Steps taken so far.
        step: usize,
        /// Mean over the learned tokens of the held-out rows, in nats; NaN without such rows, as the two below.
        #[serde(with = "number")]
        loss: f64,
        /// Mean entropy over the same tokens, in nats.
        #[serde(default = "unknown", with = "number")]
        entropy: f64,
        /// Share of the same tokens that the model held for the likeliest.
        #[serde(default = "unknown", with = "number")]
        token_accuracy: f64,
        /// As of a step.
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        rewards: Option<Rewards>,
        /// The metric of a task, where the best checkpoint is chosen by it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metric: Option<TaskMetric>,
        /// Whether no earlier evaluation was better.
        best: bool,
    },
    /// A checkpoint is complete.
    Checkpoint {
        /// Steps taken so far.
        step: usize,
        /// Its folder.
        path: PathBuf,
    },
    /// A file or folder is complete.
    Wrote {
        /// The file or folder.
        path: PathBuf,
        /// Its size, with everything in it.
        size_bytes: u64,
    },
}

/// How a student judges answers, in TRL's names: a reward is β times how much likelier than to the reference it holds an
/// answer for, with ORPO β times its mean log-probability. NaN where there is nothing to take a mean of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rewards {
    /// Mean reward of the chosen answers.
    #[serde(rename = "rewards/chosen", with = "number")]
    pub chosen: f64,
    /// Mean reward of the rejected answers.
    #[serde(rename = "rewards/rejected", with = "number")]
    pub rejected: f64,
    /// Their difference.
    #[serde(rename = "rewards/margins", with = "number")]
    pub margins: f64,
    /// Share of the pairs whose chosen answer has the larger reward.
    #[serde(rename = "rewards/accuracies", with = "number")]
    pub accuracies: f64,
    /// Estimate of the divergence from the reference, in nats; with KTO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl: Option<f64>,
}

impl Rewards {
    /// Names and values.
    pub fn named(self) -> [(&'static str, f64); 5] {
        [
            ("rewards/chosen", self.chosen),
            ("rewards/rejected", self.rejected),
            ("rewards/margins", self.margins),
            ("rewards/accuracies", self.accuracies),
            ("kl", self.kl.unwrap_or(f64::NAN)),
        ]
    }
}

/// How a student follows its teacher: means over the learned tokens of a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Taught {
    /// Divergence from the teacher at the recipe's temperature, in nats; of total variation, from 0 to 1.
    #[serde(rename = "distill/divergence", with = "number")]
    pub divergence: f64,
    /// Share of the tokens whose likeliest is the teacher's.
    #[serde(rename = "distill/agreement", with = "number")]
    pub agreement: f64,
    /// Cross entropy of the tokens that the student did not write itself, in nats; NaN without any.
    #[serde(rename = "distill/cross_entropy", with = "number")]
    pub cross_entropy: f64,
    /// Share of the tokens that the student wrote itself, where it may.
    #[serde(
        rename = "distill/own_share",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub own_share: Option<f64>,
    /// Distance of its layers from the teacher's, the mean over those that are mapped, where any are.
    #[serde(
        rename = "distill/hidden",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub hidden: Option<f64>,
}

impl Taught {
    /// Names and values.
    pub fn named(self) -> [(&'static str, f64); 5] {
        [
            ("distill/divergence", self.divergence),
            ("distill/agreement", self.agreement),
            ("distill/cross_entropy", self.cross_entropy),
            ("distill/own_share", self.own_share.unwrap_or(f64::NAN)),
            ("distill/hidden", self.hidden.unwrap_or(f64::NAN)),
        ]
    }
}

/// What a task says of the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskMetric {
    /// `TASK/METRIC`
    pub name: String,
    /// Its value.
    #[serde(with = "number")]
    pub value: f64,
}

/// What became of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageStatus {
    /// It began, and has not ended; or the process was killed.
    Started,
    /// It ended, and its outputs are complete.
    Done,
    /// Its inputs did not change since it was done, so it was not run again.
    Skipped,
    /// It stopped at the user's request, after a checkpoint.
    Interrupted,
    /// It ended with an error.
    Failed,
}

impl StageStatus {
    /// The status as `run.json` writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }
}

/// What a log does not have that was written before there was such a number.
fn unknown() -> f64 {
    f64::NAN
}

/// JSON has no NaN and no infinity: both are written as `null` and read back as NaN.
mod number {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            serializer.serialize_f64(*value)
        } else {
            serializer.serialize_none()
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diverged_loss_survives_json() {
        let text = serde_json::to_string(&Event::Eval {
            step: 3,
            loss: f64::NAN,
            entropy: 0.5,
            token_accuracy: 0.25,
            rewards: None,
            metric: None,
            best: false,
        })
        .unwrap();
        assert_eq!(
            text,
            r#"{"event":"eval","step":3,"loss":null,"entropy":0.5,"token_accuracy":0.25,"best":false}"#
        );
        let Event::Eval { step: 3, loss, .. } = serde_json::from_str(&text).unwrap() else {
            panic!("another event came back from {text}");
        };
        assert!(loss.is_nan());
    }

    #[test]
    fn an_older_log_is_read() {
        let text = r#"{"event":"eval","step":3,"loss":1.5,"best":true}"#;
        let Event::Eval { loss, entropy, .. } = serde_json::from_str(text).unwrap() else {
            panic!("another event came back from {text}");
        };
        assert!(loss == 1.5 && entropy.is_nan());
    }

    #[test]
    fn rewards_have_the_names_that_trl_gives_them() {
        let rewards = Rewards {
            chosen: 0.5,
            rejected: -0.5,
            margins: 1.0,
            accuracies: 0.75,
            kl: None,
        };
        let event = Event::Eval {
            step: 3,
            loss: 0.5,
            entropy: 0.5,
            token_accuracy: 0.25,
            rewards: Some(rewards),
            metric: None,
            best: false,
        };
        let text = serde_json::to_string(&event).unwrap();
        assert!(
            text.contains(r#""rewards/chosen":0.5,"rewards/rejected":-0.5,"rewards/margins":1.0,"rewards/accuracies":0.75,"best""#),
            "{text}"
        );
        let Event::Eval {
            rewards: Some(read),
            ..
        } = serde_json::from_str(&text).unwrap()
        else {
            panic!("no rewards came back from {text}");
        };
        assert_eq!(read, rewards);
    }

    #[test]
    fn an_event_names_its_kind() {
        let event = Event::Stage {
            name: "data".into(),
            status: StageStatus::Skipped,
        };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(
            text,
            r#"{"event":"stage","name":"data","status":"skipped"}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }
}
