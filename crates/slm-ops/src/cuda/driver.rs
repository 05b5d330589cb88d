//! The run-time compiler and the driver of CUDA: the only calls into them.

#![expect(unsafe_code, reason = "foreign functions")]

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};
use std::sync::{LazyLock, Mutex, PoisonError};

use libloading::Library;

const SOURCE: &CStr =
    match CStr::from_bytes_with_nul(concat!(include_str!("kernels.cu"), "\0").as_bytes()) {
        Ok(source) => source,
        Err(_) => panic!("the source has no zero byte"),
    };

/// A handle of the driver or the compiler.
type Opaque = *mut c_void;

/// The functions that are used, from `nvrtc.h` and `cuda.h`. Zero is success everywhere.
struct Functions {
    create: unsafe extern "C" fn(
        *mut Opaque,
        *const c_char,
        *const c_char,
        c_int,
        *const Opaque,
        *const Opaque,
    ) -> c_int,
    add_name: unsafe extern "C" fn(Opaque, *const c_char) -> c_int,
    compile: unsafe extern "C" fn(Opaque, c_int, *const *const c_char) -> c_int,
    log_size: unsafe extern "C" fn(Opaque, *mut usize) -> c_int,
    log: unsafe extern "C" fn(Opaque, *mut c_char) -> c_int,
    lowered_name: unsafe extern "C" fn(Opaque, *const c_char, *mut *const c_char) -> c_int,
    code_size: unsafe extern "C" fn(Opaque, *mut usize) -> c_int,
    code: unsafe extern "C" fn(Opaque, *mut c_char) -> c_int,
    destroy: unsafe extern "C" fn(*mut Opaque) -> c_int,
    device: unsafe extern "C" fn(*mut c_int, c_int) -> c_int,
    attribute: unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int,
    retain: unsafe extern "C" fn(*mut Opaque, c_int) -> c_int,
    push: unsafe extern "C" fn(Opaque) -> c_int,
    pop: unsafe extern "C" fn(*mut Opaque) -> c_int,
    load: unsafe extern "C" fn(*mut Opaque, *const c_void) -> c_int,
    function: unsafe extern "C" fn(*mut Opaque, Opaque, *const c_char) -> c_int,
    launch: unsafe extern "C" fn(
        Opaque,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        Opaque,
        *const *const c_void,
        *const Opaque,
    ) -> c_int,
}

/// libtorch's stub of both comes first: whatever the versions are called, it names those that libtorch itself uses.
const LIBRARIES: [&[&str]; 3] = [
    &["libcaffe2_nvrtc.so"],
    &["libnvrtc.so.13", "libcuda.so.1"],
    &["libnvrtc.so.12", "libcuda.so.1"],
];

static FUNCTIONS: LazyLock<Result<Functions, String>> = LazyLock::new(|| {
    let mut first = None;
    for names in LIBRARIES {
        match Functions::of(names) {
            Ok(functions) => return Ok(functions),
            Err(error) => first.get_or_insert(error),
        };
    }
    Err(first.unwrap_or_default())
});

impl Functions {
    fn of(names: &[&str]) -> Result<Self, String> {
        // SAFETY: the libraries' initialisers have no conditions. They are never unloaded, so their functions stay.
        let open = |name: &&str| {
            unsafe { Library::new(*name) }.map(|library| &*Box::leak(Box::new(library)))
        };
        let libraries: Vec<&Library> = names
            .iter()
            .map(open)
            .collect::<Result<_, _>>()
            .map_err(|e| e.to_string())?;
        macro_rules! find {
            ($name:literal) => {{
                // SAFETY: the field that takes the symbol has the signature of the headers.
                let found = libraries
                    .iter()
                    .find_map(|library| unsafe { library.get(concat!($name, "\0")) }.ok());
                *found.ok_or(concat!("there is no `", $name, "`"))?
            }};
        }
        Ok(Self {
            create: find!("nvrtcCreateProgram"),
            add_name: find!("nvrtcAddNameExpression"),
            compile: find!("nvrtcCompileProgram"),
            log_size: find!("nvrtcGetProgramLogSize"),
            log: find!("nvrtcGetProgramLog"),
            lowered_name: find!("nvrtcGetLoweredName"),
            code_size: find!("nvrtcGetCUBINSize"),
            code: find!("nvrtcGetCUBIN"),
            destroy: find!("nvrtcDestroyProgram"),
            device: find!("cuDeviceGet"),
            attribute: find!("cuDeviceGetAttribute"),
            retain: find!("cuDevicePrimaryCtxRetain"),
            push: find!("cuCtxPushCurrent_v2"),
            pop: find!("cuCtxPopCurrent_v2"),
            load: find!("cuModuleLoadData"),
            function: find!("cuModuleGetFunction"),
            launch: find!("cuLaunchKernel"),
        })
    }
}

/// A device, and the kernels that were compiled for it so far.
pub(crate) struct Gpu {
    functions: &'static Functions,
    /// The one that libtorch's tensors belong to.
    context: Opaque,
    /// Such as `--gpu-architecture=sm_90`.
    architecture: CString,
    kernels: Mutex<HashMap<String, Kernel>>,
}

#[derive(Clone, Copy)]
struct Kernel(Opaque);

// SAFETY: contexts and functions of the driver may be used by any thread; what changes here is behind a lock.
unsafe impl Send for Gpu {}
// SAFETY: as above.
unsafe impl Sync for Gpu {}
// SAFETY: as above.
unsafe impl Send for Kernel {}

impl Gpu {
    /// Of device `index`; compiles a kernel to see that it can be done.
    pub(super) fn open(index: usize) -> Result<Self, String> {
        const MAJOR: c_int = 75; // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
        const MINOR: c_int = 76;
        let functions = FUNCTIONS.as_ref().map_err(String::clone)?;
        let (mut device, mut context, mut version) = (0, null_mut(), [0; 2]);
        // SAFETY: every pointer is to a variable of its own.
        unsafe {
            done(
                "cuDeviceGet",
                (functions.device)(&raw mut device, index as c_int),
            )?;
            for (value, attribute) in version.iter_mut().zip([MAJOR, MINOR]) {
                done(
                    "cuDeviceGetAttribute",
                    (functions.attribute)(value, attribute, device),
                )?;
            }
            done(
                "cuDevicePrimaryCtxRetain",
                (functions.retain)(&raw mut context, device),
            )?;
        }
        let architecture = format!("--gpu-architecture=sm_{}{}", version[0], version[1]);
        let gpu = Self {
            functions,
            context,
            architecture: CString::new(architecture).unwrap_or_default(),
            kernels: Mutex::default(),
        };
        gpu.kernel("rms_forward<bf16, bf16, 8>")?;
        Ok(gpu)
    }

    /// Runs a kernel of so many blocks of so many threads after everything that was asked of the device before.
    ///
    /// Arguments are as wide as the kernel's parameters, in the low bytes; a last parameter that is wider reads those behind it, too.
    pub(super) fn launch(
        &self,
        name: &str,
        blocks: [u32; 2],
        threads: u32,
        arguments: &[u64],
    ) -> Result<(), String> {
        let kernel = self.kernel(name)?;
        let places: Vec<*const c_void> = arguments
            .iter()
            .map(|value| (&raw const *value).cast())
            .collect();
        self.within(|| {
            // SAFETY: the kernel belongs to this context, and has as many parameters as there are places.
            let code = unsafe {
                (self.functions.launch)(
                    kernel.0,
                    blocks[0],
                    blocks[1],
                    1,
                    threads,
                    1,
                    1,
                    0,
                    null_mut(),
                    places.as_ptr(),
                    null(),
                )
            };
            done("cuLaunchKernel", code)
        })
    }

    fn kernel(&self, name: &str) -> Result<Kernel, String> {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = kernels.get(name) {
            return Ok(*kernel);
        }
        let kernel = self
            .compile(name)
            .map_err(|why| format!("kernel `{name}`: {why}"))?;
        kernels.insert(name.into(), kernel);
        Ok(kernel)
    }

    fn compile(&self, name: &str) -> Result<Kernel, String> {
        let functions = self.functions;
        let name = CString::new(name).map_err(|error| error.to_string())?;
        let mut program = null_mut();
        // SAFETY: strings end with zero, every pointer is to a variable of its own or to as many bytes as the call before asked for,
        // and the lowered name is read while the program that holds it lives.
        unsafe {
            let source = SOURCE.as_ptr();
            done(
                "nvrtcCreateProgram",
                (functions.create)(
                    &raw mut program,
                    source,
                    c"kernels.cu".as_ptr(),
                    0,
                    null(),
                    null(),
                ),
            )?;
            done(
                "nvrtcAddNameExpression",
                (functions.add_name)(program, name.as_ptr()),
            )?;
            let options = [self.architecture.as_ptr(), c"--std=c++17".as_ptr()];
            if (functions.compile)(program, 2, options.as_ptr()) != 0 {
                let mut size = 0;
                (functions.log_size)(program, &raw mut size);
                let mut log = vec![0u8; size];
                (functions.log)(program, log.as_mut_ptr().cast());
                return Err(String::from_utf8_lossy(&log).trim_end_matches('\0').into());
            }
            let (mut lowered, mut size) = (null(), 0);
            done(
                "nvrtcGetLoweredName",
                (functions.lowered_name)(program, name.as_ptr(), &raw mut lowered),
            )?;
            done(
                "nvrtcGetCUBINSize",
                (functions.code_size)(program, &raw mut size),
            )?;
            let mut code = vec![0u8; size];
            done(
                "nvrtcGetCUBIN",
                (functions.code)(program, code.as_mut_ptr().cast()),
            )?;
            let (mut module, mut kernel) = (null_mut(), null_mut());
            self.within(|| {
                done(
                    "cuModuleLoadData",
                    (functions.load)(&raw mut module, code.as_ptr().cast()),
                )
            })?;
            done(
                "cuModuleGetFunction",
                (functions.function)(&raw mut kernel, module, lowered),
            )?;
            done("nvrtcDestroyProgram", (functions.destroy)(&raw mut program))?;
            Ok(Kernel(kernel))
        }
    }

    /// With the device's context as this thread's.
    fn within(&self, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        let mut before = null_mut();
        // SAFETY: the context is retained for good, and what is pushed is popped.
        unsafe {
            done("cuCtxPushCurrent", (self.functions.push)(self.context))?;
            let result = work();
            done("cuCtxPopCurrent", (self.functions.pop)(&raw mut before))?;
            result
        }
    }
}

fn done(what: &str, code: c_int) -> Result<(), String> {
    match code {
        0 => Ok(()),
        code => Err(format!("`{what}` gives error {code}")),
    }
}
