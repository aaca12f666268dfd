//! Experiment tracking in a SQLite database and a folder of files.
//!
//! ```yaml
//! plugins:
//!   - type: experiment_tracker
//!     name: local
//!     config:
//!       path: mlruns
//!       busy_timeout: 10s
//! ```
//!
//! Several processes may use one folder at once, on a local disk: SQLite's write-ahead log, which lets them read
//! while one writes, needs memory that they share, and does not work on a network file system.
//!
//! # What survives what
//! Whatever a method recorded survives the end of the process, also by a crash. [`end_run`](ExperimentTracker::end_run)
//! syncs the log to the disk, and with it everything recorded before by any process; that survives a power failure.
//! (`PRAGMA synchronous` is `FULL` for the commit of `end_run` and `NORMAL` for the others, which saves a sync of the
//! disk for each metric.) Artifacts are synced when they are stored, and appear whole or not at all.
//!
//! # What is stored where
//! `tracking.db` has these tables; their version is `PRAGMA user_version`, now 2; older ones are brought up to
//! date, later ones refused. Times are nanoseconds since 1970 in UTC. To copy runs to another tracker, read the runs with `seq` greater than the last
//! one copied, then for each run what has its `seq` in the column `run`.
//!
//! | table | columns |
//! |---|---|
//! | `runs` | `seq` counts runs in the order they began; `id`, `experiment`, `name`, `status` (`running`, `finished`, `failed`, `cancelled`), `started`, `ended` (null until then) |
//! | `parameters` | `run`, `name`, `value` |
//! | `tags` | `run`, `name`, `value` |
//! | `datasets` | `run`, `name`, `digest`, `source`, `context` |
//! | `metrics` | `seq` counts values in the order they were recorded; `run`, `name`, `value` (null for NaN, which SQLite does not have), `step`, `time` |
//!
//! `artifacts/<run id>/<path>` are the artifacts, and `partial/` holds files while they are written. A run's id is 128
//! random bits of the operating system in hexadecimal.
//!
//! # What it does not do
//! It has no web page, and does not delete. A search reads all runs of the experiments. Parameters, metrics and tags are also taken after the end of a
//! run; a second `end_run` replaces the state and the time of the first.

mod schema;
#[cfg(test)]
mod tests;

use super::{artifacts::Artifacts, record};
use crate::{
    random::random_id,
    storage::{Database, Fault, Partial, blocking, nanoseconds, time},
};
use mlx_core::prelude::*;
use rusqlite::{OptionalExtension, Row, Transaction};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, SystemTime},
};

/// Settings of the local experiment tracker.
#[derive(PluginConfig)]
pub struct LocalConfig {
    /// The folder for the database and the artifacts; it is made if there is none.
    #[config(default = PathBuf::from("mlruns"))]
    pub path: PathBuf,
    /// How long to wait while another process writes.
    #[config(default = Duration::from_secs(10))]
    pub busy_timeout: Duration,
}

/// Records runs in a SQLite database and their artifacts in a folder.
#[mlx_plugin(
    type = "experiment_tracker",
    name = "local",
    capabilities = ["parameters", "metrics", "tags", "artifacts", "datasets", "search"],
    swap = "overlap",
    stability = "beta"
)]
pub struct LocalTracker {
    database: Database,
    artifacts: Artifacts,
}

#[async_trait]
impl Plugin for LocalTracker {
    type Config = LocalConfig;

    async fn initialize(config: LocalConfig, _: &InitContext) -> Result<Self> {
        blocking(move || {
            let path = std::path::absolute(&config.path)
                .with_context(|| format!("the folder {:?}", config.path.display().to_string()))?;
            let artifacts = Artifacts::open(&path)?;
            let database = Database::open(path.join("tracking.db"), config.busy_timeout, &schema::SCHEMA)?;
            Ok(LocalTracker { database, artifacts })
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
        let folder = self.artifacts.partial().to_owned();
        Ok(match blocking(move || Partial::write(&folder, b"health")).await {
            Ok(_) => Health::healthy(),
            Err(error) => Health::unhealthy(error.to_string()),
        })
    }
}

#[async_trait]
impl ExperimentTracker for LocalTracker {
    async fn start_run(&self, run: NewRun) -> Result<Run> {
        record::check_new(&run)?;
        let mut run = Run::new(random_id()?, run, SystemTime::now());
        run.location = self.artifacts.folder(&run.id).display().to_string();
        let started = nanoseconds(run.started)?;
        self.database
            .write(move |transaction| {
                transaction
                    .prepare_cached("INSERT INTO runs (id, experiment, name, started) VALUES (?1, ?2, ?3, ?4)")?
                    .execute((&run.id, &run.experiment, &run.name, started))?;
                set_tags(transaction, transaction.last_insert_rowid(), &run.tags)?;
                Ok(run)
            })
            .await
    }

    async fn log_params(&self, run: &str, parameters: BTreeMap<String, String>) -> Result<()> {
        record::check_names("a parameter", parameters.keys())?;
        let run = run.to_owned();
        self.database
            .write(move |transaction| {
                let seq = find(transaction, &run)?;
                let mut insert =
                    transaction.prepare_cached("INSERT INTO parameters VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
                let mut recorded =
                    transaction.prepare_cached("SELECT value FROM parameters WHERE run = ?1 AND name = ?2")?;
                for (name, value) in &parameters {
                    if insert.execute((seq, name, value))? == 0 {
                        let old: String = recorded.query_row((seq, name), |row| row.get(0))?;
                        if old != *value {
                            return Err(record::changed_parameter(&run, name, &old, value).into());
                        }
                    }
                }
                Ok(())
            })
            .await
    }

    async fn log_metrics(&self, run: &str, metrics: Vec<Metric>) -> Result<()> {
        record::check_names("a metric", metrics.iter().map(|metric| &metric.name))?;
        let run = run.to_owned();
        self.database
            .write(move |transaction| {
                let seq = find(transaction, &run)?;
                let mut insert = transaction
                    .prepare_cached("INSERT INTO metrics (run, name, value, step, time) VALUES (?1, ?2, ?3, ?4, ?5)")?;
                for metric in &metrics {
                    let value = (!metric.value.is_nan()).then_some(metric.value);
                    insert.execute((seq, &metric.name, value, metric.step, nanoseconds(metric.time)?))?;
                }
                Ok(())
            })
            .await
    }

    async fn set_tags(&self, run: &str, tags: BTreeMap<String, String>) -> Result<()> {
        record::check_names("a tag", tags.keys())?;
        let run = run.to_owned();
        self.database.write(move |transaction| set_tags(transaction, find(transaction, &run)?, &tags)).await
    }

    async fn log_artifact(&self, run: &str, path: &str, contents: Vec<u8>) -> Result<()> {
        self.check_run(run).await?;
        let (artifacts, run, path) = (self.artifacts.clone(), run.to_owned(), path.to_owned());
        blocking(move || artifacts.store(&run, &path, &contents)).await
    }

    async fn artifact(&self, run: &str, path: &str) -> Result<Vec<u8>> {
        self.check_run(run).await?;
        let (artifacts, run, path) = (self.artifacts.clone(), run.to_owned(), path.to_owned());
        blocking(move || artifacts.load(&run, &path)).await
    }

    async fn end_run(&self, run: &str, status: RunStatus) -> Result<()> {
        record::check_end(status)?;
        let (run, ended) = (run.to_owned(), nanoseconds(SystemTime::now())?);
        self.database
            .write_durably(move |transaction| {
                let seq = find(transaction, &run)?;
                transaction.prepare_cached("UPDATE runs SET status = ?2, ended = ?3 WHERE seq = ?1")?.execute((
                    seq,
                    record::status_word(status),
                    ended,
                ))?;
                Ok(())
            })
            .await
    }

    async fn run(&self, run: &str) -> Result<Run> {
        let (artifacts, run) = (self.artifacts.clone(), run.to_owned());
        self.database
            .read(move |transaction| {
                let seq = find(transaction, &run)?;
                let mut found = select(transaction, "WHERE seq = ?1", seq, &artifacts)?;
                found.pop().ok_or_else(|| record::unknown_run(&run).into())
            })
            .await
    }

    async fn runs(&self, experiment: &str) -> Result<Vec<Run>> {
        let (artifacts, experiment) = (self.artifacts.clone(), experiment.to_owned());
        self.database
            .read(move |transaction| {
                let found = select(transaction, "WHERE experiment = ?1 ORDER BY seq DESC", &experiment, &artifacts)?;
                if found.is_empty() { Err(record::unknown_experiment(&experiment).into()) } else { Ok(found) }
            })
            .await
    }

    async fn metric_history(&self, run: &str, name: &str) -> Result<Vec<Metric>> {
        let (run, name) = (run.to_owned(), name.to_owned());
        self.database
            .read(move |transaction| {
                let seq = find(transaction, &run)?;
                let mut query = transaction.prepare_cached(
                    "SELECT value, step, time FROM metrics WHERE run = ?1 AND name = ?2 ORDER BY seq",
                )?;
                let metrics = query.query_map((seq, &name), |row| {
                    Ok(Metric { name: name.clone(), value: value(row, 0)?, step: row.get(1)?, time: time(row.get(2)?) })
                })?;
                Ok(metrics.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn log_dataset(&self, run: &str, dataset: Dataset) -> Result<()> {
        record::check_dataset(&dataset)?;
        let run = run.to_owned();
        self.database
            .write(move |transaction| {
                let seq = find(transaction, &run)?;
                let Dataset { name, digest, source, context, .. } = dataset;
                transaction
                    .prepare_cached("INSERT INTO datasets VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING")?
                    .execute((seq, name, digest, source, context))?;
                Ok(())
            })
            .await
    }
}

impl LocalTracker {
    async fn check_run(&self, run: &str) -> Result<()> {
        let run = run.to_owned();
        self.database.read(move |transaction| find(transaction, &run).map(|_| ())).await
    }
}

/// The number of a run.
fn find(transaction: &Transaction<'_>, run: &str) -> Result<i64, Fault> {
    let seq = transaction
        .prepare_cached("SELECT seq FROM runs WHERE id = ?1")?
        .query_row([run], |row| row.get(0))
        .optional()?;
    seq.ok_or_else(|| record::unknown_run(run).into())
}

fn set_tags(transaction: &Transaction<'_>, seq: i64, tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    let mut set = transaction.prepare_cached("INSERT OR REPLACE INTO tags VALUES (?1, ?2, ?3)")?;
    for (name, value) in tags {
        set.execute((seq, name, value))?;
    }
    Ok(())
}

/// The runs that match, with all that is recorded of them.
fn select(
    transaction: &Transaction<'_>,
    matching: &str,
    key: impl rusqlite::ToSql,
    artifacts: &Artifacts,
) -> Result<Vec<Run>, Fault> {
    let mut query = transaction
        .prepare_cached(&format!("SELECT seq, id, experiment, name, status, started, ended FROM runs {matching}"))?;
    let mut rows = query.query([key])?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let new = NewRun::new(row.get::<_, String>(2)?, row.get::<_, String>(3)?);
        let mut run = Run::new(row.get::<_, String>(1)?, new, time(row.get(5)?));
        run.status = record::status(&row.get::<_, String>(4)?)?;
        run.ended = row.get::<_, Option<i64>>(6)?.map(time);
        run.parameters = pairs(transaction, "SELECT name, value FROM parameters WHERE run = ?1", seq)?;
        run.tags = pairs(transaction, "SELECT name, value FROM tags WHERE run = ?1", seq)?;
        run.metrics = last_metrics(transaction, seq)?;
        run.datasets = datasets(transaction, seq)?;
        run.artifacts = artifacts.list(&run.id)?;
        run.location = artifacts.folder(&run.id).display().to_string();
        runs.push(run);
    }
    Ok(runs)
}

fn pairs(transaction: &Transaction<'_>, query: &str, seq: i64) -> Result<BTreeMap<String, String>, Fault> {
    let mut query = transaction.prepare_cached(query)?;
    let pairs = query.query_map([seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(pairs.collect::<rusqlite::Result<_>>()?)
}

fn datasets(transaction: &Transaction<'_>, seq: i64) -> Result<Vec<Dataset>, Fault> {
    let mut query = transaction
        .prepare_cached("SELECT name, digest, source, context FROM datasets WHERE run = ?1 ORDER BY name, digest")?;
    let datasets = query.query_map([seq], |row| {
        let dataset = Dataset::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?);
        Ok(dataset.source(row.get::<_, String>(2)?).context(row.get::<_, String>(3)?))
    })?;
    Ok(datasets.collect::<rusqlite::Result<_>>()?)
}

/// The last value of each metric. The query jumps from name to name in the index, so its cost depends on the number
/// of metrics and not on that of their values.
fn last_metrics(transaction: &Transaction<'_>, seq: i64) -> Result<BTreeMap<String, f64>, Fault> {
    let mut query = transaction.prepare_cached(
        "WITH RECURSIVE names (name) AS (
             SELECT min(name) FROM metrics WHERE run = ?1
             UNION ALL
             SELECT (SELECT min(name) FROM metrics WHERE run = ?1 AND name > names.name)
             FROM names WHERE names.name IS NOT NULL
         )
         SELECT name, (SELECT value FROM metrics WHERE run = ?1 AND name = names.name ORDER BY seq DESC LIMIT 1)
         FROM names WHERE name IS NOT NULL",
    )?;
    let metrics = query.query_map([seq], |row| Ok((row.get(0)?, value(row, 1)?)))?;
    Ok(metrics.collect::<rusqlite::Result<_>>()?)
}

/// A metric's value; SQLite turns NaN into null.
fn value(row: &Row<'_>, column: usize) -> rusqlite::Result<f64> {
    Ok(row.get::<_, Option<f64>>(column)?.unwrap_or(f64::NAN))
}
