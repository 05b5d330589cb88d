//! A request without an answer.

use std::time::Duration;

use crate::EndpointError;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It may pass: the request can be sent again.
    Passing {
        reason: String,
        retry_after: Option<Duration>,
        /// Whether the server may have worked on it, and charge for it.
        charged: bool,
    },
    /// It will not pass.
    Lasting { error: EndpointError, charged: bool },
}
