//! Rows to batches: read, split, encode, write as shards, and collate into plain integers.
//!
//! [`prepare`] turns the sources of a recipe into a folder of shards, [`Shards::open`] reads it back, [`batches`] plans the
//! batches of an epoch. Nothing here knows a tensor.

mod batch;
mod clean;
mod content;
mod encode;
mod encoded_rows;
mod error;
mod example;
mod input_digest;
mod layout;
mod leak;
mod manifest;
mod mask_probe;
mod mask_proof;
mod mixture;
mod near;
mod origin;
mod packing;
mod personal;
mod preference_batch;
mod prepare;
mod random;
mod reading;
mod sample;
mod shard;
mod source;
mod split;
mod stats;
mod teacher_cache;
mod template;
mod warnings;

pub use batch::{Batch, BatchOptions, Batches, batches, collate, collate_packed};
pub use clean::{CLEANING, CleanRecord, CleanStep, CleanTotals, Effect, Like};
pub use content::{Content, Judged, TokenRow};
pub use error::{DataError, NeededBy};
pub use example::{Example, HeldOut, Prompt};
pub use input_digest::input_digest;
pub use leak::{Guarded, GuardedRow, GuardedRows, LEAKS, Leak, LeakKind, LeakTotals};
pub use manifest::{
    Dropped, FORMAT_VERSION, MANIFEST, MAX_TARGETS, Manifest, ShardRecord, Side, SourceRecord,
    SplitRecord,
};
pub use mask_probe::Probe;
pub use mask_proof::{MaskProof, RoleTokens, SideProof};
pub use mixture::Share;
pub use origin::{Origin, Place};
pub use personal::{Personal, PersonalKind, personal_data};
pub use preference_batch::{Pairing, PreferenceBatch, PreferenceBatches, preference_batches};
pub use prepare::prepare;
pub use reading::{load_examples, training_rows, training_texts};
pub use sample::{Answer, Answers, Sample};
pub use shard::Shards;
pub use source::{Row, Rows, read_rows};
pub use stats::{Bin, Lengths, SideStats, Stats};
pub use teacher_cache::{
    CacheError, CacheFolder, CacheKey, Completed, Said, TaughtRow, TeacherCache, rows_digest,
};
