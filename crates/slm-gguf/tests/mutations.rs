//! A hundred thousand headers that somebody tampered with: each is an error, or a file that holds what it says; none takes
//! long, and none takes more memory than a small multiple of its size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use slm_gguf::{
    Array, Header, ImportanceMatrix, Metadata, TensorSpec, TensorType, Value, Writer, keys,
};

const MUTATIONS: usize = 100_000;
/// Bytes in memory for each byte of a file, and some for what does not depend on it.
const MEMORY: (usize, usize) = (4, 4096);
/// No file of these takes longer: a loop without end does.
const LIMIT: Duration = Duration::from_secs(5);

/// Counts what this thread has allocated, and the most that it ever had at once.
struct Counting;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn count(more: usize, less: usize) {
    let now = NOW.get().wrapping_add(more).wrapping_sub(less);
    NOW.set(now);
    // What was allocated elsewhere and is freed here would wrap.
    if now < usize::MAX / 2 {
        PEAK.set(PEAK.get().max(now));
    }
}

#[expect(unsafe_code, reason = "an allocator is unsafe to implement")]
// SAFETY: everything is left to the system's allocator; the cells are plain numbers without destructors.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promises are those that `System` needs.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs it and returns the most bytes that were allocated at once while it ran.
fn peak(run: impl FnOnce()) -> usize {
    NOW.set(0);
    PEAK.set(0);
    run();
    PEAK.get()
}

/// SplitMix64.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// A number that is likely to matter: small, at an edge, or anything.
    fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => self.next() % 40,
            1 => (1u64 << self.below(64)).wrapping_sub(self.next() % 3),
            2 => u64::MAX - self.next() % 64,
            _ => self.next(),
        }
    }

    /// One to four changes: bytes, numbers, and pieces cut out, doubled, moved or cut off.
    fn mutate(&mut self, bytes: &mut Vec<u8>, header_len: usize) {
        for _ in 0..1 + self.below(4) {
            let end = header_len.min(bytes.len());
            let at = self.below(end);
            let len = self.below(24).min(end - at);
            match self.below(8) {
                0 | 1 => bytes[at] = self.next() as u8,
                2 => bytes[at] ^= 1 << self.below(8),
                3 | 4 => {
                    let number = self.number().to_le_bytes();
                    let width = [1, 2, 4, 8][self.below(4)].min(end - at);
                    bytes[at..at + width].copy_from_slice(&number[..width]);
                }
                5 => drop(bytes.drain(at..at + len)),
                6 => {
                    let piece = bytes[at..at + len].to_vec();
                    let to = self.below(end);
                    bytes.splice(to..to, piece);
                }
                _ => bytes.truncate(self.below(bytes.len()).max(at)),
            }
            if bytes.is_empty() {
                return;
            }
        }
    }
}

/// A file with something of everything, and how long its header is.
fn model() -> (Vec<u8>, usize) {
    let mut metadata = Metadata::new();
    metadata.set(&keys::general::ARCHITECTURE, "llama".to_string());
    metadata.set(&keys::general::QUANTIZATION_VERSION, 2);
    metadata.set(&keys::general::ALIGNMENT, 32);
    let tokens = (0..20).map(|id| format!("token {id}")).collect();
    metadata.set(&keys::tokenizer::TOKENS, tokens);
    metadata.set(&keys::tokenizer::SCORES, vec![0.5; 20]);
    let nested = Array::Array(vec![Array::Bool(vec![true]), Array::Array(vec![])]);
    metadata.insert("a.nested", Value::Array(nested));
    metadata.insert("a.float", Value::F64(1.5));
    let types = [TensorType::F32, TensorType::Q8_0, TensorType::Q4_K];
    let specs: Vec<_> = types
        .into_iter()
        .map(|tensor_type| TensorSpec::from_shape(format!("{tensor_type}"), &[2, 256], tensor_type))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let mut writer = Writer::create(&path, &metadata, specs.clone()).unwrap();
    for spec in &specs {
        writer.write_f32(&spec.name, &[0.5; 512]).unwrap();
    }
    writer.finish().unwrap();
    let bytes = std::fs::read(path).unwrap();
    let header = Header::parse(&bytes).unwrap();
    let header_len = header.tensors()[0].bytes().start as usize;
    (bytes, header_len)
}

#[test]
fn a_mutated_header_is_an_error_or_holds() {
    let (valid, header_len) = model();
    let (mut draw, mut n_errors, began) = (Draw(1), 0, Instant::now());
    for _ in 0..MUTATIONS {
        let mut bytes = valid.clone();
        draw.mutate(&mut bytes, header_len);
        let mut parsed = None;
        let (began, most) = (
            Instant::now(),
            peak(|| parsed = Some(Header::parse(&bytes))),
        );
        assert!(began.elapsed() < LIMIT, "{bytes:02x?}");
        assert!(
            most < MEMORY.0 * bytes.len() + MEMORY.1,
            "{most} bytes for {}",
            bytes.len()
        );
        match parsed.unwrap() {
            Ok(header) => {
                let mut ranges: Vec<_> = header.tensors().iter().map(|info| info.bytes()).collect();
                ranges.sort_by_key(|range| range.start);
                assert!(ranges.iter().all(|range| range.end <= bytes.len() as u64));
                assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
            }
            Err(error) => {
                n_errors += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    // Most of what is changed cannot be read; some of it is a letter of a name.
    assert!(n_errors > MUTATIONS / 2, "{n_errors} errors");
    assert!(began.elapsed() < 12 * LIMIT);
}

/// The `.dat` form has no magic number: any bytes may be one.
#[test]
fn a_mutated_importance_matrix_is_an_error_or_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("imatrix.dat");
    let mut matrix = ImportanceMatrix::new("rows", 8);
    for name in ["blk.0.attn_q.weight", "blk.0.ffn_down.weight"] {
        matrix.add(name, &[1.0; 40], 16).unwrap();
    }
    matrix.write_dat(&path).unwrap();
    let valid = std::fs::read(&path).unwrap();
    let mut draw = Draw(2);
    for _ in 0..MUTATIONS / 100 {
        let mut bytes = valid.clone();
        draw.mutate(&mut bytes, valid.len());
        std::fs::write(&path, &bytes).unwrap();
        let mut read = None;
        let most = peak(|| read = Some(ImportanceMatrix::read(&path)));
        assert!(
            most < MEMORY.0 * bytes.len() + MEMORY.1,
            "{most} bytes for {}",
            bytes.len()
        );
        if let Ok(matrix) = read.unwrap() {
            for (name, sums) in matrix.tensors() {
                let weights = matrix.weights(name).unwrap();
                assert_eq!(weights.len(), sums.in_sum2.len());
                assert!(
                    weights
                        .iter()
                        .all(|weight| weight.is_finite() && *weight >= 0.0)
                );
            }
        }
    }
}
