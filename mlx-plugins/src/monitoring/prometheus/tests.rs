use super::*;
use mlx_core::ErrorKind;
use std::collections::{BTreeMap, BTreeSet};

fn config() -> PrometheusConfig {
    PrometheusConfig { prefix: "mlx_".into(), buckets: vec![0.1, 1.0, 2.5], max_series: 10_000 }
}

async fn start(config: PrometheusConfig) -> Result<Prometheus> {
    Prometheus::initialize(config, &InitContext::alone("prometheus")).await
}

async fn refused(plugin: &Prometheus, measurement: Measurement) -> String {
    let error = plugin.record(vec![measurement]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    error.to_string()
}

/// A sample: name, labels and value.
type Sample = (String, BTreeMap<String, String>, f64);

/// A strict reader of the format, written from its description and not from the writer.
fn parse(text: &str) -> (BTreeMap<String, String>, Vec<Sample>) {
    assert!(text.ends_with('\n'), "the last line must end");
    let (mut types, mut helped, mut samples) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (word, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            match word {
                "HELP" => {
                    assert!(
                        helped.insert(name.to_owned()) && !types.contains_key(name),
                        "HELP comes once, first: {line}"
                    );
                    let unescaped = rest.replace("\\\\", "").replace("\\n", "");
                    assert!(!unescaped.contains('\\'), "{line}");
                }
                "TYPE" => {
                    assert!(["counter", "gauge", "histogram"].contains(&rest), "{line}");
                    assert!(types.insert(name.to_owned(), rest.to_owned()).is_none(), "TYPE comes once: {line}");
                }
                _ => panic!("unknown comment: {line}"),
            }
            continue;
        }
        let end = line.find(['{', ' ']).unwrap();
        let (name, mut rest) = line.split_at(end);
        let mut labels = BTreeMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            loop {
                let (key, after) = rest.split_once("=\"").unwrap();
                let (mut value, mut characters) = (String::new(), after.char_indices());
                let close = loop {
                    match characters.next().unwrap() {
                        (_, '\\') => value.push(match characters.next().unwrap().1 {
                            'n' => '\n',
                            same @ ('\\' | '"') => same,
                            other => panic!("unknown escape \\{other}: {line}"),
                        }),
                        (at, '"') => break at,
                        (_, character) => value.push(character),
                    }
                };
                assert!(labels.insert(key.to_owned(), value).is_none(), "{line}");
                rest = &after[close + 1..];
                match rest.split_at(1) {
                    (",", more) => rest = more,
                    ("}", more) => {
                        rest = more;
                        break;
                    }
                    _ => panic!("{line}"),
                }
            }
        }
        let value = match rest.strip_prefix(' ').unwrap() {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            "NaN" => f64::NAN,
            number => number.parse().unwrap(),
        };
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| {
                name.strip_suffix(suffix).filter(|base| types.get(*base).is_some_and(|t| t == "histogram"))
            })
            .unwrap_or(name);
        assert_eq!(types.keys().last().map(String::as_str), Some(base), "sorted, each line below its TYPE: {line}");
        samples.push((name.to_owned(), labels, value));
    }
    (types, samples)
}

#[tokio::test]
async fn the_export_is_exactly_this() {
    let plugin = start(config()).await.unwrap();
    let batch = vec![
        Measurement::histogram("wait_seconds", 0.1).label("route", "b").help("How long."),
        Measurement::histogram("wait_seconds", 7.0).label("route", "b"),
        Measurement::counter("requests_total", 1.0).label("z", "1").label("a", "2").help("Requests."),
        Measurement::counter("requests_total", 2.5).label("a", "2").label("z", "1"),
        Measurement::counter("requests_total", 1.0).label("a", "1"),
        Measurement::gauge("level", 3.0),
        Measurement::gauge("level", -1e-9),
    ];
    plugin.record(batch).await.unwrap();
    let text = plugin.export().await.unwrap();
    let expected = "\
# HELP mlx_dropped_series_total Measurements dropped because they would have begun a series beyond max_series.
# TYPE mlx_dropped_series_total counter
mlx_dropped_series_total 0
# TYPE mlx_level gauge
mlx_level -1e-9
# HELP mlx_requests_total Requests.
# TYPE mlx_requests_total counter
mlx_requests_total{a=\"1\"} 1
mlx_requests_total{a=\"2\",z=\"1\"} 3.5
# HELP mlx_wait_seconds How long.
# TYPE mlx_wait_seconds histogram
mlx_wait_seconds_bucket{route=\"b\",le=\"0.1\"} 1
mlx_wait_seconds_bucket{route=\"b\",le=\"1\"} 1
mlx_wait_seconds_bucket{route=\"b\",le=\"2.5\"} 1
mlx_wait_seconds_bucket{route=\"b\",le=\"+Inf\"} 2
mlx_wait_seconds_sum{route=\"b\"} 7.1
mlx_wait_seconds_count{route=\"b\"} 2
";
    assert_eq!(text, expected);
    parse(&text);
}

#[tokio::test]
async fn a_strict_reader_gets_back_what_was_recorded() {
    let plugin = start(config()).await.unwrap();
    let awkward = "quote \" backslash \\ line\nend é \\n";
    let values = [1e300, 5e-324, 0.1 + 0.2, 123_456_789_012_345_680.0, -0.5, f64::INFINITY, f64::NEG_INFINITY];
    for (index, value) in values.into_iter().enumerate() {
        let gauge = Measurement::gauge("g", value).label("i", index.to_string()).label("text", awkward);
        plugin.record(vec![gauge.help(format!("help: {awkward}"))]).await.unwrap();
    }
    let (types, samples) = parse(&plugin.export().await.unwrap());
    assert_eq!(types["mlx_g"], "gauge");
    let read: Vec<f64> = samples.iter().filter(|(name, ..)| name == "mlx_g").map(|sample| sample.2).collect();
    assert_eq!(read, values);
    assert!(samples.iter().filter(|(name, ..)| name == "mlx_g").all(|(_, labels, _)| labels["text"] == awkward));

    plugin.record(vec![Measurement::gauge("n", f64::NAN)]).await.unwrap();
    assert!(parse(&plugin.export().await.unwrap()).1.iter().any(|(name, _, value)| name == "mlx_n" && value.is_nan()));
}

#[tokio::test]
async fn names_that_the_format_does_not_allow_are_refused() {
    let bare = start(PrometheusConfig { prefix: String::new(), ..config() }).await.unwrap();
    for name in ["", "1st", "a-b", "a b", "é", "a\nb", "a{b=\"c\"}"] {
        assert!(refused(&bare, Measurement::gauge(name, 1.0)).await.contains("cannot be the name"), "{name}");
    }
    bare.record(vec![Measurement::gauge("a:b_1", 1.0)]).await.unwrap();
    for label in ["", "1", "a-b", "a:b", "a\"b", "é"] {
        assert!(
            refused(&bare, Measurement::gauge("g", 1.0).label(label, "x")).await.contains("has the label"),
            "{label}"
        );
    }
    assert!(refused(&bare, Measurement::gauge("g", 1.0).label("__name__", "x")).await.contains("for itself"));
    assert!(refused(&bare, Measurement::histogram("h", 1.0).label("le", "1")).await.contains("for itself"));
    assert!(refused(&bare, Measurement::gauge("g", 1.0).label("a", "x".repeat(5000))).await.contains("1024 bytes"));
    let many = (0..40).fold(Measurement::gauge("g", 1.0), |m, i| m.label(format!("l{i}"), "x"));
    assert!(refused(&bare, many).await.contains("40 labels"));
}

#[tokio::test]
async fn values_that_would_spoil_a_series_are_refused() {
    let plugin = start(config()).await.unwrap();
    for value in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(refused(&plugin, Measurement::counter("c", value)).await.contains("only grows"));
    }
    assert!(refused(&plugin, Measurement::histogram("h", f64::NAN)).await.contains("spoil"));
}

#[tokio::test]
async fn a_name_keeps_its_kind() {
    let plugin = start(config()).await.unwrap();
    plugin
        .record(vec![
            Measurement::counter("c", 1.0),
            Measurement::histogram("h", 1.0),
            Measurement::gauge("g_sum", 1.0),
        ])
        .await
        .unwrap();
    assert!(refused(&plugin, Measurement::gauge("c", 1.0)).await.contains("`mlx_c` is a counter"));
    for line in ["h_bucket", "h_sum", "h_count"] {
        assert!(refused(&plugin, Measurement::counter(line, 1.0)).await.contains("is a line of `mlx_h`"));
    }
    assert!(refused(&plugin, Measurement::histogram("g", 1.0)).await.contains("`mlx_g_sum`"));
    assert!(refused(&plugin, Measurement::counter("dropped_series_total", 1.0)).await.contains("own counter"));
    // Within one batch, too.
    let batch = vec![Measurement::counter("new", 1.0), Measurement::gauge("new", 1.0)];
    assert!(plugin.record(batch).await.is_err());
}

#[tokio::test]
async fn a_batch_is_taken_whole_or_not_at_all() {
    let plugin = start(config()).await.unwrap();
    let before = plugin.export().await.unwrap();
    assert!(
        plugin.record(vec![Measurement::counter("good", 1.0), Measurement::counter("bad-name", 1.0)]).await.is_err()
    );
    assert_eq!(plugin.export().await.unwrap(), before);
}

#[tokio::test]
async fn series_beyond_the_limit_are_dropped_and_counted() {
    let plugin = start(PrometheusConfig { max_series: 8, ..config() }).await.unwrap();
    // Six lines: four buckets, sum and count.
    plugin.record(vec![Measurement::histogram("h", 1.0)]).await.unwrap();
    for user in 0..100 {
        plugin.record(vec![Measurement::counter("c", 1.0).label("user", user.to_string())]).await.unwrap();
    }
    // What is known goes on.
    plugin
        .record(vec![Measurement::counter("c", 1.0).label("user", "0"), Measurement::histogram("h", 1.0)])
        .await
        .unwrap();
    let (_, samples) = parse(&plugin.export().await.unwrap());
    let of = |wanted: &str| samples.iter().filter(|(name, ..)| name == wanted).map(|s| s.2).collect::<Vec<_>>();
    assert_eq!(of("mlx_c"), [2.0, 1.0]);
    assert_eq!(of("mlx_h_count"), [2.0]);
    assert_eq!(of("mlx_dropped_series_total"), [98.0]);
    assert_eq!(samples.len(), 8 + 1);
    let health = plugin.health().await.unwrap();
    assert!(!health.is_healthy() && health.message.contains("max_series"));
}

#[tokio::test]
async fn settings_that_the_format_does_not_allow_are_refused() {
    for prefix in ["1_", "my-", "a b"] {
        assert!(
            start(PrometheusConfig { prefix: prefix.into(), ..config() })
                .await
                .unwrap_err()
                .to_string()
                .contains("`prefix`")
        );
    }
    for buckets in [vec![], vec![1.0, 1.0], vec![2.0, 1.0], vec![f64::NAN], vec![1.0, f64::INFINITY]] {
        assert!(start(PrometheusConfig { buckets, ..config() }).await.unwrap_err().to_string().contains("`buckets`"));
    }
}

#[tokio::test]
async fn writers_and_readers_at_once_lose_nothing() {
    let plugin = std::sync::Arc::new(start(config()).await.unwrap());
    let tasks: Vec<_> = (0..8)
        .map(|task: u32| {
            let plugin = plugin.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    plugin
                        .record(vec![Measurement::counter("c", 1.0).label("task", (task % 2).to_string())])
                        .await
                        .unwrap();
                    if task == 0 {
                        parse(&plugin.export().await.unwrap());
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (_, samples) = parse(&plugin.export().await.unwrap());
    assert_eq!(samples.iter().filter(|(name, ..)| name == "mlx_c").map(|s| s.2).sum::<f64>(), 1600.0);
}
