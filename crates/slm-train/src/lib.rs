//! One training loop: steps, schedule, optimizer, evaluation, checkpoints.

mod alignment;
mod bench;
mod checkpoint;
mod clip;
mod error;
mod exact;
mod faithfulness;
mod fit;
mod gradients;
mod loss_scale;
mod memory;
mod neftune;
mod optimizer;
mod pace;
mod plateau;
mod practice;
mod preference;
mod ranks;
mod reference;
mod schedule;
mod state_file;
mod stopwatch;
mod teach;
mod teacher_memory;
mod teaching;
mod trainer;
mod watchdog;

pub use alignment::Alignment;
pub use bench::{MeasuredStep, measure_steps};
pub use checkpoint::{Best, Checkpoint, State, latest_checkpoint};
pub use clip::{clip_factor, grad_norm};
pub use error::{Diverged, TrainError};
pub use faithfulness::Faithfulness;
pub use fit::Fit;
pub use gradients::{
    Gather, Gradients, LossOptions, TokenMeans, held_out_means, judged_loss_and_gradients,
    loss_and_gradients, taught_loss_and_gradients,
};
pub use loss_scale::LossScale;
pub use memory::Memory;
pub use optimizer::{Clip, Optimizer};
pub use plateau::Plateau;
pub use practice::{Author, Practice};
pub use preference::{JudgedCounts, JudgedSums, Judging, Preference};
pub use ranks::Ranks;
pub use reference::{Reference, answer_logprobs, divergence};
pub use schedule::Schedule;
pub use stopwatch::PartTimes;
pub use teach::{Taught, teach};
pub use teacher_memory::TeacherShape;
pub use teaching::{Lesson, LiveTeacher, Measure, Teaching, Tutor};
pub use trainer::{Corpus, Options, Outcome, Trainer, Turn, batches_per_epoch, total_steps};
pub use watchdog::Fault;
