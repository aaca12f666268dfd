//! A few connections to one database, each used by one caller at a time.

use super::{Deadline, run};
use mlx_core::{Error, Result};
use rusqlite::{Connection, OpenFlags};
use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

type Open = Box<dyn Fn() -> Result<Connection> + Send + Sync>;

/// Connections that are opened when they are needed and kept.
pub(crate) struct Connections {
    open: Open,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    size: u32,
}

impl Connections {
    /// At most `size` connections made by `open`; one is made at once, so that a database that cannot be opened is
    /// noticed here.
    pub(crate) fn new(size: u32, open: impl Fn() -> Result<Connection> + Send + Sync + 'static) -> Result<Arc<Self>> {
        let first = open()?;
        Ok(Arc::new(Connections {
            open: Box::new(open),
            idle: Mutex::new(vec![first]),
            permits: Arc::new(Semaphore::new(size as usize)),
            size,
        }))
    }

    /// Connections to a new database in memory, which lives as long as they do.
    pub(crate) fn in_memory(size: u32, busy: Duration) -> Result<Arc<Self>> {
        // `memdb` is shared by name within the process.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let uri = format!("file:/mlx-{}?vfs=memdb", NEXT.fetch_add(1, Ordering::Relaxed));
        let open = move || {
            let flags = OpenFlags::default() | OpenFlags::SQLITE_OPEN_URI;
            open(Path::new(&uri), flags, busy)
        };
        // The database is gone with its last connection, so one is never lent out.
        let anchor = Mutex::new(open()?);
        Connections::new(size, move || {
            let _ = &anchor;
            open()
        })
    }

    /// Does work on a connection, for at most `limit`; waiting for a free connection counts.
    ///
    /// # Errors
    /// [`Unavailable`](mlx_core::ErrorKind::Unavailable) when none became free,
    /// [`Stopped`](mlx_core::ErrorKind::Stopped) after [`close`](Connections::close), or what the work reports.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        limit: Duration,
        work: impl FnOnce(&mut Connection, &Arc<Deadline>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let begun = Instant::now();
        let permit = match tokio::time::timeout(limit, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(Error::stopped("the database is closed")),
            Err(_) => {
                let size = self.size;
                return Err(Error::unavailable(format!("all {size} connections were busy for {limit:?}")));
            }
        };
        let pool = self.clone();
        run(limit.saturating_sub(begun.elapsed()), move |deadline| {
            let _permit = permit;
            let idle = pool.idle().pop();
            let mut connection = idle.map_or_else(|| (pool.open)(), Ok)?;
            deadline.watch(&mut connection)?;
            let result = work(&mut connection, deadline);
            Deadline::unwatch(&mut connection)?;
            if connection.is_autocommit() {
                pool.idle().push(connection);
                return result;
            }
            // Dropped, and with it the transaction.
            Err(Error::unsupported("a transaction cannot span calls: each call is one, and this one was rolled back"))
        })
        .await
    }

    /// Waits for what is running, and gives the connections back. Later calls fail.
    pub(crate) async fn close(&self) -> Vec<Connection> {
        let _all = self.permits.acquire_many(self.size).await;
        self.permits.close();
        std::mem::take(&mut *self.idle())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a database, waiting up to `busy` for locks that others hold.
pub(crate) fn open(path: &Path, flags: OpenFlags, busy: Duration) -> Result<Connection> {
    let deadline = Deadline::after(busy);
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(busy.min(Duration::from_secs(60 * 60)))?;
        Ok(connection)
    });
    opened.map_err(|error| super::failure(error, &deadline))
}
