//! What a plugin gives to the one that takes its place.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
};

/// Things that exist once and outlive an instance, such as a listening socket: one value a type, given by
/// [`Plugin::hand_over`](super::Plugin::hand_over) and taken with
/// [`InitContext::handed_over`](super::InitContext::handed_over).
///
/// ```
/// use mlx_core::plugin::Handover;
/// # struct Connections(u32);
///
/// let mut handover = Handover::new().with(String::from("warm")).with(Connections(3));
/// assert_eq!(handover.take::<String>().as_deref(), Some("warm"));
/// assert!(handover.take::<String>().is_none());
/// ```
#[derive(Default)]
pub struct Handover {
    values: HashMap<TypeId, (&'static str, Box<dyn Any + Send + Sync>)>,
}

impl Handover {
    /// Nothing.
    pub fn new() -> Self {
        Handover::default()
    }

    /// Adds a value. Another one of the same type is replaced.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.values.insert(TypeId::of::<T>(), (std::any::type_name::<T>(), Box::new(value)));
        self
    }

    /// Takes the value of this type out.
    pub fn take<T: Send + Sync + 'static>(&mut self) -> Option<T> {
        let (_, value) = self.values.remove(&TypeId::of::<T>())?;
        value.downcast().ok().map(|value| *value)
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handover ")?;
        f.debug_set().entries(self.values.values().map(|(name, _)| name)).finish()
    }
}
