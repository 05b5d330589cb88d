//! How fast it goes, and how long it will take.

use std::collections::VecDeque;
use std::time::Duration;

/// Steps that the speed is measured over.
const WINDOW: usize = 16;

/// Tokens and times of the last steps; evaluations and checkpoints do not count.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    last: VecDeque<(usize, f64)>,
}

impl Pace {
    /// Takes a step in. Tokens per second over the last steps, and seconds until the last of `left` more.
    pub(crate) fn measure(&mut self, tokens: usize, took: Duration, left: usize) -> (f64, f64) {
        if self.last.len() == WINDOW {
            self.last.pop_front();
        }
        self.last.push_back((tokens, took.as_secs_f64()));
        let tokens: usize = self.last.iter().map(|(tokens, _)| tokens).sum();
        let elapsed_s: f64 = self.last.iter().map(|(_, s)| s).sum();
        let per_step_s = elapsed_s / self.last.len() as f64;
        (tokens as f64 / elapsed_s, per_step_s * left as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_steps_count() {
        let mut pace = Pace::default();
        let second = Duration::from_secs(1);
        assert_eq!(pace.measure(100, second, 10), (100.0, 10.0));
        assert_eq!(pace.measure(300, 3 * second, 10), (100.0, 20.0));
        for _ in 0..WINDOW {
            pace.measure(50, second, 0);
        }
        assert_eq!(pace.measure(50, second, 4), (50.0, 4.0));
    }
}
