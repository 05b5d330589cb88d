//! The machine this runs on.

use std::{
    env::consts::{ARCH, OS},
    path::Path,
    thread::available_parallelism,
};

use sysinfo::{CpuRefreshKind, Disks, MemoryRefreshKind, RefreshKind, System};

/// What `doctor` tells of the machine and the build; `None` where the system does not tell.
pub(crate) struct Machine {
    pub(crate) features: Vec<&'static str>,
    /// The folder that `LIBTORCH` names, where libtorch was built against or is looked for.
    pub(crate) libtorch: Option<String>,
    pub(crate) os: String,
    pub(crate) cpu: String,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) memory_available_bytes: Option<u64>,
    /// Free space on the disk that holds the folder.
    pub(crate) disk_available_bytes: Option<u64>,
}

impl Machine {
    /// Looks at the machine, and at the disk that holds `folder`.
    pub(crate) fn look(folder: &Path) -> Self {
        let looked_at = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(looked_at).ok();
        let cpu = system.as_ref().and_then(|system| system.cpus().first());
        let cpu = cpu.map(|cpu| cpu.brand().trim().to_owned());
        Self {
            features: features(),
            libtorch: std::env::var("LIBTORCH").ok(),
            os: System::long_os_version().unwrap_or_else(|_| OS.into()),
            cpu: cpu
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| ARCH.into()),
            cores: available_parallelism().map_or(1, usize::from),
            memory_bytes: system.as_ref().map(System::total_memory),
            memory_available_bytes: system.as_ref().map(System::available_memory),
            disk_available_bytes: disk_available(folder),
        }
    }
}

/// Memory that can be had without swapping; `None` where the system does not tell.
pub(crate) fn available_memory_bytes() -> Option<u64> {
    let memory = MemoryRefreshKind::nothing().with_ram();
    let looked_at = RefreshKind::nothing().with_memory(memory);
    Some(
        System::new_with_specifics(looked_at)
            .ok()?
            .available_memory(),
    )
}

/// The most memory that this process has held so far; `None` where the system does not tell.
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    // Linux. `VmHWM:     1234 kB`, in units of 1,024 bytes.
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kib)
}

/// Pages of memory that the system had to find for this process so far; `None` where it does not tell.
pub(crate) fn fresh_pages() -> Option<u64> {
    // Linux: behind the name, which ends with the last parenthesis, the eighth field.
    let stat = fs_err::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(7)?.parse().ok()
}

/// Optional parts that were built in.
fn features() -> Vec<&'static str> {
    let mut features = Vec::new();
    if cfg!(feature = "hub") {
        features.push("hub");
    }
    if cfg!(feature = "libtorch") {
        features.push("libtorch");
    }
    features
}

/// Of the disks whose mount point holds `folder`, the one mounted deepest.
fn disk_available(folder: &Path) -> Option<u64> {
    let folder = fs_err::canonicalize(folder).ok()?;
    let disks = Disks::new_with_refreshed_list().ok()?;
    let holders = disks
        .iter()
        .filter(|disk| folder.starts_with(disk.mount_point()));
    let deepest = holders.max_by_key(|disk| disk.mount_point().components().count())?;
    Some(deepest.available_space())
}
