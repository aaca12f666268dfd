//! The macros of mlx-core, which documents and re-exports them.

mod arguments;
mod casing;
mod component_config;
mod conditions;
mod contract;
mod docs;
mod errors;
mod expression;
mod listing;
#[cfg(test)]
mod messages;
mod mlx_plugin;
mod plugin_config;
mod plugin_types;
mod spans;
mod suggest;
#[cfg(test)]
mod unknown_keys;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// A configuration type: read from a file with every mistake reported, described by a JSON Schema, secrets hidden.
#[proc_macro_derive(PluginConfig, attributes(config, serde, schemars))]
pub fn plugin_config(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    plugin_config::derive(&input).into()
}

/// A Rust type from the `config_schema` of a `component.json`.
#[proc_macro]
pub fn component_config(input: TokenStream) -> TokenStream {
    component_config::component_config(input.into()).into()
}

/// Makes a struct a plugin: gives it metadata and registers it.
#[proc_macro_attribute]
pub fn mlx_plugin(arguments: TokenStream, item: TokenStream) -> TokenStream {
    mlx_plugin::mlx_plugin(arguments.into(), item.into()).into()
}

/// Makes a trait a plugin type, and lets a handle to a plugin of the type implement it.
#[proc_macro_attribute]
pub fn contract(arguments: TokenStream, item: TokenStream) -> TokenStream {
    contract::contract(arguments.into(), item.into()).into()
}
