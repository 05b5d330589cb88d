//! A folder of its own for a test, and the binary running in it.

use std::{
    fmt::Write,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use tempfile::TempDir;

/// Twelve rows with two answers, held in every sandbox as `rows.jsonl`.
const ROWS: &str = include_str!("rows.jsonl");
/// A model of 11,000 weights that is trained from random ones in two steps.
const SCRATCH: &str = include_str!("scratch.toml");
/// An adapter for it, trained in two steps.
const ADAPTER: &str = include_str!("adapter.toml");

/// A temporary folder with `rows.jsonl`, `scratch.toml` and `adapter.toml`.
pub(crate) struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let sandbox = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        sandbox.write("rows.jsonl", ROWS);
        sandbox.write("scratch.toml", SCRATCH);
        sandbox.write("adapter.toml", ADAPTER);
        sandbox
    }

    /// One that also has the folder `base`: the model that `scratch.toml` makes. It is made once.
    pub(crate) fn with_base() -> Self {
        static BASE: OnceLock<Sandbox> = OnceLock::new();
        let made = BASE.get_or_init(|| {
            let sandbox = Self::new();
            sandbox.succeeds(&["train", "scratch.toml", "--quiet"]);
            sandbox
        });
        let sandbox = Self::new();
        copy(
            &made.path("runs/scratch/export/merged"),
            &sandbox.path("base"),
        );
        sandbox
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Copies the files of a folder.
    pub(crate) fn copy(&self, from: &Path, name: &str) {
        copy(from, &self.path(name));
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }

    /// The tensors of a safetensors file: its bytes behind the header, which holds the hash of a certificate.
    pub(crate) fn tensors(&self, name: &str) -> Vec<u8> {
        let bytes = fs_err::read(self.path(name)).unwrap();
        let (length, rest) = bytes.split_at(8);
        let header = u64::from_le_bytes(length.try_into().unwrap());
        rest[header as usize..].to_vec()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs_err::read_to_string(self.path(name)).unwrap()
    }

    /// Replaces a text that is in the file.
    pub(crate) fn replace(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "`{name}` does not hold `{from}`");
        self.write(name, text.replace(from, to));
    }

    /// Every file and folder below, sorted, without those of the sandbox itself.
    pub(crate) fn tree(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(self.folder.path(), self.folder.path(), &mut found);
        found.retain(|name| {
            !["rows.jsonl", "scratch.toml", "adapter.toml"].contains(&name.as_str())
        });
        found.sort();
        found
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slm-tune"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("HF_HUB_OFFLINE")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Exit code, stdout and stderr as one text.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        shown(&self.command(arguments).output().unwrap())
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> String {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        shown(&child.wait_with_output().unwrap())
    }

    /// A command that tells events, stopped with a signal after the first line that holds `until`. Shows how it ended.
    #[cfg(unix)]
    pub(crate) fn stopped(&self, arguments: &[&str], signal: &str, until: &str) -> String {
        let mut command = self.command(arguments);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let found = lines.find(|line| line.as_ref().unwrap().contains(until));
        assert!(found.is_some(), "it ended without `{until}`");
        let id = child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.unwrap().success());
        let last = lines.map(Result::unwrap).last().unwrap_or_default();
        assert!(!last.contains("\"event\":\"end\""), "it was not stopped");
        shown(&child.wait_with_output().unwrap())
    }

    /// What a shell script shows that has a file system of its own, `disk`, mounted with `options` in a user namespace; `$TUNE` is
    /// the binary. None where that is not allowed.
    #[cfg(target_os = "linux")]
    pub(crate) fn with_disk(&self, options: &str, script: &str) -> Option<String> {
        fs_err::create_dir_all(self.path("disk")).unwrap();
        let script = format!("mount -t tmpfs -o {options} tmpfs disk || exit 99\n{script}");
        let output = Command::new("unshare")
            .args(["-rm", "sh", "-c", &script])
            .current_dir(self.folder.path())
            .env("TUNE", env!("CARGO_BIN_EXE_slm-tune"))
            .output()
            .ok()?;
        matches!(output.status.code(), Some(0..=6)).then(|| shown(&output))
    }

    /// Stdout of a command that has to succeed.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}\n{}", shown(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let text = self.succeeds(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// Exit code, stdout and stderr as one text.
pub(crate) fn shown(output: &Output) -> String {
    let mut text = format!("exit code: {}\n", output.status.code().unwrap_or(-1));
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if !bytes.is_empty() {
            let _ = write!(
                text,
                "----- {name} -----\n{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
    text
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy();
            found.push(name.replace('\\', "/"));
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs_err::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Compares exit code, stdout and stderr with an inline snapshot. Left out are times and speeds, and figures whose last digits
/// depend on the processor.
macro_rules! assert_shown {
    ($shown:expr, @$snapshot:literal) => {
        insta::with_settings!({
            filters => vec![
                (r"in [\d.]+s", "in [time]"),
                (r"[\d,]+ tokens/s", "[speed] tokens/s"),
                (r"[\d.]+s left", "[time] left"),
                (r"(within|KL) [\d.]+e-?\d+", "$1 [figure]"),
                (r"(loss|entropy|gradient) \d+\.\d{4}", "$1 [figure]"),
                (r"(accuracy|right) [\d.]+ %", "$1 [share]"),
                (r"margin -?\d+\.\d{4}", "margin [figure]"),
                (r"report.html( +)[\d.]+ KB", "report.html$1[size]"),
                (r"slm-tune \d+\.\d+\.\d+", "slm-tune [version]"),
                // Of a teacher that was trained, whose last bits are the processor's.
                (r"cache/[0-9a-f]{16}", "cache/[key]"),
            ],
        }, { insta::assert_snapshot!($shown, @$snapshot) });
    };
}
pub(crate) use assert_shown;
