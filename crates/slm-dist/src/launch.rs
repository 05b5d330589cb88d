//! Who this process is among those that were launched.

use std::env;

use crate::DistError;

/// What `torchrun` sets, and everybody who launches PyTorch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// This process, from 0; the first one writes.
    pub rank: usize,
    pub world_size: usize,
    /// Where all meet.
    pub address: String,
    pub port: u16,
    /// `torchrun` itself serves the store there; otherwise the first process does.
    pub is_served: bool,
    /// How often `torchrun` has started all of them anew.
    pub restarts: usize,
}

impl Launch {
    /// `None` where this process works alone: without `WORLD_SIZE`, or where it is 1.
    ///
    /// # Errors
    /// A variable is missing or not what it should be.
    pub fn from_env() -> Result<Option<Self>, DistError> {
        Self::read(|name| env::var(name).ok())
    }

    /// The place of this process on its machine, `LOCAL_RANK`, which is the GPU that it takes; 0 where nobody says.
    ///
    /// # Errors
    /// It is not a number.
    pub fn local_rank() -> Result<usize, DistError> {
        let get = |name: &'static str| env::var(name).ok();
        Ok(number(get, "LOCAL_RANK")?.unwrap_or(0))
    }

    fn read(
        get: impl Fn(&'static str) -> Option<String> + Copy,
    ) -> Result<Option<Self>, DistError> {
        let world_size = number(get, "WORLD_SIZE")?.unwrap_or(1);
        if world_size < 2 {
            return Ok(None);
        }
        let said = |name| get(name).filter(|it| !it.is_empty());
        let needed = |name| said(name).ok_or(DistError::Unset { name });
        let rank = number(get, "RANK")?.ok_or(DistError::Unset { name: "RANK" })?;
        if rank >= world_size {
            return Err(wrong("RANK", rank, "a number below `WORLD_SIZE`"));
        }
        let port = needed("MASTER_PORT")?;
        Ok(Some(Self {
            rank,
            world_size,
            address: needed("MASTER_ADDR")?,
            port: port
                .parse()
                .map_err(|_| wrong("MASTER_PORT", port, "a port"))?,
            is_served: said("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|it| it == "True"),
            restarts: number(get, "TORCHELASTIC_RESTART_COUNT")?.unwrap_or(0),
        }))
    }
}

fn number(
    get: impl Fn(&'static str) -> Option<String>,
    name: &'static str,
) -> Result<Option<usize>, DistError> {
    let text = get(name).filter(|it| !it.is_empty());
    let parsed = text.map(|it| it.parse().map_err(|_| wrong(name, it, "a whole number")));
    parsed.transpose()
}

fn wrong(name: &'static str, found: impl ToString, needed: &'static str) -> DistError {
    DistError::Variable {
        name,
        found: found.to_string(),
        needed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Option<Launch>, DistError> {
        let set = |name: &str| set.iter().find(|(it, _)| *it == name);
        Launch::read(|name| set(name).map(|(_, value)| (*value).to_owned()))
    }

    const TWO: [(&str, &str); 4] = [
        ("WORLD_SIZE", "2"),
        ("RANK", "1"),
        ("MASTER_ADDR", "127.0.0.1"),
        ("MASTER_PORT", "29500"),
    ];

    #[test]
    fn one_process_works_alone() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("WORLD_SIZE", "1"), ("RANK", "0")]), Ok(None));
    }

    #[test]
    fn what_torchrun_says_is_taken() {
        let launch = read(&TWO).unwrap().unwrap();
        let found = (
            launch.rank,
            launch.world_size,
            launch.port,
            launch.is_served,
        );
        assert_eq!(found, (1, 2, 29500, false));
        let served = [&TWO[..], &[("TORCHELASTIC_USE_AGENT_STORE", "True")]].concat();
        assert!(read(&served).unwrap().unwrap().is_served);
    }

    #[test]
    fn a_variable_that_is_missing_or_wrong_is_named() {
        for (at, name) in ["RANK", "MASTER_ADDR", "MASTER_PORT"]
            .into_iter()
            .enumerate()
        {
            let mut set = TWO.to_vec();
            set.remove(at + 1);
            assert_eq!(read(&set), Err(DistError::Unset { name }));
        }
        let mut set = TWO;
        set[1].1 = "2";
        let error = read(&set).unwrap_err();
        let text = "the variable `RANK` is `2`, a number below `WORLD_SIZE` was needed";
        assert_eq!(error.to_string(), text);
        assert!(error.hint().unwrap().contains("torchrun"));
    }
}
