//! `files`: CSV, Parquet and JSON files as tables that SQL can query and join.
//!
//! ```yaml
//! plugins:
//!   - type: data_source
//!     name: files
//!     config:
//!       tables:
//!         samples: {path: data/breast_cancer.csv}
//!         sites: {path: data/sites.txt, format: csv, delimiter: ";", null_values: ["", "n/a"]}
//!         events: {path: data/events.jsonl}
//! ```
//!
//! Every file is checked when the plugin starts, so that a missing file or a malformed line is known then, with its
//! line and column. A table is loaded into a SQLite database in memory at the first query that reads it, and again
//! when the file's length or time of change differs. SQL is SQLite's; results have the types of its columns
//! (`Int64` for every integer), while [`table_schema`](DataSource::table_schema) tells those of the file.
//!
//! The types of CSV columns are inferred from the whole file, and a column that holds anything else is text. Nested
//! JSON values become JSON text, for `json_extract` and `json_each`.
//!
//! The files are never written to, and queries can neither change the tables nor reach other files. Tables live in
//! memory: this is for files that fit there.

mod csv;
mod json;
mod parquet;
#[cfg(test)]
mod tests;

use crate::sqlite_arrow::{Connections, Deadline, allow_everything, allow_queries, query, run, write};
use mlx_core::{
    Error,
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    diagnostics::listing,
    prelude::*,
};
use rusqlite::Connection;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// Settings of tables that are files.
#[derive(Clone, Debug, PluginConfig)]
pub struct FilesConfig {
    /// The tables by name.
    #[config(non_empty, validate = check_names)]
    pub tables: BTreeMap<String, TableConfig>,
    /// Queries at the same time.
    #[config(default = 4, range(1..=64))]
    pub connections: u32,
    /// Time after which a query is cancelled. The time to load a table is counted apart.
    #[config(default = Duration::from_secs(30))]
    pub timeout: Duration,
    /// Time after which loading the tables of a query is given up.
    #[config(default = Duration::from_secs(300))]
    pub load_timeout: Duration,
}

/// One file as a table.
#[derive(Clone, Debug, PluginConfig)]
#[config(validate = TableConfig::check)]
pub struct TableConfig {
    /// The file.
    pub path: PathBuf,
    /// How it is written; by default what the extension says: `csv`, `tsv`, `parquet`, `pq`, `json`, `jsonl` or
    /// `ndjson`.
    pub format: Option<FileFormat>,
    /// CSV: whether the first line names the columns. Without names they are `column_1`, `column_2` and so on.
    #[config(default = true)]
    pub header: bool,
    /// CSV: what separates values; by default a comma, and a tab in a `.tsv` file.
    pub delimiter: Option<char>,
    /// CSV: the texts that mean a missing value.
    #[config(default = vec![String::new()])]
    pub null_values: Vec<String>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PluginConfig)]
#[config(rename_all = "snake_case")]
pub enum FileFormat {
    /// Lines of separated values, quoted as in RFC 4180.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// JSON objects, one a line or in one array.
    Json,
}

fn check_names(tables: &BTreeMap<String, TableConfig>) -> Result<(), String> {
    let mut seen = HashSet::new();
    for name in tables.keys() {
        if name.is_empty() || name.contains('\0') || name.to_ascii_lowercase().starts_with("sqlite_") {
            return Err(format!("`{name}` cannot be the name of a table"));
        }
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(format!("two tables are called `{name}`: SQL ignores case"));
        }
    }
    Ok(())
}

impl TableConfig {
    fn check(&self) -> Result<(), String> {
        if let Some(delimiter) = self.delimiter.filter(|c| !c.is_ascii() || matches!(c, '"' | '\n' | '\r')) {
            return Err(format!(
                "{delimiter:?} cannot separate values: expected an ASCII character other than a quote"
            ));
        }
        self.file_format().map(|_| ())
    }

    fn extension(&self) -> String {
        self.path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
    }

    fn file_format(&self) -> Result<FileFormat, String> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        match self.extension().as_str() {
            "csv" | "tsv" => Ok(FileFormat::Csv),
            "parquet" | "pq" => Ok(FileFormat::Parquet),
            "json" | "jsonl" | "ndjson" => Ok(FileFormat::Json),
            _ => Err(format!(
                "the name of `{}` does not tell its format: set `format` to `csv`, `parquet` or `json`",
                self.path.display()
            )),
        }
    }
}

/// The batches of a file.
type Batches = Box<dyn Iterator<Item = Result<RecordBatch>>>;

/// CSV, Parquet and JSON files as tables.
#[mlx_plugin(
    type = "data_source",
    name = "files",
    capabilities = ["sql", "bind_parameters", "catalog", "csv", "parquet", "json"],
    data_formats = ["csv", "parquet", "json", "arrow"],
    stability = "beta"
)]
pub struct Files {
    tables: Arc<BTreeMap<String, Table>>,
    connections: Arc<Connections>,
    timeout: Duration,
    load_timeout: Duration,
}

#[async_trait]
impl Plugin for Files {
    type Config = FilesConfig;

    async fn initialize(config: FilesConfig, _: &InitContext) -> Result<Self> {
        let FilesConfig { tables, connections, timeout, load_timeout } = config;
        let invalid = |message| Error::invalid(format!("tables: {message}"));
        check_names(&tables).map_err(invalid)?;
        let (tables, connections) = run(load_timeout, move |deadline| {
            let connections = Connections::in_memory(connections, load_timeout)?;
            let tables = tables
                .into_iter()
                .map(|(name, config)| {
                    deadline.check()?;
                    config.check().map_err(|message| invalid(format!("{name}: {message}")))?;
                    let table = Table::check(config).with_context(|| format!("the table `{name}`"))?;
                    Ok((name, table))
                })
                .collect::<Result<BTreeMap<String, Table>>>()?;
            Ok((Arc::new(tables), connections))
        })
        .await?;
        let files = Files { tables, connections, timeout, load_timeout };
        // Empty tables stand for the files until these are read: SQLite can tell which of them a query needs.
        let tables = files.tables.clone();
        let stand_in = move |connection: &mut Connection, deadline: &Arc<Deadline>| {
            tables.iter().try_for_each(|(name, table)| {
                let schema = table.state().schema.clone();
                write(connection, name, &schema, [], WriteMode::Create, deadline)
                    .map(|_| ())
                    .with_context(|| format!("the table `{name}`"))
            })
        };
        files.connections.run(load_timeout, stand_in).await?;
        Ok(files)
    }

    async fn health(&self) -> Result<Health> {
        let tables = self.tables.clone();
        run(self.timeout, move |_| {
            let gone: Vec<&str> = tables
                .iter()
                .filter(|(_, table)| Stamp::of(&table.config.path).is_err())
                .map(|(name, _)| name.as_str())
                .collect();
            let health = match gone.len() {
                0 => Health::healthy(),
                n if n < tables.len() => Health::degraded(format!("the files of {} cannot be read", listing(gone))),
                _ => Health::unhealthy("no file can be read"),
            };
            let loaded = tables.values().filter(|table| table.state().loaded).count();
            Ok(health.detail("tables", tables.len()).detail("loaded", loaded))
        })
        .await
    }

    async fn shutdown(&self) -> Result<()> {
        drop(self.connections.close().await);
        Ok(())
    }
}

#[async_trait]
impl DataSource for Files {
    async fn connect(&self) -> Result<ConnectionInfo> {
        let health = Plugin::health(self).await?;
        if !health.is_healthy() {
            return Err(Error::unavailable(health.message));
        }
        let names = listing(self.tables.keys().map(String::as_str));
        Ok(ConnectionInfo::new("files in SQLite", rusqlite::version(), names))
    }

    async fn query(&self, sql: &str) -> Result<DataFrame> {
        self.query_with(sql, Vec::new()).await
    }

    async fn query_with(&self, sql: &str, parameters: Vec<serde_json::Value>) -> Result<DataFrame> {
        let (tables, text) = (self.tables.clone(), sql.to_owned());
        self.connections
            .run(self.load_timeout, move |connection, deadline| load_needed(&tables, connection, &text, deadline))
            .await?;
        let sql = sql.to_owned();
        self.connections
            .run(self.timeout, move |connection, deadline| {
                allow_queries(connection, |_| ())?;
                let result = query(connection, &sql, &parameters, deadline);
                allow_everything(connection)?;
                result
            })
            .await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        Ok(self.tables.keys().cloned().collect())
    }

    async fn table_schema(&self, table: &str) -> Result<SchemaRef> {
        let Some(name) = self.tables.keys().find(|name| name.eq_ignore_ascii_case(table)).cloned() else {
            let known = listing(self.tables.keys().map(String::as_str));
            return Err(Error::not_found(format!("there is no table `{table}`; there are {known}")));
        };
        let tables = self.tables.clone();
        self.connections
            .run(self.load_timeout, move |connection, deadline| {
                let Some(table) = tables.get(&name) else { return Err(Error::not_found(name)) };
                if table.state().stamp != Stamp::of(&table.config.path)? {
                    table.load(&name, connection, deadline)?;
                }
                let schema = table.state().schema.clone();
                Ok(schema)
            })
            .await
    }
}

/// Loads the tables that a query reads and that are not loaded, or not as their files are now.
fn load_needed(
    tables: &BTreeMap<String, Table>,
    connection: &mut Connection,
    sql: &str,
    deadline: &Arc<Deadline>,
) -> Result<()> {
    // A changed file may have other columns, which SQLite must know before it can read the query. That a table is
    // mentioned does not mean that it is read: a failure counts only below.
    let text = sql.to_ascii_lowercase();
    for (name, table) in tables {
        let mentioned = name.contains('"') || text.contains(&name.to_ascii_lowercase());
        if mentioned && table.state().stamp != Stamp::of(&table.config.path).unwrap_or_default() {
            let _ = table.load(name, connection, deadline);
        }
    }
    let read = Arc::new(Mutex::new(BTreeSet::new()));
    let reads = read.clone();
    allow_queries(connection, move |table| {
        reads.lock().unwrap_or_else(PoisonError::into_inner).insert(table.to_owned());
    })?;
    // What is wrong with the query is reported when it is run.
    drop(connection.prepare(sql));
    allow_everything(connection)?;
    let read = std::mem::take(&mut *read.lock().unwrap_or_else(PoisonError::into_inner));
    for (name, table) in tables.iter().filter(|(name, _)| read.contains(*name)) {
        table.load(name, connection, deadline).with_context(|| format!("loading the table `{name}`"))?;
    }
    Ok(())
}

struct Table {
    config: TableConfig,
    state: Mutex<State>,
}

/// What is known of a table's file.
struct State {
    /// The file when it was last read.
    stamp: Stamp,
    schema: SchemaRef,
    /// Whether its rows are in the database; else only its columns are.
    loaded: bool,
}

/// Tells whether a file is still the one that was read.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl Stamp {
    fn of(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?;
        if !metadata.is_file() {
            return Err(Error::invalid(format!("{} is not a file", path.display())));
        }
        Ok(Stamp { modified: metadata.modified().ok(), length: metadata.len() })
    }
}

impl Table {
    /// Reads as much of the file as is needed to know its columns and that it is well-formed.
    fn check(config: TableConfig) -> Result<Self> {
        let stamp = Stamp::of(&config.path)?;
        let schema = config.schema()?;
        Ok(Table { config, state: Mutex::new(State { stamp, schema, loaded: false }) })
    }

    /// Brings the rows into the database, unless they are there and the file has not changed.
    fn load(&self, name: &str, connection: &mut Connection, deadline: &Deadline) -> Result<()> {
        // Held while loading: whoever else needs the table waits.
        let mut state = self.state();
        let stamp = Stamp::of(&self.config.path)?;
        if state.loaded && state.stamp == stamp {
            return Ok(());
        }
        let schema = if state.stamp == stamp { state.schema.clone() } else { self.config.schema()? };
        let batches = self.config.batches(&schema)?;
        write(connection, name, &schema, batches, WriteMode::Replace, deadline)?;
        *state = State { stamp, schema, loaded: true };
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TableConfig {
    fn schema(&self) -> Result<SchemaRef> {
        match self.file_format().map_err(Error::invalid)? {
            FileFormat::Csv => csv::schema(self),
            FileFormat::Parquet => parquet::schema(&self.path),
            FileFormat::Json => Ok(json::read(&self.path)?.schema().clone()),
        }
    }

    fn batches(&self, schema: &SchemaRef) -> Result<Batches> {
        match self.file_format().map_err(Error::invalid)? {
            FileFormat::Csv => csv::batches(self, schema),
            FileFormat::Parquet => parquet::batches(&self.path),
            FileFormat::Json => Ok(Box::new(json::read(&self.path)?.into_batches().into_iter().map(Ok))),
        }
    }
}

fn open(path: &Path) -> Result<std::fs::File> {
    std::fs::File::open(path).with_context(|| format!("reading {}", path.display()))
}
