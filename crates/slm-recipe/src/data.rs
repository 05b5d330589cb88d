//! `[data]`: which rows, in what format, split how, and which of their tokens are learned.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CardSection, CleanSection};

/// The rows and what is made of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["train"]))]
pub struct DataSection {
    /// How a row is read; `auto` tells by the columns.
    pub format: Format,
    /// What happens to a row that is longer than `model.max_length`.
    pub overlong: Overlong,
    /// Which part of a row is learned.
    pub train_on: TrainOn,
    /// Whether the end-of-sequence token after a learned part is learned as well.
    pub train_on_eos: bool,
    /// Share of the rows that is held out, 0 for none. Excluded by `val_every` and by `[[data.validation]]`.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub val_size: f64,
    /// Share of the rows that is held out for the tasks: nothing is learned from them, and nothing is chosen by them. 0 for none; then
    /// tasks without a file are measured on the rows of `val_size`. Excluded by `[[data.test]]`.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub test_size: f64,
    /// n > 0: row i is held out when i is divisible by n. 0 = off.
    pub val_every: usize,
    /// Column whose value keeps rows together: rows that share it never straddle the split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// Whether rows that are near-duplicates by `data.clean.dedup_threshold` are kept on one side of the split as well.
    pub keep_near_together: bool,
    /// Whether the shares of `val_size` and `test_size` are held out of the rows of each label: of each text to be learned.
    pub stratify: bool,
    /// What happens to a row that cannot be read.
    pub on_bad_row: OnBadRow,
    /// What happens when rows of a task's own file are among those to learn from.
    pub on_leak: OnLeak,
    /// Share of a task's rows that may be among those to learn from, with `on_leak = "error"`.
    #[schemars(extend("minimum" = 0, "maximum" = 1))]
    pub max_leak_rate: f64,
    /// Whether several conversations share one row of a batch, with attention blocked between them.
    pub packing: bool,
    /// Whether the order of the training rows is drawn anew for each epoch; `false` keeps that of the files.
    pub shuffle: bool,
    /// What the proof of the mask may find without stopping the run; it is counted and told all the same.
    pub accept_findings: Vec<Finding>,
    /// If not empty, the text to be learned of every row, trimmed, must be one of these.
    pub labels: Vec<String>,
    /// Encoded rows in one file of the prepared data. A preparation that was stopped goes on behind its last whole file.
    #[schemars(extend("minimum" = 1))]
    pub shard_rows: usize,
    /// What is done to the rows first.
    pub clean: CleanSection,
    /// What only people know of the rows, for their card.
    pub card: CardSection,
    /// Files to learn from.
    #[schemars(extend("minItems" = 1))]
    pub train: Vec<Source>,
    /// Files to hold out, instead of a part of the training files.
    pub validation: Vec<Source>,
    /// Files to hold out for the tasks, instead of a part of the training files.
    pub test: Vec<Source>,
}

impl Default for DataSection {
    fn default() -> Self {
        Self {
            format: Format::Auto,
            overlong: Overlong::Error,
            train_on: TrainOn::Assistant,
            train_on_eos: true,
            val_size: 0.1,
            test_size: 0.0,
            val_every: 0,
            group_by: None,
            keep_near_together: false,
            stratify: false,
            on_bad_row: OnBadRow::Error,
            on_leak: OnLeak::Error,
            max_leak_rate: 0.01,
            packing: false,
            shuffle: true,
            accept_findings: Vec::new(),
            labels: Vec::new(),
            shard_rows: 65_536,
            clean: CleanSection::default(),
            card: CardSection::default(),
            train: Vec::new(),
            validation: Vec::new(),
            test: Vec::new(),
        }
    }
}

impl DataSection {
    /// Whether any row is held out to be looked at while a model learns.
    pub fn holds_out(&self) -> bool {
        self.val_size > 0.0 || self.val_every > 0 || !self.validation.is_empty()
    }

    /// Whether any row is held out for the tasks.
    pub fn holds_test(&self) -> bool {
        self.test_size > 0.0 || !self.test.is_empty()
    }

    /// All files, in the order in which their rows are counted: those to learn from first.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.train.iter().chain(&self.validation).chain(&self.test)
    }

    /// The section without what is only stated of the rows and changes none of them.
    pub fn without_statements(&self) -> Self {
        let mut section = self.clone();
        section.card = CardSection::default();
        for sources in [
            &mut section.train,
            &mut section.validation,
            &mut section.test,
        ] {
            sources.iter_mut().for_each(|source| source.license = None);
        }
        section
    }
}

/// How a row is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Told by the columns.
    #[default]
    Auto,
    /// `messages`: a list of `role` and `content`.
    Messages,
    /// `conversations`: a list of `from` and `value`.
    Sharegpt,
    /// `instruction`, `input`, `output`.
    Alpaca,
    /// `prompt`, `completion`.
    PromptCompletion,
    /// `text`.
    Text,
    /// `input_ids`, `labels`, optionally `position_ids` and `attention_mask`: what is learned is what `labels` says, not
    /// `train_on`.
    Tokenized,
    /// `prompt`, `chosen`, `rejected`: two answers, the better and the worse. The prompt may be left out where both answers
    /// begin with it. Learned are the answers, whatever `train_on` says.
    Preference,
    /// `prompt`, `completion`, `label`: an answer, and whether it is desirable. Or `messages`, `label`: the last message is the answer.
    UnpairedPreference,
}

/// What happens to a row that is longer than `model.max_length`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlong {
    /// The run stops and names the row.
    #[default]
    Error,
    /// The row is left out and counted.
    Drop,
    /// The start of the row is cut off.
    TruncateLeft,
    /// The end of the row is cut off.
    TruncateRight,
}

/// Which part of a row is learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrainOn {
    /// Every message of the assistant.
    #[default]
    Assistant,
    /// The last message of the assistant.
    LastAssistant,
    /// The completion of a prompt/completion row.
    Completion,
    /// Everything.
    All,
}

/// What happens to a row that cannot be read: that is no JSON, has a cell too few, lacks a column or has something else in it
/// than its format needs. A file that cannot be read is an error in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBadRow {
    /// The run stops and names it.
    #[default]
    Error,
    /// It is left out, counted and listed.
    Skip,
}

/// What happens when rows of a task's own file are among those to learn from: equal, near-duplicates by
/// `data.clean.dedup_threshold`, or with 13 words in a row that both have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLeak {
    /// They are not looked for.
    Off,
    /// The run stops and names them.
    #[default]
    Error,
    /// The rows to learn from are left out.
    Drop,
    /// They are listed.
    Report,
}

/// What the proof of the mask can find, before the first step, in the rows that a run is to learn from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// A conversation begins with two BOS.
    DoubledBos,
    /// A row begins without BOS, and the tokenizer puts one before every text.
    MissingBos,
    /// The last learned token is none that generation stops at, with `train_on_eos`.
    UnlearnedEnd,
    /// Something of a message that was given is learned, without `train_on = "all"`.
    GivenLearned,
}

impl Finding {
    /// As it is written in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            Self::DoubledBos => "doubled_bos",
            Self::MissingBos => "missing_bos",
            Self::UnlearnedEnd => "unlearned_end",
            Self::GivenLearned => "given_learned",
        }
    }
}

/// Files of rows: `.jsonl`, `.json`, `.csv`, `.parquet`, `.arrow` or `.txt`, each also with `.gz` or `.zst` behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["path"]))]
pub struct Source {
    /// The file, relative to the working directory; or a folder, or a pattern such as `rows/*.jsonl`, whose files are read in
    /// the order of their names; or, in a build with the feature `cloud`, an object under `s3://`, `gs://` or `https://`, and
    /// under `s3://` and `gs://` also a folder (`s3://bucket/rows/`) or a pattern.
    #[schemars(extend("minLength" = 1))]
    pub path: String,
    /// Take at most this many rows, 0 for all.
    pub max_samples: usize,
    /// How often a row of this file comes up in an epoch: 2 is twice; 0.5 takes half of the rows, another half in the next
    /// epoch. Only for files to learn from.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub weight: f64,
    /// Column names of the file, by the name that `format` gives them: `{ prompt = "question" }`. A dotted path leads into
    /// nested fields (`answers.0.text`), and `{{ .. }}` is a Jinja expression over the columns of the row.
    pub columns: BTreeMap<String, String>,
    /// Columns that hold numbers of labels, with the names of the labels by number: a list, or a file.
    pub label_names: BTreeMap<String, LabelNames>,
    /// What the roles of the file are called in a conversation: `{ customer = "user" }`.
    pub roles: BTreeMap<String, String>,
    /// Template of the prompt; `{column}` stands for a column of the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Template of the completion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion: Option<String>,
    /// System message put before every conversation that has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Licence of the file, for the data card; by default that of `data.card`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            path: String::new(),
            max_samples: 0,
            weight: 1.0,
            columns: BTreeMap::new(),
            label_names: BTreeMap::new(),
            roles: BTreeMap::new(),
            prompt: None,
            completion: None,
            system: None,
            license: None,
        }
    }
}

/// The names of labels by number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum LabelNames {
    /// Themselves.
    List(Vec<String>),
    /// A text file with a name a line, a JSON list, or the `dataset_info.json` of HF `datasets`.
    File(String),
}
