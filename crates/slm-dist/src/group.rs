//! The processes of a launch, met.

use std::net::{IpAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use tch::Tensor;

use crate::c10d::{Meeting, Members, Sum};
use crate::{DistError, Launch};

/// How long processes wait to meet: PyTorch's own for a store.
const MEETING: Duration = Duration::from_secs(5 * 60);
/// How long they wait for each other in a sum: PyTorch's own for Gloo. One that ends is noticed at once.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// How long the others wait for a word of the first: while it measures a task or exports, hours may pass.
const LONG_PATIENCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The processes that train together, as one of them sees it.
#[derive(Debug)]
pub struct Group {
    rank: usize,
    world_size: usize,
    members: Members,
}

/// A sum that is under way.
#[derive(Debug)]
pub struct Pending {
    values: Tensor,
    sum: Sum,
}

impl Group {
    /// Meets the others; waits until all have come.
    ///
    /// # Errors
    /// They do not come, or this one cannot reach them.
    pub fn join(launch: &Launch) -> Result<Self, DistError> {
        let failed = |why: String| DistError::Join {
            at: format!("{}:{}", launch.address, launch.port),
            why,
        };
        let serves = launch.rank == 0 && !launch.is_served;
        let listener = match serves {
            true => on_loopback(launch).map_err(|error| failed(error.to_string()))?,
            false => None,
        };
        let meeting = Meeting {
            address: &launch.address,
            port: launch.port,
            rank: launch.rank,
            world_size: launch.world_size,
            serves,
            listener,
            // A restart by torchrun meets in the same store as the attempt before it.
            prefix: &format!("slm-tune/{}", launch.restarts),
            patience: [MEETING, PATIENCE],
        };
        Ok(Self {
            rank: launch.rank,
            world_size: launch.world_size,
            members: Members::join(meeting).map_err(failed)?,
        })
    }

    /// This process, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many there are.
    pub fn world_size(&self) -> usize {
        self.world_size
    }

    /// The sums over all processes, the same bits in each.
    ///
    /// # Errors
    /// Another process was lost.
    pub fn sum(&self, values: &[f64]) -> Result<Vec<f64>, DistError> {
        let values = Tensor::from_slice(values);
        self.members
            .sum(&values)
            .and_then(Sum::wait)
            .map_err(lost)?;
        Ok(Vec::try_from(values).expect("f64 values of one dimension"))
    }

    /// Begins [`Self::sum`] of values in f32; every process begins the same ones in the same order.
    ///
    /// # Errors
    /// Another process was lost.
    pub fn start_sum(&self, values: &[f32]) -> Result<Pending, DistError> {
        let values = Tensor::from_slice(values);
        let sum = self.members.sum(&values).map_err(lost)?;
        Ok(Pending { values, sum })
    }

    /// Says something that any other process can [`Self::hear`], once for each `key`.
    ///
    /// # Errors
    /// The process that keeps it was lost.
    pub fn tell(&self, key: &str, value: &str) -> Result<(), DistError> {
        self.members.tell(key, value).map_err(lost)
    }

    /// Waits, for days, until `key` is told.
    ///
    /// # Errors
    /// The process that keeps it was lost.
    pub fn hear(&self, key: &str) -> Result<String, DistError> {
        self.members.hear(key, LONG_PATIENCE).map_err(lost)
    }
}

impl Pending {
    /// The sums.
    ///
    /// # Errors
    /// Another process was lost.
    pub fn wait(self) -> Result<Vec<f32>, DistError> {
        self.sum.wait().map_err(lost)?;
        Ok(Vec::try_from(self.values).expect("f32 values of one dimension"))
    }
}

fn lost(why: String) -> DistError {
    DistError::Lost { why }
}

/// c10d listens on every address of the machine, and whoever reaches it may read and write there. Where all meet on the loopback
/// address, it listens on that alone.
fn on_loopback(launch: &Launch) -> std::io::Result<Option<TcpListener>> {
    let addresses: Vec<_> = (launch.address.as_str(), launch.port)
        .to_socket_addrs()?
        .collect();
    let is_loopback = |ip: IpAddr| ip.is_loopback();
    match addresses.iter().all(|it| is_loopback(it.ip())) {
        true => TcpListener::bind(&addresses[..]).map(Some),
        false => Ok(None),
    }
}
