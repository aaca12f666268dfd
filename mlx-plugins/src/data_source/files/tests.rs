use super::*;
use ::parquet::arrow::ArrowWriter;
use arrow::array::{ArrayRef, Int32Array, Int64Array, ListArray, StringArray};
use mlx_core::{ErrorKind, arrow::datatypes::DataType};
use tempfile::TempDir;

fn table(path: impl Into<PathBuf>) -> TableConfig {
    TableConfig { path: path.into(), format: None, header: true, delimiter: None, null_values: vec![String::new()] }
}

fn config(tables: impl IntoIterator<Item = (&'static str, TableConfig)>) -> FilesConfig {
    let tables = tables.into_iter().map(|(name, table)| (name.to_owned(), table)).collect();
    let timeout = Duration::from_secs(60);
    FilesConfig { tables, connections: 4, timeout, load_timeout: timeout }
}

async fn start(config: FilesConfig) -> Result<Files> {
    Files::initialize(config, &InitContext::alone("files")).await
}

/// A folder with one file.
fn file(name: &str, text: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// Starts with one file as the table `t`.
async fn one(name: &str, text: impl AsRef<[u8]>) -> Result<(TempDir, Files)> {
    let (folder, path) = file(name, text);
    Ok((folder, start(config([("t", table(path))])).await?))
}

async fn failure(name: &str, text: impl AsRef<[u8]>) -> Error {
    one(name, text).await.err().expect("it must not start")
}

fn types(schema: &SchemaRef) -> Vec<(String, DataType)> {
    schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
}

#[tokio::test]
async fn breast_cancer_has_569_rows_of_numbers_and_a_diagnosis() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/enterprise-stack/data/breast_cancer.csv");
    let files = start(config([("samples", table(path))])).await.unwrap();
    let schema = files.table_schema("samples").await.unwrap();
    assert_eq!(schema.fields().len(), 31);
    assert!(schema.fields()[..30].iter().all(|field| field.data_type() == &DataType::Float64));
    assert_eq!(schema.field(30).data_type(), &DataType::Utf8);
    let all = files.query("select * from samples").await.unwrap();
    assert_eq!((all.num_rows(), all.num_columns()), (569, 31));
    assert_eq!(all.schema().field(3).data_type(), &DataType::Float64);
    assert_eq!(all.f64_column("mean_radius").unwrap()[..2], [17.99, 20.57]);
    let counts = files
        .query("select diagnosis, count(*) as n from samples group by diagnosis order by diagnosis")
        .await
        .unwrap();
    // The counts that the data set's documentation gives.
    assert_eq!(counts.f64_column("n").unwrap(), [357.0, 212.0]);
}

#[tokio::test]
async fn csv_types_come_from_the_whole_file() {
    let mut text = String::from("i,f,b,d,at,late,s,empty\n");
    for i in 0..500 {
        text.push_str(&format!("{i},{i}.5,true,2024-01-02,2024-01-02T03:04:05,{i},x{i},\n"));
    }
    text.push_str("-1,2,FALSE,2024-02-29,2024-01-02 03:04:05.5,late,\"a, \"\"b\"\"\nc\",\n,,,,,,,\n");
    let (_folder, files) = one("data.csv", text).await.unwrap();
    let schema = files.table_schema("t").await.unwrap();
    let found: Vec<DataType> = types(&schema).into_iter().map(|(_, t)| t).collect();
    use mlx_core::arrow::datatypes::TimeUnit::Millisecond;
    let instant = DataType::Timestamp(Millisecond, None);
    let expected = [
        DataType::Int64,
        DataType::Float64,
        DataType::Boolean,
        DataType::Date32,
        instant,
        DataType::Utf8,
        DataType::Utf8,
        DataType::Null,
    ];
    assert_eq!(found, expected);
    let rows = files.query("select * from t").await.unwrap();
    assert_eq!(types(rows.schema()), types(&schema), "a query has the types of the file");
    assert_eq!(rows.num_rows(), 502);
    let texts = rows.string_column("s").unwrap();
    assert_eq!(texts[500].as_deref(), Some("a, \"b\"\nc"));
    assert_eq!(texts[501], None);
}

#[tokio::test]
async fn a_value_that_only_looks_like_its_type_makes_the_column_text() {
    let text = "date,big,time\n2024-02-30,99999999999999999999,2024-01-01T25:00:00\n";
    let (_folder, files) = one("data.csv", text).await.unwrap();
    let rows = files.query("select * from t").await.unwrap();
    assert!(rows.schema().fields().iter().all(|field| field.data_type() == &DataType::Utf8));
    assert_eq!(rows.cell(0, 0).as_deref(), Some("2024-02-30"));
}

#[tokio::test]
async fn csv_settings_are_followed() {
    let (folder, path) = file("data.txt", "1;n/a;x\n2;3;-\n");
    let settings = TableConfig {
        format: Some(FileFormat::Csv),
        header: false,
        delimiter: Some(';'),
        null_values: vec!["n/a".into(), "-".into()],
        ..table(path)
    };
    let files = start(config([("t", settings)])).await.unwrap();
    let rows = files.query("select * from t").await.unwrap();
    assert_eq!(rows.column_names().collect::<Vec<_>>(), ["column_1", "column_2", "column_3"]);
    assert_eq!(rows.schema().field(1).data_type(), &DataType::Int64);
    assert_eq!(rows.string_column("column_3").unwrap(), [Some("x".to_owned()), None]);
    drop(folder);
    // Tabs by extension; a byte order mark; an index column without a name; no text is null.
    let (_folder, path) = file("data.tsv", "\u{feff}\ta\n0\t\n");
    let files = start(config([("t", TableConfig { null_values: vec![], ..table(path) })])).await.unwrap();
    let rows = files.query("select * from t").await.unwrap();
    assert_eq!(rows.column_names().collect::<Vec<_>>(), ["column_1", "a"]);
    assert_eq!(rows.string_column("a").unwrap(), [Some(String::new())]);
}

#[tokio::test]
async fn malformed_csv_is_located() {
    let cases: [(&[u8], &str, &str); 8] = [
        (b"a,b\n1,2\n3\n4,5\n", "data.csv:3:2", "the record has 1 values, and the first has 2"),
        (b"a,b\n1,2\n3,4,5\n", "data.csv:3:5", "has 3 values"),
        (b"a,b\n\"x\ny\",2\n\n\xc3\xa9\xc3\xa9,4,5\n", "data.csv:5:6", "has 3 values"),
        (b"a,b\n1,2\n3,\xff\n", "data.csv:3:3", "not UTF-8"),
        (b"a,b\n1,2\n3,\"open\n4,5\n", "data.csv:3:3", "never closed"),
        (b"a,b,A\n1,2,3\n", "data.csv:1:5", "`A` appears twice"),
        (b"a,b\r\n1,2\r\n\r\n\"p,\"\"q\",4,5\r\n", "data.csv:4:11", "has 3 values"),
        (b"a,\xff\n1,2\n", "data.csv:1:3", "not UTF-8"),
    ];
    for (text, place, message) in cases {
        let error = failure("data.csv", text).await;
        let shown = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(
            shown.contains(place) && shown.contains(message) && shown.contains("`t`"),
            "{place} {message}: {shown}"
        );
    }
    let error = failure("data.csv", "a,b\n1\n1,2,3\n1,2\n1\n").await;
    assert_eq!(error.diagnostics().len(), 3, "all of them at once: {error:?}");
    assert!(!format!("{error:?}").contains("1,2,3"), "no data in a report");
    assert!(failure("data.csv", "").await.to_string().contains("is empty"));
}

#[tokio::test]
async fn a_file_that_cannot_be_a_table_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let error = start(config([("t", table(folder.path().join("gone.csv")))])).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("`t`") && error.to_string().contains("gone.csv"), "{error}");
    let error = start(config([("t", TableConfig { format: Some(FileFormat::Csv), ..table(folder.path()) })])).await;
    assert!(error.err().unwrap().to_string().contains("is not a file"));
    assert!(failure("data.xlsx", "x").await.to_string().contains("set `format`"));
    let (_folder, path) = file("data.csv", "a\n1\n");
    let error = start(config([("t", TableConfig { delimiter: Some('é'), ..table(&path) })])).await.err().unwrap();
    assert!(error.to_string().contains("cannot separate"), "{error}");
    for names in [["sqlite_x", "b"], ["", "b"], ["A", "a"]] {
        let tables = names.map(|name| (name, table(&path)));
        assert_eq!(start(config(tables)).await.err().unwrap().kind(), ErrorKind::Invalid, "{names:?}");
    }
}

#[tokio::test]
async fn json_lines_and_arrays_are_tables() {
    let lines = "{\"z\": 1, \"a\": \"x\", \"n\": {\"k\": [1, 2]}, \"m\": 1, \"big\": 18446744073709551615}\n\n\
                 {\"a\": null, \"z\": 2.5, \"b\": true, \"m\": \"one\", \"big\": 1}\n";
    let array = format!("[{}]", lines.trim().replace("\n\n", ","));
    for (name, text) in [("data.jsonl", lines), ("data.json", array.as_str())] {
        let (_folder, files) = one(name, text).await.unwrap();
        let rows = files.query("select *, json_extract(n, '$.k[1]') as k from t").await.unwrap();
        let expected = [
            ("z", DataType::Float64),
            ("a", DataType::Utf8),
            ("n", DataType::Utf8),
            ("m", DataType::Utf8),
            ("big", DataType::Utf8),
            ("b", DataType::Boolean),
            ("k", DataType::Int64),
        ];
        assert_eq!(types(rows.schema()), expected.map(|(name, t)| (name.to_owned(), t)), "in the file's order");
        assert_eq!(rows.f64_column("z").unwrap(), [1.0, 2.5]);
        assert_eq!(rows.string_column("big").unwrap()[0].as_deref(), Some("18446744073709551615"));
        assert_eq!(rows.cell(0, 6).as_deref(), Some("2"));
    }
}

#[tokio::test]
async fn malformed_json_is_located() {
    for (text, place, message) in [
        ("{\"a\": 1}\n{\"a\": }\n", "data.json:2:7", "expected value"),
        ("{\"a\": 1}\n5\n", "data.json:2:1", "an object, which is a row"),
        ("[{\"a\": 1},\n {\"a\" 2}]", "data.json:2:7", "expected `:`"),
        ("[1]", "data.json:1:", "an object"),
        ("", "", "nothing tells its columns"),
        ("[]", "", "nothing tells its columns"),
    ] {
        let error = failure("data.json", text).await;
        let shown = error.to_string();
        assert!(shown.contains(place) && shown.contains(message), "{text:?}: {shown}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    assert!(failure("data.json", b"{\"a\": \"\xff\"}").await.to_string().contains("not UTF-8"));
    assert_eq!(failure("data.json", "x\n".repeat(1000)).await.diagnostics().len(), 20);
}

fn parquet_file(path: &Path, data: &DataFrame) {
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), data.schema().clone(), None).unwrap();
    data.batches().iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
}

#[tokio::test]
async fn parquet_keeps_its_types_and_joins_with_csv() {
    let folder = tempfile::tempdir().unwrap();
    let (parquet, csv) = (folder.path().join("sites.parquet"), folder.path().join("visits.csv"));
    let sites = DataFrame::from_columns([
        ("id", Arc::new(Int32Array::from(vec![Some(1), Some(2), None])) as ArrayRef),
        ("site", Arc::new(StringArray::from(vec!["Ulm", "Köln", "-"])) as ArrayRef),
    ]);
    parquet_file(&parquet, &sites.unwrap());
    std::fs::write(&csv, "site_id,visits\n1,10\n1,5\n2,7\n").unwrap();
    let files = start(config([("sites", table(&parquet)), ("visits", table(&csv))])).await.unwrap();
    assert_eq!(files.table_schema("SITES").await.unwrap().field(0).data_type(), &DataType::Int32);
    assert_eq!(files.tables().await.unwrap(), ["sites", "visits"]);
    let sql = "select site, sum(visits) as v from sites join visits on id = site_id group by site order by v desc";
    let rows = files.query(sql).await.unwrap();
    assert_eq!(rows.f64_column("v").unwrap(), [15.0, 7.0]);
    let rows = files.query_with("select id from sites where site = ?", vec![json!("Köln")]).await.unwrap();
    assert_eq!(rows.schema().field(0).data_type(), &DataType::Int64);

    assert!(failure("data.parquet", "PAR1 but no footer").await.to_string().contains("not a Parquet file"));
    let list = ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>([Some([Some(1)])]);
    parquet_file(&parquet, &DataFrame::from_columns([("nested", Arc::new(list) as ArrayRef)]).unwrap());
    let error = start(config([("sites", table(&parquet))])).await.err().unwrap();
    assert!(error.to_string().contains("`nested`") && error.to_string().contains("`sites`"), "{error}");
}

#[tokio::test]
async fn a_hundred_thousand_rows_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.parquet");
    let numbers = Arc::new(Int64Array::from_iter_values(0..100_000)) as ArrayRef;
    parquet_file(&path, &DataFrame::from_columns([("n", numbers)]).unwrap());
    let files = start(config([("t", table(path))])).await.unwrap();
    assert_eq!(files.query("select * from t").await.unwrap().num_rows(), 100_000);
}

#[tokio::test]
async fn a_changed_file_is_read_again_columns_and_all() {
    let (_folder, path) = file("data.csv", "a\n1\n");
    let files = start(config([("t", table(&path))])).await.unwrap();
    assert_eq!(files.query("select a from t").await.unwrap().num_rows(), 1);
    std::fs::write(&path, "a,b\n1,x\n2,y\n").unwrap();
    assert_eq!(files.query("select b from T").await.unwrap().num_rows(), 2);
    std::fs::write(&path, "c\n2024-01-01\n").unwrap();
    assert_eq!(files.table_schema("t").await.unwrap().field(0).data_type(), &DataType::Date32);
    // Broken, then gone, then mended: a query that does not read it goes on.
    std::fs::write(&path, "c\n1,2\n").unwrap();
    let error = files.query("select * from t").await.unwrap_err();
    assert!(error.to_string().contains("data.csv:2:3"), "{error}");
    assert_eq!(files.query("select 't' as x").await.unwrap().num_rows(), 1);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(files.query("select * from t").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(Plugin::health(&files).await.unwrap().status, mlx_core::HealthStatus::Unhealthy);
    assert_eq!(files.connect().await.unwrap_err().kind(), ErrorKind::Unavailable);
    std::fs::write(&path, "c\n7\n8\n9\n").unwrap();
    assert_eq!(files.query("select * from t").await.unwrap().num_rows(), 3);
    assert!(Plugin::health(&files).await.unwrap().is_healthy());
    assert_eq!(files.connect().await.unwrap().target, "`t`");
}

#[tokio::test]
async fn only_what_a_query_reads_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| folder.path().join(format!("{name}.csv")));
    std::fs::write(&one, "a\n1\n").unwrap();
    std::fs::write(&other, "b\n1\n").unwrap();
    let files = start(config([("one", table(&one)), ("other", table(&other))])).await.unwrap();
    let loaded = async || Plugin::health(&files).await.unwrap().details["loaded"].clone();
    assert_eq!(loaded().await, 0);
    files.query("with w as (select count(*) as n from one) select n, 'other' from w").await.unwrap();
    assert_eq!(loaded().await, 1);
    std::fs::remove_file(&other).unwrap();
    assert_eq!(Plugin::health(&files).await.unwrap().status, mlx_core::HealthStatus::Degraded);
    assert!(files.query("select * from one").await.is_ok());
}

#[tokio::test]
async fn nothing_but_queries_is_allowed() {
    let (folder, files) = one("data.csv", "a\n1\n").await.unwrap();
    let other = folder.path().join("other.db");
    let attach = format!("attach '{}' as o", other.display());
    let vacuum = format!("vacuum into '{}'", other.display());
    for sql in [
        "drop table t",
        "insert into t values (2)",
        "update t set a = 2",
        "create table x (a)",
        "create temp table x (a)",
        "pragma query_only = off",
        "begin",
        &attach,
        &vacuum,
    ] {
        let error = files.query(sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{sql}: {error}");
    }
    assert!(!other.exists());
    assert!(files.query("select 1; drop table t").await.is_err());
    let data = files.query("select * from t").await.unwrap();
    assert_eq!(data.f64_column("a").unwrap(), [1.0]);
    assert_eq!(files.write("t", data, WriteMode::Append).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(files.table_schema("u").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(files.query("select * from u").await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn names_are_only_names() {
    let evil = r#"t"; drop table "safe"#;
    let (_folder, path) = file("data.csv", "\"a\"\"); drop table safe; --\"\n1\n");
    let files = start(config([("safe", table(&path)), (evil, table(&path))])).await.unwrap();
    let rows = files.query(r#"select * from "t""; drop table ""safe" union all select * from safe"#).await.unwrap();
    assert_eq!(rows.num_rows(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_run_at_the_same_time_also_while_a_file_changes() {
    let (_folder, path) = file("data.csv", format!("a\n{}", "1\n".repeat(1000)));
    let files = Arc::new(start(config([("t", table(&path))])).await.unwrap());
    let tasks: Vec<_> = (0..32)
        .map(|task| {
            let (files, path) = (files.clone(), path.clone());
            tokio::spawn(async move {
                if task == 10 {
                    let next = path.with_extension("new");
                    std::fs::write(&next, format!("a\n{}", "2\n".repeat(2000))).unwrap();
                    std::fs::rename(next, path).unwrap();
                }
                files.query("select count(*) as n, max(a) as a from t").await
            })
        })
        .collect();
    for task in tasks {
        let row = task.await.unwrap().unwrap();
        let (count, value) = (row.cell(0, 0).unwrap(), row.cell(0, 1).unwrap());
        assert!((count == "1000" && value == "1") || (count == "2000" && value == "2"), "{count} of {value}");
    }
}

#[tokio::test]
async fn a_query_past_its_deadline_is_cancelled() {
    let (_folder, path) = file("data.csv", format!("a\n{}", "1\n".repeat(3000)));
    let settings = FilesConfig { timeout: Duration::from_millis(100), ..config([("t", table(path))]) };
    let files = start(settings).await.unwrap();
    let error = files.query("select count(*) from t x, t y, t z where x.a + y.a + z.a > 5").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(files.query("select * from t limit 1").await.unwrap().num_rows(), 1);
    files.shutdown().await.unwrap();
    assert_eq!(files.query("select 1").await.unwrap_err().kind(), ErrorKind::Stopped);
}

#[tokio::test]
async fn settings_are_read_and_checked() {
    let (_folder, path) = file("data.txt", "1;2\n");
    let settings = json!({"tables": {"t": {"path": path, "format": "csv", "header": false, "delimiter": ";"}}});
    let files = mlx_core::registry().create::<dyn DataSource>("files", settings).await.unwrap();
    assert_eq!(files.query("select * from t").await.unwrap().f64_column("column_2").unwrap(), [2.0]);
    files.shutdown().await.unwrap();
    let tables = json!({
        "a": {"path": "data.txt"},
        "b": {"path": "data.csv", "delimiter": "\""},
        "c": {"path": "data.csv", "format": "xml"},
    });
    let error = mlx_core::registry().create::<dyn DataSource>("files", json!({"tables": tables})).await.err().unwrap();
    let paths: Vec<_> = error.diagnostics().iter().filter_map(|found| found.path.as_deref()).collect();
    assert_eq!(paths, ["tables.a", "tables.b", "tables.c.format"], "{error:?}");
    for tables in [json!({}), json!({"A": {"path": "a.csv"}, "a": {"path": "a.csv"}})] {
        let created = mlx_core::registry().create::<dyn DataSource>("files", json!({"tables": tables})).await;
        assert_eq!(created.err().unwrap().kind(), ErrorKind::Invalid);
    }
}
