use super::*;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, ListArray, StringArray, TimestampSecondArray,
};
use mlx_core::{ErrorKind, arrow::datatypes::DataType};

fn expect(column: &str) -> Expectation {
    let (kind, min, max, one_of) = (None, None, None, Vec::new());
    Expectation { column: column.into(), kind, required: true, nullable: true, min, max, one_of, unique: false }
}

fn config(steps: &[&str], expect: Vec<Expectation>) -> SqlConfig {
    let steps = steps.iter().map(|step| (*step).to_owned()).collect();
    SqlConfig { steps, expect, strict: false, timeout: Duration::from_secs(30) }
}

async fn start(config: SqlConfig) -> Result<Sql> {
    Sql::initialize(config, &InitContext::alone("sql")).await
}

fn data() -> DataFrame {
    DataFrame::from_columns([
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 3])) as ArrayRef),
        ("x", Arc::new(Float64Array::from(vec![Some(0.5), None, Some(f64::NAN), Some(9.0)])) as ArrayRef),
        ("name", Arc::new(StringArray::from(vec![Some("a"), Some("b"), None, Some("z")])) as ArrayRef),
        ("ok", Arc::new(BooleanArray::from(vec![true, false, true, true])) as ArrayRef),
        ("day", Arc::new(Date32Array::from(vec![0, 1, 2, 3])) as ArrayRef),
        ("at", Arc::new(TimestampSecondArray::from(vec![0, 1, 2, 3])) as ArrayRef),
    ])
    .unwrap()
}

async fn report(expect: Vec<Expectation>, strict: bool) -> SchemaReport {
    let sql = start(SqlConfig { strict, ..config(&[], expect) }).await.unwrap();
    sql.validate_schema(data()).await.unwrap()
}

#[tokio::test]
async fn steps_follow_each_other_and_keep_types() {
    let steps =
        ["select *, id * 2 as twice from input where ok", "select twice, ok, day, at, x from input where id = 3"];
    let sql = start(config(&steps, vec![])).await.unwrap();
    let out = sql.process_data(data()).await.unwrap();
    assert_eq!(out.f64_column("twice").unwrap(), [6.0, 6.0]);
    let types: Vec<_> = out.schema().fields().iter().map(|field| field.data_type().clone()).collect();
    let given = data();
    let kept = given.select(["ok", "day", "at", "x"]).unwrap();
    assert_eq!(types[1..], kept.schema().fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>());
    assert_eq!(types[0], DataType::Int64);
}

#[tokio::test]
async fn without_steps_the_data_is_passed_on() {
    let sql = start(config(&[], vec![])).await.unwrap();
    // With NaN a table is not equal to itself.
    let given = data().select(["id", "name"]).unwrap();
    assert_eq!(sql.process_data(given.clone()).await.unwrap(), given);
}

#[tokio::test]
async fn steps_that_are_wrong_for_any_data_do_not_start() {
    for (steps, part) in [
        (vec!["select * from input", "selec 1"], "steps[1]"),
        (vec!["select 1; select 2"], "several statements"),
        (vec!["select (1"], "incomplete input"),
        (vec!["delete from input"], "only queries"),
        (vec!["pragma user_version"], "only queries"),
        (vec!["attach 'x' as y"], "only queries"),
        (vec![""], "steps[0]: it is not a query"),
    ] {
        let error = start(config(&steps, vec![])).await.err().expect("it must not start");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(part), "{steps:?}: {error}");
    }
    // Its columns are known only with the data.
    assert!(start(config(&["select strange from input"], vec![])).await.is_ok());
}

#[tokio::test]
async fn data_that_does_not_fit_a_step_is_refused() {
    let sql = start(config(&["select * from input", "select strange from input"], vec![])).await.unwrap();
    let error = sql.process_data(data()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("step 2") && error.to_string().contains("strange"), "{error}");
    let list = ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>([Some([Some(1)])]);
    let error =
        sql.process_data(DataFrame::from_columns([("l", Arc::new(list) as ArrayRef)]).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("the column `l`"), "{error}");
}

#[tokio::test]
async fn an_endless_step_is_cancelled() {
    let endless =
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000000000) select count(*) from n";
    let sql = start(SqlConfig { timeout: Duration::from_millis(200), ..config(&[endless], vec![]) }).await.unwrap();
    assert_eq!(sql.process_data(data()).await.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_do_not_see_each_other() {
    let sql = Arc::new(start(config(&["select sum(id) as s from input"], vec![])).await.unwrap());
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let sql = sql.clone();
            let ids = Arc::new(Int64Array::from(vec![n, n])) as ArrayRef;
            let data = DataFrame::from_columns([("id", ids)]).unwrap();
            tokio::spawn(async move { (n, sql.process_data(data).await.unwrap()) })
        })
        .collect();
    for task in tasks {
        let (n, out) = task.await.unwrap();
        assert_eq!(out.f64_column("s").unwrap(), [2.0 * n as f64]);
    }
}

#[tokio::test]
async fn a_table_that_fits_has_no_violations() {
    let kinds = [
        ("id", ColumnType::Integer),
        ("id", ColumnType::Number),
        ("x", ColumnType::Number),
        ("name", ColumnType::Text),
        ("ok", ColumnType::Boolean),
        ("day", ColumnType::Date),
        ("at", ColumnType::Timestamp),
    ];
    for (column, kind) in kinds {
        let found = report(vec![Expectation { kind: Some(kind), ..expect(column) }], false).await;
        assert!(found.is_valid(), "{column}: {found:?}");
        assert_eq!(found.rows, 4);
    }
    let optional = Expectation { required: false, ..expect("absent") };
    assert!(report(vec![optional], false).await.is_valid());
    let names = ["a", "b", "z"].map(str::to_owned).to_vec();
    let named = Expectation { one_of: names, unique: true, ..expect("name") };
    assert!(
        report(vec![named, Expectation { min: Some(1.0), max: Some(3.0), ..expect("id") }], false).await.is_valid()
    );
}

#[tokio::test]
async fn every_violation_is_counted() {
    let cases = [
        (expect("nmae"), "is missing; there is a column `name`", 0),
        (expect("absent"), "is missing", 0),
        (Expectation { kind: Some(ColumnType::Integer), ..expect("x") }, "is of type Float64, expected integer", 0),
        (Expectation { kind: Some(ColumnType::Binary), ..expect("name") }, "expected binary", 0),
        (Expectation { nullable: false, ..expect("name") }, "has missing values", 1),
        (Expectation { min: Some(2.0), ..expect("id") }, "outside 2 and above", 1),
        (Expectation { max: Some(1.0), ..expect("x") }, "outside 1 and below", 2),
        (Expectation { min: Some(2.0), max: Some(2.5), ..expect("id") }, "outside 2 to 2.5", 3),
        (Expectation { min: Some(0.0), ..expect("name") }, "only numbers have a min and max", 0),
        (Expectation { one_of: vec!["a".into()], ..expect("name") }, "none of `a`", 2),
        (Expectation { one_of: vec!["1".into(), "2".into()], ..expect("id") }, "none of `1`, `2`", 2),
        (Expectation { unique: true, ..expect("id") }, "appear before", 1),
        (Expectation { unique: true, ..expect("ok") }, "appear before", 2),
    ];
    for (expectation, message, rows) in cases {
        let found = report(vec![expectation.clone()], false).await;
        let [violation] = found.violations.as_slice() else { panic!("{expectation:?}: {found:?}") };
        assert!(violation.message.contains(message), "{message}: {violation:?}");
        assert_eq!((violation.rows, &violation.column), (rows, &expectation.column), "{message}");
    }
}

#[tokio::test]
async fn strict_names_the_columns_that_are_not_listed() {
    let found = report(vec![expect("id"), expect("x"), expect("name"), expect("ok")], true).await;
    let columns: Vec<_> = found.violations.iter().map(|violation| violation.column.as_str()).collect();
    assert_eq!(columns, ["day", "at"]);
}

#[tokio::test]
async fn expectations_that_contradict_themselves_do_not_start() {
    for (expect, part) in [
        (vec![expect("a"), expect("a")], "`a` appears twice"),
        (vec![Expectation { min: Some(2.0), max: Some(1.0), ..expect("a") }], "above its max"),
        (vec![Expectation { kind: Some(ColumnType::Text), min: Some(2.0), ..expect("a") }], "its type is text"),
    ] {
        let error = start(config(&[], expect)).await.err().expect("it must not start");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn settings_are_read_and_checked() {
    let settings = json!({
        "steps": ["select id from input"],
        "expect": [{"column": "id", "type": "integer", "min": 2, "unique": true}],
    });
    let sql = mlx_core::registry().create::<dyn DataProcessor>("sql", settings).await.unwrap();
    assert_eq!(sql.process_data(data()).await.unwrap().num_columns(), 1);
    assert_eq!(sql.validate_schema(data()).await.unwrap().violations.len(), 2);
    sql.shutdown().await.unwrap();
    let expect = json!([{"column": "a", "type": "text", "min": 1}, {"column": "b", "type": "txt"}, {"column": ""}]);
    let created = mlx_core::registry().create::<dyn DataProcessor>("sql", json!({"expect": expect})).await;
    let error = created.err().unwrap();
    let paths: Vec<_> = error.diagnostics().iter().filter_map(|found| found.path.as_deref()).collect();
    assert_eq!(paths, ["expect[0]", "expect[1].type", "expect[2].column"], "{error:?}");
}
