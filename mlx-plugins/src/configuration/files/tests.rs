use super::*;
use mlx_core::{plugin::Condition, value::Variables};
use std::{collections::HashMap, path::Path};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// These variables, and the files of the system.
struct Environment(HashMap<String, String>);

impl Variables for Environment {
    fn env(&self, name: &str) -> Option<String> {
        self.0.env(name)
    }
    fn names(&self) -> Vec<String> {
        self.0.names()
    }
    fn file(&self, path: &Path) -> std::io::Result<String> {
        System.file(path)
    }
}

fn layers(folder: &Path, environment: Option<&str>, variables: &[(&str, &str)]) -> Layers {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let variables = Environment(variables.collect());
    Layers {
        directory: folder.to_owned(),
        environment: environment.map(str::to_owned),
        env_prefix: Some("APP".to_owned()),
        variables: Arc::new(variables),
    }
}

async fn start(layers: Layers) -> Result<Files> {
    Files::start(layers, None, StatusReporter::new()).await
}

fn codes(error: &Error) -> Vec<String> {
    error.diagnostics().iter().map(|found| found.code.to_string()).collect()
}

#[tokio::test]
async fn later_layers_are_laid_over_earlier_ones() {
    let folder = folder(&[
        ("base.yaml", "server: {host: localhost, port: 80, tags: [a, b]}\nlog: {level: info}\nlimits: {max-size: 1}"),
        ("production.toml", "[server]\nport = 443\ntags = [\"c\"]\n"),
        ("local.json", "{\"log\": {\"level\": \"debug\"}}"),
    ]);
    let variables = [
        ("APP__SERVER__PORT", "8443"),
        ("APP__LIMITS__MAX_SIZE", "2"),
        ("APP__NEW__LIST", "[1, '${env:X}']"),
        ("APP__NEW__TEXT", "[not, a list"),
        ("APPX__SERVER__PORT", "1"),
    ];
    let files = start(layers(folder.path(), Some("production"), &variables)).await.unwrap();
    let config = files.get("").await.unwrap().read::<JsonValue>().unwrap();
    assert_eq!(
        config,
        json!({
            "server": {"host": "localhost", "port": 8443, "tags": ["c"]},
            "log": {"level": "debug"},
            "limits": {"max-size": 2},
            "new": {"list": [1, "${env:X}"], "text": "[not, a list"},
        })
    );
    let origin = async |key| files.get(key).await.unwrap().origin().unwrap().to_string();
    let file = |name: &str| folder.path().join(name).display().to_string();
    assert_eq!(origin("server.host").await, format!("{}:1:16", file("base.yaml")));
    assert_eq!(origin("server.tags[0]").await, format!("{}:3:9", file("production.toml")));
    assert_eq!(origin("log.level").await, format!("{}:1:19", file("local.json")));
    assert_eq!(origin("server.port").await, "environment variable APP__SERVER__PORT");
    assert_eq!(files.get("server.port").await.unwrap().read::<String>().unwrap(), "8443");
    let health = files.health().await.unwrap();
    assert!(health.is_healthy());
}

#[tokio::test]
async fn every_mistake_of_every_file_is_reported() {
    let folder = folder(&[("base.yaml", "a: 1\na: 2\n"), ("test.json", "{\"a\": }"), ("local.toml", "= 1")]);
    let error = start(layers(folder.path(), Some("test"), &[])).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(codes(&error), ["MLX0004", "MLX0002", "MLX0002"], "{error:?}");
    assert!(error.diagnostics().iter().all(|found| found.location.is_some()), "{error:?}");
}

#[tokio::test]
async fn files_that_are_not_there_or_are_there_twice() {
    let folder = folder(&[("base.yaml", "# nothing\n"), ("base.toml", ""), ("production.yaml", "a: 1")]);
    let error = start(layers(folder.path(), Some("prodution"), &[])).await.err().unwrap();
    assert_eq!(codes(&error), ["MLX0004", "MLX0001"], "{error:?}");
    assert!(error.diagnostics()[1].help.iter().any(|help| help.contains("did you mean `production`?")), "{error:?}");

    let missing = start(layers(&folder.path().join("nowhere"), None, &[])).await.err().unwrap();
    assert_eq!(codes(&missing), ["MLX0001"]);

    std::fs::remove_file(folder.path().join("base.toml")).unwrap();
    let files = start(layers(folder.path(), None, &[])).await.unwrap();
    assert_eq!(files.keys("").await.unwrap(), [""]);

    std::fs::write(folder.path().join("base.yaml"), "- a list").unwrap();
    let error = files.reload().await.unwrap_err();
    assert_eq!(codes(&error), ["MLX0022"]);
}

#[tokio::test]
async fn references_are_looked_up_and_hidden() {
    let folder = folder(&[]);
    let secret = folder.path().join("token");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let text = format!(
        "token: ${{file:{}}}\nport: ${{env:PORT}}\nhost: a-${{env:NONE:-b}}\nliteral: $${{x}}\n",
        secret.display()
    );
    std::fs::write(folder.path().join("base.yaml"), text).unwrap();
    let layers = layers(folder.path(), None, &[("PORT", "99")]);
    let files = start(layers).await.unwrap();
    let read = async |key| files.get(key).await.unwrap();
    assert_eq!(read("token").await.read::<Secret>().unwrap().expose(), "hunter2");
    assert_eq!(read("port").await.read::<u16>().unwrap(), 99);
    assert_eq!(read("host").await.read::<String>().unwrap(), "a-b");
    assert_eq!(read("literal").await.read::<String>().unwrap(), "${x}");
    let refused = read("token").await.read::<Secret<u16>>().unwrap_err();
    assert!(!format!("{refused:?} {:?}", read("token").await).contains("hunter2"));
}

#[tokio::test]
async fn references_without_a_value_are_mistakes() {
    let text = "a: ${env:NONE}\nb: ['${file:/none}']\nc: {d: '${vault:k}'}\ne: ${name}\nf: '${'\n";
    let folder = folder(&[("base.yaml", text)]);
    let error = start(layers(folder.path(), None, &[])).await.err().unwrap();
    assert_eq!(codes(&error), ["MLX0028", "MLX0029", "MLX0030", "MLX0030", "MLX0030"], "{error:?}");
    let lines: Vec<u32> = error.diagnostics().iter().map(|found| found.location.as_ref().unwrap().line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn variables_that_could_mean_several_settings_are_refused() {
    let folder = folder(&[("base.yaml", "log-level: a\nlog_level: b\n")]);
    for (variables, code) in [
        (&[("APP__LOG_LEVEL", "c")][..], "MLX0069"),
        (&[("APP__", "c")], "MLX0069"),
        (&[("APP__A____B", "c")], "MLX0069"),
        (&[("APP__A}", "c")], "MLX0069"),
        (&[("APP__X", "c"), ("APP__x", "d")], "MLX0004"),
    ] {
        let error = start(layers(folder.path(), None, variables)).await.err().unwrap();
        assert_eq!(codes(&error), [code], "{error:?}");
    }
}

#[tokio::test]
async fn a_change_is_seen_when_the_files_are_read_again() {
    let folder = folder(&[("base.yaml", "a: 1")]);
    let base = folder.path().join("base.yaml");
    let files = start(layers(folder.path(), None, &[])).await.unwrap();
    let version = files.version().await.unwrap();
    assert_eq!(files.reload().await.unwrap(), version);
    assert_eq!(files.changed(version, Duration::ZERO).await.unwrap(), version);

    // The same settings in other places are no change.
    std::fs::write(&base, "\n\na: 1").unwrap();
    assert_eq!(files.reload().await.unwrap(), version);
    assert_eq!(files.get("a").await.unwrap().origin().unwrap().line, 3);

    std::fs::write(&base, "a: 2").unwrap();
    let (seen, reloaded) = tokio::join!(files.changed(version, Duration::from_secs(600)), files.reload());
    assert!(seen.unwrap() == reloaded.as_ref().copied().unwrap() && reloaded.unwrap() > version);
    assert_eq!(files.get("a").await.unwrap().read::<u8>().unwrap(), 2);

    std::fs::write(&base, "a: [").unwrap();
    let version = files.version().await.unwrap();
    assert_eq!(files.reload().await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(files.version().await.unwrap(), version);
    assert_eq!(files.get("a").await.unwrap().read::<u8>().unwrap(), 2);
}

/// Waits for something that a task of its own does; there is a deadline for the test as a whole.
async fn until(mut reached: impl FnMut() -> bool) {
    while !reached() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn watched_files_are_followed_and_mistakes_are_not() {
    let folder = folder(&[("base.yaml", "a: ${file:SECRET}")]);
    let (base, secret) = (folder.path().join("base.yaml"), folder.path().join("secret"));
    std::fs::write(&base, format!("a: ${{file:{}}}", secret.display())).unwrap();
    std::fs::write(&secret, "1").unwrap();
    let status = StatusReporter::new();
    let layers = layers(folder.path(), None, &[]);
    let files = Files::start(layers, Some(Duration::from_millis(5)), status.clone()).await.unwrap();
    let all = async {
        let mut version = files.version().await.unwrap();
        let mut next = async || {
            let last = version;
            while version == last {
                version = files.changed(last, Duration::from_secs(60)).await.unwrap();
            }
            files.get("a").await.unwrap().read::<u8>().unwrap()
        };
        std::fs::write(&secret, "2").unwrap();
        assert_eq!(next().await, 2);
        std::fs::write(&base, "a: 3").unwrap();
        assert_eq!(next().await, 3);
        std::fs::write(&base, "a: 4: 5").unwrap();
        until(|| matches!(status.condition(), Condition::Degraded(_))).await;
        std::fs::write(&base, "a: 4").unwrap();
        assert_eq!(next().await, 4);
        until(|| status.condition() == Condition::Working).await;
    };
    tokio::time::timeout(Duration::from_secs(120), all).await.expect("no change was seen");
}

#[tokio::test]
async fn a_file_that_is_mended_to_what_it_was_is_no_degradation() {
    let folder = folder(&[("base.yaml", "a: 1")]);
    let base = folder.path().join("base.yaml");
    let status = StatusReporter::new();
    let files =
        Files::start(layers(folder.path(), None, &[]), Some(Duration::from_millis(5)), status.clone()).await.unwrap();
    let version = files.version().await.unwrap();
    let all = async {
        std::fs::write(&base, "a: [").unwrap();
        until(|| matches!(status.condition(), Condition::Degraded(_))).await;
        std::fs::write(&base, "a: 1").unwrap();
        until(|| status.condition() == Condition::Working).await;
    };
    tokio::time::timeout(Duration::from_secs(120), all).await.expect("no change was seen");
    assert_eq!(files.version().await.unwrap(), version);
}

#[tokio::test]
async fn settings_of_the_plugin_are_checked() {
    for config in [
        json!({"environment": "../secrets"}),
        json!({"environment": "base"}),
        json!({"environment": ""}),
        json!({"env_prefix": "app"}),
        json!({"env_prefix": "MLX"}),
        json!({"env_prefix": "A__B"}),
        json!({"watch": "1ms"}),
    ] {
        let refused = registry().create::<dyn Configuration>("files", config.clone()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{config}");
        assert!(!refused.diagnostics().is_empty(), "{config}: {refused}");
    }
}

#[tokio::test]
async fn the_platform_starts_it() {
    let folder = folder(&[("base.yaml", "server: {port: 80}")]);
    let config = json!({"directory": folder.path(), "watch": "1h"});
    let files = registry().create::<dyn Configuration>("files", config).await.unwrap();
    assert_eq!(files.get("server.port").await.unwrap().read::<u16>().unwrap(), 80);
    let error = files.get("server.prot").await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("`server.port`"), "{error}");
    assert_eq!(files.find("a..b").await.unwrap_err().kind(), ErrorKind::Invalid);
    files.shutdown().await.unwrap();
}

#[test]
fn versions_grow() {
    let first = next_version(0);
    assert!(next_version(first) > first);
    assert_eq!(next_version(u64::MAX - 1), u64::MAX);
}
