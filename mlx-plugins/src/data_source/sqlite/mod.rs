//! `sqlite`: a SQLite database, in a file or in memory. Needs no server; SQLite itself is compiled in.
//!
//! ```yaml
//! plugins:
//!   - type: data_source
//!     name: sqlite
//!     config:
//!       path: data/warehouse.db
//!       timeout: 10s
//! ```
//!
//! A file is opened in write-ahead mode, so that readers and a writer do not wait for each other. A query that is
//! past its deadline, or whose caller is gone, is stopped inside SQLite. Columns come back as their declared types
//! (`INTEGER`, `REAL`, `TEXT`, `BLOB`, `BOOLEAN`, `DATE`, `TIMESTAMP`) when every value agrees, else as the type
//! that holds all values.
//!
//! Each call is a transaction of its own; one that begins a transaction and leaves it open is rolled back and fails.
//! A database in memory is gone when the plugin stops, also when it is swapped for another.

use crate::sqlite_arrow::{Connections, Deadline, failure, open, query, table_schema, tables, write};
use mlx_core::{Error, arrow::datatypes::SchemaRef, prelude::*};
use rusqlite::{
    Connection, OpenFlags,
    hooks::{AuthAction, AuthContext, Authorization},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

#[cfg(test)]
mod tests;

/// The path that means a database in memory.
const MEMORY: &str = ":memory:";

/// Settings of a SQLite database.
#[derive(Clone, Debug, PluginConfig)]
pub struct SqliteConfig {
    /// The database file, or `:memory:`.
    pub path: PathBuf,
    /// Connections, and so queries at the same time.
    #[config(default = 4, range(1..=64))]
    pub connections: u32,
    /// Time after which a query is cancelled, and how long it waits for the locks of others.
    #[config(default = Duration::from_secs(30))]
    pub timeout: Duration,
    /// Refuse every change.
    #[config(default = false)]
    pub read_only: bool,
    /// Make the file, and the folder it is in, if there is none.
    #[config(default = true)]
    pub create: bool,
}

/// SQLite database in a file or in memory.
#[mlx_plugin(
    type = "data_source",
    name = "sqlite",
    capabilities = ["sql", "bind_parameters", "write", "catalog"],
    data_formats = ["arrow"],
    stability = "beta"
)]
pub struct Sqlite {
    connections: Arc<Connections>,
    config: SqliteConfig,
}

#[async_trait]
impl Plugin for Sqlite {
    type Config = SqliteConfig;

    async fn initialize(config: SqliteConfig, _: &InitContext) -> Result<Self> {
        let settings = config.clone();
        let connections = crate::sqlite_arrow::run(config.timeout, move |_| connect(settings)).await?;
        Ok(Sqlite { connections, config })
    }

    async fn health(&self) -> Result<Health> {
        self.run(|connection, deadline| query(connection, "select 1", &[], deadline)).await?;
        Ok(Health::healthy().detail("version", rusqlite::version()))
    }

    async fn shutdown(&self) -> Result<()> {
        let connections = self.connections.close().await;
        let checkpoint = self.config.path != Path::new(MEMORY) && !self.config.read_only;
        crate::sqlite_arrow::run(self.config.timeout, move |deadline| {
            let fail = |error| failure(error, deadline);
            if checkpoint && let Some(connection) = connections.first() {
                // A reader in another process may hold the log back: then the checkpoint is its business.
                connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).map_err(fail)?;
            }
            connections.into_iter().try_for_each(|connection| connection.close().map_err(|(_, error)| fail(error)))
        })
        .await
    }
}

#[async_trait]
impl DataSource for Sqlite {
    async fn connect(&self) -> Result<ConnectionInfo> {
        self.run(|connection, deadline| query(connection, "select 1", &[], deadline)).await?;
        Ok(ConnectionInfo::new("SQLite", rusqlite::version(), self.config.path.to_string_lossy()))
    }

    async fn query(&self, sql: &str) -> Result<DataFrame> {
        self.query_with(sql, Vec::new()).await
    }

    async fn query_with(&self, sql: &str, parameters: Vec<serde_json::Value>) -> Result<DataFrame> {
        let sql = sql.to_owned();
        self.run(move |connection, deadline| query(connection, &sql, &parameters, deadline)).await
    }

    async fn write(&self, table: &str, data: DataFrame, mode: WriteMode) -> Result<u64> {
        if self.config.read_only {
            return Err(Error::unsupported("the database is open for reading only; see its setting `read_only`"));
        }
        let table = table.to_owned();
        self.run(move |connection, deadline| {
            let schema = data.schema().clone();
            write(connection, &table, &schema, data.into_batches().into_iter().map(Ok), mode, deadline)
        })
        .await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.run(|connection, deadline| tables(connection, deadline)).await
    }

    async fn table_schema(&self, table: &str) -> Result<SchemaRef> {
        let table = table.to_owned();
        self.run(move |connection, deadline| table_schema(connection, &table, deadline)).await
    }
}

impl Sqlite {
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection, &Arc<Deadline>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.connections.run(self.config.timeout, work).await
    }
}

fn connect(config: SqliteConfig) -> Result<Arc<Connections>> {
    let SqliteConfig { path, connections, timeout, read_only, create } = config;
    if path == Path::new(MEMORY) {
        if read_only {
            return Err(Error::invalid("a database in memory that is read-only would always be empty"));
        }
        return Connections::in_memory(connections, timeout);
    }
    if !path.exists() {
        let shown = path.display();
        if read_only || !create {
            let advice = if read_only { "a read-only database must exist" } else { "set `create: true` to make it" };
            return Err(Error::not_found(format!("there is no database file {shown}: {advice}")));
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(|| format!("making the folder of {shown}"))?;
        }
    }
    Connections::new(connections, move || {
        open_file(&path, timeout, read_only).with_context(|| format!("opening {}", path.display()))
    })
}

fn open_file(path: &Path, timeout: Duration, read_only: bool) -> Result<Connection> {
    let access = match read_only {
        true => OpenFlags::SQLITE_OPEN_READ_ONLY,
        false => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    };
    // Without SQLITE_OPEN_URI: a path is a path, also one that begins with `file:`.
    let mut connection = open(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX, timeout)?;
    let deadline = Deadline::after(timeout);
    let fail = |error| failure(error, &deadline);
    // The first look into the file: it tells a database from anything else.
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(())).map_err(fail)?;
    if read_only {
        // The file is safe already; an attached one would not be.
        let decide = |context: AuthContext<'_>| match context.action {
            AuthAction::Attach { .. } => Authorization::Deny,
            _ => Authorization::Allow,
        };
        connection.authorizer(Some(decide)).map_err(fail)?;
    } else {
        connection.query_row("pragma journal_mode = wal", [], |_| Ok(())).map_err(fail)?;
    }
    Ok(connection)
}
