//! No macro takes a key that it does not know, in whatever place, form or spelling: each is one error that names it.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::quote;

use crate::{component_config, contract, mlx_plugin, plugin_config};

/// The code that a macro makes of something that holds the key.
type Place = fn(TokenStream) -> TokenStream;

const PLACES: [(&str, Place); 11] = [
    ("struct", |key| {
        derive(quote!(
            #[config(#key)]
            struct A {
                a: u8,
            }
        ))
    }),
    ("enum", |key| {
        derive(quote!(
            #[config(#key)]
            enum A {
                A,
            }
        ))
    }),
    ("field", |key| {
        derive(quote!(
            struct A {
                #[config(#key)]
                a: u8,
            }
        ))
    }),
    ("newtype", |key| {
        derive(quote!(
            struct A(#[config(#key)] u8);
        ))
    }),
    ("variant", |key| {
        derive(quote!(
            enum A {
                #[config(#key)]
                A,
            }
        ))
    }),
    ("field of a variant", |key| {
        derive(quote!(
            enum A {
                A {
                    #[config(#key)]
                    a: u8,
                },
            }
        ))
    }),
    ("value of a variant", |key| {
        derive(quote!(
            enum A {
                A(#[config(#key)] u8),
            }
        ))
    }),
    ("plugin", |key| {
        mlx_plugin::mlx_plugin(
            quote!(type = A, #key),
            quote!(
                struct B;
            ),
        )
    }),
    ("resources", |key| {
        mlx_plugin::mlx_plugin(
            quote!(type = A, resources(#key)),
            quote!(
                struct B;
            ),
        )
    }),
    ("contract", |key| {
        contract::contract(
            quote!(name = "a", #key),
            quote!(
                trait A {}
            ),
        )
    }),
    ("component_config", |key| {
        let path = "src/component_config/none.json";
        component_config::component_config(quote!(#[config(#key)] struct A = #path;))
    }),
];

#[test]
fn an_unknown_key_is_an_error_wherever_it_stands() {
    for (place, expand) in PLACES {
        let listed = messages(expand(quote!(zzzzzzzz)));
        let known = known(&listed);
        assert!(!known.is_empty(), "{place}: {listed:?}");
        for key in known.iter().flat_map(|key| misspelt(key)).filter(|key| !known.contains(key)) {
            let key = Ident::new(&key, Span::call_site());
            for form in [quote!(#key), quote!(#key = "a"), quote!(#key = 1), quote!(#key(a = 1))] {
                let messages = messages(expand(form.clone()));
                let naming = messages.iter().filter(|message| message.contains(&format!("`{key}`"))).count();
                assert_eq!(naming, 1, "`{form}` on a {place}: {messages:?}");
            }
        }
    }
}

/// A key that only another place knows is an error that says which.
#[test]
fn a_key_of_another_place_is_an_error() {
    for (key, place) in [("secret", "struct"), ("tag", "field"), ("range", "variant"), ("component", "variant")] {
        let (_, expand) = PLACES.iter().find(|known| known.0 == place).expect("a place");
        let key = Ident::new(key, Span::call_site());
        let messages = messages(expand(quote!(#key)));
        assert!(messages.len() == 1 && messages[0].contains("it belongs on"), "`{key}` on a {place}: {messages:?}");
    }
}

fn derive(item: TokenStream) -> TokenStream {
    plugin_config::derive(&syn::parse2(item).expect("an item"))
}

/// The keys that an error lists.
fn known(messages: &[String]) -> Vec<String> {
    let lists = messages.iter().filter_map(|message| message.split_once("\nexpected "));
    let words = lists.flat_map(|(_, list)| list.split('`').skip(1).step_by(2));
    words.map(str::to_owned).collect()
}

fn misspelt(key: &str) -> [String; 4] {
    let mut turned: Vec<char> = key.chars().collect();
    turned.swap(0, 1);
    let capital = key[..1].to_uppercase() + &key[1..];
    [key[..key.len() - 1].to_owned(), format!("{key}s"), turned.into_iter().collect(), capital]
}

/// The texts of all `compile_error!`s.
fn messages(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    let mut last = String::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) if last == "compile_error!" => {
                let text: syn::LitStr = syn::parse2(group.stream()).expect("a text");
                found.push(text.value());
            }
            TokenTree::Group(group) => found.extend(messages(group.stream())),
            TokenTree::Punct(punct) if punct.as_char() == '!' => last.push('!'),
            other => last = other.to_string(),
        }
    }
    found
}
