//! The GPUs that CUDA's driver knows: what it says of them without libtorch.

#![expect(unsafe_code, reason = "foreign functions")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;
use std::sync::LazyLock;

use libloading::Library;

use crate::torch_build::cuda_version;

/// The driver, and its GPUs in the order that it counts them in.
#[derive(Clone, Debug)]
pub struct Driver {
    /// The newest version of CUDA that it runs, major and minor.
    pub cuda: [i64; 2],
    pub gpus: Vec<Gpu>,
}

/// A GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    pub name: String,
    /// Compute capability, major and minor.
    pub capability: [i32; 2],
    /// `None` where the GPU cannot be opened.
    pub memory: Option<GpuMemory>,
}

/// Bytes of a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuMemory {
    pub free_bytes: u64,
    pub total_bytes: u64,
}

/// The driver of this machine; `None` where none is installed, or it does not run.
pub fn driver() -> Option<Driver> {
    let functions = FUNCTIONS.as_ref()?;
    let (mut version, mut count) = (0, 0);
    // SAFETY: every pointer is to a variable of its own.
    unsafe {
        done((functions.version)(&raw mut version))?;
        // Without a device the driver does not start.
        if (functions.init)(0) == 0 {
            done((functions.count)(&raw mut count))?;
        }
    }
    let gpus = (0..count).filter_map(|index| functions.gpu(index));
    Some(Driver {
        cuda: cuda_version(version.into()),
        gpus: gpus.collect(),
    })
}

/// The memory of CUDA device `index`.
pub fn memory(index: usize) -> Option<GpuMemory> {
    let functions = FUNCTIONS.as_ref()?;
    // SAFETY: no conditions.
    done(unsafe { (functions.init)(0) })?;
    let mut device = 0;
    // SAFETY: the pointer is to a variable of its own.
    done(unsafe { (functions.device)(&raw mut device, index as c_int) })?;
    functions.memory(device)
}

type Context = *mut c_void;

/// The functions that are used, from `cuda.h`. Zero is success everywhere.
struct Functions {
    init: unsafe extern "C" fn(u32) -> c_int,
    version: unsafe extern "C" fn(*mut c_int) -> c_int,
    count: unsafe extern "C" fn(*mut c_int) -> c_int,
    device: unsafe extern "C" fn(*mut c_int, c_int) -> c_int,
    name: unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int,
    attribute: unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int,
    retain: unsafe extern "C" fn(*mut Context, c_int) -> c_int,
    release: unsafe extern "C" fn(c_int) -> c_int,
    push: unsafe extern "C" fn(Context) -> c_int,
    pop: unsafe extern "C" fn(*mut Context) -> c_int,
    memory: unsafe extern "C" fn(*mut usize, *mut usize) -> c_int,
}

static FUNCTIONS: LazyLock<Option<Functions>> = LazyLock::new(Functions::find);

impl Functions {
    fn find() -> Option<Self> {
        // SAFETY: the library's initialisers have no conditions. It is never unloaded, so its functions stay.
        let library = unsafe { Library::new("libcuda.so.1") }.ok()?;
        let library = Box::leak(Box::new(library));
        macro_rules! find {
            ($name:literal) => {
                // SAFETY: the field that takes the symbol has the signature of the header.
                *unsafe { library.get(concat!($name, "\0")) }.ok()?
            };
        }
        Some(Self {
            init: find!("cuInit"),
            version: find!("cuDriverGetVersion"),
            count: find!("cuDeviceGetCount"),
            device: find!("cuDeviceGet"),
            name: find!("cuDeviceGetName"),
            attribute: find!("cuDeviceGetAttribute"),
            retain: find!("cuDevicePrimaryCtxRetain"),
            release: find!("cuDevicePrimaryCtxRelease_v2"),
            push: find!("cuCtxPushCurrent_v2"),
            pop: find!("cuCtxPopCurrent_v2"),
            memory: find!("cuMemGetInfo_v2"),
        })
    }

    fn gpu(&self, index: c_int) -> Option<Gpu> {
        const MAJOR: c_int = 75; // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
        const MINOR: c_int = 76;
        let (mut device, mut name, mut capability) = (0, [0 as c_char; 256], [0; 2]);
        // SAFETY: every pointer is to a variable of its own, of the size that is said.
        unsafe {
            done((self.device)(&raw mut device, index))?;
            done((self.name)(name.as_mut_ptr(), 255, device))?;
            for (value, attribute) in capability.iter_mut().zip([MAJOR, MINOR]) {
                done((self.attribute)(value, attribute, device))?;
            }
        }
        // SAFETY: the last byte is zero, whatever the driver wrote before it.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) };
        Some(Gpu {
            name: name.to_string_lossy().into_owned(),
            capability,
            memory: self.memory(device),
        })
    }

    /// Asked in the context that libtorch uses too, which is opened for the question where libtorch has not.
    fn memory(&self, device: c_int) -> Option<GpuMemory> {
        let (mut context, mut before) = (null_mut(), null_mut());
        let (mut free, mut total) = (0, 0);
        // SAFETY: every pointer is to a variable of its own; what is retained is released, and what is pushed is popped.
        let code = unsafe {
            done((self.retain)(&raw mut context, device))?;
            let mut code = (self.push)(context);
            if code == 0 {
                code = (self.memory)(&raw mut free, &raw mut total);
                (self.pop)(&raw mut before);
            }
            (self.release)(device);
            code
        };
        done(code)?;
        Some(GpuMemory {
            free_bytes: free as u64,
            total_bytes: total as u64,
        })
    }
}

fn done(code: c_int) -> Option<()> {
    (code == 0).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds with and without a GPU: libtorch, where it is built for CUDA, counts what the driver counts.
    #[test]
    fn the_driver_counts_what_libtorch_counts() {
        let gpus = driver().map_or(0, |driver| driver.gpus.len());
        if crate::torch_build::TorchBuild::loaded().cuda.is_some() {
            assert_eq!(gpus as i64, tch::Cuda::device_count());
        }
        assert_eq!(memory(gpus), None, "there is no device after the last");
    }
}
