//! Leading calls through the policies of a plugin.

use super::{
    CircuitBreaker, CircuitState, Resilience, Retry,
    circuit::{Circuit, Passage, Report},
    pace::Pace,
};
use crate::{
    diagnostics::{Error, ErrorKind},
    handle::{Instance, InstanceLease, Slot},
};
use std::{
    any::Any,
    fmt, mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep, sleep_until, timeout},
};

/// The policies of one instance of a plugin, and where they stand. The platform attaches it.
pub struct Guard {
    plugin: Arc<str>,
    policies: Resilience,
    circuit: Option<Arc<Circuit>>,
    pace: Option<Arc<Pace>>,
    places: Option<Arc<Semaphore>>,
    counters: Arc<Counters>,
}

/// What policies have done for one plugin, over all instances that have had its place.
#[derive(Debug, Default)]
pub struct Counters {
    retries: AtomicU64,
    timeouts: AtomicU64,
    rejected_by_circuit_breaker: AtomicU64,
    rejected_by_concurrency: AtomicU64,
    rejected_by_rate_limit: AtomicU64,
}

/// What the policies of a plugin have done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResilienceMetrics {
    /// Where its circuit breaker stands, if it has one.
    pub circuit: Option<CircuitState>,
    /// Calls under way, if their number is limited.
    pub in_flight: Option<u64>,
    /// How often a call was made again.
    pub retries: u64,
    /// Attempts that did not end in time.
    pub timeouts: u64,
    /// Calls that were refused because the circuit was open.
    pub rejected_by_circuit_breaker: u64,
    /// Calls that were refused because too many were under way.
    pub rejected_by_concurrency: u64,
    /// Calls that were refused because too many had begun.
    pub rejected_by_rate_limit: u64,
}

impl Counters {
    /// What was counted so far.
    pub(crate) fn snapshot(&self, guard: Option<&Guard>) -> ResilienceMetrics {
        ResilienceMetrics {
            circuit: guard.and_then(|guard| guard.circuit.as_ref()).map(|circuit| circuit.state()),
            in_flight: guard.and_then(Guard::in_flight),
            retries: self.retries.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            rejected_by_circuit_breaker: self.rejected_by_circuit_breaker.load(Relaxed),
            rejected_by_concurrency: self.rejected_by_concurrency.load(Relaxed),
            rejected_by_rate_limit: self.rejected_by_rate_limit.load(Relaxed),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// A call of an async method, as `#[async_trait]` makes it.
type Call<'c, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>;

/// How an attempt ended that did not succeed.
enum Ended<E> {
    /// It was never made.
    Refused(Error),
    /// It was given up.
    TimedOut(Error),
    Failed(E),
}

/// Leads a call of an idempotent method through the policies of the plugin: what fails for now is tried again. `attempt`
/// is given a lease each time; `refuse` makes what the policies say an error of the method.
pub fn call<'c, T, E, F, R>(
    slot: &'c Slot,
    lease: InstanceLease,
    operation: &'static str,
    refuse: R,
    attempt: F,
) -> Call<'c, T, E>
where
    T: 'c,
    E: Send + 'static,
    F: FnMut(InstanceLease) -> Call<'c, T, E> + Send + 'c,
    R: Fn(Error) -> Result<T, E> + Send + 'c,
{
    Box::pin(run(slot, Guard::of(&lease), operation, refuse, attempt, true))
}

/// As [`call`], for a method that must not be called twice.
pub fn call_once<'c, T, E, F, R>(
    slot: &'c Slot,
    lease: InstanceLease,
    operation: &'static str,
    refuse: R,
    attempt: F,
) -> Call<'c, T, E>
where
    T: 'c,
    E: Send + 'static,
    F: FnOnce(InstanceLease) -> Call<'c, T, E> + Send + 'c,
    R: Fn(Error) -> Result<T, E> + Clone + Send + 'c,
{
    let (mut attempt, repeated) = (Some(attempt), refuse.clone());
    let attempt = move |lease| match attempt.take() {
        Some(attempt) => attempt(lease),
        None => {
            let refuse = repeated.clone();
            Box::pin(async move { refuse(Error::internal("a call was repeated that must not be")) })
        }
    };
    Box::pin(run(slot, Guard::of(&lease), operation, refuse, attempt, false))
}

/// Leads a call that is not async through those policies of the plugin that need no waiting, and has it measured. Where a
/// call would have to wait for its turn, it is refused.
///
/// # Errors
/// Those of `call`, and what `refuse` makes of the policies'.
#[inline]
pub fn call_now<T, E: 'static>(
    instance: &Instance,
    operation: &'static str,
    refuse: impl Fn(Error) -> Result<T, E>,
    call: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    match instance.is_plain() {
        true => call(),
        false => minded(instance, operation, refuse, call),
    }
}

// Out of the way of calls that nothing stands before.
#[cold]
fn minded<T, E: 'static>(
    instance: &Instance,
    operation: &'static str,
    refuse: impl Fn(Error) -> Result<T, E>,
    call: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let Some(guard) = Guard::of(instance) else { return instance.measure_now(operation, call) };
    let place = match guard.places.as_ref().map(|places| places.try_acquire()) {
        Some(Err(_)) => return refuse(guard.crowded(Duration::ZERO)),
        place => place,
    };
    if guard.pace.as_ref().is_some_and(|pace| pace.turn(Duration::ZERO).is_none()) {
        return refuse(guard.too_fast(Duration::ZERO));
    }
    let passage = match guard.enter() {
        Ok(passage) => passage,
        Err(error) => return refuse(error),
    };
    let result = instance.measure_now(operation, call);
    note(passage, &result);
    drop(place);
    result
}

/// Tells the circuit how a call ended.
fn note<T, E: 'static>(passage: Option<Passage>, result: &Result<T, E>) {
    let Some(passage) = passage else { return };
    match result.as_ref().err().map(known) {
        None | Some(None) => passage.succeeded(),
        Some(Some(error)) if error.kind().is_transient() => passage.failed(error),
        // The platform ended it, and the plugin had no say.
        Some(Some(error)) if matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Stopped) => drop(passage),
        Some(Some(_)) => passage.succeeded(),
    }
}

/// An error that is ours. One that is not counts as an answer: nothing is known of it.
fn known<E: 'static>(error: &E) -> Option<&Error> {
    (error as &dyn Any).downcast_ref()
}

async fn run<'c, T, E: 'static>(
    slot: &Slot,
    guard: Option<Arc<Guard>>,
    operation: &'static str,
    refuse: impl Fn(Error) -> Result<T, E>,
    mut attempt: impl FnMut(InstanceLease) -> Call<'c, T, E>,
    repeatable: bool,
) -> Result<T, E> {
    // There may be none any more, since the look and now, or since the last attempt.
    let mut next = guard;
    let mut deadline = None;
    let mut attempts = 0;
    loop {
        let Some(guard) = next else {
            return match slot.lease() {
                Ok(lease) => attempt(lease).await,
                Err(error) => refuse(error),
            };
        };
        if attempts == 0 {
            deadline = guard.policies.deadline.and_then(|deadline| Instant::now().checked_add(deadline));
        }
        attempts += 1;
        let ended = match guard.attempt(slot, operation, deadline, &mut attempt).await {
            Ok(value) => return Ok(value),
            Err(ended) => ended,
        };
        let retry = guard.policies.retry.filter(|_| repeatable);
        let kind = match &ended {
            // It has waited for its turn already, or was not to be made at all.
            Ended::Refused(_) => ErrorKind::Cancelled,
            Ended::TimedOut(_) => ErrorKind::Timeout,
            Ended::Failed(error) => known(error).map_or(ErrorKind::Failed, Error::kind),
        };
        let again = retry.filter(|retry| attempts < retry.max_attempts && retry.covers(kind));
        let pause = again.map(|retry| retry.pause(attempts)).filter(|pause| {
            deadline.is_none_or(|deadline| deadline.saturating_duration_since(Instant::now()) > *pause)
        });
        let Some(pause) = pause else {
            return match ended {
                Ended::Refused(error) => refuse(error),
                Ended::TimedOut(error) => refuse(numbered(error, attempts, retry)),
                Ended::Failed(error) => Err(numbered(error, attempts, retry)),
            };
        };
        drop(ended);
        count(&guard.counters.retries);
        sleep(pause).await;
        // The plugin may have been replaced, and have other policies.
        next = match slot.lease() {
            Ok(lease) => Guard::of(&lease),
            Err(error) => return refuse(error),
        };
    }
}

/// Says of an error which attempt it ended.
fn numbered<E: 'static>(mut error: E, attempts: u32, retry: Option<Retry>) -> E {
    if let (Some(retry), Some(error)) = (retry.filter(|_| attempts > 1), (&mut error as &mut dyn Any).downcast_mut()) {
        let own = mem::replace(error, Error::internal(""));
        *error = own.context(format!("attempt {attempts} of {}", retry.max_attempts));
    }
    error
}

impl Guard {
    /// A guard for an instance of the plugin with this type and id; `None` where there is nothing to guard.
    ///
    /// Limits are taken over from the guard `before` where they are the same. So is the circuit, if that guard is of the
    /// same instance; one that is not taken over is out of use from here on. `report` is told why the circuit is open, and
    /// when it no longer is.
    pub(crate) fn new(
        plugin: &str,
        policies: Option<&Resilience>,
        counters: Arc<Counters>,
        before: Option<Arc<Guard>>,
        same_instance: bool,
        report: impl Fn(Option<String>) + Send + Sync + 'static,
    ) -> Option<Arc<Self>> {
        let policies = policies.filter(|policies| !policies.is_empty());
        let had = before.as_ref().and_then(|before| before.circuit.clone()).filter(|_| same_instance);
        let kept = |settings: CircuitBreaker| had.clone().filter(|had| had.settings == settings);
        let report: Report = Box::new(report);
        let circuit = policies.and_then(|policies| policies.circuit_breaker);
        let circuit =
            circuit.map(|settings| kept(settings).unwrap_or_else(|| Arc::new(Circuit::new(settings, report))));
        if let Some(had) = had.filter(|had| circuit.as_ref().is_none_or(|circuit| !Arc::ptr_eq(had, circuit))) {
            had.retire();
        }
        let policies = policies?.clone();
        let before = before.as_ref();
        let pace = policies.rate_limit.map(|limit| {
            let kept = before.and_then(|before| before.pace.clone()).filter(|pace| pace.limit == limit);
            kept.unwrap_or_else(|| Arc::new(Pace::new(limit)))
        });
        let places = policies.max_concurrency.map(|calls| {
            let kept = before.filter(|before| before.policies.max_concurrency == Some(calls));
            kept.and_then(|before| before.places.clone()).unwrap_or_else(|| Arc::new(Semaphore::new(permits(calls))))
        });
        Some(Arc::new(Guard { plugin: plugin.into(), policies, circuit, pace, places, counters }))
    }

    /// The guard of an instance.
    pub(crate) fn of(instance: &Instance) -> Option<Arc<Guard>> {
        instance.guard()?.downcast().ok()
    }

    fn in_flight(&self) -> Option<u64> {
        let (calls, places) = (self.policies.max_concurrency?, self.places.as_ref()?);
        Some(permits(calls).saturating_sub(places.available_permits()) as u64)
    }

    async fn attempt<'c, T, E: 'static>(
        &self,
        slot: &Slot,
        operation: &'static str,
        deadline: Option<Instant>,
        attempt: &mut impl FnMut(InstanceLease) -> Call<'c, T, E>,
    ) -> Result<T, Ended<E>> {
        // What would be refused afterwards need not wait.
        if let Some(circuit) = &self.circuit {
            circuit.check().map_err(|refused| Ended::Refused(self.interrupted(refused)))?;
        }
        let _place = self.turn(deadline).await.map_err(Ended::Refused)?;
        let lease = slot.lease().map_err(Ended::Refused)?;
        // The circuit of the instance that is called, which may be another one by now.
        let other = Guard::of(&lease).filter(|guard| !std::ptr::eq(&**guard, self));
        let guard = other.as_deref().unwrap_or(self);
        let passage = guard.enter().map_err(Ended::Refused)?;
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let Some(limit) = left.into_iter().chain(guard.policies.timeout).min() else {
            let result = attempt(lease).await;
            note(passage, &result);
            return result.map_err(Ended::Failed);
        };
        if let Ok(result) = timeout(limit, attempt(lease)).await {
            note(passage, &result);
            return result.map_err(Ended::Failed);
        }
        count(&guard.counters.timeouts);
        let limit = match left == Some(limit) {
            true => guard.policies.deadline.unwrap_or(limit),
            false => limit,
        };
        let message = format!("plugin `{}` did not answer `{operation}` within {limit:?}", self.plugin);
        if let Some(passage) = passage {
            passage.failed(&message);
        }
        Err(Ended::TimedOut(Error::timeout(message)))
    }

    /// Waits for a place among the calls under way, and for the turn at the permitted rate.
    async fn turn(&self, deadline: Option<Instant>) -> Result<Option<SemaphorePermit<'_>>, Error> {
        let began = Instant::now();
        let left = |longest: Duration| {
            let own = longest.saturating_sub(began.elapsed());
            deadline.map_or(own, |deadline| own.min(deadline.saturating_duration_since(Instant::now())))
        };
        let longest = self.policies.max_wait;
        let place = match &self.places {
            None => None,
            Some(places) => match timeout(left(longest), places.acquire()).await {
                Ok(place) => place.ok(),
                Err(_) => return Err(self.crowded(began.elapsed())),
            },
        };
        if let Some(pace) = &self.pace {
            let Some(turn) = pace.turn(left(longest)) else { return Err(self.too_fast(longest)) };
            sleep_until(turn.at).await;
        }
        Ok(place)
    }

    fn enter(&self) -> Result<Option<Passage>, Error> {
        self.circuit.as_ref().map(|circuit| circuit.enter()).transpose().map_err(|refused| self.interrupted(refused))
    }

    #[cold]
    fn interrupted(&self, refused: impl fmt::Display) -> Error {
        count(&self.counters.rejected_by_circuit_breaker);
        Error::unavailable(format!("plugin `{}` was not called: {refused}", self.plugin))
    }

    #[cold]
    fn crowded(&self, waited: Duration) -> Error {
        count(&self.counters.rejected_by_concurrency);
        let calls = self.policies.max_concurrency.unwrap_or_default();
        let what = format!("plugin `{}` was not called: {calls} calls were under way", self.plugin);
        Error::unavailable(match waited.is_zero() {
            true => what,
            false => format!("{what}, and none ended within {waited:?}"),
        })
    }

    #[cold]
    fn too_fast(&self, waited: Duration) -> Error {
        count(&self.counters.rejected_by_rate_limit);
        let what = format!("plugin `{}` was not called: its rate limit is reached", self.plugin);
        Error::unavailable(match waited.is_zero() {
            true => what,
            false => format!("{what}, and its turn does not come within {waited:?}"),
        })
    }
}

fn permits(calls: u32) -> usize {
    (calls as usize).min(Semaphore::MAX_PERMITS)
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("plugin", &self.plugin).field("policies", &self.policies).finish_non_exhaustive()
    }
}
