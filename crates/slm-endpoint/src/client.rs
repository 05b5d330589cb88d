//! One request, sent once.

use std::time::Duration;

use chrono::Utc;
use serde_json::Value;
use slm_recipe::EndpointSection;
use ureq::{Agent, Error, Timeout};

use crate::answer::{Reply, message_of};
use crate::backoff::retry_after;
use crate::failure::Failure;
use crate::{Answer, EndpointError, Request};

/// Longest body that is read: 4,096 tokens with 20 log-probabilities each are about 8 MB.
const BODY_BYTES: u64 = 64 << 20;

/// A connection to an endpoint.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    base_url: String,
    model: String,
    key: Option<String>,
}

impl Client {
    /// Reads the key from the environment; connects to nothing.
    pub(crate) fn open(endpoint: &EndpointSection) -> Result<Self, EndpointError> {
        let key = match &endpoint.api_key_env {
            None => None,
            Some(name) => match std::env::var(name) {
                Ok(key) if !key.trim().is_empty() => Some(key.trim().to_owned()),
                _ => {
                    let (name, url) = (name.clone(), endpoint.base_url.clone());
                    return Err(EndpointError::NoKey { name, url });
                }
            },
        };
        let config = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs_f64(endpoint.timeout_s)))
            .http_status_as_error(false)
            // A key is sent to the address that the recipe names, and nowhere else.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(endpoint.requests_in_flight)
            .max_idle_connections_per_host(endpoint.requests_in_flight)
            .user_agent(concat!("slm-tune/", env!("CARGO_PKG_VERSION")));
        let config = match is_loopback(&endpoint.base_url) {
            true => config.proxy(None),
            false => config,
        };
        Ok(Self {
            agent: config.build().new_agent(),
            base_url: endpoint.base_url.trim_end_matches('/').to_owned(),
            model: endpoint.model.clone(),
            key,
        })
    }

    pub(crate) fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let url = format!("{}/{}", self.base_url, request.path);
        let mut call = self.agent.post(&url).content_type("application/json");
        if let Some(key) = &self.key {
            call = call.header("Authorization", format!("Bearer {key}"));
        }
        let mut response = call.send(request.body()).map_err(|error| unsent(&error))?;
        let status = response.status().as_u16();
        let header = response
            .headers()
            .get("retry-after")
            .and_then(|it| it.to_str().ok());
        let retry_after = header.and_then(|header| retry_after(header, Utc::now()));
        let body = response
            .body_mut()
            .with_config()
            .limit(BODY_BYTES)
            .read_to_string();
        match (status, body) {
            (200, Ok(body)) => self.read(request, &body),
            (200, Err(error)) => Err(Failure::Passing {
                reason: cut(&error),
                retry_after: None,
                charged: true,
            }),
            (408 | 409 | 425 | 429 | 500.., _) => Err(Failure::Passing {
                reason: format!("status {status}"),
                retry_after,
                charged: false,
            }),
            (status, body) => Err(Failure::Lasting {
                error: EndpointError::Refused {
                    url,
                    status,
                    message: self.told(&body.unwrap_or_default()),
                },
                charged: false,
            }),
        }
    }

    fn read(&self, request: &Request, body: &str) -> Result<Answer, Failure> {
        let reply = Reply::parse(body, request.worst).map_err(|reason| Failure::Passing {
            reason,
            retry_after: None,
            charged: true,
        })?;
        let (found, allowed) = (reply.answer.tokens.completion, request.worst.completion);
        let url = self.base_url.clone();
        let error = if reply.model != self.model {
            EndpointError::WrongModel {
                url,
                asked: self.model.clone(),
                found: reply.model,
            }
        } else if found > allowed {
            EndpointError::Overcharged {
                url,
                found,
                allowed,
            }
        } else {
            return Ok(reply.answer);
        };
        Err(Failure::Lasting {
            error,
            charged: true,
        })
    }

    /// What a body with an error says; a server that repeats the key does not get it printed.
    fn told(&self, body: &str) -> String {
        let text = match serde_json::from_str::<Value>(body) {
            Ok(value) => message_of(&value),
            Err(_) => message_of(&Value::String(body.to_owned())),
        };
        match &self.key {
            Some(key) => text.replace(key, "[key]"),
            None if text.is_empty() => "nothing".into(),
            None => text,
        }
    }
}

/// A request that got no status back.
fn unsent(error: &Error) -> Failure {
    let charged = match error {
        Error::HostNotFound
        | Error::ConnectionFailed
        | Error::Timeout(Timeout::Resolve | Timeout::Connect) => false,
        Error::Io(error) => error.kind() != std::io::ErrorKind::ConnectionRefused,
        _ => true,
    };
    Failure::Passing {
        reason: cut(error),
        retry_after: None,
        charged,
    }
}

fn cut(error: &Error) -> String {
    match error {
        Error::Timeout(_) => "it took longer than `timeout_s`".into(),
        Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "connection refused".into()
        }
        Error::HostNotFound => "no such host".into(),
        Error::Io(_) => "the connection was cut".into(),
        error => error.to_string(),
    }
}

/// Whether an address is this machine, which no proxy leads to.
fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_all_its_names() {
        for url in [
            "http://localhost:8000/v1",
            "http://127.0.0.1/v1",
            "http://[::1]:80/v1",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "https://api.example.com/v1",
            "http://10.0.0.1:8000",
            "http://localhost.example.com",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
