//! Where the time of a step goes.
//!
//! The loop calls [`lap`] at the end of each part. While nobody measures that is one look at a flag; a measurement waits for
//! the device at every lap, so that the work of a part is counted there. One measurement a thread, for the loop is one.

use std::cell::RefCell;
use std::time::Instant;

use burn::tensor::Device;

/// A part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Rows to padded integers.
    Data,
    /// From embedding to final norm.
    Forward,
    /// Head and loss; also their gradients, where they are made in the same pass.
    Head,
    /// From the loss to the adapter's gradients.
    Backward,
    /// Clipping and the update.
    Optimizer,
}

/// Seconds by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct PartTimes {
    pub data_s: f64,
    pub forward_s: f64,
    pub head_s: f64,
    pub backward_s: f64,
    pub optimizer_s: f64,
}

impl PartTimes {
    fn of(&mut self, part: Part) -> &mut f64 {
        match part {
            Part::Data => &mut self.data_s,
            Part::Forward => &mut self.forward_s,
            Part::Head => &mut self.head_s,
            Part::Backward => &mut self.backward_s,
            Part::Optimizer => &mut self.optimizer_s,
        }
    }
}

struct Stopwatch {
    device: Device,
    lap_began: Instant,
    times: PartTimes,
}

thread_local! {
    static RUNNING: RefCell<Option<Stopwatch>> = const { RefCell::new(None) };
}

/// Begins to measure the work on `device` that this thread asks for.
pub(crate) fn start(device: &Device) {
    wait_for(device);
    let started = Stopwatch {
        device: device.clone(),
        lap_began: Instant::now(),
        times: PartTimes::default(),
    };
    RUNNING.set(Some(started));
}

/// Counts the time since the last lap, or since the start, as that of `part`.
pub(crate) fn lap(part: Part) {
    RUNNING.with_borrow_mut(|running| {
        let Some(it) = running else { return };
        wait_for(&it.device);
        let now = Instant::now();
        *it.times.of(part) += (now - it.lap_began).as_secs_f64();
        it.lap_began = now;
    });
}

/// Ends the measurement.
pub(crate) fn stop() -> PartTimes {
    RUNNING.take().map(|it| it.times).unwrap_or_default()
}

/// An error of the device belongs to the operation that reads its result.
fn wait_for(device: &Device) {
    let _ = device.sync();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laps_count_only_while_it_runs() {
        lap(Part::Forward);
        assert_eq!(stop(), PartTimes::default());
        start(&Device::flex());
        std::thread::sleep(std::time::Duration::from_millis(5));
        lap(Part::Head);
        lap(Part::Backward);
        let times = stop();
        assert!(
            times.head_s >= 0.005 && times.backward_s < 0.005,
            "{times:?}"
        );
        assert_eq!(times.forward_s, 0.0);
    }
}
