//! The code that makes a struct a plugin.
//!
//! ```text
//! #[cfg(…)]                                                      // those of the struct
//! const _: () = {
//!     const _: () = KindInfo::assert_allowed(&[<Snowflake as Declared>::KIND], "sql");    // one a capability
//!     impl Declared for Snowflake {
//!         type Contract = dyn DataSource;
//!         const METADATA: &'static PluginMetadata = &PluginMetadata { name: "snowflake", … };
//!         fn contract(this: Arc<Self>) -> Arc<Self::Contract> { this }      // demands `impl DataSource`
//!     }
//!     inventory::submit! { Registration::new::<Snowflake>() }               // demands `impl Plugin`
//! };
//! ```
//!
//! For each type in `also` there is a struct that implements `Further`, and `Declared::provide` calls it.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{LitStr, Path, spanned::Spanned};

use super::{
    attr::Arguments,
    valid::{Backend, Contract, Plugin, Requirement},
};
use crate::{casing, spans::located};

pub(super) fn expand(
    plugin: &Plugin,
    contract: &Contract,
    arguments: &Arguments,
    krate: &Path,
    description: &str,
) -> TokenStream {
    let Plugin { ident, conditions, .. } = plugin;
    let contract = object(contract, krate);
    let mut kinds = vec![quote!(<#ident as #krate::plugin::Declared>::KIND)];
    let (mut further, mut casts) = (Vec::new(), Vec::new());
    for (index, also) in plugin.also.iter().enumerate() {
        let name = format_ident!("__MlxFurther{index}");
        kinds.push(quote!(<#name as #krate::plugin::Further<#ident>>::KIND));
        casts.push(further_type(ident, krate, &name, &object(also, krate)));
        further.push(name);
    }
    let mut capabilities = Vec::new();
    for capability in &arguments.capabilities {
        capabilities.push(allowed(capability, &kinds, krate));
    }
    let metadata = metadata(plugin, arguments, krate, description, &kinds);
    let cast = cast(ident, krate, &further);
    let registration = registration(plugin, krate);
    quote! {
        #(#conditions)*
        #[allow(deprecated, non_local_definitions)]
        const _: () = {
            #(#casts)*
            #(#capabilities)*
            #[automatically_derived]
            impl #krate::plugin::Declared for #ident {
                type Contract = #contract;
                const METADATA: &'static #krate::plugin::PluginMetadata = #metadata;
                #cast
            }
            #registration
        };
    }
}

/// `dyn DataSource`.
pub(super) fn object(contract: &Contract, krate: &Path) -> TokenStream {
    match contract {
        Contract::BuiltIn(name, span) => {
            let name = Ident::new(name, *span);
            quote_spanned!(*span=> dyn #krate::#name)
        }
        Contract::Foreign(path) => {
            let path_start = path.span();
            quote_spanned!(path_start=> dyn #path)
        }
    }
}

/// A mistake in a capability is found by the compiler, because only it knows the contracts of other crates.
fn allowed(capability: &LitStr, kinds: &[TokenStream], krate: &Path) -> TokenStream {
    let assertion = quote!(#krate::plugin::KindInfo::assert_allowed(&[#(#kinds),*], #capability));
    let assertion = located(assertion, capability.span());
    quote!(const _: () = #assertion;)
}

fn metadata(
    plugin: &Plugin,
    arguments: &Arguments,
    krate: &Path,
    description: &str,
    kinds: &[TokenStream],
) -> TokenStream {
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
    let license = or_package(arguments.license.as_ref(), "CARGO_PKG_LICENSE", krate);
    let repository = or_package(arguments.repository.as_ref(), "CARGO_PKG_REPOSITORY", krate);
    let stability = format_ident!("{}", casing::pascal(plugin.stability));
    // What is not said is not written: the compiler would look at it for every plugin.
    let mut said = TokenStream::new();
    if !also.is_empty() {
        said.extend(quote!(also: &[#(#also),*],));
    }
    for (field, texts) in &[
        ("capabilities", &arguments.capabilities),
        ("conflicts_with", &arguments.conflicts_with),
        ("integration_points", &arguments.integration_points),
        ("data_formats", &arguments.data_formats),
        ("platforms", &arguments.platforms),
    ] {
        if !texts.is_empty() {
            let field = Ident::new(field, Span::call_site());
            said.extend(quote!(#field: &[#(#texts),*],));
        }
    }
    for (field, given) in &[("requires", &plugin.requires), ("optional", &plugin.optional)] {
        if !given.is_empty() {
            let (field, given) = (Ident::new(field, Span::call_site()), requirements(given, krate));
            said.extend(quote!(#field: &[#(#given),*],));
        }
    }
    let Arguments { memory_mib, cpu_cores, gpus, .. } = arguments;
    if (*memory_mib, *cpu_cores, *gpus) != (0, 0, 0) {
        let resources = quote!(memory_mib: #memory_mib, cpu_cores: #cpu_cores, gpus: #gpus);
        said.extend(quote!(resources: #krate::plugin::Resources { #resources },));
    }
    if plugin.swap != "overlap" {
        let swap = format_ident!("{}", casing::pascal(plugin.swap));
        said.extend(quote!(swap: #krate::plugin::SwapKind::#swap,));
    }
    if let Some(documentation) = &arguments.documentation {
        said.extend(quote!(documentation: #documentation,));
    }
    // `line!()` says where its own tokens are.
    let line = quote_spanned!(plugin.ident.span()=> ::core::line!());
    let declared = quote! {
        #krate::plugin::Declaration {
            krate: ::core::env!("CARGO_PKG_NAME"),
            crate_version: ::core::env!("CARGO_PKG_VERSION"),
            module: ::core::module_path!(),
            file: ::core::file!(),
            line: #line,
        }
    };
    quote! {
        &#krate::plugin::PluginMetadata {
            description: #description,
            stability: #krate::plugin::Stability::#stability,
            license: #license,
            repository: #repository,
            #said
            ..#krate::plugin::PluginMetadata::new(#name, #kind, #version, #declared)
        }
    }
}

/// What was given, or what the package says, if anything.
fn or_package(given: Option<&LitStr>, variable: &str, krate: &Path) -> TokenStream {
    match given {
        Some(given) => given.to_token_stream(),
        None => quote!(#krate::__private::or_empty(::core::option_env!(#variable))),
    }
}

fn requirements(requirements: &[Requirement], krate: &Path) -> Vec<TokenStream> {
    let mut written = Vec::new();
    for requirement in requirements {
        let requirement = match requirement {
            Requirement::Plugin { name, version } => quote!(Plugin { name: #name, version: #version }),
            Requirement::Type(name) => quote!(Type(#name)),
            Requirement::Capability(name) => quote!(Capability(#name)),
        };
        written.push(quote!(#krate::plugin::Requirement::#requirement));
    }
    written
}

/// Its tokens stand at the struct's name, because the compiler reports a missing `impl` where it casts.
fn cast(ident: &Ident, krate: &Path, further: &[Ident]) -> TokenStream {
    let this = Ident::new("__mlx_this", Span::mixed_site().located_at(ident.span()));
    let instance = Ident::new("__mlx_instance", Span::mixed_site().located_at(ident.span()));
    let contract = quote_spanned! {ident.span()=>
        fn contract(#this: ::std::sync::Arc<Self>) -> ::std::sync::Arc<Self::Contract> {
            #this
        }
    };
    if further.is_empty() {
        return contract;
    }
    let provide = quote_spanned! {ident.span()=>
        fn provide(#this: &::std::sync::Arc<Self>, #instance: #krate::handle::Instance) -> #krate::handle::Instance {
            #(
                let #instance = <#further as #krate::plugin::Further<Self>>::provide(#this, #instance);
            )*
            #instance
        }
    };
    quote!(#contract #provide)
}

/// A type in `also`: its contract is named in one place, so that one that is none is one error.
fn further_type(ident: &Ident, krate: &Path, further: &Ident, contract: &TokenStream) -> TokenStream {
    let this = Ident::new("__mlx_this", Span::mixed_site().located_at(ident.span()));
    quote_spanned! {ident.span()=>
        struct #further;
        #[automatically_derived]
        impl #krate::plugin::Further<#ident> for #further {
            type Contract = #contract;
            fn contract(#this: ::std::sync::Arc<#ident>) -> ::std::sync::Arc<Self::Contract> {
                #this
            }
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
