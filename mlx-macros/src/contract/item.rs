//! A trait, read as far as a contract has to understand it: its methods' signatures. The compiler has parsed it
//! before, so what is copied as tokens is in order.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote};
use syn::{
    Abi, AttrStyle, Attribute, Generics, Lifetime, Result, ReturnType, Token, Type, TypeParamBound, Visibility, braced,
    ext::IdentExt,
    parenthesized,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    token,
};

pub(super) struct Trait {
    pub(super) attributes: Vec<Attribute>,
    visibility: Visibility,
    pub(super) unsafety: Option<Token![unsafe]>,
    trait_token: Token![trait],
    pub(super) ident: Ident,
    pub(super) generics: Generics,
    pub(super) supertraits: Punctuated<TypeParamBound, Token![+]>,
    brace: token::Brace,
    pub(super) members: Vec<Member>,
}

pub(super) enum Member {
    Method(Box<Method>),
    Type(TokenStream),
    Constant(TokenStream),
    Other(TokenStream),
}

pub(super) struct Method {
    pub(super) attributes: Vec<Attribute>,
    /// Its `#[idempotent]`s, which are no attributes of the language.
    pub(super) idempotent: Vec<Attribute>,
    /// For the compiler to refuse.
    visibility: Visibility,
    pub(super) signature: Signature,
    /// In its braces.
    pub(super) body: Option<Group>,
}

#[derive(Clone)]
pub(super) struct Signature {
    pub(super) constness: Option<Token![const]>,
    pub(super) asyncness: Option<Token![async]>,
    pub(super) unsafety: Option<Token![unsafe]>,
    pub(super) abi: Option<Abi>,
    fn_token: Token![fn],
    pub(super) ident: Ident,
    pub(super) generics: Generics,
    paren: token::Paren,
    pub(super) receiver: Option<Receiver>,
    pub(super) arguments: Vec<Argument>,
    pub(super) output: ReturnType,
}

/// `&'a mut self`, `mut self` or `self: Type`.
#[derive(Clone)]
pub(super) struct Receiver {
    attributes: Vec<Attribute>,
    pub(super) reference: Option<(Token![&], Option<Lifetime>)>,
    /// Of what is borrowed, or else of the variable.
    pub(super) mutability: Option<Token![mut]>,
    pub(super) self_token: Token![self],
    pub(super) ty: Option<Type>,
}

#[derive(Clone)]
pub(super) struct Argument {
    /// Its attributes and its pattern.
    pub(super) pattern: TokenStream,
    colon: Token![:],
    pub(super) ty: Type,
}

/// Whether this is a trait, which [`Trait`] can read then.
pub(super) fn is_trait(input: ParseStream<'_>) -> Result<bool> {
    let ahead = input.fork();
    Attribute::parse_outer(&ahead)?;
    ahead.parse::<Visibility>()?;
    ahead.parse::<Option<Token![unsafe]>>()?;
    Ok(ahead.peek(Token![trait]))
}

impl Parse for Trait {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut attributes = Attribute::parse_outer(input)?;
        let visibility = input.parse()?;
        let unsafety = input.parse()?;
        let trait_token = input.parse()?;
        let ident = input.parse()?;
        let mut generics: Generics = input.parse()?;
        let mut supertraits = Punctuated::new();
        if input.parse::<Option<Token![:]>>()?.is_some() {
            while !input.peek(Token![where]) && !input.peek(token::Brace) {
                supertraits.push_value(input.parse()?);
                if input.peek(Token![+]) {
                    supertraits.push_punct(input.parse()?);
                }
            }
        }
        generics.where_clause = input.parse()?;
        let content;
        let brace = braced!(content in input);
        for mut inner in Attribute::parse_inner(&content)? {
            inner.style = AttrStyle::Outer;
            attributes.push(inner);
        }
        let mut members = Vec::new();
        while !content.is_empty() {
            members.push(content.parse()?);
        }
        Ok(Trait { attributes, visibility, unsafety, trait_token, ident, generics, supertraits, brace, members })
    }
}

impl Parse for Member {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = Attribute::parse_outer(input)?;
        let ahead = input.fork();
        // `const` begins a function or a constant.
        while ahead.peek(Ident::peek_any) && !ahead.peek(Token![fn]) {
            if ahead.peek(Token![extern]) {
                ahead.parse::<Abi>()?;
            } else {
                Ident::parse_any(&ahead)?;
            }
        }
        if ahead.peek(Token![fn]) {
            let (idempotent, attributes) = attributes.into_iter().partition(|it| it.path().is_ident("idempotent"));
            let visibility = input.parse()?;
            let signature = input.parse()?;
            let body = match input.parse()? {
                TokenTree::Group(body) => Some(body),
                _ => None,
            };
            return Ok(Member::Method(Box::new(Method { attributes, idempotent, visibility, signature, body })));
        }
        let kind = match () {
            () if input.peek(Token![type]) => Member::Type,
            () if input.peek(Token![const]) => Member::Constant,
            () => Member::Other,
        };
        let mut tokens = quote!(#(#attributes)*);
        while !input.is_empty() {
            let token: TokenTree = input.parse()?;
            let ends = match &token {
                TokenTree::Punct(punct) => punct.as_char() == ';',
                TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !input.peek(Token![;]),
                _ => false,
            };
            tokens.extend([token]);
            if ends {
                break;
            }
        }
        Ok(kind(tokens))
    }
}

impl Parse for Signature {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let constness = input.parse()?;
        let asyncness = input.parse()?;
        let unsafety = input.parse()?;
        let abi = input.parse()?;
        let fn_token = input.parse()?;
        let ident = input.parse()?;
        let mut generics: Generics = input.parse()?;
        let content;
        let paren = parenthesized!(content in input);
        let (mut receiver, mut arguments) = (None, Vec::new());
        while !content.is_empty() {
            let attributes = Attribute::parse_outer(&content)?;
            match is_receiver(&content) {
                true => receiver = Some(Receiver::parse(attributes, &content)?),
                false => arguments.push(Argument::parse(attributes, &content)?),
            }
            content.parse::<Option<Token![,]>>()?;
        }
        let output = input.parse()?;
        generics.where_clause = input.parse()?;
        Ok(Signature {
            constness,
            asyncness,
            unsafety,
            abi,
            fn_token,
            ident,
            generics,
            paren,
            receiver,
            arguments,
            output,
        })
    }
}

fn is_receiver(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    let _ = ahead.parse::<Option<Token![&]>>();
    let _ = ahead.parse::<Option<Lifetime>>();
    let _ = ahead.parse::<Option<Token![mut]>>();
    ahead.peek(Token![self])
}

impl Receiver {
    fn parse(attributes: Vec<Attribute>, input: ParseStream<'_>) -> Result<Self> {
        let reference = match input.parse()? {
            Some(and) => Some((and, input.parse()?)),
            None => None,
        };
        let mutability = input.parse()?;
        let self_token = input.parse()?;
        let ty = match input.parse::<Option<Token![:]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        Ok(Receiver { attributes, reference, mutability, self_token, ty })
    }
}

impl Argument {
    fn parse(attributes: Vec<Attribute>, input: ParseStream<'_>) -> Result<Self> {
        let mut pattern = quote!(#(#attributes)*);
        while !input.peek(Token![:]) || input.peek(Token![::]) {
            let path = input.peek(Token![::]);
            pattern.extend([input.parse::<TokenTree>()?]);
            if path {
                pattern.extend([input.parse::<TokenTree>()?]);
            }
        }
        Ok(Argument { pattern, colon: input.parse()?, ty: input.parse()? })
    }
}

impl ToTokens for Trait {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Trait { attributes, visibility, unsafety, trait_token, ident, generics, supertraits, .. } = self;
        let clause = &generics.where_clause;
        let colon = (!supertraits.is_empty()).then(<Token![:]>::default);
        tokens.extend(quote! {
            #(#attributes)* #visibility #unsafety #trait_token #ident #generics #colon #supertraits #clause
        });
        self.brace.surround(tokens, |tokens| tokens.append_all(&self.members));
    }
}

impl ToTokens for Member {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Member::Method(method) => method.to_tokens(tokens),
            Member::Type(member) | Member::Constant(member) | Member::Other(member) => tokens.extend(member.clone()),
        }
    }
}

impl ToTokens for Method {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Method { attributes, visibility, signature, body, .. } = self;
        let semicolon = body.is_none().then(<Token![;]>::default);
        tokens.extend(quote!(#(#attributes)* #visibility #signature #body #semicolon));
    }
}

impl ToTokens for Signature {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Signature { constness, asyncness, unsafety, abi, fn_token, ident, generics, output, .. } = self;
        tokens.extend(quote!(#constness #asyncness #unsafety #abi #fn_token #ident #generics));
        self.paren.surround(tokens, |tokens| {
            tokens.append_all(&self.receiver);
            for Argument { pattern, colon, ty } in &self.arguments {
                tokens.extend(quote!(#pattern #colon #ty,));
            }
        });
        output.to_tokens(tokens);
        generics.where_clause.to_tokens(tokens);
    }
}

/// With a comma after it.
impl ToTokens for Receiver {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Receiver { attributes, reference, mutability, self_token, ty } = self;
        let (and, lifetime) = reference.as_ref().map_or((None, None), |(and, lifetime)| (Some(and), lifetime.as_ref()));
        let colon = ty.as_ref().map(|_| <Token![:]>::default());
        tokens.extend(quote!(#(#attributes)* #and #lifetime #mutability #self_token #colon #ty,));
    }
}
