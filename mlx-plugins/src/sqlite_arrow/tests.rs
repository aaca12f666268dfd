use super::{Deadline, query, run, write};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Date64Array,
        Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
        LargeBinaryArray, LargeStringArray, ListArray, NullArray, StringArray, StringViewArray, Time64MicrosecondArray,
        TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
        UInt8Array, UInt32Array, UInt64Array,
    },
    datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimeUnit},
};
use mlx_core::{ErrorKind, Result, contracts::DataFrame, contracts::WriteMode, json};
use rusqlite::Connection;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const LONG: Duration = Duration::from_secs(60);
/// Counts to ten thousand million: minutes.
const ENDLESS: &str =
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000000000) select count(*) from n";

fn memory() -> Connection {
    Connection::open_in_memory().unwrap()
}

fn put(connection: &mut Connection, table: &str, data: &DataFrame, mode: WriteMode) -> Result<u64> {
    let batches = data.batches().iter().cloned().map(Ok);
    write(connection, table, data.schema(), batches, mode, &Deadline::after(LONG))
}

fn get(connection: &Connection, sql: &str) -> Result<DataFrame> {
    query(connection, sql, &[], &Deadline::after(LONG))
}

fn column(array: impl Array + 'static) -> DataFrame {
    DataFrame::from_columns([("c", Arc::new(array) as ArrayRef)]).unwrap()
}

/// Writes a column, reads it back, and compares type and values.
fn round_trip(given: impl Array + 'static, expected: impl Array + 'static) {
    let mut connection = memory();
    let given = column(given);
    put(&mut connection, "t", &given, WriteMode::Create).unwrap();
    let read = get(&connection, "select c from t").unwrap();
    assert_eq!(read.column("c").unwrap().to_data(), expected.to_data(), "{:?}", given.schema());
    let none = get(&connection, "select c from t where false").unwrap();
    assert_eq!(none.schema().field(0).data_type(), expected.data_type(), "an empty result of {:?}", given.schema());
}

#[test]
fn every_type_comes_back_with_its_values_and_nulls() {
    let whole = || Int64Array::from(vec![Some(1), None, Some(-7)]);
    round_trip(Int8Array::from(vec![Some(1), None, Some(-7)]), whole());
    round_trip(Int16Array::from(vec![Some(1), None, Some(-7)]), whole());
    round_trip(Int32Array::from(vec![Some(1), None, Some(-7)]), whole());
    round_trip(whole(), whole());
    round_trip(UInt8Array::from(vec![Some(255), None]), Int64Array::from(vec![Some(255), None]));
    round_trip(UInt32Array::from(vec![Some(u32::MAX)]), Int64Array::from(vec![i64::from(u32::MAX)]));
    round_trip(UInt64Array::from(vec![Some(i64::MAX as u64), None]), Int64Array::from(vec![Some(i64::MAX), None]));
    round_trip(Int64Array::from(vec![i64::MIN, i64::MAX]), Int64Array::from(vec![i64::MIN, i64::MAX]));
    round_trip(Float32Array::from(vec![Some(0.5), None]), Float64Array::from(vec![Some(0.5), None]));
    let floats = || Float64Array::from(vec![Some(0.1), None, Some(f64::INFINITY), Some(-1e-300), Some(3.0)]);
    round_trip(floats(), floats());
    round_trip(Float64Array::from(vec![Some(f64::NAN), Some(1.0)]), Float64Array::from(vec![None, Some(1.0)]));
    let flags = || BooleanArray::from(vec![Some(true), None, Some(false)]);
    round_trip(flags(), flags());
    let texts = vec![Some("a"), None, Some(""), Some("naïve \0 \" ' 🦀"), Some("123")];
    round_trip(StringArray::from(texts.clone()), StringArray::from(texts.clone()));
    round_trip(LargeStringArray::from(texts.clone()), StringArray::from(texts.clone()));
    round_trip(StringViewArray::from(texts.clone()), StringArray::from(texts));
    let bytes = vec![Some(&b"\0\xff"[..]), None, Some(b"")];
    round_trip(BinaryArray::from(bytes.clone()), BinaryArray::from(bytes.clone()));
    round_trip(LargeBinaryArray::from(bytes.clone()), BinaryArray::from(bytes.clone()));
    round_trip(BinaryViewArray::from(bytes.clone()), BinaryArray::from(bytes));
    let days = || Date32Array::from(vec![Some(0), None, Some(19_723), Some(-1)]);
    round_trip(days(), days());
    round_trip(Date64Array::from(vec![Some(86_400_000), None]), Date32Array::from(vec![Some(1), None]));
    round_trip(Time64MicrosecondArray::from(vec![Some(3_600_000_000)]), StringArray::from(vec!["01:00:00"]));
    let decimals = Decimal128Array::from(vec![Some(12345), None]).with_precision_and_scale(10, 2).unwrap();
    round_trip(decimals, Float64Array::from(vec![Some(123.45), None]));
    let words: DictionaryArray<Int32Type> = vec![Some("b"), None, Some("a"), Some("b")].into_iter().collect();
    round_trip(words, StringArray::from(vec![Some("b"), None, Some("a"), Some("b")]));
    round_trip(NullArray::new(3), NullArray::new(3));
}

#[test]
fn timestamps_keep_their_unit_and_their_instant() {
    let at = 1_700_000_000_i64;
    let seconds = || TimestampSecondArray::from(vec![Some(at), None, Some(-1)]);
    round_trip(seconds(), seconds());
    let millis = || TimestampMillisecondArray::from(vec![Some(at * 1000 + 7), None]);
    round_trip(millis(), millis());
    let micros = || TimestampMicrosecondArray::from(vec![Some(at * 1_000_000 + 123_456), None]);
    round_trip(micros(), micros());
    let nanos = || TimestampNanosecondArray::from(vec![Some(at * 1_000_000_000 + 1), None]);
    round_trip(nanos(), nanos());
    // A zone by name, which only a time zone database knows, and one by offset.
    for zone in ["Europe/Berlin", "+02:00", "UTC"] {
        round_trip(micros().with_timezone(zone), micros().with_timezone("+00:00"));
    }
}

#[test]
fn a_column_of_nulls_or_without_rows_keeps_its_declared_type() {
    for array in [
        Arc::new(Int32Array::from(vec![None, None])) as ArrayRef,
        Arc::new(StringArray::from(vec![None::<&str>])),
        Arc::new(Date32Array::from(vec![None])),
        Arc::new(BooleanArray::from(Vec::<bool>::new())),
        Arc::new(BinaryArray::from(vec![None])),
    ] {
        let data_type = if array.data_type().is_integer() { DataType::Int64 } else { array.data_type().clone() };
        let mut connection = memory();
        put(&mut connection, "t", &DataFrame::from_columns([("c", array)]).unwrap(), WriteMode::Create).unwrap();
        assert_eq!(get(&connection, "select * from t").unwrap().schema().field(0).data_type(), &data_type);
    }
}

#[test]
fn the_values_decide_where_nothing_is_declared() {
    let types = |sql: &str| get(&memory(), sql).unwrap().schema().field(0).data_type().clone();
    assert_eq!(types("select 1 as x union all select null"), DataType::Int64);
    assert_eq!(types("select 1 as x union all select 2.5"), DataType::Float64);
    assert_eq!(types("select null as x union all select 2.5 union all select 1"), DataType::Float64);
    assert_eq!(types("select 'a' as x"), DataType::Utf8);
    assert_eq!(types("select x'00' as x"), DataType::Binary);
    assert_eq!(types("select x'00' as x union all select 'a' union all select 1"), DataType::Binary);
    assert_eq!(types("select null as x"), DataType::Null);
    let mixed = get(&memory(), "values (1), (2.5), ('a'), (null)").unwrap();
    let texts = mixed.string_column("column1").unwrap();
    assert_eq!(texts, [Some("1".into()), Some("2.5".into()), Some("a".into()), None]);
    assert_eq!(mixed.schema().field(0).data_type(), &DataType::Utf8);
}

#[test]
fn values_win_over_a_declaration_that_they_contradict() {
    let connection = memory();
    let sql = "create table t (i integer, d date, ts timestamp, b boolean);
        insert into t values (1, '2024-01-02', '2024-01-02 03:04:05', 1);
        insert into t values ('x', 'soon', 1700000000, 2);";
    connection.execute_batch(sql).unwrap();
    let types = |sql| {
        let read = get(&connection, sql).unwrap();
        read.schema().fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>()
    };
    let instant = DataType::Timestamp(TimeUnit::Microsecond, None);
    assert_eq!(types("select * from t limit 1"), [DataType::Int64, DataType::Date32, instant, DataType::Boolean]);
    assert_eq!(types("select * from t"), [DataType::Utf8, DataType::Utf8, DataType::Utf8, DataType::Int64]);
    // Nothing is lost to a type that is too small: a time of day in a date, a zone, digits of a second.
    connection
        .execute_batch("delete from t; insert into t values (1, '2024-01-02 10:00:00', '2024-01-02T03:04:05+01:00', 0)")
        .unwrap();
    assert_eq!(types("select * from t")[1..3], [DataType::Utf8, DataType::Utf8]);
    connection.execute_batch("update t set ts = '2024-01-02T03:04:05.123456789'").unwrap();
    assert_eq!(types("select ts from t"), [DataType::Utf8]);
}

#[test]
fn a_type_that_changes_in_a_later_batch_changes_for_all() {
    let sql = "with recursive n(i) as (select 0 union all select i + 1 from n where i < 20000)
        select case when i = 20000 then 'end' when i % 1000 = 999 then i + 0.5 else i end as x from n";
    let read = get(&memory(), sql).unwrap();
    assert!(read.batches().len() > 1);
    let texts = read.string_column("x").unwrap();
    assert_eq!(texts[0].as_deref(), Some("0"));
    assert_eq!(texts[999].as_deref(), Some("999.5"));
    assert_eq!(texts[8192].as_deref(), Some("8192"), "an integer is written as one whatever its batch holds");
    assert_eq!(texts[20000].as_deref(), Some("end"));
}

#[test]
fn a_hundred_thousand_rows_are_all_there() {
    let sql = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) select i, i / 2.0 as h from n";
    let read = get(&memory(), sql).unwrap();
    assert_eq!(read.num_rows(), 100_000);
    assert_eq!(read.column("i").unwrap().as_primitive::<Int64Type>().value(99_999), 100_000);
    assert_eq!(read.column("h").unwrap().as_primitive::<Float64Type>().value(0), 0.5);
    let mut connection = memory();
    assert_eq!(put(&mut connection, "t", &read, WriteMode::Create).unwrap(), 100_000);
    let sum = get(&connection, "select count(*), sum(i) from t").unwrap();
    assert_eq!((sum.cell(0, 0).as_deref(), sum.cell(0, 1).as_deref()), (Some("100000"), Some("5000050000")));
}

#[test]
fn a_type_that_sqlite_cannot_hold_is_refused_with_the_column() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
    let error = put(&mut memory(), "t", &column(list), WriteMode::Create).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("the column `c` has the type List"), "{error}");

    let error = put(&mut memory(), "t", &column(UInt64Array::from(vec![u64::MAX])), WriteMode::Create).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("column `c`") && error.to_string().contains("18446744073709551615"), "{error}");
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let mut connection = memory();
    let good = column(Int64Array::from(vec![1]));
    put(&mut connection, "t", &good, WriteMode::Create).unwrap();
    let batches = [Ok(good.batches()[0].clone()), Err(mlx_core::Error::failed("the file ends early"))];
    let error = write(&mut connection, "t", good.schema(), batches, WriteMode::Replace, &Deadline::after(LONG));
    assert!(error.unwrap_err().to_string().contains("ends early"));
    assert_eq!(get(&connection, "select * from t").unwrap().num_rows(), 1);

    let over = Deadline::after(Duration::ZERO);
    let error = write(&mut connection, "t", good.schema(), [Ok(good.batches()[0].clone())], WriteMode::Append, &over);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(get(&connection, "select * from t").unwrap().num_rows(), 1);
}

#[test]
fn modes_append_replace_and_create() {
    let mut connection = memory();
    let one = column(Int64Array::from(vec![1]));
    for _ in 0..2 {
        put(&mut connection, "t", &one, WriteMode::Append).unwrap();
    }
    assert_eq!(get(&connection, "select * from t").unwrap().num_rows(), 2);
    let error = put(&mut connection, "t", &one, WriteMode::Create).unwrap_err();
    assert!(error.to_string().contains("already exists"), "{error}");
    put(&mut connection, "t", &column(StringArray::from(vec!["x"])), WriteMode::Replace).unwrap();
    assert_eq!(get(&connection, "select * from t").unwrap().string_column("c").unwrap(), [Some("x".to_owned())]);
    let other = DataFrame::from_columns([("other", Arc::new(NullArray::new(1)) as ArrayRef)]).unwrap();
    let error = put(&mut connection, "t", &other, WriteMode::Append).unwrap_err();
    assert!(error.to_string().contains("no column named other"), "{error}");
}

#[test]
fn impossible_tables_are_refused() {
    let twice = DataFrame::from_columns([
        ("a", Arc::new(NullArray::new(1)) as ArrayRef),
        ("A", Arc::new(NullArray::new(1)) as ArrayRef),
    ]);
    let error = put(&mut memory(), "t", &twice.unwrap(), WriteMode::Create).unwrap_err();
    assert!(error.to_string().contains("`A` appears twice"), "{error}");
    let nothing = DataFrame::empty(Arc::new(arrow::datatypes::Schema::empty()));
    assert!(put(&mut memory(), "t", &nothing, WriteMode::Create).is_err());
    let one = column(Int64Array::from(vec![1]));
    for name in ["", "a\0b", "sqlite_x"] {
        assert_eq!(
            put(&mut memory(), name, &one, WriteMode::Create).unwrap_err().kind(),
            ErrorKind::Invalid,
            "{name:?}"
        );
    }
}

#[test]
fn names_and_values_are_never_sql() {
    let mut connection = memory();
    let evil = r#"t" (c); drop table safe; --"#;
    put(&mut connection, "safe", &column(Int64Array::from(vec![1])), WriteMode::Create).unwrap();
    let data =
        DataFrame::from_columns([(r#"c" int); drop table safe; --"#, Arc::new(Int64Array::from(vec![7])) as ArrayRef)]);
    for mode in [WriteMode::Create, WriteMode::Append, WriteMode::Replace] {
        put(&mut connection, evil, data.as_ref().unwrap(), mode).unwrap();
    }
    let sql = "select ? as x, (select count(*) from safe) as n";
    let value = "'; drop table safe; --";
    let read = query(&connection, sql, &[json!(value)], &Deadline::after(LONG)).unwrap();
    assert_eq!((read.cell(0, 0).as_deref(), read.cell(0, 1).as_deref()), (Some(value), Some("1")));
    let stacked = get(&connection, "select 1; drop table safe").unwrap_err();
    assert!(stacked.to_string().contains("one by one"), "{stacked}");
    assert!(get(&connection, "select * from safe").is_ok());
}

#[test]
fn parameters_keep_their_types() {
    let parameters = [json!(null), json!(true), json!(-3), json!(0.25), json!("é"), json!([1, {"a": 2}])];
    let sql = "select typeof(?), typeof(?), typeof(?), typeof(?), ?, json_extract(?, '$[1].a')";
    let read = query(&memory(), sql, &parameters, &Deadline::after(LONG)).unwrap();
    let cells: Vec<_> = (0..6).filter_map(|column| read.cell(0, column)).collect();
    assert_eq!(cells, ["null", "integer", "integer", "real", "é", "2"]);
    for (parameters, part) in [
        (vec![], "1 parameters, and 0 values"),
        (vec![json!(1), json!(2)], "1 parameters, and 2 values"),
        (vec![json!(u64::MAX)], "parameter 1: 18446744073709551615"),
    ] {
        let error = query(&memory(), "select ?", &parameters, &Deadline::after(LONG)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn a_wrong_query_says_where() {
    let error = get(&memory(), "select 1,\n  nonsense from nowhere").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("no such table: nowhere"), "{error}");
    let error = get(&memory(), "select 1,\n  nonsense").unwrap_err();
    assert!(error.to_string().contains("line 2, column 3"), "{error}");
    let error =
        get(&memory(), "select 'a secret' frm").and_then(|_| get(&memory(), "select 'a secret' fr om x")).unwrap_err();
    assert!(!format!("{error:?}").contains("a secret"), "{error:?}");
}

#[test]
fn an_empty_query_is_refused() {
    for sql in ["", "   ", "-- nothing"] {
        assert_eq!(get(&memory(), sql).unwrap_err().kind(), ErrorKind::Invalid, "{sql:?}");
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_with_the_column() {
    let error = get(&memory(), "select cast(x'ff' as text) as broken").unwrap_err();
    assert!(error.to_string().contains("`broken`"), "{error}");
}

#[tokio::test]
async fn a_query_past_its_deadline_stops_inside_sqlite() {
    let (stopped, wait) = tokio::sync::oneshot::channel();
    let begun = Instant::now();
    let result = run(Duration::from_millis(100), move |deadline| {
        let mut connection = memory();
        deadline.watch(&mut connection)?;
        let result = query(&connection, ENDLESS, &[], deadline);
        let _ = stopped.send(result.as_ref().map(|_| ()).map_err(|error| error.kind()));
        result
    })
    .await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(5));
    // Not only the caller is gone: the thread is free again.
    let stopped = tokio::time::timeout(Duration::from_secs(5), wait).await.unwrap().unwrap();
    assert!(stopped.is_err());
}

#[tokio::test]
async fn a_query_that_nobody_waits_for_stops() {
    let (stopped, wait) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(run(LONG, move |deadline| {
        let mut connection = memory();
        deadline.watch(&mut connection)?;
        let result = query(&connection, ENDLESS, &[], deadline);
        let _ = stopped.send(result.as_ref().map(|_| ()).map_err(|error| error.kind()));
        result
    }));
    tokio::time::sleep(Duration::from_millis(50)).await;
    task.abort();
    let stopped = tokio::time::timeout(Duration::from_secs(5), wait).await.unwrap().unwrap();
    assert_eq!(stopped, Err(ErrorKind::Cancelled));
}

#[tokio::test]
async fn a_panic_is_an_error() {
    let error = run::<()>(LONG, |_| panic!("oh")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}
