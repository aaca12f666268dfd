//! What is written beside the errors: implementations that do nothing, so that code which relies on the derive
//! gets no errors of its own.

use proc_macro2::TokenStream;
use quote::quote;

use super::{
    attr::{Container, Data},
    expand::{self, Bounds},
};

pub(super) fn expand(container: &Container<'_>) -> TokenStream {
    let name = &container.input.ident;
    let bounds = Bounds::new(container);
    let (generics, arguments, clause) = bounds.value();
    let meta = quote! {
        &__mlx::config::Meta { name: "", doc: "", component: "", shape: __mlx::config::Shape::Struct(&[]) }
    };
    let adaptors = expand::adaptors(container, &bounds, &meta);
    // A struct may be laid flat elsewhere.
    let fields = matches!(container.data, Data::Struct(_)).then(|| {
        quote! {
            #[automatically_derived]
            impl #generics __mlx::config::ConfigFields for #name #arguments #clause {
                const META: &'static __mlx::config::Meta = #meta;
                fn read_fields(
                    _: &mut __mlx::config::Fields<'_>,
                    _: &mut __mlx::config::Reader<'_>,
                ) -> ::core::option::Option<Self> {
                    ::core::option::Option::None
                }
                fn write_fields(
                    &self,
                    _: &mut __mlx::__private::serde_json::Map<::std::string::String, __mlx::__private::serde_json::Value>,
                ) {}
            }
        }
    });
    expand::wrap(
        container,
        quote! {
            #[automatically_derived]
            impl #generics __mlx::config::ConfigValue for #name #arguments #clause {
                fn read(
                    _: &__mlx::value::Node,
                    _: &mut __mlx::config::Reader<'_>,
                ) -> ::core::option::Option<Self> {
                    ::core::option::Option::None
                }
                fn write(&self) -> __mlx::__private::serde_json::Value {
                    __mlx::__private::serde_json::Value::Null
                }
                fn schema(
                    generator: &mut __mlx::__private::schemars::SchemaGenerator,
                ) -> __mlx::__private::schemars::Schema {
                    __mlx::config::schema::anything(generator)
                }
            }
            #[automatically_derived]
            impl #generics __mlx::config::DefaultValue for #name #arguments #clause {
                fn default_value(
                    _: ::core::option::Option<&__mlx::diagnostics::Location>,
                    _: &mut __mlx::config::Reader<'_>,
                ) -> ::core::option::Option<Self> {
                    ::core::option::Option::None
                }
                fn default_json() -> __mlx::__private::serde_json::Value {
                    __mlx::__private::serde_json::Value::Null
                }
            }
            #fields
            #adaptors
        },
    )
}
