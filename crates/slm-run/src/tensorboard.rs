//! Event files that TensorBoard reads: TFRecords of `tensorflow.Event` messages.
//!
//! A record is the length of its data (u64), a checksum of those 8 bytes (u32), the data, and a checksum of the data (u32),
//! all little-endian. A checksum is CRC-32C, rotated and shifted so that data may hold checksums of its own. The messages
//! are written by hand: five kinds of field are all that scalars need
//! (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use fs_err::{File, OpenOptions};

use crate::{Event, RunError};

/// The event file of one call; TensorBoard reads all files of a folder as one run.
#[derive(Debug)]
pub struct TensorBoardLog {
    path: PathBuf,
    file: File,
}

impl TensorBoardLog {
    /// Begins a file in `folder`. What earlier files have from `first_step` on is no longer shown: a resumed run takes
    /// those steps again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(folder: impl AsRef<Path>, first_step: usize) -> Result<Self, RunError> {
        let folder = folder.as_ref();
        fs_err::create_dir_all(folder).map_err(|error| RunError::io(folder, error))?;
        let process = std::process::id();
        let name = format!("events.out.tfevents.{:010.0}.slm-tune.{process}", now_s());
        let path = folder.join(name);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|error| RunError::io(&path, error))?;
        let mut this = Self { path, file };
        this.write(&[header(0), text(3, "brain.Event:2")].concat())?;
        this.write(&[header(first_step), message(7, &session_start())].concat())?;
        Ok(this)
    }

    /// Appends the numbers of a step or an evaluation, under the tags of HF's Trainer and TRL; other events have none.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, event: &Event) -> Result<(), RunError> {
        let Some((step, scalars)) = scalars(event) else {
            return Ok(());
        };
        // A number that was not measured is no point of a curve; one that is not finite because the run diverged stops it.
        let values = scalars.iter().filter(|(_, value)| value.is_finite());
        let summary: Vec<u8> = values
            .flat_map(|(tag, value)| message(1, &[text(1, tag), float(2, *value as f32)].concat()))
            .collect();
        self.write(&[header(step), message(5, &summary)].concat())
    }

    /// One record, with one write.
    fn write(&mut self, data: &[u8]) -> Result<(), RunError> {
        let length = (data.len() as u64).to_le_bytes();
        let record = [
            &length[..],
            &masked_crc(&length).to_le_bytes(),
            data,
            &masked_crc(data).to_le_bytes(),
        ]
        .concat();
        let written = self.file.write_all(&record);
        written.map_err(|error| RunError::io(&self.path, error))
    }
}

/// The step and the numbers of an event.
fn scalars(event: &Event) -> Option<(usize, Vec<(String, f64)>)> {
    let named = |of: &str, values: &[(&str, f64)]| -> Vec<(String, f64)> {
        let tag = |(name, value): &(&str, f64)| (format!("{of}/{name}"), *value);
        values.iter().map(tag).collect()
    };
    match event {
        Event::Step {
            step,
            epoch,
            loss,
            entropy,
            token_accuracy,
            lr,
            grad_norm,
            learned_tokens,
            tokens_per_s,
            rewards,
            taught,
            ..
        } => {
            let mut values = vec![
                ("loss", *loss),
                ("entropy", *entropy),
                ("mean_token_accuracy", *token_accuracy),
                ("grad_norm", *grad_norm),
                ("learning_rate", *lr),
                ("epoch", *epoch),
                ("learned_tokens", *learned_tokens as f64),
                ("tokens_per_second", *tokens_per_s),
            ];
            values.extend(rewards.iter().flat_map(|it| it.named()));
            values.extend(taught.iter().flat_map(|it| it.named()));
            Some((*step, named("train", &values)))
        }
        Event::Eval {
            step,
            loss,
            entropy,
            token_accuracy,
            metric,
            rewards,
            ..
        } => {
            let mut values: Vec<(&str, f64)> = vec![
                ("loss", *loss),
                ("entropy", *entropy),
                ("mean_token_accuracy", *token_accuracy),
            ];
            values.extend(rewards.iter().flat_map(|it| it.named()));
            values.extend(metric.iter().map(|it| (it.name.as_str(), it.value)));
            Some((*step, named("eval", &values)))
        }
        _ => None,
    }
}

/// `wall_time` and `step`, which every event begins with.
fn header(step: usize) -> Vec<u8> {
    let time = [vec![1 << 3 | 1], now_s().to_le_bytes().to_vec()].concat();
    [time, varint(2 << 3), varint(step as u64)].concat()
}

fn now_s() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// `SessionLog { status: START }`
fn session_start() -> Vec<u8> {
    [varint(1 << 3), varint(1)].concat()
}

fn text(field: u64, value: &str) -> Vec<u8> {
    message(field, value.as_bytes())
}

fn message(field: u64, data: &[u8]) -> Vec<u8> {
    [
        varint(field << 3 | 2),
        varint(data.len() as u64),
        data.to_vec(),
    ]
    .concat()
}

fn float(field: u64, value: f32) -> Vec<u8> {
    [varint(field << 3 | 5), value.to_le_bytes().to_vec()].concat()
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The checksum of a record's part, as TFRecord masks it.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), RFC 3720 appendix B.4.
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    let step = |crc: u32, byte: &u8| crc >> 8 ^ TABLE[(crc as u8 ^ byte) as usize];
    !data.iter().fold(!0, step)
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        // RFC 3720, B.4: 32 bytes of zeros, of ones, and counted up.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
    }

    #[test]
    fn varints_take_seven_bits_a_byte() {
        assert_eq!(varint(1), [1]);
        assert_eq!(varint(300), [0xac, 0x02]);
    }

    /// The data of every record; panics where a length or a checksum is wrong.
    fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut rest = bytes;
        let mut found = Vec::new();
        while !rest.is_empty() {
            let number = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            let n = number(0) as usize;
            assert_eq!(number(8), masked_crc(&rest[..8]));
            assert_eq!(number(12 + n), masked_crc(&rest[12..12 + n]));
            found.push(rest[12..12 + n].to_vec());
            rest = &rest[16 + n..];
        }
        found
    }

    #[test]
    fn a_file_has_its_version_then_the_start_then_the_scalars() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TensorBoardLog::create(dir.path().join("tensorboard"), 7).unwrap();
        log.append(&Event::Eval {
            step: 300,
            loss: 1.5,
            entropy: f64::NAN,
            token_accuracy: 0.25,
            rewards: None,
            metric: None,
            best: true,
        })
        .unwrap();
        log.append(&Event::Note {
            text: "nothing to draw".into(),
        })
        .unwrap();
        let records = records(&fs_err::read(&log.path).unwrap());
        assert_eq!(records.len(), 3);
        // wall_time is the first 9 bytes of each.
        assert_eq!(&records[0][9..], b"\x10\x00\x1a\x0dbrain.Event:2");
        assert_eq!(&records[1][9..], [0x10, 7, 0x3a, 2, 0x08, 1]);
        let scalar = |tag: &str, value: f32| {
            let value = [text(1, tag), vec![0x15], value.to_le_bytes().to_vec()].concat();
            [vec![0x0a, value.len() as u8], value].concat()
        };
        let summary = [
            scalar("eval/loss", 1.5),
            scalar("eval/mean_token_accuracy", 0.25),
        ]
        .concat();
        let wanted = [vec![0x10, 0xac, 0x02, 0x2a, summary.len() as u8], summary].concat();
        assert_eq!(records[2][9..], wanted);
    }
}
