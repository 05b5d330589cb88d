//! What computing on a GPU rests on: libtorch, NVIDIA's driver, the GPUs; and why none is used where none is.

use serde::Serialize;

/// What was found, for `slm-tune doctor`.
#[derive(Clone, Debug, Serialize)]
pub struct GpuReport {
    /// None where this build has none.
    pub libtorch: Option<Libtorch>,
    pub driver: Option<Driver>,
    pub gpus: Vec<Gpu>,
    /// Why no GPU is used.
    pub unused: Option<Unused>,
}

/// The libtorch that was loaded.
#[derive(Clone, Debug, Serialize)]
pub struct Libtorch {
    pub version: Option<String>,
    /// The version of CUDA that it was built for.
    pub cuda: Option<String>,
    /// The file that it was loaded from.
    pub library: Option<String>,
}

/// NVIDIA's driver.
#[derive(Clone, Debug, Serialize)]
pub struct Driver {
    /// Of the kernel's module; none where the system does not tell.
    pub version: Option<String>,
    /// The newest version of CUDA that it runs; none where this build cannot ask.
    pub cuda: Option<String>,
}

/// A GPU that the driver has.
#[derive(Clone, Debug, Serialize)]
pub struct Gpu {
    /// The word for `model.device`.
    pub spec: String,
    pub name: String,
    /// Compute capability, such as `9.0`.
    pub capability: String,
    pub total_bytes: Option<u64>,
    pub free_bytes: Option<u64>,
    /// Why the kernels of this tool do not run there, and libtorch's operations are taken; none where they run.
    pub without_kernels: Option<String>,
}

/// Why no GPU is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Unused {
    #[error("this build has no GPU backend")]
    NotBuilt,
    #[error("libtorch was built without CUDA")]
    NoCuda,
    #[error("there is no NVIDIA driver")]
    NoDriver,
    #[error("the driver runs CUDA {driver} at most, and libtorch was built for {needed}")]
    OldDriver { driver: String, needed: String },
    #[error("the driver has no GPU to offer")]
    NoDevice,
}

impl Unused {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotBuilt => "build with `--features libtorch`",
            Self::NoCuda => {
                "build with a libtorch for CUDA: `TORCH_CUDA_VERSION=cu128`, or `LIBTORCH`"
            }
            Self::NoDriver => "install NVIDIA's driver; a container needs access to it",
            Self::OldDriver { .. } => "install a newer driver, or a libtorch for an older CUDA",
            Self::NoDevice => {
                "`CUDA_VISIBLE_DEVICES` may hide it, or the container may not have it"
            }
        }
    }
}

/// What decides whether a GPU can be used.
#[cfg(any(test, feature = "libtorch"))]
#[derive(Clone, Copy, Debug)]
struct Facts {
    /// Versions of CUDA, major and minor: that of libtorch, and the newest that the driver runs.
    libtorch: Option<[i64; 2]>,
    driver: Option<[i64; 2]>,
    /// GPUs that libtorch finds.
    gpus: usize,
}

#[cfg(any(test, feature = "libtorch"))]
impl Facts {
    /// A driver runs every CUDA of its major version, and older ones.
    fn unused(self) -> Option<Unused> {
        if self.gpus > 0 {
            return None;
        }
        Some(match (self.libtorch, self.driver) {
            (None, _) => Unused::NoCuda,
            (Some(_), None) => Unused::NoDriver,
            (Some(needed), Some(driver)) if driver[0] < needed[0] => Unused::OldDriver {
                driver: dotted(driver),
                needed: dotted(needed),
            },
            _ => Unused::NoDevice,
        })
    }
}

/// Looks at libtorch, driver and GPUs.
pub fn report() -> GpuReport {
    found::report()
}

/// Bytes of the GPU that `spec` opens for the `nth` process of a machine that can be had; none of a processor, and where the driver
/// does not tell.
pub fn free_bytes(spec: &str, nth: usize) -> Option<u64> {
    found::free_bytes(spec, nth)
}

/// The version of the kernel's module, on Linux.
fn module_version() -> Option<String> {
    let text = fs_err::read_to_string("/proc/driver/nvidia/version").ok()?;
    version_in(&text)
}

/// The first word of the first line that is numbers with dots between.
fn version_in(text: &str) -> Option<String> {
    let is_version =
        |word: &&str| word.contains('.') && word.split('.').all(|part| part.parse::<u32>().is_ok());
    let mut words = text.lines().next()?.split_whitespace();
    words.find(is_version).map(str::to_owned)
}

#[cfg(any(test, feature = "libtorch"))]
fn dotted<T: std::fmt::Display>([major, minor]: [T; 2]) -> String {
    format!("{major}.{minor}")
}

#[cfg(feature = "libtorch")]
mod found {
    use slm_ops::{cuda, gpus, torch_build::TorchBuild};

    use super::*;

    pub(super) fn report() -> GpuReport {
        let (build, driver) = (TorchBuild::loaded(), gpus::driver());
        let usable = usize::try_from(tch::Cuda::device_count()).unwrap_or_default();
        let facts = Facts {
            libtorch: build.cuda,
            driver: driver.as_ref().map(|driver| driver.cuda),
            gpus: usable,
        };
        let has_mps = tch::utils::has_mps();
        let version = module_version();
        let cuda = driver.as_ref().map(|driver| dotted(driver.cuda));
        let gpus = driver.into_iter().flat_map(|driver| driver.gpus);
        GpuReport {
            libtorch: Some(Libtorch {
                version: build.version,
                cuda: build.cuda.map(dotted),
                library: build.library,
            }),
            driver: (version.is_some() || cuda.is_some()).then_some(Driver { version, cuda }),
            gpus: gpus.enumerate().map(|(i, it)| gpu(i, it, usable)).collect(),
            unused: facts.unused().filter(|_| !has_mps),
        }
    }

    fn gpu(index: usize, found: gpus::Gpu, usable: usize) -> Gpu {
        let without_kernels = match index < usable {
            true => cuda::state(index).err(),
            false => Some("libtorch does not find it".into()),
        };
        Gpu {
            spec: format!("libtorch:cuda:{index}"),
            name: found.name,
            capability: dotted(found.capability),
            total_bytes: found.memory.map(|memory| memory.total_bytes),
            free_bytes: found.memory.map(|memory| memory.free_bytes),
            without_kernels,
        }
    }

    pub(super) fn free_bytes(spec: &str, nth: usize) -> Option<u64> {
        let number = spec.strip_prefix("libtorch:cuda")?.trim_start_matches(':');
        let index = match number {
            "" => nth,
            number => number.parse().ok()?,
        };
        Some(gpus::memory(index)?.free_bytes)
    }
}

#[cfg(not(feature = "libtorch"))]
mod found {
    use super::*;

    pub(super) fn report() -> GpuReport {
        let driver = module_version().map(|version| Driver {
            version: Some(version),
            cuda: None,
        });
        GpuReport {
            libtorch: None,
            driver,
            gpus: Vec::new(),
            unused: Some(Unused::NotBuilt),
        }
    }

    pub(super) fn free_bytes(_: &str, _: usize) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_driver_is_read_from_either_kind_of_module() {
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version: 12.3.0\n";
        assert_eq!(version_in(closed).as_deref(), Some("550.54.15"));
        let open =
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build";
        assert_eq!(version_in(open).as_deref(), Some("570.86.15"));
        assert_eq!(version_in("GCC version"), None);
    }

    #[test]
    fn why_no_gpu_is_used() {
        let why = |libtorch, driver, gpus| {
            let facts = Facts {
                libtorch,
                driver,
                gpus,
            };
            facts.unused()
        };
        let (old, new) = (Some([12, 4]), Some([13, 0]));
        assert_eq!(why(None, new, 0), Some(Unused::NoCuda));
        assert_eq!(why(new, None, 0), Some(Unused::NoDriver));
        let text = why(new, old, 0).unwrap().to_string();
        assert_eq!(
            text,
            "the driver runs CUDA 12.4 at most, and libtorch was built for 13.0"
        );
        // A driver runs newer minor versions, and older major ones.
        assert_eq!(why(Some([12, 8]), old, 0), Some(Unused::NoDevice));
        assert_eq!(why(old, new, 0), Some(Unused::NoDevice));
        assert_eq!(why(new, new, 1), None);
    }

    #[test]
    fn a_report_says_why_or_has_a_gpu() {
        let report = report();
        assert_eq!(report.libtorch.is_some(), cfg!(feature = "libtorch"));
        if report.gpus.is_empty() {
            assert!(report.unused.is_some() || tch_has_mps());
        }
        assert_eq!(free_bytes("cpu", 0), None);
    }

    fn tch_has_mps() -> bool {
        crate::device::usable().contains(&"libtorch:mps".to_owned())
    }
}
