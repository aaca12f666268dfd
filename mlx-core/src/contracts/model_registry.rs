//! `model_registry`: versioned storage of models.

use super::Model;
use crate::{async_trait, contract, diagnostics::Result};
use std::{collections::BTreeMap, time::SystemTime};

/// Keeps versions of named models, and names that point at versions.
#[contract(name = "model_registry", cardinality = "one", capabilities = ["versioning", "aliases", "stages", "artifacts"])]
#[async_trait]
pub trait ModelRegistry {
    /// Stores a model as the next version of its name, which counts from 1.
    ///
    /// # Errors
    /// What the storage reports; nothing is stored then.
    async fn register(&self, entry: ModelEntry) -> Result<ModelVersion>;

    /// The record of a version.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such model, version or alias.
    #[idempotent]
    async fn version(&self, name: &str, version: VersionRef) -> Result<ModelVersion>;

    /// The model of a version.
    ///
    /// # Errors
    /// As [`version`](ModelRegistry::version); [`Failed`](crate::ErrorKind::Failed) when what is stored does not
    /// match its checksum.
    #[idempotent]
    async fn load(&self, name: &str, version: VersionRef) -> Result<Model>;

    /// The names of all models, sorted.
    ///
    /// # Errors
    /// What the storage reports.
    #[idempotent]
    async fn models(&self) -> Result<Vec<String>>;

    /// All versions of a model, the newest first.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such model.
    #[idempotent]
    async fn versions(&self, name: &str) -> Result<Vec<ModelVersion>>;

    /// Points an alias, such as `champion`, at a version.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such version.
    #[idempotent]
    async fn set_alias(&self, name: &str, alias: &str, version: u64) -> Result<()>;

    /// Removes a version and its aliases. Its number is not used again.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such version.
    async fn delete_version(&self, name: &str, version: u64) -> Result<()>;
}

/// A model to store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelEntry {
    /// The model's name.
    pub name: String,
    /// The model.
    pub model: Model,
    /// The experiment run that made it.
    pub run_id: Option<String>,
    /// Its measurements.
    pub metrics: BTreeMap<String, f64>,
    /// Notes.
    pub tags: BTreeMap<String, String>,
}

impl ModelEntry {
    /// Store `model` as `name`.
    pub fn new(name: impl Into<String>, model: Model) -> Self {
        ModelEntry { name: name.into(), model, run_id: None, metrics: BTreeMap::new(), tags: BTreeMap::new() }
    }

    /// Sets the experiment run that made it.
    #[must_use]
    pub fn run_id(mut self, run: impl Into<String>) -> Self {
        self.run_id = Some(run.into());
        self
    }

    /// Sets its measurements.
    #[must_use]
    pub fn metrics(mut self, metrics: BTreeMap<String, f64>) -> Self {
        self.metrics = metrics;
        self
    }
}

/// Which version of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionRef {
    /// The newest.
    Latest,
    /// This one.
    Number(u64),
    /// The one that the alias points at.
    Alias(String),
}

/// The record of a stored version.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ModelVersion {
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: u64,
    /// When it was stored.
    pub created: SystemTime,
    /// The SHA-256 of the model's bytes, in hexadecimal.
    pub sha256: String,
    /// The experiment run that made it.
    pub run_id: Option<String>,
    /// Its measurements.
    pub metrics: BTreeMap<String, f64>,
    /// Notes.
    pub tags: BTreeMap<String, String>,
    /// The aliases that point at it, sorted.
    pub aliases: Vec<String>,
}

impl ModelVersion {
    /// A record without measurements, notes and aliases.
    pub fn new(name: impl Into<String>, version: u64, created: SystemTime, sha256: impl Into<String>) -> Self {
        ModelVersion {
            name: name.into(),
            version,
            created,
            sha256: sha256.into(),
            run_id: None,
            metrics: BTreeMap::new(),
            tags: BTreeMap::new(),
            aliases: Vec::new(),
        }
    }
}
