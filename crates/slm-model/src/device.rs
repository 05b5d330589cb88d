//! Where tensors live. The only file that names a backend.

use burn::tensor::Device;

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
    match spec {
        "auto" => Ok(libtorch::best().unwrap_or_else(Device::flex)),
        "cpu" => Ok(Device::flex()),
        _ if spec.starts_with("libtorch:") => libtorch::open(spec),
        _ => Err(ModelError::UnknownDevice { spec: spec.into() }),
    }
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

#[cfg(feature = "libtorch")]
#[expect(
    deprecated,
    reason = "burn-tch stays the GPU backend while burn is pinned to 0.22"
)]
mod libtorch {
    use super::{Backend, Device, ModelError};

    pub(super) fn best() -> Option<Device> {
        if tch::Cuda::is_available() {
            return Some(Device::libtorch_cuda(0usize));
        }
        tch::utils::has_mps().then(Device::libtorch_mps)
    }

    pub(super) fn open(spec: &str) -> Result<Device, ModelError> {
        let missing = |why: &str| ModelError::NoDevice {
            spec: spec.into(),
            why: why.into(),
        };
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
    use super::{Backend, Device, ModelError};

    pub(super) fn best() -> Option<Device> {
        None
    }

    pub(super) fn open(spec: &str) -> Result<Device, ModelError> {
        Err(ModelError::NotBuilt { spec: spec.into() })
    }

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
}
