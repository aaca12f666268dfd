//! Settings where no name is imported. `async_trait` itself takes `Box` from the prelude, so that plugins need it.
#![no_implicit_prelude]

/// Settings.
#[derive(::mlx_core::PluginConfig)]
pub struct StrictConfig {
    /// A number.
    #[config(default = 2, range(1..=9))]
    pub number: u8,
    /// A list.
    #[config(default, length(..=3))]
    pub list: ::std::vec::Vec<::std::string::String>,
    /// One of several.
    #[config(default)]
    pub mode: Mode,
    /// Perhaps a word.
    pub word: ::core::option::Option<::std::string::String>,
    /// A password.
    pub password: ::core::option::Option<::mlx_core::Secret>,
}

/// Variants.
#[derive(::mlx_core::PluginConfig, ::core::default::Default)]
#[config(rename_all = "kebab-case")]
pub enum Mode {
    /// The first.
    #[default]
    FirstOne,
    /// The second, with a setting.
    SecondOne {
        /// How much.
        #[config(default = 0.5, range(0.0..1.0))]
        amount: f64,
    },
}

/// The component's.
pub mod component {
    #![no_implicit_prelude]

    ::mlx_core::component_config!("../constructs/component.json");
}

/// The settings with those of a component.
#[derive(::mlx_core::PluginConfig)]
pub struct WholeConfig {
    /// The component's.
    #[config(extends)]
    pub base: self::component::LocalCache,
    /// Its own.
    #[config(flatten)]
    pub own: StrictConfig,
}

/// Where there is a prelude again.
pub mod plugin {
    use super::{Mode, WholeConfig};
    use ::mlx_core::prelude::{InitContext, Plugin, Result, async_trait, mlx_plugin};
    use ::std::prelude::rust_2021::*;

    /// Has these settings.
    #[mlx_plugin(type = crate::Worker)]
    pub struct Strict(WholeConfig);

    #[async_trait]
    impl Plugin for Strict {
        type Config = WholeConfig;
        async fn initialize(config: WholeConfig, _: &InitContext) -> Result<Self> {
            Ok(Strict(config))
        }
    }

    #[async_trait]
    impl crate::Worker for Strict {
        async fn work(&self) -> Result<String> {
            let WholeConfig { base, own } = &self.0;
            let amount = match own.mode {
                Mode::FirstOne => 0.0,
                Mode::SecondOne { amount } => amount,
            };
            let known = own.word.is_some() || own.password.is_some();
            Ok(::std::format!("{} {} {:?} {amount} {known}", base.folder, own.number, own.list))
        }
    }
}

#[cfg(test)]
mod tests {
    use ::mlx_core::json;
    use ::std::{assert, assert_eq, format, prelude::rust_2021::*};

    #[test]
    fn nothing_depends_on_the_prelude() {
        let config = json!({"folder": "f", "list": ["a"], "mode": {"second-one": {"amount": 0.25}}, "password": "p"});
        assert_eq!(crate::tests::work("strict", config).unwrap(), "f 2 [\"a\"] 0.25 true by nobody");
        let report =
            format!("{:?}", crate::tests::work("strict", json!({"folder": "f", "mode": "third"})).unwrap_err());
        assert!(report.contains("MLX0025"), "{report}");
    }
}
