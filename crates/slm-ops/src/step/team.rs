//! Threads that share one piece of work after another, and do not sleep between them.

use std::cell::UnsafeCell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

/// How often a helper looks for work before it lets others run each time, and before it sleeps.
const SPINS: usize = 1 << 12;
const TRIES: usize = SPINS + (1 << 8);

/// The caller and its helpers.
///
/// A piece of work is a number of tasks, of which everybody takes the next one until there is none. Work between two pieces is shorter
/// than it takes to wake a thread, so helpers spin; where nothing comes for longer, they sleep.
pub struct Team<'a> {
    shared: &'a Shared,
    helpers: Vec<thread::Thread>,
}

/// A piece of work: called with the number of each task.
type Job = *const (dyn Fn(usize) + Sync);

#[derive(Default)]
struct Shared {
    /// Which piece of work, the next task, how many there are. One number, so that a helper that comes late cannot take a task of
    /// a piece that it has not seen.
    state: AtomicU64,
    done: AtomicUsize,
    job: UnsafeCell<Option<Job>>,
    is_over: AtomicBool,
    has_sleepers: AtomicBool,
}

// SAFETY: `job` is written by the caller alone while no task is there to be taken, and read by those who took one.
#[expect(unsafe_code, reason = "threads share the pointer to the work")]
unsafe impl Sync for Shared {}

const NEXT: u64 = 1 << 16;
const PIECE: u64 = 1 << 32;

impl Team<'_> {
    /// `work` with as many threads as rayon's pool has.
    pub fn of_all<R>(work: impl FnOnce(&mut Team<'_>) -> R) -> R {
        Team::with(rayon::current_num_threads(), work)
    }

    /// `work` with a team of `threads`, the caller among them.
    pub fn with<R>(threads: usize, work: impl FnOnce(&mut Team<'_>) -> R) -> R {
        let shared = Shared::default();
        thread::scope(|scope| {
            let helpers = (1..threads).map(|_| scope.spawn(|| help(&shared)));
            let helpers = helpers.map(|helper| helper.thread().clone()).collect();
            let mut team = Team {
                shared: &shared,
                helpers,
            };
            let _end = End(&shared, &team.helpers.clone());
            work(&mut team)
        })
    }

    /// How many there are, the caller among them.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// `work(0)` to `work(n - 1)`, in no order. At most 65,535 tasks.
    pub fn run(&mut self, n: usize, work: &(dyn Fn(usize) + Sync)) {
        if self.helpers.is_empty() || n == 1 {
            return (0..n).for_each(work);
        }
        assert!(n < NEXT as usize, "a piece of work has few tasks");
        let shared = self.shared;
        let piece = shared.state.load(Ordering::Relaxed) / PIECE + 1;
        shared.done.store(0, Ordering::Relaxed);
        #[expect(unsafe_code, reason = "the work outlives the tasks")]
        // SAFETY: all tasks of the piece before are done, so nobody reads it; and nobody reads this one after `wait` went.
        unsafe {
            *shared.job.get() =
                Some(std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Job>(work));
        }
        shared
            .state
            .store((piece % PIECE * PIECE) | n as u64, Ordering::SeqCst);
        if shared.has_sleepers.load(Ordering::SeqCst) {
            self.helpers.iter().for_each(thread::Thread::unpark);
        }
        let wait = Wait(shared, n);
        while let Some(task) = shared.take() {
            let _done = Done(shared);
            work(task);
        }
        drop(wait);
    }

    /// `work(first, pieces)` on pieces of length `chunk` of each of `outs`, which are equally long.
    pub fn split<const N: usize>(
        &mut self,
        outs: [&mut [f32]; N],
        chunk: usize,
        work: impl Fn(usize, [&mut [f32]; N]) + Sync,
    ) {
        let n = outs.first().map_or(0, |out| out.len());
        let pieces: Vec<Range<usize>> = (0..n.div_ceil(chunk))
            .map(|i| i * chunk..n.min((i + 1) * chunk))
            .collect();
        self.split_at(outs, &pieces, |i, outs| work(i * chunk, outs));
    }

    /// `work(i, pieces)` on the pieces of each of `outs`, in ascending order.
    pub fn split_at<const N: usize>(
        &mut self,
        outs: [&mut [f32]; N],
        pieces: &[Range<usize>],
        work: impl Fn(usize, [&mut [f32]; N]) + Sync,
    ) {
        let ends = pieces.iter().scan(0, |end, piece| {
            let fits = *end <= piece.start && piece.start <= piece.end;
            *end = piece.end;
            Some(fits)
        });
        assert!(ends.fold(true, |all, fits| all & fits), "pieces ascend");
        let last = pieces.last().map_or(0, |piece| piece.end);
        let outs = outs.map(|out| {
            assert!(last <= out.len(), "pieces lie in what is split");
            Start(out.as_mut_ptr())
        });
        self.run(pieces.len(), &|i| {
            let Range { start, end } = pieces[i].clone();
            #[expect(unsafe_code, reason = "each task writes a piece of its own")]
            // SAFETY: pieces lie in the slices and do not overlap, and each is taken once; the slices are borrowed until all are done.
            let own = outs
                .each_ref()
                .map(|out| unsafe { std::slice::from_raw_parts_mut(out.at(start), end - start) });
            work(i, own);
        });
    }
}

/// Where a slice that is split begins.
struct Start(*mut f32);

#[expect(unsafe_code, reason = "each task writes a piece of its own")]
// SAFETY: what is done with it is said where it is used.
unsafe impl Sync for Start {}

impl Start {
    fn at(&self, place: usize) -> *mut f32 {
        self.0.wrapping_add(place)
    }
}

impl Shared {
    /// The next task, where there is one.
    fn take(&self) -> Option<usize> {
        let mut state = self.state.load(Ordering::SeqCst);
        loop {
            let (next, n) = (state / NEXT % NEXT, state % NEXT);
            if next >= n {
                return None;
            }
            let taken = self.state.compare_exchange_weak(
                state,
                state + NEXT,
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
            match taken {
                Ok(_) => return Some(next as usize),
                Err(now) => state = now,
            }
        }
    }
}

fn help(shared: &Shared) {
    let mut idle = 0;
    while !shared.is_over.load(Ordering::SeqCst) {
        if let Some(task) = shared.take() {
            let _done = Done(shared);
            #[expect(unsafe_code, reason = "the work outlives the tasks")]
            // SAFETY: it was written before the task could be taken, and lives until this task is done.
            if let Some(work) = unsafe { (*shared.job.get()).map(|work| &*work) } {
                work(task);
            }
            idle = 0;
            continue;
        }
        idle += 1;
        match idle {
            0..SPINS => std::hint::spin_loop(),
            SPINS..TRIES => thread::yield_now(),
            _ => sleep(shared),
        }
    }
}

/// Until there may be work: whoever has some looks for sleepers after it is there, as a sleeper looks for work after it said so.
fn sleep(shared: &Shared) {
    shared.has_sleepers.store(true, Ordering::SeqCst);
    let state = shared.state.load(Ordering::SeqCst);
    let has_work = state / NEXT % NEXT < state % NEXT;
    if !has_work && !shared.is_over.load(Ordering::SeqCst) {
        thread::park();
    }
    shared.has_sleepers.store(false, Ordering::SeqCst);
}

/// Counts a task as done, also when it panics.
struct Done<'a>(&'a Shared);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.done.fetch_add(1, Ordering::Release);
    }
}

/// Waits until all tasks are done; those that a panic left are nobody's.
struct Wait<'a>(&'a Shared, usize);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        while self.0.take().is_some() {
            self.0.done.fetch_add(1, Ordering::Release);
        }
        let mut spins = 0;
        while self.0.done.load(Ordering::Acquire) < self.1 {
            spins += 1;
            match spins {
                0..SPINS => std::hint::spin_loop(),
                _ => thread::yield_now(),
            }
        }
    }
}

/// Sends the helpers home.
struct End<'a>(&'a Shared, &'a [thread::Thread]);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
        self.1.iter().for_each(thread::Thread::unpark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_done_once() {
        for threads in [1, 2, 5] {
            Team::with(threads, |team| {
                let mut sums = vec![0.0; 100];
                for round in 0..200 {
                    team.split([&mut sums], 7, |first, [piece]| {
                        for (i, sum) in piece.iter_mut().enumerate() {
                            *sum += (first + i) as f32;
                        }
                    });
                    if round == 100 {
                        // Helpers are asleep after this.
                        thread::sleep(std::time::Duration::from_millis(50));
                    }
                }
                let want: Vec<f32> = (0..100).map(|i| (200 * i) as f32).collect();
                assert_eq!(sums, want, "{threads} threads");
            });
        }
    }

    #[test]
    fn pieces_may_leave_gaps() {
        Team::with(2, |team| {
            let (mut a, mut b) = ([0.0; 6], [0.0; 6]);
            let pieces = [0..1, 2..5];
            team.split_at([&mut a, &mut b], &pieces, |i, [a, b]| {
                a.fill(i as f32 + 1.0);
                b.fill(-1.0);
            });
            assert_eq!(a, [1.0, 0.0, 2.0, 2.0, 2.0, 0.0]);
            assert_eq!(b, [-1.0, 0.0, -1.0, -1.0, -1.0, 0.0]);
        });
    }

    #[test]
    #[should_panic(expected = "task 3")]
    fn a_panic_ends_the_work() {
        Team::with(1, |team| team.run(5, &|i| assert!(i != 3, "task {i}")));
    }
}
