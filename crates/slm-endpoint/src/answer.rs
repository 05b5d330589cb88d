//! What comes back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Tokens that are paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Of prompts.
    pub prompt: u64,
    /// Of answers.
    pub completion: u64,
}

impl Tokens {
    /// Both together.
    pub fn total(self) -> u64 {
        self.prompt + self.completion
    }
}

impl std::ops::Add for Tokens {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            prompt: self.prompt + other.prompt,
            completion: self.completion + other.completion,
        }
    }
}

impl std::ops::Sub for Tokens {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            prompt: self.prompt.saturating_sub(other.prompt),
            completion: self.completion.saturating_sub(other.completion),
        }
    }
}

/// One answer as the server gave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The text; empty where the model called tools or refused.
    pub text: String,
    /// Why it ended, in the server's words: `stop`, `length`, ..
    pub finish: Option<String>,
    /// What it cost; the most it may have cost, where the server does not say.
    pub tokens: Tokens,
    /// Log-probabilities as the server gave them, where they were asked for: with `top_logprobs` for each token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Value>,
}

/// A body that was read.
pub(crate) struct Reply {
    /// The model that it names.
    pub(crate) model: String,
    pub(crate) answer: Answer,
}

impl Reply {
    /// Reads the body of an answer to a request that may cost `worst`.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub(crate) fn parse(body: &str, worst: Tokens) -> Result<Self, String> {
        let body: Value =
            serde_json::from_str(body).map_err(|error| format!("no JSON: {error}"))?;
        if let Some(error) = body.get("error").filter(|error| !error.is_null()) {
            return Err(format!("an error with status 200: {}", message_of(error)));
        }
        let choice = body.pointer("/choices/0").ok_or("JSON without `choices`")?;
        let text = match (choice.pointer("/message/content"), choice.get("text")) {
            (Some(Value::String(text)), _) | (None, Some(Value::String(text))) => text.clone(),
            (Some(Value::Null), _) => String::new(),
            _ => return Err("a choice without text".into()),
        };
        let model = body.get("model").and_then(Value::as_str);
        let usage = |name: &str| {
            body.pointer(&format!("/usage/{name}"))
                .and_then(Value::as_u64)
        };
        Ok(Self {
            model: model.ok_or("JSON without `model`")?.to_owned(),
            answer: Answer {
                text,
                finish: choice
                    .get("finish_reason")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
                tokens: Tokens {
                    prompt: usage("prompt_tokens").unwrap_or(worst.prompt),
                    completion: usage("completion_tokens").unwrap_or(worst.completion),
                },
                logprobs: choice.get("logprobs").filter(|it| !it.is_null()).cloned(),
            },
        })
    }
}

/// What a server's error says, in one line of at most 200 characters.
pub(crate) fn message_of(error: &Value) -> String {
    let message = error
        .get("message")
        .or_else(|| error.pointer("/error/message"));
    let message = message.or_else(|| error.get("detail")).unwrap_or(error);
    let text = match message {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORST: Tokens = Tokens {
        prompt: 100,
        completion: 50,
    };

    #[test]
    fn chat_and_completions_are_read() {
        let body = r#"{"model":"m","choices":[{"message":{"content":" a"},"finish_reason":"length","logprobs":{"content":[]}}],
            "usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
        let reply = Reply::parse(body, WORST).unwrap();
        assert_eq!(
            (reply.model.as_str(), reply.answer.text.as_str()),
            ("m", " a")
        );
        assert_eq!(reply.answer.finish.as_deref(), Some("length"));
        assert_eq!(reply.answer.tokens.total(), 4);
        assert!(reply.answer.logprobs.is_some());
        let body = r#"{"model":"m","choices":[{"text":"b","logprobs":null}]}"#;
        let answer = Reply::parse(body, WORST).unwrap().answer;
        assert_eq!((answer.text.as_str(), answer.logprobs), ("b", None));
        assert_eq!(answer.tokens, WORST, "what is not said may be anything");
    }

    #[test]
    fn what_is_no_answer_says_what_it_is() {
        for (body, found) in [
            (
                "{\"model\":",
                "no JSON: EOF while parsing a value at line 1 column 9",
            ),
            ("{}", "JSON without `choices`"),
            (r#"{"choices":[{"message":{}}]}"#, "a choice without text"),
            (r#"{"choices":[{"text":"a"}]}"#, "JSON without `model`"),
            (
                r#"{"error":{"message":"over\nloaded"}}"#,
                "an error with status 200: over loaded",
            ),
        ] {
            assert_eq!(Reply::parse(body, WORST).err().unwrap(), found);
        }
    }
}
