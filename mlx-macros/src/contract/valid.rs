//! What has to hold for a contract, and how each of its methods is forwarded.
//!
//! A handle forwards a call to whichever instance is there when it begins, and keeps that instance until the call
//! ends. So a method takes `&self`, can fail, and returns nothing that borrows from the instance.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Attribute, GenericArgument, GenericParam, LitStr, Path, PathArguments, PathSegment, ReturnType, Type,
    TypeParamBound, TypePath, TypeReference, WherePredicate, spanned::Spanned,
};

use super::{
    attr::Arguments,
    item::{self, Member, Receiver, Signature, Trait},
};
use crate::{
    conditions::conditions,
    errors::{Errors, unknown},
    plugin_types,
};

/// What is known of a contract, complete if there are no errors.
pub(super) struct Contract {
    pub(super) name: String,
    pub(super) cardinality: Cardinality,
    pub(super) methods: Vec<Method>,
    /// Which of the trait's items a handle cannot forward.
    pub(super) refused: Vec<usize>,
    /// Whether the trait can be a plugin type at all.
    pub(super) is_object: bool,
    /// `#[async_trait]` has not run yet.
    pub(super) has_async_trait: bool,
}

pub(super) enum Cardinality {
    One,
    Many,
    OnePer(String),
}

/// A method that a handle forwards.
pub(super) struct Method {
    /// Its `#[cfg(…)]`s.
    pub(super) conditions: Vec<Attribute>,
    pub(super) signature: Signature,
    pub(super) call: Call,
    /// It returns a stream, which keeps the lease.
    pub(super) stream: bool,
    /// Carrying it out twice does no more than once.
    pub(super) idempotent: bool,
    /// Where its result type stands.
    pub(super) output: Span,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Blocking,
    /// `async fn`, to be rewritten by `#[async_trait]`.
    Async,
    /// `#[async_trait]` has rewritten it already.
    Boxed,
}

/// Checks everything; what is wrong is in `errors`.
pub(super) fn check(arguments: &Arguments, item: &Trait, errors: &Errors) -> Contract {
    let name = name(arguments, errors);
    let cardinality = cardinality(arguments, errors);
    capabilities(arguments, errors);
    let mut is_object = trait_itself(item, errors);
    let has_async_trait = item.attributes.iter().any(is_async_trait);
    let (mut methods, mut refused) = (Vec::new(), Vec::new());
    for (index, member) in item.members.iter().enumerate() {
        let Member::Method(method) = member else {
            is_object = false;
            other_member(member, errors);
            continue;
        };
        match forwarded(method, has_async_trait) {
            Ok(method) => methods.extend(method),
            Err(error) => {
                errors.push(error);
                refused.push(index);
            }
        }
    }
    Contract { name, cardinality, methods, refused, is_object, has_async_trait }
}

fn name(arguments: &Arguments, errors: &Errors) -> String {
    let Some(text) = &arguments.name else {
        if !arguments.has_name {
            errors.at(Span::call_site(), "missing contract key `name`: write `#[contract(name = \"vector_store\")]`");
        }
        return String::new();
    };
    let name = text.value();
    let form = "small letters and digits in words joined by single underscores, beginning with a letter";
    if !plugin_types::is_snake(&name) {
        let near = crate::casing::snake(&name);
        let near = match plugin_types::is_snake(&near) {
            true => format!("; did you mean `{near}`?"),
            false => String::new(),
        };
        errors.at(text.span(), format!("`{name}` is not the name of a plugin type{near}\nexpected {form}"));
    } else if std::env::var("CARGO_PKG_NAME").is_ok_and(|package| package != "mlx-core") {
        taken(text, errors);
    }
    name
}

/// The core's names belong to the core.
fn taken(text: &LitStr, errors: &Errors) {
    let name = text.value();
    if let Some(contract) = plugin_types::contract(&name) {
        errors.at(text.span(), format!("plugin type `{name}` belongs to mlx-core, with the contract `{contract}`"));
    } else if plugin_types::planned(&name).is_some() {
        errors.at(text.span(), format!("plugin type `{name}` is kept for a later version of mlx-core"));
    }
}

fn cardinality(arguments: &Arguments, errors: &Errors) -> Cardinality {
    let Some(text) = &arguments.cardinality else {
        return Cardinality::Many;
    };
    let value = text.value();
    match &*value {
        "one" => return Cardinality::One,
        "many" => return Cardinality::Many,
        _ => {}
    }
    match value.strip_prefix("one per ") {
        Some(setting) if plugin_types::is_snake(setting) => {
            return Cardinality::OnePer(setting.to_owned());
        }
        Some(setting) => errors.at(text.span(), format!("`{setting}` is not the name of a setting")),
        None => errors.at(text.span(), unknown("cardinality", &value, &["one", "many", "one per SETTING"])),
    }
    Cardinality::Many
}

fn capabilities(arguments: &Arguments, errors: &Errors) {
    for text in &arguments.capabilities {
        let value = text.value();
        if !value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c)) {
            errors.at(
                text.span(),
                format!("`{value}` does not belong in `capabilities`\nexpected small letters, digits, `-` and `_`"),
            );
        }
    }
}

fn trait_itself(item: &Trait, errors: &Errors) -> bool {
    if let Some(token) = &item.unsafety {
        errors.on(token, "a contract cannot be unsafe: a handle implements it, and can promise nothing for the plugin");
        return false;
    }
    if item.generics.params.is_empty() {
        return true;
    }
    errors.on(
        &item.generics.params,
        format!(
            "a contract is one plugin type, so `{}` cannot be generic\nhelp: write a trait for each case, or take a `Box<dyn …>`",
            item.ident
        ),
    );
    false
}

fn other_member(member: &Member, errors: &Errors) {
    let message = match member {
        Member::Type(_) => "a contract cannot have associated types: its plugins are used as one trait object",
        Member::Constant(_) => "a contract cannot have constants: its plugins are used as one trait object",
        _ => "a handle cannot forward what it does not see: write the methods out",
    };
    errors.on(member, message);
}

/// How a method is forwarded; nothing for one that cannot be called on a trait object anyway.
fn forwarded(method: &item::Method, has_async_trait: bool) -> syn::Result<Option<Method>> {
    let signature = &method.signature;
    if is_for_sized_only(signature) {
        return match method.body {
            Some(_) => Ok(None),
            None => refuse(&signature.ident, "has no default body, and a handle cannot implement it"),
        };
    }
    if let Some(token) = &signature.constness {
        return refuse_at(token.span, signature, "is `const`");
    }
    if let Some(token) = &signature.unsafety {
        return refuse_at(token.span, signature, "is `unsafe`");
    }
    if let Some(abi) = &signature.abi {
        return refuse_at(abi.extern_token.span, signature, "is `extern`");
    }
    receiver(signature)?;
    generics(signature)?;
    for argument in &signature.arguments {
        if let Some((span, why)) = Parts::of(&argument.ty).argument() {
            return refuse_at(span, signature, why);
        }
    }
    if let (Some(token), false) = (&signature.asyncness, has_async_trait) {
        return Err(syn::Error::new(
            token.span,
            format!("`{}` is async, which needs `#[async_trait]` on the trait", signature.ident),
        ));
    }
    let (call, output) = match boxed_output(signature) {
        Some(output) => (Call::Boxed, Some(output)),
        None => {
            let call = if signature.asyncness.is_some() { Call::Async } else { Call::Blocking };
            let output = match &signature.output {
                ReturnType::Type(_, output) => Some(&**output),
                ReturnType::Default => None,
            };
            (call, output)
        }
    };
    let Some(output) = output else {
        return refuse(&signature.ident, "returns no `Result`, and a call through a handle can fail");
    };
    let stream = stream(signature, output)?;
    let idempotent = idempotent(method, call)?;
    Ok(Some(Method {
        conditions: conditions(&method.attributes),
        signature: signature.clone(),
        call,
        stream,
        idempotent,
        output: output.span(),
    }))
}

/// Whether a call may be repeated, with the same arguments.
fn idempotent(method: &item::Method, call: Call) -> syn::Result<bool> {
    let [attribute, more @ ..] = &*method.idempotent else { return Ok(false) };
    if let Some(again) = more.first() {
        return Err(syn::Error::new(again.span(), "duplicate `#[idempotent]`"));
    }
    let ident = &method.signature.ident;
    if attribute.meta.require_path_only().is_err() {
        return Err(syn::Error::new(attribute.meta.span(), "`#[idempotent]` takes no arguments"));
    }
    if call == Call::Blocking {
        let message = format!("only calls of async methods are repeated, and `{ident}` is not async");
        return Err(syn::Error::new(attribute.span(), message));
    }
    for argument in &method.signature.arguments {
        if let Type::Reference(TypeReference { mutability: Some(token), .. }) = &argument.ty {
            let message = format!(
                "a call of `{ident}` cannot be repeated: it changes an argument\nhelp: take it by value or as `&`, or remove `#[idempotent]`"
            );
            return Err(syn::Error::new(token.span, message));
        }
    }
    Ok(true)
}

fn refuse<T>(ident: &syn::Ident, why: &str) -> syn::Result<T> {
    Err(syn::Error::new(ident.span(), format!("a handle cannot forward `{ident}`: it {why}")))
}

fn refuse_at<T>(span: Span, signature: &Signature, why: &str) -> syn::Result<T> {
    Err(syn::Error::new(span, format!("a handle cannot forward `{}`: it {why}", signature.ident)))
}

/// `&self`, in either spelling.
fn receiver(signature: &Signature) -> syn::Result<()> {
    const HELP: &str = "\nhelp: take `&self`, and keep what changes behind a lock";
    match &signature.receiver {
        None => refuse(&signature.ident, "has no `&self`"),
        Some(Receiver { reference: Some(_), mutability: None, .. }) => Ok(()),
        Some(Receiver { reference: Some((and, _)), .. }) => {
            refuse_at(and.span, signature, &format!("takes `&mut self`, and the plugin is shared{HELP}"))
        }
        Some(Receiver { ty: Some(ty), .. }) => match ty {
            Type::Reference(TypeReference { mutability: None, elem, .. }) if is_self(elem) => Ok(()),
            ty => refuse_at(ty.span(), signature, &format!("takes more than `&self`, and the plugin is shared{HELP}")),
        },
        Some(Receiver { self_token, .. }) => {
            refuse_at(self_token.span, signature, &format!("takes the plugin itself, which is shared{HELP}"))
        }
    }
}

fn is_self(ty: &Type) -> bool {
    matches!(ty, Type::Path(TypePath { path, .. }) if path.is_ident("Self"))
}

fn generics(signature: &Signature) -> syn::Result<()> {
    for parameter in &signature.generics.params {
        let span = match parameter {
            GenericParam::Lifetime(_) => continue,
            GenericParam::Type(parameter) => parameter.ident.span(),
            GenericParam::Const(parameter) => parameter.const_token.span,
        };
        let why = "is generic, and a contract is used as a trait object\nhelp: take a `Box<dyn …>` or a `&dyn …`";
        return refuse_at(span, signature, why);
    }
    Ok(())
}

/// Whether the result is a stream.
fn stream(signature: &Signature, output: &Type) -> syn::Result<bool> {
    if let Some(span) = Parts::of(output).impl_trait {
        return refuse_at(span, signature, "returns an `impl Trait`\nhelp: return a `Box<dyn …>`");
    }
    let Some(result) = last_segment(output).filter(|segment| segment.ident == "Result") else {
        return refuse_at(output.span(), signature, "returns no `Result`, and a call through a handle can fail");
    };
    let value = match &result.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        }),
        _ => None,
    };
    let item = value.and_then(stream_item);
    // What is in a stream leaves the instance too, but the stream itself is fine.
    let parts = Parts::of(item.unwrap_or(output));
    match parts.output() {
        Some((span, why)) => refuse_at(span, signature, why),
        None => Ok(item.is_some()),
    }
}

/// The `T` of `BoxStream<T>`.
fn stream_item(ty: &Type) -> Option<&Type> {
    let stream = last_segment(ty).filter(|segment| segment.ident == "BoxStream")?;
    let PathArguments::AngleBracketed(arguments) = &stream.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(item)) if arguments.args.len() == 1 => Some(item),
        _ => None,
    }
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

/// The `R` of `Pin<Box<dyn Future<Output = R> + Send + 'async_trait>>`, if `#[async_trait]` wrote that.
fn boxed_output(signature: &Signature) -> Option<&Type> {
    signature.generics.lifetimes().find(|parameter| parameter.lifetime.ident == "async_trait")?;
    let ReturnType::Type(_, output) = &signature.output else {
        return None;
    };
    let Type::TraitObject(future) = argument(argument(output)?)? else {
        return None;
    };
    let TypeParamBound::Trait(future) = future.bounds.first()? else {
        return None;
    };
    let PathArguments::AngleBracketed(arguments) = &future.path.segments.last()?.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::AssocType(output) => Some(&output.ty),
        _ => None,
    }
}

fn argument(ty: &Type) -> Option<&Type> {
    match &last_segment(ty)?.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first()? {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        },
        _ => None,
    }
}

fn is_for_sized_only(signature: &Signature) -> bool {
    let Some(clause) = &signature.generics.where_clause else { return false };
    for predicate in &clause.predicates {
        let WherePredicate::Type(predicate) = predicate else { continue };
        if !is_self(&predicate.bounded_ty) {
            continue;
        }
        for bound in &predicate.bounds {
            if matches!(bound, TypeParamBound::Trait(bound) if ends_with(&bound.path, "Sized")) {
                return true;
            }
        }
    }
    false
}

/// Whether its last segment is the name.
pub(super) fn ends_with(path: &Path, name: &str) -> bool {
    path.segments.last().is_some_and(|last| last.ident == name)
}

fn is_async_trait(attribute: &Attribute) -> bool {
    ends_with(attribute.path(), "async_trait")
}

/// What a type is made of that a handle minds.
#[derive(Default)]
struct Parts {
    borrow: Option<Span>,
    impl_trait: Option<Span>,
    itself: Option<Span>,
    stream: Option<Span>,
}

impl Parts {
    fn of(ty: &Type) -> Parts {
        let mut parts = Parts::default();
        parts.look_at(ty.to_token_stream());
        parts
    }

    fn look_at(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        // What borrows, if the lifetime that follows is not `'static`.
        let mut borrow = None;
        while let Some(token) = tokens.next() {
            match &token {
                TokenTree::Group(group) => self.look_at(group.stream()),
                TokenTree::Ident(ident) if ident == "impl" => _ = self.impl_trait.get_or_insert(ident.span()),
                TokenTree::Ident(ident) if ident == "Self" => _ = self.itself.get_or_insert(ident.span()),
                TokenTree::Ident(ident) if ident == "BoxStream" => _ = self.stream.get_or_insert(ident.span()),
                TokenTree::Punct(punct) if punct.as_char() == '&' => {
                    borrow = Some(punct.span());
                    if matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '\'') {
                        continue;
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                    let owned = matches!(tokens.next(), Some(TokenTree::Ident(name)) if name == "static");
                    borrow = (!owned).then(|| borrow.unwrap_or(punct.span()));
                }
                _ => {}
            }
            if let Some(span) = borrow.take() {
                self.borrow.get_or_insert(span);
            }
        }
    }

    fn argument(&self) -> Option<(Span, &'static str)> {
        None.or(self.impl_trait.map(|span| (span, "takes an `impl Trait`\nhelp: take a `Box<dyn …>` or a `&dyn …`")))
            .or(self.itself.map(|span| (span, "takes a `Self`, which is another type for each plugin")))
    }

    fn output(&self) -> Option<(Span, &'static str)> {
        None.or(self.itself.map(|span| (span, "returns a `Self`, which is another type for each plugin")))
            .or(self.stream.map(|span| {
                (span, "returns a stream inside something else, where it cannot be kept alive\nhelp: return `Result<mlx_core::BoxStream<T>>`")
            }))
            .or(self.borrow.map(|span| {
                (span, "returns something borrowed, and the plugin may be replaced after the call\nhelp: return something owned")
            }))
    }
}
