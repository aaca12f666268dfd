//! The compositions of the catalogue: each is well-formed, and resolving it reports exactly what is missing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_components::compositions;
use mlx_core::{diagnostics::Code, prelude::*};
use std::collections::HashMap;

/// Settings of a Snowflake warehouse.
#[derive(PluginConfig)]
#[allow(dead_code)]
struct SnowflakeConfig {
    #[config(extends)]
    base: mlx_components::data_sources::Snowflake,
    #[config(default = 5, range(1..=64))]
    connection_pool_size: u32,
}

/// A warehouse that is configured and never asked.
#[mlx_plugin(type = "data_source", name = "snowflake")]
struct Snowflake;

#[async_trait]
impl Plugin for Snowflake {
    type Config = SnowflakeConfig;
    async fn initialize(_: SnowflakeConfig, _: &InitContext) -> Result<Self> {
        Ok(Snowflake)
    }
}

#[async_trait]
impl DataSource for Snowflake {
    async fn connect(&self) -> Result<ConnectionInfo> {
        Err(Error::unsupported("a warehouse that is never asked"))
    }
    async fn query(&self, _: &str) -> Result<DataFrame> {
        Err(Error::unsupported("a warehouse that is never asked"))
    }
}

#[test]
fn each_is_well_formed() {
    assert!(compositions::ALL.is_sorted_by_key(|(name, _)| *name));
    for (name, text) in compositions::ALL {
        let composition = Composition::from_yaml(text).unwrap();
        assert_eq!(composition.problems(), [], "{name}");
        assert!(!composition.name().is_empty() && !composition.plugins().is_empty(), "{name}");
    }
    assert_eq!(compositions::get("no-stack"), None);
}

#[test]
fn resolving_one_reports_what_is_not_linked_and_not_set() {
    for (name, text) in compositions::ALL {
        let composition = Composition::from_yaml(text).unwrap().with_variables(HashMap::new());
        let mut expected = Vec::new();
        for entry in composition.plugins() {
            if entry.name.as_str() == "snowflake" {
                for field in ["account", "user", "password", "database"] {
                    expected.push((
                        Code::MissingField,
                        format!("missing field `{field}`"),
                        entry.config.location.clone(),
                    ));
                }
                continue;
            }
            expected.push(match registry().kind(&entry.kind) {
                Some(_) => (
                    Code::UnknownPlugin,
                    format!("no plugin of type `{}` is named `{}`", *entry.kind, *entry.name),
                    entry.name.location.clone(),
                ),
                None => (
                    Code::PlannedPluginType,
                    format!("the plugin type `{}` is planned and not in this version", *entry.kind),
                    entry.kind.location.clone(),
                ),
            });
        }
        let error = registry().resolve(&composition).unwrap_err();
        let found: Vec<_> =
            error.diagnostics().iter().map(|d| (d.code, d.message.clone(), d.location.clone())).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_setting_of_a_component_says_so() {
    let composition = Composition::from_yaml(
        "plugins: [{type: data_source, name: snowflake, config: {account: a, user: u, password: p, database: d}}]",
    )
    .unwrap()
    .with_variables(HashMap::new());
    let config = registry().resolve(&composition).unwrap().effective_config();
    let snowflake = config.plugin("snowflake").unwrap();
    let origin = |path: &str| snowflake.setting(path).unwrap().origin.to_string();
    assert!(origin("warehouse").starts_with("component default (data-sources/snowflake/component.json:"), "{config}");
    assert_eq!(origin("connection_pool_size"), "default");
    assert_eq!(origin("account"), "<yaml>:1:66");
    assert_eq!(snowflake.setting("password").unwrap().value, "[redacted]");
}
