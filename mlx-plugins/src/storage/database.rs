//! One SQLite database with a versioned schema, used by several processes at once.

use super::blocking;
use mlx_core::prelude::*;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// The tables of a database, and the version they have.
pub(crate) struct Schema {
    /// What the database holds, for messages: `experiment tracking`.
    pub(crate) holds: &'static str,
    /// The steps that build the tables: the n-th leads from version n to n + 1, as `PRAGMA user_version` counts.
    /// A released step does not change any more.
    pub(crate) steps: &'static [&'static str],
}

impl Schema {
    fn version(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(u32::MAX)
    }
}

/// An open database. One connection: SQLite has one writer at a time, and callers wait without holding a thread.
#[derive(Clone)]
pub(crate) struct Database {
    connection: Arc<Mutex<Connection>>,
    path: Arc<Path>,
    version: u32,
}

/// A failure inside a transaction: of SQLite, or one that says something to the caller.
pub(crate) enum Fault {
    Sqlite(rusqlite::Error),
    Said(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sqlite(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Said(error)
    }
}

/// JSON in a column that cannot be read or written.
impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Fault::Said(Error::from(error).with_kind(ErrorKind::Failed))
    }
}

impl Database {
    /// Opens the database, makes it if there is none, and brings its tables up to date. Blocks.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for tables of a later version than this program knows,
    /// [`Invalid`](ErrorKind::Invalid) for a file that is something else, or what SQLite reports.
    pub(crate) fn open(path: PathBuf, busy_timeout: Duration, schema: &Schema) -> Result<Self> {
        let connection = prepare(&path, busy_timeout, schema)
            .map_err(|fault| error(fault).context(format!("opening {}", path.display())))?;
        Ok(Database { connection: Arc::new(Mutex::new(connection)), path: path.into(), version: schema.version() })
    }

    /// Runs reads on one unchanging state of the database.
    ///
    /// # Errors
    /// What `work` reports.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        self.run(move |connection| work(&connection.transaction()?)).await
    }

    /// Runs changes: all of them or none. They outlive the process when this returns, and a power failure once a
    /// later [`write_durably`](Self::write_durably) returns.
    ///
    /// # Errors
    /// What `work` reports.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        self.run(move |connection| write(connection, work)).await
    }

    /// As [`write`](Self::write), and everything written so far outlives a power failure when this returns.
    ///
    /// # Errors
    /// What `work` reports.
    pub(crate) async fn write_durably<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        self.run(move |connection| {
            // Syncs the log at the commit, and with it the commits before: it is one file, written in order.
            connection.pragma_update(None, "synchronous", "FULL")?;
            let result = write(connection, work);
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            result
        })
        .await
    }

    /// Checks that the database can be written, by a change that is taken back.
    ///
    /// # Errors
    /// What SQLite reports.
    pub(crate) async fn check_writable(&self) -> Result<()> {
        let version = self.version;
        self.run(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.pragma_update(None, "user_version", version)?;
            Ok(transaction.rollback()?)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let mut connection = Arc::clone(&self.connection).lock_owned().await;
        let path = Arc::clone(&self.path);
        blocking(move || {
            work(&mut connection).map_err(|fault| match fault {
                Fault::Said(said) => said,
                fault => error(fault).context(path.display().to_string()),
            })
        })
        .await
    }
}

fn write<T>(connection: &mut Connection, work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
    // Immediate: a transaction that begins with a read and then has to wait for another writer would fail at once.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&transaction)?;
    transaction.commit()?;
    Ok(result)
}

fn prepare(path: &Path, busy_timeout: Duration, schema: &Schema) -> Result<Connection, Fault> {
    // Without SQLITE_OPEN_URI: a file named `file:…` is just a file.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy_timeout)?;
    use_write_ahead_log(&connection, busy_timeout)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // On macOS a plain fsync leaves data in the drive's cache; elsewhere this changes nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;

    let known = schema.version();
    write(&mut connection, |transaction| {
        let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > known {
            return Err(Fault::Said(Error::unsupported(format!(
                "the {} tables have version {found}, and this program knows them up to version {known}: \
                 use a newer program, or another folder",
                schema.holds
            ))));
        }
        let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if found == 0 && tables > 0 {
            return Err(Fault::Said(Error::invalid(format!(
                "this is a database of another program, not one for {}",
                schema.holds
            ))));
        }
        for step in schema.steps.iter().skip(found as usize) {
            transaction.execute_batch(step)?;
        }
        if found < known {
            transaction.pragma_update(None, "user_version", known)?;
        }
        Ok(())
    })?;
    Ok(connection)
}

/// Switches to the write-ahead log. SQLite does not wait by itself when another process is switching too.
fn use_write_ahead_log(connection: &Connection, timeout: Duration) -> Result<(), Fault> {
    let deadline = Instant::now() + timeout;
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Err(error) if !is_busy(&error) => return Err(error.into()),
            _ if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            Ok(mode) => {
                return Err(Fault::Said(Error::unsupported(format!(
                    "SQLite keeps the journal mode `{mode}` instead of `wal`: the folder has to be on a local disk"
                ))));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn error(fault: Fault) -> Error {
    match fault {
        Fault::Said(error) => error,
        Fault::Sqlite(error) => {
            let kind = match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Unavailable,
                Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => ErrorKind::Denied,
                Some(ErrorCode::NotADatabase) => ErrorKind::Invalid,
                _ => ErrorKind::Failed,
            };
            Error::wrap(error).with_kind(kind)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Schema = Schema { holds: "test", steps: &["CREATE TABLE things (name TEXT NOT NULL) STRICT"] };
    const TWO: Schema = Schema {
        holds: "test",
        steps: &[ONE.steps[0], "ALTER TABLE things ADD COLUMN size INTEGER NOT NULL DEFAULT 7"],
    };
    const SECOND: Duration = Duration::from_secs(1);

    fn kind<T>(result: Result<T>) -> (ErrorKind, String) {
        let error = result.err().expect("an error");
        (error.kind(), error.to_string())
    }

    #[tokio::test]
    async fn tables_are_brought_up_to_date_and_keep_their_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let old = Database::open(path.clone(), SECOND, &ONE).unwrap();
        old.write(|t| Ok(t.execute("INSERT INTO things VALUES ('a')", [])?)).await.unwrap();
        drop(old);
        let new = Database::open(path, SECOND, &TWO).unwrap();
        let size: i64 = new.read(|t| Ok(t.query_row("SELECT size FROM things", [], |row| row.get(0))?)).await.unwrap();
        assert_eq!(size, 7);
        new.check_writable().await.unwrap();
    }

    #[test]
    fn newer_tables_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        Database::open(path.clone(), SECOND, &TWO).unwrap();
        let (kind, message) = kind(Database::open(path, SECOND, &ONE));
        assert_eq!(kind, ErrorKind::Unsupported);
        assert!(message.contains("version 2") && message.contains("up to version 1"), "{message}");
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.db");
        std::fs::write(&path, "not a database, but long enough to be looked at".repeat(50)).unwrap();
        assert_eq!(kind(Database::open(path, SECOND, &ONE)).0, ErrorKind::Invalid);

        let path = folder.path().join("foreign.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE foreign_table (a)").unwrap();
        let (kind, message) = kind(Database::open(path, SECOND, &ONE));
        assert_eq!(kind, ErrorKind::Invalid);
        assert!(message.contains("foreign.db") && message.contains("another program"), "{message}");
    }

    #[tokio::test]
    async fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path().join("test.db"), SECOND, &ONE).unwrap();
        let failed = database.write::<()>(|t| {
            t.execute("INSERT INTO things VALUES ('a')", [])?;
            Err(Fault::Said(Error::invalid("no")))
        });
        assert_eq!(kind(failed.await).0, ErrorKind::Invalid);
        let rows: i64 =
            database.read(|t| Ok(t.query_row("SELECT count(*) FROM things", [], |row| row.get(0))?)).await.unwrap();
        assert_eq!(rows, 0);
    }

    #[tokio::test]
    async fn a_database_that_stays_locked_is_unavailable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let database = Database::open(path.clone(), Duration::from_millis(50), &ONE).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (kind, message) = kind(database.check_writable().await);
        assert_eq!(kind, ErrorKind::Unavailable);
        assert!(message.contains("test.db"), "{message}");
        other.execute_batch("ROLLBACK").unwrap();
        database.check_writable().await.unwrap();
    }

    #[test]
    fn many_may_open_a_new_database_at_once() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let path = folder.path().join("test.db");
                scope.spawn(|| Database::open(path, Duration::from_secs(20), &TWO).unwrap());
            }
        });
    }
}
