use super::{answer::WINDOW, *};
use crate::http::{
    ResponseError,
    scripted::{Act, Scripted, Seen},
};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int8Array, Int32Array,
        Int64Array, RecordBatch, StringArray, StructArray,
    },
    datatypes::{DataType, Field, Int64Type, Schema},
    ipc::writer::StreamWriter,
};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use mlx_core::{BoxStream, platform::Standalone};
use std::{future::poll_fn, time::SystemTime};

const PLAIN: &str = include_str!("test_keys/plain.pem");
const AES: &str = include_str!("test_keys/encrypted_aes.pem");
const DES3: &str = include_str!("test_keys/encrypted_des3.pem");
const PKCS1: &str = include_str!("test_keys/pkcs1.pem");
const EC: &str = include_str!("test_keys/ec.pem");
const PASSPHRASE: &str = "canary-passphrase";
const PASSWORD: &str = "canary-password";

/// As OpenSSL computes it.
const FINGERPRINT: &str = "SHA256:QiWtbxJYf2Kv4kW5TQPbPCUZ+1sdmD+Jj5/cT2oXPKE=";

type Source = Standalone<dyn DataSource>;

fn settings(server: &Scripted, more: JsonValue) -> JsonValue {
    let mut config = json!({
        "account": "myorg-account123", "user": "ada", "database": "sales", "base_url": server.url.as_str(),
        "deadline": "10s", "timeout": "5s",
        "retry": {"max_attempts": 5, "initial_backoff": "1ms", "max_backoff": "5ms"},
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

async fn create(server: &Scripted, more: JsonValue) -> Result<Source> {
    mlx_core::registry().create("snowflake", settings(server, more)).await
}

/// A source with a key, whose start was answered.
async fn by_key(server: &Scripted) -> Source {
    create(server, json!({"private_key": PLAIN})).await.unwrap()
}

async fn by_password(server: &Scripted) -> Source {
    create(server, json!({"password": PASSWORD, "connection_pool_size": 1})).await.unwrap()
}

/// An answer of the SQL API in one part.
fn rows(row_type: JsonValue, data: JsonValue) -> JsonValue {
    json!({
        "code": "090001", "statementHandle": "h-1", "message": "Statement executed successfully.",
        "resultSetMetaData": {"numRows": data.as_array().unwrap().len(), "format": "jsonv2", "rowType": row_type},
        "data": data,
    })
}

fn act(body: JsonValue) -> Act {
    Act::json(200, &body.to_string())
}

fn text(name: &str) -> JsonValue {
    json!({"name": name, "type": "text", "length": 16, "precision": null, "scale": null, "nullable": true})
}

fn version() -> Act {
    act(rows(json!([text("V")]), json!([["9.8.1"]])))
}

fn one() -> Act {
    let fixed = json!({"name": "N", "type": "fixed", "precision": 1, "scale": 0, "nullable": false});
    act(rows(json!([fixed]), json!([["1"]])))
}

/// An answer whose rows are in parts, with the number of rows of each.
fn in_parts(counts: &[usize], data: JsonValue) -> JsonValue {
    let info: Vec<JsonValue> = counts.iter().map(|count| json!({"rowCount": count})).collect();
    let mut body = rows(json!([{"name": "N", "type": "fixed", "precision": 9, "scale": 0}]), data);
    body["resultSetMetaData"]["numRows"] = counts.iter().sum::<usize>().into();
    body["resultSetMetaData"]["partitionInfo"] = info.into();
    body
}

fn running() -> Act {
    Act::json(202, r#"{"code":"333334","message":"in progress","statementHandle":"h-1"}"#)
}

fn body(seen: &Seen) -> JsonValue {
    serde_json::from_slice(&seen.body).unwrap()
}

/// Waits until something has arrived.
async fn seen(server: &Scripted, what: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
    for _ in 0..1000 {
        let seen = server.seen();
        if what(&seen) {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not arrive: {:?}", server.seen().iter().map(Seen::target).collect::<Vec<_>>());
}

#[track_caller]
fn failed<T>(result: Result<T>, kind: ErrorKind) -> String {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    let all = format!("{error} {error:?} {}", error.to_json());
    for canary in ["canary", &PLAIN[100..140], "eyJ"] {
        assert!(!all.contains(canary), "{all}");
    }
    error.to_string()
}

fn numbers(frame: &DataFrame) -> Vec<i64> {
    frame.column("N").unwrap().as_primitive::<Int64Type>().values().to_vec()
}

async fn next(stream: &mut BoxStream<DataFrame>) -> Option<Result<DataFrame>> {
    poll_fn(|cx| stream.as_mut().poll_next(cx)).await
}

// Who asks.

fn claims(token: &str) -> (JsonValue, JsonValue) {
    let part = |text: &str| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    let mut parts = token.split('.');
    (part(parts.next().unwrap()), part(parts.next().unwrap()))
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn a_token_says_who_asks_and_for_how_long() {
    for (account, name) in
        [("myorg-account123", "MYORG-ACCOUNT123"), ("xy12345.us-east-1.aws", "XY12345"), ("acme-9f8e7d.global", "ACME")]
    {
        let key = KeyPair::new(account, "ada.b", PLAIN, None).unwrap();
        let (header, claims) = claims(key.token(at(1000)).unwrap().expose());
        assert_eq!(header, json!({"alg": "RS256", "typ": "JWT"}));
        let subject = format!("{name}.ADA.B");
        let expected =
            json!({"iss": format!("{subject}.{FINGERPRINT}"), "sub": subject, "iat": 1000, "exp": 1000 + 3540});
        assert_eq!(claims, expected);
    }
}

#[test]
fn a_token_is_kept_until_shortly_before_it_expires() {
    let key = KeyPair::new("a", "u", PLAIN, None).unwrap();
    let first = key.token(at(1000)).unwrap();
    assert_eq!(key.token(at(1000 + 3239)).unwrap().expose(), first.expose());
    assert_ne!(key.token(at(1000 + 3241)).unwrap().expose(), first.expose());
    // A clock that was put back.
    assert_eq!(claims(key.token(at(10)).unwrap().expose()).1["iat"], 10);
}

#[test]
fn keys_are_read_in_the_forms_that_there_are() {
    let token = |pem: &str, passphrase| KeyPair::new("a", "u", pem, passphrase).unwrap().token(at(7)).unwrap();
    let expected = token(PLAIN, None);
    for (pem, passphrase) in [(PKCS1, None), (AES, Some(PASSPHRASE)), (DES3, Some(PASSPHRASE)), (PLAIN, Some("unused"))]
    {
        assert_eq!(token(pem, passphrase).expose(), expected.expose());
    }
    let refused = |pem: &str, passphrase| failed(KeyPair::new("a", "u", pem, passphrase), ErrorKind::Invalid);
    assert!(refused(AES, None).contains("set `private_key_passphrase`"));
    assert!(refused(AES, Some("canary")).contains("is not its passphrase"));
    assert!(refused(EC, None).contains("RSA"));
    for damaged in ["", "canary", "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----", &PLAIN[..800]] {
        refused(damaged, None);
    }
}

#[tokio::test]
async fn one_credential_is_there() {
    let server = Scripted::play([]).await;
    for (config, said) in [
        (json!({}), "set `private_key`, `private_key_path` or `password`"),
        (json!({"password": PASSWORD, "private_key": PLAIN}), "either a private key or `password`"),
        (json!({"private_key": PLAIN, "private_key_path": "x"}), "either `private_key` or `private_key_path`"),
        (json!({"private_key_passphrase": PASSPHRASE}), "needs a `private_key`"),
        (json!({"password": PASSWORD, "protocol": "sql_api"}), "takes no password"),
        (json!({"private_key": AES, "private_key_passphrase": "canary-x"}), "is not its passphrase"),
    ] {
        let error = failed(create(&server, config).await, ErrorKind::Invalid);
        assert!(error.contains(said), "{error}");
    }
    failed(create(&server, json!({"private_key_path": "/does/not/exist"})).await, ErrorKind::NotFound);
    assert!(server.seen().is_empty());
}

#[test]
fn an_account_has_an_address() {
    assert_eq!(address("MyOrg-my_account").unwrap().as_str(), "https://myorg-my-account.snowflakecomputing.com/");
    for wrong in ["", "https://x", "a/b", "a b", "x.snowflakecomputing.com", "x@y"] {
        assert!(address(wrong).is_err(), "{wrong}");
    }
}

// The SQL API.

#[tokio::test]
async fn a_query_is_sent_as_the_api_has_it() {
    let server = Scripted::play([version(), one()]).await;
    let more = json!({"private_key": PLAIN, "role": "analyst", "query_timeout": 7, "schema": "\"My Schema\""});
    let source = create(&server, more).await.unwrap();
    let parameters = vec![json!(1), json!(1.5), json!("é"), json!(true), json!(null), json!({"a": [1]})];
    let frame = source.query_with("select ?", parameters).await.unwrap();
    assert_eq!(numbers(&frame), [1]);
    let seen = &server.seen()[1];
    let (path, query) = seen.target().split_once('?').unwrap();
    assert_eq!(path, "POST /api/v2/statements");
    let id = query.strip_prefix("requestId=").unwrap();
    assert!(id.len() == 36 && id.as_bytes()[14] == b'4' && !query.contains("retry"), "{query}");
    assert_eq!(seen.header("x-snowflake-authorization-token-type"), Some("KEYPAIR_JWT"));
    assert!(seen.header("authorization").unwrap().starts_with("Bearer eyJ"));
    assert_eq!(
        body(seen),
        json!({
            "statement": "select ?", "timeout": 7,
            "warehouse": "COMPUTE_WH", "database": "SALES", "schema": "My Schema", "role": "ANALYST",
            "bindings": {
                "1": {"type": "FIXED", "value": "1"}, "2": {"type": "REAL", "value": "1.5"},
                "3": {"type": "TEXT", "value": "é"}, "4": {"type": "BOOLEAN", "value": "true"},
                "5": {"type": "TEXT", "value": null}, "6": {"type": "TEXT", "value": "{\"a\":[1]}"},
            },
        })
    );
    source.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_request_is_made_again_with_the_same_id() {
    let broken = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"code\":".to_vec();
    let acts = [version(), Act::json(429, ""), Act::json(503, ""), Act::Cut(broken), one()];
    let server = Scripted::play(acts).await;
    let source = by_key(&server).await;
    source.query("insert into t select 1").await.unwrap();
    let targets: Vec<String> = server.seen()[1..].iter().map(|seen| seen.target().to_owned()).collect();
    assert_eq!(targets.len(), 4);
    for again in &targets[1..] {
        assert_eq!(*again, format!("{}&retry=true", targets[0]));
    }
    source.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_refused_is_made_anew_once() {
    let expired = || Act::json(401, r#"{"code":"390318","message":"token eyJ.x.y expired"}"#);
    let server = Scripted::play([version(), expired(), one(), expired(), expired(), one()]).await;
    let source = by_key(&server).await;
    source.query("select 1").await.unwrap();
    let error = source.query("select 1").await.unwrap_err();
    assert_eq!((error.kind(), ResponseError::of(&error).unwrap().code.as_str()), (ErrorKind::Denied, "390318"));
    assert_eq!(server.seen().len(), 5);
    source.shutdown().await.unwrap();
}

#[test]
fn a_server_that_repeats_the_token_is_not_repeated() {
    let key = KeyPair::new("a", "u", PLAIN, None).unwrap();
    let token = key.token(SystemTime::now()).unwrap().into_inner();
    assert_eq!(crate::http::Credentials::redact(&key, format!("who is {token}?")), "who is [redacted]?");
}

#[tokio::test]
async fn refusals_have_the_kind_that_their_code_says() {
    for (status, code, state, kind) in [
        (422, "002003", "42S02", ErrorKind::NotFound),
        (422, "001003", "42000", ErrorKind::Invalid),
        (422, "000904", "42000", ErrorKind::Invalid),
        (422, "002002", "42710", ErrorKind::Invalid),
        (422, "100038", "22018", ErrorKind::Invalid),
        (422, "003001", "42501", ErrorKind::Denied),
        (422, "000604", "57014", ErrorKind::Cancelled),
        (408, "000630", "57014", ErrorKind::Timeout),
        (422, "000606", "57P03", ErrorKind::Invalid),
        (422, "000002", "0A000", ErrorKind::Unsupported),
        (403, "390100", "08001", ErrorKind::Denied),
        (500, "", "", ErrorKind::Failed),
    ] {
        let said = json!({"code": code, "sqlState": state, "message": "it\nis wrong", "statementHandle": "h-1"});
        let server = Scripted::play([version(), Act::json(status, &said.to_string())]).await;
        let source = by_key(&server).await;
        let error = source.query("select 1").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("it is wrong"), "{error}");
        assert_eq!(ResponseError::of(&error).unwrap().status, status);
        source.shutdown().await.unwrap();
        assert_eq!(server.seen().len(), 2, "it is over: nothing to be cancelled, nor to be tried again");
    }
}

#[tokio::test]
async fn a_statement_that_takes_long_is_asked_after() {
    let server = Scripted::play([version(), running(), running(), Act::json(503, ""), one()]).await;
    let source = by_key(&server).await;
    assert_eq!(numbers(&source.query("select 1").await.unwrap()), [1]);
    source.shutdown().await.unwrap();
    let targets: Vec<String> = server.seen()[2..].iter().map(|seen| seen.target().to_owned()).collect();
    assert_eq!(targets, ["GET /api/v2/statements/h-1"; 3]);
}

#[tokio::test]
async fn replies_that_are_not_what_they_should_be_are_failures() {
    let mut without_meta = rows(json!([text("A")]), json!([["canary"]]));
    without_meta.as_object_mut().unwrap().remove("resultSetMetaData");
    let mut without_data = rows(json!([text("A")]), json!([["canary"]]));
    without_data.as_object_mut().unwrap().remove("data");
    let mut fewer = rows(json!([text("A")]), json!([["canary"]]));
    fewer["resultSetMetaData"]["numRows"] = 2.into();
    let mut without_handle = in_parts(&[1, 1], json!([["1"]]));
    without_handle.as_object_mut().unwrap().remove("statementHandle");
    let mut strange_handle = in_parts(&[1, 1], json!([["1"]]));
    strange_handle["statementHandle"] = "../../secret".into();
    for (reply, said) in [
        (json!("canary"), "not what it should be"),
        (without_meta, "without `resultSetMetaData`"),
        (without_data, "without `data`"),
        (fewer, "announced 2 rows, and parts with 1"),
        (rows(json!([text("A")]), json!([["canary", "canary"]])), "a row of 2 values where there are 1 columns"),
        (rows(json!([{"name": "A"}]), json!([])), "without `type`"),
        (rows(json!([{"name": "A", "type": "date"}]), json!([["canary"]])), "no Date32"),
        (in_parts(&[2, 1], json!([["1"]])), "1 rows of a part that has 2"),
        (without_handle, "without `statementHandle`"),
        (strange_handle, "no address can have"),
    ] {
        let server = Scripted::play([version(), act(reply)]).await;
        let source = by_key(&server).await;
        let error = failed(source.query("select 1").await, ErrorKind::Failed);
        assert!(error.contains(said), "{error}");
        source.shutdown().await.unwrap();
    }
    let mut several = rows(json!([text("A")]), json!([["Multiple statements executed successfully."]]));
    several["statementHandles"] = json!(["h-1", "h-2"]);
    let mut long = rows(json!([text("A")]), json!([["x"]]));
    long["code"] = "391908".into();
    for reply in [several, long] {
        let server = Scripted::play([version(), act(reply)]).await;
        let source = by_key(&server).await;
        failed(source.query("select 1; select 2").await, ErrorKind::Unsupported);
        source.shutdown().await.unwrap();
    }
}

/// A part of two rows.
fn part(number: usize) -> Act {
    act(json!({"data": [[number.to_string()], [(number * 10).to_string()]]}))
}

#[tokio::test]
async fn no_more_parts_are_fetched_ahead_than_the_window_has() {
    // Parts are asked for at the same time and may arrive in any order, so that here all are the same.
    let counts = [1, 1, 1, 1, 1, 1, 1, 1];
    let same = || act(json!({"data": [["5"]]}));
    let acts = [version(), act(in_parts(&counts, json!([["5"]])))].into_iter().chain((1..8).map(|_| same()));
    let server = Scripted::play(acts).await;
    let source = by_key(&server).await;
    let mut stream = source.query_stream("select n from t", Vec::new()).await.unwrap();
    assert_eq!(numbers(&next(&mut stream).await.unwrap().unwrap()), [5]);
    let arrived = seen(&server, |seen| seen.len() >= 2 + WINDOW).await;
    // Nobody has asked for more, so nothing more is fetched.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.seen().len(), arrived.len());
    let mut frames = 1;
    while let Some(frame) = next(&mut stream).await {
        assert_eq!(numbers(&frame.unwrap()), [5]);
        frames += 1;
    }
    assert_eq!(frames, 8);
    let mut asked: Vec<String> = server.seen()[2..].iter().map(|seen| seen.target().to_owned()).collect();
    asked.sort();
    let expected: Vec<String> = (1..8).map(|part| format!("GET /api/v2/statements/h-1?partition={part}")).collect();
    assert_eq!(asked, expected);
    drop(stream);
    source.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_part_that_breaks_is_fetched_again_and_one_that_is_missing_is_an_error() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"data\":[[\"1".to_vec();
    let server = Scripted::play([version(), act(in_parts(&[1, 2], json!([["0"]]))), Act::Cut(half), part(1)]).await;
    let source = by_key(&server).await;
    assert_eq!(numbers(&source.query("select n from t").await.unwrap()), [0, 1, 10]);
    source.shutdown().await.unwrap();

    let gone = || Act::json(404, r#"{"code":"000404","message":"no such statement"}"#);
    let short = || act(json!({"data": [["1"]]}));
    let none = || act(json!({"message": "no data"}));
    for (bad, kind) in [(gone(), ErrorKind::NotFound), (short(), ErrorKind::Failed), (none(), ErrorKind::Failed)] {
        let server = Scripted::play([version(), act(in_parts(&[1, 2], json!([["0"]]))), bad.clone()]).await;
        let source = by_key(&server).await;
        failed(source.query("select n from t").await, kind);
        source.shutdown().await.unwrap();

        let server = Scripted::play([version(), act(in_parts(&[1, 2], json!([["0"]]))), bad]).await;
        let source = by_key(&server).await;
        let mut stream = source.query_stream("select n from t", Vec::new()).await.unwrap();
        assert_eq!(numbers(&next(&mut stream).await.unwrap().unwrap()), [0]);
        failed(next(&mut stream).await.unwrap(), kind);
        assert!(next(&mut stream).await.is_none(), "an error ends it");
        drop(stream);
        source.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_query_that_nobody_waits_for_is_cancelled() {
    let cancelled = || act(json!({"code": "000000"}));
    // While it is asked after.
    let server = Scripted::play([version(), running(), Act::Silence, cancelled()]).await;
    let source = by_key(&server).await;
    let query = tokio::spawn({
        let source = source.handle();
        async move { source.query("select slow()").await }
    });
    seen(&server, |seen| seen.len() == 3).await;
    query.abort();
    let arrived = seen(&server, |seen| seen.len() == 4).await;
    assert_eq!(arrived[3].target(), "POST /api/v2/statements/h-1/cancel");
    source.shutdown().await.unwrap();

    // Before its handle is known: asking again with the same id tells it.
    let server = Scripted::play([version(), Act::Silence, running(), cancelled()]).await;
    let source = by_key(&server).await;
    let query = tokio::spawn({
        let source = source.handle();
        async move { source.query("select slow()").await }
    });
    seen(&server, |seen| seen.len() == 2).await;
    query.abort();
    let arrived = seen(&server, |seen| seen.len() == 4).await;
    assert_eq!(arrived[2].target(), format!("{}&retry=true&async=true", arrived[1].target()));
    assert_eq!(arrived[3].target(), "POST /api/v2/statements/h-1/cancel");
    source.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_query_past_its_time_is_cancelled() {
    let server = Scripted::play([version(), running(), Act::Silence, act(json!({"code": "000000"}))]).await;
    let source = create(&server, json!({"private_key": PLAIN, "query_timeout": 1})).await.unwrap();
    let error = failed(source.query("select slow()").await, ErrorKind::Timeout);
    assert!(error.contains("`query_timeout`"), "{error}");
    let arrived = seen(&server, |seen| seen.len() == 4).await;
    assert_eq!(arrived[3].target(), "POST /api/v2/statements/h-1/cancel");
    source.shutdown().await.unwrap();
}

#[tokio::test]
async fn rows_are_written_as_values_of_one_statement() {
    let said = |rows: &str| {
        act(self::rows(json!([{"name": "number of rows inserted", "type": "fixed", "precision": 18}]), json!([[rows]])))
    };
    let done = || act(rows(json!([text("status")]), json!([["Table created."]])));
    let server = Scripted::play([version(), done(), said("2"), done(), said("1")]).await;
    let source = by_key(&server).await;
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MAX), None]));
    let reals: ArrayRef = Arc::new(Float64Array::from(vec![f64::NEG_INFINITY, 1e300]));
    let table = DataFrame::from_columns([("id", numbers), ("größe", reals)]).unwrap();
    assert_eq!(source.write("t", table.clone(), WriteMode::Append).await.unwrap(), 2);
    let seen = server.seen();
    assert_eq!(body(&seen[1])["statement"], r#"create table if not exists "T" ("ID" number(19, 0), "größe" float)"#);
    assert_eq!(body(&seen[2])["statement"], r#"insert into "T" ("ID", "größe") values (?, ?), (?, ?)"#);
    let value = |text: JsonValue| json!({"type": "TEXT", "value": text});
    assert_eq!(
        body(&seen[2])["bindings"],
        json!({
            "1": value(json!(i64::MAX.to_string())), "2": value(json!("-inf")),
            "3": value(json!(null)), "4": value(json!("1e300")),
        })
    );
    let error = failed(source.write("t", table.clone(), WriteMode::Append).await, ErrorKind::Failed);
    assert!(error.contains("inserted 1 rows of 2"), "{error}");
    failed(source.write("t; drop table x", table, WriteMode::Append).await, ErrorKind::Invalid);
    assert_eq!(server.seen().len(), 5);
    source.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_replaced_table_is_there_whole_or_as_it_was() {
    let done = || act(rows(json!([text("status")]), json!([["done"]])));
    let refused = Act::json(422, r#"{"code":"100038","sqlState":"22018","message":"not numeric"}"#);
    let server = Scripted::play([version(), done(), refused, done()]).await;
    let source = by_key(&server).await;
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let table = DataFrame::from_columns([("id", numbers)]).unwrap();
    failed(source.write("s.t", table, WriteMode::Replace).await, ErrorKind::Invalid);
    let statements: Vec<String> =
        server.seen()[1..].iter().map(|seen| body(seen)["statement"].as_str().unwrap().to_owned()).collect();
    assert!(statements[0].starts_with(r#"create transient table "S"."T__MLX_"#), "{statements:?}");
    assert!(statements[2].starts_with(r#"drop table if exists "S"."T__MLX_"#), "{statements:?}");
    assert_eq!(statements.len(), 3);
    source.shutdown().await.unwrap();
}

// Sessions.

fn login() -> Act {
    act(json!({"success": true, "data": {"token": "session-token-1", "masterToken": "master-token-1"}}))
}

fn json_result(row_type: JsonValue, rowset: JsonValue) -> JsonValue {
    json!({
        "success": true, "code": null, "message": null,
        "data": {"rowtype": row_type, "rowset": rowset, "total": rowset.as_array().unwrap().len(), "queryResultFormat": "json"},
    })
}

fn session_version() -> Act {
    act(json_result(json!([text("V")]), json!([["9.8.1"]])))
}

fn session_one() -> Act {
    act(json_result(json!([{"name": "N", "type": "fixed", "precision": 1, "scale": 0}]), json!([["1"]])))
}

fn said(code: &str, message: &str) -> Act {
    act(json!({"success": false, "code": code, "message": message, "data": {"sqlState": "08001"}}))
}

fn ipc(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn a_session_is_begun_used_and_ended() {
    let server = Scripted::play([login(), session_version(), session_one(), act(json!({"success": true}))]).await;
    let source = create(&server, json!({"password": PASSWORD, "role": "r", "connection_pool_size": 1})).await.unwrap();
    assert_eq!(numbers(&source.query_with("select ?", vec![json!(1)]).await.unwrap()), [1]);
    source.shutdown().await.unwrap();
    let seen = server.seen();
    let query = seen[0].target().split_once("requestId=").unwrap().1;
    assert_eq!(
        query.split_once('&').unwrap().1,
        "warehouse=COMPUTE_WH&databaseName=SALES&schemaName=PUBLIC&roleName=R"
    );
    let login = &body(&seen[0])["data"];
    assert_eq!(
        (&login["LOGIN_NAME"], &login["PASSWORD"], &login["ACCOUNT_NAME"]),
        (&json!("ada"), &json!(PASSWORD), &json!("myorg-account123"))
    );
    assert_eq!(login["SESSION_PARAMETERS"]["STATEMENT_TIMEOUT_IN_SECONDS"], 300);
    for later in &seen[1..] {
        assert_eq!(later.header("authorization"), Some("Snowflake Token=\"session-token-1\""));
    }
    assert!(seen[2].target().starts_with("POST /queries/v1/query-request?requestId="));
    let asked = body(&seen[2]);
    assert_eq!((&asked["sqlText"], &asked["sequenceId"]), (&json!("select ?"), &json!(2)));
    assert_eq!(asked["bindings"], json!({"1": {"type": "FIXED", "value": "1"}}));
    assert_eq!(seen[3].target(), "POST /session?delete=true");
}

#[tokio::test]
async fn a_key_logs_in_as_well() {
    let server = Scripted::play([login(), session_version(), act(json!({"success": true}))]).await;
    let more = json!({"private_key": AES, "private_key_passphrase": PASSPHRASE, "protocol": "connector"});
    create(&server, more).await.unwrap().shutdown().await.unwrap();
    let login = body(&server.seen()[0]);
    assert_eq!(login["data"]["AUTHENTICATOR"], "SNOWFLAKE_JWT");
    let (_, claims) = claims(login["data"]["TOKEN"].as_str().unwrap());
    assert_eq!(claims["sub"], "MYORG-ACCOUNT123.ADA");
}

#[tokio::test]
async fn a_login_that_is_refused_does_not_show_the_password() {
    let wrong = said("390100", &format!("Incorrect username or password: {PASSWORD}"));
    let server = Scripted::play([wrong]).await;
    let error = failed(create(&server, json!({"password": PASSWORD})).await, ErrorKind::Denied);
    assert!(error.contains("Incorrect username or password: [redacted]"), "{error}");
}

#[tokio::test]
async fn an_expired_token_is_renewed_and_the_query_goes_on() {
    let renewed =
        act(json!({"success": true, "data": {"sessionToken": "session-token-2", "masterToken": "master-token-2"}}));
    let server = Scripted::play([login(), session_version(), said("390112", "expired"), renewed, session_one()]).await;
    let source = by_password(&server).await;
    assert_eq!(numbers(&source.query("select 1").await.unwrap()), [1]);
    source.shutdown().await.unwrap();
    let seen = server.seen();
    assert!(seen[3].target().starts_with("POST /session/token-request?requestId="));
    assert_eq!(seen[3].header("authorization"), Some("Snowflake Token=\"master-token-1\""));
    assert_eq!(body(&seen[3]), json!({"oldSessionToken": "session-token-1", "requestType": "RENEW"}));
    assert_eq!(seen[4].target(), seen[2].target(), "the same id");
    assert_eq!(seen[4].header("authorization"), Some("Snowflake Token=\"session-token-2\""));
}

#[tokio::test]
async fn a_session_that_is_gone_is_begun_again_once() {
    let gone = || Act::json(401, r#"{"success":false,"code":"390104","message":"User must login again"}"#);
    let again = act(json!({"success": true, "data": {"token": "session-token-9"}}));
    let server = Scripted::play([login(), session_version(), gone(), again, session_one()]).await;
    let source = by_password(&server).await;
    assert_eq!(numbers(&source.query("select 1").await.unwrap()), [1]);
    source.shutdown().await.unwrap();
    let seen = server.seen();
    assert!(seen[3].target().starts_with("POST /session/v1/login-request"));
    assert_eq!(seen[4].header("authorization"), Some("Snowflake Token=\"session-token-9\""));

    // Neither renewed nor begun again for ever.
    let server =
        Scripted::play([login(), session_version(), said("390112", "a"), said("390114", "b"), login(), gone()]).await;
    let source = by_password(&server).await;
    failed(source.query("select 1").await, ErrorKind::Denied);
    source.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_query_in_a_session_that_takes_long_is_asked_after() {
    let going = |url: &str| act(json!({"success": false, "code": "333333", "data": {"getResultUrl": url}}));
    let server = Scripted::play([
        login(),
        session_version(),
        going("/queries/q-1/result"),
        going("/queries/q-1/result"),
        session_one(),
    ])
    .await;
    let source = by_password(&server).await;
    assert_eq!(numbers(&source.query("select 1").await.unwrap()), [1]);
    source.shutdown().await.unwrap();
    assert_eq!(server.seen()[4].target(), "GET /queries/q-1/result");

    for strange in ["https://elsewhere/x", "//elsewhere/x"] {
        let server = Scripted::play([login(), session_version(), going(strange)]).await;
        let source = by_password(&server).await;
        failed(source.query("select 1").await, ErrorKind::Failed);
        source.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_query_in_a_session_that_nobody_waits_for_is_cancelled_and_the_session_goes_on() {
    let done = || act(json!({"success": true}));
    let server = Scripted::play([login(), session_version(), Act::Silence, done(), session_one()]).await;
    let source = by_password(&server).await;
    let query = tokio::spawn({
        let source = source.handle();
        async move { source.query("select slow()").await }
    });
    let arrived = seen(&server, |seen| seen.len() == 3).await;
    query.abort();
    // There is one session, which is free only after that.
    assert_eq!(numbers(&source.query("select 1").await.unwrap()), [1]);
    let id = arrived[2].target().split_once("requestId=").unwrap().1;
    let seen = server.seen();
    assert!(seen[3].target().starts_with("POST /queries/v1/abort-request?requestId="));
    assert_eq!(body(&seen[3]), json!({"sqlText": "select slow()", "requestId": id}));
    source.shutdown().await.unwrap();

    let server = Scripted::play([login(), session_version(), Act::Silence, done()]).await;
    let more = json!({"password": PASSWORD, "query_timeout": 1});
    let source = create(&server, more).await.unwrap();
    failed(source.query("select slow()").await, ErrorKind::Timeout);
    self::seen(&server, |seen| seen.len() == 4).await;
    source.shutdown().await.unwrap();
}

#[tokio::test]
async fn results_in_arrow_are_brought_to_the_types_of_their_columns() {
    let column = |name: &str, declared: &str, precision: i64, scale: i64| json!({"name": name, "type": declared, "precision": precision, "scale": scale, "nullable": true});
    let row_type = json!([
        column("I", "fixed", 9, 0),
        column("D", "fixed", 10, 2),
        column("E", "fixed", 38, 3),
        column("F", "real", 0, 0),
        column("T", "time", 0, 3),
        column("N", "timestamp_ntz", 0, 9),
        column("L", "timestamp_ltz", 0, 3),
        column("Z", "timestamp_tz", 0, 9),
        column("Y", "timestamp_tz", 0, 6),
        column("V", "variant", 0, 0),
        column("A", "date", 0, 0),
        column("B", "boolean", 0, 0),
    ]);
    let times = |fields: &[(&str, ArrayRef)]| -> ArrayRef {
        let fields = fields
            .iter()
            .map(|(name, array)| (Arc::new(Field::new(*name, array.data_type().clone(), true)), array.clone()));
        Arc::new(StructArray::from(fields.collect::<Vec<_>>()))
    };
    let long = |values: [Option<i64>; 2]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
    let short = |values: [Option<i32>; 2]| -> ArrayRef { Arc::new(Int32Array::from(values.to_vec())) };
    let decimals = Decimal128Array::from(vec![Some(-1500), None]).with_precision_and_scale(38, 3).unwrap();
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int8Array::from(vec![Some(-7), None])),
        short([Some(-150), None]),
        Arc::new(decimals),
        Arc::new(Float64Array::from(vec![Some(f64::NAN), None])),
        short([Some(86_399_999), None]),
        times(&[("epoch", long([Some(-1), None])), ("fraction", short([Some(999_999_999), Some(0)]))]),
        long([Some(1_616_173_619_500), None]),
        times(&[
            ("epoch", long([Some(1_616_173_619), None])),
            ("fraction", short([Some(1), Some(0)])),
            ("timezone", short([Some(960), Some(1440)])),
        ]),
        times(&[("epoch", long([Some(253_402_300_799_999_999), None])), ("timezone", short([Some(960), Some(1440)]))]),
        Arc::new(StringArray::from(vec![Some("{\"a\": 1}"), None])),
        Arc::new(Date32Array::from(vec![Some(0), None])),
        Arc::new(BooleanArray::from(vec![Some(true), None])),
    ];
    let fields: Vec<Field> = arrays
        .iter()
        .enumerate()
        .map(|(index, array)| Field::new(format!("c{index}"), array.data_type().clone(), true))
        .collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    let reply = |rowset: &str, total: u64| {
        act(json!({"success": true, "data": {
            "rowtype": row_type, "total": total, "queryResultFormat": "arrow", "rowsetBase64": rowset,
        }}))
    };
    let server = Scripted::play([login(), session_version(), reply(&BASE64_STANDARD.encode(ipc(&batch)), 2)]).await;
    let source = by_password(&server).await;
    let frame = source.query("select").await.unwrap();
    let types: Vec<String> = frame.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(
        types,
        [
            "Int64",
            "Decimal128(10, 2)",
            "Decimal128(38, 3)",
            "Float64",
            "Time64(ns)",
            "Timestamp(ns)",
            "Timestamp(µs, \"+00:00\")",
            "Timestamp(ns, \"+00:00\")",
            "Timestamp(µs, \"+00:00\")",
            "Utf8",
            "Date32",
            "Boolean",
        ]
    );
    let row: Vec<String> = (0..12).map(|column| frame.cell(0, column).unwrap()).collect();
    assert_eq!(
        row,
        [
            "-7",
            "-1.50",
            "-1.500",
            "NaN",
            "23:59:59.999",
            "1969-12-31T23:59:59.999999999",
            "2021-03-19T17:06:59.500Z",
            "2021-03-19T17:06:59.000000001Z",
            "9999-12-31T23:59:59.999999Z",
            "{\"a\": 1}",
            "1970-01-01",
            "true",
        ]
    );
    for column in 0..12 {
        assert!(frame.batches()[0].column(column).is_null(1), "{column}");
    }
    source.shutdown().await.unwrap();

    // What is cut off, damaged, or shorter than announced.
    let whole = ipc(&batch);
    for (rowset, total) in [
        (BASE64_STANDARD.encode(&whole[..whole.len() / 2]), 2),
        ("canary!".to_owned(), 2),
        (BASE64_STANDARD.encode(b"canary"), 2),
        (BASE64_STANDARD.encode(&whole), 3),
        (String::new(), 2),
    ] {
        let server = Scripted::play([login(), session_version(), reply(&rowset, total)]).await;
        let source = by_password(&server).await;
        failed(source.query("select").await, ErrorKind::Failed);
        source.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn chunks_are_fetched_from_where_they_are_without_our_credentials() {
    let numbers_in = |values: Vec<i64>| {
        let array: ArrayRef = Arc::new(Int64Array::from(values));
        ipc(&RecordBatch::try_from_iter([("N", array)]).unwrap())
    };
    let chunk = |values| Act::Reply(200, Vec::new(), numbers_in(values));
    let storage = Scripted::play([chunk(vec![2, 3])]).await;
    let reply = |count: u64, format: &str, url: &str| {
        act(json!({"success": true, "data": {
            "rowtype": [{"name": "N", "type": "fixed", "precision": 9, "scale": 0}], "queryResultFormat": format,
            "rowsetBase64": BASE64_STANDARD.encode(numbers_in(vec![1])), "rowset": [["1"]], "total": 1 + count,
            "chunks": [{"url": format!("{url}part?sig=x"), "rowCount": count}],
            "chunkHeaders": {"x-amz-server-side-encryption-customer-key": "canary-key"},
        }}))
    };
    let server = Scripted::play([login(), session_version(), reply(2, "arrow", storage.url.as_str())]).await;
    let source = by_password(&server).await;
    assert_eq!(numbers(&source.query("select n").await.unwrap()), [1, 2, 3]);
    let fetched = &storage.seen()[0];
    assert_eq!(fetched.target(), "GET /part?sig=x");
    assert_eq!(fetched.header("authorization"), None);
    assert_eq!(fetched.header("x-amz-server-side-encryption-customer-key"), Some("canary-key"));
    source.shutdown().await.unwrap();

    let json_rows = Act::json(200, r#"["2"],["3"]"#);
    let storage = Scripted::play([json_rows]).await;
    let server = Scripted::play([login(), session_version(), reply(2, "json", storage.url.as_str())]).await;
    let source = by_password(&server).await;
    assert_eq!(numbers(&source.query("select n").await.unwrap()), [1, 2, 3]);
    source.shutdown().await.unwrap();

    for (bad, kind) in [
        (chunk(vec![2]), ErrorKind::Failed),
        (Act::json(403, "<Error>canary</Error>"), ErrorKind::Denied),
        (Act::json(200, "canary"), ErrorKind::Failed),
    ] {
        let storage = Scripted::play([bad]).await;
        let server = Scripted::play([login(), session_version(), reply(2, "arrow", storage.url.as_str())]).await;
        let source = by_password(&server).await;
        failed(source.query("select n").await, kind);
        source.shutdown().await.unwrap();
    }
    let server = Scripted::play([login(), session_version(), reply(2, "arrow", "file:///etc/")]).await;
    let source = by_password(&server).await;
    failed(source.query("select n").await, ErrorKind::Failed);
    source.shutdown().await.unwrap();
}

#[tokio::test]
async fn rows_are_written_as_columns_in_a_session() {
    let done = || act(json_result(json!([text("status")]), json!([["done"]])));
    let server =
        Scripted::play([login(), session_version(), done(), act(json_result(json!([text("n")]), json!([["2"]])))])
            .await;
    let source = by_password(&server).await;
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let bytes: ArrayRef = Arc::new(arrow::array::BinaryArray::from(vec![Some(&b"\x00\xff"[..]), Some(b"")]));
    let table = DataFrame::from_columns([("s", names), ("b", bytes)]).unwrap();
    assert_eq!(source.write("t", table, WriteMode::Append).await.unwrap(), 2);
    let insert = body(&server.seen()[3]);
    assert_eq!(insert["sqlText"], r#"insert into "T" ("S", "B") values (?, ?)"#);
    assert_eq!(
        insert["bindings"],
        json!({"1": {"type": "TEXT", "value": ["a", null]}, "2": {"type": "BINARY", "value": ["00FF", ""]}})
    );
    source.shutdown().await.unwrap();
}

#[test]
fn types_without_a_counterpart_are_refused() {
    let list = DataType::List(Arc::new(Field::new("item", DataType::Int64, true)));
    let schema = Schema::new(vec![Field::new("l", list, true)]);
    failed(Columns::of(&schema), ErrorKind::Unsupported);
    let twice = Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("A", DataType::Int64, true)]);
    failed(Columns::of(&twice), ErrorKind::Invalid);
    failed(Columns::of(&Schema::empty()), ErrorKind::Invalid);
}
