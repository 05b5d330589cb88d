//! A place in bytes that nobody has checked yet.

use crate::GgufError;

/// Reads little-endian fields from bytes that may end anywhere and say anything.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The offset of the next byte from the start of the file.
    pub(crate) fn at(&self) -> u64 {
        self.at as u64
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    /// The next `n_bytes` bytes, which belong to `what`.
    pub(crate) fn take(&mut self, n_bytes: u64, what: &'static str) -> Result<&'a [u8], GgufError> {
        self.ensure(n_bytes, what)?;
        // No more than what is left, so it fits usize.
        let taken = &self.bytes[self.at..][..n_bytes as usize];
        self.at += taken.len();
        Ok(taken)
    }

    /// Errors unless `n_bytes` bytes are left.
    fn ensure(&self, n_bytes: u64, what: &'static str) -> Result<(), GgufError> {
        if n_bytes > self.left() {
            return Err(GgufError::Truncated {
                what,
                at: self.at(),
                needed: n_bytes,
                available: self.left(),
            });
        }
        Ok(())
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], GgufError> {
        let mut field = [0; N];
        field.copy_from_slice(self.take(N as u64, what)?);
        Ok(field)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A count of things that take at least `min_bytes` each: no larger than what is left can hold, so that room for them
    /// can be made before they are read.
    pub(crate) fn count(&mut self, min_bytes: u64, what: &'static str) -> Result<usize, GgufError> {
        let count = self.u64(what)?;
        self.ensure(count.saturating_mul(min_bytes), what)?;
        Ok(count as usize)
    }

    /// A string: its length in bytes, then UTF-8.
    pub(crate) fn string(&mut self, what: &'static str) -> Result<&'a str, GgufError> {
        let n_bytes = self.u64(what)?;
        let at = self.at();
        std::str::from_utf8(self.take(n_bytes, what)?).map_err(|error| GgufError::NotUtf8 {
            at: at + error.valid_up_to() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_what_is_missing_is_named() {
        let mut cursor = Cursor::new(&[1, 0, 0, 0, 9]);
        assert_eq!(cursor.u32("a version").unwrap(), 1);
        let error = cursor.u64("a count").unwrap_err();
        assert_eq!(
            error.to_string(),
            "ends inside a count: 8 bytes needed at byte 4, 1 left"
        );
    }

    #[test]
    fn a_count_cannot_promise_more_than_the_file_holds() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        bytes.extend([0; 16]);
        assert!(matches!(
            Cursor::new(&bytes).count(8, "an array"),
            Err(GgufError::Truncated { .. })
        ));
    }

    #[test]
    fn the_first_wrong_byte_of_a_string_is_named() {
        let mut bytes = 3u64.to_le_bytes().to_vec();
        bytes.extend([b'a', 0xff, b'b']);
        assert!(matches!(
            Cursor::new(&bytes).string("a key"),
            Err(GgufError::NotUtf8 { at: 9 })
        ));
    }
}
