//! Which shards of a folder are written, so that one that was not finished is gone on with.

use std::io::Write;
use std::path::{Path, PathBuf};

use fs_err::File;
use serde::{Deserialize, Serialize};
use slm_run::{RunError, sha256_file};

use crate::error::DataError;
use crate::manifest::ShardRecord;
use crate::side_writer::SideCounts;

/// Name of the file in the folder that is not finished.
const JOURNAL: &str = "journal.jsonl";

/// A shard that is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) shard: ShardRecord,
    /// What became of its rows, and of those before it that are in none.
    pub(crate) counts: SideCounts,
    /// The last row of it. All of its side up to here are dealt with.
    pub(crate) through_row: usize,
}

#[derive(Serialize, Deserialize)]
struct Head {
    input_digest: String,
}

/// The shards of a folder that is being written. What was made of other inputs is thrown away.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    file: File,
}

impl Journal {
    /// The folder beside `target` in which shards are written until all of them are, and those that are there.
    pub(crate) fn open(target: &Path, input_digest: &str) -> Result<(Self, Vec<Done>), DataError> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".unfinished");
        let folder = target.with_file_name(name);
        let done = Self::read(&folder, input_digest);
        if done.is_empty() && folder.exists() {
            fs_err::remove_dir_all(&folder).map_err(|error| failed(&folder, error))?;
        }
        fs_err::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
        let path = folder.join(JOURNAL);
        let mut file = File::create(&path).map_err(|error| failed(&path, error))?;
        let head = Head {
            input_digest: input_digest.to_owned(),
        };
        line(&mut file, &head).map_err(|error| failed(&path, error))?;
        let mut journal = Self { folder, file };
        for shard in &done {
            journal.note(shard.clone())?;
        }
        Ok((journal, done))
    }

    /// What a process that was killed left: the shards up to the first that is not whole.
    fn read(folder: &Path, input_digest: &str) -> Vec<Done> {
        let Ok(text) = fs_err::read_to_string(folder.join(JOURNAL)) else {
            return Vec::new();
        };
        let mut lines = text.lines();
        let head = lines.next().map(serde_json::from_str::<Head>);
        if !matches!(head, Some(Ok(head)) if head.input_digest == input_digest) {
            return Vec::new();
        }
        let done = lines.map_while(|line| serde_json::from_str::<Done>(line).ok());
        let whole = |done: &Done| {
            sha256_file(folder.join(&done.shard.file)).is_ok_and(|found| found == done.shard.sha256)
        };
        done.take_while(whole).collect()
    }

    /// Where shards are written.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Notes that a shard is written.
    pub(crate) fn note(&mut self, done: Done) -> Result<(), DataError> {
        line(&mut self.file, &done).map_err(|error| failed(&self.folder, error))
    }

    /// Moves the shards into the folder that will be complete.
    pub(crate) fn hand_over(self, shards: &[ShardRecord], to: &Path) -> Result<(), DataError> {
        for shard in shards {
            let path = self.folder.join(&shard.file);
            fs_err::rename(&path, to.join(&shard.file)).map_err(|error| failed(&path, error))?;
        }
        self.discard()
    }

    /// Throws away what is there: its rows are refused.
    pub(crate) fn discard(self) -> Result<(), DataError> {
        fs_err::remove_dir_all(&self.folder).map_err(|error| failed(&self.folder, error))
    }
}

fn line(file: &mut File, record: &impl Serialize) -> std::io::Result<()> {
    let line = serde_json::to_string(record)? + "\n";
    file.write_all(line.as_bytes())
}

fn failed(path: &Path, error: std::io::Error) -> DataError {
    DataError::Write {
        source: RunError::io(path, error),
    }
}
