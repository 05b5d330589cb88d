//! An OpenAI-compatible server on this machine that answers as a test wants it to, and counts.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// An answer.
    Text(String),
    /// An answer with these log-probabilities.
    Scored(String, Value),
    /// An answer after this long.
    Late(Duration, String),
    /// An answer of another model.
    As(&'static str, String),
    /// A status, a header and a body.
    Status(u16, &'static str, String),
    /// Half of an answer's JSON, with the length of that half.
    Malformed,
    /// Half of an answer's JSON, with the length of the whole.
    CutInside,
    /// No byte.
    Cut,
    /// An answer whose bytes come one at a time, each after this long.
    Slow(Duration),
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When.
    pub at: Instant,
    /// Path with its slash.
    pub path: String,
    /// The header, if there is one.
    pub authorization: Option<String>,
    /// The JSON.
    pub body: Value,
}

impl Seen {
    /// The last message, or the text to continue.
    pub fn prompt(&self) -> String {
        prompt_of(&self.body)
    }
}

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Requests in their order.
    pub seen: Vec<Seen>,
    /// Most requests that were worked on at a time.
    pub most_in_flight: usize,
    in_flight: usize,
    /// Tokens that a server would charge for: of everything that it worked on, whether or not it got there.
    pub tokens: u64,
    turns: HashMap<String, usize>,
}

type Script = dyn Fn(&Seen, usize) -> Reply + Send + Sync;

/// The server; it lives as long as the process.
#[derive(Clone)]
pub struct Server {
    /// What goes into `base_url`.
    pub base_url: String,
    log: Arc<Mutex<Log>>,
}

impl Server {
    /// Answers as `script` says, which is told how often the same body came before.
    pub fn start(script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a test's server works");
        let base_url = format!(
            "http://{}/v1",
            listener.local_addr().expect("a test's server works")
        );
        let log = Arc::new(Mutex::new(Log::default()));
        let (script, shared): (Arc<Script>, _) = (Arc::new(script), log.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, log) = (script.clone(), shared.clone());
                // A client that goes away ends its thread, and nothing else.
                std::thread::spawn(move || serve(stream?, &*script, &log));
            }
        });
        Self { base_url, log }
    }

    /// What was seen so far.
    pub fn log(&self) -> Log {
        self.log.lock().expect("no script panics").clone()
    }
}

/// One connection, request after request.
fn serve(stream: TcpStream, script: &Script, log: &Mutex<Log>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    stream.set_nodelay(true)?;
    while let Some(seen) = read(&mut reader)? {
        let reply = {
            let mut log = log.lock().expect("a test's server works");
            log.in_flight += 1;
            log.most_in_flight = log.most_in_flight.max(log.in_flight);
            let turn = log.turns.entry(seen.body.to_string()).or_default();
            *turn += 1;
            let reply = script(&seen, *turn - 1);
            log.seen.push(seen.clone());
            reply
        };
        let is_open = answer(&mut stream, &seen, reply, log);
        log.lock().expect("a test's server works").in_flight -= 1;
        if !is_open? {
            return Ok(());
        }
    }
    Ok(())
}

/// Gives whether the connection stays open.
fn answer(
    stream: &mut TcpStream,
    seen: &Seen,
    reply: Reply,
    log: &Mutex<Log>,
) -> std::io::Result<bool> {
    let asked = seen.body["model"].as_str().unwrap_or_default();
    let charge = |body: &Value| {
        let usage = &body["usage"];
        let tokens = usage["prompt_tokens"]
            .as_u64()
            .expect("a test's server works")
            + usage["completion_tokens"]
                .as_u64()
                .expect("a test's server works");
        log.lock().expect("a test's server works").tokens += tokens;
    };
    let mut whole = |body: &str, status: &str, header: &str| {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{header}content-length: {length}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes())?;
        Ok(true)
    };
    match reply {
        Reply::Text(text) => {
            let body = body(seen, asked, &text);
            charge(&body);
            whole(&body.to_string(), "200 OK", "")
        }
        Reply::Scored(text, logprobs) => {
            let mut body = body(seen, asked, &text);
            charge(&body);
            body["choices"][0]["logprobs"] = logprobs;
            whole(&body.to_string(), "200 OK", "")
        }
        Reply::Late(wait, text) => {
            let body = body(seen, asked, &text);
            charge(&body);
            std::thread::sleep(wait);
            whole(&body.to_string(), "200 OK", "")
        }
        Reply::As(model, text) => {
            let body = body(seen, model, &text);
            charge(&body);
            whole(&body.to_string(), "200 OK", "")
        }
        Reply::Status(status, header, text) => whole(&text, &format!("{status} X"), header),
        Reply::Malformed => {
            let body = body(seen, asked, "half an answer");
            charge(&body);
            let text = body.to_string();
            whole(&text[..text.len() / 2], "200 OK", "")
        }
        Reply::CutInside => {
            let body = body(seen, asked, "half an answer");
            charge(&body);
            let text = body.to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
            stream.write_all((head + &text[..text.len() / 2]).as_bytes())?;
            Ok(false)
        }
        Reply::Cut => {
            charge(&body(seen, asked, "an answer that was lost"));
            Ok(false)
        }
        Reply::Slow(wait) => {
            let body = body(seen, asked, "drop by drop");
            charge(&body);
            let text = body.to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
            for byte in (head + &text).bytes() {
                std::thread::sleep(wait);
                stream.write_all(&[byte])?;
            }
            Ok(true)
        }
    }
}

/// The JSON of an answer; a token is a word.
fn body(seen: &Seen, model: &str, text: &str) -> Value {
    let words = |text: &str| text.split_whitespace().count() as u64;
    let completion = words(text).min(seen.body["max_tokens"].as_u64().unwrap_or(u64::MAX));
    let logprobs = seen.body.get("logprobs").map(|_| {
        let token = |word: &str| {
            let top = [
                json!({"token": word, "logprob": -0.1}),
                json!({"token": "?", "logprob": -2.5}),
            ];
            json!({"token": word, "logprob": -0.1, "top_logprobs": top})
        };
        let tokens: Vec<_> = text.split_whitespace().map(token).collect();
        json!({"content": tokens})
    });
    let choice = match seen.path.ends_with("/chat/completions") {
        true => {
            json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": logprobs})
        }
        false => json!({"index": 0, "text": text, "finish_reason": "stop", "logprobs": logprobs}),
    };
    json!({
        "id": "x", "object": "chat.completion", "model": model, "choices": [choice],
        "usage": {"prompt_tokens": words(&seen.prompt()) + 9, "completion_tokens": completion},
    })
}

fn prompt_of(body: &Value) -> String {
    let last = body["messages"].as_array().and_then(|it| it.last());
    let text = last.map_or(&body["prompt"], |message| &message["content"]);
    text.as_str().unwrap_or_default().to_owned()
}

fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Seen>> {
    let (mut first, mut length, mut authorization) = (String::new(), 0, None);
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().expect("a test's server works"),
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Seen {
        at: Instant::now(),
        path: first.split(' ').nth(1).unwrap_or_default().to_owned(),
        authorization,
        body: serde_json::from_slice(&body).expect("a test's server works"),
    }))
}
