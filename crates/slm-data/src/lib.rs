//! Rows to batches: read, split, encode, write as shards, and collate into plain integers.
//!
//! [`prepare`] turns the sources of a recipe into a folder of shards, [`Shards::open`] reads it back, [`batches`] plans the
//! batches of an epoch. Nothing here knows a tensor.

mod batch;
mod card;
mod clean;
mod content;
mod diff;
mod encode;
mod encoded_rows;
mod error;
mod example;
mod fold;
mod groups;
mod input_digest;
mod intake;
mod journal;
mod layout;
mod leak;
mod lineage;
mod manifest;
mod mapping;
mod mask_probe;
mod mask_proof;
mod mixture;
mod near;
mod origin;
mod outline;
mod output;
mod packing;
mod parts;
mod pass;
mod personal;
mod plan;
mod preference_batch;
mod prepare;
mod random;
mod reading;
mod records;
mod sample;
mod shard;
mod side;
mod side_writer;
mod source;
mod spill;
mod split;
mod stats;
mod survey;
mod targets;
mod teacher_cache;
mod template;
mod translation;
mod warnings;
mod worker_share;

pub use batch::{Batch, BatchOptions, Batches, batches, collate, collate_packed};
pub use card::{DataCard, PersonalFound, Statements, croissant, markdown};
pub use clean::{CLEANING, CleanRecord, CleanStep, CleanTotals, Effect, Like, PersonalTotals};
pub use content::{Content, Judged, TokenRow};
pub use diff::{ComparedRow, DataDiff, RowPair, SetCounts};
pub use error::{DataError, NeededBy};
pub use example::{Example, HeldOut, Prompt};
pub use fold::asked_rows;
pub use groups::{GroupedRow, Groups, RowGroup, RowText};
pub use input_digest::input_digest;
pub use intake::{SKIPPED, SkippedRow};
pub use leak::{Guarded, GuardedRow, GuardedRows, LEAKS, Leak, LeakKind, LeakTotals, TEST, whose};
pub use lineage::{Fate, Lineage, Placed, Wanted, lineages};
pub use manifest::{
    Dropped, FORMAT_VERSION, FileRecord, MANIFEST, MAX_TARGETS, Manifest, ShardRecord,
    SourceRecord, SplitRecord,
};
pub use mask_probe::Probe;
pub use mask_proof::{MaskProof, RoleTokens, SideProof};
pub use mixture::Share;
pub use origin::{Origin, Place};
pub use outline::{Outline, Outlined};
pub use personal::{Personal, PersonalKind, personal_data};
pub use preference_batch::{Pairing, PreferenceBatch, PreferenceBatches, preference_batches};
pub use prepare::{Preparation, prepare};
pub use reading::{held_out_rows, load_examples, training_rows, training_texts};
pub use records::leaks;
pub use sample::{Answer, Answers, Sample};
pub use shard::Shards;
pub use side::Side;
pub use source::{ObjectError, Row, Rows, read_rows};
pub use stats::{Bin, Lengths, SideStats, Stats};
pub use teacher_cache::{
    CacheError, CacheFolder, CacheKey, Completed, Said, TaughtRow, TeacherCache, rows_digest,
};
pub use translation::{Translated, TranslationError, Translator};
pub use worker_share::WorkerShare;
