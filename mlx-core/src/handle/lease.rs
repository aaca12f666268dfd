use std::any::type_name;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::signal::Watch;
use super::slot::{self, InstanceLease, Slot};
use super::stream::{self, BoxStream};
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
            check::<C>(&lease)?;
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
        check::<C>(&lease)?;
        Ok(Lease { lease, contract: PhantomData })
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

#[inline]
fn check<C: ?Sized + Send + Sync + 'static>(lease: &InstanceLease) -> Result<()> {
    match lease.get::<C>() {
        Some(_) => Ok(()),
        None => Err(missing::<C>(lease)),
    }
}

#[cold]
fn missing<C: ?Sized>(lease: &InstanceLease) -> Error {
    let provided: Vec<_> = lease.contracts().collect();
    Error::unsupported(format!(
        "plugin `{}` does not provide `{}`; it provides: {}",
        lease.name(),
        type_name::<C>(),
        provided.join(", "),
    ))
}

/// Keeps one instance for as long as it exists, and dereferences to its contract.
///
/// Everything here is an associated function, so that no method of the contract is hidden.
pub struct Lease<C: ?Sized> {
    lease: InstanceLease,
    contract: PhantomData<fn() -> Arc<C>>,
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
        let mut future = pin!(future);
        let mut cancelled = Watch::new(&this.lease);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(output),
            Poll::Pending => cancelled.poll(cx.waker()).map(|()| Err(slot::cancelled(&this.lease).into())),
        })
        .await
    }

    /// Gives the lease to a stream that came from it. The instance is kept until the stream ends or
    /// is dropped. When the drain is cancelled, the stream yields one [`Error::cancelled`] and ends.
    pub fn attach<T: 'static>(this: Self, stream: BoxStream<T>) -> BoxStream<T> {
        stream::attach(this.lease, stream)
    }
}

impl<C: ?Sized + Send + Sync + 'static> Deref for Lease<C> {
    type Target = C;

    #[inline]
    fn deref(&self) -> &C {
        match self.lease.get::<C>() {
            Some(plugin) => plugin,
            None => unreachable!("a lease is only made on an instance that provides its contract"),
        }
    }
}

impl<C: ?Sized> fmt::Debug for Lease<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease<{}>({:?})", type_name::<C>(), self.lease.name())
    }
}
