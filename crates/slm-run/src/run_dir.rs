//! The run directory: everything that came out of one recipe.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::lock::{LOCK_FILE, RunLock};
use crate::metrics::read_metrics;
use crate::{
    Event, MetricsLog, RunError, RunRecord, StageRecord, StageStatus, sha256_bytes, sha256_path,
    write_file_atomic,
};

/// A folder with a `run.json`. Reading needs no lock; the first write takes it, and it is held until the value is dropped.
#[derive(Debug)]
pub struct RunDir {
    root: PathBuf,
    record: RunRecord,
    lock: Option<RunLock>,
    /// When the stages of this process began.
    clocks: BTreeMap<String, Instant>,
}

impl RunDir {
    /// Opens a run for writing; makes it if it is not there. What earlier stages wrote stays.
    ///
    /// # Errors
    /// When the folder holds something else, is in use, or cannot be written.
    pub fn create(root: impl AsRef<Path>) -> Result<Self, RunError> {
        let root = root.as_ref().to_path_buf();
        fs_err::create_dir_all(&root).map_err(|error| RunError::io(&root, error))?;
        let record_path = root.join("run.json");
        if !record_path.exists() && !is_empty(&root)? {
            return Err(RunError::NotARun { path: root });
        }
        let lock = Some(RunLock::take(&root)?);
        let record = if record_path.exists() {
            RunRecord::read(&record_path)?
        } else {
            let record = RunRecord::default();
            record.write(&record_path)?;
            record
        };
        Ok(Self {
            root,
            record,
            lock,
            clocks: BTreeMap::new(),
        })
    }

    /// Opens a run that is there.
    ///
    /// # Errors
    /// When it is not a run, or its `run.json` cannot be read.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, RunError> {
        let root = root.as_ref().to_path_buf();
        let record = match RunRecord::read(&root.join("run.json")) {
            Err(RunError::Missing { .. }) if root.exists() => {
                return Err(RunError::NotARun { path: root });
            }
            Err(RunError::Missing { .. }) => return Err(RunError::Missing { path: root }),
            result => result?,
        };
        Ok(Self {
            root,
            record,
            lock: None,
            clocks: BTreeMap::new(),
        })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the folder.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// The content of `run.json`.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Takes the lock now, for a verb that will write later.
    ///
    /// # Errors
    /// When another process writes into the folder, or the folder cannot be written.
    pub fn lock(&mut self) -> Result<(), RunError> {
        if self.lock.is_none() {
            self.lock = Some(RunLock::take(&self.root)?);
            // What another process wrote between our opening and our lock.
            self.record = RunRecord::read(&self.path("run.json"))?;
        }
        Ok(())
    }

    /// Writes the recipe as the user wrote it, and as it is in force.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_recipe(&mut self, written: &str, resolved: &str) -> Result<(), RunError> {
        self.lock()?;
        write_file_atomic(self.path("recipe.toml"), written.as_bytes())?;
        write_file_atomic(self.path("recipe.resolved.toml"), resolved.as_bytes())?;
        self.set_digest("recipe", sha256_bytes(resolved.as_bytes()))
    }

    /// Records the digest of something the run was made of: `recipe`, `base`, `data`.
    ///
    /// # Errors
    /// When `run.json` cannot be written.
    pub fn set_digest(&mut self, what: &str, digest: String) -> Result<(), RunError> {
        self.lock()?;
        self.record.digests.insert(what.into(), digest);
        self.save()
    }

    /// Whether a stage is done, from inputs with this digest, and all that it wrote is still as it wrote it.
    pub fn stage_is_current(&self, name: &str, input_digest: &str) -> bool {
        self.record.stages.get(name).is_some_and(|stage| {
            stage.status == StageStatus::Done
                && stage.input_digest == input_digest
                && stage.outputs.iter().all(|(path, digest)| {
                    sha256_path(self.path(path)).is_ok_and(|it| it == *digest)
                })
        })
    }

    /// Records that a stage began.
    ///
    /// # Errors
    /// When `run.json` cannot be written.
    pub fn start_stage(&mut self, name: &str, input_digest: &str) -> Result<(), RunError> {
        self.lock()?;
        self.clocks.insert(name.into(), Instant::now());
        self.record
            .stages
            .insert(name.into(), StageRecord::started(input_digest));
        self.save()
    }

    /// Records that a stage is done. `outputs` are files and folders as `path()` gives them, absolute, or below the run directory; their digests are
    /// computed here.
    ///
    /// # Errors
    /// When an output cannot be read, or `run.json` cannot be written.
    pub fn finish_stage(
        &mut self,
        name: &str,
        input_digest: &str,
        outputs: &[impl AsRef<Path>],
    ) -> Result<(), RunError> {
        let outputs = outputs
            .iter()
            .map(|output| self.digest_of(output.as_ref()))
            .collect::<Result<_, _>>()?;
        self.lock()?;
        let elapsed_s = self.elapsed_s(name);
        let stages = &mut self.record.stages;
        let stage = stages
            .entry(name.into())
            .or_insert_with(|| StageRecord::started(input_digest));
        stage.status = StageStatus::Done;
        stage.input_digest = input_digest.into();
        stage.outputs = outputs;
        stage.elapsed_s = elapsed_s;
        self.save()
    }

    /// Records that a stage that began ended without being done.
    ///
    /// # Errors
    /// When `run.json` cannot be written.
    pub fn stop_stage(&mut self, name: &str, status: StageStatus) -> Result<(), RunError> {
        self.lock()?;
        let elapsed_s = self.elapsed_s(name);
        if let Some(stage) = self.record.stages.get_mut(name) {
            stage.status = status;
            stage.elapsed_s = elapsed_s;
        }
        self.save()
    }

    /// The log of steps and evaluations, for appending.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn metrics_log(&mut self) -> Result<MetricsLog, RunError> {
        self.lock()?;
        MetricsLog::open(self.path("metrics.jsonl"))
    }

    /// The steps and evaluations so far.
    ///
    /// # Errors
    /// When the log cannot be read; a torn last line is no error.
    pub fn metrics(&self) -> Result<Vec<Event>, RunError> {
        read_metrics(self.path("metrics.jsonl"))
    }

    fn elapsed_s(&self, stage: &str) -> f64 {
        self.clocks
            .get(stage)
            .map_or(0.0, |clock| clock.elapsed().as_secs_f64())
    }

    fn digest_of(&self, output: &Path) -> Result<(String, String), RunError> {
        // What `path()` gave begins with the root, which may itself be relative.
        let below = output.strip_prefix(&self.root).unwrap_or(output);
        let digest = sha256_path(self.root.join(below))?;
        Ok((below.display().to_string(), digest))
    }

    fn save(&self) -> Result<(), RunError> {
        self.record.write(&self.path("run.json"))
    }
}

/// A run below a folder, with its `run.json` or why that cannot be read.
pub type ListedRun = (PathBuf, Result<RunRecord, RunError>);

/// The runs directly below a folder, by path.
///
/// # Errors
/// When the folder cannot be read. A folder that is not there has no runs.
pub fn list_runs(folder: impl AsRef<Path>) -> Result<Vec<ListedRun>, RunError> {
    let folder = folder.as_ref();
    let entries = match fs_err::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.map_err(|error| RunError::io(folder, error))?,
    };
    let mut runs = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| RunError::io(folder, error))?.path();
        let record = path.join("run.json");
        if record.exists() {
            runs.push((path, RunRecord::read(&record)));
        }
    }
    runs.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(runs)
}

fn is_empty(folder: &Path) -> Result<bool, RunError> {
    let failed = |error| RunError::io(folder, error);
    for entry in fs_err::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // What a process leaves that was killed before the first `run.json`.
        if name != LOCK_FILE && name != ".run.json.partial" {
            return Ok(false);
        }
    }
    Ok(true)
}
