//! What is too large to be kept in memory while rows are compared, in temporary files that nothing else sees.

mod shelf;

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub(crate) use self::shelf::{Shelf, Slot};
use crate::error::DataError;

/// Files that records go to, by the first byte of each.
const PARTITIONS: usize = 256;
/// Records that there is room for at first.
const FIRST: usize = 1 << 10;

/// Where temporary files are made, and from how many bytes on.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    held_bytes: usize,
}

impl Scratch {
    pub(crate) fn new(folder: &Path, held_bytes: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            held_bytes,
        }
    }

    /// A file without a name: it is gone with the process.
    fn file(&self) -> Result<File, DataError> {
        tempfile::tempfile_in(&self.folder).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: std::io::Error) -> DataError {
        DataError::Write {
            source: slm_run::RunError::io(&self.folder, error),
        }
    }
}

/// What takes a group of records.
type TakeGroup<'a, const N: usize> = &'a mut dyn FnMut(&[[u8; N]]) -> Result<(), DataError>;

/// Records of `N` bytes, to be looked through in order. Their first bytes should be those of a hash, so that the files are about equal.
pub(crate) struct Spill<const N: usize> {
    scratch: Scratch,
    held: Vec<[u8; N]>,
    files: Vec<BufWriter<File>>,
}

impl<const N: usize> Spill<N> {
    pub(crate) fn new(scratch: &Scratch) -> Self {
        Self {
            scratch: scratch.clone(),
            held: Vec::new(),
            files: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, record: [u8; N]) -> Result<(), DataError> {
        let held = self.held.len();
        if held == self.held.capacity() {
            // Twice as much would be more than it may take.
            let most = self.scratch.held_bytes.div_ceil(N).max(1);
            self.held
                .reserve_exact(held.max(FIRST).min(most.saturating_sub(held)));
        }
        self.held.push(record);
        match self.held.len() * N >= self.scratch.held_bytes {
            true => self.write(),
            false => Ok(()),
        }
    }

    /// Moves what is held to the files.
    fn write(&mut self) -> Result<(), DataError> {
        while self.files.len() < PARTITIONS {
            self.files.push(BufWriter::new(self.scratch.file()?));
        }
        for record in self.held.drain(..) {
            let file = &mut self.files[usize::from(record[0])];
            file.write_all(&record)
                .map_err(|error| self.scratch.failed(error))?;
        }
        Ok(())
    }

    /// Gives the records whose first `key` bytes are equal to `take`, in the order of their bytes; groups of one are left out.
    pub(crate) fn each_group(
        mut self,
        key: usize,
        take: TakeGroup<'_, N>,
    ) -> Result<(), DataError> {
        if self.files.is_empty() {
            return groups(std::mem::take(&mut self.held), key, take);
        }
        self.write()?;
        self.held = Vec::new();
        for file in std::mem::take(&mut self.files) {
            let records = records(file).map_err(|error| self.scratch.failed(error))?;
            groups(records, key, take)?;
        }
        Ok(())
    }
}

fn records<const N: usize>(file: BufWriter<File>) -> std::io::Result<Vec<[u8; N]>> {
    let mut file = file.into_inner().map_err(|error| error.into_error())?;
    let size_bytes = file.stream_position()? as usize;
    file.rewind()?;
    let (mut file, mut records) = (BufReader::new(file), Vec::with_capacity(size_bytes / N));
    let mut record = [0; N];
    for _ in 0..size_bytes / N {
        file.read_exact(&mut record)?;
        records.push(record);
    }
    Ok(records)
}

fn groups<const N: usize>(
    mut records: Vec<[u8; N]>,
    key: usize,
    take: TakeGroup<'_, N>,
) -> Result<(), DataError> {
    records.par_sort_unstable();
    let groups = records.chunk_by(|one, next| one[..key] == next[..key]);
    groups.filter(|group| group.len() > 1).try_for_each(take)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(held_bytes: usize, records: &[[u8; 3]]) -> Vec<Vec<[u8; 3]>> {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(folder.path(), held_bytes);
        let mut spill = Spill::new(&scratch);
        records
            .iter()
            .try_for_each(|record| spill.push(*record))
            .unwrap();
        let mut groups = Vec::new();
        let take = &mut |group: &[[u8; 3]]| {
            groups.push(group.to_vec());
            Ok(())
        };
        spill.each_group(2, take).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        groups
    }

    proptest! {
        #[test]
        fn files_give_what_memory_gives(records: Vec<[u8; 3]>) {
            let records: Vec<[u8; 3]> = records.into_iter().map(|[a, b, c]| [a % 4, b % 4, c]).collect();
            let groups = found(usize::MAX, &records);
            prop_assert_eq!(&groups, &found(10, &records));
            // Each record whose key another has, and no other.
            let alone = |record: &&[u8; 3]| {
                records.iter().filter(|other| other[..2] == record[..2]).count() == 1
            };
            let together = records.len() - records.iter().filter(alone).count();
            prop_assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), together);
        }
    }
}
