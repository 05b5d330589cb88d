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
/// Those of [`open`].
pub fn open_nth(spec: &str, nth: usize) -> Result<Device, ModelError> {
    match spec {
        "auto" => libtorch::best(nth).unwrap_or_else(|| Ok(Device::flex())),
        "cpu" => Ok(Device::flex()),
        "libtorch:cuda" => libtorch::open(&format!("{spec}:{nth}")),
        _ if spec.starts_with("libtorch:") => libtorch::open(spec),
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
            return Some(open(&format!("libtorch:cuda:{nth}")));
        }
        tch::utils::has_mps().then(|| Ok(Device::libtorch_mps()))
    }

    pub(super) fn open(spec: &str) -> Result<Device, ModelError> {
        let missing = |why: &str| ModelError::NoDevice {
            spec: spec.into(),
            why: why.into(),
        };
        slm_ops::skip_autograd();
        match spec.strip_prefix("libtorch:").unwrap_or_default() {
            "cpu" => Ok(Device::libtorch()),
            "mps" if tch::utils::has_mps() => Ok(Device::libtorch_mps()),
            "mps" => Err(missing("libtorch finds no Metal device")),
            other => {
                let index = other
                    .strip_prefix("cuda")
                    .map(|rest| rest.trim_start_matches(':'));
                let index: usize = match index {
                    Some("") => 0,
                    Some(digits) => digits
                        .parse()
                        .map_err(|_| ModelError::UnknownDevice { spec: spec.into() })?,
                    None => return Err(ModelError::UnknownDevice { spec: spec.into() }),
                };
                let count = tch::Cuda::device_count();
                if index as i64 >= count {
                    return Err(missing(&format!("libtorch finds {count} CUDA devices")));
                }
                Ok(Device::libtorch_cuda(index))
            }
        }
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

    pub(super) fn open(spec: &str) -> Result<Device, ModelError> {
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
