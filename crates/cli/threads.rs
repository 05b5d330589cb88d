//! The threads that compute.

use std::env;
use std::num::NonZero;
use std::thread::available_parallelism;

use rayon::ThreadPoolBuilder;

/// Makes the first thread, which begins each operation, one of those that compute. Otherwise it wakes another one for it, and is woken
/// again, thousands of times in a step (3 to 10 % of its time on two threads).
pub(crate) fn join() {
    let asked = env::var("RAYON_NUM_THREADS").ok();
    let asked = asked.and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    let threads = asked.unwrap_or_else(|| available_parallelism().map_or(1, NonZero::get));
    // What others want of a single one would wait for what it does by itself.
    if threads > 1 {
        let pool = ThreadPoolBuilder::new().num_threads(threads);
        // It fails where threads compute already; then these are taken.
        let _ = pool.use_current_thread().build_global();
    }
}

/// How the threads of libtorch wait for work, on Linux.
///
/// As it is installed, a thread of OpenMP spins for milliseconds before it sleeps, on a core that our own threads or another
/// program needs: beside one busy program, training was ten times slower. OpenMP reads a variable for it when it is loaded, and there is
/// no other way to tell it: so the program starts itself once more with that, unless the user has said how threads wait.
#[cfg(all(feature = "libtorch", target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "before the libraries have begun there is nothing but C's own"
)]
mod openmp {
    use std::ffi::{CStr, c_char, c_int};
    use std::{iter, ptr};

    /// Threads look for work so often before they sleep: for about 20 µs, longer than what lies between two operations of a model.
    const SPINS: &CStr = c"GOMP_SPINCOUNT=10000";
    /// With these the user has said it.
    const SAID: [&[u8]; 2] = [b"GOMP_SPINCOUNT=", b"OMP_WAIT_POLICY="];

    /// A list that ends with null.
    type Words = *const *const c_char;

    /// Called by the loader ahead of what libraries do when they are loaded, which takes libtorch 0.4 s.
    #[used]
    #[unsafe(link_section = ".preinit_array")]
    static FIRST: extern "C" fn(c_int, Words, Words) = sleep_soon;

    extern "C" fn sleep_soon(_: c_int, arguments: Words, environment: Words) {
        // SAFETY: the loader gives lists, whose words live as long as the program.
        let mut variables: Vec<*const c_char> = unsafe { words(environment) }.collect();
        let is_said = |variable: &*const c_char| {
            // SAFETY: as above, and each word ends with a zero.
            let variable = unsafe { CStr::from_ptr(*variable) }.to_bytes();
            SAID.iter().any(|name| variable.starts_with(name))
        };
        if variables.iter().any(is_said) {
            return;
        }
        variables.extend([SPINS.as_ptr(), ptr::null()]);
        let mut program = [0u8; libc::PATH_MAX as usize];
        let room = program.len() - 1;
        // SAFETY: there is room for what is written, behind which a zero remains; both lists end with null. `execve` returns only
        // where the program cannot be started again; then threads wait as they are installed to.
        unsafe {
            let link = c"/proc/self/exe".as_ptr();
            if libc::readlink(link, program.as_mut_ptr().cast(), room) > 0 {
                libc::execve(program.as_ptr().cast(), arguments, variables.as_ptr());
            }
        }
    }

    /// # Safety
    /// It is a list that ends with null.
    unsafe fn words(list: Words) -> impl Iterator<Item = *const c_char> {
        let places = iter::successors(Some(list), |at| Some(at.wrapping_add(1)));
        // SAFETY: nothing behind the null is read.
        let words = places.map(|at| unsafe { *at });
        words.take_while(|word| !word.is_null())
    }
}
