//! A model behind an OpenAI-compatible endpoint: a teacher or a judge.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a model is served, how it is asked, and what may be spent on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EndpointSection {
    /// Address up to the version, such as `http://localhost:8000/v1`; of a model on this machine, nothing.
    pub base_url: String,
    /// The model, by the exact name that its answers carry: an answer with another name is an error.
    pub model: String,
    /// What is called: `chat/completions`, or `completions` with the prompt as it stands.
    pub api: Api,
    /// Name of the environment variable that holds the key; without it, no key is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minLength" = 1))]
    pub api_key_env: Option<String>,
    /// A system message before every conversation that has none, for this model alone.
    pub system: String,
    /// Longest answer, in tokens.
    #[schemars(extend("minimum" = 1))]
    pub max_tokens: u64,
    /// Sampling temperature; 0 = greedy.
    #[schemars(extend("minimum" = 0))]
    pub temperature: f64,
    /// Nucleus: sample from the likeliest tokens that together have this probability.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub top_p: f64,
    /// Texts that end an answer.
    pub stop: Vec<String>,
    /// Answers to each prompt.
    #[schemars(extend("minimum" = 1))]
    pub samples: usize,
    /// So many likeliest tokens are kept with their log-probabilities at each place of an answer, 0 for none.
    #[schemars(extend("minimum" = 0, "maximum" = 20))]
    pub top_logprobs: u32,
    /// Seconds that a request may take from its first byte to the last byte of its answer.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub timeout_s: f64,
    /// Most requests at a time.
    #[schemars(extend("minimum" = 1, "maximum" = 1024))]
    pub requests_in_flight: usize,
    /// How often a request is sent again after a failure that may pass.
    pub max_retries: u32,
    /// Seconds before the first of these; doubled each time.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub backoff_s: f64,
    /// Most tokens of prompts and answers together, over all runs that share the journal; 0 = no such limit.
    pub budget_tokens: u64,
    /// Most money, likewise; 0 = no such limit.
    #[schemars(extend("minimum" = 0))]
    pub budget_usd: f64,
    /// Price of a million tokens of prompts.
    #[schemars(extend("minimum" = 0))]
    pub usd_per_million_prompt_tokens: f64,
    /// Price of a million tokens of answers.
    #[schemars(extend("minimum" = 0))]
    pub usd_per_million_completion_tokens: f64,
}

impl Default for EndpointSection {
    fn default() -> Self {
        Self {
            base_url: String::new(),
            model: String::new(),
            api: Api::default(),
            api_key_env: None,
            system: String::new(),
            max_tokens: 512,
            temperature: 0.0,
            top_p: 1.0,
            stop: Vec::new(),
            samples: 1,
            top_logprobs: 0,
            timeout_s: 120.0,
            requests_in_flight: 8,
            max_retries: 8,
            backoff_s: 1.0,
            budget_tokens: 0,
            budget_usd: 0.0,
            usd_per_million_prompt_tokens: 0.0,
            usd_per_million_completion_tokens: 0.0,
        }
    }
}

impl EndpointSection {
    /// Whether nothing was said of it.
    pub(crate) fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong with it, each with the key that it is about.
    pub(crate) fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut note = |key, reason: &str| found.push((key, reason.to_owned()));
        if !is_http(&self.base_url) {
            note(
                "base_url",
                "is no address; needs one such as `http://localhost:8000/v1`",
            );
        } else if self.base_url.contains('@') || self.base_url.contains('?') {
            note(
                "base_url",
                "holds more than an address; a key belongs into an environment variable, which `api_key_env` names",
            );
        }
        let is_name = |name: &String| {
            let capital = |c: char| c.is_ascii_uppercase() || c == '_';
            name.starts_with(capital) && name.chars().all(|c| capital(c) || c.is_ascii_digit())
        };
        // The value is not shown: it may be a key.
        if self.api_key_env.as_ref().is_some_and(|name| !is_name(name)) {
            note(
                "api_key_env",
                "is no name of an environment variable such as `OPENAI_API_KEY`; a key itself has no place in a recipe",
            );
        }
        if self.budget_tokens == 0 && self.budget_usd == 0.0 {
            note("budget_tokens", "and `budget_usd` are both 0; needs one");
        }
        let price = self.usd_per_million_prompt_tokens + self.usd_per_million_completion_tokens;
        if self.budget_usd > 0.0 && price == 0.0 {
            note(
                "budget_usd",
                "needs prices: `usd_per_million_prompt_tokens` and `usd_per_million_completion_tokens`",
            );
        }
        if self.samples > 1 && self.temperature == 0.0 {
            note(
                "samples",
                "is more than 1, and at `temperature` 0 all answers are one",
            );
        }
        found
    }
}

fn is_http(url: &str) -> bool {
    let rest = ["http://", "https://"].map(|scheme| url.strip_prefix(scheme));
    let host = rest.into_iter().flatten().next();
    host.is_some_and(|host| !host.starts_with('/') && !host.is_empty())
}

/// What is called of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// `chat/completions`: messages, which the server renders. A prompt of text is one message of the user.
    #[default]
    Chat,
    /// `completions`: a text that is continued.
    Completions,
}
