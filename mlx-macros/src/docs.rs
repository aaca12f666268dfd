//! Doc comments as descriptions.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The text of a doc comment, `///`, `/** */` and `#[doc = "…"]` alike: without the space (or the star) that every
/// line begins with, and without blank lines around it.
pub(crate) fn description(attributes: &[Attribute]) -> String {
    let mut lines = String::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        let Meta::NameValue(meta) = &attribute.meta else { continue };
        // `#[doc = include_str!(…)]` has no text yet when a derive sees it.
        let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &meta.value else { continue };
        let text = text.value();
        let block = text.contains('\n');
        for line in text.split('\n') {
            lines.push_str(match line.trim_start().strip_prefix('*') {
                Some(rest) if block => stripped(rest),
                _ if block => line.trim(),
                _ => stripped(line),
            });
            lines.push('\n');
        }
    }
    lines.trim_start_matches('\n').trim_end().to_owned()
}

fn stripped(line: &str) -> &str {
    line.strip_prefix(' ').unwrap_or(line).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn described(item: &syn::DeriveInput) -> String {
        description(&item.attrs)
    }

    #[test]
    fn lines_lose_one_space_and_keep_their_order() {
        let item = parse_quote! {
            ///
            /// First line,
            ///   indented.
            ///
            /// Second paragraph.
            ///
            struct A;
        };
        assert_eq!(described(&item), "First line,\n  indented.\n\nSecond paragraph.");
    }

    #[test]
    fn a_block_comment_loses_its_stars() {
        let item = parse_quote! {
            /**
             * One
             * two
             */
            struct A;
        };
        assert_eq!(described(&item), "One\ntwo");
    }

    #[test]
    fn attributes_that_are_no_text_are_passed_over() {
        let item = parse_quote! {
            #[doc(hidden)]
            #[doc = include_str!("x.md")]
            #[doc = "Text."]
            #[must_use]
            struct A;
        };
        assert_eq!(described(&item), "Text.");
    }
}
