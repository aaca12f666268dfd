//! A model registry in a SQLite database and a folder of files.
//!
//! ```yaml
//! plugins:
//!   - type: model_registry
//!     name: local
//!     config:
//!       path: mlmodels
//!       busy_timeout: 10s
//! ```
//!
//! Several processes may use one folder at once, on a local disk: SQLite's write-ahead log, which lets them read
//! while one writes, needs memory that they share, and does not work on a network file system.
//!
//! # What is stored where
//! `blobs/<sha256>` are the bytes of models, named after their checksum, so equal models are stored once. Loading
//! computes the checksum anew: a byte that changed on the disk is an error, not a wrong prediction.
//!
//! `registry.db` has the records; the version of its tables is `PRAGMA user_version`, now 1, and a later one is
//! refused. Times are nanoseconds since 1970 in UTC; `features`, `classes`, `metadata` and `tags` are JSON.
//!
//! | table | columns |
//! |---|---|
//! | `models` | `id`, `name`, `last` (the highest version given so far, also to one that is deleted) |
//! | `versions` | `model`, `version`, `created`, `sha256`, `size` (bytes), `format`, `features`, `target`, `classes`, `metadata`, `tags`, `run` |
//! | `metrics` | `model`, `version`, `name`, `value` (null for NaN, which SQLite does not have) |
//! | `aliases` | `model`, `alias`, `version` |
//!
//! # What survives what
//! A change is on the disk when its method returns, and survives a power failure. The bytes of a model get their
//! name before its record is written, and lose it after: a crash may leave bytes that no record names, in `blobs`
//! or `partial`, which only take room, and never a record without its bytes.
//!
//! # What it does not do
//! It has no stages beside aliases, no rights, and keeps a whole model in memory while it is stored or loaded.

mod blobs;
mod schema;
#[cfg(test)]
mod tests;

use self::blobs::Blobs;
use super::record::{checksum, missing, unknown_model};
use crate::storage::{Database, Fault, Partial, blocking, nanoseconds, time};
use mlx_core::prelude::*;
use rusqlite::{OptionalExtension, Row, Transaction};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, SystemTime},
};

/// Settings of the local model registry.
#[derive(PluginConfig)]
pub struct LocalConfig {
    /// The folder for the database and the models; it is made if there is none.
    #[config(default = PathBuf::from("mlmodels"))]
    pub path: PathBuf,
    /// How long to wait while another process writes.
    #[config(default = Duration::from_secs(10))]
    pub busy_timeout: Duration,
}

/// Keeps versions of models in a folder, with their records in a SQLite database.
#[mlx_plugin(
    type = "model_registry",
    name = "local",
    capabilities = ["versioning", "aliases", "artifacts"],
    swap = "overlap",
    stability = "beta"
)]
pub struct LocalRegistry {
    database: Database,
    blobs: Blobs,
}

#[async_trait]
impl Plugin for LocalRegistry {
    type Config = LocalConfig;

    async fn initialize(config: LocalConfig, _: &InitContext) -> Result<Self> {
        blocking(move || {
            let path = std::path::absolute(&config.path)
                .with_context(|| format!("the folder {:?}", config.path.display().to_string()))?;
            let blobs = Blobs::open(&path)?;
            let database = Database::open(path.join("registry.db"), config.busy_timeout, &schema::SCHEMA)?;
            Ok(LocalRegistry { database, blobs })
        })
        .await
    }

    async fn health(&self) -> Result<Health> {
        if let Err(error) = self.database.check_writable().await {
            return Ok(match error.kind().is_transient() {
                true => Health::degraded(error.to_string()),
                false => Health::unhealthy(error.to_string()),
            });
        }
        let folder = self.blobs.partial().to_owned();
        Ok(match blocking(move || Partial::write(&folder, b"health")).await {
            Ok(_) => Health::healthy(),
            Err(error) => Health::unhealthy(error.to_string()),
        })
    }
}

#[async_trait]
impl ModelRegistry for LocalRegistry {
    async fn register(&self, entry: ModelEntry) -> Result<ModelVersion> {
        if entry.name.is_empty() {
            return Err(Error::invalid("the name of a model is empty"));
        }
        let blobs = self.blobs.clone();
        // Hashing and writing take long with a large model, so they come before the transaction.
        let (entry, sha256, partial) = blocking(move || {
            let sha256 = checksum(&entry.model.bytes);
            let partial = blobs.write(&entry.model.bytes)?;
            Ok((entry, sha256, partial))
        })
        .await?;
        let blobs = self.blobs.clone();
        self.database
            .write_durably(move |transaction| {
                blobs.publish(partial, &sha256)?;
                insert(transaction, entry, sha256)
            })
            .await
    }

    async fn version(&self, name: &str, version: VersionRef) -> Result<ModelVersion> {
        let name = name.to_owned();
        self.database.read(move |transaction| record(transaction, &name, &version)).await
    }

    async fn load(&self, name: &str, version: VersionRef) -> Result<Model> {
        let owned = name.to_owned();
        let (found, mut model) = self
            .database
            .read(move |transaction| {
                let found = record(transaction, &owned, &version)?;
                let model = model(transaction, &found)?;
                Ok((found, model))
            })
            .await?;
        let (blobs, sha256) = (self.blobs.clone(), found.sha256.clone());
        if let Some(bytes) = blocking(move || blobs.read(&sha256)).await? {
            model.bytes = bytes;
            return Ok(model);
        }
        // Either it was deleted a moment ago, or the file is lost.
        self.version(name, VersionRef::Number(found.version)).await?;
        Err(Error::failed(format!(
            "{} is missing: it holds version {} of the model {name:?}; bring it back from a copy",
            self.blobs.path(&found.sha256).display(),
            found.version
        )))
    }

    async fn models(&self) -> Result<Vec<String>> {
        self.database
            .read(|transaction| {
                let mut query = transaction
                    .prepare_cached("SELECT name FROM models WHERE id IN (SELECT model FROM versions) ORDER BY name")?;
                Ok(query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn versions(&self, name: &str) -> Result<Vec<ModelVersion>> {
        let name = name.to_owned();
        self.database
            .read(move |transaction| {
                let found = records(transaction, &name, None)?;
                if found.is_empty() { Err(unknown_model(&name).into()) } else { Ok(found) }
            })
            .await
    }

    async fn set_alias(&self, name: &str, alias: &str, version: u64) -> Result<()> {
        if alias.is_empty() {
            return Err(Error::invalid("the name of an alias is empty"));
        }
        let (name, alias) = (name.to_owned(), alias.to_owned());
        self.database
            .write_durably(move |transaction| {
                let found = record(transaction, &name, &VersionRef::Number(version))?;
                transaction.execute(
                    "INSERT OR REPLACE INTO aliases SELECT id, ?2, ?3 FROM models WHERE name = ?1",
                    (&name, &alias, signed(found.version)),
                )?;
                Ok(())
            })
            .await
    }

    async fn delete_version(&self, name: &str, version: u64) -> Result<()> {
        let (owned, blobs) = (name.to_owned(), self.blobs.clone());
        let sha256 = self
            .database
            .write_durably(move |transaction| {
                let found = record(transaction, &owned, &VersionRef::Number(version))?;
                transaction.execute(
                    "DELETE FROM versions WHERE model = (SELECT id FROM models WHERE name = ?1) AND version = ?2",
                    (&owned, signed(version)),
                )?;
                Ok(found.sha256)
            })
            .await?;
        // In a second transaction, because a crash must not leave the record without the bytes; in a transaction,
        // because meanwhile another version may be registered that has the same bytes.
        self.database
            .write(move |transaction| {
                let used = transaction.prepare_cached("SELECT 1 FROM versions WHERE sha256 = ?1")?.exists([&sha256])?;
                if used { Ok(()) } else { Ok(blobs.remove(&sha256)?) }
            })
            .await
            .with_context(|| format!("version {version} of the model {name:?} is deleted, but not its bytes"))
    }
}

fn insert(transaction: &Transaction<'_>, entry: ModelEntry, sha256: String) -> Result<ModelVersion, Fault> {
    let created = SystemTime::now();
    let (model, last): (i64, i64) = transaction.query_row(
        "INSERT INTO models (name, last) VALUES (?1, 1) ON CONFLICT DO UPDATE SET last = last + 1 RETURNING id, last",
        [&entry.name],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Model { format, bytes, signature, metadata } = &entry.model;
    transaction
        .prepare_cached("INSERT INTO versions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?
        .execute((
            model,
            last,
            nanoseconds(created)?,
            &sha256,
            i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            format,
            serde_json::to_string(&signature.features)?,
            &signature.target,
            serde_json::to_string(&signature.classes)?,
            serde_json::to_string(metadata)?,
            serde_json::to_string(&entry.tags)?,
            &entry.run_id,
        ))?;
    let mut insert = transaction.prepare_cached("INSERT INTO metrics VALUES (?1, ?2, ?3, ?4)")?;
    for (name, value) in &entry.metrics {
        insert.execute((model, last, name, (!value.is_nan()).then_some(value)))?;
    }
    let mut version = ModelVersion::new(entry.name, unsigned(last), created, sha256);
    version.run_id = entry.run_id;
    version.metrics = entry.metrics;
    version.tags = entry.tags;
    Ok(version)
}

/// The record of one version.
fn record(transaction: &Transaction<'_>, name: &str, version: &VersionRef) -> Result<ModelVersion, Fault> {
    let found: Option<i64> = match version {
        VersionRef::Latest => transaction
            .prepare_cached("SELECT max(version) FROM versions v JOIN models m ON v.model = m.id WHERE name = ?1")?
            .query_row([name], |row| row.get(0))?,
        VersionRef::Number(number) => Some(signed(*number)),
        VersionRef::Alias(alias) => transaction
            .prepare_cached(
                "SELECT version FROM aliases a JOIN models m ON a.model = m.id WHERE name = ?1 AND alias = ?2",
            )?
            .query_row([name, alias], |row| row.get(0))
            .optional()?,
    };
    let record = match found {
        Some(found) => records(transaction, name, Some(found))?.pop(),
        None => None,
    };
    match record {
        Some(record) => Ok(record),
        None => Err(missing(name, version, &records(transaction, name, None)?).into()),
    }
}

/// The records of one version or of all, the newest first.
fn records(transaction: &Transaction<'_>, name: &str, version: Option<i64>) -> Result<Vec<ModelVersion>, Fault> {
    let mut query = transaction.prepare_cached(
        "SELECT model, version, created, sha256, run, tags FROM versions v JOIN models m ON v.model = m.id
         WHERE name = ?1 AND (?2 IS NULL OR version = ?2) ORDER BY version DESC",
    )?;
    let mut metrics =
        transaction.prepare_cached("SELECT name, value FROM metrics WHERE model = ?1 AND version = ?2")?;
    let mut aliases =
        transaction.prepare_cached("SELECT alias FROM aliases WHERE model = ?1 AND version = ?2 ORDER BY alias")?;
    let mut rows = query.query((name, version))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let key: (i64, i64) = (row.get(0)?, row.get(1)?);
        let mut record = ModelVersion::new(name, unsigned(key.1), time(row.get(2)?), row.get::<_, String>(3)?);
        record.run_id = row.get(4)?;
        record.tags = serde_json::from_str(&row.get::<_, String>(5)?)?;
        let values = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, Option<f64>>(1)?.unwrap_or(f64::NAN)));
        record.metrics = metrics.query_map(key, values)?.collect::<rusqlite::Result<BTreeMap<_, _>>>()?;
        record.aliases = aliases.query_map(key, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        records.push(record);
    }
    Ok(records)
}

/// The model of a version, without its bytes.
fn model(transaction: &Transaction<'_>, version: &ModelVersion) -> Result<Model, Fault> {
    let mut query = transaction.prepare_cached(
        "SELECT format, features, target, classes, metadata FROM versions v JOIN models m ON v.model = m.id
         WHERE name = ?1 AND version = ?2",
    )?;
    let mut rows = query.query((&version.name, signed(version.version)))?;
    let Some(row) = rows.next()? else { return Err(unknown_model(&version.name).into()) };
    let signature = ModelSignature {
        features: serde_json::from_str(&row.get::<_, String>(1)?)?,
        target: row.get(2)?,
        classes: serde_json::from_str(&row.get::<_, String>(3)?)?,
    };
    Ok(Model {
        format: row.get(0)?,
        bytes: Vec::new(),
        signature,
        metadata: serde_json::from_str(&row.get::<_, String>(4)?)?,
    })
}

/// Versions count from 1, so what SQLite cannot count names none.
fn signed(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(0)
}

fn unsigned(version: i64) -> u64 {
    version.unsigned_abs()
}
