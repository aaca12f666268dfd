//! Writes the implementations. For
//!
//! ```text
//! #[derive(PluginConfig)]
//! struct Pool {
//!     /// Connections kept open.
//!     #[config(default = 5, range(1..=64))]
//!     size: u32,
//! }
//! ```
//!
//! it writes, with paths cut short:
//!
//! ```text
//! const _: () = {
//!     use ::mlx_core as __mlx;
//!     impl Pool {
//!         fn __mlx_default_0() -> u32 { 5 }
//!         fn __mlx_written_0() -> Json { <u32 as ConfigValue>::write(&Self::__mlx_default_0()) }
//!     }
//!     impl ConfigValue for Pool {
//!         fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
//!             let mut fields = cx.fields(node)?;
//!             let value = Self::read_fields(&mut fields, cx);
//!             cx.unknown_fields(fields, Self::META.fields());
//!             value
//!         }
//!         // write, schema
//!     }
//!     impl ConfigFields for Pool {
//!         const META: &'static Meta = &Meta { name: "Pool", doc: "", component: "", shape: Shape::Struct(&[
//!             Field::new("size", "Connections kept open.", <u32 as ConfigValue>::schema, <u32 as ConfigValue>::OPTIONAL,
//!                 <u32 as ConfigValue>::SECRET)
//!                 .default(Self::__mlx_written_0)
//!                 .range(&(Some(Choice::Integer(1)), Some(Choice::Integer(64)), false)),
//!         ]) };
//!         fn read_fields(fields: &mut Fields<'_>, cx: &mut Reader<'_>) -> Option<Self> {
//!             let field0 = cx.read_field(fields, "size", <u32 as ConfigValue>::read, Absent::Value(Self::__mlx_default_0));
//!             cx.range(fields.place("size"), &field0, &Bounds { min: Some(1), max: Some(64), exclusive: false });
//!             // After all fields are read, so that all mistakes are found.
//!             let (Some(field0),) = (field0,) else { return None };
//!             Some(Self { size: field0 })
//!         }
//!         // write_fields
//!     }
//!     // DefaultValue, Serialize, Deserialize, JsonSchema, PluginConfig: calls of `config::adaptor`
//! };
//! ```
//!
//! What only some types are used for, being nested or inherited, say, is `#[inline]`: it is compiled where it is used.
//!
//! A user's expression is written once, so that a mistake in it is reported once, and everything that says of a
//! field's type that it is a `ConfigValue` says so in the same words at the same place, for the same reason.

use proc_macro2::{Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Expr, ExprLit, GenericParam, Generics, Lifetime, LifetimeParam, Lit, Type, TypeParam, parse_quote, spanned::Spanned,
};

use super::attr::{self, Attr, Container, Data, Field, Name, OneOf, Quantity, Range, Shape, Variant};
use crate::{
    expression,
    spans::{call, located},
};

pub(super) fn expand(container: &Container<'_>) -> TokenStream {
    let bounds = Bounds::new(container);
    let mut writer = Writer { container, defaults: Vec::new(), constants: Vec::new(), assertions: Vec::new() };
    let (implementations, meta) = match &container.data {
        Data::Struct(fields) => expand_struct(&mut writer, &bounds, fields),
        Data::Tuple(fields) => expand_newtype(&mut writer, &bounds, fields),
        Data::Enum(variants) => expand_enum(&mut writer, &bounds, variants),
        // Refused by the checks.
        Data::Union(_) => return TokenStream::new(),
    };
    let adaptors = adaptors(container, &bounds, &meta);
    let Writer { defaults, constants, assertions, .. } = writer;
    let defaults = (!defaults.is_empty()).then(|| {
        let name = &container.input.ident;
        let (generics, arguments, clause) = bounds.value();
        quote!(impl #generics #name #arguments #clause { #(#defaults)* })
    });
    wrap(container, quote!(#(#constants)* #defaults #(const _: () = #assertions;)* #implementations #adaptors))
}

/// The scope of everything that is written: the names it adds are `__mlx`, and `__MLX_VALUE_0` and so on.
pub(super) fn wrap(container: &Container<'_>, items: TokenStream) -> TokenStream {
    let krate = match &container.krate {
        Some(path) => path.value.to_token_stream(),
        None => quote!(::mlx_core),
    };
    quote! {
        #[doc(hidden)]
        #[allow(deprecated, non_local_definitions, unused_qualifications, unused_variables, clippy::absolute_paths)]
        const _: () = {
            use #krate as __mlx;
            #items
        };
    }
}

/// The implementations that say nothing of the fields.
pub(super) fn adaptors(container: &Container<'_>, bounds: &Bounds, meta: &TokenStream) -> TokenStream {
    let ident = &container.input.ident;
    let name = ident.to_string();
    let name = name.trim_start_matches("r#");
    let (generics, arguments, clause) = bounds.value();
    let (de_generics, _, _) = bounds.deserialize();
    let (_, _, plugin_clause) = bounds.plugin();
    quote! {
        #[automatically_derived]
        impl #generics __mlx::__private::serde::Serialize for #ident #arguments #clause {
            fn serialize<__S: __mlx::__private::serde::Serializer>(
                &self,
                serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                __mlx::config::adaptor::serialize(self, serializer)
            }
        }
        #[automatically_derived]
        impl #de_generics __mlx::__private::serde::Deserialize<'__de> for #ident #arguments #clause {
            fn deserialize<__D: __mlx::__private::serde::Deserializer<'__de>>(
                deserializer: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                __mlx::config::adaptor::deserialize(deserializer)
            }
        }
        #[automatically_derived]
        impl #generics __mlx::__private::schemars::JsonSchema for #ident #arguments #clause {
            #[inline]
            fn schema_name() -> ::std::borrow::Cow<'static, ::core::primitive::str> {
                ::std::borrow::Cow::Borrowed(#name)
            }
            #[inline]
            fn schema_id() -> ::std::borrow::Cow<'static, ::core::primitive::str> {
                __mlx::config::adaptor::schema_id::<Self>()
            }
            fn json_schema(
                generator: &mut __mlx::__private::schemars::SchemaGenerator,
            ) -> __mlx::__private::schemars::Schema {
                __mlx::config::schema::of(#meta, generator)
            }
        }
        #[automatically_derived]
        impl #generics __mlx::config::PluginConfig for #ident #arguments #plugin_clause {}
    }
}

/// What is collected while the fields are written.
struct Writer<'a> {
    container: &'a Container<'a>,
    /// The functions that make the defaults.
    defaults: Vec<TokenStream>,
    /// Values that are made while compiling, and what has to hold of them.
    constants: Vec<TokenStream>,
    /// What has to hold of inherited fields.
    assertions: Vec<TokenStream>,
}

/// The constants that are made of what a field says of a duration or a size.
#[derive(Default)]
struct Constants {
    default: Option<Ident>,
    min: Option<Ident>,
    max: Option<Ident>,
}

/// The fields of a struct or of a variant.
#[derive(Default)]
struct Fields {
    /// Their entries in `Meta`.
    metas: Vec<TokenStream>,
    /// Reads each into a variable.
    reads: Vec<TokenStream>,
    /// These variables.
    variables: Vec<Ident>,
    /// `member: variable`, once none is missing
    members: Vec<TokenStream>,
    /// `member: variable`, those left out that are not written.
    patterns: Vec<TokenStream>,
    /// Writes each.
    writes: Vec<TokenStream>,
}

fn expand_struct(writer: &mut Writer<'_>, bounds: &Bounds, fields: &[Field<'_>]) -> (TokenStream, TokenStream) {
    let container = writer.container;
    let ident = &container.input.ident;
    let name = writer.name();
    let doc = &container.doc;
    let component = container.component.as_ref().map_or(String::new(), |component| component.value.value());
    let (generics, arguments, clause) = bounds.value();
    let Fields { metas, reads, variables, members, writes, .. } =
        writer.fields(fields, &quote!(<Self as __mlx::config::ConfigFields>::META.fields()), &|field, _| {
            let member = &field.member;
            quote!(&self.#member)
        });
    let all_read = all_read(&variables);
    let assertions = writer.inline_assertions();
    let validate = writer.validate(&quote!(__fields.whole()));
    let implementations = quote! {
        #[automatically_derived]
        impl #generics __mlx::config::ConfigValue for #ident #arguments #clause {
            fn read(
                __node: &__mlx::value::Node,
                __cx: &mut __mlx::config::Reader<'_>,
            ) -> ::core::option::Option<Self> {
                let mut __fields = __cx.fields(__node)?;
                let __value = <Self as __mlx::config::ConfigFields>::read_fields(&mut __fields, __cx);
                __cx.unknown_fields(&__fields, <Self as __mlx::config::ConfigFields>::META.fields());
                __value
            }
            fn write(&self) -> __mlx::__private::Json {
                let mut __map = __mlx::__private::JsonMap::new();
                <Self as __mlx::config::ConfigFields>::write_fields(self, &mut __map);
                __mlx::__private::Json::Object(__map)
            }
            #[inline]
            fn schema(
                __generator: &mut __mlx::__private::schemars::SchemaGenerator,
            ) -> __mlx::__private::schemars::Schema {
                __generator.subschema_for::<Self>()
            }
        }
        #[automatically_derived]
        impl #generics __mlx::config::ConfigFields for #ident #arguments #clause {
            const META: &'static __mlx::config::Meta = &__mlx::config::Meta {
                name: #name,
                doc: #doc,
                component: #component,
                shape: __mlx::config::Shape::Struct(&[#(#metas),*]),
            };
            fn read_fields(
                __fields: &mut __mlx::config::Fields<'_>,
                __cx: &mut __mlx::config::Reader<'_>,
            ) -> ::core::option::Option<Self> {
                #assertions
                #(#reads)*
                #all_read
                let __value = Self { #(#members),* };
                #validate
                ::core::option::Option::Some(__value)
            }
            fn write_fields(&self, __map: &mut __mlx::__private::JsonMap) {
                #(#writes)*
            }
        }
        #[automatically_derived]
        impl #generics __mlx::config::DefaultValue for #ident #arguments #clause {
            #[inline]
            fn default_value(
                __location: ::core::option::Option<&__mlx::diagnostics::Location>,
                __cx: &mut __mlx::config::Reader<'_>,
            ) -> ::core::option::Option<Self> {
                __mlx::config::adaptor::empty(__location, __cx)
            }
            #[inline]
            fn default_json() -> __mlx::__private::Json {
                __mlx::config::adaptor::empty_json()
            }
        }
    };
    (implementations, quote!(<Self as __mlx::config::ConfigFields>::META))
}

/// A struct around one value reads and is described as that value, with the checks of its field.
fn expand_newtype(writer: &mut Writer<'_>, bounds: &Bounds, fields: &[Field<'_>]) -> (TokenStream, TokenStream) {
    let Some(field) = fields.first() else { return (TokenStream::new(), TokenStream::new()) };
    let container = writer.container;
    let ident = &container.input.ident;
    let name = writer.name();
    let doc = &container.doc;
    let (generics, arguments, clause) = bounds.value();
    let types = FieldType::of(field);
    let (read, missing) = (types.read(), types.missing());
    let read = match field.secret {
        Some(_) => quote!(__cx.hidden(__node, #read)),
        None => quote!(#read(__node, __cx)),
    };
    let write = types.write(&quote!(&self.0));
    let meta = writer.setting_meta(field, &types, None);
    let constants = writer.constants(field);
    let place = quote!(__mlx::config::Place::of(__node));
    let checks = writer.checks(field, &types, &constants, &format_ident!("__field0"), &place);
    let validate = writer.validate(&quote!(__mlx::config::Place::of(__node)));
    let (optional, secret) = types.kind();
    let default = by_default(ident, bounds);
    let implementations = quote! {
        #[automatically_derived]
        impl #generics __mlx::config::ConfigValue for #ident #arguments #clause {
            const OPTIONAL: ::core::primitive::bool = #optional;
            const SECRET: ::core::primitive::bool = #secret;
            fn read(
                __node: &__mlx::value::Node,
                __cx: &mut __mlx::config::Reader<'_>,
            ) -> ::core::option::Option<Self> {
                let __field0 = #read;
                #checks
                let __value = Self(__field0?);
                #validate
                ::core::option::Option::Some(__value)
            }
            fn missing() -> ::core::option::Option<Self> {
                #missing().map(Self)
            }
            fn write(&self) -> __mlx::__private::Json {
                #write
            }
            #[inline]
            fn schema(
                __generator: &mut __mlx::__private::schemars::SchemaGenerator,
            ) -> __mlx::__private::schemars::Schema {
                __generator.subschema_for::<Self>()
            }
        }
        #default
    };
    let meta = quote! {
        const {
            &__mlx::config::Meta {
                name: #name,
                doc: #doc,
                component: "",
                shape: __mlx::config::Shape::Value(&#meta),
            }
        }
    };
    (implementations, meta)
}

fn expand_enum(writer: &mut Writer<'_>, bounds: &Bounds, variants: &[Variant<'_>]) -> (TokenStream, TokenStream) {
    let container = writer.container;
    let ident = &container.input.ident;
    let name = writer.name();
    let doc = &container.doc;
    let (generics, arguments, clause) = bounds.value();
    let tag = container.tag.as_ref().map(|tag| tag.value.value());
    let (mut names, mut metas, mut reads, mut writes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, variant) in variants.iter().enumerate() {
        let VariantParts { meta, read, write } = match &tag {
            Some(tag) => writer.tagged_variant(variant, index, tag),
            None => writer.variant(variant, index),
        };
        names.push(&variant.name.text);
        metas.push(meta);
        reads.push(read);
        writes.push(write);
    }
    let assertions = writer.inline_assertions();
    let validate = writer.validate(&quote!(__mlx::config::Place::of(__node)));
    let head = match &tag {
        Some(tag) => quote! {
            let mut __fields = __cx.fields(__node)?;
            let __name = __cx.tag(&mut __fields, #tag)?;
        },
        None => quote! {
            let (__name, __content) = __cx.variant(__node)?;
        },
    };
    let unknown = match &tag {
        Some(tag) => quote! {
            let __location = __fields.location_of(#tag);
            __cx.nested(#tag, |__cx| __cx.unknown_variant(__name, &[#(#names),*], __location));
        },
        None => quote! {
            __cx.unknown_variant(__name, &[#(#names),*], __node.location.as_ref());
        },
    };
    let meta_tag = match &tag {
        Some(tag) => quote!(::core::option::Option::Some(#tag)),
        None => quote!(::core::option::Option::None),
    };
    let default = by_default(ident, bounds);
    let implementations = quote! {
        impl #generics #ident #arguments #clause {
            const __MLX_META: &'static __mlx::config::Meta = &__mlx::config::Meta {
                name: #name,
                doc: #doc,
                component: "",
                shape: __mlx::config::Shape::Enum { tag: #meta_tag, variants: &[#(#metas),*] },
            };
        }
        #[automatically_derived]
        impl #generics __mlx::config::ConfigValue for #ident #arguments #clause {
            fn read(
                __node: &__mlx::value::Node,
                __cx: &mut __mlx::config::Reader<'_>,
            ) -> ::core::option::Option<Self> {
                #assertions
                #head
                let __value = match &*__name {
                    #(#reads)*
                    __name => {
                        #unknown
                        ::core::option::Option::None
                    }
                }?;
                #validate
                ::core::option::Option::Some(__value)
            }
            fn write(&self) -> __mlx::__private::Json {
                match self {
                    #(#writes)*
                }
            }
            #[inline]
            fn schema(
                __generator: &mut __mlx::__private::schemars::SchemaGenerator,
            ) -> __mlx::__private::schemars::Schema {
                __generator.subschema_for::<Self>()
            }
        }
        #default
    };
    (implementations, quote!(Self::__MLX_META))
}

/// `DefaultValue` of a type that is no struct with named fields: its `Default`, if it has one.
fn by_default(ident: &Ident, bounds: &Bounds) -> TokenStream {
    let (generics, arguments, clause) = bounds.default();
    quote! {
        #[automatically_derived]
        impl #generics __mlx::config::DefaultValue for #ident #arguments #clause {
            #[inline]
            fn default_value(
                _: ::core::option::Option<&__mlx::diagnostics::Location>,
                _: &mut __mlx::config::Reader<'_>,
            ) -> ::core::option::Option<Self> {
                ::core::option::Option::Some(<&Self as __mlx::config::HasDefault<Self>>::default())
            }
            #[inline]
            fn default_json() -> __mlx::__private::Json {
                <Self as __mlx::config::ConfigValue>::write(&<&Self as __mlx::config::HasDefault<Self>>::default())
            }
        }
    }
}

struct VariantParts {
    meta: TokenStream,
    read: TokenStream,
    write: TokenStream,
}

impl Writer<'_> {
    fn name(&self) -> String {
        self.container.input.ident.to_string().trim_start_matches("r#").to_owned()
    }

    /// A variant that is its bare name, or a mapping with that one key.
    fn variant(&mut self, variant: &Variant<'_>, index: usize) -> VariantParts {
        let (ident, name, doc) = (&variant.syn.ident, &variant.name.text, &variant.doc);
        let (content, read, write) = match &variant.shape {
            Shape::Unit => (
                quote!(Unit),
                quote!(__cx.unit(#name, __content, Self::#ident)),
                quote!(Self::#ident => __mlx::config::adaptor::unit(#name),),
            ),
            Shape::Struct(fields) => {
                let Fields { metas, reads, variables, members, patterns, writes } =
                    self.fields(fields, &quote!(Self::__MLX_META.variant(#index)), &|_, variable| quote!(#variable));
                let all_read = all_read(&variables);
                (
                    quote!(Fields(&[#(#metas),*])),
                    quote! {
                        __cx.content(#name, __node, __content, |__node, __cx| {
                            let __fields = &mut __cx.fields(__node)?;
                            #(#reads)*
                            __cx.unknown_fields(__fields, Self::__MLX_META.variant(#index));
                            #all_read
                            ::core::option::Option::Some(Self::#ident { #(#members),* })
                        })
                    },
                    quote! {
                        Self::#ident { #(#patterns,)* .. } => {
                            let mut __object = __mlx::__private::JsonMap::new();
                            let __map = &mut __object;
                            #(#writes)*
                            __mlx::config::adaptor::variant(#name, __mlx::__private::Json::Object(__object))
                        }
                    },
                )
            }
            Shape::Tuple(fields) => match fields.first() {
                Some(field) => {
                    let types = FieldType::of(field);
                    let (schema, read) = (types.schema(), types.read());
                    let write = types.write(&quote!(__field0));
                    (
                        quote!(Value(#schema)),
                        quote!(__cx.content(#name, __node, __content, #read).map(Self::#ident)),
                        quote!(Self::#ident(__field0) => __mlx::config::adaptor::variant(#name, #write),),
                    )
                }
                // Refused by the checks.
                None => Default::default(),
            },
        };
        VariantParts {
            meta: quote!(__mlx::config::Variant { name: #name, doc: #doc, content: __mlx::config::Content::#content }),
            read: quote!(#name => #read,),
            write,
        }
    }

    /// A variant that the mapping names in the field `tag`, beside the variant's own fields.
    fn tagged_variant(&mut self, variant: &Variant<'_>, index: usize, tag: &str) -> VariantParts {
        let (ident, name, doc) = (&variant.syn.ident, &variant.name.text, &variant.doc);
        let Fields { metas, reads, variables, members, patterns, writes } = match &variant.shape {
            Shape::Unit => Fields::default(),
            Shape::Struct(fields) => {
                self.fields(fields, &quote!(Self::__MLX_META.variant(#index)), &|_, variable| quote!(#variable))
            }
            // The content's fields stand beside the tag.
            Shape::Tuple(fields) => {
                let mut written = Fields::default();
                if let Some(field) = fields.first() {
                    self.inherited(&mut written, field, 0, &quote!(__field0));
                }
                written
            }
        };
        let all_read = all_read(&variables);
        for field in variant.shape.fields() {
            if field.inherits().is_some() || matches!(variant.shape, Shape::Tuple(_)) {
                let meta = FieldType::of(field).meta();
                let span = field.ty.span();
                self.assertions.push(quote_spanned!(span=> __mlx::config::assert_undeclared(#meta, #tag)));
            }
        }
        VariantParts {
            meta: quote! {
                __mlx::config::Variant {
                    name: #name,
                    doc: #doc,
                    content: __mlx::config::Content::Fields(&[#(#metas),*]),
                }
            },
            read: quote! {
                #name => {
                    let __fields = &mut __fields;
                    #(#reads)*
                    __cx.unknown_fields(__fields, Self::__MLX_META.variant(#index));
                    #all_read
                    ::core::option::Option::Some(Self::#ident { #(#members),* })
                }
            },
            write: quote! {
                Self::#ident { #(#patterns,)* .. } => {
                    let mut __object = __mlx::__private::JsonMap::new();
                    let __map = &mut __object;
                    __mlx::config::adaptor::put(__map, #tag, __mlx::config::adaptor::unit(#name));
                    #(#writes)*
                    __mlx::__private::Json::Object(__object)
                }
            },
        }
    }

    /// The fields; `metas` is the list of their entries in `Meta`, and `access` a reference to the value of one.
    fn fields(
        &mut self,
        fields: &[Field<'_>],
        metas: &TokenStream,
        access: &dyn Fn(&Field<'_>, &Ident) -> TokenStream,
    ) -> Fields {
        let mut written = Fields::default();
        // A map takes every setting that is left, so what is inherited is read last.
        let (mut inherited, mut own) = (Vec::new(), Vec::new());
        for (index, field) in fields.iter().enumerate() {
            let part = if field.inherits().is_some() { &mut inherited } else { &mut own };
            part.push((index, field));
        }
        for (index, field) in &own {
            self.own(&mut written, field, *index, metas, &access(field, &variable(*index)));
        }
        for (nth, (index, field)) in inherited.iter().enumerate() {
            let meta = FieldType::of(field).meta();
            for (_, own) in &own {
                if own.skip.is_none() {
                    for Name { span, text } in own.names() {
                        self.assertions.push(quote_spanned!(span=> __mlx::config::assert_undeclared(#meta, #text)));
                    }
                }
            }
            for (_, earlier) in &inherited[..nth] {
                let (earlier, span) = (FieldType::of(earlier).meta(), field.ty.span());
                self.assertions.push(quote_spanned!(span=> __mlx::config::assert_disjoint(#earlier, #meta)));
            }
            self.inherited(&mut written, field, *index, &access(field, &variable(*index)));
        }
        written
    }

    /// One field that is a setting, or is skipped.
    fn own(
        &mut self,
        written: &mut Fields,
        field: &Field<'_>,
        index: usize,
        metas: &TokenStream,
        access: &TokenStream,
    ) {
        let (member, ty) = (&field.member, field.ty);
        if field.skip.is_some() {
            let default = path(ty, &quote!(::core::default::Default), "default");
            written.members.push(quote!(#member: #default()));
            return;
        }
        let key = &field.name.text;
        let variable = variable(index);
        let types = FieldType::of(field);
        let constants = self.constants(field);
        let default = self.default(field, &constants);
        let method = if field.secret.is_some() { quote!(read_secret) } else { quote!(read_field) };
        let read = types.read();
        let absent = match (&field.default, &default) {
            (_, Some(default)) => quote!(Value(Self::#default)),
            (Some(Attr { value: attr::Default::Bare, .. }), None) => {
                let default = path(ty, &quote!(__mlx::config::DefaultValue), "default_value");
                quote!(Default(#default))
            }
            _ => {
                let missing = types.missing();
                quote!(Missing(#missing))
            }
        };
        if !field.aliases.is_empty() || field.env.is_some() || field.deprecated.is_some() {
            let nth = written.metas.len();
            written.reads.push(quote!(__cx.look_for(__fields, &#metas[#nth]);));
        }
        self.assert_consistent(field, &types);
        written
            .reads
            .push(quote!(let #variable = __cx.#method(__fields, #key, #read, __mlx::config::Absent::#absent);));
        written.reads.push(self.checks(field, &types, &constants, &variable, &quote!(__fields.place(#key))));
        written.metas.push(self.setting_meta(field, &types, default.as_ref()));
        written.variables.push(variable.clone());
        written.members.push(quote!(#member: #variable));
        written.patterns.push(quote!(#member: #variable));
        let value = types.write(access);
        written.writes.push(quote!(__mlx::config::adaptor::put(__map, #key, #value);));
    }

    /// One field whose type's fields are laid flat.
    fn inherited(&mut self, written: &mut Fields, field: &Field<'_>, index: usize, access: &TokenStream) {
        let (member, variable) = (&field.member, variable(index));
        let types = FieldType::of(field);
        let meta = types.meta();
        let read = path(field.ty, &quote!(__mlx::config::ConfigFields), "read_fields");
        let write = path(field.ty, &quote!(__mlx::config::ConfigFields), "write_fields");
        let mut overrides = Vec::new();
        if let Some(Attr { value: attr::Default::Inherited(fields), .. }) = &field.default {
            for (Name { span, text }, value) in fields {
                let empty =
                    matches!(value, Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) if literal.value().is_empty());
                self.assertions.push(quote_spanned!(*span=> __mlx::config::assert_overridable(#meta, #text, #empty)));
                let function = self.default_function(
                    &quote!(__mlx::__private::Json),
                    &quote!(__mlx::config::foreign::write(&(#value))),
                );
                overrides.push(quote!(__mlx::config::DefaultOverride { name: #text, value: Self::#function }));
            }
        }
        written.metas.push(quote!(__mlx::config::Field::inherited(#meta, &[#(#overrides),*])));
        written.reads.push(match overrides.is_empty() {
            true => quote!(let #variable = #read(__fields, __cx);),
            false => quote! {
                let #variable = __fields.with_defaults(const { &[#(#overrides),*] }, |__fields| #read(__fields, __cx));
            },
        });
        written.variables.push(variable.clone());
        written.members.push(quote!(#member: #variable));
        written.patterns.push(quote!(#member: #variable));
        written.writes.push(quote!(#write(#access, __map);));
    }

    /// The constants of a field, with what has to hold of them.
    fn constants(&mut self, field: &Field<'_>) -> Constants {
        let Some(quantity) = field.quantity() else { return Constants::default() };
        let default = match &field.default {
            // Of a default alone, only a text has to be a constant.
            Some(Attr { value: attr::Default::Value(expr), .. })
                if Quantity::of(field.ty).is_some() && (field.range.is_some() || matches!(expr, Expr::Lit(_))) =>
            {
                Some(expr)
            }
            _ => None,
        };
        let range = field.range.as_ref().map(|attr| &attr.value);
        let (low, high) = (range.and_then(|range| range.min.as_ref()), range.and_then(|range| range.max.as_ref()));
        let exclusive = range.is_some_and(|range| range.exclusive);
        let constants = Constants {
            default: default.and_then(|expr| self.constant(quantity, expr)),
            min: low.and_then(|expr| self.constant(quantity, expr)),
            max: high.and_then(|expr| self.constant(quantity, expr)),
        };
        let number = |constant: &Ident| match quantity {
            Quantity::Duration => quote!(#constant.as_nanos()),
            Quantity::ByteSize => quote!(#constant.bytes() as ::core::primitive::u128),
        };
        let (min, max) = (constants.min.as_ref().map(number), constants.max.as_ref().map(number));
        if let (Some(min), Some(max)) = (&min, &max) {
            let assert = quote!(__mlx::config::assert_not_empty);
            let assertion = call(assert, quote!(#min, #max, #exclusive), quote!(#low #high));
            self.constants.push(quote!(const _: () = #assertion;));
        }
        if let (Some(default), Some(expr), true) = (&constants.default, default, min.is_some() || max.is_some()) {
            let (default, min, max) = (number(default), option(min), option(max));
            let assert = quote!(__mlx::config::assert_within);
            let assertion = call(assert, quote!(#default, #min, #max, #exclusive), expr.to_token_stream());
            self.constants.push(quote!(const _: () = #assertion;));
        }
        constants
    }

    /// A constant of what is written, if one can be made of it.
    fn constant(&mut self, quantity: Quantity, expr: &Expr) -> Option<Ident> {
        if !quantity.is_constant(expr) {
            return None;
        }
        let (ty, read) = match quantity {
            Quantity::Duration => (quote!(::core::time::Duration), quote!(written_duration)),
            Quantity::ByteSize => (quote!(__mlx::config::ByteSize), quote!(written_size)),
        };
        let value = match expr {
            Expr::Lit(_) => located(quote!(__mlx::config::#read(#expr)), expr.span()),
            _ => expr.to_token_stream(),
        };
        let name =
            format_ident!("__MLX_VALUE_{}", self.constants.len(), span = Span::call_site().located_at(expr.span()));
        self.constants.push(quote!(const #name: #ty = #value;));
        Some(name)
    }

    /// The function that makes the default of a field, if it has a value of its own.
    fn default(&mut self, field: &Field<'_>, constants: &Constants) -> Option<Ident> {
        let ty = field.ty;
        let value = match &field.default.as_ref()?.value {
            attr::Default::Value(_) if let Some(constant) = &constants.default => constant.to_token_stream(),
            attr::Default::Value(expr @ Expr::Lit(ExprLit { lit: Lit::Str(_), .. })) => {
                quote_spanned!(expr.span()=> __mlx::config::TextDefault::of(#expr))
            }
            attr::Default::Value(expr) => expr.to_token_stream(),
            attr::Default::Bare if field.serde.is_some() => {
                let default = path(ty, &quote!(::core::default::Default), "default");
                quote!(#default())
            }
            attr::Default::Bare | attr::Default::Inherited(_) => return None,
        };
        if field.serde.is_none() && matches!(field.default, Some(Attr { value: attr::Default::Value(_), .. })) {
            let (optional, secret) = FieldType::of(field).kind();
            let span = field.default.as_ref().map_or_else(Span::call_site, |attr| attr.span);
            self.assertions.push(quote_spanned!(span=> __mlx::config::assert_public(#secret && !#optional)));
        }
        Some(self.default_function(ty, &value))
    }

    fn default_function(&mut self, ty: &impl ToTokens, value: &TokenStream) -> Ident {
        let function = format_ident!("__mlx_default_{}", self.defaults.len());
        self.defaults.push(quote!(fn #function() -> #ty { #value }));
        function
    }

    /// What only the type of the field can contradict.
    fn assert_consistent(&mut self, field: &Field<'_>, types: &FieldType<'_>) {
        let (optional, secret) = types.kind();
        let shown = field.examples.first().map(|attr| attr.span).or(field.one_of.as_ref().map(|attr| attr.span));
        if let Some(span) = shown {
            self.assertions.push(quote_spanned!(span=> __mlx::config::assert_shown(#secret)));
        }
        if let (Some(Attr { span, .. }), None) = (&field.deprecated, &field.default) {
            self.assertions.push(quote_spanned!(*span=> __mlx::config::assert_avoidable(#optional)));
        }
    }

    /// What `Meta` says of a field that is a setting.
    fn setting_meta(&mut self, field: &Field<'_>, types: &FieldType<'_>, default: Option<&Ident>) -> TokenStream {
        let (name, doc, schema) = (&field.name.text, &field.doc, types.schema());
        let (optional, secret) = types.kind();
        let default = match (default, &field.default) {
            (Some(default), _) => {
                let write = types.write(&quote!(&Self::#default()));
                // No closure, which would be another function where it is made a pointer.
                let written = format_ident!("__mlx_written_{}", self.defaults.len());
                self.defaults.push(quote!(fn #written() -> __mlx::__private::Json { #write }));
                Some(quote!(.default(Self::#written)))
            }
            (None, Some(_)) => {
                let default = path(field.ty, &quote!(__mlx::config::DefaultValue), "default_json");
                Some(quote!(.default(#default)))
            }
            (None, None) => None,
        };
        let range = field.range.as_ref().map(|Attr { value: range, .. }| {
            let (min, max, exclusive) = limits(range);
            match range.is_literal() {
                true => quote!(.range(&(#min, #max, #exclusive))),
                // What is no number cannot be made one in a constant.
                false => quote!(.limits(|| (#min, #max, #exclusive))),
            }
        });
        let length = field.length.as_ref().map(|attr| {
            let (min, max) = lengths(&attr.value);
            quote!(.length(#min, #max))
        });
        let pattern = field.pattern.as_ref().map(|Attr { value, .. }| quote!(.pattern(#value)));
        let source = field.source.as_ref().map(|Attr { value, .. }| quote!(.source(#value)));
        let more = more(field);
        quote! {
            __mlx::config::Field::new(#name, #doc, #schema, #optional, #secret) #default #range #length #pattern #source #more
        }
    }

    /// The checks of a value that was read.
    fn checks(
        &self,
        field: &Field<'_>,
        types: &FieldType<'_>,
        constants: &Constants,
        variable: &Ident,
        place: &TokenStream,
    ) -> TokenStream {
        let range = field.range.as_ref().map(|Attr { span, value: Range { min, max, exclusive } }| {
            let end = |constant: &Option<Ident>, written: &Option<Expr>| match constant {
                Some(constant) => option(Some(constant.to_token_stream())),
                None => option_expr(written.as_ref()),
            };
            let (min, max) = (end(&constants.min, min), end(&constants.max, max));
            let variable = Ident::new(&variable.to_string(), *span);
            quote_spanned! {*span=>
                __cx.range(#place, &#variable, &__mlx::config::Bounds { min: #min, max: #max, exclusive: #exclusive });
            }
        });
        let length = field.length.as_ref().map(|Attr { span, value }| {
            let (min, max) = lengths(value);
            let variable = Ident::new(&variable.to_string(), *span);
            quote_spanned! {*span=>
                __cx.length(#place, &#variable, &__mlx::config::Bounds { min: #min, max: #max, exclusive: false });
            }
        });
        let pattern = field.pattern.as_ref().map(|Attr { span, value }| {
            let variable = Ident::new(&variable.to_string(), *span);
            quote_spanned! {*span=>
                __cx.pattern(#place, &#variable, {
                    static __PATTERN: __mlx::config::Pattern = __mlx::config::Pattern::new(#value);
                    &__PATTERN
                });
            }
        });
        let one_of = field.one_of.as_ref().map(|Attr { span, value }| {
            let variable = Ident::new(&variable.to_string(), *span);
            match value {
                OneOf::Texts(texts) => quote_spanned!(*span=> __cx.one_of_texts(#place, &#variable, &[#(#texts),*]);),
                OneOf::Numbers(numbers) => {
                    quote_spanned!(*span=> __cx.one_of_numbers(#place, &#variable, &[#(#numbers),*]);)
                }
            }
        });
        let validate = field.validate.as_ref().map(|Attr { value: check, .. }| {
            let (ty, (_, secret)) = (field.ty, types.kind());
            let run = quote_spanned!(check.span()=> #check(__value));
            quote!(__cx.validate(#place, #variable.as_ref(), #secret, |__value: &#ty| #run);)
        });
        let checks = quote!(#range #length #pattern #one_of #validate);
        match field.secret {
            Some(_) if !checks.is_empty() => quote!(__cx.secret(|__cx| { #checks });),
            _ => checks,
        }
    }

    /// The check of the whole value.
    fn validate(&self, place: &TokenStream) -> Option<TokenStream> {
        let check = &self.container.validate.as_ref()?.value;
        let run = quote_spanned!(check.span()=> #check(__value));
        Some(quote! {
            __cx.validate(
                #place,
                ::core::option::Option::Some(&__value),
                false,
                |__value: &Self| #run,
            );
        })
    }

    /// What has to hold of a generic type can only be asserted where its parameters are known.
    fn inline_assertions(&mut self) -> Option<TokenStream> {
        if self.container.input.generics.params.is_empty() {
            return None;
        }
        let assertions = std::mem::take(&mut self.assertions);
        Some(quote!(#(const { #assertions };)*))
    }
}

/// What `Meta` says of few fields.
fn more(field: &Field<'_>) -> Option<TokenStream> {
    let mut aliases = Vec::new();
    for Attr { value, .. } in &field.aliases {
        aliases.push(value);
    }
    let aliases = (!aliases.is_empty()).then(|| quote!(aliases: &[#(#aliases),*],));
    let mut examples = Vec::new();
    for Attr { value, .. } in &field.examples {
        let write = quote_spanned!(value.span()=> __mlx::config::foreign::write(&(#value)));
        examples.push(quote!(|| #write));
    }
    let examples = (!examples.is_empty()).then(|| quote!(examples: &[#(#examples),*],));
    let env = field.env.as_ref().map(|Attr { value, .. }| quote!(env: #value,));
    let deprecated = field.deprecated.as_ref().map(|Attr { value, .. }| quote!(deprecated: #value,));
    let one_of = field.one_of.as_ref().map(|Attr { value, .. }| {
        let mut choices = Vec::new();
        match value {
            OneOf::Texts(texts) => {
                for text in texts {
                    choices.push(quote!(Text(#text)));
                }
            }
            OneOf::Numbers(numbers) => {
                for number in numbers {
                    choices.push(choice(number));
                }
            }
        }
        quote!(one_of: &[#(__mlx::config::Choice::#choices),*],)
    });
    let given = quote!(#aliases #examples #env #deprecated #one_of);
    (!given.is_empty()).then(|| quote!(.more(&__mlx::config::More { #given ..__mlx::config::More::NONE })))
}

/// A number written out. Its suffix, if it has one, is for the check.
fn choice(number: &Expr) -> TokenStream {
    match expression::integer(number) {
        Some(integer) => {
            let integer = Literal::i128_unsuffixed(integer);
            quote!(Integer(#integer))
        }
        None => {
            let float = Literal::f64_suffixed(expression::number(number).unwrap_or_default());
            quote!(Float(#float))
        }
    }
}

/// Gives up once all fields are read, in one step: a `?` for each would be compiled anew for each.
fn all_read(variables: &[Ident]) -> Option<TokenStream> {
    (!variables.is_empty()).then(|| {
        quote! {
            let (#(::core::option::Option::Some(#variables),)*) = (#(#variables,)*) else {
                return ::core::option::Option::None;
            };
        }
    })
}

fn variable(index: usize) -> Ident {
    format_ident!("__field{index}")
}

/// How the type of a field is spoken of.
struct FieldType<'f> {
    ty: &'f Type,
    serde: bool,
    secret: bool,
}

impl<'f> FieldType<'f> {
    fn of(field: &Field<'f>) -> Self {
        FieldType { ty: field.ty, serde: field.serde.is_some(), secret: field.secret.is_some() }
    }

    fn value(&self, item: &str) -> TokenStream {
        path(self.ty, &quote!(__mlx::config::ConfigValue), item)
    }

    fn foreign(&self, item: &str) -> TokenStream {
        let (ty, item) = (self.ty, Ident::new(item, self.ty.span()));
        quote_spanned!(ty.span()=> __mlx::config::foreign::#item::<#ty>)
    }

    fn function(&self, item: &str) -> TokenStream {
        if self.serde { self.foreign(item) } else { self.value(item) }
    }

    fn read(&self) -> TokenStream {
        self.function("read")
    }

    fn missing(&self) -> TokenStream {
        self.function("missing")
    }

    fn schema(&self) -> TokenStream {
        self.function("schema")
    }

    fn write(&self, access: &TokenStream) -> TokenStream {
        let write = self.function("write");
        match self.secret {
            true => quote!(__mlx::config::adaptor::hidden(#write(#access))),
            false => quote!(#write(#access)),
        }
    }

    /// Whether it may be left out, and whether it is hidden.
    fn kind(&self) -> (TokenStream, TokenStream) {
        let (optional, secret) = match self.serde {
            true => (quote!(false), quote!(false)),
            false => (self.value("OPTIONAL"), self.value("SECRET")),
        };
        (optional, if self.secret { quote!(true) } else { secret })
    }

    fn meta(&self) -> TokenStream {
        path(self.ty, &quote!(__mlx::config::ConfigFields), "META")
    }
}

/// `<Type as Trait>::item`, spanned so that an error underlines the whole type.
fn path(ty: &Type, of: &TokenStream, item: &str) -> TokenStream {
    let mut tokens = ty.to_token_stream().into_iter();
    let start = tokens.next().map_or_else(Span::call_site, |token| token.span());
    let end = tokens.last().map_or(start, |token| token.span());
    let item = Ident::new(item, end);
    let open = quote_spanned!(start=> <);
    let of = respanned(of.clone(), end);
    quote_spanned!(end=> #open #ty as #of>::#item)
}

fn respanned(tokens: TokenStream, span: Span) -> TokenStream {
    let mut moved = Vec::new();
    for mut token in tokens {
        token.set_span(span);
        moved.push(token);
    }
    TokenStream::from_iter(moved)
}

fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote_spanned!(value.span()=> ::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

fn option_expr(expression: Option<&Expr>) -> TokenStream {
    option(expression.map(ToTokens::to_token_stream))
}

/// The ends of a range as `Option<Choice>`s.
fn limits(range: &Range) -> (TokenStream, TokenStream, bool) {
    let limit = |end: Option<&Expr>| match end {
        // Of a duration or a size: a schema cannot compare texts.
        Some(Expr::Lit(ExprLit { lit: Lit::Str(_), .. })) => option(None),
        Some(expr) if expression::number(expr).is_none() => quote!(__mlx::config::Limit::number(#expr)),
        literal => option(literal.map(|literal| {
            let choice = choice(literal);
            quote!(__mlx::config::Choice::#choice)
        })),
    };
    (limit(range.min.as_ref()), limit(range.max.as_ref()), range.exclusive)
}

/// The least and the greatest length, both inclusive.
fn lengths(range: &Range) -> (TokenStream, TokenStream) {
    let max = range.max.as_ref().map(|max| match range.exclusive {
        true => quote!((#max) - 1),
        false => max.to_token_stream(),
    });
    (option_expr(range.min.as_ref()), option(max))
}

/// The generics of the type, bounded as an implementation needs them.
pub(super) struct Bounds {
    original: Generics,
    value: Generics,
    ident: Ident,
}

type Split = (TokenStream, TokenStream, TokenStream);

impl Bounds {
    pub(super) fn new(container: &Container<'_>) -> Self {
        let original = container.input.generics.clone();
        let mut value = original.clone();
        for TypeParam { ident: parameter, .. } in original.type_params() {
            let clause = value.make_where_clause();
            for field in container.fields() {
                let ty = field.ty;
                if !mentions(ty.to_token_stream(), parameter) {
                    continue;
                }
                let is_parameter = matches!(ty, Type::Path(path) if path.path.is_ident(parameter));
                if field.skip.is_some() {
                    clause.predicates.push(parse_quote!(#ty: ::core::default::Default));
                    continue;
                }
                clause.predicates.push(match (&field.serde, field.inherits()) {
                    (Some(_), _) => parse_quote! {
                        #parameter: __mlx::__private::serde::Serialize
                            + __mlx::__private::serde::de::DeserializeOwned
                            + __mlx::__private::schemars::JsonSchema
                    },
                    (None, Some(_)) if is_parameter => parse_quote!(#parameter: __mlx::config::ConfigFields),
                    _ => parse_quote!(#parameter: __mlx::config::ConfigValue),
                });
                if matches!(field.default, Some(Attr { value: attr::Default::Bare, .. })) {
                    clause.predicates.push(match field.serde {
                        Some(_) => parse_quote!(#ty: ::core::default::Default),
                        None => parse_quote!(#ty: __mlx::config::DefaultValue),
                    });
                }
            }
        }
        Bounds { original, value, ident: container.input.ident.clone() }
    }

    /// Of `ConfigValue` and all that follows from it.
    pub(super) fn value(&self) -> Split {
        split(&self.value, &self.original)
    }

    /// Of `Deserialize`.
    fn deserialize(&self) -> Split {
        let mut generics = self.value.clone();
        generics
            .params
            .insert(0, GenericParam::Lifetime(LifetimeParam::new(Lifetime::new("'__de", Span::call_site()))));
        split(&generics, &self.original)
    }

    /// Of `DefaultValue`, where the type has a `Default`. A bound of the type itself would have to hold everywhere;
    /// one of its references has not.
    fn default(&self) -> Split {
        let mut generics = self.value.clone();
        let ident = &self.ident;
        let (_, arguments, _) = self.original.split_for_impl();
        let bound = parse_quote!(for<'__a> &'__a #ident #arguments: __mlx::config::HasDefault<#ident #arguments>);
        generics.make_where_clause().predicates.push(bound);
        split(&generics, &self.original)
    }

    /// Of `PluginConfig`.
    fn plugin(&self) -> Split {
        let mut generics = self.value.clone();
        if !generics.params.is_empty() {
            let bound = parse_quote!(Self: ::core::marker::Send + ::core::marker::Sync + 'static);
            generics.make_where_clause().predicates.push(bound);
        }
        split(&generics, &self.original)
    }
}

fn split(bounded: &Generics, original: &Generics) -> Split {
    let (implementation, _, clause) = bounded.split_for_impl();
    let (_, arguments, _) = original.split_for_impl();
    (implementation.to_token_stream(), arguments.to_token_stream(), clause.to_token_stream())
}

fn mentions(tokens: TokenStream, ident: &Ident) -> bool {
    for token in tokens {
        let found = match token {
            TokenTree::Ident(found) => found == *ident,
            TokenTree::Group(group) => mentions(group.stream(), ident),
            _ => false,
        };
        if found {
            return true;
        }
    }
    false
}
