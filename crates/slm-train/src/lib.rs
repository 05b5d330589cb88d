//! One training loop: steps, schedule, optimizer, evaluation, checkpoints.

mod checkpoint;
mod error;
mod gradients;
mod optimizer;
mod schedule;
mod trainer;

pub use checkpoint::{Checkpoint, State, latest_checkpoint};
pub use error::TrainError;
pub use gradients::{Gradients, LossOptions, TokenMeans, held_out_means, loss_and_gradients};
pub use optimizer::{AdamW, clip};
pub use schedule::Schedule;
pub use trainer::{Corpus, Options, Outcome, Trainer, total_steps};
