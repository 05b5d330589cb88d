//! What `doctor` says of libtorch, the driver and the GPUs.

use slm_model::gpu::{Driver, Gpu, GpuReport, Libtorch};

use crate::table::size;

/// Names and what is said of them; `folder` is what `LIBTORCH` names.
pub(crate) fn rows(report: &GpuReport, folder: Option<String>) -> Vec<[String; 2]> {
    let libtorch = match (&report.libtorch, folder) {
        (Some(libtorch), _) => loaded(libtorch),
        (None, Some(folder)) => format!("not built; `LIBTORCH` is `{folder}`"),
        (None, None) => "not built; `LIBTORCH` is not set".into(),
    };
    let driver = report.driver.as_ref().map_or("none".into(), driver);
    let mut rows = vec![
        ["libtorch".into(), libtorch],
        ["NVIDIA driver".into(), driver],
    ];
    let gpus = report.gpus.iter();
    rows.extend(gpus.map(|gpu| [gpu.spec.clone(), state(gpu)]));
    if let Some(why) = &report.unused {
        rows.push(["GPU".into(), format!("none: {why}; {}", why.hint())]);
    }
    rows
}

fn loaded(it: &Libtorch) -> String {
    let version = it.version.as_deref().unwrap_or("of unknown version");
    let cuda = match &it.cuda {
        Some(cuda) => format!("for CUDA {cuda}"),
        None => "without CUDA".into(),
    };
    match &it.library {
        Some(library) => format!("{version} {cuda}, `{library}`"),
        None => format!("{version} {cuda}"),
    }
}

fn driver(it: &Driver) -> String {
    let version = it.version.as_deref().unwrap_or("of unknown version");
    match &it.cuda {
        Some(cuda) => format!("{version}, up to CUDA {cuda}"),
        None => version.into(),
    }
}

fn state(it: &Gpu) -> String {
    let known = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), size);
    let kernels = match &it.without_kernels {
        None => "our kernels run".into(),
        Some(why) => format!("without our kernels: {why}"),
    };
    format!(
        "{}, {} free of {}, compute capability {}, {kernels}",
        it.name,
        known(it.free_bytes),
        known(it.total_bytes),
        it.capability
    )
}

#[cfg(test)]
mod tests {
    use slm_model::gpu::Unused;

    use super::*;

    fn told(report: &GpuReport) -> Vec<String> {
        let rows = rows(report, None);
        rows.iter()
            .map(|[name, text]| format!("{name}: {text}"))
            .collect()
    }

    #[test]
    fn a_gpu_is_told_with_its_memory_and_kernels() {
        let gpu = |index: usize, without_kernels: Option<&str>| Gpu {
            spec: format!("libtorch:cuda:{index}"),
            name: "NVIDIA H100".into(),
            capability: "9.0".into(),
            total_bytes: Some(80_000_000_000),
            free_bytes: Some(79_000_000_000),
            without_kernels: without_kernels.map(str::to_owned),
        };
        let report = GpuReport {
            libtorch: Some(Libtorch {
                version: Some("2.9.0".into()),
                cuda: Some("12.8".into()),
                library: Some("/opt/libtorch/lib/libtorch_cpu.so".into()),
            }),
            driver: Some(Driver {
                version: Some("570.86.15".into()),
                cuda: Some("12.8".into()),
            }),
            gpus: vec![
                gpu(0, None),
                gpu(1, Some("there is no `nvrtcCompileProgram`")),
            ],
            unused: None,
        };
        assert_eq!(
            told(&report),
            [
                "libtorch: 2.9.0 for CUDA 12.8, `/opt/libtorch/lib/libtorch_cpu.so`",
                "NVIDIA driver: 570.86.15, up to CUDA 12.8",
                "libtorch:cuda:0: NVIDIA H100, 79.0 GB free of 80.0 GB, compute capability 9.0, our kernels run",
                "libtorch:cuda:1: NVIDIA H100, 79.0 GB free of 80.0 GB, compute capability 9.0, \
                 without our kernels: there is no `nvrtcCompileProgram`",
            ]
        );
    }

    #[test]
    fn without_a_gpu_the_reason_is_told() {
        let report = GpuReport {
            libtorch: None,
            driver: None,
            gpus: Vec::new(),
            unused: Some(Unused::NotBuilt),
        };
        assert_eq!(
            told(&report),
            [
                "libtorch: not built; `LIBTORCH` is not set",
                "NVIDIA driver: none",
                "GPU: none: this build has no GPU backend; build with `--features libtorch`",
            ]
        );
    }
}
