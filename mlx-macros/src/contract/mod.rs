//! `#[contract(…)]`: a trait as a plugin type.

mod attr;
mod expand;
mod fallback;
mod item;
mod valid;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    parse::{ParseStream, Parser},
    parse_quote,
};

use crate::{docs, errors::Errors};

/// The trait, and what makes it a plugin type or says why it is none.
pub(crate) fn contract(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let arguments = attr::Arguments::parse(arguments, &errors);
    let parser = |input: ParseStream<'_>| match item::is_trait(input)? {
        true => input.parse().map(Some),
        false => input.parse::<TokenStream>().map(|_| None),
    };
    let mut item: item::Trait = match parser.parse2(item.clone()) {
        Ok(Some(item)) => item,
        Ok(None) => {
            errors.on(&item, "#[contract] belongs on a trait");
            let errors = errors.into_tokens();
            return quote!(#item #errors);
        }
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#item #error);
        }
    };
    let krate = arguments.krate.clone().unwrap_or_else(|| parse_quote!(::mlx_core));
    let contract = valid::check(&arguments, &item, &errors);
    let errors = errors.into_tokens();
    if !contract.is_object {
        return quote!(#item #errors);
    }
    let description = docs::description(&item.attributes);
    let description = description.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let has_handle = fallback::set_aside(&mut item, &contract.refused);
    expand::complete(&mut item, &contract);
    let kind = expand::kind(&item.ident, &contract, &arguments, &krate, &description);
    let handle = has_handle.then(|| expand::handle(&item.ident, &contract, &krate));
    quote!(#item #kind #handle #errors)
}
