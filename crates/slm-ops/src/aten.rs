//! Operations of ATen that tch does not bind, through `aten/aten.cpp`.

#![expect(unsafe_code, reason = "foreign functions")]

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;

use tch::Tensor;
use torch_sys::C_tensor;

type Handle = *mut C_tensor;

unsafe extern "C" {
    fn slm_flash_forward(
        q: Handle,
        k: Handle,
        v: Handle,
        starts: Handle,
        longest: i64,
        scale: f64,
        window: i64,
        out: *mut Handle,
    ) -> *mut c_char;
    fn slm_flash_backward(
        dy: Handle,
        q: Handle,
        k: Handle,
        v: Handle,
        y: Handle,
        log_sums: Handle,
        starts: Handle,
        longest: i64,
        scale: f64,
        window: i64,
        out: *mut Handle,
    ) -> *mut c_char;
    fn slm_cudnn_forward(
        q: Handle,
        k: Handle,
        v: Handle,
        scale: f64,
        out: *mut Handle,
    ) -> *mut c_char;
    fn slm_cudnn_backward(
        dy: Handle,
        q: Handle,
        k: Handle,
        v: Handle,
        y: Handle,
        log_sums: Handle,
        scale: f64,
        out: *mut Handle,
    ) -> *mut c_char;
    fn slm_borrow(
        data: *mut f32,
        sizes: *const i64,
        strides: *const i64,
        n: i64,
        owner: *mut c_void,
        release: unsafe extern "C" fn(*mut c_void),
        out: *mut Handle,
    ) -> *mut c_char;
    fn slm_mm_f32(a: Handle, b: Handle, out: *mut Handle) -> *mut c_char;
    fn slm_global_norm(tensors: *const Handle, n: i64, out: *mut Handle) -> *mut c_char;
    fn slm_upload(x: Handle, device: i64, out: *mut Handle) -> *mut c_char;
    fn slm_skip_autograd();
    fn slm_peak_bytes(device: i64, out: *mut i64) -> *mut c_char;
    fn slm_reset_peak(device: i64) -> *mut c_char;
    fn slm_config(out: *mut *mut c_char) -> *mut c_char;
    fn slm_library(out: *mut *mut c_char) -> *mut c_char;
    fn slm_cuda_version(out: *mut i64) -> *mut c_char;
    fn slm_set_tf32(allowed: bool) -> *mut c_char;
    fn slm_tf32() -> bool;
    fn slm_free_text(text: *mut c_char);
}

/// Where queries look: causally, within a sequence.
#[derive(Debug)]
pub(crate) struct Sequences {
    /// Where each begins, and where the last ends, i32; `None` where each row of a batch is one.
    pub(crate) starts: Option<Tensor>,
    pub(crate) longest: i64,
    /// Keys before its own that a query sees, where they are limited.
    pub(crate) window: Option<i64>,
}

impl Sequences {
    fn window(&self) -> i64 {
        self.window.unwrap_or(-1)
    }
}

/// Causal flash attention of `[batch, time, heads, dim]`, or `[tokens, heads, dim]` where sequences have starts: 16 bits on CUDA, `dim`
/// in eights. The result, and what its backward pass reads.
pub(crate) fn flash_forward(
    [q, k, v]: [&Tensor; 3],
    sequences: &Sequences,
    scale: f64,
) -> [Tensor; 2] {
    let starts = optional(sequences.starts.as_ref());
    new(|out| {
        // SAFETY: the handles are of tensors that live through the call, and `out` has room for two.
        unsafe {
            let [q, k, v] = [q, k, v].map(of);
            slm_flash_forward(
                q,
                k,
                v,
                starts,
                sequences.longest,
                scale,
                sequences.window(),
                out,
            )
        }
    })
}

/// The gradients of q, k and v.
pub(crate) fn flash_backward(
    dy: &Tensor,
    [q, k, v]: [&Tensor; 3],
    [y, log_sums]: [&Tensor; 2],
    sequences: &Sequences,
    scale: f64,
) -> [Tensor; 3] {
    let starts = optional(sequences.starts.as_ref());
    new(|out| {
        let [dy, q, k, v, y, log_sums] = [dy, q, k, v, y, log_sums].map(of);
        let (longest, window) = (sequences.longest, sequences.window());
        // SAFETY: as above, with room for three.
        unsafe {
            slm_flash_backward(
                dy, q, k, v, y, log_sums, starts, longest, scale, window, out,
            )
        }
    })
}

/// Causal attention by cuDNN of `[batch, heads, time, dim]` in 16 bits: the result, which lies as `q` does, and what its backward pass
/// reads; an error where this device or this libtorch has none.
pub(crate) fn cudnn_forward([q, k, v]: [&Tensor; 3], scale: f64) -> Result<[Tensor; 2], String> {
    let [q, k, v] = [q, k, v].map(of);
    // SAFETY: as above, with room for two.
    try_new(|out| unsafe { slm_cudnn_forward(q, k, v, scale, out) })
}

/// The gradients of q, k and v.
pub(crate) fn cudnn_backward(
    dy: &Tensor,
    [q, k, v]: [&Tensor; 3],
    [y, log_sums]: [&Tensor; 2],
    scale: f64,
) -> [Tensor; 3] {
    let [dy, q, k, v, y, log_sums] = [dy, q, k, v, y, log_sums].map(of);
    // SAFETY: as above, with room for three.
    new(|out| unsafe { slm_cudnn_backward(dy, q, k, v, y, log_sums, scale, out) })
}

/// A tensor over memory that is not libtorch's: f32, on the processor.
///
/// # Safety
/// `data` leads to all that sizes and strides reach. It is valid, and used by the tensor alone, until `release` is called with
/// `owner`, which any thread may do.
pub(crate) unsafe fn borrowed(
    data: *mut f32,
    (sizes, strides): (&[i64], &[i64]),
    owner: *mut c_void,
    release: unsafe extern "C" fn(*mut c_void),
) -> Tensor {
    let n = sizes.len() as i64;
    let (sizes, strides) = (sizes.as_ptr(), strides.as_ptr());
    // SAFETY: as the caller says, with room for one.
    let [x] = new(|out| unsafe { slm_borrow(data, sizes, strides, n, owner, release, out) });
    x
}

/// `a b` in f32, of matrices in 16 bits on CUDA.
pub(crate) fn mm_f32(a: &Tensor, b: &Tensor) -> Tensor {
    // SAFETY: as above, with room for one.
    let [y] = new(|out| unsafe { slm_mm_f32(of(a), of(b), out) });
    y
}

/// The norm of all values of `tensors`, a scalar in f32.
pub(crate) fn global_norm(tensors: &[&Tensor]) -> Tensor {
    let handles = all(tensors);
    // SAFETY: as above, with room for one; there are as many handles as is said.
    let [norm] = new(|out| unsafe { slm_global_norm(handles.as_ptr(), handles.len() as i64, out) });
    norm
}

/// `x`, which lies in the host's memory, on CUDA device `index`: by way of page-locked memory, and not waited for.
pub(crate) fn upload(x: &Tensor, index: usize) -> Tensor {
    // SAFETY: as above, with room for one.
    let [x] = new(|out| unsafe { slm_upload(of(x), index as i64, out) });
    x
}

/// From here on this thread's operations go past libtorch's own autograd, which costs time and does nothing for burn's.
pub fn skip_autograd() {
    // SAFETY: no conditions.
    unsafe { slm_skip_autograd() }
}

/// Most bytes on CUDA device `index` since [`reset_peak`]: given to tensors, and taken from the driver.
pub(crate) fn peak_bytes(index: usize) -> Result<[u64; 2], String> {
    let mut bytes = [0i64; 2];
    // SAFETY: there is room for two.
    checked(unsafe { slm_peak_bytes(index as i64, bytes.as_mut_ptr()) })?;
    Ok(bytes.map(|bytes| bytes as u64))
}

pub(crate) fn reset_peak(index: usize) -> Result<(), String> {
    // SAFETY: no conditions.
    checked(unsafe { slm_reset_peak(index as i64) })
}

/// How libtorch was built, in its own words.
pub(crate) fn config() -> Option<String> {
    // SAFETY: there is room for one text.
    text(|out| unsafe { slm_config(out) })
}

/// The file that libtorch was loaded from.
pub(crate) fn library() -> Option<String> {
    // SAFETY: as above.
    text(|out| unsafe { slm_library(out) })
}

/// The version of CUDA that libtorch was built for, such as 12080.
pub(crate) fn cuda_version() -> Option<i64> {
    let mut version = 0;
    // SAFETY: there is room for one number.
    checked(unsafe { slm_cuda_version(&raw mut version) }).ok()?;
    (version > 0).then_some(version)
}

/// Whether products of f32 on CUDA may round what they multiply to TF32, from now on, in the whole process.
pub(crate) fn set_tf32(allowed: bool) {
    // SAFETY: no conditions.
    let set = checked(unsafe { slm_set_tf32(allowed) });
    set.unwrap_or_else(|why| panic!("libtorch: {why}"));
}

pub(crate) fn tf32() -> bool {
    // SAFETY: no conditions.
    unsafe { slm_tf32() }
}

fn of(x: &Tensor) -> Handle {
    x.as_ptr().cast_mut()
}

fn optional(x: Option<&Tensor>) -> Handle {
    x.map_or(null_mut(), of)
}

fn all(tensors: &[&Tensor]) -> Vec<Handle> {
    tensors.iter().map(|x| of(x)).collect()
}

/// The tensors that `call` leaves.
///
/// # Panics
/// As tch's own operations: an error of ATen is a mistake in the call, or the device's memory has run out.
fn new<const N: usize>(call: impl FnOnce(*mut Handle) -> *mut c_char) -> [Tensor; N] {
    try_new(call).unwrap_or_else(|why| panic!("libtorch: {why}"))
}

fn try_new<const N: usize>(
    call: impl FnOnce(*mut Handle) -> *mut c_char,
) -> Result<[Tensor; N], String> {
    let mut out = [null_mut(); N];
    checked(call(out.as_mut_ptr()))?;
    // SAFETY: without an error every place holds a new tensor, which is ours.
    Ok(out.map(|handle| unsafe { Tensor::from_ptr(handle) }))
}

fn checked(error: *mut c_char) -> Result<(), String> {
    taken(error).map_or(Ok(()), Err)
}

/// The text that `call` leaves.
fn text(call: impl FnOnce(*mut *mut c_char) -> *mut c_char) -> Option<String> {
    let mut out = null_mut();
    checked(call(&raw mut out)).ok()?;
    taken(out)
}

/// A text of the other side, which is freed there.
fn taken(text: *mut c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: a text ends with zero, and is freed once.
    let copy = unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned();
    // SAFETY: as above.
    unsafe { slm_free_text(text) };
    Some(copy)
}
