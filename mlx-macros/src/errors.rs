//! Collects every mistake of a macro's input, in one grammar.

use std::{cell::RefCell, fmt::Display};

use proc_macro2::{Span, TokenStream};

use crate::suggest;

/// The mistakes found so far. Checks go on after one, so that all are reported at once.
#[derive(Default)]
pub(crate) struct Errors(RefCell<Vec<syn::Error>>);

impl Errors {
    /// A mistake at `span`.
    pub(crate) fn at(&self, span: Span, message: impl Display) {
        self.push(syn::Error::new(span, message));
    }

    /// A mistake that `tokens` are.
    pub(crate) fn on(&self, tokens: impl quote::ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// A mistake that the parser found.
    pub(crate) fn push(&self, error: syn::Error) {
        self.0.borrow_mut().push(error);
    }

    /// The mistakes as `compile_error!`s, if there are any.
    pub(crate) fn into_tokens(self) -> Option<TokenStream> {
        let errors = self.0.into_inner();
        (!errors.is_empty()).then(|| errors.iter().map(syn::Error::to_compile_error).collect())
    }
}

/// ``unknown config field attribute `secrt`; did you mean `secret`?``, and on the next line what is known.
pub(crate) fn unknown(what: &str, given: &str, known: &[&str]) -> String {
    let near = suggest::nearest(given, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("unknown {what} `{given}`{near}\nexpected one of: {}", listing(known))
}

/// ``duplicate config attribute `default` ``.
pub(crate) fn duplicate(what: &str, name: &str) -> String {
    format!("duplicate {what} `{name}`")
}

/// The names in order, each in backticks.
fn listing(names: &[&str]) -> String {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
