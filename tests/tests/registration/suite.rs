//! What holds of a registry, however its plugins came into it.

use mlx_core::{Registry, block_on, prelude::*, registry};
use std::collections::BTreeSet;

/// Says a word.
#[mlx_core::contract(name = "speaker")]
#[async_trait]
pub(crate) trait Speaker {
    /// The word.
    async fn say(&self) -> Result<String>;
}

/// How often to say it.
#[derive(PluginConfig)]
pub(crate) struct Times {
    /// Repetitions.
    #[config(default = 1, range(1..=3))]
    pub(crate) times: usize,
}

/// A plugin that says its own name, registered through the given backend.
macro_rules! speaker {
    ($name:ident, $backend:tt) => {
        #[doc = stringify!($name)]
        #[mlx_core::mlx_plugin(type = $crate::suite::Speaker, registration = $backend)]
        pub(crate) struct $name(usize);

        #[mlx_core::async_trait]
        impl mlx_core::Plugin for $name {
            type Config = $crate::suite::Times;
            async fn initialize(config: $crate::suite::Times, _: &mlx_core::InitContext) -> mlx_core::Result<Self> {
                Ok($name(config.times))
            }
        }

        #[mlx_core::async_trait]
        impl $crate::suite::Speaker for $name {
            async fn say(&self) -> mlx_core::Result<String> {
                Ok(stringify!($name).repeat(self.0))
            }
        }
    };
}
pub(crate) use speaker;

/// Every plugin is there once, in the order of the names, and works.
pub(crate) fn holds(names: &[&str]) {
    let found: Vec<&str> = registry().iter().map(|plugin| plugin.metadata().name).collect();
    assert_eq!(found, names, "sorted by name, whatever the order of the linker");
    assert_eq!(registry().len(), names.len());
    assert!(registry().problems().is_empty(), "{:?}", registry().problems());
    assert_eq!(registry().kind("speaker").map(|kind| kind.contract), Some("Speaker"));
    for name in names {
        block_on(says_its_name(registry(), name)).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    let unknown = block_on(registry().create::<dyn Speaker>("nobody", mlx_core::json!({}))).err();
    let report = format!("{:?}", unknown.expect("there is no such plugin"));
    for name in names {
        assert!(report.contains(name), "{report}");
    }
    let modules: BTreeSet<&str> = registry().iter().map(|plugin| plugin.metadata().declared.krate).collect();
    assert_eq!(modules, BTreeSet::from(["mlx-tests"]));
}

async fn says_its_name(registry: &Registry, name: &str) -> Result<()> {
    let plugin = registry.create::<dyn Speaker>(name, mlx_core::json!({"times": 2})).await?;
    let said = plugin.say().await?;
    assert_eq!(said.to_lowercase(), name.repeat(2));
    plugin.shutdown().await
}
