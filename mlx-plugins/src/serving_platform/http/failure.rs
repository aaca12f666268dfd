//! What a caller is told when there is no answer.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mlx_core::{ErrorKind, prelude::*};

/// An error as a caller sees it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// The features at fault.
    pub(super) features: Vec<String>,
}

/// The code of the failure that a response reports.
#[derive(Clone, Copy)]
pub(super) struct FailureCode(pub(super) &'static str);

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Failure { status, code, message: message.into(), features: Vec::new() }
    }

    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    pub(super) fn unauthenticated(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
    }

    pub(super) fn unknown_model(name: &str) -> Self {
        Failure::new(StatusCode::NOT_FOUND, "unknown_model", format!("no model is offered as `{name}`"))
    }

    pub(super) fn stopping() -> Self {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping")
    }

    pub(super) fn deadline() -> Self {
        Failure::new(StatusCode::GATEWAY_TIMEOUT, "deadline", "the answer was not ready in time")
    }

    pub(super) fn internal() -> Self {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed to answer")
    }

    /// What a plugin behind the server reported. `None` when a caller must not be told, because the message may hold
    /// paths or addresses of the inside.
    pub(super) fn of(error: &Error) -> Option<Self> {
        Some(match error.kind() {
            ErrorKind::Stopped | ErrorKind::Unavailable | ErrorKind::Cancelled => Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "a part of the server is not available; try again later",
            ),
            ErrorKind::Timeout => Failure::deadline(),
            _ => return None,
        })
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut error = json!({"code": self.code, "message": self.message});
        if !self.features.is_empty() {
            error["features"] = self.features.into();
        }
        let mut response = (self.status, axum::Json(json!({ "error": error }))).into_response();
        response.extensions_mut().insert(FailureCode(self.code));
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // The rest of the body is still to come, and would be taken for the next request.
            StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
