use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};

use super::Scratch;
use crate::error::DataError;

/// Lists of numbers that are put away and read again in any order.
pub(crate) struct Shelf {
    scratch: Scratch,
    held: Vec<u64>,
    /// What no longer fit, and how many numbers it has.
    file: Option<(BufWriter<File>, usize)>,
}

/// Where a list lies on a [`Shelf`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    start: usize,
    len: usize,
}

impl Shelf {
    pub(crate) fn new(scratch: &Scratch) -> Self {
        Self {
            scratch: scratch.clone(),
            held: Vec::new(),
            file: None,
        }
    }

    pub(crate) fn put(&mut self, list: &[u64]) -> Result<Slot, DataError> {
        let held = self.held.len();
        let len = list.len();
        if self.file.is_none() && (held + len) * size_of::<u64>() <= self.scratch.held_bytes {
            self.held.extend_from_slice(list);
            return Ok(Slot { start: held, len });
        }
        let (file, written) = match &mut self.file {
            Some(file) => file,
            none => none.insert((BufWriter::new(self.scratch.file()?), 0)),
        };
        for number in list {
            file.write_all(&number.to_le_bytes())
                .map_err(|error| self.scratch.failed(error))?;
        }
        let start = held + *written;
        *written += len;
        Ok(Slot { start, len })
    }

    pub(crate) fn get(&mut self, slot: Slot) -> Result<Vec<u64>, DataError> {
        let Slot { start, len } = slot;
        let held = self.held.len();
        match &mut self.file {
            Some((file, _)) if start >= held => {
                let read = read(file, start - held, len);
                read.map_err(|error| self.scratch.failed(error))
            }
            _ => Ok(self.held[start..start + len].to_vec()),
        }
    }
}

fn read(file: &mut BufWriter<File>, start: usize, len: usize) -> std::io::Result<Vec<u64>> {
    const WIDTH: usize = size_of::<u64>();
    // A seek writes what is buffered first.
    file.seek(SeekFrom::Start((start * WIDTH) as u64))?;
    let mut bytes = vec![0; len * WIDTH];
    file.get_mut().read_exact(&mut bytes)?;
    file.seek(SeekFrom::End(0))?;
    let numbers = bytes.as_chunks::<WIDTH>().0.iter();
    Ok(numbers.map(|bytes| u64::from_le_bytes(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_from_memory_and_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::new(&Scratch::new(folder.path(), 40));
        let lists: Vec<Vec<u64>> = (0..9)
            .map(|n| (0..n).map(|i| n * 100 + i).collect())
            .collect();
        let slots: Vec<Slot> = lists.iter().map(|list| shelf.put(list).unwrap()).collect();
        for (slot, list) in slots.iter().zip(&lists).rev() {
            assert_eq!(shelf.get(*slot).unwrap(), *list);
        }
        let more = shelf.put(&[7; 5]).unwrap();
        assert_eq!(shelf.get(more).unwrap(), [7; 5]);
        assert_eq!(shelf.get(slots[2]).unwrap(), lists[2]);
    }
}
