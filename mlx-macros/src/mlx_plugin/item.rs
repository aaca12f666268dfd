//! What the attribute stands on, as far as it has to be told apart.

use proc_macro2::{Span, TokenStream};
use syn::{
    Attribute, DeriveInput, Ident, Result, Token, Visibility,
    ext::IdentExt,
    parse::{ParseStream, Parser},
};

pub(super) enum Item {
    /// A struct, an enum or a union.
    Type(Box<DeriveInput>),
    Other {
        span: Span,
        what: &'static str,
    },
}

const OTHERS: [(&str, &str); 5] = [
    ("fn", "a function"),
    ("trait", "a trait\nhelp: #[contract] makes a plugin type of a trait"),
    ("impl", "an impl"),
    ("mod", "a module"),
    ("type", "a type alias"),
];

impl Item {
    pub(super) fn parse(tokens: TokenStream) -> Result<Item> {
        parse.parse2(tokens)
    }
}

fn parse(input: ParseStream<'_>) -> Result<Item> {
    let ahead = input.fork();
    Attribute::parse_outer(&ahead)?;
    let start = ahead.span();
    ahead.parse::<Visibility>()?;
    if ahead.peek(Token![struct]) || ahead.peek(Token![enum]) || (ahead.peek(Token![union]) && ahead.peek2(Ident)) {
        return input.parse().map(Box::new).map(Item::Type);
    }
    input.parse::<TokenStream>()?;
    // `const` and `unsafe` may stand before the word that says it.
    while ahead.peek(Ident::peek_any) {
        let word = Ident::parse_any(&ahead)?;
        if let Some((_, what)) = OTHERS.iter().find(|(known, _)| word == known) {
            return Ok(Item::Other { span: word.span(), what });
        }
    }
    Ok(Item::Other { span: start, what: "this" })
}
