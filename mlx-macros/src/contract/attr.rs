//! What stands in `#[contract(…)]`.

use proc_macro2::TokenStream;
use syn::{LitStr, Path};

use crate::{
    arguments::{self, Key},
    errors::Errors,
};

const KEYS: &[Key] = &[
    ("name", "name = \"vector_store\""),
    ("cardinality", "cardinality = \"many\""),
    ("capabilities", "capabilities = [\"ann\"]"),
    ("crate", "crate = path::to::mlx_core"),
];

/// The arguments as they stand there.
#[derive(Default)]
pub(super) struct Arguments {
    pub(super) name: Option<LitStr>,
    /// Whether `name` is there, if only with a value that could not be read.
    pub(super) has_name: bool,
    pub(super) cardinality: Option<LitStr>,
    pub(super) capabilities: Vec<LitStr>,
    pub(super) krate: Option<Path>,
}

impl Arguments {
    pub(super) fn parse(tokens: TokenStream, errors: &Errors) -> Arguments {
        let mut all = Arguments::default();
        arguments::parse("contract", KEYS, tokens, errors, &mut |key, argument| {
            match key {
                "name" => {
                    all.has_name = true;
                    all.name = Some(argument.text()?);
                }
                "cardinality" => all.cardinality = Some(argument.text()?),
                "capabilities" => all.capabilities = argument.texts()?,
                // `crate`; others do not get here.
                _ => all.krate = Some(argument.path()?),
            }
            Ok(())
        });
        all
    }
}
