//! Where the usual names mean something else. Not `Box`, which `async_trait` itself takes from where it stands.
#![allow(dead_code, non_camel_case_types, non_snake_case, unused_macros)]

struct Arc;
struct Clone;
struct Default;
struct Instance;
struct Option;
struct PluginMetadata;
struct Registration;
struct Result;
struct Send;
struct String;
struct Sync;
struct Vec;
struct bool;
struct f64;
struct str;
struct u32;
struct u64;
struct usize;
fn drop() {}
fn Err() {}
fn None() {}
fn Ok() {}
fn Some() {}

mod alloc {}
mod core {}
mod inventory {}
mod mlx_core {}
mod schemars {}
mod serde {}
mod std {}

macro_rules! assert {
    ($($anything:tt)*) => {
        compile_error!("the user's `assert!`")
    };
}
macro_rules! concat {
    ($($anything:tt)*) => {
        compile_error!("the user's `concat!`")
    };
}
macro_rules! env {
    ($($anything:tt)*) => {
        compile_error!("the user's `env!`")
    };
}
macro_rules! format {
    ($($anything:tt)*) => {
        compile_error!("the user's `format!`")
    };
}
macro_rules! json {
    ($($anything:tt)*) => {
        compile_error!("the user's `json!`")
    };
}
macro_rules! matches {
    ($($anything:tt)*) => {
        compile_error!("the user's `matches!`")
    };
}
macro_rules! stringify {
    ($($anything:tt)*) => {
        compile_error!("the user's `stringify!`")
    };
}
macro_rules! vec {
    ($($anything:tt)*) => {
        compile_error!("the user's `vec!`")
    };
}

/// Settings.
#[derive(::mlx_core::PluginConfig)]
#[config(validate = possible)]
pub struct ShadowedConfig {
    /// A number.
    #[config(default = 2, range(1..=9))]
    pub number: u8,
    /// A text.
    #[config(default = "text", length(1..))]
    pub text: ::std::string::String,
    /// Perhaps a word.
    pub word: ::core::option::Option<::std::string::String>,
    /// A password.
    pub password: ::core::option::Option<::mlx_core::Secret>,
    /// One of several.
    #[config(default)]
    pub mode: ShadowedMode,
}

fn possible(config: &ShadowedConfig) -> ::core::result::Result<(), ::std::string::String> {
    if config.number == 9 {
        return ::core::result::Result::Err(::std::string::ToString::to_string("9 is not possible"));
    }
    ::core::result::Result::Ok(())
}

/// Variants by the names of others.
#[derive(::mlx_core::PluginConfig, ::core::default::Default)]
#[config(tag = "kind")]
pub enum ShadowedMode {
    /// None.
    #[default]
    None,
    /// Some.
    Some {
        /// Ok.
        ok: u8,
    },
}

/// A user's own, by a built-in type's name.
pub mod contracts {
    /// Settings of a component in a module that shadows as well.
    pub mod component {
        #![allow(dead_code)]
        struct String;
        struct Option;
        ::mlx_core::component_config!("../constructs/component.json");
    }
}

/// Stands among shadows.
#[::mlx_core::mlx_plugin(type = crate::Worker, requires = ["capability:anything"], platforms = ["linux", "macos", "windows"], resources(memory_mib = 1))]
pub struct Shadowed {
    config: ShadowedConfig,
}

#[::mlx_core::async_trait]
impl ::mlx_core::Plugin for Shadowed {
    type Config = ShadowedConfig;
    async fn initialize(config: ShadowedConfig, _: &::mlx_core::InitContext) -> ::mlx_core::Result<Self> {
        ::core::result::Result::Ok(Shadowed { config })
    }
}

#[::mlx_core::async_trait]
impl crate::Worker for Shadowed {
    async fn work(&self) -> ::mlx_core::Result<::std::string::String> {
        ::core::result::Result::Ok(::std::format!("{} {}", self.config.text, self.config.number))
    }
    fn name(&self) -> ::mlx_core::Result<::std::string::String> {
        ::core::result::Result::Ok(::std::convert::From::from("a shadow"))
    }
}

/// A plugin type among shadows.
#[::mlx_core::contract(name = "shadowed_worker", cardinality = "one", capabilities = ["a"])]
#[::mlx_core::async_trait]
pub trait ShadowedWorker {
    /// Works.
    async fn work(&self, with: ::std::vec::Vec<u8>) -> ::mlx_core::Result<u8>;
    /// Streams.
    async fn stream(&self) -> ::mlx_core::Result<::mlx_core::BoxStream<u8>>;
    /// Does not wait.
    fn now(&self, lease: u8, this: u8) -> ::mlx_core::Result<u8>;
}

#[cfg(test)]
mod tests {
    use mlx_core::prelude::*;

    #[test]
    fn the_plugin_means_what_it_says() {
        let composition =
            "plugins: [{type: worker, name: shadowed, config: {number: 9}}, {type: worker, name: compiled}]";
        let refused =
            mlx_core::block_on(async { registry().activate(Composition::from_yaml(composition)?).await.map(drop) });
        let report = std::format!("{:?}", refused.unwrap_err());
        std::assert!(report.contains("9 is not possible") && report.contains("MLX0056"), "{report}");
    }
}
