use super::*;
use arrow::array::{ArrayRef, Int64Array};
use mlx_core::{ErrorKind, arrow::datatypes::DataType};
use std::time::Instant;

const ENDLESS: &str =
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000000000) select count(*) from n";

fn config(path: impl Into<PathBuf>) -> SqliteConfig {
    let timeout = Duration::from_secs(10);
    SqliteConfig { path: path.into(), connections: 4, timeout, read_only: false, create: true }
}

async fn start(config: SqliteConfig) -> Result<Sqlite> {
    Sqlite::initialize(config, &InitContext::alone("sqlite")).await
}

async fn memory() -> Sqlite {
    start(config(MEMORY)).await.unwrap()
}

fn numbers(count: i64) -> DataFrame {
    DataFrame::from_columns([("n", Arc::new(Int64Array::from_iter_values(0..count)) as ArrayRef)]).unwrap()
}

async fn failure_of(config: SqliteConfig) -> Error {
    start(config).await.err().expect("it must not start")
}

#[tokio::test]
async fn a_table_is_written_listed_described_and_queried() {
    for path in [None, Some("deep/er/data.db")] {
        let folder = tempfile::tempdir().unwrap();
        let path = path.map_or(PathBuf::from(MEMORY), |path| folder.path().join(path));
        let db = start(config(&path)).await.unwrap();
        assert!(db.tables().await.unwrap().is_empty());
        assert_eq!(db.write("squares", numbers(3), WriteMode::Create).await.unwrap(), 3);
        db.query("create view doubled as select n * 2 as d from squares").await.unwrap();
        assert_eq!(db.tables().await.unwrap(), ["doubled", "squares"]);
        assert_eq!(db.table_schema("SQUARES").await.unwrap().field(0).data_type(), &DataType::Int64);
        let read = db.query_with("select n from squares where n >= ? order by n", vec![json!(1)]).await.unwrap();
        assert_eq!(read.f64_column("n").unwrap(), [1.0, 2.0]);
        assert!(Plugin::health(&db).await.unwrap().is_healthy());
        let info = db.connect().await.unwrap();
        assert_eq!((info.product.as_str(), info.target), ("SQLite", path.to_string_lossy().into_owned()));
        db.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_table_that_is_not_there_is_not_found() {
    let db = memory().await;
    assert!(db.table_schema("x").await.unwrap_err().to_string().contains("there are none"));
    db.write("known", numbers(1), WriteMode::Create).await.unwrap();
    let error = db.table_schema("unknown").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("`known`"), "{error}");
    assert_eq!(db.query("select * from unknown").await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_file_keeps_its_data_and_leaves_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.db");
    let db = start(config(&path)).await.unwrap();
    db.write("t", numbers(10), WriteMode::Create).await.unwrap();
    db.shutdown().await.unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(files, ["data.db"]);
    assert_eq!(db.query("select 1").await.unwrap_err().kind(), ErrorKind::Stopped);
    let again = start(config(&path)).await.unwrap();
    assert_eq!(again.query("select * from t").await.unwrap().num_rows(), 10);
}

#[tokio::test]
async fn read_only_refuses_every_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.db");
    let db = start(config(&path)).await.unwrap();
    db.write("t", numbers(1), WriteMode::Create).await.unwrap();
    db.shutdown().await.unwrap();
    let db = start(SqliteConfig { read_only: true, ..config(&path) }).await.unwrap();
    assert_eq!(db.query("select * from t").await.unwrap().num_rows(), 1);
    assert_eq!(db.write("t", numbers(1), WriteMode::Append).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let other = folder.path().join("other.db");
    for sql in ["insert into t values (1)", "drop table t", &format!("attach '{}' as o", other.display())] {
        assert_eq!(db.query(sql).await.unwrap_err().kind(), ErrorKind::Denied, "{sql}");
    }
    assert!(!other.exists());
    db.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.db");
    let error = failure_of(SqliteConfig { create: false, ..config(&path) }).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("create: true"), "{error}");
    assert!(!path.exists());
    let error = failure_of(SqliteConfig { read_only: true, ..config(&path) }).await;
    assert!(error.to_string().contains("must exist"), "{error}");
    let error = failure_of(SqliteConfig { read_only: true, ..config(MEMORY) }).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);

    std::fs::write(&path, "no database, but long enough to be read as the header of one: 0123456789".repeat(20))
        .unwrap();
    let error = failure_of(config(&path)).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("not a SQLite database") && error.to_string().contains("data.db"), "{error}");
    // A folder in its place, and a file where its folder should be.
    assert!(start(config(folder.path())).await.is_err());
    assert!(start(config(path.join("below.db"))).await.is_err());
}

#[tokio::test]
async fn a_query_past_its_deadline_is_cancelled_and_the_connection_lives_on() {
    let settings = SqliteConfig { connections: 1, timeout: Duration::from_millis(200), ..config(MEMORY) };
    let db = start(settings).await.unwrap();
    db.write("t", numbers(1), WriteMode::Create).await.unwrap();
    let begun = Instant::now();
    let error = db.query(ENDLESS).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(db.query("select * from t").await.unwrap().num_rows(), 1);
}

#[tokio::test]
async fn a_dropped_query_frees_its_connection() {
    let db = Arc::new(start(SqliteConfig { connections: 1, ..config(MEMORY) }).await.unwrap());
    let running = db.clone();
    let task = tokio::spawn(async move { running.query(ENDLESS).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    task.abort();
    assert_eq!(db.query("select 1").await.unwrap().num_rows(), 1);
}

#[tokio::test]
async fn more_callers_than_connections_wait_their_turn_or_are_told() {
    let settings = SqliteConfig { connections: 1, timeout: Duration::from_millis(300), ..config(MEMORY) };
    let db = start(settings).await.unwrap();
    let (slow, waiting) = tokio::join!(db.query(ENDLESS), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        tokio::time::timeout(Duration::from_secs(5), db.query("select 1")).await.unwrap()
    });
    assert_eq!(slow.unwrap_err().kind(), ErrorKind::Timeout);
    // Freed at the slow one's deadline, which comes first.
    assert!(waiting.is_ok() || waiting.unwrap_err().kind() == ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_and_writers_work_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    for path in [PathBuf::from(MEMORY), folder.path().join("data.db")] {
        let db = Arc::new(start(config(path)).await.unwrap());
        db.write("t", numbers(1000), WriteMode::Create).await.unwrap();
        let tasks: Vec<_> = (0..32)
            .map(|task| {
                let db = db.clone();
                tokio::spawn(async move {
                    if task % 4 == 0 {
                        db.write("t", numbers(100), WriteMode::Append).await.map(|_| 0)
                    } else {
                        db.query("select * from t").await.map(|table| table.num_rows())
                    }
                })
            })
            .collect();
        for task in tasks {
            // A write is seen as a whole or not at all.
            assert_eq!(task.await.unwrap().unwrap() % 100, 0);
        }
        assert_eq!(db.query("select * from t").await.unwrap().num_rows(), 1800);
    }
}

#[tokio::test]
async fn a_transaction_left_open_is_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let db = start(SqliteConfig { connections: 1, ..config(folder.path().join("data.db")) }).await.unwrap();
    let error = db.query("begin immediate").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    db.write("t", numbers(1), WriteMode::Create).await.unwrap();
}

#[tokio::test]
async fn databases_in_memory_are_apart() {
    let (one, other) = (memory().await, memory().await);
    one.write("t", numbers(1), WriteMode::Create).await.unwrap();
    assert!(other.tables().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_path_is_no_uri() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file:x?mode=memory");
    let db = start(config(&path)).await.unwrap();
    db.write("t", numbers(1), WriteMode::Create).await.unwrap();
    assert!(path.exists());
    db.shutdown().await.unwrap();
}

#[tokio::test]
async fn settings_are_read_and_checked() {
    let db = mlx_core::registry().create::<dyn DataSource>("sqlite", json!({"path": ":memory:"})).await.unwrap();
    assert_eq!(db.query("select 1 as one").await.unwrap().f64_column("one").unwrap(), [1.0]);
    db.shutdown().await.unwrap();
    let wrong = json!({"path": ":memory:", "connections": 0, "timeout": 5, "tmeout": "5s"});
    let error = mlx_core::registry().create::<dyn DataSource>("sqlite", wrong).await.err().unwrap();
    assert_eq!(error.diagnostics().len(), 3, "{error:?}");
}
