//! Values found by their type.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    fmt,
    sync::Arc,
};

/// At most one value of each type. A copy shares the values.
#[derive(Clone, Default)]
pub(super) struct Data(HashMap<TypeId, Item>);

#[derive(Clone)]
struct Item {
    name: &'static str,
    value: Arc<dyn Any + Send + Sync>,
}

impl Data {
    /// Adds a value, in place of one of the same type.
    pub(super) fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Item { name: type_name::<T>(), value: Arc::new(value) });
    }

    pub(super) fn get<T: 'static>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.value.downcast_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds all of another's values, or none and says of which type both have one.
    pub(super) fn adopt(&mut self, other: &Data) -> Result<(), &'static str> {
        // The smallest name, so that the answer is always the same.
        let both = other.0.iter().filter(|(id, _)| self.0.contains_key(id)).map(|(_, item)| item.name).min();
        if let Some(name) = both {
            return Err(name);
        }
        self.0.extend(other.0.iter().map(|(id, item)| (*id, item.clone())));
        Ok(())
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&str> = self.0.values().map(|item| item.name).collect();
        names.sort_unstable();
        f.debug_list().entries(names).finish()
    }
}
