//! The code that makes a trait a plugin type.
//!
//! ```text
//! #[diagnostic::on_unimplemented(message = "`{Self}` is registered as type \"vector_store\" but …", …)]
//! #[async_trait]
//! pub trait VectorStore: Send + Sync + 'static { … }
//!
//! impl PluginKind for dyn VectorStore {
//!     const INFO: &'static KindInfo = &KindInfo { name: "vector_store", methods: &[…], … };
//! }
//!
//! #[async_trait]                                                  // unless it has run on the trait before
//! impl VectorStore for Handle<dyn VectorStore> {
//!     async fn nearest(&self, arg0: Vec<f32>) -> Result<Vec<u64>> {     // defaulted methods too
//!         let lease = Handle::slot(self).lease()?;
//!         if lease.is_guarded() {
//!             let refuse = |error| Err(error)?;
//!             return resilience::call(Handle::slot(self), lease, "vector_store.nearest", refuse, move |lease| {
//!                 let arg0 = arg0.clone();                        // with `#[idempotent]`; else it is `call_once`
//!                 Box::pin(async move { /* what follows */ })
//!             }).await;
//!         }
//!         let plugin = lease.contract::<dyn VectorStore>()?;
//!         let call = <dyn VectorStore as VectorStore>::nearest(plugin, arg0);
//!         lease.run(lease.measure("vector_store.nearest", call)).await
//!     }
//!     fn scan(&self) -> Result<BoxStream<u64>> {
//!         let lease = Handle::slot(self).lease()?;
//!         let plugin = lease.contract::<dyn VectorStore>()?;
//!         let call = || <dyn VectorStore as VectorStore>::scan(plugin);
//!         let stream = resilience::call_now(&lease, "vector_store.scan", |error| Err(error)?, call)?;
//!         Ok(lease.attach(stream))                                // kept until the stream ends
//!     }
//!     fn count(&self) -> Result<u64> {
//!         let lease = Handle::borrow(self);                       // cheaper, and gone when the call is
//!         let (instance, plugin) = lease.get()?;
//!         let call = || <dyn VectorStore as VectorStore>::count(plugin);
//!         resilience::call_now(instance, "vector_store.count", |error| Err(error)?, call)
//!     }
//! }
//! ```

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{Lifetime, Path, Type, TypeParamBound, ext::IdentExt, parse_quote, spanned::Spanned};

use super::{
    attr::Arguments,
    item::Trait,
    valid::{Call, Cardinality, Contract, Method, ends_with},
};
use crate::spans::located;

/// Adds what every contract has.
pub(super) fn complete(item: &mut Trait, contract: &Contract) {
    let (mut is_send, mut is_sync, mut is_static) = (false, false, false);
    for bound in &item.supertraits {
        match bound {
            TypeParamBound::Trait(bound) => {
                is_send |= ends_with(&bound.path, "Send");
                is_sync |= ends_with(&bound.path, "Sync");
            }
            TypeParamBound::Lifetime(at) => is_static |= at.ident == "static",
            _ => {}
        }
    }
    if !is_send {
        item.supertraits.push(TypeParamBound::Verbatim(quote!(::core::marker::Send)));
    }
    if !is_sync {
        item.supertraits.push(TypeParamBound::Verbatim(quote!(::core::marker::Sync)));
    }
    if !is_static {
        item.supertraits.push(TypeParamBound::Lifetime(Lifetime::new("'static", Span::call_site())));
    }
    for attribute in &item.attributes {
        if ends_with(attribute.path(), "on_unimplemented") {
            return;
        }
    }
    let (ident, name) = (&item.ident, &contract.name);
    let message = format!("`{{Self}}` is registered as type \"{name}\" but does not implement its contract `{ident}`");
    let label = format!("`impl {ident} for {{Self}}` is missing");
    let is_async = contract.methods.iter().any(|method| method.call != Call::Blocking);
    let attribute = if is_async { "#[async_trait] " } else { "" };
    let note = format!("write `{attribute}impl {ident} for {{Self}} {{{{ … }}}}`");
    item.attributes
        .insert(0, parse_quote!(#[diagnostic::on_unimplemented(message = #message, label = #label, note = #note)]));
}

/// `impl PluginKind for dyn VectorStore`.
pub(super) fn kind(
    ident: &Ident,
    contract: &Contract,
    arguments: &Arguments,
    krate: &Path,
    description: &str,
) -> TokenStream {
    let Contract { name, .. } = contract;
    let Arguments { capabilities, .. } = arguments;
    let trait_name = ident.to_string();
    let cardinality = match &contract.cardinality {
        Cardinality::One => quote!(One),
        Cardinality::Many => quote!(Many),
        Cardinality::OnePer(setting) => quote!(OnePer(#setting)),
    };
    let mut methods = Vec::new();
    for method in &contract.methods {
        let Method { conditions, idempotent, .. } = method;
        let name = method.signature.ident.unraw().to_string();
        let is_async = method.call != Call::Blocking;
        methods.push(quote! {
            #(#conditions)* #krate::plugin::MethodInfo { name: #name, is_async: #is_async, idempotent: #idempotent }
        });
    }
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #krate::plugin::PluginKind for dyn #ident {
            const INFO: &'static #krate::plugin::KindInfo = &#krate::plugin::KindInfo {
                name: #name,
                contract: #trait_name,
                description: #description,
                cardinality: #krate::plugin::Cardinality::#cardinality,
                capabilities: &[#(#capabilities),*],
                methods: &[#(#methods),*],
                id: ::core::any::TypeId::of::<dyn #ident>(),
            };
        }
    }
}

/// `impl VectorStore for Handle<dyn VectorStore>`.
pub(super) fn handle(ident: &Ident, contract: &Contract, krate: &Path) -> TokenStream {
    let mut methods = Vec::new();
    for method in &contract.methods {
        methods.push(forward(ident, &contract.name, method, krate));
    }
    let rewritten = contract.has_async_trait.then(|| quote!(#[#krate::__private::async_trait::async_trait]));
    quote! {
        // A plugin that lacks its contract is no handle: do not say that a handle has it.
        #[diagnostic::do_not_recommend]
        #rewritten
        #[automatically_derived]
        #[allow(deprecated, clippy::type_complexity)]
        impl #ident for #krate::handle::Handle<dyn #ident> {
            #(#methods)*
        }
    }
}

fn forward(ident: &Ident, kind: &str, method: &Method, krate: &Path) -> TokenStream {
    let Method { conditions, .. } = method;
    let mut signature = method.signature.clone();
    let name = &method.signature.ident;
    if let Some(receiver) = &mut signature.receiver {
        // `mut self: &Self`.
        receiver.mutability = None;
    }
    let mut arguments = Vec::new();
    for argument in &mut signature.arguments {
        // The trait's own names may be patterns.
        let fresh = format_ident!("__mlx_{}", arguments.len(), span = Span::mixed_site());
        argument.pattern = fresh.to_token_stream();
        arguments.push(fresh);
    }
    // An error type that cannot take ours is reported at the method's result.
    let at = |tokens: TokenStream| located(tokens, method.output);
    let lease = Ident::new("__mlx_lease", Span::mixed_site());
    let instance = Ident::new("__mlx_instance", Span::mixed_site());
    let plugin = Ident::new("__mlx_plugin", Span::mixed_site());
    let stream = Ident::new("__mlx_stream", Span::mixed_site());
    let call = quote!(<dyn #ident as #ident>::#name(#plugin, #(#arguments),*));
    let slot = quote!(#krate::handle::Handle::slot(self));
    let found = at(quote!(#krate::handle::Instance::contract::<dyn #ident>(&#lease)?));
    // What outlives the call needs a lease.
    let (leased, looked_up, instance) = if method.call == Call::Blocking && !method.stream {
        let current = at(quote!(#krate::handle::Borrowed::get(&#lease)?));
        let borrowed = quote!(let #lease = #krate::handle::Handle::borrow(self););
        (borrowed, quote!(let (#instance, #plugin) = #current;), instance.into_token_stream())
    } else {
        let taken = at(quote!(#slot.lease()?));
        (quote!(let #lease = #taken;), quote!(let #plugin = #found;), quote!(&#lease))
    };
    let operation = format!("{kind}.{}", name.unraw());
    // As for a lease: what the policies say becomes an error of the method.
    let error = Ident::new("__mlx_error", Span::mixed_site());
    let refuse = at(quote!(|#error: #krate::Error| ::core::result::Result::Err(#error)?));
    let answer = match method.call {
        Call::Blocking => {
            let function = quote!(#krate::resilience::call_now);
            at(quote!(#function(#instance, #operation, #refuse, || #call)))
        }
        Call::Async | Call::Boxed => {
            let call = at(quote!(#krate::handle::Instance::measure(&#lease, #operation, #call)));
            at(quote!(#krate::handle::InstanceLease::run(&#lease, #call).await))
        }
    };
    let attach = quote!(#krate::handle::InstanceLease::attach(#lease, #stream));
    let guarded = (method.call != Call::Blocking).then(|| {
        let function = if method.idempotent { quote!(call) } else { quote!(call_once) };
        let mut copies = Vec::new();
        for (argument, name) in signature.arguments.iter().zip(&arguments) {
            // A reference is copied.
            if method.idempotent && !matches!(argument.ty, Type::Reference(_)) {
                let copy = located(quote!(::core::clone::Clone::clone(&#name)), argument.ty.span());
                copies.push(quote!(let #name = #copy;));
            }
        }
        // The type of its error is that of the call.
        let answer = match method.stream {
            true => quote!(#answer.map(|#stream| #attach)),
            false => answer.clone(),
        };
        let attempt = quote! {
            move |#lease: #krate::handle::InstanceLease| {
                #(#copies)*
                ::std::boxed::Box::pin(async move {
                    let #plugin = #found;
                    #answer
                })
            }
        };
        let function = at(quote!(#krate::resilience::#function));
        let call = quote!(#function(#slot, #lease, #operation, #refuse, #attempt));
        quote! {
            if #krate::handle::Instance::is_guarded(&#lease) {
                return #call.await;
            }
        }
    });
    let answer = match method.stream {
        true => quote!(let #stream = #answer?; ::core::result::Result::Ok(#attach)),
        false => answer,
    };
    let body = quote! {
        #leased
        #guarded
        #looked_up
        #answer
    };
    let body = match method.call {
        Call::Boxed => quote!(::std::boxed::Box::pin(async move { #body })),
        Call::Blocking | Call::Async => body,
    };
    quote! {
        #(#conditions)*
        #signature { #body }
    }
}
