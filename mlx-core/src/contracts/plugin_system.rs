//! `plugin_system`: what plugins there are, and where each stands.

use crate::{
    async_trait, contract,
    diagnostics::Result,
    plugin::{PluginMetadata, PluginStatus, Requirement, Stability},
};
use serde_json::Value;

/// Says which plugins there are and where each of them stands, to those that hold no [`Platform`](crate::Platform):
/// plugins that show it to people or to other programs.
///
/// It looks and does not touch: a plugin that stopped or replaced another from within a call could wait for itself. What
/// changes a platform is the platform's own: [`apply`](crate::Platform::apply), [`swap`](crate::Platform::swap).
#[contract(name = "plugin_system", cardinality = "one", capabilities = ["discovery", "schemas", "status"])]
#[async_trait]
pub trait PluginSystem {
    /// The plugins that a composition can name, running or not, sorted by type and name.
    ///
    /// # Errors
    /// What the system reports.
    #[idempotent]
    async fn plugins(&self) -> Result<Vec<PluginInfo>>;

    /// The JSON Schema of a plugin's settings.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such plugin, with what may have been meant.
    #[idempotent]
    async fn schema(&self, kind: &str, name: &str) -> Result<Value>;

    /// Where the plugins of the platform stand, in the order in which they are started.
    ///
    /// # Errors
    /// What the system reports.
    #[idempotent]
    async fn status(&self) -> Result<Vec<PluginStatus>>;
}

/// What is known of a plugin without starting it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PluginInfo {
    /// Its type.
    pub kind: String,
    /// Its name, unique among the plugins of its type.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is, in a few words.
    pub description: String,
    /// What it can do, in words of its type.
    pub capabilities: Vec<String>,
    /// What must run for it to run.
    pub requires: Vec<String>,
    /// How far it can be relied on.
    pub stability: Stability,
    /// A link to its documentation, or empty.
    pub documentation: String,
}

impl PluginInfo {
    /// A plugin of which no more is known.
    pub fn new(kind: impl Into<String>, name: impl Into<String>, version: impl Into<String>) -> Self {
        PluginInfo {
            kind: kind.into(),
            name: name.into(),
            version: version.into(),
            description: String::new(),
            capabilities: Vec::new(),
            requires: Vec::new(),
            stability: Stability::default(),
            documentation: String::new(),
        }
    }
}

impl From<&PluginMetadata> for PluginInfo {
    fn from(metadata: &PluginMetadata) -> Self {
        PluginInfo {
            description: metadata.description.to_owned(),
            capabilities: metadata.capabilities.iter().map(|&capability| capability.to_owned()).collect(),
            requires: metadata.requires.iter().map(Requirement::to_string).collect(),
            stability: metadata.stability,
            documentation: metadata.documentation.to_owned(),
            ..PluginInfo::new(metadata.kind.name, metadata.name, metadata.version)
        }
    }
}
