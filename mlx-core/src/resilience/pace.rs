//! A rate limit.

use super::RateLimit;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Lets calls begin at a steady rate, with bursts after a pause: the generic cell rate algorithm (ITU-T I.371, 1996),
/// which needs one moment as its state instead of a bucket that is filled.
pub(super) struct Pace {
    pub(super) limit: RateLimit,
    /// The time between two calls.
    interval: Duration,
    /// How far ahead of a steady pace a burst may be.
    tolerance: Duration,
    /// When the next call would come at a steady pace.
    expected: Mutex<Instant>,
}

/// A turn at a later moment, given back if it is dropped before.
pub(super) struct Turn<'p> {
    pace: &'p Pace,
    pub(super) at: Instant,
}

impl Pace {
    pub(super) fn new(limit: RateLimit) -> Self {
        let interval = limit.per / limit.calls.max(1);
        let burst = limit.burst.unwrap_or(limit.calls).max(1);
        let tolerance = interval.saturating_mul(burst - 1);
        Pace { limit, interval, tolerance, expected: Mutex::new(Instant::now()) }
    }

    fn expected(&self) -> MutexGuard<'_, Instant> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next turn, if it comes within `longest`.
    pub(super) fn turn(&self, longest: Duration) -> Option<Turn<'_>> {
        let now = Instant::now();
        let mut expected = self.expected();
        let due = (*expected).max(now);
        let wait = (due - now).saturating_sub(self.tolerance);
        if wait > longest {
            return None;
        }
        *expected = due.checked_add(self.interval)?;
        Some(Turn { pace: self, at: now + wait })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if Instant::now() < self.at {
            let mut expected = self.pace.expected();
            *expected = expected.checked_sub(self.pace.interval).unwrap_or(*expected);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem;
    use tokio::time::sleep;

    const SECOND: Duration = Duration::from_secs(1);

    /// The waits of so many calls that come at once, in milliseconds; those that are refused are `None`.
    fn waits(pace: &Pace, calls: usize, longest: Duration) -> Vec<Option<u128>> {
        let now = Instant::now();
        let wait = |turn: Turn<'_>| {
            let wait = (turn.at - now).as_millis();
            mem::forget(turn);
            wait
        };
        (0..calls).map(|_| pace.turn(longest).map(wait)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_a_steady_pace() {
        let pace = Pace::new(RateLimit::new(10, SECOND).burst(3));
        assert_eq!(waits(&pace, 5, SECOND), [Some(0), Some(0), Some(0), Some(100), Some(200)]);
        // Two calls are waiting, and the burst is used up: 300 ms of debt, and no more than the burst is ever saved.
        sleep(10 * SECOND).await;
        assert_eq!(waits(&pace, 5, Duration::ZERO), [Some(0), Some(0), Some(0), None, None]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_burst_all_calls_of_a_time_may_begin_at_once() {
        let pace = Pace::new(RateLimit::new(3, SECOND));
        assert_eq!(waits(&pace, 4, Duration::ZERO), [Some(0), Some(0), Some(0), None]);
        sleep(SECOND / 2).await;
        assert_eq!(waits(&pace, 2, Duration::ZERO), [Some(0), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_is_not_waited_for_is_given_back() {
        let pace = Pace::new(RateLimit::new(1, SECOND));
        mem::forget(pace.turn(SECOND));
        let waiting = pace.turn(SECOND).unwrap();
        assert!(pace.turn(SECOND).is_none());
        drop(waiting);
        assert_eq!(waits(&pace, 2, SECOND), [Some(1000), None]);
    }
}
