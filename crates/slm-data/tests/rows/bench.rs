//! A folder of files, a tiny tokenizer, and a section over them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use slm_data::{DataError, Guarded, Manifest, Outline, Shards, prepare};
use slm_recipe::{DataSection, Source};
use slm_run::Event;
use slm_text::{ChatTokenizer, train_bpe};
use tempfile::TempDir;

/// Byte-level, with a ChatML template and an EOS, without BOS.
pub(crate) static TOKENIZER: LazyLock<ChatTokenizer> =
    LazyLock::new(|| ChatTokenizer::load(&lasting("with-template", |_| {}), "auto").unwrap());

/// The same without a chat template.
pub(crate) static NO_TEMPLATE: LazyLock<ChatTokenizer> = LazyLock::new(|| {
    let folder = lasting("without-template", |folder| {
        let path = folder.join("tokenizer_config.json");
        let mut config: serde_json::Value =
            serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
        config.as_object_mut().unwrap().remove("chat_template");
        fs_err::write(&path, config.to_string()).unwrap();
    });
    ChatTokenizer::load(&folder, "auto").unwrap()
});

/// A folder that stays, because a tokenizer's files are read when they are copied. Each file appears whole: tests that start
/// themselves again make the folder at the same time.
fn lasting(name: &str, change: impl FnOnce(&Path)) -> PathBuf {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rows");
    let folder = all.join(name);
    fs_err::create_dir_all(&folder).unwrap();
    let made = tempfile::tempdir_in(&all).unwrap();
    train(made.path());
    change(made.path());
    for file in fs_err::read_dir(made.path()).unwrap() {
        let file = file.unwrap();
        fs_err::rename(file.path(), folder.join(file.file_name())).unwrap();
    }
    folder
}

/// A new folder with the same tokenizer.
pub(crate) fn trained() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path());
    dir
}

fn train(folder: &Path) {
    let texts = [
        "the card has not arrived",
        "where is the card",
        "the top up failed",
    ];
    train_bpe(
        texts.iter().cycle().take(30).map(|text| (*text).to_owned()),
        300,
        folder,
    )
    .unwrap();
}

pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) max_length: usize,
    pub(crate) seed: u64,
    pub(crate) events: Vec<Event>,
    /// Rows of tasks.
    pub(crate) guarded: Vec<Guarded>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            max_length: 256,
            seed: 42,
            events: Vec::new(),
            guarded: Vec::new(),
        }
    }

    pub(crate) fn with(name: &str, content: impl AsRef<[u8]>) -> Self {
        let bench = Self::new();
        bench.write(name, content);
        bench
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs_err::write(self.dir.path().join(name), content).unwrap();
    }

    pub(crate) fn source(&self, name: &str) -> Source {
        Source {
            path: self.dir.path().join(name).display().to_string(),
            ..Source::default()
        }
    }

    /// Learns from one file and holds nothing out.
    pub(crate) fn section(&self, name: &str) -> DataSection {
        DataSection {
            val_size: 0.0,
            train: vec![self.source(name)],
            ..DataSection::default()
        }
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    pub(crate) fn prepare(&mut self, section: &DataSection) -> Result<Manifest, DataError> {
        self.prepare_with(section, &TOKENIZER)
    }

    pub(crate) fn prepare_with(
        &mut self,
        section: &DataSection,
        tokenizer: &ChatTokenizer,
    ) -> Result<Manifest, DataError> {
        let out = self.out();
        let mut events = Vec::new();
        let made = prepare(
            section,
            &self.guarded,
            tokenizer,
            self.max_length,
            self.seed,
            &out,
            &mut |event| events.push(event),
        );
        self.events = events;
        made
    }

    pub(crate) fn shards(&mut self, section: &DataSection) -> Shards {
        self.prepare(section).unwrap();
        Shards::open(&self.out()).unwrap()
    }

    /// What [`Self::shards`] wrote last.
    pub(crate) fn outline(&self) -> Outline {
        Outline::open(&self.out()).unwrap()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let text = |event| match event {
            Event::Warning { text } => Some(text),
            _ => None,
        };
        let texts = self.events.iter().cloned().filter_map(text);
        texts.collect()
    }

    /// Message and hint of what `prepare` refuses, the folder's path left out; nothing may be left behind.
    pub(crate) fn refusal(&mut self, section: &DataSection) -> (String, String) {
        let error = self.prepare(section).unwrap_err();
        assert!(
            !self.out().exists(),
            "a refused preparation left its folder behind"
        );
        self.told(&error)
    }

    pub(crate) fn told(&self, error: &DataError) -> (String, String) {
        let folder = format!("{}/", self.dir.path().display());
        let plain = |text: String| text.replace(&folder, "");
        (
            plain(error.to_string()),
            plain(error.hint().unwrap_or_default()),
        )
    }
}

/// A table of two columns, `text` and the integers `label`.
pub(crate) fn table(texts: &[&str]) -> RecordBatch {
    let labels = Int64Array::from_iter_values(0..texts.len() as i64);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(StringArray::from_iter_values(texts))),
        ("label", Arc::new(labels)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

pub(crate) fn parquet(batch: &RecordBatch, compression: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}
