//! Where the compiler reports what is wrong with generated code.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::quote;

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

/// `function(arguments)`, to be reported where all of `place` stands, from its first token to its last.
pub(crate) fn call(function: TokenStream, arguments: TokenStream, place: TokenStream) -> TokenStream {
    let mut place = place.into_iter();
    let first = place.next().map_or_else(Span::call_site, |token| token.span());
    let last = place.last().map_or(first, |token| token.span());
    let function = located(function, first);
    let mut group = Group::new(Delimiter::Parenthesis, arguments);
    group.set_span(Span::call_site().located_at(last));
    quote!(#function #group)
}
