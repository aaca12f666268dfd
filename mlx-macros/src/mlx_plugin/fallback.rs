//! What a struct is given when its attribute is wrong, so that nothing else is reported about it.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, Path};

use super::{expand::object, item::Item, valid::Contract};

/// The bodies never run: there is an error beside them.
pub(super) fn fallback(item: &Item, contract: Option<&Contract>, krate: &Path) -> TokenStream {
    let item = match item {
        Item::Type(item) if matches!(item.data, Data::Struct(_)) && item.generics.params.is_empty() => item,
        _ => return TokenStream::new(),
    };
    let ident = &item.ident;
    // Any type is better than none.
    let contract = contract.map_or_else(|| quote!(dyn #krate::Monitoring), |contract| object(contract, krate));
    quote! {
        const _: () = {
            impl #krate::plugin::Declared for #ident {
                type Contract = #contract;
                const METADATA: &'static #krate::plugin::PluginMetadata = ::core::unreachable!();
                fn contract(_: ::std::sync::Arc<Self>) -> ::std::sync::Arc<Self::Contract> {
                    ::core::unreachable!()
                }
            }
        };
    }
}
