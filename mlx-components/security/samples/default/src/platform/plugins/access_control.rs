//! `access-control`: clients that are known by a key and act in roles.
//!
//! Keys and secrets are those of the plugin `api-keys`: only digests are kept, compared in constant
//! time. A key is made with `openssl rand -hex 32` and given to the composition as `${env:…}`.

use crate::platform::security::{
    AccessDenied,
    roles::{self, Roles},
};
use mlx_core::{plugin::Events, prelude::*};
use mlx_plugins::security::api_keys;

/// Settings of the access control.
#[derive(PluginConfig)]
pub struct AccessControlConfig {
    /// audit_denials, secrets_dir.
    #[config(extends)]
    pub base: mlx_components::services::Security,
    /// The scopes of each role: `*`, `ACTION:*` or `ACTION:RESOURCE`.
    #[config(default)]
    pub roles: Roles,
    /// Who has a key.
    #[config(default)]
    pub clients: Vec<Client>,
}

/// Somebody who has a key.
#[derive(PluginConfig)]
pub struct Client {
    /// Who it is.
    #[config(non_empty)]
    pub name: String,
    /// The key: 16 or more printable ASCII characters without spaces.
    #[config(length(16..))]
    pub key: Secret<String>,
    /// What the client acts as.
    #[config(non_empty)]
    pub roles: Vec<String>,
}

/// Clients that are known by a key and act in roles.
#[mlx_plugin(
    type = "security",
    name = "access-control",
    capabilities = ["authentication", "authorization", "secrets", "audit"]
)]
pub struct AccessControl {
    /// Absent while nobody has a key and there are no secrets.
    keys: Option<api_keys::ApiKeys>,
    clients: usize,
    /// Where denials are published, if they are.
    audit: Option<Events>,
}

#[async_trait]
impl Plugin for AccessControl {
    type Config = AccessControlConfig;

    async fn initialize(config: AccessControlConfig, cx: &InitContext) -> Result<Self> {
        let AccessControlConfig {
            base,
            roles,
            clients,
        } = config;
        let mut keys = Vec::with_capacity(clients.len());
        for Client {
            name,
            key,
            roles: held,
        } in clients
        {
            let scopes =
                roles::scopes(&roles, &held).with_context(|| format!("the client `{name}`"))?;
            keys.push(api_keys::ApiKey { name, key, scopes });
        }
        let clients = keys.len();
        let keys = match (clients, &base.secrets_dir) {
            (0, None) => None,
            _ => {
                let config = api_keys::ApiKeysConfig {
                    keys,
                    secrets_dir: base.secrets_dir,
                };
                Some(api_keys::ApiKeys::initialize(config, cx).await?)
            }
        };
        let audit = base.audit_denials.then(|| cx.events().clone());
        Ok(AccessControl {
            keys,
            clients,
            audit,
        })
    }

    async fn health(&self) -> Result<Health> {
        let health = match &self.keys {
            Some(keys) => keys.health().await?,
            None => Health::healthy(),
        };
        Ok(match self.clients {
            0 if health.is_healthy() => Health::degraded("nobody has a key: add `clients`"),
            clients => health.detail("clients", clients),
        })
    }
}

impl AccessControl {
    fn denied(&self, principal: Option<String>, wanted: String) {
        if let Some(events) = &self.audit {
            events.publish(AccessDenied { principal, wanted });
        }
    }
}

#[async_trait]
impl Security for AccessControl {
    async fn authenticate(&self, credential: Credential) -> Result<Principal> {
        let known = match &self.keys {
            Some(keys) => keys.authenticate(credential).await,
            None => Err(Error::denied("the credential is not known")),
        };
        known.inspect_err(|_| self.denied(None, String::new()))
    }

    async fn authorize(&self, principal: Principal, action: &str, resource: &str) -> Result<bool> {
        let name = principal.name.clone();
        let allowed = match &self.keys {
            Some(keys) => keys.authorize(principal, action, resource).await?,
            None => false,
        };
        if !allowed {
            self.denied(Some(name), format!("{action}:{resource}"));
        }
        Ok(allowed)
    }

    async fn secret(&self, key: &str) -> Result<Secret<String>> {
        match &self.keys {
            Some(keys) => keys.secret(key).await,
            None => Err(Error::unsupported(
                "this plugin keeps no secrets: set `secrets_dir`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef";

    async fn start(config: JsonValue, cx: &InitContext) -> Result<AccessControl> {
        let config = mlx_core::config::from_json(config)
            .map_err(|found| Error::from_diagnostics("the settings", found))?;
        AccessControl::initialize(config, cx).await
    }

    fn shown(key: &str) -> Credential {
        Credential::ApiKey(Secret::new(key.to_owned()))
    }

    #[test]
    fn a_client_may_do_what_its_roles_say() -> Result<()> {
        mlx_core::block_on(async {
            let config = json!({
                "roles": {"caller": ["predict:iris"]},
                "clients": [{"name": "dashboard", "key": KEY, "roles": ["caller"]}],
            });
            let cx = InitContext::alone("access-control");
            let mut denials = cx.events().subscribe::<AccessDenied>();
            let security = start(config, &cx).await?;
            let principal = security.authenticate(shown(KEY)).await?;
            assert_eq!(principal.name, "dashboard");
            assert!(
                security
                    .authorize(principal.clone(), "predict", "iris")
                    .await?
            );
            assert!(!security.authorize(principal, "predict", "churn").await?);
            let denial = denials
                .recv()
                .await
                .context("an event")?
                .map_err(Error::wrap)?;
            assert_eq!(denial.principal.as_deref(), Some("dashboard"));
            assert_eq!(denial.wanted, "predict:churn");
            let stranger = security
                .authenticate(shown("fedcba9876543210"))
                .await
                .unwrap_err();
            assert_eq!(stranger.kind(), ErrorKind::Denied);
            Ok(())
        })
    }

    #[test]
    fn without_clients_nobody_is_known() -> Result<()> {
        mlx_core::block_on(async {
            let security = start(json!({}), &InitContext::alone("access-control")).await?;
            let stranger = security.authenticate(shown(KEY)).await.unwrap_err();
            assert_eq!(stranger.kind(), ErrorKind::Denied);
            assert_eq!(security.health().await?.status, HealthStatus::Degraded);
            Ok(())
        })
    }

    #[test]
    fn a_role_that_does_not_exist_is_refused() -> Result<()> {
        mlx_core::block_on(async {
            let config = json!({"clients": [{"name": "a", "key": KEY, "roles": ["admn"]}]});
            let error = start(config, &InitContext::alone("access-control"))
                .await
                .err();
            assert_eq!(error.context("an error")?.kind(), ErrorKind::Invalid);
            Ok(())
        })
    }
}
