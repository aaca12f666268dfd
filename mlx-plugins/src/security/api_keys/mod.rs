//! Clients that are known by a key, and secrets from a directory of files.
//!
//! ```yaml
//! plugins:
//!   - type: security
//!     name: api-keys
//!     config:
//!       keys:
//!         - name: dashboard
//!           key: ${env:DASHBOARD_KEY}
//!           scopes: ["predict:iris"]
//!         - name: operator
//!           key: ${file:/run/secrets/operator-key}
//!           scopes: ["*"]
//!       # `${api-keys:warehouse-password}` elsewhere reads /run/secrets/warehouse-password.
//!       secrets_dir: /run/secrets
//! ```
//!
//! A scope is `*` (everything), `ACTION:*` or `ACTION:RESOURCE`, such as `predict:iris`. A key without scopes is
//! known and may do nothing.
//!
//! Only SHA-256 digests of the keys are kept, and one that is shown is compared with all of them in constant time.
//! A plain digest is enough because keys are random, unlike passwords: make one with `openssl rand -hex 32`.
//!
//! It does not issue, rotate or expire keys, does not check passwords, and does not limit how often one may try.

mod secrets;
#[cfg(test)]
mod tests;

use mlx_core::prelude::*;
use secrets::SecretsDirectory;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt, path::PathBuf};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// Characters that a key has at least.
const MIN_KEY_LENGTH: usize = 16;

/// Settings of the known clients.
#[derive(PluginConfig)]
pub struct ApiKeysConfig {
    /// The clients and their keys.
    #[config(default)]
    pub keys: Vec<ApiKey>,
    /// A directory with one file a secret; the file's name is the key in `${api-keys:KEY}`.
    pub secrets_dir: Option<PathBuf>,
}

/// A client and its key.
#[derive(PluginConfig)]
pub struct ApiKey {
    /// Who has the key.
    #[config(non_empty)]
    pub name: String,
    /// The key: 16 or more printable ASCII characters without spaces, because it travels in an HTTP header.
    #[config(length(16..))]
    pub key: Secret<String>,
    /// What the client may do: `*`, `ACTION:*` or `ACTION:RESOURCE`.
    #[config(default)]
    pub scopes: Vec<String>,
}

/// Clients that are known by a key, and secrets from a directory of files.
#[mlx_plugin(
    type = "security",
    name = "api-keys",
    capabilities = ["authentication", "authorization", "secrets"],
    integration_points = ["serving_platform"],
    stability = "beta"
)]
pub struct ApiKeys {
    clients: Vec<Client>,
    secrets: Option<SecretsDirectory>,
}

struct Client {
    principal: Principal,
    digest: [u8; 32],
}

/// The names of the clients.
impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients: Vec<&str> = self.clients.iter().map(|client| client.principal.name.as_str()).collect();
        f.debug_struct("ApiKeys").field("clients", &clients).field("secrets", &self.secrets).finish()
    }
}

#[async_trait]
impl Plugin for ApiKeys {
    type Config = ApiKeysConfig;

    async fn initialize(config: ApiKeysConfig, _: &InitContext) -> Result<Self> {
        if config.keys.is_empty() && config.secrets_dir.is_none() {
            return Err(Error::invalid(
                "neither `keys` nor `secrets_dir` is set: the plugin would know nobody and nothing",
            ));
        }
        let clients = clients(config.keys)?;
        let secrets = match config.secrets_dir {
            Some(path) => Some(SecretsDirectory::open(path).await?),
            None => None,
        };
        Ok(ApiKeys { clients, secrets })
    }

    async fn health(&self) -> Result<Health> {
        let health = match &self.secrets {
            Some(secrets) => secrets.health().await,
            None => Health::healthy(),
        };
        Ok(health.detail("clients", self.clients.len()))
    }
}

#[async_trait]
impl Security for ApiKeys {
    async fn authenticate(&self, credential: Credential) -> Result<Principal> {
        let known = match &credential {
            Credential::ApiKey(key) | Credential::Bearer(key) => self.find(key.expose()),
            _ => None,
        };
        // No detail: it would tell a stranger how close they are.
        known.cloned().ok_or_else(|| Error::denied("the credential is not known"))
    }

    async fn authorize(&self, principal: Principal, action: &str, resource: &str) -> Result<bool> {
        let scopes = &principal.scopes;
        Ok(scopes.contains("*")
            || scopes.contains(&format!("{action}:*"))
            || scopes.contains(&format!("{action}:{resource}")))
    }

    async fn secret(&self, key: &str) -> Result<Secret<String>> {
        match &self.secrets {
            Some(secrets) => secrets.read(key).await,
            None => Err(Error::unsupported("this plugin keeps no secrets: set `secrets_dir` to a directory of files")),
        }
    }
}

impl ApiKeys {
    /// Looks at every client, whether or not one was found, so that the time says nothing.
    fn find(&self, key: &str) -> Option<&Principal> {
        let shown = digest(key);
        let mut found = u64::MAX;
        for (index, client) in (0_u64..).zip(&self.clients) {
            found.conditional_assign(&index, client.digest.ct_eq(&shown));
        }
        let client = self.clients.get(usize::try_from(found).ok()?)?;
        Some(&client.principal)
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

fn clients(keys: Vec<ApiKey>) -> Result<Vec<Client>> {
    let mut clients: Vec<Client> = Vec::with_capacity(keys.len());
    let mut owners: BTreeMap<[u8; 32], String> = BTreeMap::new();
    for ApiKey { name, key, scopes } in keys {
        let key = key.expose();
        if clients.iter().any(|client| client.principal.name == name) {
            return Err(Error::invalid(format!("two keys are named `{name}`: give each client a name of its own")));
        }
        if key.len() < MIN_KEY_LENGTH {
            return Err(Error::invalid(format!(
                "the key of `{name}` is too short to be safe: it needs {MIN_KEY_LENGTH} characters; \
                 make one with `openssl rand -hex 32`"
            )));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid(format!(
                "the key of `{name}` has a space, a line break or a character that is not ASCII, which an HTTP header \
                 cannot carry; a line break often comes from the end of a file"
            )));
        }
        for scope in &scopes {
            check_scope(scope)
                .map_err(|why| Error::invalid(format!("the scope `{scope}` of the key `{name}` {why}")))?;
        }
        let digest = digest(key);
        if let Some(owner) = owners.insert(digest, name.clone()) {
            return Err(Error::invalid(format!(
                "`{owner}` and `{name}` have the same key: give each client a key of its own"
            )));
        }
        clients.push(Client { principal: Principal::new(name, scopes), digest });
    }
    Ok(clients)
}

/// A scope that can never match is a mistake that would otherwise be found in production.
fn check_scope(scope: &str) -> Result<(), &'static str> {
    if scope == "*" {
        return Ok(());
    }
    match scope.split_once(':') {
        None => Err("has no resource: write `ACTION:RESOURCE`, `ACTION:*`, or `*` for everything"),
        Some((_, "")) => Err("has no resource: write `*` after the colon for all of them"),
        Some((action, _)) if action.is_empty() || !action.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
            Err("has no action before the colon, such as `predict`")
        }
        Some((_, resource)) if resource.contains('*') && resource != "*" => {
            Err("has a pattern as its resource: only a whole name or `*` is understood")
        }
        Some(_) => Ok(()),
    }
}
