//! The Rust type of a component's settings.
//!
//! ```text
//! /// Settings of the component `data-sources/snowflake`.
//! #[derive(Clone, Debug, PluginConfig)]
//! #[config(component = "data-sources/snowflake")]
//! pub struct Snowflake {
//!     /// Virtual warehouse that runs the queries.
//!     #[config(default = String::from("COMPUTE_WH"), source = "data-sources/snowflake/component.json:6")]
//!     pub warehouse: String,
//! }
//! ```

use proc_macro2::{Ident, Literal as Token, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Attribute, LitStr, Path, Visibility};

use super::json::{Member, Node, Value};
use super::schema::{Bounds, Field, Kind, Literal, Presence, Range, Variant};
use crate::casing;

/// The type to make, and for which component.
pub(super) struct Target<'a> {
    pub(super) attributes: &'a [Attribute],
    pub(super) visibility: &'a Visibility,
    pub(super) name: &'a Ident,
    /// Of mlx-core, if it is called something else.
    pub(super) krate: Option<&'a Path>,
    /// As the derive names it: `data-sources/snowflake`.
    pub(super) component: &'a str,
    pub(super) description: Option<&'a str>,
    pub(super) file: &'a LitStr,
}

impl Target<'_> {
    /// Errors in what is generated show the file's name in the macro call, and lints see that no
    /// hand wrote it.
    fn span(&self) -> Span {
        Span::call_site().located_at(self.file.span())
    }

    fn core(&self) -> TokenStream {
        match self.krate {
            Some(path) => path.to_token_stream(),
            None => quote_spanned!(self.span()=> ::mlx_core),
        }
    }

    /// For the `config` attribute of what is generated.
    fn core_key(&self) -> Option<TokenStream> {
        let path = self.krate?;
        Some(quote!(crate = #path))
    }
}

/// The struct, and an enum for each setting with a list of values.
pub(super) fn expand(target: &Target<'_>, fields: &[Field<'_>]) -> TokenStream {
    let Target { attributes, visibility, name, component, .. } = target;
    let core = target.core();
    let core_key = target.core_key();
    let docs = (!attributes.iter().any(|a| a.path().is_ident("doc"))).then(|| {
        let first = doc(&format!("Settings of the component `{component}`."));
        let more = target.description.map(|text| {
            let text = doc(text);
            quote!(#[doc = ""] #text)
        });
        quote!(#first #more)
    });
    let derives = derives(attributes);
    let allowed = allowed();
    let (mut members, mut enums) = (Vec::new(), Vec::new());
    for field in fields {
        members.push(expand_field(target, field));
        enums.extend(expand_enum(target, field));
    }
    quote_spanned! {target.span()=>
        #docs
        #(#attributes)*
        #allowed
        #[derive(#derives #core::PluginConfig)]
        #[config(component = #component, #core_key)]
        #visibility struct #name {
            #(#members)*
        }
        #(#enums)*
    }
}

/// Has the compiler read the file, so that a change of it is a change of the crate.
pub(super) fn dependency(file: &LitStr) -> TokenStream {
    let span = Span::call_site().located_at(file.span());
    quote_spanned! {span=>
        const _: &[::core::primitive::u8] = ::core::include_bytes!(
            ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", #file)
        );
    }
}

/// Lints for which it does not matter that no hand wrote the code. One that a crate forbids must
/// not be listed, so these are only what the author of a JSON file cannot follow.
fn allowed() -> TokenStream {
    quote! {
        #[allow(clippy::exhaustive_enums, clippy::exhaustive_structs)]
    }
}

/// What a value of any setting implements, unless the user says so himself.
fn derives(attributes: &[Attribute]) -> TokenStream {
    let (mut has_clone, mut has_debug) = (false, false);
    for attribute in attributes {
        if !attribute.path().is_ident("derive") {
            continue;
        }
        // What is no list of paths is the compiler's to report.
        let _ = attribute.parse_nested_meta(|meta| {
            if let Some(last) = meta.path.segments.last() {
                has_clone |= last.ident == "Clone";
                has_debug |= last.ident == "Debug";
            }
            Ok(())
        });
    }
    let clone = (!has_clone).then(|| quote!(::core::clone::Clone,));
    let debug = (!has_debug).then(|| quote!(::core::fmt::Debug,));
    quote!(#clone #debug)
}

fn expand_field(target: &Target<'_>, field: &Field<'_>) -> TokenStream {
    let span = target.span();
    let docs = match field.description.map(str::trim) {
        Some(text) if !text.is_empty() => doc(text),
        _ => doc(&format!("Setting `{}` of the component `{}`.", field.key, target.component)),
    };
    let rename = (field.name != field.key).then(|| {
        let key = field.key;
        quote!(rename = #key,)
    });
    let default = match &field.presence {
        Presence::Default(value) => {
            let value = expand_default(target, field, value);
            Some(quote!(default = #value,))
        }
        Presence::Required | Presence::Optional => None,
    };
    let range = field.range.map(|range| {
        let range = match range {
            Range::Integer(bounds) => expand_bounds(bounds, integer),
            Range::Number(bounds) => expand_bounds(bounds, number),
        };
        quote!(range(#range),)
    });
    let length = field.length.map(|length| {
        let length = expand_bounds(length, integer);
        quote!(length(#length),)
    });
    let pattern = field.pattern.map(|pattern| quote!(pattern = #pattern,));
    let source = format!("{}:{}", target.file.value(), field.at.line);

    let name = field_ident(&field.name, span);
    let core = target.core();
    let mut ty = expand_type(target, field, &field.kind);
    if field.secret {
        ty = quote_spanned!(span=> #core::Secret<#ty>);
    }
    if matches!(field.presence, Presence::Optional) {
        ty = quote_spanned!(span=> ::core::option::Option<#ty>);
    }
    quote_spanned! {span=>
        #docs
        #[config(#rename #default #range #length #pattern source = #source)]
        pub #name: #ty,
    }
}

fn expand_type(target: &Target<'_>, field: &Field<'_>, kind: &Kind) -> TokenStream {
    let core = target.core();
    let span = target.span();
    match kind {
        Kind::Text => quote_spanned!(span=> ::std::string::String),
        Kind::Duration => quote_spanned!(span=> ::core::time::Duration),
        Kind::Path => quote_spanned!(span=> ::std::path::PathBuf),
        Kind::Enum(_) => enum_ident(target, field).into_token_stream(),
        Kind::Integer(width) => {
            let width = Ident::new(width.name(), span);
            quote_spanned!(span=> ::core::primitive::#width)
        }
        Kind::Number => quote_spanned!(span=> ::core::primitive::f64),
        Kind::Boolean => quote_spanned!(span=> ::core::primitive::bool),
        Kind::Array(kind) => {
            let kind = expand_type(target, field, kind);
            quote_spanned!(span=> ::std::vec::Vec<#kind>)
        }
        Kind::Object(kind) => {
            let kind = expand_type(target, field, kind);
            quote_spanned!(span=> ::std::collections::BTreeMap<::std::string::String, #kind>)
        }
        Kind::Any => quote_spanned!(span=> #core::JsonValue),
    }
}

fn expand_enum(target: &Target<'_>, field: &Field<'_>) -> Option<TokenStream> {
    let variants = field.kind.variants()?;
    let span = target.span();
    let core = target.core();
    let core_key = target.core_key().map(|key| quote!(#[config(#key)]));
    let visibility = target.visibility;
    let name = enum_ident(target, field);
    let docs = doc(&format!("Values of `{}` of the component `{}`.", field.key, target.component));
    let allowed = allowed();
    let mut members = Vec::new();
    for Variant { name, value } in variants {
        let docs = doc(&format!("`{value}`."));
        let name = Ident::new(name, span);
        members.push(quote_spanned! {span=>
            #docs
            #[config(rename = #value)]
            #name,
        });
    }
    Some(quote_spanned! {span=>
        #docs
        #allowed
        #[derive(
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::core::cmp::PartialEq,
            ::core::cmp::Eq,
            #core::PluginConfig
        )]
        #core_key
        #visibility enum #name {
            #(#members)*
        }
    })
}

fn enum_ident(target: &Target<'_>, field: &Field<'_>) -> Ident {
    let name = format!("{}{}", target.name, casing::pascal(&field.name));
    Ident::new(name.trim_start_matches("r#"), target.span())
}

fn field_ident(name: &str, span: Span) -> Ident {
    // `gen` is a keyword since the edition of 2024; syn does not say so.
    if name == "gen" || syn::parse_str::<Ident>(name).is_err() {
        Ident::new_raw(name, span)
    } else {
        Ident::new(name, span)
    }
}

fn expand_default(target: &Target<'_>, field: &Field<'_>, value: &Literal<'_>) -> TokenStream {
    match value {
        Literal::Text(text) => quote!(::std::string::String::from(#text)),
        Literal::Path(text) => quote!(::std::path::PathBuf::from(#text)),
        Literal::Duration(duration) => {
            let seconds = Token::u64_unsuffixed(duration.as_secs());
            let nanoseconds = Token::u32_unsuffixed(duration.subsec_nanos());
            quote!(::core::time::Duration::new(#seconds, #nanoseconds))
        }
        Literal::Variant(variant) => {
            let name = enum_ident(target, field);
            let variant = Ident::new(variant, target.span());
            quote!(#name::#variant)
        }
        Literal::Integer(value) => integer(*value),
        Literal::Number(value) => number(*value),
        Literal::Boolean(value) => quote!(#value),
        Literal::List(items) => {
            let mut elements = Vec::new();
            for item in items {
                elements.push(expand_default(target, field, item));
            }
            list(&elements)
        }
        Literal::Map(entries) if entries.is_empty() => {
            quote!(::std::collections::BTreeMap::new())
        }
        Literal::Map(entries) => {
            let mut pairs = Vec::new();
            for (key, value) in entries {
                pairs.push(pair(key, &expand_default(target, field, value)));
            }
            quote!(::std::collections::BTreeMap::from([#(#pairs),*]))
        }
        Literal::Any(node) => expand_json(&target.core(), node),
    }
}

fn list(items: &[TokenStream]) -> TokenStream {
    if items.is_empty() { quote!(::std::vec::Vec::new()) } else { quote!(::std::vec::Vec::from([#(#items),*])) }
}

fn pair(key: &str, value: &TokenStream) -> TokenStream {
    quote!((::std::string::String::from(#key), #value))
}

/// Built by hand: `json!` recurses for every element, and the compiler stops it at 128.
fn expand_json(core: &TokenStream, node: &Node) -> TokenStream {
    match &node.value {
        Value::Null => quote!(#core::JsonValue::Null),
        Value::Boolean(value) => quote!(#core::JsonValue::Bool(#value)),
        Value::Number(text) => {
            let whole = text.parse::<i128>().ok();
            let value = match whole.map(|value| (value, i64::try_from(value), u64::try_from(value))) {
                Some((value, Ok(_), _)) => {
                    let value = integer(value);
                    quote!(#value as ::core::primitive::i64)
                }
                Some((value, Err(_), Ok(_))) => {
                    let value = integer(value);
                    quote!(#value as ::core::primitive::u64)
                }
                _ => number(text.parse().unwrap_or_default()),
            };
            quote!(#core::JsonValue::from(#value))
        }
        Value::String(text) => {
            quote!(#core::JsonValue::String(::std::string::String::from(#text)))
        }
        Value::Array(items) => {
            let mut elements = Vec::new();
            for item in items {
                elements.push(expand_json(core, item));
            }
            let items = list(&elements);
            quote!(#core::JsonValue::Array(#items))
        }
        Value::Object(members) if members.is_empty() => {
            quote!(#core::JsonValue::Object(::core::default::Default::default()))
        }
        Value::Object(members) => {
            let mut pairs = Vec::new();
            for Member { key, node, .. } in members {
                pairs.push(pair(key, &expand_json(core, node)));
            }
            quote! {
                #core::JsonValue::Object(
                    ::core::iter::FromIterator::from_iter([#(#pairs),*])
                )
            }
        }
    }
}

fn expand_bounds<T>(bounds: Bounds<T>, expand: fn(T) -> TokenStream) -> TokenStream {
    let low = bounds.low.map(expand);
    match bounds.high.map(expand) {
        Some(high) => quote!(#low..=#high),
        None => quote!(#low..),
    }
}

/// As in source text: a sign of its own, and no suffix.
fn integer(value: i128) -> TokenStream {
    let digits = Token::u128_unsuffixed(value.unsigned_abs());
    let sign = (value < 0).then(|| quote!(-));
    quote!(#sign #digits)
}

fn number(value: f64) -> TokenStream {
    let digits = Token::f64_unsuffixed(value.abs());
    let sign = value.is_sign_negative().then(|| quote!(-));
    quote!(#sign #digits)
}

/// A doc comment of one line: nothing of it becomes a code block, which would be run as a test.
fn doc(text: &str) -> TokenStream {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let line = match line.strip_prefix("```").or(line.strip_prefix("~~~")) {
        Some(rest) => rest.trim_start_matches(['`', '~']),
        None => &line,
    };
    let line = format!(" {}", line.trim_start());
    quote!(#[doc = #line])
}
