//! A file in memory, without reading it first. Beside what products read, the only unsafe code of this crate.

use std::path::Path;

use crate::GgufError;

/// Maps the file at `path`, read-only.
#[expect(
    unsafe_code,
    reason = "mapping a file is unsafe: somebody else may change it"
)]
pub(crate) fn map(path: &Path) -> Result<memmap2::Mmap, GgufError> {
    let open = |source| GgufError::Open {
        path: path.to_path_buf(),
        source,
    };
    let file = fs_err::File::open(path).map_err(open)?;
    // SAFETY: the bytes are shared with the file. A process that shortens it while we read stops this one with a signal, and
    // one that writes into it changes what we read; both need somebody to change a model file in place, and bytes that change
    // are only ever copied, checked against nothing, and turned into numbers, for which every bit pattern is valid. Text and
    // sizes are copied out and checked once, in `Header::parse`.
    unsafe { memmap2::Mmap::map(file.file()) }.map_err(open)
}
