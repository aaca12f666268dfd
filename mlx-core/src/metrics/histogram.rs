//! A distribution of durations in a fixed number of counters.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Each octave of nanoseconds has this many buckets, as a power of two: 16, so that a value read from the histogram is
/// at most a sixteenth above the one recorded.
const PRECISION: u32 = 4;

const SUB_BUCKETS: u64 = 1 << PRECISION;

/// Longer durations count as 2^42 ns, 73 minutes.
const LONGEST: u64 = (1 << 42) - 1;

const BUCKETS: usize = bucket(LONGEST) + 1;

/// Durations in log-linear buckets: octaves, each divided evenly, as in [HdrHistogram][hdr]. Values below sixteen
/// nanoseconds are exact. Recording is three relaxed additions and a maximum; 5 KiB.
///
/// [hdr]: https://github.com/HdrHistogram/HdrHistogram
pub(super) struct Histogram {
    buckets: Box<[AtomicU64]>,
    total: AtomicU64,
    max: AtomicU64,
}

/// The bucket of a value: the position of its highest bit, and the `PRECISION` bits after that.
const fn bucket(nanoseconds: u64) -> usize {
    if nanoseconds < SUB_BUCKETS {
        return nanoseconds as usize;
    }
    let shift = 63 - nanoseconds.leading_zeros() - PRECISION;
    (((shift as u64 + 1) << PRECISION) + ((nanoseconds >> shift) & (SUB_BUCKETS - 1))) as usize
}

/// The largest value of a bucket.
const fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB_BUCKETS {
        return bucket;
    }
    let shift = (bucket >> PRECISION) - 1;
    ((SUB_BUCKETS + (bucket & (SUB_BUCKETS - 1)) + 1) << shift) - 1
}

impl Histogram {
    pub(super) fn new() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Histogram { buckets, total: AtomicU64::new(0), max: AtomicU64::new(0) }
    }

    pub(super) fn record(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(LONGEST);
        self.buckets[bucket(nanoseconds)].fetch_add(1, Relaxed);
        self.total.fetch_add(nanoseconds, Relaxed);
        self.max.fetch_max(nanoseconds, Relaxed);
    }

    /// The distribution of the moment. What is recorded meanwhile is in it or not.
    pub(super) fn snapshot(&self) -> Distribution {
        let max = self.max.load(Relaxed);
        let buckets: Vec<u64> = self.buckets.iter().map(|count| count.load(Relaxed)).collect();
        Distribution { count: buckets.iter().sum(), buckets, total: self.total.load(Relaxed), max }
    }
}

pub(super) struct Distribution {
    buckets: Vec<u64>,
    pub(super) count: u64,
    total: u64,
    max: u64,
}

impl Distribution {
    /// The duration that this share of the recorded ones does not exceed, at most a sixteenth too long; zero where nothing
    /// was recorded.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        let rank = ((share * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(upper(bucket).min(self.max));
            }
        }
        self.max()
    }

    pub(super) fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_are_narrow() {
        for index in 1..BUCKETS {
            let (low, high) = (upper(index - 1) + 1, upper(index));
            assert_eq!((bucket(low), bucket(high)), (index, index));
            assert!((high - low) * SUB_BUCKETS <= low, "{low} to {high}");
        }
        assert_eq!(upper(BUCKETS - 1), LONGEST);
    }

    #[test]
    fn quantiles_are_at_most_a_sixteenth_too_long_and_never_too_short() {
        let histogram = Histogram::new();
        for millisecond in 1..=1000 {
            histogram.record(Duration::from_millis(millisecond));
        }
        let distribution = histogram.snapshot();
        assert_eq!((distribution.count, distribution.max()), (1000, Duration::from_secs(1)));
        assert_eq!(distribution.total(), Duration::from_millis(500_500));
        for (share, exact) in [(0.001, 1), (0.5, 500), (0.9, 900), (0.99, 990), (1.0, 1000)] {
            let (found, exact) = (distribution.quantile(share), Duration::from_millis(exact));
            assert!(found >= exact && found <= exact + exact / 16, "{share}: {found:?}");
        }
    }

    #[test]
    fn nothing_and_the_longest() {
        let histogram = Histogram::new();
        assert_eq!(histogram.snapshot().quantile(0.99), Duration::ZERO);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.snapshot().quantile(0.5), Duration::from_nanos(LONGEST));
    }
}
