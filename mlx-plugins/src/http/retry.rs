//! What a server says about trying again.

use reqwest::{StatusCode, header::HeaderMap, header::RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// Statuses by which a server says that it has not begun, and may be asked again.
pub(super) fn is_refused(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// Statuses after which another attempt may succeed, while nobody knows what became of this one.
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)
}

/// What the server asks for: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn a_server_asks_in_seconds_or_with_a_date() {
        let asked = |text: &str, now| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(asked("7", UNIX_EPOCH), Some(Duration::from_secs(7)));
        assert_eq!(asked("Thu, 01 Jan 1970 00:01:30 GMT", UNIX_EPOCH), Some(Duration::from_secs(90)));
        assert_eq!(asked("Thu, 01 Jan 1970 00:00:00 GMT", UNIX_EPOCH + Duration::from_secs(9)), None);
        assert_eq!(asked("soon", UNIX_EPOCH), None);
    }
}
