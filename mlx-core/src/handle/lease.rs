use std::any::type_name;
use std::fmt;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;

use super::instance::Instance;
use super::slot::{InstanceLease, Slot};
use super::stream::BoxStream;
use super::stripe::{Borrow, Borrower};
use crate::diagnostics::{Error, Result};

/// A typed reference to whichever instance a [`Slot`] holds, for the contract `C`.
///
/// `#[contract]` implements the contract for its own handle, so the methods are called directly:
/// `handle.query("select 1")`. Each call runs on the instance published when it began. Use
/// [`Handle::pin`] where several calls have to meet the same one.
///
/// Everything here is an associated function, called `Handle::pin(&handle)`, so that a contract may
/// name its methods as it likes.
pub struct Handle<C: ?Sized> {
    slot: Arc<Slot>,
    borrower: Borrower<Instance, Option<Arc<C>>>,
}

impl<C: ?Sized + Send + Sync + 'static> Handle<C> {
    /// A handle to the plugin in `slot`. An empty slot is fine: the contract is then checked by
    /// each call.
    ///
    /// # Errors
    ///
    /// [`Error::unsupported`] if the slot holds an instance that does not fulfil the contract.
    pub fn new(slot: Arc<Slot>) -> Result<Self> {
        if let Ok(lease) = slot.lease() {
            lease.contract::<C>()?;
        }
        Ok(Self { slot, borrower: Borrower::new() })
    }

    /// Takes a lease on the current instance. Until the lease is dropped, the instance is not
    /// stopped, and a swap waits for it.
    ///
    /// # Errors
    ///
    /// [`Error::stopped`] if the plugin is not running, [`Error::unsupported`] if the running
    /// instance does not fulfil the contract.
    #[inline]
    pub fn pin(this: &Self) -> Result<Lease<C>> {
        let lease = this.slot.lease()?;
        let plugin = lease.shared::<C>()?.clone();
        Ok(Lease { plugin, lease })
    }

    /// Borrows the current instance for one call that is not async. A thread that holds more than eight of these, of
    /// whichever handles, pays for the next ones what a count shared by all threads costs.
    ///
    /// The first of a handle, and the first after the instance was replaced, costs more than a lease: it has to search for
    /// the contract, for itself and the others. A clone knows what its original has found.
    #[inline]
    pub fn borrow(this: &Self) -> Borrowed<'_, C> {
        let borrow = this.borrower.borrow(|cache| this.slot.fill(cache));
        Borrowed { slot: &this.slot, borrow }
    }
}

impl<C: ?Sized> Handle<C> {
    /// The name of the plugin.
    pub fn name(this: &Self) -> &str {
        this.slot.name()
    }

    /// The slot the handle follows.
    pub fn slot(this: &Self) -> &Arc<Slot> {
        &this.slot
    }
}

impl<C: ?Sized> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot), borrower: self.borrower.clone() }
    }
}

impl<C: ?Sized> fmt::Debug for Handle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle<{}>({:?})", type_name::<C>(), self.slot.name())
    }
}

/// Keeps one instance for as long as it exists, and dereferences to its contract: a call costs what it costs on an
/// `Arc<C>`.
///
/// Everything here is an associated function, so that no method of the contract is hidden.
pub struct Lease<C: ?Sized> {
    // Given back before the lease: whoever waits for the drain finds no other owner of the plugin.
    plugin: Arc<C>,
    lease: InstanceLease,
}

impl<C: ?Sized> Lease<C> {
    /// The name of the plugin.
    pub fn name(this: &Self) -> &str {
        this.lease.name()
    }

    /// Runs `future`, usually a call on this lease, until it completes or the drain of the instance
    /// is cancelled, whichever is first. A future that is ready at once costs nothing extra.
    ///
    /// # Errors
    ///
    /// Those of `future`, and [`Error::cancelled`].
    pub async fn run<F, T, E>(this: &Self, future: F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        this.lease.run(pin!(future)).await
    }

    /// Gives the lease to a stream that came from it. The instance is kept until the stream ends or
    /// is dropped. When the drain is cancelled, the stream yields one [`Error::cancelled`] and ends.
    pub fn attach<T: 'static>(this: Self, stream: BoxStream<T>) -> BoxStream<T> {
        this.lease.attach(stream)
    }
}

impl<C: ?Sized + Send + Sync + 'static> Deref for Lease<C> {
    type Target = C;

    #[inline]
    fn deref(&self) -> &C {
        &self.plugin
    }
}

impl<C: ?Sized> fmt::Debug for Lease<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease<{}>({:?})", type_name::<C>(), self.lease.name())
    }
}

/// The current instance under the contract `C`, borrowed for one call that is not async. It is kept as by a [`Lease`], at
/// half the cost; but it cannot be cancelled, and many of them held by one thread slow it down.
pub struct Borrowed<'h, C: ?Sized> {
    slot: &'h Slot,
    borrow: Borrow<Instance, Option<Arc<C>>>,
}

impl<C: ?Sized + Send + Sync + 'static> Borrowed<'_, C> {
    /// The instance and its contract.
    ///
    /// # Errors
    ///
    /// [`Error::stopped`] if the plugin is not running, [`Error::unsupported`] if the running
    /// instance does not fulfil the contract.
    #[inline]
    pub fn get(&self) -> Result<(&Instance, &C)> {
        match self.borrow.get() {
            Some((instance, Some(plugin))) => Ok((instance, plugin)),
            Some((instance, None)) => Err(instance.missing::<C>()),
            None => Err(self.slot.stopped()),
        }
    }
}

impl<C: ?Sized> fmt::Debug for Borrowed<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instance = self.borrow.get().map(|(instance, _)| instance);
        f.debug_struct("Borrowed").field("name", &self.slot.name()).field("instance", &instance).finish()
    }
}
