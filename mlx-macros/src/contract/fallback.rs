//! What becomes of a trait with methods that a handle cannot forward, so that nothing else is reported about it.

use syn::{ItemTrait, ReturnType, TraitItem, Type, parse_quote};

/// Takes the refused methods out of the trait object, and gives them bodies that the handle inherits. The bodies
/// never run: there is an error beside them. Returns whether the handle can implement the trait then.
pub(super) fn set_aside(item: &mut ItemTrait, refused: &[usize]) -> bool {
    let mut complete = true;
    for &index in refused {
        let Some(TraitItem::Fn(method)) = item.items.get_mut(index) else {
            continue;
        };
        // Neither is allowed in a trait, which the compiler would say again.
        method.sig.constness = None;
        method.sig.generics.make_where_clause().predicates.push(parse_quote!(Self: ::core::marker::Sized));
        let opaque =
            matches!(&method.sig.output, ReturnType::Type(_, output) if matches!(**output, Type::ImplTrait(_)));
        if method.default.is_none() && !opaque {
            method.semi_token = None;
            method.default = Some(parse_quote!({ ::core::unreachable!() }));
            method.attrs.push(parse_quote!(#[allow(unused_variables, async_fn_in_trait)]));
        }
        complete &= method.default.is_some();
    }
    complete
}
