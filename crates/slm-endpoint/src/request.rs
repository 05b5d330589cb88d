//! What is sent: one prompt, asked once.

use serde_json::{Map, Value, json};
use slm_data::Prompt;
use slm_recipe::{Api, EndpointSection};
use slm_run::sha256_json;
use slm_text::Message;

use crate::Tokens;

/// Tokens that a server's chat template may put around one message: role, separators, a line break.
const MESSAGE_OVERHEAD: u64 = 16;
/// Tokens that it may put before all of them: a default system message, a date. The longest that ships with an open model,
/// that of gpt-oss, has about 90.
const TEMPLATE_OVERHEAD: u64 = 256;

/// One prompt as it is sent. Equal requests have equal keys, whatever address they are sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Path below `base_url`.
    pub(crate) path: &'static str,
    body: Map<String, Value>,
    /// Seed of the first sample, where answers are sampled.
    seed: Option<u64>,
    /// SHA-256 of everything above.
    pub key: String,
    /// Which of several answers to the prompt this is, from 0.
    pub sample: usize,
    /// The most tokens that it may cost.
    pub(crate) worst: Tokens,
}

impl Request {
    /// A row's prompt.
    ///
    /// # Errors
    /// Why such a prompt cannot be asked through this endpoint.
    pub fn new(
        endpoint: &EndpointSection,
        prompt: &Prompt,
        seed: u64,
        sample: usize,
    ) -> Result<Self, String> {
        let mut body = Map::new();
        body.insert("model".into(), json!(endpoint.model));
        let (path, worst_prompt) = match endpoint.api {
            Api::Chat => {
                let (messages, tools) = conversation(endpoint, prompt)?;
                let worst = MESSAGE_OVERHEAD * messages.len() as u64
                    + json_bytes(&messages)
                    + json_bytes(&tools);
                body.insert("messages".into(), json!(messages));
                if !tools.is_empty() {
                    body.insert("tools".into(), json!(tools));
                }
                ("chat/completions", worst)
            }
            Api::Completions => {
                let text = continued(endpoint, prompt)?;
                let worst = text.len() as u64;
                body.insert("prompt".into(), json!(text));
                ("completions", worst)
            }
        };
        sampling(endpoint, &mut body);
        let seed = (endpoint.temperature > 0.0).then_some(seed);
        Ok(Self {
            key: sha256_json(&(path, &body, seed)),
            path,
            body,
            seed,
            sample,
            worst: Tokens {
                prompt: worst_prompt + TEMPLATE_OVERHEAD,
                completion: endpoint.max_tokens,
            },
        })
    }

    /// The JSON that is sent.
    pub(crate) fn body(&self) -> String {
        let mut body = self.body.clone();
        if let Some(seed) = self.seed {
            // Servers read a signed number.
            let seed = seed.wrapping_add(self.sample as u64) & i64::MAX as u64;
            body.insert("seed".into(), json!(seed));
        }
        Value::Object(body).to_string()
    }

    /// What tells it from every other request.
    pub(crate) fn id(&self) -> (String, usize) {
        (self.key.clone(), self.sample)
    }
}

/// Keys that say how an answer is drawn. What is at the servers' own default is left out: not all of them know every key.
fn sampling(endpoint: &EndpointSection, body: &mut Map<String, Value>) {
    let mut set = |key: &str, value: Value| drop(body.insert(key.into(), value));
    set("max_tokens", json!(endpoint.max_tokens));
    set("temperature", json!(endpoint.temperature));
    if endpoint.top_p < 1.0 {
        set("top_p", json!(endpoint.top_p));
    }
    if !endpoint.stop.is_empty() {
        set("stop", json!(endpoint.stop));
    }
    match (endpoint.top_logprobs, endpoint.api) {
        (0, _) => {}
        (k, Api::Chat) => {
            set("logprobs", json!(true));
            set("top_logprobs", json!(k));
        }
        (k, Api::Completions) => set("logprobs", json!(k)),
    }
}

/// Messages and tools of a prompt.
fn conversation(
    endpoint: &EndpointSection,
    prompt: &Prompt,
) -> Result<(Vec<Message>, Vec<Value>), String> {
    let (mut messages, tools) = match prompt {
        Prompt::Chat(chat) => (chat.messages.clone(), chat.tools.clone()),
        Prompt::Text(text) if text.trim().is_empty() => return Err(NO_PROMPT.into()),
        Prompt::Text(text) => (vec![Message::new("user", text)], Vec::new()),
        Prompt::Tokens { .. } => return Err(TOKENS.into()),
    };
    if messages.is_empty() {
        return Err(NO_PROMPT.into());
    }
    if !endpoint.system.is_empty() && messages[0].role != "system" {
        messages.insert(0, Message::new("system", &endpoint.system));
    }
    Ok((messages, tools))
}

fn continued(endpoint: &EndpointSection, prompt: &Prompt) -> Result<String, String> {
    match prompt {
        Prompt::Text(text) if text.trim().is_empty() => Err(NO_PROMPT.into()),
        Prompt::Text(text) => Ok(format!("{}{text}", endpoint.system)),
        Prompt::Chat(_) => {
            Err("it is a conversation, and `api = \"completions\"` continues a text; use `api = \"chat\"`".into())
        }
        Prompt::Tokens { .. } => Err(TOKENS.into()),
    }
}

const NO_PROMPT: &str = "it has nothing before its answer";
const TOKENS: &str = "it is tokens of another model's tokenizer, and not text";

/// No token of a byte-level or byte-fallback tokenizer stands for less than a byte.
fn json_bytes(value: &impl serde::Serialize) -> u64 {
    serde_json::to_string(value).map_or(0, |text| text.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> EndpointSection {
        EndpointSection {
            model: "m".into(),
            max_tokens: 9,
            ..EndpointSection::default()
        }
    }

    fn request(endpoint: &EndpointSection, sample: usize) -> Request {
        Request::new(endpoint, &Prompt::Text("Hi".into()), 7, sample).unwrap()
    }

    #[test]
    fn a_greedy_request_says_no_more_than_needed() {
        let body = request(&endpoint(), 0).body();
        assert_eq!(
            body,
            r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":9,"temperature":0.0}"#
        );
    }

    #[test]
    fn samples_have_one_key_and_seeds_of_their_own() {
        let sampled = EndpointSection {
            temperature: 0.5,
            system: "Be brief.".into(),
            top_logprobs: 3,
            ..endpoint()
        };
        let [first, second] = [0, 1].map(|sample| request(&sampled, sample));
        assert_eq!(first.key, second.key);
        assert_ne!(first.id(), second.id());
        assert!(
            first
                .body()
                .ends_with(r#""logprobs":true,"top_logprobs":3,"seed":7}"#)
        );
        assert!(second.body().ends_with(r#""seed":8}"#));
        assert!(
            second
                .body()
                .contains(r#"[{"role":"system","content":"Be brief."},{"role":"user""#)
        );
        let other = Request::new(&sampled, &Prompt::Text("Hi".into()), 8, 0).unwrap();
        assert_ne!(first.key, other.key, "another seed, another answer");
        assert_ne!(first.key, request(&endpoint(), 0).key);
    }

    #[test]
    fn the_address_and_the_client_do_not_change_the_key() {
        let moved = EndpointSection {
            base_url: "http://elsewhere/v1".into(),
            requests_in_flight: 1,
            budget_tokens: 5,
            ..endpoint()
        };
        assert_eq!(request(&moved, 0).key, request(&endpoint(), 0).key);
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        let refused = |endpoint: &EndpointSection, prompt: Prompt| {
            Request::new(endpoint, &prompt, 0, 0).unwrap_err()
        };
        let completions = EndpointSection {
            api: Api::Completions,
            ..endpoint()
        };
        let chat = Prompt::Chat(vec![Message::new("user", "a")].into());
        assert!(refused(&completions, chat).starts_with("it is a conversation"));
        assert_eq!(refused(&endpoint(), Prompt::Text(" ".into())), NO_PROMPT);
        let tokens = Prompt::Tokens {
            prompt: vec![1],
            answer: vec![2],
        };
        assert_eq!(refused(&endpoint(), tokens), TOKENS);
        let text = Request::new(&completions, &Prompt::Text("Hi".into()), 0, 0).unwrap();
        assert_eq!(
            (text.path, text.body().as_str()),
            (
                "completions",
                r#"{"model":"m","prompt":"Hi","max_tokens":9,"temperature":0.0}"#
            )
        );
    }
}
