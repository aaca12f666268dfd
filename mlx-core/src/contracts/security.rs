//! `security`: who may do what, and where secrets come from.

use crate::{
    async_trait,
    config::Secret,
    contract,
    diagnostics::{Error, Result},
};
use std::collections::BTreeSet;

/// Says who somebody is and what they may do, and fetches secrets.
#[contract(
    name = "security",
    cardinality = "many",
    capabilities = ["authentication", "authorization", "secrets", "encryption", "audit"]
)]
#[async_trait]
pub trait Security {
    /// Says whom a credential belongs to.
    ///
    /// # Errors
    /// [`Denied`](crate::ErrorKind::Denied) when it belongs to nobody.
    #[idempotent]
    async fn authenticate(&self, credential: Credential) -> Result<Principal>;

    /// Whether somebody may do something: `action` is a verb such as `predict`, `resource` what it is done to.
    ///
    /// # Errors
    /// Only when the question cannot be answered; "no" is `Ok(false)`.
    #[idempotent]
    async fn authorize(&self, principal: Principal, action: &str, resource: &str) -> Result<bool>;

    /// Fetches a secret: the plugin with the id `vault` answers `${vault:KEY}` in a composition.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown key; [`Unsupported`](crate::ErrorKind::Unsupported)
    /// where the plugin keeps no secrets.
    #[idempotent]
    async fn secret(&self, _key: &str) -> Result<Secret<String>> {
        Err(Error::unsupported("this security plugin keeps no secrets"))
    }
}

/// What somebody shows to say who they are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credential {
    /// A key made for one client.
    ApiKey(Secret<String>),
    /// A token of a third party, such as a JWT.
    Bearer(Secret<String>),
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret<String>,
    },
}

/// Somebody who is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Principal {
    /// Who it is.
    pub name: String,
    /// What they are allowed to do, in the words of the plugin.
    pub scopes: BTreeSet<String>,
}

impl Principal {
    /// Somebody with these scopes.
    pub fn new<S: Into<String>>(name: impl Into<String>, scopes: impl IntoIterator<Item = S>) -> Self {
        Principal { name: name.into(), scopes: scopes.into_iter().map(Into::into).collect() }
    }
}
