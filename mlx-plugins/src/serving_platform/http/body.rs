//! Reading a request's body within bounds.

use super::failure::Failure;
use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, StatusCode, header},
};
use std::{future::poll_fn, pin::Pin, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};

/// Time for which the rest of a refused body is read and thrown away.
const LINGER: Duration = Duration::from_secs(1);

/// Refuses what is not JSON.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media == "application/json" || (media.starts_with("application/") && media.ends_with("+json")) {
        return Ok(());
    }
    let message = "the body must be JSON, with the header `Content-Type: application/json`";
    Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message))
}

/// The whole body.
pub(super) async fn read(body: &mut Body, limit: usize, deadline: Instant) -> Result<Vec<u8>, Failure> {
    let too_large =
        || Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("the body may have {limit} bytes"));
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(too_large());
    }
    let reading = async {
        // What is announced need not come, so it is not allocated.
        let mut bytes = Vec::new();
        while let Some(chunk) = chunk(body).await {
            let chunk = chunk.map_err(|_| Failure::malformed("the body ended early or is not as its headers say"))?;
            if chunk.len() > limit - bytes.len() {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    timeout_at(deadline, reading).await.unwrap_or_else(|_| {
        Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "slow_request", "the body did not arrive in time"))
    })
}

/// Throws away what a client still sends of a refused request. Without it the system resets the connection, and the
/// client may lose the answer that says why.
pub(super) async fn discard(body: &mut Body, headers: &HeaderMap, limit: usize) {
    // Such a client waits for leave to send, and is not given it.
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let mut left = limit.saturating_mul(4);
    let discarding = async {
        while let Some(Ok(chunk)) = chunk(body).await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let _ = timeout(LINGER, discarding).await;
}

/// The next bytes, or `None` at the end. Trailers are empty.
async fn chunk(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}
