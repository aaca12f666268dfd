//! A circuit breaker.

use super::CircuitBreaker;
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use tokio::time::Instant;

/// Parts that the window slides by.
const PARTS: u32 = 10;

/// Whether a circuit breaker lets calls through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitState {
    /// It does.
    Closed,
    /// It refuses them.
    Open,
    /// It lets one through, and waits for how that ends.
    HalfOpen,
}

impl CircuitState {
    /// The state in snake case: `half_open`.
    pub const fn as_str(self) -> &'static str {
        match self {
            CircuitState::Closed => "closed",
            CircuitState::Open => "open",
            CircuitState::HalfOpen => "half_open",
        }
    }
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Told why the circuit is open, and `None` when it no longer is.
pub(super) type Report = Box<dyn Fn(Option<String>) + Send + Sync>;

/// Counts failures, and refuses calls while there are too many.
pub(super) struct Circuit {
    pub(super) settings: CircuitBreaker,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// Counts openings and closings, so that calls from before have no say.
    generation: u64,
    /// `None` once the circuit is out of use.
    report: Option<Report>,
}

enum Phase {
    Closed(Window),
    Open { until: Instant, why: String, probing: bool },
}

/// A call was refused.
pub(super) struct Refused {
    /// How long the circuit stays open; `None` while one call is trying whether it can be closed.
    left: Option<Duration>,
    why: String,
}

/// A call that was let through.
pub(super) struct Passage {
    circuit: Arc<Circuit>,
    generation: u64,
    probe: bool,
    ended: bool,
}

impl Circuit {
    pub(super) fn new(settings: CircuitBreaker, report: Report) -> Self {
        let phase = Phase::Closed(Window::default());
        Circuit { settings, state: Mutex::new(State { phase, generation: 0, report: Some(report) }) }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call would be refused now, which takes no place from another.
    pub(super) fn check(&self) -> Result<(), Refused> {
        match &self.locked().phase {
            Phase::Closed(_) => Ok(()),
            Phase::Open { until, why, probing } => Refused::while_open(*until, why, *probing),
        }
    }

    /// Lets a call through, or refuses it.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Passage, Refused> {
        let mut state = self.locked();
        let probe = match &mut state.phase {
            Phase::Closed(_) => false,
            Phase::Open { until, why, probing } => {
                Refused::while_open(*until, why, *probing)?;
                *probing = true;
                true
            }
        };
        Ok(Passage { circuit: Arc::clone(self), generation: state.generation, probe, ended: false })
    }

    pub(super) fn state(&self) -> CircuitState {
        match &self.locked().phase {
            Phase::Closed(_) => CircuitState::Closed,
            Phase::Open { probing: true, .. } => CircuitState::HalfOpen,
            Phase::Open { .. } => CircuitState::Open,
        }
    }

    /// Takes it out of use: it has no say any more.
    pub(super) fn retire(&self) {
        let mut state = self.locked();
        state.report(None);
        state.report = None;
    }
}

impl State {
    /// Under the lock, so that reports arrive in the order of what they report.
    fn report(&self, why: Option<String>) {
        if let Some(report) = &self.report {
            report(why);
        }
    }

    fn open(&mut self, settings: &CircuitBreaker, why: String) {
        self.report(Some(format!("its circuit is open: {why}")));
        // A moment that no clock can show is never reached.
        let now = Instant::now();
        let until = now.checked_add(settings.open_for).unwrap_or(now + Duration::from_secs(86_400 * 365));
        self.phase = Phase::Open { until, why, probing: false };
        self.generation += 1;
    }
}

impl Refused {
    fn while_open(until: Instant, why: &str, probing: bool) -> Result<(), Refused> {
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
        match left.is_some() || probing {
            true => Err(Refused { left, why: why.to_owned() }),
            false => Ok(()),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.left {
            Some(left) => write!(f, "its circuit is open for another {:?}", round(left))?,
            None => f.write_str("its circuit is open until a call that is under way succeeds")?,
        }
        write!(f, ": {}", self.why)
    }
}

/// To three digits or so, for people.
fn round(duration: Duration) -> Duration {
    match duration.as_secs() {
        0 => Duration::from_millis(u64::from(duration.subsec_millis()).max(1)),
        seconds => Duration::from_millis(seconds * 1000 + u64::from(duration.subsec_millis() / 100) * 100),
    }
}

impl Passage {
    /// The plugin answered.
    pub(super) fn succeeded(mut self) {
        self.end(None);
    }

    /// The plugin did not, for this reason.
    pub(super) fn failed(mut self, reason: impl fmt::Display) {
        self.end(Some(&reason));
    }

    fn end(&mut self, failure: Option<&dyn fmt::Display>) {
        self.ended = true;
        let settings = self.circuit.settings;
        let mut guard = self.circuit.locked();
        let state = &mut *guard;
        if state.generation != self.generation {
            return;
        }
        match (&mut state.phase, failure) {
            (Phase::Closed(window), failure) => {
                window.count(settings.window, failure.is_some());
                let (calls, failures) = (window.calls, window.failures);
                let Some(reason) = failure else { return };
                if calls >= u64::from(settings.min_calls) && failures as f64 >= settings.failure_ratio * calls as f64 {
                    let within = settings.window;
                    state.open(
                        &settings,
                        format!("{failures} of {calls} calls within {within:?} failed, the last with: {reason}"),
                    );
                }
            }
            (Phase::Open { .. }, None) => {
                state.phase = Phase::Closed(Window::default());
                state.generation += 1;
                state.report(None);
            }
            (Phase::Open { .. }, Some(reason)) => {
                state.open(&settings, format!("the call that tried whether it could be closed failed: {reason}"));
            }
        }
    }
}

/// Nobody waited for the end, so it says nothing about the plugin; unless that panicked.
impl Drop for Passage {
    fn drop(&mut self) {
        if self.ended {
        } else if thread::panicking() {
            self.end(Some(&"it panicked"));
        } else if self.probe {
            let mut state = self.circuit.locked();
            if let (true, Phase::Open { probing, .. }) = (state.generation == self.generation, &mut state.phase) {
                *probing = false;
            }
        }
    }
}

/// The calls of the last while, counted in parts of it.
#[derive(Default)]
struct Window {
    parts: VecDeque<Part>,
    calls: u64,
    failures: u64,
}

struct Part {
    began: Instant,
    calls: u64,
    failures: u64,
}

impl Window {
    fn count(&mut self, length: Duration, failed: bool) {
        let now = Instant::now();
        while let Some(part) = self.parts.front().filter(|part| now.duration_since(part.began) >= length) {
            self.calls -= part.calls;
            self.failures -= part.failures;
            self.parts.pop_front();
        }
        let current = self.parts.back_mut().filter(|part| now.duration_since(part.began) < length / PARTS);
        let failed = u64::from(failed);
        match current {
            Some(part) => (part.calls, part.failures) = (part.calls + 1, part.failures + failed),
            None => self.parts.push_back(Part { began: now, calls: 1, failures: failed }),
        }
        self.calls += 1;
        self.failures += failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    const SECOND: Duration = Duration::from_secs(1);

    type Reports = Arc<Mutex<Vec<Option<String>>>>;

    fn circuit(ratio: f64, min_calls: u32) -> (Arc<Circuit>, Reports) {
        let reports = Reports::default();
        let to = reports.clone();
        let settings = CircuitBreaker::new().failure_ratio(ratio, min_calls);
        let circuit = Circuit::new(settings, Box::new(move |why| to.lock().unwrap().push(why)));
        (Arc::new(circuit), reports)
    }

    impl Circuit {
        fn succeed(self: &Arc<Self>) {
            self.enter().ok().unwrap().succeeded();
        }

        fn fail(self: &Arc<Self>) {
            self.enter().ok().unwrap().failed("refused");
        }

        fn refusal(self: &Arc<Self>) -> String {
            self.enter().err().unwrap().to_string()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_at_a_share_of_enough_calls_and_closes_after_one_that_succeeds() {
        let (circuit, reports) = circuit(0.5, 4);
        circuit.fail();
        circuit.fail();
        circuit.succeed();
        assert_eq!(circuit.state(), CircuitState::Closed);
        circuit.fail();
        assert_eq!(circuit.state(), CircuitState::Open);
        let why = "3 of 4 calls within 30s failed, the last with: refused";
        assert_eq!(circuit.refusal(), format!("its circuit is open for another 10s: {why}"));
        sleep(10 * SECOND).await;
        let probe = circuit.enter().ok().unwrap();
        assert_eq!(circuit.state(), CircuitState::HalfOpen);
        assert!(circuit.refusal().contains("until a call that is under way succeeds"));
        probe.succeeded();
        assert_eq!(circuit.state(), CircuitState::Closed);
        assert_eq!(*reports.lock().unwrap(), [Some(format!("its circuit is open: {why}")), None]);
        // What was counted before is forgotten.
        circuit.fail();
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_fails_opens_it_again_and_one_that_is_dropped_gives_way() {
        let (circuit, _) = circuit(0.0, 1);
        circuit.fail();
        sleep(10 * SECOND).await;
        drop(circuit.enter().ok().unwrap());
        circuit.fail();
        assert!(circuit.refusal().starts_with("its circuit is open for another 10s"), "{}", circuit.refusal());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_the_window_does_not_count() {
        let (circuit, _) = circuit(0.9, 3);
        circuit.fail();
        circuit.fail();
        sleep(31 * SECOND).await;
        circuit.fail();
        assert_eq!(circuit.state(), CircuitState::Closed);
        circuit.fail();
        circuit.fail();
        assert_eq!(circuit.state(), CircuitState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_from_before_it_opened_have_no_say() {
        let (circuit, _) = circuit(0.5, 2);
        let (late, later) = (circuit.enter().ok().unwrap(), circuit.enter().ok().unwrap());
        circuit.fail();
        circuit.fail();
        late.succeeded();
        assert_eq!(circuit.state(), CircuitState::Open);
        sleep(10 * SECOND).await;
        circuit.succeed();
        later.failed("late");
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_a_failure_and_what_is_given_up_is_none() {
        let (circuit, _) = circuit(1.0, 1);
        drop(circuit.enter().ok().unwrap());
        assert_eq!(circuit.state(), CircuitState::Closed);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _passage = circuit.enter().ok().unwrap();
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert!(circuit.refusal().contains("it panicked"));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_out_of_use_reports_no_more() {
        let (circuit, reports) = circuit(1.0, 1);
        circuit.fail();
        circuit.retire();
        sleep(10 * SECOND).await;
        circuit.fail();
        assert_eq!(reports.lock().unwrap().len(), 2);
        assert_eq!(reports.lock().unwrap()[1], None);
    }
}
