//! Memory that a step gives back is kept for the next one.

/// Tells the allocator to keep what is freed, before anything large is asked for. A step makes and drops hundreds of large
/// buffers; as it is installed, glibc gives each back to the system, and the next one is zeroed page by page again.
///
/// An arena for each thread that computes and one for the first, which asks for what is large: passes that run side by side would
/// wait for each other's small buffers (evaluation of a small model took 1.7 times as long with one arena; training the same). What one arena
/// keeps serves no other: a step at 15M holds 244 MB with one, and 300 where the heap falls so that a thread keeps its 64 MiB.
///
/// Serves what libtorch asks for as well. Other allocators are left as they are: musl has no such switch, and those of macOS
/// and Windows are not measured.
pub(crate) fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The heap grows by so many bytes at least.
        const TOP_PAD: i32 = 64 << 20;
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let arenas = i32::try_from(threads + 1).unwrap_or(1);
        let settings = [
            (libc::M_MMAP_MAX, 0),
            (libc::M_TRIM_THRESHOLD, -1),
            (libc::M_TOP_PAD, TOP_PAD),
            (libc::M_ARENA_MAX, arenas),
        ];
        for (parameter, value) in settings {
            // SAFETY: `mallopt` takes two integers and changes how later calls of malloc behave; no other thread runs yet.
            // A setting that this glibc refuses leaves the allocator as it was.
            #[expect(unsafe_code, reason = "mallopt has no safe form")]
            unsafe {
                libc::mallopt(parameter, value);
            }
        }
    }
}
