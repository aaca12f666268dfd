use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;

use super::slot::{InstanceLease, Slot};
use super::stream::BoxStream;
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
    contract: PhantomData<fn() -> Arc<C>>,
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
        Ok(Self { slot, contract: PhantomData })
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
        Self { slot: Arc::clone(&self.slot), contract: PhantomData }
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
