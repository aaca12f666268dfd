//! What becomes of a trait with methods that a handle cannot forward, so that nothing else is reported about it.

use proc_macro2::{Delimiter, Group};
use quote::quote;
use syn::{ReturnType, Type, parse_quote};

use super::item::{Member, Trait};

/// Takes the refused methods out of the trait object, and gives them bodies that the handle inherits. The bodies
/// never run: there is an error beside them. Returns whether the handle can implement the trait then.
pub(super) fn set_aside(item: &mut Trait, refused: &[usize]) -> bool {
    let mut complete = true;
    for &index in refused {
        let Some(Member::Method(method)) = item.members.get_mut(index) else {
            continue;
        };
        // Neither is allowed in a trait, which the compiler would say again.
        method.signature.constness = None;
        let generics = &mut method.signature.generics;
        generics.make_where_clause().predicates.push(parse_quote!(Self: ::core::marker::Sized));
        let opaque =
            matches!(&method.signature.output, ReturnType::Type(_, output) if matches!(**output, Type::ImplTrait(_)));
        if method.body.is_none() && !opaque {
            method.body = Some(Group::new(Delimiter::Brace, quote!(::core::unreachable!())));
            method.attributes.push(parse_quote!(#[allow(unused_variables, async_fn_in_trait)]));
        }
        complete &= method.body.is_some();
    }
    complete
}
