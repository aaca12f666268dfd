//! Where the compiler reports what is wrong with generated code.

use proc_macro2::{Group, Span, TokenStream, TokenTree};

/// The tokens, to be reported at `span`; what they mean stays what it was.
pub(crate) fn located(tokens: TokenStream, span: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|token| {
            let span = token.span().located_at(span);
            let mut token = match token {
                TokenTree::Group(group) => {
                    TokenTree::Group(Group::new(group.delimiter(), located(group.stream(), span)))
                }
                other => other,
            };
            token.set_span(span);
            token
        })
        .collect()
}
