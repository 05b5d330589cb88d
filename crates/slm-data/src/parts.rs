//! Parts of a data set that several workers prepared, and the whole that they become.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use slm_run::{AtomicDir, Emit, RunError, write_file_atomic};
use xxhash_rust::xxh3::xxh3_64;

use crate::clean::CLEANING;
use crate::error::DataError;
use crate::intake::{SKIPPED, SkippedRow};
use crate::leak::LEAKS;
use crate::manifest::{MANIFEST, MAX_TARGETS, Manifest, ShardRecord, SourceRecord, SplitRecord};
use crate::mask_proof::{PROBES, SideProof};
use crate::prepare::Preparation;
use crate::records::{Records, each_record};
use crate::side::Side;
use crate::side_writer::file_name;
use crate::warnings::warn;
use crate::worker_share::WorkerShare;

/// Hashes of the targets of a part that has too many to be labels, 8 bytes each.
const TARGETS: &str = "targets.bin";

impl Preparation<'_> {
    /// Prepares a worker's part of the rows in a folder below `parts`. Every worker reads all rows, since which of them stay depends on
    /// the others; it encodes its own.
    ///
    /// # Errors
    /// As for [`Preparation::write`].
    pub fn write_part(
        &self,
        parts: &Path,
        share: WorkerShare,
        emit: Emit<'_>,
    ) -> Result<Manifest, DataError> {
        fs_err::create_dir_all(parts).map_err(|source| DataError::Io { source })?;
        self.write_share(&folder_of(parts, share), share, emit)
    }

    /// Puts the parts of all workers together as they would be had one worker prepared all rows, but for where one shard ends and the
    /// next begins.
    ///
    /// # Errors
    /// When a part is missing, or was made of other rows, by another tokenizer or other keys.
    pub fn merge(&self, parts: &Path, out: &Path, emit: Emit<'_>) -> Result<Manifest, DataError> {
        let of = workers(parts)?;
        let digest = self.digest()?;
        let (mut folders, mut missing) = (Vec::new(), Vec::new());
        for share in WorkerShare::all(of) {
            let folder = folder_of(parts, share);
            match folder.join(MANIFEST).is_file() {
                true => folders.push((share, folder)),
                false => missing.push(share.to_string()),
            }
        }
        if !missing.is_empty() {
            return Err(DataError::MissingParts {
                path: parts.display().to_string(),
                missing,
                of,
            });
        }
        let mut read = Vec::with_capacity(of);
        for (share, folder) in folders {
            let manifest = Manifest::read(&folder)?;
            if manifest.input_digest != part_digest(&digest, share) {
                let path = folder.display().to_string();
                return Err(DataError::OtherPart { path });
            }
            read.push((folder, manifest));
        }
        let written = |source| DataError::Write { source };
        let whole = AtomicDir::new(out).map_err(written)?;
        let manifest = merged(&read, digest, whole.path())?;
        let text = serde_json::to_string_pretty(&manifest).unwrap_or_default() + "\n";
        write_file_atomic(whole.path().join(MANIFEST), text.as_bytes()).map_err(written)?;
        whole.commit().map_err(written)?;
        warn(self.section, &manifest, emit);
        Ok(manifest)
    }
}

/// The digest of what a part depends on.
pub(crate) fn part_digest(digest: &str, share: WorkerShare) -> String {
    match share {
        WorkerShare::ALL => digest.to_owned(),
        share => format!("{digest} {share}"),
    }
}

/// Keeps hashes of the targets of a part beside it, where they are too many to be in its manifest.
pub(crate) fn write_targets(folder: &Path, hashes: &HashSet<u64>) -> Result<(), RunError> {
    let mut hashes: Vec<u64> = hashes.iter().copied().collect();
    hashes.sort_unstable();
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
    write_file_atomic(folder.join(TARGETS), &bytes)
}

fn folder_of(parts: &Path, share: WorkerShare) -> PathBuf {
    parts.join(format!("part-{}-of-{}", share.nth + 1, share.of))
}

/// How many workers the parts are of.
fn workers(parts: &Path) -> Result<usize, DataError> {
    let mut of = BTreeSet::new();
    let entries = fs_err::read_dir(parts).map_err(|source| DataError::Io { source })?;
    for entry in entries {
        let entry = entry.map_err(|source| DataError::Io { source })?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let numbers = name
            .strip_prefix("part-")
            .and_then(|it| it.split_once("-of-"));
        of.extend(numbers.and_then(|(_, of)| of.parse::<usize>().ok()));
    }
    match (of.first(), of.len()) {
        (Some(of), 1) => Ok(*of),
        _ => Err(DataError::NoParts {
            path: parts.display().to_string(),
            of: of.into_iter().collect(),
        }),
    }
}

fn merged(
    parts: &[(PathBuf, Manifest)],
    input_digest: String,
    out: &Path,
) -> Result<Manifest, DataError> {
    let io = |source| DataError::Io { source };
    let (first_folder, first) = &parts[0];
    // What was done to rows, and found in them, is the same for all workers.
    for name in [CLEANING, LEAKS] {
        fs_err::copy(first_folder.join(name), out.join(name)).map_err(io)?;
    }
    let mut whole = Manifest {
        input_digest,
        sources: sources(parts, out)?,
        train: SplitRecord::default(),
        validation: SplitRecord::default(),
        test: SplitRecord::default(),
        shards: Vec::new(),
        ..first.clone()
    };
    for side in Side::ALL {
        *whole.mask.side_mut(side) = SideProof::default();
    }
    whole.mask.probes.clear();
    for (folder, part) in parts {
        for side in Side::ALL {
            whole.side_mut(side).add(part.side(side));
            whole.mask.side_mut(side).add(part.mask.side(side));
        }
        for probe in &part.mask.probes {
            let file = |origin: &str| origin.rsplit_once([':', ' ']).map(|it| it.0.to_owned());
            let mut known = whole.mask.probes.iter();
            let is_new = !known.any(|it| file(&it.origin) == file(&probe.origin));
            if is_new && whole.mask.probes.len() < PROBES {
                whole.mask.probes.push(probe.clone());
            }
        }
        for shard in &part.shards {
            let of_side = whole.shards.iter().filter(|known| known.side == shard.side);
            let file = file_name(shard.side, of_side.count());
            take(&folder.join(&shard.file), &out.join(&file))?;
            let shard = shard.clone();
            whole.shards.push(ShardRecord { file, ..shard });
        }
    }
    whole.shards.sort_by_key(|shard| shard.side);
    (whole.targets, whole.distinct_targets) = targets(parts)?;
    if whole.train.rows == 0 {
        return Err(DataError::NoTrainingRows {
            rows: whole.sides().map(|(_, side)| side.read).sum::<usize>() + whole.cleaned_out(),
            held_out: whole.validation.read + whole.test.read,
            dropped: whole.cleaned_out() + whole.left_out(),
        });
    }
    Ok(whole)
}

/// The sources with all rows that any worker skipped.
fn sources(parts: &[(PathBuf, Manifest)], out: &Path) -> Result<Vec<SourceRecord>, DataError> {
    let mut sources = parts[0].1.sources.clone();
    if !parts[0].0.join(SKIPPED).is_file() {
        return Ok(sources);
    }
    let mut skipped: BTreeMap<usize, SkippedRow> = BTreeMap::new();
    for (folder, _) in parts {
        each_record(folder, SKIPPED, &mut |row: SkippedRow| {
            skipped.insert(row.row, row);
        })?;
    }
    let mut first_row = 0;
    for source in &mut sources {
        let rows = first_row..first_row + source.rows;
        first_row = rows.end;
        source.skipped = skipped.range(rows).count();
    }
    Records::write_all(&out.join(SKIPPED), skipped.values())?;
    Ok(sources)
}

/// What the rows of all parts should say, and how many that are.
fn targets(parts: &[(PathBuf, Manifest)]) -> Result<(BTreeMap<String, usize>, usize), DataError> {
    let (mut counts, mut hashes) = (BTreeMap::new(), HashSet::new());
    for (folder, part) in parts {
        for (target, count) in &part.targets {
            *counts.entry(target.clone()).or_default() += count;
            hashes.insert(xxh3_64(target.as_bytes()));
        }
        if part.distinct_targets > part.targets.len() {
            let bytes = fs_err::read(folder.join(TARGETS));
            let bytes = bytes.map_err(|source| DataError::Io { source })?;
            let all = bytes.as_chunks::<8>().0.iter();
            hashes.extend(all.map(|hash| u64::from_le_bytes(*hash)));
        }
    }
    if hashes.len() > MAX_TARGETS {
        counts.clear();
    }
    Ok((counts, hashes.len()))
}

/// Puts a file of a part into the whole: another name for it where the file system can, else a copy.
fn take(from: &Path, to: &Path) -> Result<(), DataError> {
    let linked = fs_err::hard_link(from, to);
    linked
        .or_else(|_| fs_err::copy(from, to).map(|_| ()))
        .map_err(|source| DataError::Io { source })
}
