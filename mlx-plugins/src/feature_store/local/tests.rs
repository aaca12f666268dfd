use super::*;
use mlx_core::arrow::{
    array::{
        ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, NullArray, StringArray,
        TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
    },
    datatypes::{Int64Type, TimeUnit},
};
use std::{path::Path, time::UNIX_EPOCH};

async fn store(folder: &Path) -> LocalFeatures {
    let config = LocalConfig { path: folder.join("sub/features.db"), busy_timeout: Duration::from_secs(20) };
    LocalFeatures::initialize(config, &InitContext::alone("features")).await.unwrap()
}

fn frame(columns: impl IntoIterator<Item = (&'static str, ArrayRef)>) -> DataFrame {
    DataFrame::from_columns(columns).unwrap()
}

fn int(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn text<'t>(values: impl IntoIterator<Item = &'t str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn seconds(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampSecondArray::from_iter_values(values))
}

fn second(second: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(second.unsigned_abs())
}

fn found(frame: &DataFrame, column: &str) -> Vec<Option<i64>> {
    frame.column(column).unwrap().as_primitive::<Int64Type>().iter().collect()
}

async fn refused<T>(what: impl Future<Output = Result<T>>) -> (ErrorKind, String) {
    let error = what.await.err().expect("an error");
    (error.kind(), error.to_string())
}

/// Numbers that look random and are the same each time (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> i64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % below) as i64
    }
}

/// A row of the view `v`, whose feature is the number of the row.
#[derive(Clone)]
struct Row {
    driver: i64,
    region: &'static str,
    second: i64,
    row: Option<i64>,
}

fn random_rows(numbers: &mut Numbers, count: i64, first: i64) -> Vec<Row> {
    (first..first + count)
        .map(|row| Row {
            driver: numbers.next(4),
            region: ["n", "s"][numbers.next(2) as usize],
            second: numbers.next(40),
            // A row that says that something is not known is a row.
            row: (numbers.next(5) > 0).then_some(row),
        })
        .collect()
}

fn view(ttl: Option<u64>) -> FeatureView {
    let view = FeatureView::new("v")
        .entity("driver", DataType::Int64)
        .entity("region", DataType::Utf8)
        .feature("row", DataType::Int64)
        .timestamp("at");
    match ttl {
        Some(ttl) => view.ttl(Duration::from_secs(ttl)),
        None => view,
    }
}

fn rows(rows: &[Row]) -> DataFrame {
    frame([
        ("at", seconds(rows.iter().map(|row| row.second))),
        ("region", text(rows.iter().map(|row| row.region))),
        ("row", Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.row)))),
        ("driver", int(rows.iter().map(|row| row.driver))),
    ])
}

fn entities(rows: &[Row]) -> DataFrame {
    frame([
        ("driver", int(rows.iter().map(|row| row.driver))),
        ("label", int(rows.iter().map(|row| row.second * 2))),
        ("region", text(rows.iter().map(|row| row.region))),
        // In another unit than the history, and on its way to the next second.
        (
            EVENT_TIMESTAMP,
            Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.second * 1000))),
        ),
    ])
}

/// The definition: of all rows of the history those that belong to a row, and of these the last.
fn oracle(history: &[Row], ttl: Option<u64>, wanted: &Row) -> Option<i64> {
    let mut best: Option<&Row> = None;
    for row in history {
        let same = row.driver == wanted.driver && row.region == wanted.region;
        let known = row.second <= wanted.second && ttl.is_none_or(|ttl| row.second >= wanted.second - ttl as i64);
        if same && known && best.is_none_or(|best| row.second >= best.second) {
            best = Some(row);
        }
    }
    best.and_then(|row| row.row)
}

fn request() -> FeatureRequest {
    FeatureRequest::new([("v", "row")])
}

#[tokio::test]
async fn the_join_sees_what_was_known_and_nothing_later() {
    for seed in 1..=25 {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let mut numbers = Numbers(seed);
        let mut history = Vec::new();
        let ttl = [None, Some(0), Some(1), Some(7), Some(1000)][numbers.next(5) as usize];
        store.register(view(ttl)).await.unwrap();
        for _ in 0..3 {
            let count = numbers.next(40);
            let batch = random_rows(&mut numbers, count, history.len() as i64);
            assert_eq!(store.write("v", rows(&batch), FeatureTarget::Offline).await.unwrap(), count as u64);
            history.extend(batch);
            let wanted = random_rows(&mut numbers, 60, 0);
            let joined = store.historical_features(entities(&wanted), request()).await.unwrap();
            let expected: Vec<_> = wanted.iter().map(|row| oracle(&history, ttl, row)).collect();
            assert_eq!(found(&joined, "row"), expected, "{seed} {ttl:?}");
            let names: Vec<_> = joined.column_names().collect();
            assert_eq!(names, ["driver", "label", "region", EVENT_TIMESTAMP, "row"]);
            let labels: Vec<_> = wanted.iter().map(|row| Some(row.second * 2)).collect();
            assert_eq!(found(&joined, "label"), labels);
        }
    }
}

/// Figures of pandas; see `tests/reference/README.md`.
#[tokio::test]
async fn the_join_is_that_of_pandas() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/point_in_time.json");
    let reference: JsonValue = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let table = |table: &JsonValue| -> Vec<Row> {
        let column = |name: &str| table[name].as_array().unwrap().clone();
        let (drivers, regions, seconds) = (column("driver"), column("region"), column("second"));
        (0..drivers.len())
            .map(|at| Row {
                driver: drivers[at].as_i64().unwrap(),
                region: if regions[at] == "n" { "n" } else { "s" },
                second: seconds[at].as_i64().unwrap(),
                row: Some(at as i64),
            })
            .collect()
    };
    let (history, wanted) = (table(&reference["history"]), table(&reference["entities"]));
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    store.register(view(None)).await.unwrap();
    store.write("v", rows(&history), FeatureTarget::Offline).await.unwrap();
    let ttls = reference["found"].as_object().unwrap();
    assert_eq!(ttls.len(), 4);
    for (ttl, expected) in ttls {
        // The time to live of a view may change.
        store.register(view(ttl.parse().ok())).await.unwrap();
        let joined = store.historical_features(entities(&wanted), request()).await.unwrap();
        let expected: Vec<_> = expected.as_array().unwrap().iter().map(JsonValue::as_i64).collect();
        assert_eq!(found(&joined, "row"), expected, "{ttl}");
    }
}

#[tokio::test]
async fn online_is_the_latest_that_was_materialized() {
    for seed in 1..=25 {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let mut numbers = Numbers(seed);
        let ttl = [None, Some(15)][numbers.next(2) as usize];
        store.register(view(ttl)).await.unwrap();
        // What should be online: of each entity the latest by time, then by number.
        let mut online: BTreeMap<(i64, &str), Row> = BTreeMap::new();
        let mut history: Vec<Row> = Vec::new();
        let take = |online: &mut BTreeMap<(i64, &'static str), Row>, row: &Row| {
            let there = online.entry((row.driver, row.region)).or_insert_with(|| row.clone());
            if row.second >= there.second {
                *there = row.clone();
            }
        };
        for _ in 0..4 {
            let count = numbers.next(20);
            let mut batch = random_rows(&mut numbers, count, history.len() as i64);
            batch.iter_mut().for_each(|row| row.row = Some(row.row.unwrap_or(-1)));
            match numbers.next(3) {
                0 => {
                    store.write("v", rows(&batch), FeatureTarget::Both).await.unwrap();
                    batch.iter().for_each(|row| take(&mut online, row));
                }
                _ => {
                    store.write("v", rows(&batch), FeatureTarget::Offline).await.unwrap();
                }
            }
            history.extend(batch);
            let (start, end) = (numbers.next(20), 20 + numbers.next(20));
            let range = Materialization::until(second(end)).from(second(start)).view("v");
            store.materialize(range.clone()).await.unwrap();
            assert_eq!(store.materialize(range).await.unwrap(), 0);
            let mut within: Vec<&Row> = history.iter().filter(|row| (start..=end).contains(&row.second)).collect();
            within.sort_by_key(|row| row.second);
            // A row that has been replaced by a later one of its time does not come back.
            for row in within {
                let later =
                    |other: &&Row| (other.driver, other.region, other.second) == (row.driver, row.region, row.second);
                take(&mut online, history.iter().rfind(later).unwrap());
            }
            let now = 30 + numbers.next(30);
            let wanted = random_rows(&mut numbers, 30, 0);
            let served = store.online_features_at(entities(&wanted), request(), second(now)).await.unwrap();
            let expected: Vec<_> = wanted
                .iter()
                .map(|row| online.get(&(row.driver, row.region)))
                .map(|row| {
                    row.filter(|row| ttl.is_none_or(|ttl| row.second >= now - ttl as i64)).and_then(|row| row.row)
                })
                .collect();
            assert_eq!(found(&served, "row"), expected, "{seed} {ttl:?}");
        }
    }
}

#[tokio::test]
async fn without_a_beginning_it_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    store.register(view(None)).await.unwrap();
    let row = |driver, second, row| Row { driver, region: "n", second, row: Some(row) };
    let write = async |batch: &[Row]| store.write("v", rows(batch), FeatureTarget::Offline).await.unwrap();
    write(&[row(1, 10, 0), row(2, 20, 1), row(3, 30, 2)]).await;
    assert_eq!(store.materialize(Materialization::until(second(20))).await.unwrap(), 2);
    // One is written late, one at the end itself, one after it.
    write(&[row(4, 19, 3), row(2, 20, 4), row(1, 25, 5)]).await;
    assert_eq!(store.materialize(Materialization::until(second(29))).await.unwrap(), 2);
    let wanted = [row(1, 0, 0), row(2, 0, 0), row(3, 0, 0), row(4, 0, 0)];
    let online = async || found(&store.online_features(entities(&wanted), request()).await.unwrap(), "row");
    assert_eq!(online().await, [Some(5), Some(4), None, None]);
    assert_eq!(store.materialize(Materialization::until(second(29)).from(second(0))).await.unwrap(), 1);
    assert_eq!(online().await, [Some(5), Some(4), None, Some(3)]);
    // What is only online is in no history.
    store.write("v", rows(&[row(3, 40, 9)]), FeatureTarget::Online).await.unwrap();
    assert_eq!(online().await, [Some(5), Some(4), Some(9), Some(3)]);
    let past = store.historical_features(entities(&[row(3, 50, 0)]), request()).await.unwrap();
    assert_eq!(found(&past, "row"), [Some(2)]);

    let (kind, _) = refused(store.materialize(Materialization::until(second(1)).from(second(2)))).await;
    assert_eq!(kind, ErrorKind::Invalid);
    assert_eq!(refused(store.materialize(Materialization::until(second(1)).view("w"))).await.0, ErrorKind::NotFound);
    let never = UNIX_EPOCH + Duration::from_secs(1 << 40);
    assert_eq!(refused(store.materialize(Materialization::until(never))).await.0, ErrorKind::Invalid);
}

#[tokio::test]
async fn every_type_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let zone = DataType::Timestamp(TimeUnit::Nanosecond, Some("Europe/Berlin".into()));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("truth", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("small", Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(7)]))),
        ("whole", Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(i64::MIN)]))),
        ("single", Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::MAX)]))),
        (
            "double",
            Arc::new(Float64Array::from(vec![Some(0.1 + 0.2), Some(f64::NEG_INFINITY), Some(f64::MIN_POSITIVE)])),
        ),
        ("nan", Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(-0.0)]))),
        ("words", Arc::new(StringArray::from(vec![Some("é\"\0"), None, Some("NaN")]))),
        (
            "moment",
            Arc::new(
                TimestampNanosecondArray::from(vec![Some(i64::MAX), None, Some(-1)]).with_timezone("Europe/Berlin"),
            ),
        ),
    ];
    let mut view = FeatureView::new("all").entity("id", DataType::Int64);
    for (name, array) in &columns {
        view = view.feature(*name, array.data_type().clone());
    }
    assert!(view.features.iter().any(|feature| feature.data_type == zone));
    store.register(view.clone()).await.unwrap();
    store.register(view.clone()).await.unwrap();
    assert_eq!(store.views().await.unwrap(), [view.clone()]);

    let keys = || [("id", int([1, 2, 3])), (EVENT_TIMESTAMP, seconds([0, 0, 0]))];
    store.write("all", frame(keys().into_iter().chain(columns.clone())), FeatureTarget::Both).await.unwrap();
    let request = FeatureRequest::new(columns.iter().map(|(name, _)| ("all", *name)));
    let past = store.historical_features(frame(keys()), request.clone()).await.unwrap();
    let now = store.online_features(frame(keys()), request.clone()).await.unwrap();
    for joined in [past, now] {
        for (name, array) in &columns {
            assert_eq!(&joined.column(name).unwrap(), array, "{name}");
        }
    }
    // No rows are no rows.
    let none = frame(keys()).filter_rows(|_| false).unwrap();
    let joined = store.historical_features(none, request).await.unwrap();
    assert_eq!((joined.num_rows(), joined.num_columns()), (0, 10));
}

#[tokio::test]
async fn views_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let good = || FeatureView::new("v").entity("id", DataType::Int64).feature("x", DataType::Float64);
    let mut unnamed = good();
    unnamed.name.clear();
    for (wrong, why) in [
        (unnamed, "name is empty"),
        (FeatureView::new("a:b").entity("id", DataType::Int64).feature("x", DataType::Int64), "`:`"),
        (FeatureView::new("v").feature("x", DataType::Int64), "no entity"),
        (FeatureView::new("v").entity("id", DataType::Int64), "no feature"),
        (good().feature("id", DataType::Int64), "two of its columns are called `id`"),
        (good().feature(EVENT_TIMESTAMP, DataType::Int64), "two of its columns"),
        (good().feature("", DataType::Int64), "no name"),
        (good().timestamp(""), "timestamp is empty"),
        (good().entity("y", DataType::Float64), "hardly ever the same"),
    ] {
        let (kind, message) = refused(store.register(wrong)).await;
        assert!(kind == ErrorKind::Invalid && message.contains(why), "{message}");
    }
    let list = DataType::new_list(DataType::Float32, true);
    for wrong in [list, DataType::UInt64, DataType::Null] {
        let (kind, message) = refused(store.register(good().feature("y", wrong))).await;
        assert!(kind == ErrorKind::Unsupported && message.contains("`y`"), "{message}");
    }

    store.register(good()).await.unwrap();
    for (wrong, why) in [
        (FeatureView::new("v").entity("no", DataType::Int64).feature("x", DataType::Float64), "entities are others"),
        (FeatureView::new("v").entity("id", DataType::Int64).feature("y", DataType::Float64), "lacks the feature `x`"),
        (
            FeatureView::new("v").entity("id", DataType::Int64).feature("x", DataType::Int64),
            "`x` was of type float64 and is of type int64",
        ),
    ] {
        let (kind, message) = refused(store.register(wrong)).await;
        assert!(kind == ErrorKind::Invalid && message.contains(why), "{message}");
    }
    // Of rows that were written before it, a new feature is not known.
    let keys = || [("id", int([1])), (EVENT_TIMESTAMP, seconds([0]))];
    let row = frame(keys().into_iter().chain([("x", Arc::new(Float64Array::from(vec![1.5])) as ArrayRef)]));
    store.write("v", row, FeatureTarget::Offline).await.unwrap();
    store.register(good().feature("y", DataType::Int64)).await.unwrap();
    let request = FeatureRequest::new([("v", "y"), ("v", "x")]);
    let joined = store.historical_features(frame(keys()), request).await.unwrap();
    assert_eq!(found(&joined, "y"), [None]);
    assert_eq!(joined.f64_column("x").unwrap(), [1.5]);

    store.delete_view("v").await.unwrap();
    assert_eq!(store.views().await.unwrap(), []);
    let (kind, message) = refused(store.delete_view("v")).await;
    assert!(kind == ErrorKind::NotFound && message.contains("there is none"), "{message}");
    store.register(good()).await.unwrap();
    let joined = store.historical_features(frame(keys()), FeatureRequest::new([("v", "x")])).await.unwrap();
    assert!(joined.f64_column("x").unwrap()[0].is_nan());
}

#[tokio::test]
async fn rows_that_do_not_fit_are_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let view = FeatureView::new("v").entity("id", DataType::Int32).feature("trips", DataType::Int64);
    store.register(view).await.unwrap();
    let time = || (EVENT_TIMESTAMP, seconds([0, 0]));
    let (id, trips) = (|| ("id", int([1, 2])), || ("trips", int([3, 4])));
    let some = |values: [Option<i64>; 2]| -> ArrayRef { Arc::new(Int64Array::from_iter(values)) };
    for (columns, why) in [
        (vec![time(), id()], "the column `trips` is missing"),
        (vec![id(), trips()], "the column `event_timestamp` is missing"),
        (vec![time(), id(), trips(), ("tirps", int([1, 2]))], "did you mean `trips`?"),
        (vec![time(), id(), trips(), trips()], "two columns are called `trips`"),
        (vec![time(), id(), ("trips", text(["a", "b"]))], "is of type string, and the view has int64"),
        (vec![time(), id(), ("trips", Arc::new(UInt64Array::from(vec![1, 2])))], "is of type UInt64"),
        (vec![time(), trips(), ("id", int([1, i64::MAX]))], "a value of the column `id` does not fit"),
        (vec![time(), trips(), ("id", some([Some(1), None]))], "row 1 has no entity"),
        (vec![id(), trips(), (EVENT_TIMESTAMP, int([0, 0]))], "make it an Arrow timestamp"),
        (vec![id(), trips(), (EVENT_TIMESTAMP, seconds([0, i64::MAX]))], "years 1677 to 2262"),
        (
            vec![id(), trips(), (EVENT_TIMESTAMP, Arc::new(TimestampSecondArray::from(vec![None, Some(0)])))],
            "row 0 has no `event_timestamp`",
        ),
        (vec![("id", text(["a", "b"])), ("x", int([1, 2]))], "`event_timestamp` is missing"),
    ] {
        for target in [FeatureTarget::Offline, FeatureTarget::Both] {
            let (kind, message) = refused(store.write("v", frame(columns.clone()), target)).await;
            assert!(kind == ErrorKind::Invalid && message.contains(why), "{message}");
        }
    }
    // All mistakes of the columns at once.
    let (_, message) = refused(store.write("v", frame([("id", text(["a", "b"]))]), FeatureTarget::Online)).await;
    assert!(
        message.contains("`id`") && message.contains("`trips`") && message.contains("`event_timestamp`"),
        "{message}"
    );
    let (kind, message) = refused(store.write("w", frame([id()]), FeatureTarget::Offline)).await;
    assert!(kind == ErrorKind::NotFound && message.contains("there is `v`"), "{message}");
    let joined = store.historical_features(frame([id(), time()]), FeatureRequest::new([("v", "trips")])).await.unwrap();
    assert_eq!(found(&joined, "trips"), [None, None]);
    // What is not known of any row, and rows of no entity that are asked for.
    store
        .write("v", frame([time(), id(), ("trips", Arc::new(NullArray::new(2)))]), FeatureTarget::Offline)
        .await
        .unwrap();
    let asked = frame([time(), ("id", some([None, Some(1)]))]);
    let joined = store.historical_features(asked, FeatureRequest::new([("v", "trips")])).await.unwrap();
    assert_eq!(found(&joined, "trips"), [None, None]);
}

#[tokio::test]
async fn requests_that_cannot_be_answered_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    for name in ["drivers", "cars"] {
        let view = FeatureView::new(name).entity("id", DataType::Int64).feature("trips", DataType::Int64);
        store.register(view).await.unwrap();
        let rows = frame([("id", int([1])), ("trips", int([name.len() as i64])), (EVENT_TIMESTAMP, seconds([0]))]);
        store.write(name, rows, FeatureTarget::Both).await.unwrap();
    }
    let entities = || frame([("id", int([1])), (EVENT_TIMESTAMP, seconds([5]))]);
    let both = FeatureRequest::new([("drivers", "trips"), ("cars", "trips")]);
    let unlabelled = frame([(EVENT_TIMESTAMP, seconds([5]))]);
    let untimed = frame([("id", int([1]))]);
    let labelled = frame([("id", int([1])), ("trips", int([1])), (EVENT_TIMESTAMP, seconds([5]))]);
    let one = || FeatureRequest::new([("drivers", "trips")]);
    for (entities, request, kind, why) in [
        (entities(), FeatureRequest::new([("driver", "trips")]), ErrorKind::NotFound, "did you mean `drivers`?"),
        (entities(), FeatureRequest::new([("cars", "trip")]), ErrorKind::NotFound, "did you mean `trips`?"),
        (entities(), both.clone(), ErrorKind::Invalid, "ask for full names"),
        (labelled, one(), ErrorKind::Invalid, "would be called `trips`"),
        (unlabelled, both.clone().full_names(), ErrorKind::Invalid, "`id` is missing (an entity of the view \"cars\")"),
        (untimed.clone(), one(), ErrorKind::Invalid, "`event_timestamp` is missing"),
    ] {
        let (found, message) = refused(store.historical_features(entities.clone(), request.clone())).await;
        assert!(found == kind && message.contains(why), "{message}");
        if !why.contains("event_timestamp") {
            let (found, message) = refused(store.online_features(entities, request)).await;
            assert!(found == kind && message.contains(why), "{message}");
        }
    }
    let joined = store.historical_features(entities(), both.clone().full_names()).await.unwrap();
    let names: Vec<_> = joined.column_names().collect();
    assert_eq!(names, ["id", EVENT_TIMESTAMP, "drivers__trips", "cars__trips"]);
    assert_eq!((found(&joined, "drivers__trips"), found(&joined, "cars__trips")), (vec![Some(7)], vec![Some(4)]));
    // What is now needs no time; nothing asked for is nothing added.
    let served = store.online_features(untimed.clone(), one()).await.unwrap();
    assert_eq!(found(&served, "trips"), [Some(7)]);
    let nothing = store.online_features(untimed, FeatureRequest::default()).await.unwrap();
    assert_eq!((nothing.num_rows(), nothing.num_columns()), (1, 1));
}

#[tokio::test]
async fn damage_on_the_disk_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    store.register(view(None)).await.unwrap();
    let row = [Row { driver: 1, region: "n", second: 0, row: Some(1) }];
    store.write("v", rows(&row), FeatureTarget::Offline).await.unwrap();
    let path = folder.path().join("sub/features.db");
    let change = |sql: &str| rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    for broken in ["{\"row\": \"x\"}", "{"] {
        change(&format!("UPDATE history SET features = '{broken}'"));
        let (kind, message) = refused(store.historical_features(entities(&row), request())).await;
        assert_eq!(kind, ErrorKind::Failed, "{message}");
    }
    change("UPDATE views SET definition = '{\"entities\": [[\"a\", \"int7\"]]}'");
    let (kind, message) = refused(store.views()).await;
    assert!(kind == ErrorKind::Failed && message.contains("\"v\""), "{message}");
}

#[tokio::test]
async fn the_platform_starts_it_and_it_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"path": folder.path().join("f.db")});
    for _ in 0..2 {
        let store = registry().create::<dyn FeatureStore>("local", config.clone()).await.unwrap();
        store.register(view(Some(9))).await.unwrap();
        assert_eq!(store.views().await.unwrap(), [view(Some(9))]);
        store.shutdown().await.unwrap();
    }
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error = registry().create::<dyn FeatureStore>("local", json!({"path": file.join("f.db")})).await.unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
}
