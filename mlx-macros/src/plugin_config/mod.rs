//! `#[derive(PluginConfig)]`: reading, writing and describing a configuration type.
//!
//! The attributes are parsed ([`attr`]) and checked together ([`valid`]); then either the implementations are
//! written ([`expand`]), or the mistakes with implementations that do nothing ([`fallback`]), so that one mistake
//! is one error.

mod attr;
mod expand;
mod fallback;
mod valid;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::errors::Errors;

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let errors = Errors::default();
    let container = attr::Container::parse(input, &errors);
    valid::check(&container, &errors);
    match errors.into_tokens() {
        None => expand::expand(&container),
        Some(errors) => {
            let implementations = fallback::expand(&container);
            quote::quote!(#errors #implementations)
        }
    }
}
