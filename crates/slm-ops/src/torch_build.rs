//! The libtorch that was loaded, in numbers.

use crate::aten;

/// What libtorch says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorchBuild {
    /// Such as `2.9.0`.
    pub version: Option<String>,
    /// Major and minor version of the CUDA that it was built for.
    pub cuda: Option<[i64; 2]>,
    /// The file that it was loaded from.
    pub library: Option<String>,
}

impl TorchBuild {
    /// Of the libtorch of this process.
    pub fn loaded() -> Self {
        Self {
            version: aten::config().and_then(|config| version_in(&config)),
            cuda: aten::cuda_version().map(cuda_version),
            library: aten::library(),
        }
    }
}

/// Lets products of f32 on CUDA round what they multiply to TF32 (10 bits of mantissa), in the whole process, or forbids it.
pub fn allow_tf32(allowed: bool) {
    aten::set_tf32(allowed);
}

/// Whether [`allow_tf32`] has allowed it.
pub fn tf32_is_allowed() -> bool {
    aten::tf32()
}

/// Of `..., TORCH_VERSION=2.9.0, ...` among the settings of the build.
fn version_in(config: &str) -> Option<String> {
    let (_, rest) = config.split_once("TORCH_VERSION=")?;
    let version = rest.split([',', '\n', ' ']).next()?;
    Some(version.to_owned())
}

/// As CUDA packs it: 12080 is 12.8.
pub(crate) fn cuda_version(packed: i64) -> [i64; 2] {
    [packed / 1000, packed % 1000 / 10]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_libtorch_says() {
        let config = "PyTorch built with:\n  - GCC 13.3\n  - Build settings: BLAS_INFO=mkl, TORCH_VERSION=2.9.0, USE_CUDA=0, \n";
        assert_eq!(version_in(config).as_deref(), Some("2.9.0"));
        assert_eq!(version_in("PyTorch built with:"), None);
        assert_eq!(cuda_version(12_080), [12, 8]);
        assert_eq!(cuda_version(13_000), [13, 0]);
    }

    #[test]
    fn the_loaded_library_is_named() {
        let build = TorchBuild::loaded();
        let version = build.version.unwrap();
        assert!(version.starts_with("2."), "{version}");
        let library = build.library.unwrap();
        assert!(library.contains("libtorch"), "{library}");
    }

    #[test]
    fn tf32_is_off_until_it_is_allowed() {
        assert!(!tf32_is_allowed());
        allow_tf32(true);
        assert!(tf32_is_allowed());
        allow_tf32(false);
        assert!(!tf32_is_allowed());
    }
}
