//! The run directory: what is in it, how it gets there whole, and what a stage tells while it works.

mod atomic_dir;
mod atomic_file;
mod digest;
mod error;
mod event;
mod lock;
mod metrics;
mod record;
mod run_dir;
mod tensorboard;

pub use atomic_dir::AtomicDir;
pub use atomic_file::{AtomicFile, is_partial, write_file_atomic};
pub use digest::{
    digest_dir, files_below, sha256_bytes, sha256_file, sha256_file_with, sha256_json, sha256_path,
};
pub use error::RunError;
pub use event::{Emit, Event, Rewards, StageStatus, TaskMetric, Taught};
pub use metrics::{MetricsLog, read_metrics};
pub use record::{FORMAT_VERSION, RunRecord, StageRecord};
pub use run_dir::{ListedRun, RunDir, list_runs};
pub use tensorboard::TensorBoardLog;
