//! c10d, libtorch's engine for several processes, through `c10d/c10d.cpp`.

#![expect(unsafe_code, reason = "foreign functions")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::net::TcpListener;
use std::os::fd::IntoRawFd;
use std::ptr::{NonNull, null_mut};
use std::time::Duration;

use tch::Tensor;
use torch_sys::C_tensor;

/// `Group` of the shim.
#[repr(C)]
struct CGroup([u8; 0]);
/// `Pending` of the shim.
#[repr(C)]
struct CPending([u8; 0]);

unsafe extern "C" {
    fn slm_group_join(
        address: *const c_char,
        port: u16,
        rank: c_int,
        size: c_int,
        serves: bool,
        listener: c_int,
        prefix: *const c_char,
        meeting_ms: i64,
        sum_ms: i64,
        out: *mut *mut CGroup,
    ) -> *mut c_char;
    fn slm_group_leave(group: *mut CGroup);
    fn slm_group_sum(
        group: *mut CGroup,
        tensor: *mut C_tensor,
        out: *mut *mut CPending,
    ) -> *mut c_char;
    fn slm_nccl_version(out: *mut c_int) -> *mut c_char;
    fn slm_group_meet_on(group: *mut CGroup, gpu: i64, sum_ms: i64) -> *mut c_char;
    fn slm_group_part(group: *mut CGroup);
    fn slm_pending_wait(pending: *mut CPending) -> *mut c_char;
    fn slm_group_tell(group: *mut CGroup, key: *const c_char, value: *const c_char) -> *mut c_char;
    fn slm_group_hear(
        group: *mut CGroup,
        key: *const c_char,
        timeout_ms: i64,
        value: *mut *mut c_char,
    ) -> *mut c_char;
    fn slm_dist_free(text: *mut c_char);
}

/// Where processes meet, and as what this one comes.
pub(crate) struct Meeting<'a> {
    pub(crate) address: &'a str,
    pub(crate) port: u16,
    pub(crate) rank: usize,
    pub(crate) world_size: usize,
    /// Whether this one has the store.
    pub(crate) serves: bool,
    /// What it listens on then; `None` for every address of the machine.
    pub(crate) listener: Option<TcpListener>,
    /// Sets what is told apart from what others keep in the store.
    pub(crate) prefix: &'a str,
    /// To meet, and in a sum.
    pub(crate) patience: [Duration; 2],
}

/// A store and a process group.
#[derive(Debug)]
pub(crate) struct Members(NonNull<CGroup>);

/// A sum that is under way. Whoever asked for it keeps the tensor until it is waited for.
#[derive(Debug)]
pub(crate) struct Sum(NonNull<CPending>);

impl Members {
    pub(crate) fn join(meeting: Meeting<'_>) -> Result<Self, String> {
        let (address, prefix) = (text(meeting.address), text(meeting.prefix));
        let mut group = null_mut();
        // The store takes it, and closes it.
        let listener = meeting.listener.map_or(-1, IntoRawFd::into_raw_fd);
        // SAFETY: both texts end with zero and live through the call, and `group` has room for a pointer.
        checked(unsafe {
            slm_group_join(
                address.as_ptr(),
                meeting.port,
                meeting.rank as c_int,
                meeting.world_size as c_int,
                meeting.serves,
                listener,
                prefix.as_ptr(),
                millis(meeting.patience[0]),
                millis(meeting.patience[1]),
                &mut group,
            )
        })?;
        NonNull::new(group).map(Self).ok_or_else(nothing)
    }

    /// Meets the others on a GPU, which has to be another one in each process.
    pub(crate) fn meet_on(&self, gpu: usize, patience: Duration) -> Result<(), String> {
        // SAFETY: the group lives as long as this.
        checked(unsafe { slm_group_meet_on(self.0.as_ptr(), gpu as i64, millis(patience)) })
    }

    /// Leaves the GPUs.
    pub(crate) fn part(&self) {
        // SAFETY: as above.
        unsafe { slm_group_part(self.0.as_ptr()) }
    }

    /// Begins to sum `tensor` over all processes, in place, where it lies.
    pub(crate) fn sum(&self, tensor: &Tensor) -> Result<Sum, String> {
        let mut pending = null_mut();
        // SAFETY: the group lives as long as this; the shim takes a reference of its own to the tensor.
        checked(unsafe {
            slm_group_sum(self.0.as_ptr(), tensor.as_ptr().cast_mut(), &mut pending)
        })?;
        NonNull::new(pending).map(Sum).ok_or_else(nothing)
    }

    pub(crate) fn tell(&self, key: &str, value: &str) -> Result<(), String> {
        let (key, value) = (text(key), text(value));
        // SAFETY: both texts end with zero and live through the call.
        checked(unsafe { slm_group_tell(self.0.as_ptr(), key.as_ptr(), value.as_ptr()) })
    }

    pub(crate) fn hear(&self, key: &str, patience: Duration) -> Result<String, String> {
        let key = text(key);
        let mut value = null_mut();
        // SAFETY: the key ends with zero and lives through the call, and `value` has room for a pointer.
        checked(unsafe {
            slm_group_hear(self.0.as_ptr(), key.as_ptr(), millis(patience), &mut value)
        })?;
        taken(value).ok_or_else(nothing)
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        // SAFETY: it is ours, and is not used again.
        unsafe { slm_group_leave(self.0.as_ptr()) }
    }
}

impl Sum {
    pub(crate) fn wait(self) -> Result<(), String> {
        let pending = std::mem::ManuallyDrop::new(self).0;
        // SAFETY: it is ours; the shim frees it, and it is not used again.
        checked(unsafe { slm_pending_wait(pending.as_ptr()) })
    }
}

impl Drop for Sum {
    /// What is not waited for by its owner is waited for here: nobody else would free it.
    fn drop(&mut self) {
        // SAFETY: as above. What went wrong has been told by an earlier sum.
        let _ = checked(unsafe { slm_pending_wait(self.0.as_ptr()) });
    }
}

/// The version of NCCL that libtorch has brought into this process.
pub(crate) fn nccl() -> Option<String> {
    let mut version = 0;
    // SAFETY: there is room for a number.
    checked(unsafe { slm_nccl_version(&raw mut version) }).ok()?;
    // As `nccl.h` puts it together: 22809 is 2.28.9.
    let [major, minor, patch] = [version / 10_000, version / 100 % 100, version % 100];
    (version > 0).then(|| format!("{major}.{minor}.{patch}"))
}

fn text(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn nothing() -> String {
    "libtorch gave nothing".into()
}

/// The first line of an error: where in libtorch it arose comes after it.
fn checked(error: *mut c_char) -> Result<(), String> {
    match taken(error) {
        None => Ok(()),
        Some(why) => Err(why.lines().next().unwrap_or_default().into()),
    }
}

/// A text of the shim, freed; `None` where there is none.
fn taken(text: *mut c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: a text ends with zero, and is freed once.
    let owned = unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned();
    // SAFETY: as above.
    unsafe { slm_dist_free(text) };
    Some(owned)
}
