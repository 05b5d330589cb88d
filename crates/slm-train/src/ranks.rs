//! The processes that train one model.
//!
//! Each of them plans all batches and goes through the same states. Of the micro-batches of a step it learns from every n-th; what
//! they say and their gradients are summed over all processes, so that all take the same step: that of one process with n times the
//! micro-batches. The first one writes.

mod bucket;
mod reducer;

use std::rc::Rc;

use slm_dist::{DistError, Group, Launch};
use slm_model::Param;

use crate::gradients::Gather;
pub(crate) use reducer::Reducer;

/// This process and the others; by itself by default.
#[derive(Clone, Debug, Default)]
pub struct Ranks(Option<Rc<Group>>);

impl Ranks {
    /// Meets the processes that were launched with this one, if any were.
    ///
    /// # Errors
    /// They cannot be met, or this build trains in one process only.
    pub fn join() -> Result<Self, DistError> {
        let group = Launch::from_env()?.map(|launch| Group::join(&launch));
        Ok(Self(group.transpose()?.map(Rc::new)))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.as_ref().map_or(1, |group| group.world_size())
    }

    /// Whether this is the first process, which writes.
    pub fn leads(&self) -> bool {
        self.rank() == 0
    }

    fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |group| group.rank())
    }

    /// Whether the `i`-th piece of work is this process's.
    pub(crate) fn takes(&self, i: usize) -> bool {
        i % self.count() == self.rank()
    }

    /// Tells the others something; returns when they have heard it, for what keeps it may end with this process.
    ///
    /// # Errors
    /// Another process was lost.
    pub fn tell(&self, key: &str, value: &str) -> Result<(), DistError> {
        let Some(group) = &self.0 else { return Ok(()) };
        group.tell(key, value)?;
        group.sum(&[0.0]).map(drop)
    }

    /// Waits for what the first process [tells](Self::tell).
    ///
    /// # Errors
    /// Another process was lost.
    pub fn hear(&self, key: &str) -> Result<String, DistError> {
        let Some(group) = &self.0 else {
            return Ok(String::new());
        };
        let value = group.hear(key)?;
        group.sum(&[0.0])?;
        Ok(value)
    }

    /// Why gradients on GPUs go through the host; none where they do not, or are on none.
    pub fn why_not_on_gpus(&self) -> Option<String> {
        self.0.as_ref()?.why_not_on_gpus().map(str::to_owned)
    }

    /// Sums over all processes.
    pub(crate) fn sum(&self, values: Vec<f64>) -> Result<Vec<f64>, DistError> {
        match &self.0 {
            Some(group) => group.sum(&values),
            None => Ok(values),
        }
    }

    /// Whether it holds in any process.
    pub(crate) fn any(&self, it: bool) -> Result<bool, DistError> {
        Ok(self.sum(vec![f64::from(u8::from(it))])?[0] > 0.0)
    }

    /// Refuses processes that do not stand at the same place, and gives what is `trained` in all of them the values of the first.
    pub(crate) fn start_alike(
        &self,
        trained: Vec<&mut Param>,
        step: usize,
        batches: usize,
    ) -> Result<(), DistError> {
        let Some(group) = &self.0 else { return Ok(()) };
        // An f64 holds both without rounding.
        let own = [step as f64, batches as f64];
        let mean = group
            .sum(&own)?
            .into_iter()
            .map(|sum| sum / self.count() as f64);
        if !mean.eq(own) {
            let what = format!("{batches} micro-batches an epoch, {step} steps taken");
            return Err(DistError::Apart { what });
        }
        let params: Vec<&Param> = trained.iter().map(|param| &**param).collect();
        let mut weights = self.reducer(params.clone());
        for param in params.into_iter().filter(|_| self.leads()) {
            weights.add(&param.name, param.tensor().inner());
        }
        let mut weights = weights.finish()?;
        for param in trained {
            if let Some(weight) = weights.remove(&param.name) {
                param.set(weight);
            }
        }
        Ok(())
    }

    /// Sums the gradients of `params`, which is the order that the backward pass is done with them.
    pub(crate) fn reducer<'a>(&'a self, params: Vec<&'a Param>) -> Reducer<'a> {
        Reducer::new(self.0.as_deref(), params)
    }
}
