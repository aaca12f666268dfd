//! When to try again, and how long to wait before.

use reqwest::{StatusCode, header::HeaderMap, header::RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// The first wait is at most this long, each further one at most twice the one before.
const FIRST: Duration = Duration::from_millis(100);

/// Statuses by which a server says that it has not begun, and may be asked again.
pub(super) fn is_refused(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// Statuses after which another attempt may succeed, while nobody knows what became of this one.
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)
}

/// The wait before attempt `next` (the second is 2): exponential with full jitter. `random` is from 0 to 1.
pub(super) fn backoff(next: u32, longest: Duration, random: f64) -> Duration {
    let doublings = next.saturating_sub(2).min(16);
    FIRST.saturating_mul(1 << doublings).min(longest).mul_f64(random.clamp(0.0, 1.0))
}

/// What the server asks for: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok(),
    }
}

/// From 0 to 1. Randomness that fails spreads nothing, and hurts nothing.
pub(super) fn random() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn waits_double_up_to_the_longest() {
        let longest = Duration::from_secs(1);
        let waits: Vec<u128> = (2..8).map(|next| backoff(next, longest, 1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff(3, longest, 0.5), Duration::from_millis(100));
        assert_eq!(backoff(u32::MAX, longest, 1.0), longest);
    }

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
