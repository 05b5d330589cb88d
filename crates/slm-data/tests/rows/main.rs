//! From files to shards and batches, through the public interface.
//!
//! - `accounted`: every row is somewhere, changes are told, order and threads do not matter
//! - `bench`: a folder of files, a tiny tokenizer, and a section over them
//! - `bad_rows`: every refusal with its message and its hint
//! - `formats`: what rows of each format and file type become
//! - `sources`: packed files, folders, patterns, and bad rows that are skipped
//! - `objects`: rows of stores, by their addresses, folders and patterns
//! - `preference`: rows with judged answers
//! - `clean`: what cleaning changes, leaves out and lists
//! - `leaks`: rows of tasks among the rows to learn from
//! - `personal`: personal data, measured and redacted
//! - `planted`: duplicates, leaks and personal data among real rows, and how many are found
//! - `resumed`: killed and gone on with
//! - `splits`: what is held out, sampled, left out and counted
//! - `folder`: what is on disk, read back, refused when damaged
//! - `looking`: what is told of prepared rows: lineage, card, differences, groups
//! - `mask`: what is learned, proven, refused and checked again
//! - `packed`: packed and unpacked batches teach the same
//! - `parts`: what several workers prepare is what one does
//! - `tokenized`: rows that are tokens already, and weights of files
//! - `shared_counts`: rows and tokens of public data sets, as others count them
//! - `shared_rows`: public data sets, where they are at hand

mod accounted;
mod bad_rows;
mod bench;
mod clean;
mod folder;
mod formats;
mod leaks;
mod looking;
mod mask;
mod objects;
mod packed;
mod parts;
mod personal;
mod planted;
mod preference;
mod resumed;
mod shared_counts;
mod shared_rows;
mod sources;
mod splits;
mod tokenized;
