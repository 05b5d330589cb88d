//! How a kernel is asked for.

use tch::{Kind, Tensor};

use super::Gpu;

/// What a kernel is given, in the low bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Argument(u64);

impl From<&Tensor> for Argument {
    /// Its memory. Whoever launches answers for shape, strides and kind.
    fn from(x: &Tensor) -> Self {
        Self(x.data_ptr() as u64)
    }
}

impl From<i32> for Argument {
    fn from(x: i32) -> Self {
        Self(u64::from(x as u32))
    }
}

impl From<i64> for Argument {
    fn from(x: i64) -> Self {
        Self(x as u64)
    }
}

impl From<f64> for Argument {
    /// As an f32.
    fn from(x: f64) -> Self {
        Self(u64::from((x as f32).to_bits()))
    }
}

/// Blocks, and threads of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Launch {
    blocks: [u32; 2],
    threads: u32,
}

impl Launch {
    /// Most threads of a block, which is what every device has.
    const MOST: i64 = 1024;

    /// A block a row of `n` values, of which a thread reads `width` at once.
    pub(crate) fn block_per_row(rows: i64, n: i64, width: i64) -> Self {
        let threads = (n / width).clamp(32, Self::MOST) as u32;
        Self {
            blocks: [rows as u32, 1],
            threads: threads.next_multiple_of(32),
        }
    }

    /// A thread for each `width` values of a row.
    pub(crate) fn thread_per_pack(rows: i64, n: i64, width: i64) -> Self {
        const THREADS: i64 = 256;
        let packs = (n + width - 1) / width;
        let threads = packs.min(THREADS);
        Self {
            blocks: [rows as u32, ((packs + threads - 1) / threads) as u32],
            threads: (threads as u32).next_multiple_of(32),
        }
    }

    /// For `things` of `most` values at the most, which the threads of a row of blocks take in turn.
    pub(crate) fn for_each(things: usize, most: i64) -> Self {
        const THREADS: i64 = 256;
        const BLOCKS: i64 = 1024;
        Self {
            blocks: [
                ((most + THREADS - 1) / THREADS).clamp(1, BLOCKS) as u32,
                things as u32,
            ],
            threads: THREADS as u32,
        }
    }

    /// So many threads.
    pub(crate) fn threads(n: i64) -> Self {
        const THREADS: i64 = 256;
        Self {
            blocks: [((n + THREADS - 1) / THREADS) as u32, 1],
            threads: THREADS as u32,
        }
    }

    /// Asks for `kernel`.
    ///
    /// # Panics
    /// The kernel cannot be compiled or launched: a mistake in it.
    pub(crate) fn run<const N: usize>(self, gpu: &Gpu, kernel: &str, arguments: [Argument; N]) {
        self.run_with(gpu, kernel, arguments);
    }

    /// The same of any number: the last parameter may be a struct of eight bytes each.
    pub(crate) fn run_with(
        self,
        gpu: &Gpu,
        kernel: &str,
        arguments: impl IntoIterator<Item = Argument>,
    ) {
        if self.blocks.contains(&0) {
            return;
        }
        let arguments: Vec<u64> = arguments.into_iter().map(|it| it.0).collect();
        if let Err(why) = gpu.launch(kernel, self.blocks, self.threads, &arguments) {
            panic!("a kernel failed: {why}");
        }
    }
}

/// The type's name in `kernels.cu`; `None` where it has none.
pub(crate) fn type_name(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Float => Some("float"),
        Kind::BFloat16 => Some("bf16"),
        Kind::Half => Some("f16"),
        _ => None,
    }
}

/// How many values a thread may read at once from tensors whose last dimension lies in one piece: 16 bytes, where every row begins
/// and `n` ends at such a border; else one.
pub(crate) fn width(n: i64, tensors: &[&Tensor]) -> i64 {
    let kind = tensors.first().map_or(Kind::Float, |x| x.kind());
    let width = 16 / kind.elt_size_in_bytes() as i64;
    let fits = |x: &&Tensor| {
        let strides = x.stride();
        let rows = &strides[..strides.len().saturating_sub(1)];
        (x.data_ptr() as usize).is_multiple_of(16)
            && x.kind() == kind
            && rows.iter().all(|s| s % width == 0)
    };
    match n % width == 0 && tensors.iter().all(fits) {
        true => width,
        false => 1,
    }
}

/// `x` as rows of its last dimension, which lies in one piece, and how far apart they are: without a copy where that is so already.
pub(crate) fn rows_of(x: &Tensor) -> (Tensor, i64) {
    let n = x.size().last().copied().unwrap_or(1);
    if x.dim() == 2 && x.stride()[1] == 1 {
        return (x.shallow_clone(), x.stride()[0]);
    }
    let x = x.contiguous().view((-1, n));
    (x, n)
}
