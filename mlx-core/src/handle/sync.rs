//! What the algorithm needs of threads. The model check brings its own module of this name.

pub(super) use arc_swap::{ArcSwapOption, Guard};
use std::cell::Cell;
pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
pub(super) use std::sync::{Mutex, MutexGuard};

/// A number that belongs to the calling thread; threads are numbered from 0 as they first ask.
#[inline]
pub(super) fn thread_index() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        // Constant, because one that is set at first use is looked at through a call.
        static INDEX: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let mut index = INDEX.get();
    if index == usize::MAX {
        index = NEXT.fetch_add(1, Ordering::Relaxed);
        INDEX.set(index);
    }
    index
}
