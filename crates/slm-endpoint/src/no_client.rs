//! In place of a client, in builds without one.

use slm_recipe::EndpointSection;

use crate::failure::Failure;
use crate::{Answer, EndpointError, Request};

/// There is none.
#[derive(Debug)]
pub(crate) enum Client {}

impl Client {
    pub(crate) fn open(endpoint: &EndpointSection) -> Result<Self, EndpointError> {
        Err(EndpointError::NoClient {
            url: endpoint.base_url.clone(),
        })
    }

    pub(crate) fn send(&self, _: &Request) -> Result<Answer, Failure> {
        match *self {}
    }
}
