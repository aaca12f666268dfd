//! Where the compiler reports what is wrong with generated code.

use proc_macro2::{Group, Span, TokenStream, TokenTree};

/// The tokens, to be reported at `span`; what they mean stays what it was.
pub(crate) fn located(tokens: TokenStream, span: Span) -> TokenStream {
    let mut moved = Vec::new();
    for token in tokens {
        let span = token.span().located_at(span);
        let mut token = match token {
            TokenTree::Group(group) => TokenTree::Group(Group::new(group.delimiter(), located(group.stream(), span))),
            other => other,
        };
        token.set_span(span);
        moved.push(token);
    }
    TokenStream::from_iter(moved)
}
