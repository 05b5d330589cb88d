//! A build without libtorch, in which no process meets another.

use crate::{DistError, Launch};

/// There is none.
#[derive(Debug)]
pub enum Group {}

/// There is none.
#[derive(Debug)]
pub enum Pending {}

/// None.
pub fn engines() -> Vec<String> {
    Vec::new()
}

impl Group {
    /// # Errors
    /// Always.
    pub fn join(launch: &Launch) -> Result<Self, DistError> {
        Err(DistError::NotBuilt {
            world_size: launch.world_size,
        })
    }

    /// See the build with libtorch, as for all that follows.
    pub fn rank(&self) -> usize {
        match *self {}
    }

    /// See there.
    pub fn world_size(&self) -> usize {
        match *self {}
    }

    /// See there.
    ///
    /// # Errors
    /// None.
    pub fn sum(&self, _: &[f64]) -> Result<Vec<f64>, DistError> {
        match *self {}
    }

    /// See there.
    ///
    /// # Errors
    /// None.
    pub fn start_sum(&self, _: &[f32]) -> Result<Pending, DistError> {
        match *self {}
    }

    /// See there.
    pub fn why_not_on_gpus(&self) -> Option<&str> {
        match *self {}
    }

    /// See there.
    pub fn leave_gpus(&self) {
        match *self {}
    }

    /// See there.
    ///
    /// # Errors
    /// None.
    pub fn tell(&self, _: &str, _: &str) -> Result<(), DistError> {
        match *self {}
    }

    /// See there.
    ///
    /// # Errors
    /// None.
    pub fn hear(&self, _: &str) -> Result<String, DistError> {
        match *self {}
    }
}

impl Pending {
    /// See there.
    ///
    /// # Errors
    /// None.
    pub fn wait(self) -> Result<Vec<f32>, DistError> {
        match self {}
    }
}
