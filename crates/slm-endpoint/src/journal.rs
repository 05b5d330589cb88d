//! What was sent and what came back, written down before anything else happens with it.
//!
//! A line is added before a request is sent, with the most that it may cost, and one when its answer is there; that one is
//! synced to the disk. A process that is killed so loses the requests in flight, which count as spent in full, and no answer
//! that was paid for.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err::{File, OpenOptions};
use serde::{Deserialize, Serialize};
use slm_run::RunError;

use crate::{Answer, EndpointError, Request, Tokens};

/// An append-only file of JSON lines.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Arc<File>,
    /// Bytes of complete lines.
    size_bytes: u64,
    answers: HashMap<(String, usize), Answer>,
    /// What answers cost, and what may have been charged for requests without one.
    spent: Tokens,
    /// Bytes of a last line that was not written to its end.
    dropped_bytes: u64,
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    /// A request is about to be sent.
    Sent {
        key: String,
        sample: usize,
        /// The most that it may cost.
        worst: Tokens,
    },
    /// Its answer.
    Answered {
        key: String,
        sample: usize,
        #[serde(flatten)]
        answer: Answer,
    },
    /// It was turned away without being worked on, and costs nothing.
    TurnedAway { key: String, sample: usize },
}

/// An answer that is written, and may not be on the disk yet.
#[must_use]
pub(crate) struct Unsynced {
    path: PathBuf,
    file: Arc<File>,
}

impl Unsynced {
    pub(crate) fn sync(self) -> Result<(), EndpointError> {
        let synced = self.file.sync_data();
        synced.map_err(|error| EndpointError::Run(RunError::io(&self.path, error)))
    }
}

impl Journal {
    /// Opens a journal for this process alone; makes it if it is not there. A last line that was not written to its end is
    /// taken off.
    ///
    /// # Errors
    /// When another process has it, when it is damaged, or when it cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, EndpointError> {
        let failed = |error| EndpointError::Run(RunError::io(path, error));
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .append(true)
            .read(true)
            .open(path)
            .map_err(failed)?;
        file.file().try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => EndpointError::JournalInUse { path: path.into() },
            std::fs::TryLockError::Error(error) => failed(error),
        })?;
        let bytes = fs_err::read(path).map_err(failed)?;
        let complete = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let mut journal = Self {
            path: path.into(),
            file: Arc::new(file),
            size_bytes: complete as u64,
            answers: HashMap::new(),
            spent: Tokens::default(),
            dropped_bytes: (bytes.len() - complete) as u64,
        };
        journal.replay(&bytes[..complete])?;
        if journal.dropped_bytes > 0 {
            journal.file.set_len(journal.size_bytes).map_err(failed)?;
        }
        Ok(journal)
    }

    /// Bytes of a half-written last line that were taken off when it was opened.
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }

    /// The answer to a request, if it was paid for already.
    pub fn answer(&self, request: &Request) -> Option<&Answer> {
        self.answers.get(&request.id())
    }

    /// The answer to the request with this key, where the request itself is not at hand.
    pub fn answer_of(&self, key: &str, sample: usize) -> Option<&Answer> {
        self.answers.get(&(key.to_owned(), sample))
    }

    /// What is spent, requests without an answer in full.
    pub fn spent(&self) -> Tokens {
        self.spent
    }

    /// Notes that a request is about to be sent.
    pub(crate) fn sent(&mut self, request: &Request, worst: Tokens) -> Result<(), EndpointError> {
        let (key, sample) = request.id();
        self.append(&Line::Sent { key, sample, worst })?;
        self.spent = self.spent + worst;
        Ok(())
    }

    /// Keeps an answer. It is on the disk when what this gives is synced: outside of any lock, so that answers that come at the
    /// same time are synced together.
    pub(crate) fn answered(
        &mut self,
        request: &Request,
        worst: Tokens,
        answer: Answer,
    ) -> Result<Unsynced, EndpointError> {
        let (key, sample) = request.id();
        self.append(&Line::Answered {
            key,
            sample,
            answer: answer.clone(),
        })?;
        self.spent = self.spent - worst + answer.tokens;
        self.answers.insert(request.id(), answer);
        Ok(Unsynced {
            path: self.path.clone(),
            file: self.file.clone(),
        })
    }

    /// Notes that a request cost nothing.
    pub(crate) fn turned_away(
        &mut self,
        request: &Request,
        worst: Tokens,
    ) -> Result<(), EndpointError> {
        let (key, sample) = request.id();
        self.append(&Line::TurnedAway { key, sample })?;
        self.spent = self.spent - worst;
        Ok(())
    }

    fn append(&mut self, line: &Line) -> Result<(), EndpointError> {
        // Strings, numbers and JSON: none of them can fail to serialize.
        let mut bytes = serde_json::to_vec(line).unwrap_or_default();
        bytes.push(b'\n');
        match (&*self.file).write_all(&bytes) {
            Ok(()) => {
                self.size_bytes += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Of a line that the disk had no room for, a part may be there; were it left, the next one would be damaged.
                let _ = self.file.set_len(self.size_bytes);
                Err(EndpointError::Run(RunError::io(&self.path, error)))
            }
        }
    }

    fn replay(&mut self, bytes: &[u8]) -> Result<(), EndpointError> {
        let mut open: HashMap<(String, usize), Vec<Tokens>> = HashMap::new();
        for (number, bytes) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if bytes.is_empty() {
                continue;
            }
            let line = serde_json::from_slice(bytes).map_err(|error| {
                let (path, line) = (self.path.clone(), number + 1);
                EndpointError::JournalDamaged {
                    path,
                    line,
                    reason: error.to_string(),
                }
            })?;
            match line {
                Line::Sent { key, sample, worst } => {
                    open.entry((key, sample)).or_default().push(worst)
                }
                Line::TurnedAway { key, sample } => {
                    open.entry((key, sample)).or_default().pop();
                }
                Line::Answered {
                    key,
                    sample,
                    answer,
                } => {
                    let id = (key, sample);
                    open.entry(id.clone()).or_default().pop();
                    self.spent = self.spent + answer.tokens;
                    self.answers.insert(id, answer);
                }
            }
        }
        let lost = open.into_values().flatten();
        self.spent = lost.fold(self.spent, |spent, worst| spent + worst);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use slm_data::Prompt;
    use slm_recipe::EndpointSection;

    use super::*;

    const WORST: Tokens = Tokens {
        prompt: 100,
        completion: 20,
    };

    fn request(text: &str, sample: usize) -> Request {
        let endpoint = EndpointSection {
            temperature: 1.0,
            ..EndpointSection::default()
        };
        Request::new(&endpoint, &Prompt::Text(text.into()), 0, sample).unwrap()
    }

    fn answer(text: &str) -> Answer {
        Answer {
            text: text.into(),
            finish: Some("stop".into()),
            tokens: Tokens {
                prompt: 3,
                completion: 2,
            },
            logprobs: Some(serde_json::json!({"content": [{"token": "a", "logprob": -0.5}]})),
        }
    }

    fn written(path: &Path) -> Tokens {
        let mut journal = Journal::open(path).unwrap();
        for (sample, text) in [(0, "one"), (1, "two\n\u{2028}")] {
            journal.sent(&request("a", sample), WORST).unwrap();
            journal
                .answered(&request("a", sample), WORST, answer(text))
                .unwrap()
                .sync()
                .unwrap();
        }
        journal.sent(&request("b", 0), WORST).unwrap();
        journal.turned_away(&request("b", 0), WORST).unwrap();
        journal.sent(&request("b", 0), WORST).unwrap();
        journal.spent()
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        let spent = written(&path);
        assert_eq!(
            spent,
            Tokens {
                prompt: 106,
                completion: 24
            },
            "two answers, and one that may have been charged"
        );
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.spent(), spent);
        assert_eq!(
            journal.answer(&request("a", 1)),
            Some(&answer("two\n\u{2028}"))
        );
        assert_eq!(journal.answer(&request("b", 0)), None);
        let second = Journal::open(&path).unwrap_err();
        assert_eq!(
            second.to_string(),
            format!("journal `{}` is in use by another process", path.display())
        );
    }

    /// Cut at every line break, beside it, and at one byte in seven between: what had its line break is there, nothing else, and it can be written on.
    #[test]
    fn it_can_be_cut_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        written(&path);
        let whole = fs_err::read(&path).unwrap();
        let is_break = |at: usize| whole.get(at) == Some(&b'\n');
        let ends = (0..=whole.len())
            .filter(|end| end % 7 == 0 || (end.saturating_sub(2)..=end + 1).any(is_break));
        for end in ends {
            fs_err::write(&path, &whole[..end]).unwrap();
            let lines = whole[..end].iter().filter(|byte| **byte == b'\n').count();
            let mut journal = Journal::open(&path).unwrap();
            let answered = [0, 1].map(|sample| journal.answer(&request("a", sample)).is_some());
            assert_eq!(answered, [lines >= 2, lines >= 4], "{end}");
            let is_cut = end > 0 && whole[end - 1] != b'\n';
            assert_eq!(journal.dropped_bytes() > 0, is_cut);
            journal.sent(&request("c", 0), WORST).unwrap();
            drop(journal);
            assert_eq!(Journal::open(&path).unwrap().dropped_bytes(), 0);
        }
    }

    #[test]
    fn a_damaged_line_is_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        written(&path);
        let text =
            fs_err::read_to_string(&path)
                .unwrap()
                .replacen("\"answered\"", "\"answred\"", 1);
        fs_err::write(&path, text).unwrap();
        let error = Journal::open(&path).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "line 2 of journal `{}` is damaged: unknown variant `answred`",
                path.display()
            )),
            "{error}"
        );
    }
}
