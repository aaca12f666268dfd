//! Where each plugin of a platform stands, and how that changes.

use super::running::Running;
use crate::plugin::{Condition, Feed, StatusReporter, next};
pub use crate::plugin::{PluginState, PluginStatus};
use futures_core::Stream;
use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::SystemTime,
};
use tokio::sync::broadcast;

/// Changes that a watcher may be behind before it misses some.
const CHANGES_KEPT: usize = 256;

/// An item of [`StatusChanges`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StatusEvent {
    /// Where all plugins stand. Every stream begins with it. It comes again after a watcher was too slow, with the
    /// number of changes that were left out; it contains their outcome.
    Snapshot {
        /// All plugins, in the order of the plan.
        plugins: Vec<PluginStatus>,
        /// Changes that were left out; 0 at the beginning.
        missed: u64,
    },
    /// A plugin's status is another one now.
    Changed(PluginStatus),
}

/// The status of all plugins, and how it changes: [`Platform::status_changes`](super::Platform::status_changes).
///
/// A stream that ends when the platform has stopped. It can be dropped at any time.
pub struct StatusChanges {
    /// Weak, because the end of the platform is the end of the stream.
    running: Weak<Running>,
    feed: Option<Feed<PluginStatus>>,
    /// Changes that have been given out, or are part of a snapshot that was.
    seen: u64,
    /// To be given out next.
    snapshot: Option<StatusEvent>,
}

impl StatusChanges {
    pub(super) fn of(running: &Arc<Running>) -> Self {
        let (plugins, feed, seen) = running.changes_of_status.subscribe(|| running.statuses());
        let snapshot = Some(StatusEvent::Snapshot { plugins, missed: 0 });
        StatusChanges { running: Arc::downgrade(running), feed, seen, snapshot }
    }

    /// Waits for the next item; `None` when the platform has stopped.
    pub async fn next(&mut self) -> Option<StatusEvent> {
        next(self).await
    }
}

impl Stream for StatusChanges {
    type Item = StatusEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<StatusEvent>> {
        if let Some(snapshot) = self.snapshot.take() {
            return Poll::Ready(Some(snapshot));
        }
        let Some(feed) = &mut self.feed else { return Poll::Ready(None) };
        match feed.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(status))) => {
                self.seen += 1;
                Poll::Ready(Some(StatusEvent::Changed(status)))
            }
            Poll::Ready(None) => {
                self.feed = None;
                Poll::Ready(None)
            }
            // What is left in the feed is older than the state of the moment: begin again from there.
            Poll::Ready(Some(Err(_))) => {
                self.feed = None;
                let Some(running) = self.running.upgrade() else { return Poll::Ready(None) };
                let (plugins, feed, seen) = running.changes_of_status.subscribe(|| running.statuses());
                let missed = seen - self.seen;
                (self.feed, self.seen) = (feed, seen);
                Poll::Ready(Some(StatusEvent::Snapshot { plugins, missed }))
            }
        }
    }
}

impl fmt::Debug for StatusChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusChanges").finish_non_exhaustive()
    }
}

/// Nothing that holds one of these locks can leave it half-changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where one plugin stands.
pub(super) struct Standing {
    entry: Mutex<Entry>,
}

struct Entry {
    status: PluginStatus,
    /// Counts what happened in this place, so that a plugin that is no longer there has no say.
    generation: u64,
}

impl Standing {
    pub(super) fn new(status: PluginStatus) -> Self {
        Standing { entry: Mutex::new(Entry { status, generation: 0 }) }
    }

    pub(super) fn status(&self) -> PluginStatus {
        locked(&self.entry).status.clone()
    }
}

impl Entry {
    /// Returns whether anything is another now.
    fn set(&mut self, state: PluginState, cause: Option<String>) -> bool {
        let status = &mut self.status;
        if status.state == state && status.cause == cause {
            return false;
        }
        if status.state != state {
            status.since = SystemTime::now();
        }
        (status.state, status.cause) = (state, cause);
        true
    }
}

/// Through which every change of a status goes, in one order for all who watch.
///
/// Its lock is taken before that of a [`Standing`] and before a look at what the platform consists of, and after that of a
/// [`StatusReporter`].
pub(super) struct Changes {
    state: Mutex<State>,
}

struct State {
    /// `None` after the end.
    sender: Option<broadcast::Sender<PluginStatus>>,
    /// Changes so far.
    sent: u64,
}

impl State {
    fn send(&mut self, status: &PluginStatus) {
        let Some(sender) = &self.sender else { return };
        self.sent += 1;
        if sender.receiver_count() > 0 {
            // The last one may have gone meanwhile.
            let _ = sender.send(status.clone());
        }
    }
}

impl Changes {
    pub(super) fn new() -> Self {
        Changes { state: Mutex::new(State { sender: Some(broadcast::Sender::new(CHANGES_KEPT)), sent: 0 }) }
    }

    /// The platform's own word. From here on the plugin's reports do not count, until it serves again.
    pub(super) fn set(&self, standing: &Standing, state: PluginState, cause: Option<String>) {
        let (mut shared, mut entry) = (locked(&self.state), locked(&standing.entry));
        entry.generation += 1;
        if entry.set(state, cause) {
            shared.send(&entry.status);
        }
    }

    /// The plugin with this reporter, and this name if it is another one, serves from now on: it is running, or what it says itself.
    pub(super) fn serve(
        self: &Arc<Self>,
        standing: &Arc<Standing>,
        name: Option<&'static str>,
        reporter: Option<&StatusReporter>,
    ) {
        let generation = {
            let mut entry = locked(&standing.entry);
            entry.generation += 1;
            // Whatever it was: this is another one, and that is news.
            entry.status.state = PluginState::Starting;
            entry.status.name = name.unwrap_or(entry.status.name);
            entry.generation
        };
        let (changes, standing) = (Arc::downgrade(self), Arc::downgrade(standing));
        let report = move |condition: &Condition| {
            let (Some(changes), Some(standing)) = (changes.upgrade(), standing.upgrade()) else { return };
            let (mut shared, mut entry) = (locked(&changes.state), locked(&standing.entry));
            if entry.generation != generation {
                return;
            }
            let changed = match condition {
                Condition::Working => entry.set(PluginState::Running, None),
                Condition::Degraded(cause) => entry.set(PluginState::Degraded, Some(cause.clone())),
                Condition::Failed(cause) => entry.set(PluginState::Failed, Some(cause.clone())),
            };
            if changed {
                shared.send(&entry.status);
            }
        };
        match reporter {
            Some(reporter) => reporter.watch(report),
            None => report(&Condition::Working),
        }
    }

    /// Tells everybody where a plugin stands that they may not know of.
    pub(super) fn announce(&self, standing: &Standing) {
        let mut shared = locked(&self.state);
        shared.send(&standing.status());
    }

    /// Ends the streams; those that are behind get the rest first.
    pub(super) fn end(&self) {
        locked(&self.state).sender = None;
    }

    /// The state of the moment, what follows it, and how many changes there were before.
    fn subscribe(
        &self,
        statuses: impl FnOnce() -> Vec<PluginStatus>,
    ) -> (Vec<PluginStatus>, Option<Feed<PluginStatus>>, u64) {
        let shared = locked(&self.state);
        let feed = shared.sender.as_ref().map(|sender| Feed::new(sender.subscribe()));
        (statuses(), feed, shared.sent)
    }
}
