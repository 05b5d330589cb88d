//! What can go wrong with a model behind an endpoint.

use std::path::PathBuf;

use slm_run::RunError;

/// A failure, told apart by what the user can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The network may not be used.
    #[error(
        "`{url}` is not asked: {missing} of {total} answers are not in the journal, and this is offline"
    )]
    Offline {
        /// The endpoint.
        url: String,
        /// Answers that would have to be asked for.
        missing: usize,
        /// Answers in all.
        total: usize,
    },
    /// Built without a client.
    #[error("`{url}` is not asked: this slm-tune was built without an HTTP client")]
    NoClient {
        /// The endpoint.
        url: String,
    },
    /// The environment has no key.
    #[error(
        "the environment variable `{name}` is not set, and `{url}` needs the key that it holds"
    )]
    NoKey {
        /// Name of the variable.
        name: String,
        /// The endpoint.
        url: String,
    },
    /// An answer of another model than was asked for.
    #[error("`{url}` answers as model `{found}`, asked was `{asked}`")]
    WrongModel {
        /// The endpoint.
        url: String,
        /// The model of the recipe.
        asked: String,
        /// What the answer names.
        found: String,
    },
    /// The server will not answer this request, now or later.
    #[error("`{url}` refuses with status {status}: {message}")]
    Refused {
        /// What was called.
        url: String,
        /// HTTP status.
        status: u16,
        /// What the server says, in one line.
        message: String,
    },
    /// Every retry failed.
    #[error("`{url}` gave no answer in {attempts} attempts; the last one: {reason}")]
    GaveUp {
        /// The endpoint.
        url: String,
        /// Requests sent for this answer.
        attempts: u32,
        /// What went wrong with the last one.
        reason: String,
    },
    /// The next request might cost more than is left.
    #[error(
        "the budget of {budget} does not allow another request, which may cost {next}: {spent} are spent on {answered} of {total} answers"
    )]
    BudgetReached {
        /// The limit with its unit.
        budget: String,
        /// The most that the next request may cost.
        next: String,
        /// What is spent.
        spent: String,
        /// Answers that are there.
        answered: usize,
        /// Answers in all.
        total: usize,
    },
    /// The server charged for more than it was allowed to write.
    #[error("`{url}` counts {found} tokens of an answer that may have {allowed}")]
    Overcharged {
        /// The endpoint.
        url: String,
        /// Tokens that the answer says it has.
        found: u64,
        /// `max_tokens`.
        allowed: u64,
    },
    /// The user stopped it.
    #[error("stopped with {answered} of {total} answers")]
    Stopped {
        /// Answers that are there.
        answered: usize,
        /// Answers in all.
        total: usize,
    },
    /// A row that cannot be a request.
    #[error("row `{origin}` cannot be asked: {reason}")]
    Row {
        /// Where the row comes from.
        origin: String,
        /// Why not.
        reason: String,
    },
    /// Another process writes the journal.
    #[error("journal `{}` is in use by another process", path.display())]
    JournalInUse {
        /// The journal.
        path: PathBuf,
    },
    /// The journal has a line that is none of its own, and not the last one.
    #[error("line {line} of journal `{}` is damaged: {reason}", path.display())]
    JournalDamaged {
        /// The journal.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The prompt of a rubric.
    #[error("the prompt of the rubric {reason}")]
    Rubric {
        /// What is wrong with it.
        reason: String,
    },
    /// A verdict is asked for where there is nothing to judge.
    #[error("there is nothing to judge")]
    NothingToJudge,
    /// No answer was kept.
    #[error("the filters keep none of {answers} answers: {counts}")]
    NothingKept {
        /// Answers that there were.
        answers: usize,
        /// How many each filter dropped.
        counts: String,
    },
    /// On disk.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl EndpointError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Offline { .. } => "leave `--offline` and `HF_HUB_OFFLINE` out".into(),
            Self::NoClient { .. } => "build it with `--features endpoint`, which is on by default".into(),
            Self::NoKey { name, .. } => format!("`export {name}=..`; a server that needs no key needs no `api_key_env`"),
            Self::WrongModel { found, .. } => format!("pin the name that answers carry: `model = \"{found}\"`"),
            Self::Refused { status: 401 | 403, .. } => "look at the key in the variable that `api_key_env` names".into(),
            Self::Refused { status: 404, .. } => "`base_url` usually ends in `/v1`, and `model` is one that `GET /models` lists".into(),
            Self::Refused { status: 300..=399, .. } => "redirects are not followed: name the address that it leads to".into(),
            Self::Refused { .. } => return None,
            Self::GaveUp { .. } => "answers so far are in the journal; run it again to go on".into(),
            Self::BudgetReached { .. } => {
                "what was answered is in the journal: raise the budget and run it again, and only the rest is asked".into()
            }
            Self::Overcharged { .. } => {
                "the server does not keep to `max_tokens`, so no budget can hold; raise `max_tokens` to what it writes".into()
            }
            Self::Stopped { .. } => "answers so far are in the journal; run it again to go on".into(),
            Self::JournalInUse { .. } => "wait for it, or give this one another folder".into(),
            Self::JournalDamaged { .. } => {
                "take that line out if it is not one of yours; answers on it would be paid for again".into()
            }
            Self::NothingKept { .. } => "`dropped.jsonl` beside the journal has every answer and why it was dropped".into(),
            Self::Row { .. } | Self::Rubric { .. } | Self::NothingToJudge => return None,
            Self::Run(error) => return error.hint(),
        })
    }

    /// Whether what was typed or configured is wrong, rather than the network, the server or the disk.
    pub fn is_input(&self) -> bool {
        matches!(
            self,
            Self::Offline { .. }
                | Self::NoClient { .. }
                | Self::NoKey { .. }
                | Self::WrongModel { .. }
                | Self::Refused { .. }
                | Self::Row { .. }
                | Self::Rubric { .. }
                | Self::NothingToJudge
        )
    }
}
