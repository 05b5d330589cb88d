//! What a server says of each token of an answer: the `logprobs` of an OpenAI-compatible endpoint, in bytes.

use serde_json::Value;

/// The tokens of an answer, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ServedTokens(pub(crate) Vec<ServedToken>);

/// A token that was chosen, and what else was likely there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServedToken {
    pub(crate) bytes: Vec<u8>,
    /// The likeliest tokens and the chosen one, each once, with ln p.
    pub(crate) likely: Vec<(Vec<u8>, f64)>,
}

/// Servers give a number such as −9999 to what they know no probability of; nothing that is this unlikely is kept.
const UNKNOWN: f64 = -87.0;
/// How far probabilities may add up to more than 1, for rounding.
const ROUNDING: f64 = 1e-2;

impl ServedTokens {
    /// Reads the `logprobs` of a chat completion (`content`) or of a completion (`tokens`).
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub(crate) fn parse(logprobs: &Value) -> Result<Self, String> {
        let tokens: Result<Vec<_>, String> = match (logprobs.get("content"), logprobs.get("tokens"))
        {
            (Some(Value::Array(content)), _) => content.iter().map(of_chat).collect(),
            (_, Some(Value::Array(_))) => of_completion(logprobs),
            _ => Err("it has neither `content` nor `tokens`".into()),
        };
        let tokens = Self(tokens?);
        match tokens
            .0
            .iter()
            .map(ServedToken::mass)
            .find(|p| *p > 1.0 + ROUNDING)
        {
            Some(mass) => Err(format!("the probabilities of a token add up to {mass:.3}")),
            None => Ok(tokens),
        }
    }
}

impl ServedToken {
    fn new(chosen: (Vec<u8>, f64), top: Vec<(Vec<u8>, f64)>) -> Self {
        let bytes = chosen.0.clone();
        let mut likely: Vec<(Vec<u8>, f64)> = Vec::new();
        for (bytes, logprob) in std::iter::once(chosen).chain(top) {
            let is_new = likely.iter().all(|(known, _)| *known != bytes);
            if is_new && logprob > UNKNOWN {
                likely.push((bytes, logprob));
            }
        }
        Self { bytes, likely }
    }

    fn mass(&self) -> f64 {
        self.likely.iter().map(|(_, logprob)| logprob.exp()).sum()
    }
}

fn of_chat(entry: &Value) -> Result<ServedToken, String> {
    let top = entry.get("top_logprobs").and_then(Value::as_array);
    let top = top
        .into_iter()
        .flatten()
        .filter_map(|it| spelled(it).transpose());
    let top = top.collect::<Result<_, _>>()?;
    let chosen = spelled(entry)?;
    let chosen = chosen.ok_or("a token that was chosen has no bytes, and its text is not whole")?;
    Ok(ServedToken::new(chosen, top))
}

/// Bytes and ln p of an entry; none where its text is a part of a character and there are no bytes.
fn spelled(entry: &Value) -> Result<Option<(Vec<u8>, f64)>, String> {
    let logprob = entry.get("logprob").and_then(Value::as_f64);
    let logprob = logprob.ok_or("a token has no `logprob`")?;
    let bytes = match entry.get("bytes") {
        Some(Value::Array(bytes)) => {
            let bytes = bytes.iter().map(|byte| byte.as_u64()?.try_into().ok());
            let bytes: Option<Vec<u8>> = bytes.collect();
            Some(bytes.ok_or("the `bytes` of a token are none")?)
        }
        _ => {
            let text = entry.get("token").and_then(Value::as_str);
            whole(text.ok_or("a token has neither `bytes` nor `token`")?)
        }
    };
    Ok(bytes.map(|bytes| (bytes, logprob)))
}

/// A token's text in bytes, unless it stands for a part of a character.
fn whole(text: &str) -> Option<Vec<u8>> {
    (!text.contains('\u{fffd}')).then(|| text.into())
}

/// The older format: `tokens`, `token_logprobs` and `top_logprobs`, each with an entry for every token.
fn of_completion(logprobs: &Value) -> Result<Vec<ServedToken>, String> {
    let list = |name: &str| logprobs.get(name).and_then(Value::as_array);
    let (Some(tokens), Some(chosen)) = (list("tokens"), list("token_logprobs")) else {
        return Err("it has no `tokens` and `token_logprobs`".into());
    };
    let top = list("top_logprobs");
    let lengths = [chosen.len(), top.map_or(tokens.len(), Vec::len)];
    if lengths != [tokens.len(); 2] {
        return Err("its lists are of several lengths".into());
    }
    let each = tokens.iter().zip(chosen).enumerate();
    let of = |(at, (token, logprob)): (usize, (&Value, &Value))| {
        let bytes = token.as_str().and_then(whole);
        let bytes = bytes.ok_or("a token that was chosen has no whole text")?;
        let logprob = logprob.as_f64().ok_or("a token has no log-probability")?;
        let others = top.and_then(|top| top[at].as_object());
        let others = others.into_iter().flatten();
        let others = others.filter_map(|(text, logprob)| Some((whole(text)?, logprob.as_f64()?)));
        Ok(ServedToken::new((bytes, logprob), others.collect()))
    };
    each.map(of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_formats_say_the_same() {
        let chat = json!({"content": [
            {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": [
                {"token": "b", "logprob": -1.5}, {"token": "a", "bytes": [97], "logprob": -0.5}, {"token": "\u{fffd}", "logprob": -3.0},
            ]},
            {"token": "\u{fffd}", "bytes": [0xc3], "logprob": -9999.0, "top_logprobs": []},
        ]});
        let found = ServedTokens::parse(&chat).unwrap();
        let bytes: Vec<_> = found.0.iter().map(|it| &it.bytes[..]).collect();
        assert_eq!(bytes, [&[97][..], &[0xc3]]);
        let likely = vec![(b"a".to_vec(), -0.5), (b"b".to_vec(), -1.5)];
        assert_eq!(found.0[0].likely, likely);
        assert_eq!(found.0[1].likely, [], "what has no probability is not kept");
        let completion =
            json!({"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"b": -1.5}]});
        assert_eq!(
            ServedTokens::parse(&completion).unwrap().0[0].likely,
            likely
        );
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (logprobs, reason) in [
            (json!({}), "it has neither `content` nor `tokens`"),
            (
                json!({"content": [{"token": "a"}]}),
                "a token has no `logprob`",
            ),
            (
                json!({"content": [{"logprob": -1.0}]}),
                "a token has neither `bytes` nor `token`",
            ),
            (
                json!({"content": [{"token": "\u{fffd}", "logprob": -1.0}]}),
                "a token that was chosen has no bytes, and its text is not whole",
            ),
            (
                json!({"content": [{"token": "a", "bytes": [256], "logprob": -1.0}]}),
                "the `bytes` of a token are none",
            ),
            (
                json!({"content": [{"token": "a", "logprob": -0.1, "top_logprobs": [{"token": "b", "logprob": -0.1}]}]}),
                "the probabilities of a token add up to 1.810",
            ),
            (
                json!({"tokens": ["a"], "token_logprobs": []}),
                "its lists are of several lengths",
            ),
        ] {
            assert_eq!(ServedTokens::parse(&logprobs).unwrap_err(), reason);
        }
    }
}
