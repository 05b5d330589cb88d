//! The bytes of a file, unpacked while they are read.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;
use fs_err::File;

use super::kind::Packing;
use super::object::local;
use crate::error::DataError;

/// Bytes read at once.
const BLOCK_BYTES: usize = 1 << 18;

/// How much a packed file may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes in all.
    bytes: u64,
    /// Times its size, looked at from `free` bytes on.
    ratio: u64,
    free: u64,
}

/// Text packs 3 to 20 times, logs up to about 100; gzip's most is 1032, zstd's is far higher. One TiB is twenty times the
/// largest set of rows that this is made for.
const LIMITS: Limits = Limits {
    bytes: 1 << 40,
    ratio: 250,
    free: 64 << 20,
};

/// The bytes of a file, without a byte order mark.
pub(super) type Bytes = BufReader<io::Chain<io::Cursor<Vec<u8>>, Unpacked>>;

/// Opens a file and begins to unpack it.
pub(super) fn open(path: &str, packing: Packing) -> Result<Bytes, DataError> {
    let mut unpacked = Unpacked::open(path, packing, LIMITS)?;
    let mut start = Vec::new();
    let begun = (&mut unpacked).take(3).read_to_end(&mut start);
    begun.map_err(|error| failed(path, error))?;
    if start == b"\xef\xbb\xbf" {
        start.clear();
    }
    let bytes = io::Cursor::new(start).chain(unpacked);
    Ok(BufReader::with_capacity(BLOCK_BYTES, bytes))
}

/// Unpacks a file into a temporary one, for formats that are not read from front to back.
pub(super) fn spool(path: &str, packing: Packing) -> Result<std::fs::File, DataError> {
    let file = File::open(local(path)).map_err(|source| DataError::Io { source })?;
    if packing == Packing::None {
        return Ok(file.into_parts().0);
    }
    let mut unpacked = Unpacked::open(path, packing, LIMITS)?;
    let mut spooled = tempfile::tempfile().map_err(|source| DataError::Io { source })?;
    io::copy(&mut unpacked, &mut spooled).map_err(|error| failed(path, error))?;
    io::Seek::rewind(&mut spooled).map_err(|source| DataError::Io { source })?;
    Ok(spooled)
}

/// What an error of reading says of a file.
pub(super) fn failed(path: &str, error: io::Error) -> DataError {
    let path = path.to_owned();
    if let Some(bomb) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Bomb>())
    {
        let reason = bomb.to_string();
        return DataError::Bomb { path, reason };
    }
    match error.raw_os_error() {
        Some(_) => DataError::Io { source: error },
        None => DataError::Unpack {
            path,
            reason: error.to_string(),
        },
    }
}

/// A packed file that becomes more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bomb {
    packed: u64,
    unpacked: u64,
    limits: (u64, u64),
}

impl std::error::Error for Bomb {}

impl fmt::Display for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, ratio) = self.limits;
        let Self {
            packed, unpacked, ..
        } = self;
        match unpacked > &bytes {
            true => write!(f, "more than {bytes} bytes come out of it"),
            false => write!(
                f,
                "its first {packed} bytes became {unpacked}, more than {ratio} times as many"
            ),
        }
    }
}

/// Unpacks and counts.
pub(super) struct Unpacked {
    bytes: Decoder,
    unpacked: u64,
    limits: Limits,
}

enum Decoder {
    None(Counted),
    Gzip(MultiGzDecoder<Counted>),
    Zstd(zstd::Decoder<'static, BufReader<Counted>>),
}

/// A file that tells how much of it was read.
struct Counted {
    file: File,
    read: u64,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(into)?;
        self.read += count as u64;
        Ok(count)
    }
}

impl Unpacked {
    fn open(path: &str, packing: Packing, limits: Limits) -> Result<Self, DataError> {
        let file = File::open(local(path)).map_err(|source| DataError::Io { source })?;
        let counted = Counted { file, read: 0 };
        let bytes = match packing {
            Packing::None => Decoder::None(counted),
            Packing::Gzip => Decoder::Gzip(MultiGzDecoder::new(counted)),
            // The decoder refuses windows of more than 128 MiB by itself.
            Packing::Zstd => {
                let decoder = zstd::Decoder::new(counted);
                Decoder::Zstd(decoder.map_err(|error| failed(path, error))?)
            }
        };
        Ok(Self {
            bytes,
            unpacked: 0,
            limits,
        })
    }

    /// Bytes of the file that were read.
    fn packed(&self) -> u64 {
        match &self.bytes {
            Decoder::None(file) => file.read,
            Decoder::Gzip(bytes) => bytes.get_ref().read,
            Decoder::Zstd(bytes) => bytes.get_ref().get_ref().read,
        }
    }

    fn check(&self) -> io::Result<()> {
        let (packed, unpacked) = (self.packed(), self.unpacked);
        let Limits { bytes, ratio, free } = self.limits;
        let too_many_times = unpacked > free && unpacked > packed.saturating_mul(ratio);
        match unpacked > bytes || too_many_times {
            true => Err(io::Error::other(Bomb {
                packed,
                unpacked,
                limits: (bytes, ratio),
            })),
            false => Ok(()),
        }
    }
}

impl Read for Unpacked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.bytes {
            Decoder::None(bytes) => return bytes.read(into),
            Decoder::Gzip(bytes) => bytes.read(into)?,
            Decoder::Zstd(bytes) => bytes.read(into)?,
        };
        self.unpacked += count as u64;
        self.check()?;
        Ok(count)
    }
}

/// One line without its end; none at the end of the bytes. Of a line over `most` bytes, only the first are kept, and true is given.
pub(super) fn read_line(
    bytes: &mut impl BufRead,
    most: usize,
) -> io::Result<Option<(Vec<u8>, bool)>> {
    let mut line = Vec::new();
    let (mut any, mut too_long) = (false, false);
    loop {
        let block = bytes.fill_buf()?;
        if block.is_empty() {
            break;
        }
        any = true;
        let end = memchr::memchr(b'\n', block);
        let part = &block[..end.unwrap_or(block.len())];
        let room = most - line.len();
        too_long |= part.len() > room;
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        bytes.consume(used);
        if end.is_some() {
            if line.last() == Some(&b'\r') && !too_long {
                line.pop();
            }
            break;
        }
    }
    Ok(any.then_some((line, too_long)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_are_those_of_str_and_long_ones_are_cut() {
        for text in ["", "a", "a\n", "a\r\n\nb\r", "\n\n", "a\r\r\nb"] {
            let mut bytes = BufReader::with_capacity(2, text.as_bytes());
            let mut lines = Vec::new();
            while let Some((line, false)) = read_line(&mut bytes, 10).unwrap() {
                lines.push(String::from_utf8(line).unwrap());
            }
            assert_eq!(lines, text.lines().collect::<Vec<_>>(), "{text:?}");
        }
        let mut bytes = BufReader::with_capacity(3, "0123456789\nnext".as_bytes());
        let mut line = || read_line(&mut bytes, 5).unwrap();
        assert_eq!(line(), Some((b"01234".to_vec(), true)));
        assert_eq!(line(), Some((b"next".to_vec(), false)));
        assert_eq!(line(), None);
    }

    #[test]
    fn a_packed_file_may_not_become_too_much() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gz");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&vec![b'a'; 1 << 20]).unwrap();
        fs_err::write(&path, packed.finish().unwrap()).unwrap();
        let read = |limits| {
            let path = path.to_str().unwrap();
            let mut unpacked = Unpacked::open(path, Packing::Gzip, limits).unwrap();
            let read = io::copy(&mut unpacked, &mut io::sink());
            read.map_err(|error| failed("a.gz", error).to_string())
        };
        let limits = |bytes, ratio, free| Limits { bytes, ratio, free };
        assert_eq!(read(limits(1 << 20, 2000, 0)), Ok(1 << 20));
        assert_eq!(read(limits(1 << 20, 250, 1 << 20)), Ok(1 << 20));
        let error = read(limits((1 << 20) - 1, 2000, 0)).unwrap_err();
        let needed =
            "data file `a.gz` unpacks to more than it may: more than 1048575 bytes come out of it";
        assert_eq!(error, needed);
        let error = read(limits(1 << 20, 250, 1 << 19)).unwrap_err();
        assert!(error.ends_with("more than 250 times as many"), "{error}");
    }
}
