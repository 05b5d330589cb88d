//! Events as a person or a program wants to read them while a stage works.

use std::{
    collections::HashMap,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use slm_data::MaskProof;
use slm_run::{Event, StageStatus};

use crate::{
    mask, readings,
    table::{duration, size},
    terminal::Terminal,
};

/// After this long without a line, progress is one.
const SILENCE: Duration = Duration::from_secs(30);

/// Shows events on stderr, or as JSON lines on stdout.
pub(crate) struct Reporter {
    style: Style,
    bar: Option<ProgressBar>,
    started: HashMap<String, Instant>,
    warnings: Vec<String>,
    /// When the last line was printed.
    printed: Instant,
    /// Steps between two lines.
    pub(crate) log_every: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Bars,
    Lines,
    Json,
    Warnings,
    Quiet,
}

impl Reporter {
    pub(crate) fn new(terminal: &Terminal, json: bool) -> Self {
        let style = match (terminal.quiet, json) {
            (true, _) => Style::Quiet,
            (false, true) => Style::Json,
            (false, false) if io::stderr().is_terminal() => Style::Bars,
            (false, false) => Style::Lines,
        };
        Self::with(style)
    }

    /// For work behind a result that is printed at once: warnings only.
    pub(crate) fn warnings(terminal: &Terminal) -> Self {
        Self::with(if terminal.quiet {
            Style::Quiet
        } else {
            Style::Warnings
        })
    }

    fn with(style: Style) -> Self {
        Self {
            style,
            bar: None,
            started: HashMap::new(),
            warnings: Vec::new(),
            printed: Instant::now(),
            log_every: 1,
        }
    }

    /// What the user should look at, of all that was shown.
    pub(crate) fn warnings_so_far(&self) -> &[String] {
        &self.warnings
    }

    /// Shows one event.
    pub(crate) fn show(&mut self, event: Event) {
        match self.style {
            Style::Quiet => {}
            Style::Warnings => {
                if matches!(event, Event::Warning { .. }) {
                    self.print(&event);
                }
            }
            Style::Json => {
                if let Ok(line) = serde_json::to_string(&event) {
                    // Whoever reads the events may have gone; the work goes on.
                    let _ = writeln!(io::stdout(), "{line}");
                }
            }
            Style::Bars => self.draw(&event),
            Style::Lines => self.print(&event),
        }
        self.remember(event);
    }

    /// Shows what is learned.
    pub(crate) fn mask(&mut self, proof: &MaskProof) {
        match self.style {
            Style::Quiet | Style::Warnings => {}
            Style::Json => {
                let sides = proof
                    .sides()
                    .map(|(side, proof)| (side.name(), json!(proof)));
                let sides = sides.chain([("event", json!("mask"))]);
                let event: serde_json::Value = sides.collect();
                let _ = writeln!(io::stdout(), "{event}");
            }
            Style::Bars | Style::Lines => {
                self.clear();
                let _ = mask::write(proof, &mut io::stderr());
            }
        }
    }

    fn remember(&mut self, event: Event) {
        match event {
            Event::Stage {
                name,
                status: StageStatus::Started,
            } => drop(self.started.insert(name, Instant::now())),
            Event::Warning { text } => self.warnings.push(text),
            _ => {}
        }
    }

    fn draw(&mut self, event: &Event) {
        match event {
            Event::Progress {
                stage,
                done,
                total,
                unit,
            } => {
                let bar = self.bar(*total, stage);
                bar.set_position(*done);
                bar.set_message(match *total {
                    0 => unit.clone(),
                    _ => format!("{unit}, {} left", duration(bar.eta().as_secs_f64())),
                });
            }
            Event::Step {
                step, total_steps, ..
            } => {
                let message = readings::step_by_time(event);
                let bar = self.bar(*total_steps as u64, "train");
                bar.set_position(*step as u64);
                bar.set_message(message);
            }
            Event::Stage { status, .. } => {
                if *status != StageStatus::Started {
                    self.clear();
                }
                self.print(event);
            }
            _ => self.print(event),
        }
    }

    /// The bar for what is going on; a new one where the total differs from that of the last.
    fn bar(&mut self, total: u64, name: &str) -> &ProgressBar {
        let fits = |bar: &ProgressBar| bar.length() == Some(total) && bar.prefix() == name;
        if !self.bar.as_ref().is_some_and(fits) {
            self.clear();
        }
        self.bar.get_or_insert_with(|| {
            let template = match total {
                0 => "{prefix:>9} {human_pos} {wide_msg}",
                _ => "{prefix:>9} {bar:16} {human_pos}/{human_len} {wide_msg}",
            };
            let style = ProgressStyle::with_template(template);
            let bar =
                ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(8));
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(name.to_owned());
            bar
        })
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn print(&mut self, event: &Event) {
        let Some(line) = self.line(event) else { return };
        self.printed = Instant::now();
        match &self.bar {
            Some(bar) => bar.suspend(|| write_line(&line)),
            None => write_line(&line),
        }
    }

    fn line(&self, event: &Event) -> Option<String> {
        Some(match event {
            Event::Stage { name, status } => self.stage_line(name, *status),
            Event::Note { text } => format!("note: {text}"),
            Event::Warning { text } => format!("warning: {text}"),
            Event::Progress {
                stage,
                done,
                total,
                unit,
            } if self.printed.elapsed() > SILENCE => match total {
                0 => format!("{stage}: {done} {unit}"),
                total => format!("{stage}: {done} of {total} {unit}"),
            },
            Event::Progress { .. } => return None,
            Event::Step {
                step, total_steps, ..
            } => {
                if !step.is_multiple_of(self.log_every) && *step != 1 && step != total_steps {
                    return None;
                }
                format!("step {step}/{total_steps}: {}", readings::step(event))
            }
            Event::Eval { step, .. } => format!("step {step}: {}", readings::evaluation(event)),
            Event::Checkpoint { step, path } => {
                format!("step {step}: checkpoint `{}`", path.display())
            }
            Event::Wrote { path, size_bytes } => {
                format!("wrote `{}` ({})", path.display(), size(*size_bytes))
            }
        })
    }

    fn stage_line(&self, name: &str, status: StageStatus) -> String {
        let took = self.started.get(name).map(Instant::elapsed);
        match (status, took) {
            (StageStatus::Skipped, _) => format!("{name}: skipped, its inputs did not change"),
            (StageStatus::Started, _) | (_, None) => format!("{name}: {}", status.name()),
            (_, Some(took)) => {
                let took = duration(took.as_secs_f64());
                format!("{name}: {} in {took}", status.name())
            }
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.clear();
    }
}

fn write_line(line: &str) {
    // Progress that cannot be shown is no reason to stop the work.
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reporter() -> Reporter {
        Reporter::with(Style::Lines)
    }

    fn step(step: usize, total_steps: usize) -> Event {
        Event::Step {
            step,
            total_steps,
            epoch: 0.5,
            loss: 1.25,
            entropy: 1.1,
            token_accuracy: 0.612,
            rewards: None,
            taught: None,
            lr: 2e-4,
            grad_norm: 1.0,
            tokens: 100,
            learned_tokens: 10,
            tokens_per_s: 1234.5,
            eta_s: 185.0,
        }
    }

    #[test]
    fn a_step_is_told_with_speed_and_time_left() {
        assert_eq!(
            reporter().line(&step(10, 100)).unwrap(),
            "step 10/100: loss 1.2500, accuracy 61.2 %, entropy 1.1000, gradient 1.0000, lr 2.00e-4, 10 learned, \
             1,234 tokens/s, 3m 05s left"
        );
    }

    #[test]
    fn a_log_has_every_tenth_step_and_the_first_and_the_last() {
        let mut reporter = reporter();
        reporter.log_every = 10;
        let is_told = |at: &usize| reporter.line(&step(*at, 25)).is_some();
        let told: Vec<_> = (1..=25).filter(is_told).collect();
        assert_eq!(told, [1, 10, 20, 25]);
    }

    #[test]
    fn a_skipped_stage_says_why() {
        let event = Event::Stage {
            name: "data".into(),
            status: StageStatus::Skipped,
        };
        assert_eq!(
            reporter().line(&event).unwrap(),
            "data: skipped, its inputs did not change"
        );
    }
}
