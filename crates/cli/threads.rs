//! The threads that compute.

use std::env;
use std::num::NonZero;
use std::thread::available_parallelism;

use rayon::ThreadPoolBuilder;

#[cfg(all(feature = "libtorch", target_os = "linux"))]
pub(crate) use openmp::sleep_soon;

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
#[cfg(all(feature = "libtorch", target_os = "linux"))]
mod openmp {
    use std::{env, os::unix::process::CommandExt, process::Command};

    use crate::args::Verb;

    /// Says how often OpenMP's threads look for work before they sleep.
    const VARIABLE: &str = "GOMP_SPINCOUNT";
    /// About 20 µs: longer than what lies between two operations of a model.
    const SPINS: &str = "10000";

    /// Starts a program that computes anew, once, with threads that sleep soon; nothing happens where the user has said how they wait.
    ///
    /// As it is installed, a thread of OpenMP spins for milliseconds before it sleeps, on a core that our own threads or another
    /// program needs: beside one busy program, training was ten times slower. OpenMP reads the variable before `main`, and there is no
    /// other way to tell it.
    pub(crate) fn sleep_soon(verb: &Verb) {
        let computes = matches!(
            verb,
            Verb::Bench(_)
                | Verb::Train(_)
                | Verb::Resume(_)
                | Verb::Eval(_)
                | Verb::Export(_)
                | Verb::Chat(_)
                | Verb::Generate(_)
                | Verb::Logits(_)
        );
        let is_said = [VARIABLE, "OMP_WAIT_POLICY"]
            .iter()
            .any(|name| env::var_os(name).is_some());
        if is_said || !computes {
            return;
        }
        let mut words = env::args_os();
        if let (Ok(program), Some(name)) = (env::current_exe(), words.next()) {
            let mut again = Command::new(program);
            // Returns only where the program cannot be started again; then threads wait as they are installed to.
            let _ = again.arg0(name).args(words).env(VARIABLE, SPINS).exec();
        }
    }
}
