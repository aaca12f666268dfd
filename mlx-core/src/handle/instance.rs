use std::any::{Any, type_name};
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use crate::diagnostics::{Error, Result};
use crate::metrics::{Meter, Timer};

/// One running plugin, under every contract it fulfils.
///
/// The contracts are published together: a caller never sees one contract of the new instance
/// beside another of the old.
///
/// ```
/// use std::sync::Arc;
/// use mlx_core::handle::Instance;
///
/// trait Greeter: Send + Sync {
///     fn greet(&self) -> String;
/// }
/// struct English;
/// impl Greeter for English {
///     fn greet(&self) -> String {
///         "hello".into()
///     }
/// }
///
/// let english = Arc::new(English);
/// let instance = Instance::new()
///     .provide::<dyn Greeter>(english.clone())
///     .provide::<English>(english);
/// assert_eq!(instance.get::<dyn Greeter>().unwrap().greet(), "hello");
/// ```
#[derive(Default)]
pub struct Instance {
    /// Of the plugin, once the instance is published.
    name: Arc<str>,
    /// Few, so searched from the front: what is provided first is found fastest.
    contracts: Vec<Contract>,
    meter: Option<Arc<Meter>>,
    /// What stands between callers and the plugin, of a type that this room does not know.
    guard: RwLock<Option<Arc<dyn Any + Send + Sync>>>,
    /// What a call through a handle has to mind: [`MEASURED`], [`GUARDED`]. It may change while calls are made.
    minds: AtomicU8,
}

/// The calls through handles are measured with the meter.
const MEASURED: u8 = 1;

/// There is a guard.
const GUARDED: u8 = 2;

struct Contract {
    name: &'static str,
    /// An `Arc<C>`, by which the contract `C` is known.
    plugin: Box<dyn Any + Send + Sync>,
}

impl Instance {
    /// An instance that provides nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the plugin under the contract `C`. A contract provided before is replaced.
    ///
    /// Provide the contract that is called most first; it is looked up fastest.
    #[must_use]
    pub fn provide<C>(mut self, plugin: Arc<C>) -> Self
    where
        C: ?Sized + Send + Sync + 'static,
    {
        let contract = Contract { name: type_name::<C>(), plugin: Box::new(plugin) };
        match self.contracts.iter_mut().find(|c| c.plugin.is::<Arc<C>>()) {
            Some(known) => *known = contract,
            None => self.contracts.push(contract),
        }
        self
    }

    /// The instance of the plugin `name`.
    pub(super) fn named(self, name: Arc<str>) -> Self {
        Self { name, ..self }
    }

    /// The name of the plugin.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Has the plugin's life measured, and the calls too that are made through handles if `calls`.
    #[must_use]
    pub fn measured(mut self, meter: Arc<Meter>, calls: bool) -> Self {
        self.meter = Some(meter);
        self.set_measured(calls);
        self
    }

    /// Sets whether calls are measured, from the next one on.
    pub(crate) fn set_measured(&self, calls: bool) {
        self.mind(MEASURED, calls);
    }

    /// Sets what stands between callers and the plugin, from the next call on.
    pub(crate) fn set_guard(&self, guard: Option<Arc<dyn Any + Send + Sync>>) {
        let mut current = self.guard.write().unwrap_or_else(PoisonError::into_inner);
        self.mind(GUARDED, guard.is_some());
        *current = guard;
    }

    /// What stands between callers and the plugin.
    pub(crate) fn guard(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.guard.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn mind(&self, what: u8, does: bool) {
        match does {
            true => self.minds.fetch_or(what, Relaxed),
            false => self.minds.fetch_and(!what, Relaxed),
        };
    }

    /// Whether nothing stands between callers and the plugin: its calls are neither measured nor guarded.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.minds.load(Relaxed) == 0
    }

    /// Whether calls are led through a [`Guard`](crate::resilience::Guard).
    #[inline]
    pub fn is_guarded(&self) -> bool {
        self.minds.load(Relaxed) & GUARDED != 0
    }

    /// What measures the plugin's life.
    pub(crate) fn meter(&self) -> Option<&Meter> {
        self.meter.as_deref()
    }

    /// What measures calls.
    #[inline]
    fn call_meter(&self) -> Option<&Meter> {
        if self.minds.load(Relaxed) & MEASURED != 0 { self.meter() } else { None }
    }

    /// Has a call of this name measured, if the calls of the instance are. Where they are not, it costs one branch.
    #[inline]
    pub fn measure<'c, T: 'c, E: 'c>(&self, operation: &'static str, call: Call<'c, T, E>) -> Call<'c, T, E> {
        match self.call_meter() {
            None => call,
            Some(meter) => timed(meter.start(operation), call),
        }
    }

    /// As [`measure`](Self::measure), for a call that is not async.
    ///
    /// # Errors
    ///
    /// Those of `call`.
    #[inline]
    pub fn measure_now<T, E>(&self, operation: &'static str, call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        match self.call_meter() {
            None => call(),
            Some(meter) => {
                let mut timer = meter.start(operation);
                let output = timer.within(call);
                timer.stop(output.is_ok());
                output
            }
        }
    }

    /// The plugin under the contract `C`, if it fulfils it.
    #[inline]
    pub fn get<C>(&self) -> Option<&Arc<C>>
    where
        C: ?Sized + Send + Sync + 'static,
    {
        self.contracts.iter().find_map(|contract| contract.plugin.downcast_ref())
    }

    /// The plugin under the contract `C`.
    ///
    /// # Errors
    ///
    /// [`Error::unsupported`] if the instance does not fulfil the contract.
    #[inline]
    pub fn contract<C: ?Sized + Send + Sync + 'static>(&self) -> Result<&C> {
        self.shared().map(|plugin| &**plugin)
    }

    #[inline]
    pub(super) fn shared<C: ?Sized + Send + Sync + 'static>(&self) -> Result<&Arc<C>> {
        match self.get::<C>() {
            Some(plugin) => Ok(plugin),
            None => Err(self.missing::<C>()),
        }
    }

    #[cold]
    pub(super) fn missing<C: ?Sized>(&self) -> Error {
        let provided: Vec<_> = self.contracts().collect();
        Error::unsupported(format!(
            "plugin `{}` does not provide `{}`; it provides: {}",
            self.name,
            type_name::<C>(),
            provided.join(", "),
        ))
    }

    /// The Rust names of the contracts, in the order in which they were provided.
    pub fn contracts(&self) -> impl Iterator<Item = &'static str> {
        self.contracts.iter().map(|c| c.name)
    }
}

/// A call of an async method, as `#[async_trait]` makes it.
type Call<'c, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>;

// Out of the way of calls that are not measured.
#[cold]
fn timed<'c, T: 'c, E: 'c>(mut timer: Timer, call: Call<'c, T, E>) -> Call<'c, T, E> {
    Box::pin(async move {
        let output = timer.around(call).await;
        timer.stop(output.is_ok());
        output
    })
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instance ")?;
        f.debug_set().entries(self.contracts()).finish()
    }
}
