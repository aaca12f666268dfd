//! `local`: the plugins of this program, and where those of its platform stand.
//!
//! ```yaml
//! plugins:
//!   - type: plugin_system
//!     name: local
//! ```
//!
//! # Its job
//! Executed, as a step of a pipeline or by `Platform::execute`, it answers with two outputs. `plugins` is a list of all
//! plugins of the program with `type`, `name`, `version`, `description`, `capabilities`, `requires`, `stability`,
//! `documentation` and `ids`, under which the plugin is part of the platform. `status` is a list of the plugins of the
//! platform with `id`, `type`, `name`, `state`, `since` (seconds since 1970) and `cause`. The input `{"type": …}` or
//! `{"capability": …}` leaves out the others.
//!
//! # What it does not do
//! It changes nothing: plugins are added, replaced and removed by the platform. Settings are not shown.

use mlx_core::{
    diagnostics::{listing, nearest, quoted},
    plugin::{Peers, PluginState, PluginStatus, Stability},
    prelude::*,
};
use std::{sync::Arc, time::UNIX_EPOCH};

/// The plugins of this program, and where those of its platform stand.
#[mlx_plugin(
    type = "plugin_system",
    name = "local",
    capabilities = ["discovery", "schemas", "status"],
    swap = "overlap",
    stability = "beta"
)]
pub struct LocalPlugins {
    peers: Arc<dyn Peers>,
}

/// Which plugins are wanted.
#[derive(PluginConfig)]
struct Wanted {
    /// Those of this type.
    #[config(rename = "type")]
    kind: Option<String>,
    /// Those with this capability.
    capability: Option<String>,
}

#[async_trait]
impl Plugin for LocalPlugins {
    type Config = NoConfig;

    async fn initialize(_: NoConfig, cx: &InitContext) -> Result<Self> {
        Ok(LocalPlugins { peers: cx.peers().clone() })
    }

    async fn health(&self) -> Result<Health> {
        let statuses = self.peers.statuses();
        let serving = statuses.iter().filter(|status| status.state.is_serving()).count();
        Ok(Health::healthy().detail("plugins", statuses.len()).detail("serving", serving))
    }

    async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
        let wanted = match cx.input() {
            JsonValue::Null => Wanted { kind: None, capability: None },
            input => mlx_core::config::from_json::<Wanted>(input.clone())
                .map_err(|found| Error::from_diagnostics("the input", found))?,
        };
        let (mut plugins, mut statuses) = (PluginSystem::plugins(self).await?, self.peers.statuses());
        plugins.retain(|plugin| {
            wanted.kind.as_ref().is_none_or(|kind| plugin.kind == *kind)
                && wanted.capability.as_ref().is_none_or(|capability| plugin.capabilities.contains(capability))
        });
        let is = |plugin: &PluginInfo, status: &PluginStatus| status.kind == plugin.kind && status.name == plugin.name;
        statuses.retain(|status| plugins.iter().any(|plugin| is(plugin, status)));
        let ids = |plugin: &PluginInfo| -> Vec<&str> {
            statuses.iter().filter(|status| is(plugin, status)).map(|status| status.id.as_str()).collect()
        };
        let plugins: JsonValue = plugins.iter().map(|plugin| info(plugin, &ids(plugin))).collect();
        let statuses: JsonValue = statuses.iter().map(status).collect();
        Ok(ComponentResult::success().output("plugins", plugins).output("status", statuses))
    }
}

#[async_trait]
impl PluginSystem for LocalPlugins {
    async fn plugins(&self) -> Result<Vec<PluginInfo>> {
        Ok(self.peers.available().into_iter().map(PluginInfo::from).collect())
    }

    async fn schema(&self, kind: &str, name: &str) -> Result<JsonValue> {
        if let Some(schema) = self.peers.schema(kind, name) {
            return Ok(schema);
        }
        let available = self.peers.available();
        let names: Vec<&str> =
            available.iter().filter(|metadata| metadata.kind.name == kind).map(|metadata| metadata.name).collect();
        let mut message = format!("there is no plugin of type {} named {}", quoted(kind), quoted(name));
        if let Some(near) = nearest(name, names.iter().copied()) {
            message.push_str(&format!(": did you mean `{near}`?"));
        } else if names.is_empty() {
            let kinds = listing(available.iter().map(|metadata| metadata.kind.name));
            message.push_str(&format!("; there are plugins of the types {kinds}"));
        } else {
            message.push_str(&format!("; of that type there are {}", listing(names)));
        }
        Err(Error::not_found(message))
    }

    async fn status(&self) -> Result<Vec<PluginStatus>> {
        Ok(self.peers.statuses())
    }
}

fn info(plugin: &PluginInfo, ids: &[&str]) -> JsonValue {
    let stability = match plugin.stability {
        Stability::Experimental => "experimental",
        Stability::Beta => "beta",
        Stability::Stable => "stable",
        Stability::Deprecated => "deprecated",
    };
    json!({
        "type": plugin.kind,
        "name": plugin.name,
        "version": plugin.version,
        "description": plugin.description,
        "capabilities": plugin.capabilities,
        "requires": plugin.requires,
        "stability": stability,
        "documentation": plugin.documentation,
        "ids": ids,
    })
}

fn status(status: &PluginStatus) -> JsonValue {
    json!({
        "id": status.id,
        "type": status.kind,
        "name": status.name,
        "state": PluginState::as_str(status.state),
        "since": status.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        "cause": status.cause,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlx_core::{Registry, plugin::Condition, registry::Registration};

    /// Says that it works with losses, or does not start.
    #[mlx_plugin(type = "security", name = "lossy", requires = ["type:plugin_system"], capabilities = ["secrets"])]
    struct Lossy;

    #[derive(PluginConfig)]
    struct LossyConfig {
        /// Whether it starts.
        #[config(default = true)]
        starts: bool,
    }

    #[async_trait]
    impl Plugin for Lossy {
        type Config = LossyConfig;
        async fn initialize(config: LossyConfig, cx: &InitContext) -> Result<Self> {
            if !config.starts {
                return Err(Error::unavailable("on purpose"));
            }
            // What is asked while the platform starts.
            let seen = cx.get_default::<dyn PluginSystem>()?.status().await?;
            assert!(seen.iter().any(|status| status.id == cx.id() && status.state == PluginState::Starting));
            cx.status().degraded("half of it");
            assert_eq!(cx.status().condition(), Condition::Degraded("half of it".into()));
            Ok(Lossy)
        }
    }

    #[async_trait]
    impl Security for Lossy {
        async fn authenticate(&self, _: Credential) -> Result<Principal> {
            Err(Error::denied("nobody"))
        }
        async fn authorize(&self, _: Principal, _: &str, _: &str) -> Result<bool> {
            Ok(false)
        }
    }

    static LOCAL: Registration = Registration::new::<LocalPlugins>();
    static LOSSY: Registration = Registration::new::<Lossy>();

    async fn platform() -> Platform {
        let composition = Composition::from_yaml(
            "plugins:
              - {type: plugin_system, name: local}
              - {type: security, name: lossy, id: one}
              - {type: security, name: lossy, id: other, config: {starts: false}, on_failure: continue}",
        );
        Registry::from_registrations([&LOCAL, &LOSSY]).activate(composition.unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn it_knows_what_there_is_and_where_it_stands() {
        let platform = platform().await;
        let system = platform.get_default::<dyn PluginSystem>().unwrap();
        let plugins = system.plugins().await.unwrap();
        let names: Vec<_> = plugins.iter().map(|plugin| format!("{}/{}", plugin.kind, plugin.name)).collect();
        // Of the platform's own registry, which is not that of the program.
        assert_eq!(names, ["plugin_system/local", "security/lossy"]);
        assert_eq!(plugins[1].requires, ["a plugin of type `plugin_system`"]);
        assert_eq!(plugins[1].description, "Says that it works with losses, or does not start.");

        let status = system.status().await.unwrap();
        assert_eq!(status, platform.status());
        let of = |id: &str| status.iter().find(|status| status.id == id).unwrap();
        assert_eq!((of("one").state, of("one").cause.as_deref()), (PluginState::Degraded, Some("half of it")));
        assert_eq!(of("other").state, PluginState::Failed);
        let health = platform.health().await.plugins.remove("plugin_system/local").unwrap();
        assert!(health.is_healthy());

        let schema = system.schema("security", "lossy").await.unwrap();
        assert!(schema["properties"]["starts"].is_object(), "{schema}");
        for (kind, name, why) in [
            ("security", "losy", "did you mean `lossy`?"),
            ("security", "nothing-like-it", "of that type there are `lossy`"),
            ("data_source", "x", "of the types `plugin_system`, `security`"),
        ] {
            let error = system.schema(kind, name).await.unwrap_err();
            assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains(why), "{error}");
        }
        platform.shutdown().await.unwrap();
        assert_eq!(system.status().await.unwrap_err().kind(), ErrorKind::Stopped);
    }

    #[tokio::test]
    async fn its_job_answers_with_data() {
        let platform = platform().await;
        let execute =
            async |input: JsonValue| platform.execute("local", ExecutionContext::new().with_input(input)).await;
        let all = execute(JsonValue::Null).await.unwrap().outputs;
        assert_eq!(all["plugins"].as_array().unwrap().len(), 2);
        assert_eq!(all["plugins"][1]["ids"], json!(["one", "other"]));
        assert_eq!(all["plugins"][0]["stability"], "beta");
        for input in [json!({"type": "security"}), json!({"capability": "secrets"})] {
            let some = execute(input).await.unwrap().outputs;
            assert_eq!(some["plugins"].as_array().unwrap().len(), 1);
            let status = some["status"].as_array().unwrap();
            assert_eq!(status.len(), 2);
            assert_eq!((&status[0]["id"], &status[0]["state"]), (&json!("one"), &json!("degraded")));
            assert!(status[0]["since"].as_f64().unwrap() > 1e9 && status[1]["cause"].is_string());
        }
        let none = execute(json!({"type": "security", "capability": "status"})).await.unwrap().outputs;
        assert_eq!((&none["plugins"], &none["status"]), (&json!([]), &json!([])));
        let error = execute(json!({"tpye": "security"})).await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::Invalid && format!("{error:?}").contains("did you mean `type`?"),
            "{error:?}"
        );
        platform.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn alone_it_knows_of_nobody() {
        let alone = LocalPlugins::initialize(NoConfig {}, &InitContext::alone("local")).await.unwrap();
        assert!(alone.plugins().await.unwrap().is_empty() && PluginSystem::status(&alone).await.unwrap().is_empty());
        assert_eq!(alone.schema("security", "lossy").await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
