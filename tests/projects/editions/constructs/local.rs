//! A plugin in the body of a function that nobody calls.

use crate::Worker;
use mlx_core::prelude::*;

/// Is never called.
pub fn never_called() {
    /// Settings in a function.
    #[derive(PluginConfig)]
    pub struct LocalConfig {
        /// What to say.
        #[config(default = "in a function")]
        pub text: String,
    }

    /// Stands in a function.
    #[mlx_plugin(type = Worker)]
    pub struct InAFunction(String);

    #[async_trait]
    impl Plugin for InAFunction {
        type Config = LocalConfig;
        async fn initialize(config: LocalConfig, _: &InitContext) -> Result<Self> {
            Ok(InAFunction(config.text))
        }
    }

    #[async_trait]
    impl Worker for InAFunction {
        async fn work(&self) -> Result<String> {
            Ok(self.0.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_in_a_function_works() {
        assert_eq!(crate::tests::work("in-a-function", json!({})).unwrap(), "in a function by nobody");
    }
}
