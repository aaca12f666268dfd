use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::thread;

use super::instance::Instance;
use super::signal::{Signal, Watch};
use super::stream::{self, BoxStream};
use super::stripe::{Cache, Claim, Drain, Filled, Stripes};
use crate::diagnostics::{Error, Result};

/// The contract `C` of whichever instance is current, or that it does not fulfil it.
pub(super) type ContractCache<C> = Cache<Instance, Option<Arc<C>>>;

pub(super) type FilledContract<C> = Filled<Instance, Option<Arc<C>>>;

/// The place of one plugin in a running platform: holds its current [`Instance`], or none.
///
/// Shared as an `Arc<Slot>` between the platform, which publishes, and the handles, which lease.
pub struct Slot {
    name: Arc<str>,
    stripes: Stripes<Instance>,
    /// The slot that this one stands for, once what it held has been published there. Never one that stands for
    /// another itself.
    merged: OnceLock<Arc<Slot>>,
}

impl Slot {
    /// An empty slot for the plugin `name`. Leases answer [`Error::stopped`] until the first
    /// [`publish`](Self::publish).
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), stripes: Stripes::new(stripe_count()), merged: OnceLock::new() }
    }

    /// The name of the plugin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, to be kept.
    pub(crate) fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// Makes `instance` the one that is called, for all its contracts at once, and returns the one
    /// that was called until now, to be drained and stopped.
    ///
    /// Once this has returned, no new call reaches the old instance. A closed slot is opened again.
    #[must_use = "the previous instance has to be drained and stopped"]
    pub fn publish(&self, instance: Instance) -> Option<Retired> {
        self.place().publish(instance.named(Arc::clone(&self.name))).map(Retired)
    }

    /// Takes the instance out, and returns it to be drained and stopped. From here on leases answer
    /// [`Error::stopped`].
    #[must_use = "the instance has to be drained and stopped"]
    pub fn close(&self) -> Option<Retired> {
        self.place().close().map(Retired)
    }

    /// Publishes the instance in `target` too, with all its leases, and from then on stands for that slot: handles to
    /// either follow the same instances. Returns what was called in `target` until now.
    ///
    /// So a plugin can be tried in a slot of its own, by others that will keep their handles, before it takes the place
    /// of the one in `target`. At no moment does either slot answer [`Error::stopped`] if this one did not.
    #[must_use = "the previous instance has to be drained and stopped"]
    pub(crate) fn merge_into(&self, target: &Arc<Slot>) -> Option<Retired> {
        let retired = target.place().publish_from(&self.stripes);
        let target = target.merged.get().unwrap_or(target);
        if self.merged.set(Arc::clone(target)).is_ok() {
            // The leases live on; they are counted where they were published last.
            drop(self.stripes.close());
        }
        retired.map(Retired)
    }

    /// Where the instance is.
    #[inline]
    fn place(&self) -> &Stripes<Instance> {
        match self.merged.get() {
            None => &self.stripes,
            Some(slot) => &slot.stripes,
        }
    }

    #[inline]
    fn claim(&self) -> Option<Claim<Instance>> {
        match self.place().lease() {
            Some(claim) => Some(claim),
            // It may have gone between the look and the lease.
            None => self.merged.get().and_then(|slot| slot.stripes.lease()),
        }
    }

    /// Takes a lease on the current instance.
    ///
    /// # Errors
    ///
    /// [`Error::stopped`] if there is none.
    #[inline]
    pub fn lease(&self) -> Result<InstanceLease> {
        match self.claim() {
            Some(claim) => Ok(InstanceLease(claim)),
            None => Err(self.stopped()),
        }
    }

    /// The current instance under the contract `C`, for a handle that does not find it in its cache.
    pub(super) fn fill<C>(&self, cache: Option<&Arc<ContractCache<C>>>) -> Option<FilledContract<C>>
    where
        C: ?Sized + Send + Sync + 'static,
    {
        let contract = |instance: &Instance| instance.get::<C>().cloned();
        match self.place().fill(cache, contract) {
            Some(filled) => Some(filled),
            // As for a lease.
            None => self.merged.get().and_then(|slot| slot.stripes.fill(cache, contract)),
        }
    }

    /// A lease for a rare look at the current instance, if there is one: it makes nothing that later calls profit from.
    pub(crate) fn peek(&self) -> Option<InstanceLease> {
        let claim = self.place().peek().or_else(|| self.merged.get().and_then(|slot| slot.stripes.peek()));
        claim.map(InstanceLease)
    }

    #[cold]
    pub(super) fn stopped(&self) -> Error {
        Error::stopped(format!("plugin `{}` is not running", self.name))
    }

    /// Whether there is an instance to call.
    pub fn is_open(&self) -> bool {
        self.claim().is_some()
    }

    /// Whether there is an instance and it fulfils the contract `C`.
    pub fn provides<C>(&self) -> bool
    where
        C: ?Sized + Send + Sync + 'static,
    {
        let claim = self.claim();
        claim.is_some_and(|instance| instance.get::<C>().is_some())
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claim = self.claim();
        f.debug_struct("Slot").field("name", &self.name).field("instance", &claim.as_deref()).finish()
    }
}

/// Twice the cores, because more threads ask than run; at most 32, which is 4 KiB a slot.
fn stripe_count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        (2 * cores).next_power_of_two().min(32)
    })
}

/// A lease on an instance as a whole, under whichever contract. See [`Lease`](super::Lease) for one
/// contract; a single async call takes this one, which counts in the caller's stripe alone.
///
/// The instance is not stopped while the lease exists, except past the deadline of a drain.
pub struct InstanceLease(Claim<Instance>);

impl InstanceLease {
    /// The name of the plugin.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Runs `future`, usually a call on this lease, until it completes or the drain of the instance is cancelled,
    /// whichever is first. A future that is ready at once costs nothing extra.
    ///
    /// # Errors
    ///
    /// Those of `future`, and [`Error::cancelled`].
    pub fn run<F, T, E>(&self, mut future: F) -> impl Future<Output = Result<T, E>> + use<'_, F, T, E>
    where
        F: Future<Output = Result<T, E>> + Unpin,
        E: From<Error>,
    {
        let mut cancelled = None;
        // Not an `async fn`: the state of one would be checked and moved at each call.
        poll_fn(move |cx| match Pin::new(&mut future).poll(cx) {
            Poll::Ready(output) => Poll::Ready(output),
            Poll::Pending => {
                let cancelled = cancelled.get_or_insert_with(|| Watch::new(self));
                cancelled.poll(cx.waker()).map(|()| Err(self::cancelled(self).into()))
            }
        })
    }

    /// Gives the lease to a stream that came from it. The instance is kept until the stream ends or is dropped. When
    /// the drain is cancelled, the stream yields one [`Error::cancelled`] and ends.
    pub fn attach<T: 'static>(self, stream: BoxStream<T>) -> BoxStream<T> {
        stream::attach(self, stream)
    }
}

/// The error of a call or stream that the end of a drain has cut off.
#[cold]
pub(super) fn cancelled(lease: &InstanceLease) -> Error {
    let name = lease.name();
    Error::cancelled(format!(
        "plugin `{name}` was replaced or stopped, and the call did not finish in the time it was given"
    ))
}

impl Deref for InstanceLease {
    type Target = Instance;

    #[inline]
    fn deref(&self) -> &Instance {
        &self.0
    }
}

impl AsRef<Signal> for InstanceLease {
    fn as_ref(&self) -> &Signal {
        self.0.as_ref()
    }
}

impl fmt::Debug for InstanceLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceLease").field("name", &self.name()).field("instance", &*self.0).finish()
    }
}

/// An instance that is no longer given to callers, with the calls it still has in flight.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use mlx_core::handle::{Instance, Slot};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let slot = Slot::new("greeter");
/// # let (english, french) = (Arc::new("hello"), Arc::new("bonjour"));
/// # assert!(slot.publish(Instance::new().provide(english)).is_none());
/// if let Some(old) = slot.publish(Instance::new().provide(french)) {
///     let grace = Duration::from_secs(30);
///     if tokio::time::timeout(grace, old.drained()).await.is_err() {
///         let cancelled = old.cancel();
///         eprintln!("{cancelled} calls cancelled");
///     }
///     // Stop the plugin that `old.instance()` provides.
/// }
/// # }
/// ```
#[must_use = "the instance has to be drained and stopped"]
pub struct Retired(Drain<Instance>);

impl Retired {
    /// The name of the plugin.
    pub fn name(&self) -> &str {
        self.0.value().name()
    }

    /// The instance, to be stopped once it is drained.
    pub fn instance(&self) -> &Instance {
        self.0.value()
    }

    /// Leases that still exist: calls, streams, and whatever a caller has pinned.
    ///
    /// Never grows, and is 0 from the moment [`drained`](Self::drained) completes.
    pub fn in_flight(&self) -> usize {
        self.0.leases()
    }

    /// Completes when the last lease is gone. Has no deadline of its own; may be awaited any number
    /// of times.
    pub async fn drained(&self) {
        self.0.drained().await;
    }

    /// Ends the waiting calls and the streams with [`Error::cancelled`], and returns how many were
    /// told to end.
    ///
    /// A call that becomes ready in this very moment counts, though it still gives its result; one
    /// that is computing is not counted, and ends when it first has to wait. A stream nobody polls
    /// counts, and ends when it is polled or dropped. A pinned lease that is doing nothing cannot be
    /// ended; [`in_flight`](Self::in_flight) shows it.
    pub fn cancel(&self) -> usize {
        self.0.cancel()
    }
}

impl fmt::Debug for Retired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retired")
            .field("name", &self.name())
            .field("instance", self.instance())
            .field("in_flight", &self.in_flight())
            .finish()
    }
}
