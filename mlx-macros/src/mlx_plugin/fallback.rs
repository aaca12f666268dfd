//! What a struct is given when its attribute is wrong, so that nothing else is reported about it.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Item, Path};

pub(super) fn fallback(item: &Item, krate: &Path) -> TokenStream {
    match item {
        Item::Struct(item) if item.generics.params.is_empty() => declared(&item.ident, krate),
        _ => TokenStream::new(),
    }
}

/// The bodies never run: there is an error beside them.
fn declared(ident: &Ident, krate: &Path) -> TokenStream {
    quote! {
        const _: () = {
            impl #krate::plugin::Declared for #ident {
                const METADATA: &'static #krate::plugin::PluginMetadata = ::core::unreachable!();
                fn provide(_: &::std::sync::Arc<Self>, instance: #krate::handle::Instance) -> #krate::handle::Instance {
                    instance
                }
            }
        };
    }
}
