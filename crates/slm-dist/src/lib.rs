//! Several processes that train one model: who they are, sums over all of them, and words from the first to the others.
//!
//! The engine is PyTorch's own, c10d of libtorch, and so is how it is launched: `torchrun`, Slurm and Kubernetes say by the same
//! variables who is who.

#[cfg(feature = "libtorch")]
mod c10d;
mod error;
#[cfg(feature = "libtorch")]
mod group;
mod launch;
#[cfg(not(feature = "libtorch"))]
mod nobody;

pub use error::DistError;
#[cfg(feature = "libtorch")]
pub use group::{Group, InPlace, Pending, engines};
pub use launch::Launch;
#[cfg(not(feature = "libtorch"))]
pub use nobody::{Group, Pending, engines};
