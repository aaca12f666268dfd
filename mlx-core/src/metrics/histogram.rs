//! A distribution of durations in a fixed number of counters.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Each octave of nanoseconds has this many buckets, as a power of two: 16, so that a value read from the histogram is
/// at most a sixteenth above the one recorded.
const PRECISION: u32 = 4;

const SUB_BUCKETS: u64 = 1 << PRECISION;

type Octave = [AtomicU64; SUB_BUCKETS as usize];

/// Longer durations count as 2^42 ns, 73 minutes.
const LONGEST: u64 = (1 << 42) - 1;

const OCTAVES: usize = bucket(LONGEST) / SUB_BUCKETS as usize + 1;

/// Durations in log-linear buckets: octaves, each divided evenly, as in [HdrHistogram][hdr]. Values below sixteen
/// nanoseconds are exact. Recording is two relaxed additions and a maximum. The first duration has a place of its own, because a
/// plugin starts and stops once; an octave is there once something else falls into it, because methods have their usual durations.
///
/// [hdr]: https://github.com/HdrHistogram/HdrHistogram
pub(super) struct Histogram {
    /// One more than the bucket of the first duration; 0 before it.
    first: AtomicU64,
    octaves: OnceLock<Box<[OnceLock<Box<Octave>>; OCTAVES]>>,
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
        let [first, total, max] = [const { AtomicU64::new(0) }; 3];
        Histogram { first, octaves: OnceLock::new(), total, max }
    }

    pub(super) fn record(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(LONGEST);
        let bucket = bucket(nanoseconds);
        let is_first = || self.first.compare_exchange(0, bucket as u64 + 1, Relaxed, Relaxed).is_ok();
        if self.first.load(Relaxed) != 0 || !is_first() {
            let octaves = self.octaves.get_or_init(|| Box::new([const { OnceLock::new() }; OCTAVES]));
            let octave = octaves[bucket >> PRECISION].get_or_init(Box::default);
            octave[bucket % SUB_BUCKETS as usize].fetch_add(1, Relaxed);
        }
        self.total.fetch_add(nanoseconds, Relaxed);
        self.max.fetch_max(nanoseconds, Relaxed);
    }

    /// The distribution of the moment. What is recorded meanwhile is in it or not.
    pub(super) fn snapshot(&self) -> Distribution {
        let max = self.max.load(Relaxed);
        let octaves = self.octaves.get().into_iter().flat_map(|octaves| octaves.iter().enumerate());
        let octaves = octaves.filter_map(|(nth, octave)| Some((nth, octave.get()?)));
        let counts = octaves.flat_map(|(nth, octave)| {
            octave.iter().enumerate().map(move |(at, count)| ((nth << PRECISION) + at, count.load(Relaxed)))
        });
        let first = self.first.load(Relaxed).checked_sub(1).map(|bucket| (bucket as usize, 1));
        let mut buckets: Vec<(usize, u64)> = first.into_iter().chain(counts).collect();
        buckets.sort_unstable();
        Distribution {
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
            total: self.total.load(Relaxed),
            max,
        }
    }
}

pub(super) struct Distribution {
    /// How many are in each bucket of the octaves that are there, in order. That of the first duration may be there twice.
    buckets: Vec<(usize, u64)>,
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
        for &(bucket, count) in &self.buckets {
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
        let buckets = OCTAVES << PRECISION;
        for index in 1..buckets {
            let (low, high) = (upper(index - 1) + 1, upper(index));
            assert_eq!((bucket(low), bucket(high)), (index, index));
            assert!((high - low) * SUB_BUCKETS <= low, "{low} to {high}");
        }
        assert_eq!(upper(buckets - 1), LONGEST);
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
