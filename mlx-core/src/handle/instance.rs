use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;

use crate::metrics::Meter;

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
    /// Few, so searched from the front: what is provided first is found fastest.
    contracts: Vec<Contract>,
    meter: Option<Arc<Meter>>,
    /// Whether the calls through handles are measured with it.
    calls: bool,
}

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

    /// Has the plugin's life measured, and the calls too that are made through handles if `calls`.
    #[must_use]
    pub fn measured(mut self, meter: Arc<Meter>, calls: bool) -> Self {
        (self.meter, self.calls) = (Some(meter), calls);
        self
    }

    /// What measures the plugin's life.
    pub(crate) fn meter(&self) -> Option<&Meter> {
        self.meter.as_deref()
    }

    /// What measures calls.
    #[inline]
    pub(super) fn call_meter(&self) -> Option<&Meter> {
        if self.calls { self.meter() } else { None }
    }

    /// The plugin under the contract `C`, if it fulfils it.
    #[inline]
    pub fn get<C>(&self) -> Option<&Arc<C>>
    where
        C: ?Sized + Send + Sync + 'static,
    {
        self.contracts.iter().find_map(|contract| contract.plugin.downcast_ref())
    }

    /// The Rust names of the contracts, in the order in which they were provided.
    pub fn contracts(&self) -> impl Iterator<Item = &'static str> {
        self.contracts.iter().map(|c| c.name)
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instance ")?;
        f.debug_set().entries(self.contracts()).finish()
    }
}
