//! Where tensors live. The only file that names a backend.

use burn::tensor::Device;
use slm_recipe::ModelSection;

use crate::ModelError;

/// A backend that this tool knows, and whether this build and this machine have it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Backend {
    /// The word for `model.device`.
    pub spec: String,
    pub built: bool,
    pub usable: bool,
    pub note: String,
}

/// Opens a device by its word: `auto`, `cpu`, `libtorch:cpu`, `libtorch:cuda:N` or `libtorch:mps`.
///
/// `auto` takes the first GPU where one is built and there, else the pure-Rust CPU backend.
///
/// # Errors
/// The word is unknown, its backend is not built in, or the machine has no such device.
pub fn open(spec: &str) -> Result<Device, ModelError> {
    open_nth(spec, 0)
}

/// [`open`] for one of several processes on this machine: where the word names no GPU by its number, that is `nth`.
///
/// # Errors
/// Those of [`open`]; also fewer GPUs than processes.
pub fn open_nth(spec: &str, nth: usize) -> Result<Device, ModelError> {
    match spec {
        "auto" => libtorch::best(nth).unwrap_or_else(|| Ok(Device::flex())),
        "cpu" => Ok(Device::flex()),
        _ if spec.starts_with("libtorch:") => libtorch::open(spec, nth),
        _ => Err(ModelError::UnknownDevice { spec: spec.into() }),
    }
}

/// [`open_nth`] of a recipe's device for its precision: `model.tf32` is a switch of the whole process.
///
/// # Errors
/// Those of [`open`].
pub fn open_for(model: &ModelSection, nth: usize) -> Result<Device, ModelError> {
    let device = open_nth(&model.device, nth)?;
    libtorch::allow_tf32(model.tf32);
    Ok(device)
}

/// The word of the device that `open` gives for `spec`.
pub fn name(device: &Device) -> String {
    let text = format!("{device:?}").to_lowercase();
    if text.contains("cuda") {
        "libtorch:cuda".into()
    } else if text.contains("mps") {
        "libtorch:mps".into()
    } else if text.contains("torch") {
        "libtorch:cpu".into()
    } else {
        "cpu".into()
    }
}

/// Whether `device` computes apart from the processor.
pub fn is_gpu(device: &Device) -> bool {
    Place::of(device) == Place::Gpu
}

/// What computes, as far as it matters to how much memory that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The processor, in Rust.
    Flex,
    /// The processor, in libtorch.
    LibtorchCpu,
    Gpu,
}

impl Place {
    /// Of an open device.
    pub fn of(device: &Device) -> Self {
        match name(device).as_str() {
            "cpu" => Self::Flex,
            "libtorch:cpu" => Self::LibtorchCpu,
            _ => Self::Gpu,
        }
    }
}

/// Most memory of a GPU that was in use at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DeviceMemory {
    /// Given to tensors.
    pub allocated_bytes: u64,
    /// Taken from the driver, to be given out again.
    pub reserved_bytes: u64,
}

/// Most that was in use of `device` since [`reset_peak_memory`]; `None` where it is the processor's.
pub fn peak_memory(device: &Device) -> Option<DeviceMemory> {
    libtorch::peak_memory(device)
}

/// Counts from what is in use now.
pub fn reset_peak_memory(device: &Device) {
    libtorch::reset_peak_memory(device);
}

/// Every backend, for `slm-tune doctor`.
pub fn available() -> Vec<Backend> {
    let cpu = Backend {
        spec: "cpu".into(),
        built: true,
        usable: true,
        note: "pure Rust (burn-flex)".into(),
    };
    std::iter::once(cpu).chain(libtorch::available()).collect()
}

/// The words of the devices that are here: of several GPUs, the first.
pub fn usable() -> Vec<String> {
    let usable = available().into_iter().filter(|backend| backend.usable);
    usable
        .map(|backend| backend.spec.replace('N', "0"))
        .collect()
}

#[cfg(feature = "libtorch")]
#[expect(
    deprecated,
    reason = "burn-tch stays the GPU backend while burn is pinned to 0.22"
)]
mod libtorch {
    use super::{Backend, Device, DeviceMemory, ModelError};

    pub(super) fn best(nth: usize) -> Option<Result<Device, ModelError>> {
        if tch::Cuda::is_available() {
            return Some(open("libtorch:cuda", nth));
        }
        tch::utils::has_mps().then(|| Ok(Device::libtorch_mps()))
    }

    pub(super) fn open(spec: &str, nth: usize) -> Result<Device, ModelError> {
        let missing = |why: &str| ModelError::NoDevice {
            spec: spec.into(),
            why: why.into(),
        };
        slm_ops::skip_autograd();
        match spec.strip_prefix("libtorch:").unwrap_or_default() {
            "cpu" => Ok(Device::libtorch()),
            "mps" if tch::utils::has_mps() => Ok(Device::libtorch_mps()),
            "mps" => Err(missing("libtorch finds no Metal device")),
            _ => {
                let count = usize::try_from(tch::Cuda::device_count()).unwrap_or_default();
                gpu(spec, nth, count).map(Device::libtorch_cuda)
            }
        }
    }

    /// Which of `count` GPUs a word means for the `nth` process of a machine, from 0.
    pub(super) fn gpu(spec: &str, nth: usize, count: usize) -> Result<usize, ModelError> {
        let unknown = || ModelError::UnknownDevice { spec: spec.into() };
        let number = spec.strip_prefix("libtorch:cuda").ok_or_else(unknown)?;
        let named = match number.strip_prefix(':') {
            Some(digits) => Some(digits.parse().map_err(|_| unknown())?),
            None if number.is_empty() => None,
            None => return Err(unknown()),
        };
        let index = named.unwrap_or(nth);
        if index < count {
            return Ok(index);
        }
        let why = match named {
            None if nth > 0 && count > 0 => format!(
                "this process is number {} of its machine (`LOCAL_RANK` is {nth}), where libtorch finds {count} CUDA devices, one for each process",
                nth + 1
            ),
            _ => format!("libtorch finds {count} CUDA devices"),
        };
        Err(ModelError::NoDevice {
            spec: spec.into(),
            why,
        })
    }

    pub(super) fn allow_tf32(allowed: bool) {
        slm_ops::torch_build::allow_tf32(allowed);
    }

    pub(super) fn peak_memory(device: &Device) -> Option<DeviceMemory> {
        let [allocated_bytes, reserved_bytes] = slm_ops::cuda::peak_bytes(device)?;
        Some(DeviceMemory {
            allocated_bytes,
            reserved_bytes,
        })
    }

    pub(super) fn reset_peak_memory(device: &Device) {
        slm_ops::cuda::reset_peak_bytes(device);
    }

    pub(super) fn available() -> Vec<Backend> {
        let cuda = tch::Cuda::device_count();
        let entry = |spec: &str, usable, note: String| Backend {
            spec: spec.into(),
            built: true,
            usable,
            note,
        };
        vec![
            entry("libtorch:cpu", true, "libtorch on the processor".into()),
            entry("libtorch:cuda:N", cuda > 0, format!("{cuda} CUDA devices")),
            entry("libtorch:mps", tch::utils::has_mps(), "Metal".into()),
        ]
    }
}

#[cfg(not(feature = "libtorch"))]
mod libtorch {
    use super::{Backend, Device, DeviceMemory, ModelError};

    pub(super) fn best(_: usize) -> Option<Result<Device, ModelError>> {
        None
    }

    pub(super) fn open(spec: &str, _: usize) -> Result<Device, ModelError> {
        Err(ModelError::NotBuilt { spec: spec.into() })
    }

    pub(super) fn allow_tf32(_: bool) {}

    pub(super) fn peak_memory(_: &Device) -> Option<DeviceMemory> {
        None
    }

    pub(super) fn reset_peak_memory(_: &Device) {}

    pub(super) fn available() -> Vec<Backend> {
        let note = "not built: needs `--features libtorch`";
        ["libtorch:cpu", "libtorch:cuda:N", "libtorch:mps"]
            .map(|spec| Backend {
                spec: spec.into(),
                built: false,
                usable: false,
                note: note.into(),
            })
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_refused_with_the_known_ones() {
        let error = open("gpu").unwrap_err();
        assert_eq!(error.to_string(), "device `gpu` is not known");
        assert!(error.hint().unwrap().contains("libtorch:cuda:N"));
    }

    #[cfg(not(feature = "libtorch"))]
    #[test]
    fn a_device_that_is_not_built_says_how_to_build_it() {
        let error = open("libtorch:cuda:0").unwrap_err();
        assert!(error.to_string().contains("not built"));
        assert!(error.hint().unwrap().contains("--features libtorch"));
    }

    #[cfg(feature = "libtorch")]
    #[test]
    fn libtorch_opens_the_processor_and_counts_its_gpus() {
        assert_eq!(name(&open("libtorch:cpu").unwrap()), "libtorch:cpu");
        let error = open("libtorch:cuda:99").unwrap_err();
        assert!(error.to_string().contains("CUDA devices"), "{error}");
    }

    #[cfg(feature = "libtorch")]
    #[test]
    fn each_process_of_a_machine_has_a_gpu_of_its_own() {
        let gpu = |spec: &str, nth, count| {
            libtorch::gpu(spec, nth, count).map_err(|error| error.to_string())
        };
        let alone: Vec<_> = (0..4).map(|nth| gpu("libtorch:cuda", nth, 4)).collect();
        assert_eq!(alone, [Ok(0), Ok(1), Ok(2), Ok(3)]);
        // A number is meant as it stands.
        assert_eq!(gpu("libtorch:cuda:1", 3, 4), Ok(1));
        let few = gpu("libtorch:cuda", 2, 2).unwrap_err();
        assert_eq!(
            few,
            "device `libtorch:cuda` is not there: this process is number 3 of its machine (`LOCAL_RANK` is 2), where libtorch finds 2 \
             CUDA devices, one for each process"
        );
        for (spec, nth, count) in [
            ("libtorch:cuda", 0, 0),
            ("libtorch:cuda", 1, 0),
            ("libtorch:cuda:2", 0, 2),
        ] {
            let none = gpu(spec, nth, count).unwrap_err();
            let told = format!("device `{spec}` is not there: libtorch finds {count} CUDA devices");
            assert_eq!(none, told);
        }
        for spec in [
            "libtorch:cuda:",
            "libtorch:cuda:x",
            "libtorch:cuda1",
            "libtorch:xpu",
        ] {
            let unknown = gpu(spec, 0, 4).unwrap_err();
            assert_eq!(unknown, format!("device `{spec}` is not known"));
        }
    }

    #[cfg(feature = "libtorch")]
    #[test]
    fn opening_for_a_recipe_sets_the_precision_of_its_products() {
        let mut model = ModelSection {
            device: "libtorch:cpu".into(),
            tf32: true,
            ..ModelSection::default()
        };
        open_for(&model, 0).unwrap();
        assert!(slm_ops::torch_build::tf32_is_allowed());
        model.tf32 = false;
        open_for(&model, 0).unwrap();
        assert!(!slm_ops::torch_build::tf32_is_allowed());
    }
}
