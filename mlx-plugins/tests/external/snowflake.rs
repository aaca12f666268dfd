//! The data source `snowflake` against snowduck (the SQL API, sessions) and fakesnow (sessions), beside Snowflake's own
//! connector for Python.

use super::server::{Launch, Server, python};
use mlx_core::{
    BoxStream,
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array,
            Int64Array, StringArray, Time64NanosecondArray, TimestampMicrosecondArray,
        },
        datatypes::{DataType, Decimal128Type, TimeUnit},
    },
    prelude::*,
};
use std::{future::poll_fn, sync::Arc, time::Duration};

mlx_core::link!(mlx_plugins);

type Source = mlx_core::platform::Standalone<dyn DataSource>;

const KEY: &str = include_str!("../../src/data_source/snowflake/test_keys/plain.pem");

async fn snowduck() -> Server {
    Server::start(|port, _| Launch {
        name: "snowduck",
        program: "bin/snowduck",
        arguments: ["--host", "127.0.0.1", "--port", &port.to_string()].map(str::to_owned).into(),
        variables: Vec::new(),
        ready: "/",
    })
    .await
}

async fn fakesnow() -> Server {
    Server::start(|port, _| Launch {
        name: "fakesnow",
        program: "bin/fakesnow",
        arguments: ["-s", "--host", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned).into(),
        variables: Vec::new(),
        ready: "/",
    })
    .await
}

async fn source(server: &Server, more: JsonValue) -> Source {
    let mut config = json!({"account": "myorg-acct", "user": "ada", "database": "sales", "base_url": server.url()});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    mlx_core::registry().create("snowflake", config).await.unwrap()
}

async fn by_key(server: &Server) -> Source {
    source(server, json!({"private_key": KEY})).await
}

async fn by_password(server: &Server) -> Source {
    source(server, json!({"password": "secret", "connection_pool_size": 2})).await
}

#[track_caller]
fn refused<T>(result: Result<T>, kind: ErrorKind) -> String {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

/// Runs statements of the official connector, and prints the rows of the last one.
const CONNECTOR: &str = r#"
import json, sys, snowflake.connector
connection = snowflake.connector.connect(
    user="ada", password="secret", account="myorg-acct", host="127.0.0.1", port=int(sys.argv[1]), protocol="http",
    database="SALES", schema="PUBLIC", session_parameters={"QUERY_TAG": "test"})
cursor = connection.cursor()
for statement in sys.argv[2:]:
    cursor.execute(statement)
rows = cursor.fetchall() if statement.startswith("select") else []
print(json.dumps([[None if value is None else bytes(value).hex() if isinstance(value, (bytes, bytearray)) else str(value)
                   for value in row] for row in rows]))
"#;

fn connector(server: &'static str, port: u16, statements: &[&str]) -> JsonValue {
    let port = port.to_string();
    let arguments: Vec<&str> = std::iter::once(port.as_str()).chain(statements.iter().copied()).collect();
    python(server, CONNECTOR, &arguments).trim().parse().unwrap()
}

fn table() -> DataFrame {
    let decimals = Decimal128Array::from(vec![Some(-12_345), None]).with_precision_and_scale(10, 2).unwrap();
    let times = |values: Vec<Option<i64>>| TimestampMicrosecondArray::from(values);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(2)]))),
        ("d", Arc::new(decimals)),
        ("f", Arc::new(Float64Array::from(vec![Some(0.1), None]))),
        ("s", Arc::new(StringArray::from(vec![Some("é'\"\\ \n🦀"), None]))),
        ("b", Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), Some(b"x")]))),
        ("o", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(19_782), None]))),
        ("tm", Arc::new(Time64NanosecondArray::from(vec![Some(86_399_123_456_000), None]))),
        ("ts", Arc::new(times(vec![Some(1_709_168_523_123_456), None]))),
        ("tz", Arc::new(times(vec![Some(1_709_168_523_123_456), None]).with_timezone("+02:00"))),
    ];
    DataFrame::from_columns(columns).unwrap()
}

const SELECT: &str = "select id, d, f, s, b, o, day, tm, ts, tz from written order by id";

#[tokio::test(flavor = "multi_thread")]
async fn types_written_and_read_in_sessions_are_those_of_the_official_connector() {
    let server = fakesnow().await;
    let source = by_password(&server).await;
    let info = source.connect().await.unwrap();
    assert_eq!((info.product.as_str(), info.target.as_str()), ("Snowflake", "myorg-acct/sales/PUBLIC"));
    assert!(!info.version.is_empty());

    // Written here, read there.
    assert_eq!(source.write("written", table(), WriteMode::Create).await.unwrap(), 2);
    let row = json!([
        i64::MIN.to_string(),
        "-123.45",
        "0.1",
        "é'\"\\ \n🦀",
        "00ff",
        "True",
        "2024-02-29",
        "23:59:59.123456",
        "2024-02-29 01:02:03.123456",
        "2024-02-29 01:02:03.123456+00:00",
    ]);
    let null = json!(["2", null, null, null, "78", null, null, null]);
    let there = connector("fakesnow", server.port, &[SELECT]);
    assert_eq!(there[0], row);
    // The connector takes the stand-in's null timestamps for 1970.
    assert_eq!(there[1].as_array().unwrap()[..8], null.as_array().unwrap()[..8]);

    // And read here.
    // The stand-in's null timestamps are no valid Arrow.
    refused(source.query(SELECT).await, ErrorKind::Failed);
    let nulls = source.query("select d, f, s, o, day, tm from written where id = 2").await.unwrap();
    assert!(nulls.to_batch().unwrap().columns().iter().all(|column| column.is_null(0)));
    let read = source.query(&SELECT.replace(" order", " where f is not null order")).await.unwrap();
    let types: Vec<DataType> = read.schema().fields().iter().map(|field| field.data_type().clone()).collect();
    let utc = DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()));
    assert_eq!(
        types[1..],
        [
            DataType::Decimal128(10, 2),
            DataType::Float64,
            DataType::Utf8,
            DataType::Binary,
            DataType::Boolean,
            DataType::Date32,
            DataType::Time64(TimeUnit::Nanosecond),
            DataType::Timestamp(TimeUnit::Nanosecond, None),
            utc,
        ]
    );
    let cells: Vec<String> = (0..10).map(|column| read.cell(0, column).unwrap()).collect();
    assert_eq!(
        cells,
        [
            &i64::MIN.to_string(),
            "-123.45",
            "0.1",
            "é'\"\\ \n🦀",
            "00ff",
            "true",
            "2024-02-29",
            "23:59:59.123456",
            "2024-02-29T01:02:03.123456",
            "2024-02-29T01:02:03.123456Z",
        ]
    );
    // Written there, read here.
    connector(
        "fakesnow",
        server.port,
        &[
            "create table theirs (n number(12, 3), v variant, t timestamp_ntz, z timestamp_tz, d date)",
            r#"insert into theirs select 1.5, parse_json('{"a": [1, null]}'), '1969-12-31 23:59:59.5',
               '2024-02-29 01:02:03', '0001-01-01'"#,
        ],
    );
    let theirs = source.query("select * from theirs").await.unwrap();
    assert_eq!(theirs.column("N").unwrap().as_primitive::<Decimal128Type>().value(0), 1500);
    let variant: JsonValue = theirs.cell(0, 1).unwrap().parse().unwrap();
    assert_eq!(variant, json!({"a": [1, null]}));
    assert_eq!(theirs.cell(0, 2).unwrap(), "1969-12-31T23:59:59.500");
    assert_eq!(theirs.cell(0, 3).unwrap(), "2024-02-29T01:02:03Z");
    assert_eq!(theirs.cell(0, 4).unwrap(), "0001-01-01");

    // The catalogue, and the modes.
    assert_eq!(source.tables().await.unwrap(), ["THEIRS", "WRITTEN"]);
    assert_eq!(source.table_schema("written").await.unwrap().fields(), read.schema().fields());
    refused(source.write("written", table(), WriteMode::Create).await, ErrorKind::Invalid);
    assert_eq!(source.write("written", table(), WriteMode::Append).await.unwrap(), 2);
    assert_eq!(source.query("select count(*) from written").await.unwrap().cell(0, 0).unwrap(), "4");
    assert_eq!(source.write("written", table(), WriteMode::Replace).await.unwrap(), 2);
    assert_eq!(source.query("select count(*) from written").await.unwrap().cell(0, 0).unwrap(), "2");
    assert_eq!(source.tables().await.unwrap(), ["THEIRS", "WRITTEN"], "nothing is left beside them");

    // Parameters, and what is wrong.
    let found =
        source.query_with("select s from written where id = ? and f < ?", vec![json!(i64::MIN), json!(0.5)]).await;
    assert_eq!(found.unwrap().num_rows(), 1);
    let error = refused(source.query("select * from nope").await, ErrorKind::NotFound);
    assert!(error.contains("002003"), "{error}");
    refused(source.query("selec 1").await, ErrorKind::Invalid);
    refused(source.table_schema("nope").await, ErrorKind::NotFound);

    // More callers than sessions.
    let calls: Vec<_> = (0..12)
        .map(|number| {
            let source = source.handle();
            tokio::spawn(
                async move { source.query_with("select ? as n", vec![json!(number)]).await.unwrap().cell(0, 0) },
            )
        })
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), number.to_string());
    }
    source.shutdown().await.unwrap();
    assert!(server.log().contains("POST /session?delete=true"), "sessions are ended");
}

async fn next(stream: &mut BoxStream<DataFrame>) -> Option<Result<DataFrame>> {
    poll_fn(|cx| stream.as_mut().poll_next(cx)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sql_api_answers_in_parts_and_takes_rows_and_parameters() {
    let server = snowduck().await;
    let source = by_key(&server).await;
    let health = mlx_core::Handle::health(&source).await.unwrap();
    assert!(health.is_healthy());

    // 200,000 rows in 20 parts, in order.
    let sql = "select seq4() as n, 'row ' || seq4() as s from table(generator(rowcount => 200000)) order by 1";
    let mut stream = source.query_stream(sql, Vec::new()).await.unwrap();
    let (mut frames, mut rows) = (0, 0);
    while let Some(frame) = next(&mut stream).await {
        for text in frame.unwrap().string_column("N").unwrap() {
            assert_eq!(text.unwrap(), rows.to_string());
            rows += 1;
        }
        frames += 1;
    }
    assert_eq!((frames, rows), (20, 200_000));
    let whole = source.query(sql).await.unwrap();
    assert_eq!(whole.num_rows(), 200_000);
    drop(whole);
    drop(stream);

    // Written here in three requests of up to 8,000 rows, read here and there.
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..20_000));
    let names: ArrayRef = Arc::new(StringArray::from_iter((0..20_000).map(|n| (n % 3 != 0).then(|| format!("é{n}")))));
    let many = DataFrame::from_columns([("n", numbers), ("s", names)]).unwrap();
    assert_eq!(source.write("many", many.clone(), WriteMode::Append).await.unwrap(), 20_000);
    assert_eq!(source.write("many", many, WriteMode::Replace).await.unwrap(), 20_000);
    let counted = "select count(*), sum(n), count(s), min(s) from many";
    let there = connector("snowduck", server.port, &[counted]);
    assert_eq!(there, json!([["20000", "199990000", "13333", "é1"]]));
    let here = source.query(counted).await.unwrap();
    assert_eq!((here.cell(0, 1).unwrap().as_str(), here.cell(0, 3).unwrap().as_str()), ("199990000", "é1"));
    assert!(source.tables().await.unwrap().contains(&"MANY".to_owned()));
    let names: Vec<String> =
        source.table_schema("many").await.unwrap().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["N", "S"]);

    // Written there, read here.
    connector(
        "snowduck",
        server.port,
        &["create table theirs (a number, b varchar)", "insert into theirs values (1, 'x'), (2, null)"],
    );
    let theirs = source.query("select * from theirs order by a").await.unwrap();
    assert_eq!(theirs.string_column("B").unwrap(), [Some("x".to_owned()), None]);

    let found = source.query_with("select b from theirs where a = ? and b = ?", vec![json!(1), json!("x")]).await;
    assert_eq!(found.unwrap().num_rows(), 1);
    let injected = source.query_with("select b from theirs where b = ?", vec![json!("x' or 1 = 1 --")]).await;
    assert_eq!(injected.unwrap().num_rows(), 0);
    let error = refused(source.query("select * from nope").await, ErrorKind::NotFound);
    assert!(error.contains("002003"), "{error}");
    refused(source.query("selec 1").await, ErrorKind::Invalid);
    source.shutdown().await.unwrap();
}

/// Prints the states of the statements that the server has had.
const HISTORY: &str = r#"
import json, sys, urllib.request
queries = json.load(urllib.request.urlopen(sys.argv[1] + "api/v2/query-history?limit=1000"))["queries"]
print(json.dumps([query["status"] for query in queries]))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_nobody_waits_for_is_cancelled_on_the_server() {
    let server = snowduck().await;
    let source = by_key(&server).await;
    let slow = "select sum(a.range * b.range) as n from range(20000) a, range(20000) b";
    let query = source.query(slow);
    assert!(tokio::time::timeout(Duration::from_millis(50), query).await.is_err());
    // The server is busy with the query, and does not listen before it is over.
    for _ in 0..600 {
        if server.log().contains("/cancel") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let states: JsonValue = python("snowduck", HISTORY, &[&server.url()]).trim().parse().unwrap();
    assert!(states.as_array().unwrap().contains(&json!("cancelled")), "{states}");
    source.shutdown().await.unwrap();
}

/// Verifies a token as Snowflake would, with the public key of a private one, and prints its claims.
const VERIFY: &str = r#"
import base64, hashlib, json, sys, jwt
from cryptography.hazmat.primitives import serialization
public = serialization.load_pem_private_key(open(sys.argv[2], "rb").read(), None).public_key()
claims = jwt.decode(sys.argv[1], public, algorithms=["RS256"], options={"require": ["iss", "sub", "iat", "exp"]})
der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
claims["fingerprint"] = "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode()
print(json.dumps(claims))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn pyjwt_verifies_the_token() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let request = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.windows(4).any(|window| window == b"\r\n\r\n") {
            stream.read_buf(&mut head).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&head).into_owned()
    });
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/data_source/snowflake/test_keys/plain.pem");
    let config = json!({
        "account": "myorg-acct", "user": "ada", "database": "sales", "base_url": format!("http://127.0.0.1:{port}/"),
        "private_key_path": path,
    });
    refused(mlx_core::registry().create::<dyn DataSource>("snowflake", config).await, ErrorKind::Denied);
    let head = request.await.unwrap();
    let header = head.lines().find(|line| line.to_lowercase().starts_with("authorization: bearer ")).unwrap();
    let token = header.rsplit(' ').next().unwrap();
    let claims: JsonValue = python("snowduck", VERIFY, &[token, path]).trim().parse().unwrap();
    assert_eq!(claims["sub"], "MYORG-ACCT.ADA");
    assert_eq!(claims["iss"], format!("MYORG-ACCT.ADA.{}", claims["fingerprint"].as_str().unwrap()));
    assert!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap() <= 3600);
}
