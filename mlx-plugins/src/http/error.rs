//! What a server's refusal becomes.

use mlx_core::prelude::*;
use reqwest::StatusCode;
use std::fmt;

/// A server's refusal, as the [source](std::error::Error::source) of the [`Error`](mlx_core::Error) that reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseError {
    /// The system that answered: `MLflow`.
    pub system: &'static str,
    /// What was asked of it: `runs/log-batch`.
    pub operation: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The server's own code, such as `RESOURCE_DOES_NOT_EXIST`; empty when it gave none.
    pub code: String,
    /// What the server said; empty when it said nothing readable.
    pub message: String,
    /// The server's id of the request, for its operators; empty when it gave none.
    pub request_id: String,
}

/// What a server's error body says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerMessage {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl ResponseError {
    /// What a caller can do about it. Server codes that say more than the status are the plugin's to map.
    fn kind(&self) -> ErrorKind {
        match StatusCode::from_u16(self.status).unwrap_or_default() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                ErrorKind::Denied
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => ErrorKind::NotFound,
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ErrorKind::Timeout,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => {
                ErrorKind::Unavailable
            }
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => ErrorKind::Unsupported,
            status if status.is_client_error() => ErrorKind::Invalid,
            _ => ErrorKind::Failed,
        }
    }

    /// The error that reports it.
    pub(super) fn into_error(self) -> Error {
        Error::new(self.kind(), self.to_string()).with_source(self)
    }

    /// The refusal behind an error, if a server's refusal is what it reports.
    pub fn of(error: &Error) -> Option<&ResponseError> {
        std::error::Error::source(error)?.downcast_ref()
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered {} to {}", self.system, self.status, self.operation)?;
        match (self.code.as_str(), self.message.as_str()) {
            ("", "") => {}
            (code, "") => write!(f, ": {code}")?,
            ("", message) => write!(f, ": {message}")?,
            (code, message) => write!(f, ": {message} ({code})")?,
        }
        match self.request_id.as_str() {
            "" => Ok(()),
            id => write!(f, " [request {id}]"),
        }
    }
}

impl std::error::Error for ResponseError {}
