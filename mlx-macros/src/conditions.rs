//! The conditions of an item, under which what is written for it stands too.

use syn::Attribute;

/// The `#[cfg(…)]`s.
pub(crate) fn conditions(attributes: &[Attribute]) -> Vec<Attribute> {
    let mut conditions = Vec::new();
    for attribute in attributes {
        if attribute.path().is_ident("cfg") {
            conditions.push(attribute.clone());
        }
    }
    conditions
}
