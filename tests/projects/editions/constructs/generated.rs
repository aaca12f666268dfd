//! Plugins that a macro of the user's writes.

use crate::Worker;
use mlx_core::prelude::*;

macro_rules! worker {
    ($(#[$attribute:meta])* $name:ident, $config:ident { $field:ident: $type:ty = $default:expr, in $range:expr }, $kind:path, $text:literal) => {
        /// Settings.
        #[derive(PluginConfig)]
        pub struct $config {
            /// Times.
            #[config(default = $default, range($range))]
            pub $field: $type,
        }

        $(#[$attribute])*
        #[mlx_plugin(type = $kind, description = $text)]
        pub struct $name {
            $field: $type,
        }

        #[async_trait]
        impl Plugin for $name {
            type Config = $config;
            async fn initialize(config: $config, _: &InitContext) -> Result<Self> {
                Ok($name { $field: config.$field })
            }
        }

        #[async_trait]
        impl Worker for $name {
            async fn work(&self) -> Result<String> {
                Ok(format!("{} {}", $text, self.$field))
            }
        }
    };
}

worker!(
    /// The first.
    FirstGenerated, FirstConfig { times: u32 = 3, in 1..=5 }, Worker, "first"
);
worker!(
    /// The second.
    SecondGenerated, SecondConfig { r#type: i64 = -3, in -5.. }, crate::Worker, "second"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_of_a_macro_work() {
        assert_eq!(crate::tests::work("first-generated", json!({})).unwrap(), "first 3 by nobody");
        assert_eq!(crate::tests::work("second-generated", json!({"type": -4})).unwrap(), "second -4 by nobody");
        let report = format!("{:?}", crate::tests::work("first-generated", json!({"times": 6})).unwrap_err());
        assert!(report.contains("MLX0023"), "{report}");
    }
}
