//! What a composition says about the start: how often it is tried, how long it may take, how much happens at once.

use crate::{
    PluginConfig,
    config::{Fields, Reader},
};
use std::{num::NonZeroU32, time::Duration};

/// How often a plugin is tried when it cannot start for now, and how long to wait in between.
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
    /// The pause after the first attempt.
    #[config(default = Duration::from_millis(200))]
    pub initial_backoff: Duration,
    /// The longest pause.
    #[config(default = Duration::from_secs(5))]
    pub max_backoff: Duration,
}

impl Retry {
    /// This many attempts in all, with pauses from 200 ms to 5 s.
    pub const fn attempts(max_attempts: u32) -> Self {
        let (initial_backoff, max_backoff) = (Duration::from_millis(200), Duration::from_secs(5));
        Retry { max_attempts, initial_backoff, max_backoff }
    }

    /// Sets the pauses.
    #[must_use]
    pub const fn backoff(self, initial: Duration, max: Duration) -> Self {
        Retry { initial_backoff: initial, max_backoff: max, ..self }
    }

    /// The pause after this many attempts, where `fraction` is random between 0 and 1.
    pub(crate) fn pause(self, attempts: u32, fraction: f64) -> Duration {
        let doubled = 2u32.saturating_pow(attempts.saturating_sub(1));
        let pause = self.initial_backoff.saturating_mul(doubled).min(self.max_backoff);
        pause / 2 + (pause / 2).mul_f64(fraction.clamp(0.0, 1.0))
    }
}

/// Plugins that start at the same time unless the composition says otherwise; the others wait for their turn.
pub const MAX_CONCURRENT_STARTS: u32 = 128;

/// What holds for the platform as a whole. What is `None` is not said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Options {
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) max_concurrent_starts: Option<NonZeroU32>,
    pub(crate) measure: Option<bool>,
}

impl Options {
    /// The keys in the composition.
    pub(super) const FIELDS: [&str; 3] = ["start_timeout", "max_concurrent_starts", "measure"];

    pub(super) fn read(fields: &mut Fields<'_>, cx: &mut Reader<'_>) -> Self {
        let start_timeout = cx.field::<Option<Duration>>(fields, "start_timeout", None).flatten();
        let max_concurrent_starts = cx.field::<Option<NonZeroU32>>(fields, "max_concurrent_starts", None).flatten();
        let measure = cx.field::<Option<bool>>(fields, "measure", None).flatten();
        Options { start_timeout, max_concurrent_starts, measure }
    }

    /// Lays what another file says over it.
    pub(super) fn merge(&mut self, other: Options) {
        self.start_timeout = other.start_timeout.or(self.start_timeout);
        self.max_concurrent_starts = other.max_concurrent_starts.or(self.max_concurrent_starts);
        self.measure = other.measure.or(self.measure);
    }

    pub(crate) fn max_concurrent_starts(&self) -> usize {
        self.max_concurrent_starts.map_or(MAX_CONCURRENT_STARTS, NonZeroU32::get) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_half_of_each_is_random() {
        let retry = Retry::attempts(5).backoff(Duration::from_millis(100), Duration::from_millis(300));
        let shortest = [1, 2, 3, 4, u32::MAX].map(|attempts| retry.pause(attempts, 0.0).as_millis());
        let longest = [1, 2, 3, 4, u32::MAX].map(|attempts| retry.pause(attempts, 1.0).as_millis());
        assert_eq!((shortest, longest), ([50, 100, 150, 150, 150], [100, 200, 300, 300, 300]));
    }

    #[test]
    fn pauses_do_not_overflow() {
        let retry = Retry::attempts(100).backoff(Duration::MAX, Duration::MAX);
        assert!(retry.pause(99, 1.0) <= Duration::MAX);
    }
}
