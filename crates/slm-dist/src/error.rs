//! What can go wrong between processes.

/// Processes that cannot work together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DistError {
    #[error("`WORLD_SIZE` says that there are several processes, and `{name}` is not set")]
    Unset { name: &'static str },
    #[error("the variable `{name}` is `{found}`, {needed} was needed")]
    Variable {
        name: &'static str,
        found: String,
        needed: &'static str,
    },
    #[error("`WORLD_SIZE` is {world_size}, and this build trains in one process only")]
    NotBuilt { world_size: usize },
    #[error("failed to meet the other processes at `{at}`: {why}")]
    Join { at: String, why: String },
    #[error("the processes stand at different places; this one: {what}")]
    Apart { what: String },
    #[error("another process was lost: {why}")]
    Lost { why: String },
}

impl DistError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unset { .. } | Self::Variable { .. } => {
                "`torchrun --no-python slm-tune train RECIPE` sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and \
                 MASTER_PORT; for one process, unset WORLD_SIZE"
            }
            Self::NotBuilt { .. } => {
                "build with `--features libtorch`; for one process, unset WORLD_SIZE"
            }
            Self::Join { .. } => {
                "every process needs the same MASTER_ADDR and MASTER_PORT, a RANK of its own, and a free port there; \
                 GLOO_SOCKET_IFNAME names the network interface"
            }
            Self::Apart { .. } => {
                "every process needs the same recipe and the same run folder: on several machines, a shared one"
            }
            Self::Lost { .. } => return None,
        };
        Some(hint.into())
    }
}
