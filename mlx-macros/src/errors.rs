//! Collects every mistake of a macro's input, in one grammar.

use std::{cell::RefCell, fmt::Display};

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

use crate::{listing, suggest};

/// The mistakes found so far. Checks go on after one, so that all are reported at once.
#[derive(Default)]
pub(crate) struct Errors(RefCell<Vec<syn::Error>>);

impl Errors {
    /// A mistake at `span`.
    pub(crate) fn at(&self, span: Span, message: impl Display) {
        self.push(syn::Error::new(span, message));
    }

    /// A mistake that `tokens` are.
    pub(crate) fn on(&self, tokens: &dyn ToTokens, message: impl AsRef<str>) {
        self.push(error_on(tokens, message.as_ref()));
    }

    /// A mistake that the parser found.
    pub(crate) fn push(&self, error: syn::Error) {
        self.0.borrow_mut().push(error);
    }

    /// The mistakes as `compile_error!`s, if there are any.
    pub(crate) fn into_tokens(self) -> Option<TokenStream> {
        let errors = self.0.into_inner();
        if errors.is_empty() {
            return None;
        }
        let mut tokens = TokenStream::new();
        for error in errors {
            tokens.extend(error.into_compile_error());
        }
        Some(tokens)
    }
}

/// What is wrong with `tokens`.
pub(crate) fn error_on(tokens: &dyn ToTokens, message: &str) -> syn::Error {
    syn::Error::new_spanned(tokens, message)
}

/// ``unknown config field attribute `secrt`; did you mean `secret`?``, and on the next line what is known.
pub(crate) fn unknown(what: &str, given: &str, known: &[&str]) -> String {
    let near = suggest::nearest(given, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("unknown {what} `{given}`{near}\nexpected one of: {}", listing::sorted(known))
}

/// ``duplicate config attribute `default` ``.
pub(crate) fn duplicate(what: &str, name: &str) -> String {
    format!("duplicate {what} `{name}`")
}
