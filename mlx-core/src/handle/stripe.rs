//! A value that is leased without contention, replaced in one step and drained to the last lease.
//! The module above says how it works.

use std::future::poll_fn;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, Weak};

use super::signal::{Signal, Watch};
use super::sync::{ArcSwapOption, AtomicUsize, Guard, Mutex, MutexGuard, Ordering, thread_index};

/// The current value, if there is one, behind as many independent counts as there are stripes, and one more for borrowers.
pub(super) struct Stripes<T> {
    stripes: Box<[Stripe<T>]>,
    /// The first share of what is published.
    borrowed: ArcSwapOption<Share<T>>,
}

/// 128 bytes: the prefetcher of current x86 fetches lines of 64 in pairs, and Apple's lines are
/// 128 wide. Empty until the first lease through it on what is published.
#[repr(align(128))]
struct Stripe<T>(Mutex<Option<Arc<Share<T>>>>);

/// One stripe's part in a generation. Aligned so that its counts share a line with nobody's.
#[repr(align(128))]
struct Share<T> {
    generation: Arc<Generation<T>>,
    cancelled: Signal,
}

/// One published value.
struct Generation<T> {
    value: T,
    /// Shares not yet dropped.
    shares: AtomicUsize,
    /// All shares there have been.
    all: Mutex<Vec<Weak<Share<T>>>>,
    drained: Signal,
}

impl<T> Generation<T> {
    fn new(value: T) -> Arc<Self> {
        Arc::new(Self { value, shares: AtomicUsize::new(0), all: Mutex::default(), drained: Signal::default() })
    }

    /// Another share. Where it is not the first, one has to exist meanwhile.
    fn share(self: &Arc<Self>) -> Arc<Share<T>> {
        self.shares.fetch_add(1, Ordering::Relaxed);
        let share = Arc::new(Share { generation: Arc::clone(self), cancelled: Signal::default() });
        self.all().push(Arc::downgrade(&share));
        share
    }

    fn all(&self) -> MutexGuard<'_, Vec<Weak<Share<T>>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Share<T> {
    fn drop(&mut self) {
        // Whoever waits for the drain goes on to stop the value: all uses come before that.
        if self.generation.shares.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.generation.drained.fire();
        }
    }
}

impl<T> Stripe<T> {
    /// No foreign code runs under this lock.
    #[inline]
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Share<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Stripes<T> {
    /// Empty, with `count` stripes, or the next power of two.
    pub(super) fn new(count: usize) -> Self {
        let stripes = (0..count.next_power_of_two()).map(|_| Stripe(Mutex::new(None))).collect();
        Self { stripes, borrowed: ArcSwapOption::empty() }
    }

    /// A lease on the current value.
    #[inline]
    pub(super) fn lease(&self) -> Option<Claim<T>> {
        // A remainder, without a division.
        let mut stripe = self.stripes[thread_index() & (self.stripes.len() - 1)].lock();
        match &*stripe {
            Some(share) => Some(Claim(Arc::clone(share))),
            None => self.first_lease(&mut stripe),
        }
    }

    /// Under the lock of the stripe nobody exchanges what is borrowed, and its share keeps the generation from being drained.
    #[cold]
    fn first_lease(&self, stripe: &mut Option<Arc<Share<T>>>) -> Option<Claim<T>> {
        let share = self.borrowed.load().as_ref()?.generation.share();
        Some(Claim(Arc::clone(stripe.insert(share))))
    }

    /// The current value, for a moment: cheaper than a lease, but only up to eight at a time on a thread.
    #[inline]
    pub(super) fn borrow(&self) -> Borrow<T> {
        Borrow(self.borrowed.load())
    }

    /// Replaces the value. No lease taken after this returns is on the one before.
    pub(super) fn publish(&self, value: T) -> Option<Drain<T>> {
        self.exchange(Some(Generation::new(value).share()))
    }

    /// Publishes what `other` holds here as well, with the leases it has there: they are drained as one. Where the other
    /// is empty, this one is closed.
    pub(super) fn publish_from(&self, other: &Self) -> Option<Drain<T>> {
        self.exchange(other.borrowed.load_full())
    }

    /// Takes the value away. No lease is given until the next one is published.
    pub(super) fn close(&self) -> Option<Drain<T>> {
        self.exchange(None)
    }

    fn exchange(&self, next: Option<Arc<Share<T>>>) -> Option<Drain<T>> {
        // Shares are dropped after the locks: the last one wakes whoever waits.
        let _leased: Vec<_>;
        let old = {
            // Always in the same order, so that two publishers cannot block each other.
            let mut stripes: Vec<_> = self.stripes.iter().map(Stripe::lock).collect();
            _leased = stripes.iter_mut().filter_map(|share| share.take()).collect();
            // Under the locks: whoever leases while others borrow the next value gets that one too. From here on each
            // borrow of the one before counts as a reference.
            self.borrowed.swap(next)
        };
        Some(Drain { generation: Arc::clone(&old?.generation) })
    }
}

/// A lease: keeps one published value from being drained.
pub(super) struct Claim<T>(Arc<Share<T>>);

impl<T> Deref for Claim<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.generation.value
    }
}

/// A borrowed value, if there is one: keeps it from being drained as a lease does.
pub(super) struct Borrow<T>(Guard<Option<Arc<Share<T>>>>);

impl<T> Borrow<T> {
    #[inline]
    pub(super) fn get(&self) -> Option<&T> {
        self.0.as_ref().map(|share| &share.generation.value)
    }
}

/// Fires when the leases of this generation are asked to end.
impl<T> AsRef<Signal> for Claim<T> {
    fn as_ref(&self) -> &Signal {
        &self.0.cancelled
    }
}

/// A value that was replaced or taken away, with the leases it still has.
pub(super) struct Drain<T> {
    generation: Arc<Generation<T>>,
}

impl<T> Drain<T> {
    pub(super) fn value(&self) -> &T {
        &self.generation.value
    }

    /// Leases and borrows.
    pub(super) fn leases(&self) -> usize {
        self.generation.all().iter().map(Weak::strong_count).sum()
    }

    /// Completes when the last lease or borrow is gone.
    pub(super) async fn drained(&self) {
        let mut watch = Watch::new(&self.generation.drained);
        poll_fn(|cx| watch.poll(cx.waker())).await;
    }

    /// Tells everyone who watches a lease's signal to end, and returns how many they were.
    pub(super) fn cancel(&self) -> usize {
        // Wakers are not woken under the lock.
        let shares: Vec<_> = self.generation.all().iter().filter_map(Weak::upgrade).collect();
        shares.iter().map(|share| share.cancelled.fire()).sum()
    }
}
