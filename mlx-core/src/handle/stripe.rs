//! A value that is leased without contention, replaced in one step and drained to the last lease.
//! The module above says how it works.

use std::any::Any;
use std::future::poll_fn;
use std::mem;
use std::ops::Deref;
use std::sync::{Arc, OnceLock, PoisonError, Weak};

use super::signal::{Signal, Watch};
use super::sync::{ArcSwapOption, AtomicUsize, Guard, Mutex, MutexGuard, Ordering, thread_index};

/// The current value, if there is one, behind as many independent counts as there are stripes, and one more for each part
/// of it that is borrowed.
pub(super) struct Stripes<T> {
    stripes: Box<[Stripe<T>]>,
    /// The first share of what is published. Exchanged under the locks of all stripes, so that it stays under that of one.
    first: Mutex<Option<Arc<Share<T>>>>,
}

/// 128 bytes: the prefetcher of current x86 fetches lines of 64 in pairs, and Apple's lines are
/// 128 wide.
#[repr(align(128))]
struct Stripe<T>(Mutex<Passed<T>>);

/// What has been taken through a stripe since something was published.
struct Passed<T> {
    /// None until the first lease.
    share: Option<Arc<Share<T>>>,
    /// The caches that were filled under the lock.
    filled: Vec<Arc<dyn Invalidate>>,
}

/// One stripe's part in a generation. Aligned so that its counts share a line with nobody's.
#[repr(align(128))]
struct Share<T> {
    hold: Hold<T>,
    cancelled: Signal,
}

/// Where borrowers find the current value, and the part of it that they would have to search for. On lines of its own.
#[repr(align(128))]
pub(super) struct Cache<T, P>(ArcSwapOption<Entry<T, P>>);

/// What a [`Cache`] holds: all that borrow this part of a generation share it.
#[repr(align(128))]
struct Entry<T, P> {
    // Dropped before the hold: whoever waits for the drain finds no other owner of it.
    part: P,
    hold: Hold<T>,
}

/// Keeps a generation from being drained.
struct Hold<T>(Arc<Generation<T>>);

/// One published value.
struct Generation<T> {
    value: T,
    /// Shares and entries not yet dropped.
    holds: AtomicUsize,
    /// All shares and entries there have been.
    all: Mutex<Vec<Weak<dyn Counted>>>,
    drained: Signal,
}

/// What callers have references to.
trait Counted: Send + Sync {
    /// Tells those to end that watch for it, and returns how many they were.
    fn cancel(&self) -> usize;
}

impl<T: Send + Sync> Counted for Share<T> {
    fn cancel(&self) -> usize {
        self.cancelled.fire()
    }
}

/// A call that only borrows does not wait.
impl<T: Send + Sync, P: Send + Sync> Counted for Entry<T, P> {
    fn cancel(&self) -> usize {
        0
    }
}

/// A [`Cache`] of whatever part.
trait Invalidate: Any + Send + Sync {
    /// Empties it, and returns what was in it, to be dropped under no lock. Each borrow of that counts as a reference
    /// from here on.
    fn invalidate(&self) -> Option<Arc<dyn Counted>>;
}

impl<T: Send + Sync + 'static, P: Send + Sync + 'static> Invalidate for Cache<T, P> {
    fn invalidate(&self) -> Option<Arc<dyn Counted>> {
        self.0.swap(None).map(|entry| entry as Arc<dyn Counted>)
    }
}

impl<T: Send + Sync + 'static> Generation<T> {
    fn new(value: T) -> Arc<Self> {
        // Many have one share for ever.
        let all = Mutex::new(Vec::with_capacity(1));
        Arc::new(Self { value, holds: AtomicUsize::new(0), all, drained: Signal::default() })
    }

    /// Where it is not the first, one has to exist meanwhile.
    fn hold(self: &Arc<Self>) -> Hold<T> {
        self.holds.fetch_add(1, Ordering::Relaxed);
        Hold(Arc::clone(self))
    }

    fn share(self: &Arc<Self>) -> Arc<Share<T>> {
        let share = Arc::new(Share { hold: self.hold(), cancelled: Signal::default() });
        self.count(Arc::downgrade(&share) as _);
        share
    }

    fn entry<P: Send + Sync + 'static>(self: &Arc<Self>, part: P) -> Arc<Entry<T, P>> {
        let entry = Arc::new(Entry { part, hold: self.hold() });
        self.count(Arc::downgrade(&entry) as _);
        entry
    }

    fn count(&self, counted: Weak<dyn Counted>) {
        self.all().push(counted);
    }
}

impl<T> Generation<T> {
    fn all(&self) -> MutexGuard<'_, Vec<Weak<dyn Counted>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Hold<T> {
    fn drop(&mut self) {
        // Whoever waits for the drain goes on to stop the value: all uses come before that.
        if self.0.holds.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.drained.fire();
        }
    }
}

impl<T> Stripe<T> {
    /// No foreign code runs under this lock.
    #[inline]
    fn lock(&self) -> MutexGuard<'_, Passed<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Passed<T> {
    /// One of the caches for the part `P`.
    fn cache<P>(&self) -> Option<Arc<Cache<T, P>>>
    where
        T: Send + Sync + 'static,
        P: Send + Sync + 'static,
    {
        self.filled.iter().find_map(|filled| {
            let filled: Arc<dyn Any + Send + Sync> = Arc::clone(filled) as _;
            filled.downcast().ok()
        })
    }
}

impl<T: Send + Sync + 'static> Stripes<T> {
    /// Empty, with `count` stripes, or the next power of two.
    pub(super) fn new(count: usize) -> Self {
        let stripe = |_| Stripe(Mutex::new(Passed { share: None, filled: Vec::new() }));
        Self { stripes: (0..count.next_power_of_two()).map(stripe).collect(), first: Mutex::new(None) }
    }

    /// No foreign code runs under this lock. It is held for a moment, and taken after that of a stripe.
    fn first(&self) -> MutexGuard<'_, Option<Arc<Share<T>>>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That of the calling thread.
    #[inline]
    fn stripe(&self) -> MutexGuard<'_, Passed<T>> {
        // A remainder, without a division.
        self.stripes[thread_index() & (self.stripes.len() - 1)].lock()
    }

    /// A lease on the current value.
    #[inline]
    pub(super) fn lease(&self) -> Option<Claim<T>> {
        let mut stripe = self.stripe();
        if let Some(share) = &stripe.share {
            return Some(Claim(Arc::clone(share)));
        }
        self.first_lease(&mut stripe)
    }

    /// The first share keeps the generation from being drained meanwhile.
    #[cold]
    fn first_lease(&self, stripe: &mut Passed<T>) -> Option<Claim<T>> {
        let share = self.first().as_ref()?.hold.0.share();
        Some(Claim(Arc::clone(stripe.share.insert(share))))
    }

    /// A lease for a rare look: one that makes no share for the calling thread, but is counted where those of all threads
    /// are.
    pub(super) fn peek(&self) -> Option<Claim<T>> {
        self.first().clone().map(Claim)
    }

    /// Borrows the current value for who did not find it in `cache`, and has that hold it from now on. Where there is no
    /// cache yet, the one that comes back does.
    pub(super) fn fill<P>(&self, cache: Option<&Arc<Cache<T, P>>>, part: impl FnOnce(&T) -> P) -> Option<Filled<T, P>>
    where
        P: Send + Sync + 'static,
    {
        // Dropped after the lock.
        let _replaced;
        // From here on nothing is published. What is, comes after the cache got into the list, and so empties it.
        let mut stripe = self.stripe();
        let generation = Arc::clone(&self.first().as_ref()?.hold.0);
        let cache = match cache {
            Some(cache) => Arc::clone(cache),
            None => stripe.cache().unwrap_or_else(|| Arc::new(Cache(ArcSwapOption::empty()))),
        };
        let mut entry = cache.0.load_full();
        if entry.is_none() {
            entry = Some(generation.entry(part(&generation.value)));
            // Another thread may have filled it meanwhile, with the same.
            _replaced = cache.0.swap(entry.clone());
            stripe.filled.push(Arc::clone(&cache) as _);
        }
        Some((cache, Borrow(Guard::from_inner(entry))))
    }

    /// Replaces the value. No lease taken after this returns is on the one before.
    pub(super) fn publish(&self, value: T) -> Option<Drain<T>> {
        self.exchange(Some(Generation::new(value).share()))
    }

    /// Publishes what `other` holds here as well, with the leases it has there: they are drained as one. Where the other
    /// is empty, this one is closed.
    pub(super) fn publish_from(&self, other: &Self) -> Option<Drain<T>> {
        let next = other.first().clone();
        self.exchange(next)
    }

    /// Takes the value away. No lease is given until the next one is published.
    pub(super) fn close(&self) -> Option<Drain<T>> {
        self.exchange(None)
    }

    fn exchange(&self, next: Option<Arc<Share<T>>>) -> Option<Drain<T>> {
        // Dropped after the locks: the last one of a generation wakes whoever waits.
        let (_entries, _leased): (Vec<_>, Vec<_>);
        let old = {
            // Always in the same order, so that two publishers cannot block each other.
            let mut stripes: Vec<_> = self.stripes.iter().map(Stripe::lock).collect();
            // From here on who borrows waits for the locks, and so has the next value when anybody has.
            let filled = stripes.iter_mut().flat_map(|stripe| stripe.filled.drain(..));
            _entries = filled.filter_map(|cache| cache.invalidate()).collect();
            _leased = stripes.iter_mut().filter_map(|stripe| stripe.share.take()).collect();
            mem::replace(&mut *self.first(), next)
        };
        Some(Drain { generation: Arc::clone(&old?.hold.0) })
    }
}

/// A lease: keeps one published value from being drained.
pub(super) struct Claim<T>(Arc<Share<T>>);

impl<T> Deref for Claim<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.hold.0.value
    }
}

/// A borrowed value and a part of it, if there is one: keeps the value from being drained as a lease does.
pub(super) struct Borrow<T, P>(Guard<Option<Arc<Entry<T, P>>>>);

impl<T, P> Borrow<T, P> {
    #[inline]
    pub(super) fn get(&self) -> Option<(&T, &P)> {
        self.0.as_ref().map(|entry| (&entry.hold.0.value, &entry.part))
    }
}

/// What was borrowed, and the cache that holds it.
pub(super) type Filled<T, P> = (Arc<Cache<T, P>>, Borrow<T, P>);

/// Who borrows the part `P` again and again: has a cache from the first time on.
pub(super) struct Borrower<T, P>(OnceLock<Arc<Cache<T, P>>>);

impl<T, P> Borrower<T, P> {
    pub(super) fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The current value, for a moment: cheaper than a lease, but only up to eight at a time on a thread. What is not in
    /// the cache is what [`Stripes::fill`] finds.
    #[inline]
    pub(super) fn borrow(&self, fill: impl FnOnce(Option<&Arc<Cache<T, P>>>) -> Option<Filled<T, P>>) -> Borrow<T, P> {
        if let Some(cache) = self.0.get() {
            let borrow = Borrow(cache.0.load());
            if borrow.0.is_some() {
                return borrow;
            }
        }
        self.miss(fill)
    }

    #[cold]
    fn miss(&self, fill: impl FnOnce(Option<&Arc<Cache<T, P>>>) -> Option<Filled<T, P>>) -> Borrow<T, P> {
        let Some((cache, borrow)) = fill(self.0.get()) else { return Borrow(Guard::from_inner(None)) };
        // Where another thread was first, its cache does as well.
        self.0.get_or_init(|| cache);
        borrow
    }
}

impl<T, P> Clone for Borrower<T, P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
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
        let all: Vec<_> = self.generation.all().iter().filter_map(Weak::upgrade).collect();
        all.iter().map(|counted| counted.cancel()).sum()
    }
}
