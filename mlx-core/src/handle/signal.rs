//! An event that happens once, and those who wait for it.

use std::mem;
use std::sync::PoisonError;
use std::task::{Poll, Waker};

use super::sync::{Mutex, MutexGuard};

/// Fires once; wakes everyone who watches.
#[derive(Default)]
pub(super) struct Signal {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    fired: bool,
    /// One entry a watcher, empty until it first waits. Entries listed in `free` are nobody's.
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl State {
    fn enter(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.wakers.push(None);
            self.wakers.len() - 1
        })
    }
}

impl Signal {
    /// Fires, and returns how many were watching. Firing again does nothing and returns 0.
    pub(super) fn fire(&self) -> usize {
        let (wakers, watching) = {
            let mut state = self.lock();
            let watching = state.wakers.len() - state.free.len();
            state.fired = true;
            state.free.clear();
            (mem::take(&mut state.wakers), watching)
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
        watching
    }

    pub(super) fn is_fired(&self) -> bool {
        self.lock().fired
    }

    /// The state is whole at every point where a waker's own code could panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<Signal> for Signal {
    fn as_ref(&self) -> &Signal {
        self
    }
}

/// One watcher of a signal. Costs nothing until it enters or waits, and leaves when dropped.
pub(super) struct Watch<S: AsRef<Signal>> {
    source: S,
    entry: Option<usize>,
}

impl<S: AsRef<Signal>> Watch<S> {
    pub(super) fn new(source: S) -> Self {
        Self { source, entry: None }
    }

    pub(super) fn source(&self) -> &S {
        &self.source
    }

    /// Counts as watching from here on, before the first wait.
    pub(super) fn enter(&mut self) {
        let mut state = self.source.as_ref().lock();
        if self.entry.is_none() && !state.fired {
            self.entry = Some(state.enter());
        }
    }

    /// Ready once the signal has fired; until then `waker` will be woken when it does.
    pub(super) fn poll(&mut self, waker: &Waker) -> Poll<()> {
        // Dropping a waker can drop a task, and with it a watcher of this very signal. Declared
        // before the lock, so dropped after it.
        let _stale: Option<Waker>;
        let mut state = self.source.as_ref().lock();
        if state.fired {
            return Poll::Ready(());
        }
        let entry = *self.entry.get_or_insert_with(|| state.enter());
        match &mut state.wakers[entry] {
            Some(known) if known.will_wake(waker) => {}
            other => _stale = other.replace(waker.clone()),
        }
        Poll::Pending
    }
}

impl<S: AsRef<Signal>> Drop for Watch<S> {
    fn drop(&mut self) {
        let Some(entry) = self.entry else { return };
        let _stale: Option<Waker>;
        let mut state = self.source.as_ref().lock();
        // Firing emptied the table.
        if !state.fired {
            _stale = state.wakers[entry].take();
            state.free.push(entry);
        }
    }
}
