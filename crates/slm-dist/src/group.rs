//! The processes of a launch, met.

use std::cell::OnceCell;
use std::net::{IpAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use tch::{Device, Tensor};

use crate::c10d::{Meeting, Members, Sum, nccl};
use crate::{DistError, Launch};

/// How long processes wait to meet: PyTorch's own for a store.
const MEETING: Duration = Duration::from_secs(5 * 60);
/// How long they wait for each other in a sum: PyTorch's own for Gloo. One that ends is noticed at once.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// The same for NCCL.
const PATIENCE_ON_GPUS: Duration = Duration::from_secs(10 * 60);
/// How long the others wait for a word of the first: while it measures a task or exports, hours may pass.
const LONG_PATIENCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The processes that train together, as one of them sees it.
#[derive(Debug)]
pub struct Group {
    rank: usize,
    world_size: usize,
    members: Members,
    /// Why GPUs are not summed on, once that was tried.
    apart: OnceCell<Option<String>>,
}

/// A sum that is under way, where its values lie.
#[derive(Debug)]
pub struct InPlace {
    /// Read and written until then.
    _values: Tensor,
    sum: Sum,
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
            apart: OnceCell::new(),
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

    /// Whether values on `device` can be summed where they lie: on the processor by Gloo, on GPUs by NCCL. All processes ask at the
    /// same place; the first time, they meet on their GPUs.
    ///
    /// # Errors
    /// Another process was lost.
    pub fn sums_on(&self, device: Device) -> Result<bool, DistError> {
        let gpu = match device {
            Device::Cpu => return Ok(true),
            Device::Cuda(gpu) => gpu,
            _ => return Ok(false),
        };
        if let Some(apart) = self.apart.get() {
            return Ok(apart.is_none());
        }
        let has_nccl = nccl().is_some();
        let mut apart = (!has_nccl).then(|| "this libtorch brings no NCCL".to_owned());
        if self.all(has_nccl)? {
            let met = self.members.meet_on(gpu, PATIENCE_ON_GPUS);
            let all_met = self.all(met.is_ok())?;
            apart = met.err();
            if !all_met {
                self.members.part();
                apart = apart.or_else(|| Some("NCCL: another process failed to meet".into()));
            }
        } else {
            apart = apart.or_else(|| Some("another process has no NCCL".into()));
        }
        Ok(self.apart.get_or_init(|| apart).is_none())
    }

    /// Why sums of what lies on GPUs go through the host; none where they do not, or where none was asked for.
    pub fn why_not_on_gpus(&self) -> Option<&str> {
        self.apart.get()?.as_deref()
    }

    /// Ends the sums that are under way on GPUs, which a lost process would never end.
    pub fn leave_gpus(&self) {
        self.members.part();
    }

    fn all(&self, it: bool) -> Result<bool, DistError> {
        let sum = self.sum(&[f64::from(u8::from(it))])?;
        Ok(sum == [self.world_size as f64])
    }

    /// Begins [`Self::sum`] of contiguous f32 values where they lie, which is a device that [`Self::sums_on`] allows.
    ///
    /// # Errors
    /// Another process was lost.
    pub fn start_sum_of(&self, values: Tensor) -> Result<InPlace, DistError> {
        let sum = self.members.sum(&values).map_err(lost)?;
        Ok(InPlace {
            _values: values,
            sum,
        })
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

impl InPlace {
    /// Waits until the sums lie where the values lay.
    ///
    /// # Errors
    /// Another process was lost.
    pub fn wait(self) -> Result<(), DistError> {
        self.sum.wait().map_err(lost)
    }
}

/// What sums are taken by, for `slm-tune doctor`.
pub fn engines() -> Vec<String> {
    let nccl = nccl().map(|version| format!("NCCL {version}"));
    std::iter::once("Gloo".into()).chain(nccl).collect()
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// What `work` says in each of `n` processes, which are threads here.
    fn among<T: Send + 'static>(n: usize, work: fn(&Group) -> T) -> Vec<T> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let port = free.unwrap().port();
        let start = |rank| {
            let launch = Launch {
                rank,
                world_size: n,
                address: "127.0.0.1".into(),
                port,
                is_served: false,
                restarts: 0,
            };
            thread::spawn(move || work(&Group::join(&launch).unwrap()))
        };
        let all: Vec<_> = (0..n).map(start).collect();
        all.into_iter().map(|it| it.join().unwrap()).collect()
    }

    /// The sums of `[1, 2]`, `[10, 20]`, .., where they lay.
    fn in_place(group: &Group, device: Device) -> Vec<f32> {
        let own = 10f32.powi(group.rank() as i32);
        let values = Tensor::from_slice(&[own, 2.0 * own]).to_device(device);
        let sum = group.start_sum_of(values.shallow_clone()).unwrap();
        sum.wait().unwrap();
        Vec::try_from(values).unwrap()
    }

    #[test]
    fn values_are_summed_where_they_lie() {
        let found = among(3, |group| {
            assert_eq!(group.sums_on(Device::Cpu), Ok(true));
            in_place(group, Device::Cpu)
        });
        assert_eq!(found, vec![vec![111.0, 222.0]; 3]);
    }

    #[test]
    fn without_nccl_gpus_are_summed_through_the_host() {
        if nccl().is_some() {
            return;
        }
        let found = among(2, |group| {
            let first = group.sums_on(Device::Cuda(0));
            (
                first,
                group.sums_on(Device::Cuda(0)),
                group.why_not_on_gpus().map(str::to_owned),
            )
        });
        let why = "this libtorch brings no NCCL".to_owned();
        assert_eq!(found, vec![(Ok(false), Ok(false), Some(why)); 2]);
    }

    #[test]
    #[ignore = "needs CUDA"]
    fn a_gpu_alone_sums_by_nccl() {
        let found = among(1, |group| {
            let meets = group.sums_on(Device::Cuda(0));
            assert_eq!((meets, group.why_not_on_gpus()), (Ok(true), None));
            in_place(group, Device::Cuda(0))
        });
        assert_eq!(found, [[1.0, 2.0]]);
    }
}
