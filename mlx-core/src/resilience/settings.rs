//! The policies as a composition writes them.

use crate::{PluginConfig, diagnostics::ErrorKind};
use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The policies for calls to a plugin. Those that are `None` do not apply; without any, calls are led straight to it.
#[derive(PluginConfig, Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Resilience {
    /// How long a call may take: all attempts, the pauses between them, and the wait for its turn.
    #[config(range(Duration::from_millis(1)..))]
    pub deadline: Option<Duration>,
    /// How long one attempt may take.
    #[config(range(Duration::from_millis(1)..))]
    pub timeout: Option<Duration>,
    /// Has calls of idempotent methods repeated when their failure may pass.
    pub retry: Option<Retry>,
    /// Refuses calls for a while when too many have failed.
    pub circuit_breaker: Option<CircuitBreaker>,
    /// How many calls may begin in a time.
    pub rate_limit: Option<RateLimit>,
    /// How many calls may be under way at the same time.
    #[config(range(1..))]
    pub max_concurrency: Option<u32>,
    /// How long a call waits for its turn under `max_concurrency` and `rate_limit` before it is refused.
    #[config(default = Duration::from_secs(5))]
    pub max_wait: Duration,
}

impl Default for Resilience {
    fn default() -> Self {
        Resilience {
            deadline: None,
            timeout: None,
            retry: None,
            circuit_breaker: None,
            rate_limit: None,
            max_concurrency: None,
            max_wait: Duration::from_secs(5),
        }
    }
}

impl Resilience {
    /// No policies yet.
    pub fn new() -> Self {
        Resilience::default()
    }

    /// Sets how long a call may take in all.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets how long one attempt may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Has calls of idempotent methods repeated.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Refuses calls for a while when too many have failed.
    #[must_use]
    pub fn circuit_breaker(mut self, circuit_breaker: CircuitBreaker) -> Self {
        self.circuit_breaker = Some(circuit_breaker);
        self
    }

    /// Sets how many calls may begin in a time.
    #[must_use]
    pub fn rate_limit(mut self, rate_limit: RateLimit) -> Self {
        self.rate_limit = Some(rate_limit);
        self
    }

    /// Sets how many calls may be under way at the same time.
    #[must_use]
    pub fn max_concurrency(mut self, calls: u32) -> Self {
        self.max_concurrency = Some(calls);
        self
    }

    /// Sets how long a call waits for its turn.
    #[must_use]
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    /// Whether no policy is set.
    pub fn is_empty(&self) -> bool {
        *self == Resilience { max_wait: self.max_wait, ..Resilience::default() }
    }
}

/// How often something is tried when it fails for now, and how long to wait in between: the start of a plugin, a call, a
/// step of a pipeline.
///
/// The pauses grow twofold from `initial_backoff` to `max_backoff`; half of each is random, so that many that failed
/// together do not come back together ("equal jitter", [Exponential Backoff And Jitter][aws], 2015). The fields are
/// named as in the [retry policy of gRPC][grpc].
///
/// [aws]: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
/// [grpc]: https://grpc.io/docs/guides/retry/
#[derive(PluginConfig, Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// Attempts in all, the first included.
    #[config(default = 3, range(1..=100))]
    pub max_attempts: u32,
    /// The pause after the first attempt; each one after it is twice as long.
    #[config(default = Duration::from_millis(200))]
    pub initial_backoff: Duration,
    /// The longest pause.
    #[config(default = Duration::from_secs(5))]
    pub max_backoff: Duration,
    /// Which failures are tried again.
    #[config(default)]
    pub on: RetryOn,
}

/// Which failures are tried again.
#[derive(PluginConfig, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[config(rename_all = "snake_case")]
pub enum RetryOn {
    /// Those that may pass: something is unavailable, or timed out.
    #[default]
    Transient,
    /// All but a cancellation. It must be safe to do it again after whatever went wrong.
    Any,
}

/// No pause is longer; sums of times stay far from their limits.
const LONGEST_PAUSE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Default for Retry {
    fn default() -> Self {
        Retry::attempts(3)
    }
}

impl Retry {
    /// This many attempts in all, with pauses from 200 ms to 5 s, when the failure may pass.
    pub const fn attempts(max_attempts: u32) -> Self {
        let (initial_backoff, max_backoff) = (Duration::from_millis(200), Duration::from_secs(5));
        Retry { max_attempts, initial_backoff, max_backoff, on: RetryOn::Transient }
    }

    /// Sets the first and the longest pause.
    #[must_use]
    pub const fn backoff(self, initial: Duration, max: Duration) -> Self {
        Retry { initial_backoff: initial, max_backoff: max, ..self }
    }

    /// Sets which failures are tried again.
    #[must_use]
    pub const fn on(self, on: RetryOn) -> Self {
        Retry { on, ..self }
    }

    /// Whether a failure of this kind is tried again.
    pub fn covers(self, kind: ErrorKind) -> bool {
        match self.on {
            RetryOn::Transient => kind.is_transient(),
            RetryOn::Any => kind != ErrorKind::Cancelled,
        }
    }

    /// The pause after this many attempts.
    pub fn pause(self, attempts: u32) -> Duration {
        self.pause_at(attempts, fraction())
    }

    /// The pause after this many attempts, where `fraction` is random between 0 and 1.
    fn pause_at(self, attempts: u32, fraction: f64) -> Duration {
        let doubled = 2u32.saturating_pow(attempts.saturating_sub(1));
        let half = self.initial_backoff.saturating_mul(doubled).min(self.max_backoff).min(LONGEST_PAUSE) / 2;
        half + half.mul_f64(fraction.clamp(0.0, 1.0))
    }
}

/// Random between 0 and 1, from the hasher's keys, which the operating system seeds.
fn fraction() -> f64 {
    RandomState::new().hash_one(0_u8) as f64 / u64::MAX as f64
}

/// Refuses calls for a while when too many have failed, so that what is overloaded can recover and callers know at once
/// (M. Nygard, *Release It!*, 2007).
///
/// A call counts as failed when the plugin was unavailable, timed out or panicked; a wrong query does not. When `open_for`
/// has passed, one call is let through: if it does not fail, the circuit closes, else it stays open as long again. A
/// share and a least number of calls, as in [resilience4j] and [Polly], keep a few failures among many calls from
/// counting as an outage.
///
/// [resilience4j]: https://resilience4j.readme.io/docs/circuitbreaker
/// [Polly]: https://www.pollydocs.org/strategies/circuit-breaker.html
#[derive(PluginConfig, Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CircuitBreaker {
    /// The share of failed calls that opens the circuit.
    #[config(default = 0.5, range(0.0..=1.0))]
    pub failure_ratio: f64,
    /// With fewer calls than this within `window`, the circuit stays closed.
    #[config(default = 10, range(1..))]
    pub min_calls: u32,
    /// The time that is looked back on.
    #[config(default = Duration::from_secs(30), range(Duration::from_millis(1)..))]
    pub window: Duration,
    /// How long calls are refused.
    #[config(default = Duration::from_secs(10), range(Duration::from_millis(1)..))]
    pub open_for: Duration,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        let (window, open_for) = (Duration::from_secs(30), Duration::from_secs(10));
        CircuitBreaker { failure_ratio: 0.5, min_calls: 10, window, open_for }
    }
}

impl CircuitBreaker {
    /// Opens when half of at least ten calls within 30 s have failed, for 10 s.
    pub fn new() -> Self {
        CircuitBreaker::default()
    }

    /// Sets the share of failed calls that opens it, and of how many at least.
    #[must_use]
    pub fn failure_ratio(self, failure_ratio: f64, min_calls: u32) -> Self {
        CircuitBreaker { failure_ratio, min_calls, ..self }
    }

    /// Sets the time that is looked back on.
    #[must_use]
    pub fn window(self, window: Duration) -> Self {
        CircuitBreaker { window, ..self }
    }

    /// Sets how long calls are refused.
    #[must_use]
    pub fn open_for(self, open_for: Duration) -> Self {
        CircuitBreaker { open_for, ..self }
    }
}

/// How many calls may begin in a time. They are spread evenly over it, but for a `burst` after a pause.
#[derive(PluginConfig, Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Calls, each attempt counted.
    #[config(range(1..))]
    pub calls: u32,
    /// The time in which they may begin.
    #[config(default = Duration::from_secs(1), range(Duration::from_millis(1)..))]
    pub per: Duration,
    /// Calls that may begin at once after a pause; as many as `calls` unless given.
    #[config(range(1..))]
    pub burst: Option<u32>,
}

impl RateLimit {
    /// So many calls in so much time.
    pub const fn new(calls: u32, per: Duration) -> Self {
        RateLimit { calls, per, burst: None }
    }

    /// Sets how many calls may begin at once after a pause.
    #[must_use]
    pub const fn burst(self, burst: u32) -> Self {
        RateLimit { burst: Some(burst), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_half_of_each_is_random() {
        let retry = Retry::attempts(5).backoff(Duration::from_millis(100), Duration::from_millis(300));
        let shortest = [1, 2, 3, 4, u32::MAX].map(|attempts| retry.pause_at(attempts, 0.0).as_millis());
        let longest = [1, 2, 3, 4, u32::MAX].map(|attempts| retry.pause_at(attempts, 1.0).as_millis());
        assert_eq!((shortest, longest), ([50, 100, 150, 150, 150], [100, 200, 300, 300, 300]));
        assert!(retry.pause(1) >= Duration::from_millis(50) && retry.pause(1) <= Duration::from_millis(100));
    }

    #[test]
    fn a_pause_without_end_is_bounded() {
        let retry = Retry::attempts(100).backoff(Duration::MAX, Duration::MAX);
        assert!(retry.pause_at(99, 1.0) <= LONGEST_PAUSE);
    }

    #[test]
    fn what_is_tried_again() {
        use ErrorKind::*;
        for (kind, transient, any) in [
            (Unavailable, true, true),
            (Timeout, true, true),
            (Failed, false, true),
            (Internal, false, true),
            (Invalid, false, true),
            (Cancelled, false, false),
        ] {
            let retry = Retry::attempts(2);
            assert_eq!((retry.covers(kind), retry.on(RetryOn::Any).covers(kind)), (transient, any), "{kind:?}");
        }
    }

    #[test]
    fn what_is_not_written_is_what_new_says() {
        let read = |json| crate::config::from_json::<Resilience>(json).unwrap();
        assert_eq!(read(crate::json!({})), Resilience::new());
        assert!(read(crate::json!({"max_wait": "1s"})).is_empty());
        let written = read(crate::json!({"retry": {}, "circuit_breaker": {}, "rate_limit": {"calls": 7}}));
        let rate_limit = RateLimit::new(7, Duration::from_secs(1));
        let made = Resilience::new().retry(Retry::default()).circuit_breaker(CircuitBreaker::new());
        assert_eq!(written, made.rate_limit(rate_limit));
        assert!(!written.is_empty());
    }
}
