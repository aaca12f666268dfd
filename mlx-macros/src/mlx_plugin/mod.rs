//! `#[mlx_plugin(…)]`: a struct as a plugin that the registry finds.

mod attr;
mod expand;
mod fallback;
mod item;
mod valid;

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse_quote;

use crate::{docs, errors::Errors};

/// The struct, always as it was, and what makes it a plugin or says why it is none.
pub(crate) fn mlx_plugin(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let added = added(arguments, item.clone());
    quote!(#item #added)
}

fn added(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let arguments = attr::Arguments::parse(arguments, &errors);
    let item = match item::Item::parse(item) {
        Ok(item) => item,
        Err(error) => return error.into_compile_error(),
    };
    let krate = arguments.krate.clone().unwrap_or_else(|| parse_quote!(::mlx_core));
    let contract = valid::kind(&arguments, &errors);
    let plugin = valid::check(&arguments, &item, &errors);
    if let Some(errors) = errors.into_tokens() {
        let fallback = fallback::fallback(&item, contract.as_ref(), &krate);
        return quote!(#errors #fallback);
    }
    let (Some(contract), Some(plugin), item::Item::Type(item)) = (contract, plugin, &item) else {
        return TokenStream::new();
    };
    expand::expand(&plugin, &contract, &arguments, &krate, &docs::description(&item.attrs))
}
