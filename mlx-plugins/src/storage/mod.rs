//! What plugins that keep their records on a local disk have in common: files that appear whole or not at all, and
//! one SQLite database with a versioned schema.

#[cfg(feature = "_database")]
mod database;
mod file;

#[cfg(feature = "_database")]
pub(crate) use database::{Database, Fault, Schema};
pub(crate) use file::{Partial, make_folder, sync_folders};

use mlx_core::prelude::*;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970, as times are stored; from the year 1677 to 2262.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for a time out of that range.
pub(crate) fn nanoseconds(time: SystemTime) -> Result<i64> {
    let nanoseconds = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|before| -before),
    };
    nanoseconds.ok_or_else(|| Error::invalid("a time can be recorded from the year 1677 to 2262"))
}

/// The time at so many nanoseconds since 1970.
pub(crate) fn time(nanoseconds: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

/// Runs blocking work on a thread that may block.
///
/// # Errors
/// What `work` reports; [`Internal`](ErrorKind::Internal) when it panics, [`Cancelled`](ErrorKind::Cancelled) when
/// the runtime shuts down before it begins.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => Err(Error::new(ErrorKind::Internal, "a storage operation panicked")),
        Err(_) => Err(Error::cancelled("the runtime is shutting down")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_way_through_a_number() {
        let now = UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        for moment in [UNIX_EPOCH, now, UNIX_EPOCH - Duration::from_nanos(1)] {
            assert_eq!(time(nanoseconds(moment).unwrap()), moment);
        }
    }

    #[test]
    fn a_time_that_does_not_fit_is_refused() {
        let late = UNIX_EPOCH + Duration::from_secs(20_000_000_000);
        assert_eq!(nanoseconds(late).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[tokio::test]
    async fn a_panic_in_blocking_work_is_an_error() {
        let error = blocking::<()>(|| panic!("on purpose")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
}
