//! The code that makes a struct a plugin.
//!
//! ```text
//! #[cfg(…)]                                          // those of the struct
//! const _: () = {
//!     const __MLX_KIND: &KindInfo = <dyn DataSource as PluginKind>::INFO;
//!     const _: () = assert!(__MLX_KIND.allows("sql"), "…");      // one for each capability
//!     impl Declared for Snowflake {
//!         type Contract = dyn DataSource;
//!         const METADATA: &'static PluginMetadata = &PluginMetadata { name: "snowflake", kind: __MLX_KIND, … };
//!         fn provide(this: &Arc<Self>, instance: Instance) -> Instance {
//!             let instance = instance.provide::<dyn DataSource>(this.clone());  // here the compiler demands the impl
//!             instance
//!         }
//!     }
//!     inventory::submit! { Registration::new::<Snowflake>() }     // and here `impl Plugin`
//! };
//! ```

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{LitStr, Path};

use super::{
    attr::Arguments,
    valid::{Backend, Contract, Plugin, Requirement},
};
use crate::casing;

pub(super) fn expand(plugin: &Plugin, arguments: &Arguments, krate: &Path, description: &str) -> TokenStream {
    let Plugin { ident, conditions, .. } = plugin;
    let kinds: Vec<Ident> = (0..=plugin.also.len()).map(|index| format_ident!("__MLX_KIND_{index}")).collect();
    let contracts: Vec<TokenStream> =
        [&plugin.contract].into_iter().chain(&plugin.also).map(|contract| object(contract, krate)).collect();
    let contract = &contracts[0];
    let capabilities = arguments.capabilities.iter().map(|capability| declared(capability, &kinds));
    let metadata = metadata(plugin, arguments, krate, description, &kinds);
    let registration = registration(plugin, krate);
    let provide = provide(ident, krate, &contracts);
    quote! {
        #(#conditions)*
        #[allow(deprecated, non_local_definitions)]
        const _: () = {
            #(
                const #kinds: &'static #krate::plugin::KindInfo = <#contracts as #krate::plugin::PluginKind>::INFO;
            )*
            #(#capabilities)*
            #[automatically_derived]
            impl #krate::plugin::Declared for #ident {
                type Contract = #contract;
                const METADATA: &'static #krate::plugin::PluginMetadata = #metadata;
                #provide
            }
            #registration
        };
    }
}

/// `dyn DataSource`.
fn object(contract: &Contract, krate: &Path) -> TokenStream {
    match contract {
        Contract::BuiltIn(name, span) => {
            let name = Ident::new(name, *span);
            quote_spanned!(*span=> dyn #krate::#name)
        }
        Contract::Foreign(path) => quote!(dyn #path),
    }
}

/// A mistake in a capability is found by the compiler, because only it knows the contracts of other crates.
fn declared(capability: &LitStr, kinds: &[Ident]) -> TokenStream {
    let message = format!("`{}` is not a capability of this plugin type", capability.value());
    quote_spanned! {capability.span()=>
        const _: () = ::core::assert!(#(#kinds.allows(#capability))||*, #message);
    }
}

fn metadata(plugin: &Plugin, arguments: &Arguments, krate: &Path, description: &str, kinds: &[Ident]) -> TokenStream {
    let Arguments { capabilities, conflicts_with, integration_points, data_formats, platforms, .. } = arguments;
    let Arguments { memory_mib, cpu_cores, gpus, .. } = arguments;
    let name = &plugin.name;
    let (kind, also) = (&kinds[0], &kinds[1..]);
    let version = match &arguments.version {
        Some(version) => version.to_token_stream(),
        None => quote!(::core::env!("CARGO_PKG_VERSION")),
    };
    let description = match &arguments.description {
        Some(description) => description.to_token_stream(),
        None => Literal::string(description).into_token_stream(),
    };
    let requires = plugin.requires.iter().map(|one| requirement(one, krate));
    let optional = plugin.optional.iter().map(|one| requirement(one, krate));
    let swap = format_ident!("{}", casing::pascal(plugin.swap));
    let stability = format_ident!("{}", casing::pascal(plugin.stability));
    let license = or_package(arguments.license.as_ref(), "CARGO_PKG_LICENSE");
    let documentation = arguments.documentation.as_ref().map_or_else(String::new, LitStr::value);
    let repository = or_package(arguments.repository.as_ref(), "CARGO_PKG_REPOSITORY");
    // `line!()` says where its own tokens are.
    let line = quote_spanned!(plugin.ident.span()=> ::core::line!());
    quote! {
        &#krate::plugin::PluginMetadata {
            name: #name,
            kind: #kind,
            also: &[#(#also),*],
            version: #version,
            description: #description,
            capabilities: &[#(#capabilities),*],
            conflicts_with: &[#(#conflicts_with),*],
            requires: &[#(#requires),*],
            optional: &[#(#optional),*],
            integration_points: &[#(#integration_points),*],
            data_formats: &[#(#data_formats),*],
            platforms: &[#(#platforms),*],
            resources: #krate::plugin::Resources { memory_mib: #memory_mib, cpu_cores: #cpu_cores, gpus: #gpus },
            swap: #krate::plugin::SwapKind::#swap,
            stability: #krate::plugin::Stability::#stability,
            license: #license,
            documentation: #documentation,
            repository: #repository,
            declared: #krate::plugin::Declaration {
                krate: ::core::env!("CARGO_PKG_NAME"),
                crate_version: ::core::env!("CARGO_PKG_VERSION"),
                module: ::core::module_path!(),
                file: ::core::file!(),
                line: #line,
            },
        }
    }
}

/// What was given, or what the package says, if anything.
fn or_package(given: Option<&LitStr>, variable: &str) -> TokenStream {
    match given {
        Some(given) => given.to_token_stream(),
        None => quote! {
            match ::core::option_env!(#variable) {
                ::core::option::Option::Some(value) => value,
                ::core::option::Option::None => "",
            }
        },
    }
}

fn requirement(requirement: &Requirement, krate: &Path) -> TokenStream {
    match requirement {
        Requirement::Plugin { name, version } => {
            quote!(#krate::plugin::Requirement::Plugin { name: #name, version: #version })
        }
        Requirement::Type(name) => quote!(#krate::plugin::Requirement::Type(#name)),
        Requirement::Capability(name) => quote!(#krate::plugin::Requirement::Capability(#name)),
    }
}

/// Its tokens are the struct's name to the compiler, which reports a missing `impl` where it casts.
fn provide(ident: &Ident, krate: &Path, contracts: &[TokenStream]) -> TokenStream {
    let this = Ident::new("__mlx_this", Span::mixed_site().located_at(ident.span()));
    let instance = Ident::new("__mlx_instance", Span::mixed_site().located_at(ident.span()));
    let offers = contracts.iter().map(|contract| {
        quote_spanned! {ident.span()=>
            let #instance = #krate::handle::Instance::provide::<#contract>(
                #instance,
                <::std::sync::Arc<Self> as ::core::clone::Clone>::clone(#this),
            );
        }
    });
    quote_spanned! {ident.span()=>
        fn provide(#this: &::std::sync::Arc<Self>, #instance: #krate::handle::Instance) -> #krate::handle::Instance {
            #(#offers)*
            #instance
        }
    }
}

fn registration(plugin: &Plugin, krate: &Path) -> TokenStream {
    let ident = &plugin.ident;
    let record = quote_spanned!(ident.span()=> #krate::registry::Registration::new::<#ident>());
    match plugin.backend {
        Backend::Inventory => quote!(#krate::__private::inventory::submit! { #record }),
        Backend::Linkme => quote! {
            #[#krate::__private::linkme::distributed_slice(#krate::registry::LINKME)]
            #[linkme(crate = #krate::__private::linkme)]
            static __MLX_REGISTRATION: #krate::registry::Registration = #record;
        },
    }
}
