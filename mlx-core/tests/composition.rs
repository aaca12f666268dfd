//! Compositions of several files, formats and layers: what comes of them, and where their mistakes are.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::{
    composition::{EffectiveConfig, OnFailure, Origin, Plan},
    contract,
    diagnostics::{Code, Diagnostic, Severity},
    prelude::*,
    registry::{Registration, Registry},
};
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

/// Something to set up.
#[contract(name = "store", cardinality = "many")]
#[async_trait]
pub trait Store {
    /// What it was set up with.
    async fn settings(&self) -> Result<String>;
}

/// Something else to set up.
#[contract(name = "sink", cardinality = "many")]
#[async_trait]
pub trait Sink {
    /// What it was set up with.
    async fn settings(&self) -> Result<String>;
}

#[derive(PluginConfig, Debug)]
struct Limits {
    #[config(default = 10)]
    runs: u32,
    #[config(default)]
    names: Vec<String>,
}

#[derive(PluginConfig, Debug)]
struct Settings {
    #[config(default = "data")]
    path: String,
    #[config(default = 5432, range(1..=65535), alias = "tcp_port")]
    port: u32,
    #[config(default)]
    limits: Limits,
    #[config(default)]
    labels: BTreeMap<String, String>,
    token: Option<Secret<String>>,
    pin: Option<Secret<u32>>,
    #[config(env = "STORE_REGION")]
    region: Option<String>,
    #[config(default)]
    any: JsonValue,
}

macro_rules! plugin {
    ($(#[$meta:meta])* $name:ident: $kind:ident) => {
        $(#[$meta])*
        struct $name(Settings);

        #[async_trait]
        impl Plugin for $name {
            type Config = Settings;
            async fn initialize(config: Settings, _: &InitContext) -> Result<Self> {
                Ok($name(config))
            }
        }

        #[async_trait]
        impl $kind for $name {
            async fn settings(&self) -> Result<String> {
                let token = self.0.token.as_ref().map_or("", |token| token.expose().as_str());
                Ok(format!("{:?} {token}", self.0))
            }
        }
    };
}

plugin!(#[mlx_plugin(type = Store)] Local: Store);
plugin!(#[mlx_plugin(type = Store)] Remote: Store);
plugin!(#[mlx_plugin(type = Sink, name = "local")] LocalSink: Sink);

fn plugins() -> Registry {
    static ALL: [Registration; 3] =
        [Registration::new::<Local>(), Registration::new::<Remote>(), Registration::new::<LocalSink>()];
    Registry::from_registrations(&ALL)
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("mlx-composition-{}-{number}", std::process::id()));
        let folder = Folder(folder);
        for (name, text) in files {
            let path = folder.0.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn open(&self, name: &str) -> Result<Composition> {
        Composition::from_path(self.0.join(name)).map(|composition| composition.with_variables(env(&[])))
    }

    fn relative(&self, path: &str) -> String {
        path.strip_prefix(&format!("{}/", self.0.display())).unwrap_or(path).to_owned()
    }

    /// The code and the place of every finding.
    fn places(&self, error: &Error) -> Vec<(Code, String)> {
        let place = |l: &mlx_core::diagnostics::Location| self.relative(&l.to_string());
        error.diagnostics().iter().map(|d| (d.code, d.location.as_ref().map_or(String::new(), place))).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn env(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn yaml(text: &str) -> Composition {
    Composition::from_yaml(text).unwrap().with_variables(env(&[]))
}

fn resolve(composition: &Composition) -> Plan {
    plugins().resolve(composition).unwrap()
}

fn refused(composition: &Composition) -> Error {
    plugins().resolve(composition).unwrap_err()
}

fn places(error: &Error) -> Vec<(Code, String)> {
    let place = |l: &mlx_core::diagnostics::Location| l.to_string();
    error.diagnostics().iter().map(|d| (d.code, d.location.as_ref().map_or(String::new(), place))).collect()
}

/// The settings of a step as JSON.
fn settings(plan: &Plan, id: &str) -> JsonValue {
    plan.steps().iter().find(|step| step.id == id).unwrap().effective.clone().unwrap()
}

fn value_and_origin(config: &EffectiveConfig, plugin: &str, path: &str) -> (JsonValue, String) {
    let setting = config.plugin(plugin).unwrap().setting(path).unwrap();
    (setting.value.clone(), setting.origin.to_string())
}

// ------------------------------------------------------------------------------------------------------------ formats

#[cfg(feature = "toml")]
#[test]
fn the_three_formats_say_the_same() {
    let yaml = yaml(
        "name: x\nvariables: {root: /data}\nplugins:\n  - {type: store, name: local, start_timeout: 5s, config: {path: \"${root}/a\", limits: {names: [a, b]}}}\nconflicts: [[a, b]]\n",
    );
    let toml = Composition::from_toml(
        "name = \"x\"\nconflicts = [[\"a\", \"b\"]]\n[variables]\nroot = \"/data\"\n[[plugins]]\ntype = \"store\"\nname = \"local\"\nstart_timeout = \"5s\"\n[plugins.config]\npath = \"${root}/a\"\nlimits.names = [\"a\", \"b\"]\n",
    )
    .unwrap();
    let json = Composition::from_json(
        &json!({"name": "x", "variables": {"root": "/data"}, "conflicts": [["a", "b"]], "plugins": [
            {"type": "store", "name": "local", "start_timeout": "5s", "config": {"path": "${root}/a", "limits": {"names": ["a", "b"]}}},
        ]})
        .to_string(),
    )
    .unwrap();
    let [a, b, c] = [yaml, toml, json].map(|composition| {
        let mut plan = resolve(&composition).to_json();
        plan["steps"][0]["location"].take();
        plan
    });
    assert_eq!(a, b);
    assert_eq!(a, c);
    assert_eq!(a["steps"][0]["config"]["path"], "/data/a");
}

#[cfg(feature = "toml")]
#[test]
fn a_mistake_in_toml_is_located() {
    let text = "[[plugins]]\ntype = \"store\"\nname = \"locl\"\n\n[[plugins]]\ntype = \"store\"\nname = \"local\"\n[plugins.config]\nport = 70000\nlimts = {runs = 1}\ntoken = 5\n\n[[plugins]]\nname = \"local\"\n";
    let error = refused(&Composition::from_toml(text).unwrap());
    let expected = [
        (Code::UnknownPlugin, "<toml>:3:8"),
        (Code::OutOfRange, "<toml>:9:8"),
        (Code::UnknownField, "<toml>:10:1"),
        (Code::WrongType, "<toml>:11:9"),
        (Code::MissingField, "<toml>:13:1"),
    ];
    assert_eq!(places(&error), expected.map(|(code, place)| (code, place.to_owned())));
    let report = format!("{error:?}");
    assert!(report.contains("9 | port = 70000\n"), "{report}");
    let malformed = Composition::from_toml("a = [1,\n").unwrap_err();
    assert_eq!(malformed.diagnostics()[0].code, Code::Syntax);
    let twice = Composition::from_toml("name = \"a\"\nname = \"b\"\n").unwrap_err();
    assert_eq!(places(&twice), [(Code::DuplicateKey, "<toml>:2:1".to_owned())]);
}

#[test]
fn only_regular_files_of_a_known_format_are_read() {
    let folder = Folder::new(&[("a.ini", "x"), ("dir.yaml/x", "")]);
    assert_eq!(folder.open("a.ini").unwrap_err().diagnostics()[0].code, Code::UnknownFormat);
    assert_eq!(folder.open("dir.yaml").unwrap_err().diagnostics()[0].code, Code::Unreadable);
    assert_eq!(folder.open("none.yaml").unwrap_err().diagnostics()[0].code, Code::Unreadable);
}

// ---------------------------------------------------------------------------------------------------------- variables

#[test]
fn variables_stand_for_texts_and_numbers() {
    let composition = yaml(
        "variables: {root: /data, db: \"${root}/${env:NAME:-db}\", port: 99, runs: \"${env:RUNS}\", literal: \"$${x}\"}\nplugins:\n  - type: store\n    name: local\n    config:\n      path: ${db}.sqlite\n      port: ${port}\n      limits: {runs: \"${runs}\", names: [\"${literal}\", \"$${db}\"]}\n      pin: ${port}\n",
    )
    .with_variables(env(&[("RUNS", "7")]));
    let settings = settings(&resolve(&composition), "local");
    assert_eq!(settings["path"], "/data/db.sqlite");
    assert_eq!(settings["port"], 99);
    assert_eq!(settings["limits"], json!({"runs": 7, "names": ["${x}", "${db}"]}));
    assert_eq!(settings["pin"], "[redacted]");
}

#[tokio::test]
async fn a_secret_may_be_in_a_variable() {
    let composition =
        yaml("variables: {key: \"${env:KEY}\"}\nplugins: [{type: store, name: local, config: {token: \"${key}\"}}]")
            .with_variables(env(&[("KEY", "hunter2")]));
    let plan = resolve(&composition);
    assert_eq!(plan.steps()[0].effective, None);
    let config = plan.effective_config();
    assert_eq!(value_and_origin(&config, "local", "token"), (json!("${env:KEY}"), "<yaml>:2:54".to_owned()));
    let platform = plugins().activate(composition).await.unwrap();
    let store = platform.get::<dyn Store>("local").unwrap();
    assert!(store.settings().await.unwrap().ends_with(" hunter2"));
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_changed_variable_changes_what_uses_it() {
    let composition = |root: &str| {
        yaml(&format!(
            "variables: {{root: {root}}}\nplugins: [{{type: store, name: local, config: {{token: \"${{root}}${{env:T}}\"}}}}]"
        ))
        .with_variables(env(&[("T", "t")]))
    };
    let platform = plugins().activate(composition("a")).await.unwrap();
    let store = platform.get::<dyn Store>("local").unwrap();
    assert!(store.settings().await.unwrap().ends_with(" at"));
    assert!(platform.apply(&composition("a")).await.unwrap().is_unchanged());
    assert!(!platform.apply(&composition("b")).await.unwrap().is_unchanged());
    assert!(store.settings().await.unwrap().ends_with(" bt"));
    assert!(!format!("{:?}", platform.plan()).contains("\"b"));
    platform.shutdown().await.unwrap();
}

#[test]
fn what_is_wrong_with_a_variable_is_located() {
    let text = "variables:\n  a: ${b}\n  b: ${good}-${a}\n  good: ok\n  me: x${me}\n  lost: ${god}\n  bad: ${env}${:}\n  list: [1]\n  2x: 1\n  leads: ${a}\n  home: ${env:HOME}\nplugins:\n  - type: store\n    name: local\n    config: {path: \"${rot}\", region: \"${home}\", port: \"${a}\"}\n";
    let error = refused(&yaml(text));
    let expected = [
        (Code::CircularVariable, "<yaml>:2:6"),
        (Code::CircularVariable, "<yaml>:5:7"),
        (Code::UnknownVariable, "<yaml>:6:9"),
        (Code::BadReference, "<yaml>:7:8"),
        (Code::WrongType, "<yaml>:8:9"),
        (Code::InvalidValue, "<yaml>:9:3"),
        (Code::UnknownVariable, "<yaml>:15:20"),
        (Code::MissingVariable, "<yaml>:15:38"),
    ];
    assert_eq!(places(&error), expected.map(|(code, place)| (code, place.to_owned())), "{error:?}");
    let diagnostics = error.diagnostics();
    assert_eq!(diagnostics[0].message, "variables stand for each other in a circle: `a` refers to `b` refers to `a`");
    assert_eq!(diagnostics[2].help[0], "did you mean `${good}`?");
    assert_eq!(diagnostics[7].related[0].location.as_ref().unwrap().to_string(), "<yaml>:11:9");
    assert!(diagnostics[6].help.iter().any(|help| help.contains("${env:rot}")), "{diagnostics:?}");
}

#[test]
fn variables_that_double_each_other_are_refused() {
    let mut text = "variables:\n  v0: xxxxxxxxxxxxxxxx\n".to_owned();
    for i in 1..60 {
        text += &format!("  v{i}: ${{v{0}}}${{v{0}}}\n", i - 1);
    }
    let error = refused(&yaml(&text));
    assert_eq!(places(&error), [(Code::TooLarge, "<yaml>:15:8".to_owned())]);
}

#[test]
fn many_variables_take_no_time() {
    let mut text = "variables:\n".to_owned();
    for i in 0..20_000 {
        text += &format!("  v{i}: ${{v{}}}\n", i + 1);
    }
    text += "  v20000: end\nplugins: [{type: store, name: local, config: {path: \"${v0}\"}}]\n";
    assert_eq!(settings(&resolve(&yaml(&text)), "local")["path"], "end");
}

// ----------------------------------------------------------------------------------------------- include and extends

#[test]
fn included_files_are_added_under_the_one_that_names_them() {
    let folder = Folder::new(&[
        (
            "main.yaml",
            "name: main\ninclude: [parts/a.yaml, parts/b.json]\nvariables: {root: /main}\ncomponents: [x]\nplugins: [{type: sink, name: local, config: {path: \"${root}\"}}]\nprofiles:\n  prod:\n    plugins: [{name: a, config: {port: 2}}]\n",
        ),
        (
            "parts/a.yaml",
            "name: a\ncomponents: [x, y]\nvariables: {root: /a, deep: /deep}\ninclude: [c.yaml]\nplugins: [{type: store, name: local, id: a, config: {path: \"${root}${deep}\"}}]\nprofiles:\n  prod:\n    plugins: [{name: a, config: {port: 1, path: p}}]\n",
        ),
        ("parts/b.json", r#"{"include": ["c.yaml"], "plugins": [{"type": "store", "name": "remote"}]}"#),
        ("parts/c.yaml", "plugins: [{type: store, name: local, id: c}]\nconflicts: [[k, l]]\n"),
    ]);
    let composition = folder.open("main.yaml").unwrap();
    assert_eq!(composition.problems(), []);
    assert_eq!(composition.name(), "main");
    let ids: Vec<&str> = composition.plugins().iter().map(|entry| entry.id()).collect();
    assert_eq!(ids, ["c", "a", "remote", "local"]);
    assert_eq!(composition.components().iter().map(|c| c.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    let plan = resolve(&composition.with_profile("prod").unwrap());
    assert_eq!(settings(&plan, "local")["path"], "/main");
    let (a, config) = (settings(&plan, "a"), plan.effective_config());
    assert_eq!((&a["path"], &a["port"]), (&json!("p"), &json!(2)));
    let origin = |path: &str| folder.relative(&value_and_origin(&config, "a", path).1);
    assert_eq!(origin("path"), "parts/a.yaml:8:49 (profile prod)");
    assert_eq!(origin("port"), "main.yaml:8:40 (profile prod)");
}

#[test]
fn a_mistake_in_an_included_file_is_located_there_with_the_way_to_it() {
    let folder = Folder::new(&[
        ("main.yaml", "plugins: [{type: store, name: local, config: {prot: 1}}]\ninclude:\n  - a.yaml\n"),
        ("a.yaml", "include: [sub/b.yaml]\nplugin: []\n"),
        (
            "sub/b.yaml",
            "plugins:\n  - type: store\n    name: local\n    id: b\n    config: {port: 0}\n  - {type: store, name: local}\n",
        ),
    ]);
    let error = refused(&folder.open("main.yaml").unwrap());
    let expected = [
        (Code::UnknownField, "a.yaml:2:1"),
        (Code::UnknownField, "main.yaml:1:47"),
        (Code::OutOfRange, "sub/b.yaml:5:20"),
    ];
    let mut found = folder.places(&error);
    // The twin of the included file stands before the one of the including file.
    let twin = found.iter().position(|(code, _)| *code == Code::DuplicateId).unwrap();
    assert_eq!(found.remove(twin).1, "main.yaml:1:31");
    assert_eq!(found, expected.map(|(code, place)| (code, place.to_owned())));
    let way = |diagnostic: &Diagnostic| -> Vec<String> {
        let place = |r: &mlx_core::diagnostics::Related| {
            format!("{} {}", r.message, folder.relative(&r.location.as_ref().unwrap().to_string()))
        };
        diagnostic.related.iter().map(place).collect()
    };
    let out_of_range = error.diagnostics().iter().find(|d| d.code == Code::OutOfRange).unwrap();
    assert_eq!(way(out_of_range), ["included from here a.yaml:1:11", "included from here main.yaml:3:5"]);
    let twin = error.diagnostics().iter().find(|d| d.code == Code::DuplicateId).unwrap();
    assert_eq!(way(twin), ["the other one is here sub/b.yaml:6:25"]);
}

#[test]
fn an_extending_file_changes_its_base() {
    let folder = Folder::new(&[
        (
            "base.yaml",
            "name: base\nplugins:\n  - {type: store, name: local, id: main, config: {path: base, port: 1, labels: {a: x}}}\n  - {type: store, name: remote}\n  - {type: sink, name: local, config: {port: 5}}\nvariables: {v: base}\n",
        ),
        (
            "prod.yaml",
            "extends: base.yaml\nvariables: {v: prod}\nplugins:\n  - type: store\n    name: main\n    on_failure: continue\n    start_timeout: 1s\n    config: {path: \"${v}\", labels: {b: y}}\n  - {type: store, name: remote, enabled: false}\n  - {type: store, name: local, id: extra}\n",
        ),
        (
            "eu.yaml",
            "extends: prod.yaml\nplugins:\n  - {type: store, id: main, name: remote, config: {port: 3}}\n  - {type: store, id: extra, config: {port: 4}}\n",
        ),
    ]);
    let composition = folder.open("prod.yaml").unwrap();
    assert_eq!((composition.problems(), composition.name()), (&[][..], "base"));
    let plan = resolve(&composition);
    let labels: Vec<String> = plan.steps().iter().map(|step| step.label()).collect();
    assert_eq!(labels, ["sink/local", "store/extra", "store/main"]);
    let main = plan.steps().iter().find(|step| step.id == "main").unwrap();
    assert_eq!((main.on_failure, main.start_timeout), (OnFailure::Continue, Duration::from_secs(1)));
    let main = settings(&plan, "main");
    assert_eq!(
        (&main["path"], &main["port"], &main["labels"]),
        (&json!("prod"), &json!(1), &json!({"a": "x", "b": "y"}))
    );
    let config = plan.effective_config();
    let origin = |path: &str| folder.relative(&value_and_origin(&config, "main", path).1);
    assert_eq!((&*origin("path"), &*origin("port")), ("prod.yaml:8:20", "base.yaml:3:69"));
    assert_eq!((&*origin("labels.a"), &*origin("labels.b")), ("base.yaml:3:84", "prod.yaml:8:40"));

    // Another plugin under the same id does not inherit the settings of the one before it.
    let plan = resolve(&folder.open("eu.yaml").unwrap());
    let main = plan.steps().iter().find(|step| step.id == "main").unwrap();
    assert_eq!(main.registration.metadata().name, "remote");
    assert_eq!((&settings(&plan, "main")["path"], &settings(&plan, "main")["port"]), (&json!("data"), &json!(3)));
    assert_eq!(settings(&plan, "extra")["port"], 4);
}

#[test]
fn an_entry_without_a_name_needs_a_base_that_has_it() {
    let folder = Folder::new(&[
        ("base.yaml", "plugins: [{type: store, name: local, id: main}]"),
        ("a.yaml", "extends: base.yaml\nplugins:\n  - {type: store, id: mian}\n  - {id: main}\n"),
        ("b.yaml", "plugins:\n  - {type: store, id: main}\n"),
    ]);
    let error = refused(&folder.open("a.yaml").unwrap());
    assert_eq!(
        folder.places(&error),
        [(Code::MissingField, "a.yaml:3:23".to_owned()), (Code::MissingField, "a.yaml:4:5".to_owned())]
    );
    assert_eq!(error.diagnostics()[0].help[0], "did you mean `main`?");
    assert_eq!(
        folder.places(&refused(&folder.open("b.yaml").unwrap())),
        [(Code::MissingField, "b.yaml:2:5".to_owned())]
    );
}

#[test]
fn files_that_cannot_be_read_are_reported_together() {
    let folder = Folder::new(&[
        ("main.yaml", "include:\n  - none.yaml\n  - broken.yaml\n  - loop.yaml\n  - x.ini\n  - main.yaml\nplugn: []\n"),
        ("broken.yaml", "a: [1\nb: 2\n"),
        ("loop.yaml", "include: [sub/back.yaml]\n"),
        ("sub/back.yaml", "extends: ../loop.yaml\nplugins:\n  - {type: store, id: unknown_base}\n"),
    ]);
    let error = folder.open("main.yaml").unwrap_err();
    let found = folder.places(&error);
    let expected = [
        (Code::Unreadable, "main.yaml:2:5"),
        (Code::UnknownFormat, "main.yaml:5:5"),
        (Code::CircularInclude, "main.yaml:6:5"),
        (Code::UnknownField, "main.yaml:7:1"),
        (Code::CircularInclude, "sub/back.yaml:1:10"),
    ];
    for (code, place) in expected {
        assert!(found.contains(&(code, place.to_owned())), "{code:?} {place} is not in {found:?}");
    }
    assert!(found.iter().any(|(code, place)| *code == Code::Syntax && place.starts_with("broken.yaml")), "{found:?}");
    assert_eq!(found.len(), 6, "{found:?}");
    let circle = error.diagnostics().iter().rfind(|d| d.code == Code::CircularInclude).unwrap();
    let way: Vec<String> =
        circle.related.iter().map(|r| folder.relative(&r.location.as_ref().unwrap().to_string())).collect();
    assert_eq!(way, ["loop.yaml:1:11", "main.yaml:4:5"]);
}

#[test]
fn files_have_limits_of_number_and_depth() {
    let deep: Vec<(String, String)> =
        (0..30).map(|i| (format!("d{i}.yaml"), format!("include: [d{}.yaml]\n", i + 1))).collect();
    let wide: Vec<(String, String)> = (0..14)
        .map(|i| (format!("w{i}.yaml"), format!("include: [w{0}.yaml, w{0}.yaml]\n", i + 1)))
        .chain([("w14.yaml".to_owned(), "plugins: []\n".to_owned())])
        .collect();
    let files: Vec<(&str, &str)> =
        deep.iter().chain(&wide).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let folder = Folder::new(&files);
    assert_eq!(folder.places(&folder.open("d0.yaml").unwrap_err()), [(Code::TooLarge, "d15.yaml:1:11".to_owned())]);
    assert_eq!(folder.open("w0.yaml").unwrap_err().diagnostics().len(), 1);
    assert_eq!(folder.open("w0.yaml").unwrap_err().diagnostics()[0].code, Code::TooLarge);
}

#[test]
fn a_text_includes_files_relative_to_the_current_directory() {
    let folder = Folder::new(&[("part.yaml", "plugins: [{type: store, name: local}]")]);
    let path = folder.0.join("part.yaml");
    let composition = Composition::from_yaml(&format!("include: [{}]", path.display())).unwrap();
    assert_eq!(composition.plugins().len(), 1);
    let error = Composition::from_yaml("include:\n  - no-such-file.yaml").unwrap_err();
    assert_eq!(places(&error), [(Code::Unreadable, "<yaml>:2:5".to_owned())]);
    assert!(Path::new("no-such-file.yaml").metadata().is_err());
}

// ----------------------------------------------------------------------------------------------------------- profiles

#[test]
fn a_profile_adds_and_changes() {
    let composition = yaml(
        "variables: {v: base}\nplugins: [{type: store, name: local, config: {path: \"${v}\"}}]\nprofiles:\n  prod:\n    variables: {v: prod}\n    plugins:\n      - {name: local, default: true, on_failure: continue, start_timeout: 2s, stop_timeout: 3s}\n      - {type: sink, name: local, config: {port: 7}}\n  eu:\n    variables: {v: eu}\n    plugins:\n      - {type: sink, name: local, enabled: false}\n      - {type: store, id: local, name: remote}\n",
    );
    let prod = composition.clone().with_profile("prod").unwrap();
    let plan = resolve(&prod);
    assert_eq!(plan.steps().len(), 2);
    let store = plan.steps().iter().find(|step| step.label() == "store/local").unwrap();
    assert_eq!((store.default, store.on_failure), (true, OnFailure::Continue));
    assert_eq!((store.start_timeout, store.stop_timeout), (Duration::from_secs(2), Duration::from_secs(3)));
    assert_eq!(store.effective.as_ref().unwrap()["path"], "prod");
    let both = resolve(&prod.with_profile("eu").unwrap());
    assert_eq!(both.steps().len(), 1);
    assert_eq!(both.steps()[0].registration.metadata().name, "remote");
    assert!(both.steps()[0].default);
}

#[test]
fn a_profile_that_names_nothing_is_located() {
    let text = "plugins: [{type: store, name: local}, {type: sink, name: local}]\nprofiles:\n  p:\n    plugins:\n      - {name: loca}\n      - {name: local}\n      - {enabled: true}\n      - {name: local, type: store, on_failure: never}\n";
    let composition = yaml(text);
    let expected = [(Code::MissingField, "<yaml>:7:9"), (Code::UnknownVariant, "<yaml>:8:48")];
    assert_eq!(places(&refused(&composition)), expected.map(|(code, place)| (code, place.to_owned())));
    let error = composition.with_profile("p").unwrap_err();
    let expected = [(Code::UnknownProfile, "<yaml>:5:16"), (Code::UnknownProfile, "<yaml>:6:16")];
    assert_eq!(places(&error), expected.map(|(code, place)| (code, place.to_owned())));
    assert_eq!(error.diagnostics()[0].help[0], "did you mean `local`?");
}

// -------------------------------------------------------------------------------------------------------- environment

const STORES: &str = "plugins:\n  - {type: store, name: local, id: my-store, config: {path: a, port: 1, labels: {Team: x}}}\n  - {type: store, name: local}\n  - {type: sink, name: local}\n  - {type: store, name: remote, enabled: false}\n";

#[test]
fn environment_variables_are_laid_over_settings() {
    let composition = yaml(STORES).with_variables(env(&[
        ("MLX__MY_STORE__PATH", "0123"),
        ("MLX__MY_STORE__PORT", "2"),
        ("MLX__MY_STORE__LIMITS__RUNS", "3"),
        ("MLX__MY_STORE__LIMITS__NAMES", "[a, '${env:HOME}']"),
        ("MLX__MY_STORE__LABELS__TEAM", "y"),
        ("MLX__MY_STORE__LABELS__NEW_ONE", "[z"),
        ("MLX__MY_STORE__ANY", "{a: [1]}"),
        ("MLX__STORE__LOCAL__LABELS", "{a: b}"),
        ("MLX__STORE__LOCAL__REGION", "${env:HOME}"),
        ("MLX__SINK__LOCAL__TCP_PORT", "0x10"),
        ("MLX__REMOTE__PORT", "99999"),
        ("MLX_OTHER", "x"),
    ]));
    let plan = resolve(&composition);
    assert_eq!(plan.warnings(), []);
    let expected = json!({
        "path": "0123", "port": 2, "limits": {"runs": 3, "names": ["a", "${env:HOME}"]},
        "labels": {"Team": "y", "new_one": "[z"}, "token": null, "pin": null, "region": null, "any": {"a": [1]},
    });
    assert_eq!(settings(&plan, "my-store"), expected);
    let of = |label: &str| plan.steps().iter().find(|step| step.label() == label).unwrap().effective.clone().unwrap();
    assert_eq!(of("store/local")["labels"], json!({"a": "b"}));
    assert_eq!(of("store/local")["region"], "${env:HOME}");
    assert_eq!(of("sink/local")["port"], 16);
    // Nothing of it stays in the composition.
    assert_eq!(plan.composition().plugins()[1].config.as_map().unwrap().len(), 0);
}

#[tokio::test]
async fn a_secret_from_the_environment_is_looked_up_at_the_start() {
    let composition = yaml("plugins: [{type: store, name: local}]")
        .with_variables(env(&[("MLX__LOCAL__TOKEN", "[hunter2"), ("MLX__LOCAL__PORT", "8")]));
    let plan = resolve(&composition);
    assert_eq!(plan.steps()[0].effective, None);
    let config = plan.effective_config();
    let from = |name: &str| format!("environment variable {name}");
    assert_eq!(
        value_and_origin(&config, "local", "token"),
        (json!("${env:MLX__LOCAL__TOKEN}"), from("MLX__LOCAL__TOKEN"))
    );
    assert_eq!(value_and_origin(&config, "local", "port"), (json!(8), from("MLX__LOCAL__PORT")));
    assert!(!format!("{config}{:?}{}", config, config.to_json()).contains("hunter2"));
    let platform = plugins().activate(composition).await.unwrap();
    let store = platform.get::<dyn Store>("local").unwrap();
    assert!(store.settings().await.unwrap().ends_with(" [hunter2"));
    assert_eq!(platform.effective_config(), config);
    platform.shutdown().await.unwrap();
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    let composition = yaml(STORES).with_variables(env(&[
        ("MLX__MY_STORE__REGOIN", "1"),
        ("MLX__MY_STORE__PORT", "70000"),
        ("MLX__MY_STORE__LIMITS__RUNS", "many"),
        ("MLX__MY_STORE__LIMITS__NAMES", "[a"),
        ("MLX__LOCAL__PORT", "1"),
        ("MLX__STORE__MY_STORE__PORT", "2"),
        ("MLX__STORE__LOCAL__PIN", "{hunter2"),
    ]));
    let error = refused(&composition);
    let at = |name: &str| format!("environment variable {name}");
    let expected = [
        (Code::UnknownOverride, at("MLX__LOCAL__PORT")),
        (Code::InvalidValue, at("MLX__MY_STORE__LIMITS__NAMES")),
        (Code::WrongType, at("MLX__MY_STORE__LIMITS__RUNS")),
        (Code::OutOfRange, at("MLX__MY_STORE__PORT")),
        (Code::UnknownField, at("MLX__MY_STORE__REGOIN")),
        (Code::DuplicateKey, at("MLX__STORE__MY_STORE__PORT")),
    ];
    assert_eq!(places(&error), expected);
    let diagnostics = error.diagnostics();
    assert_eq!(diagnostics[0].help, ["write `MLX__SINK__LOCAL__PORT`, `MLX__STORE__LOCAL__PORT`"]);
    assert_eq!(diagnostics[4].help[0], "did you mean `region`?");
    assert_eq!(diagnostics[4].to_json()["location"], json!({"environment": "MLX__MY_STORE__REGOIN"}));
    let report = format!("{error:?}");
    assert!(report.contains("--> environment variable MLX__MY_STORE__PORT\n"), "{report}");
    assert!(!report.contains("hunter2"), "{report}");
}

#[test]
fn a_misspelt_variable_may_mean_a_setting_that_the_file_has() {
    let error = refused(&yaml(STORES).with_variables(env(&[("MLX__MY_STORE__PROT", "1")])));
    assert_eq!(error.diagnostics()[0].help[0], "did you mean `port`?");
    let both = [("MLX__MY_STORE__PROT", "1"), ("MLX__MY_STORE__PORT", "1")];
    let error = refused(&yaml(STORES).with_variables(env(&both)));
    assert!(error.diagnostics()[0].help[0].starts_with("the fields are"), "{error:?}");
}

#[tokio::test]
async fn a_wrong_secret_from_the_environment_is_not_printed() {
    let composition =
        yaml("plugins: [{type: store, name: local}]").with_variables(env(&[("MLX__LOCAL__PIN", "hunter2")]));
    let error = plugins().activate(composition).await.unwrap_err();
    assert_eq!(places(&error), [(Code::WrongType, "environment variable MLX__LOCAL__PIN".to_owned())]);
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn ids_that_are_spelt_alike_in_the_environment_are_refused() {
    let composition = yaml("plugins: [{type: store, name: local, id: my-db}, {type: store, name: local, id: my_db}]")
        .with_variables(env(&[("MLX__MY_DB__PORT", "1")]));
    let error = refused(&composition);
    assert_eq!(places(&error), [(Code::UnknownOverride, "environment variable MLX__MY_DB__PORT".to_owned())]);
    assert!(error.diagnostics()[0].help[0].contains("give one of them an `id`"), "{error:?}");
}

#[test]
fn a_variable_that_names_no_plugin_is_a_warning() {
    let composition =
        yaml(STORES).with_variables(env(&[("MLX__MYSTORE__PORT", "1"), ("MLX__", "1"), ("MLX__LOCAL", "1")]));
    let plan = resolve(&composition);
    let found: Vec<_> = plan.warnings().iter().map(|w| (w.code, w.location.as_ref().unwrap().to_string())).collect();
    let at = |name: &str| (Code::UnknownOverride, format!("environment variable {name}"));
    assert_eq!(found, [at("MLX__"), at("MLX__LOCAL"), at("MLX__MYSTORE__PORT")]);
    assert_eq!(plan.warnings()[2].help[0], "did you mean `MLX__MY_STORE__PORT`?");
}

// ----------------------------------------------------------------------------------------------------------- disabled

#[test]
fn what_is_disabled_is_checked_and_keeps_nothing_from_starting() {
    let text = "plugins:
  - {type: sink, name: local}
  - {type: store, name: locla, enabled: false}
  - {type: stroe, name: local, enabled: false}
  - {type: store, name: remote, id: a, enabled: false, config: {pth: x, port: 0, limits: {runs: many}}}
  - {type: store, name: remote, id: b, enabled: false, resilience: {timeout: fast}}
";
    let composition = yaml(text).with_variables(env(&[("MLX__A__TOKN", "hunter2")]));
    let plan = resolve(&composition);
    assert_eq!(plan.steps().len(), 1);
    let found: Vec<_> = plan.warnings().iter().map(|w| (w.code, w.path.as_deref().unwrap_or_default())).collect();
    let expected = [
        (Code::UnknownPlugin, "plugins[1].name"),
        (Code::UnknownPluginType, "plugins[2].type"),
        (Code::UnknownField, "plugins[3].config.pth"),
        (Code::OutOfRange, "plugins[3].config.port"),
        (Code::WrongType, "plugins[3].config.limits.runs"),
        (Code::WrongType, "plugins[4].resilience.timeout"),
        (Code::UnknownField, "plugins[3].config.tokn"),
    ];
    assert_eq!(found, expected);
    let warnings = plan.warnings();
    assert!(warnings.iter().all(|w| w.severity == Severity::Warning), "{warnings:?}");
    assert_eq!(warnings[0].help[0], "did you mean `local`?");
    assert_eq!(warnings[2].help[0], "did you mean `path`?");
    let help = "`a` is disabled: once it is enabled, this is an error";
    assert_eq!(warnings[3].help.last().map(String::as_str), Some(help));
    // Enabled, each is the error that was announced.
    let error = refused(&yaml(&text.replace("enabled: false", "enabled: true")));
    let errors: Vec<_> = error.diagnostics().iter().map(|d| (d.code, d.path.as_deref().unwrap_or_default())).collect();
    assert_eq!(errors, expected[..6]);
}

#[test]
fn a_profile_that_enables_a_plugin_is_named() {
    let composition = yaml(
        "plugins: [{type: store, name: local, enabled: false, config: {port: 0}}]\nprofiles:\n  live: {plugins: [{id: local, enabled: true, config: {port: 1}}]}\n  test: {plugins: [{type: sink, id: local, name: local, enabled: true}]}\n",
    );
    let plan = resolve(&composition);
    let help = "`local` is disabled; the profile `live` enables it";
    assert_eq!(plan.warnings()[0].help.last().map(String::as_str), Some(help));
    assert_eq!(resolve(&composition.with_profile("live").unwrap()).warnings(), []);
}

// ---------------------------------------------------------------------------------------------------------- overrides

#[test]
fn the_program_has_the_last_word() {
    let composition = yaml(STORES)
        .with_variables(env(&[("MLX__MY_STORE__PORT", "2"), ("MLX__MY_STORE__LIMITS__RUNS", "2"), ("V", "v")]))
        .with_override("my-store.port", 3)
        .with_override("store/local.limits", json!({"names": ["${env:V}"]}))
        .with_override("my-store", json!({"path": "b"}));
    let plan = resolve(&composition);
    let my_store = settings(&plan, "my-store");
    assert_eq!(
        (&my_store["port"], &my_store["path"], &my_store["limits"]["runs"]),
        (&json!(3), &json!("b"), &json!(2))
    );
    let config = plan.effective_config();
    assert_eq!(value_and_origin(&config, "my-store", "port"), (json!(3), "override of my-store.port".to_owned()));
    assert_eq!(
        value_and_origin(&config, "store/local", "limits.names[0]"),
        (json!("v"), "override of store/local.limits".to_owned())
    );
    let again = plugins().resolve(plan.composition()).unwrap();
    assert_eq!(again.effective_config(), config);
}

#[test]
fn mistakes_in_an_override_name_it() {
    let composition = yaml(STORES)
        .with_override("my-stor.port", 3)
        .with_override("local.port", 3)
        .with_override("my-store.prot", 3)
        .with_override("my-store.port", "many");
    let error = refused(&composition);
    let at = |path: &str| format!("override of {path}");
    let expected = [
        (Code::UnknownOverride, at("local.port")),
        (Code::UnknownOverride, at("my-stor.port")),
        (Code::WrongType, at("my-store.port")),
        (Code::UnknownField, at("my-store.prot")),
    ];
    assert_eq!(places(&error), expected);
    assert_eq!(error.diagnostics()[0].help, ["write `sink/local.port`, `store/local.port`"]);
    assert_eq!(error.diagnostics()[1].help[0], "did you mean `my-store.port`?");
}

// -------------------------------------------------------------------------------------------------- effective settings

#[test]
fn every_setting_says_where_it_came_from() {
    let folder = Folder::new(&[(
        "platform.yaml",
        "name: x\nplugins:\n  - type: store\n    name: local\n    config:\n      path: ${env:HOME}/db\n      tcp_port: 5\n      limits:\n        names: [a]\n      token: ${env:TOKEN:-hunter2}-hunter2\nprofiles:\n  prod: {plugins: [{name: local, config: {labels: {a: b}}}]}\n",
    )]);
    let variables =
        env(&[("HOME", "/home/ada"), ("TOKEN", "hunter2"), ("STORE_REGION", "eu"), ("MLX__LOCAL__PIN", "1")]);
    let composition = folder.open("platform.yaml").unwrap().with_profile("prod").unwrap().with_variables(variables);
    let plan = resolve(&composition.clone().with_override("local.limits.runs", 4));
    let config = plan.effective_config();
    let text = config.to_string().replace(&format!("{}/", folder.0.display()), "");
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "store/local (local {version})
  any              null                      default
  labels.a         \"b\"                       platform.yaml:12:55 (profile prod)
  limits.names[0]  \"a\"                       platform.yaml:9:17
  limits.runs      4                         override of local.limits.runs
  path             \"/home/ada/db\"            platform.yaml:6:13
  pin              \"${{env:MLX__LOCAL__PIN}}\"  environment variable MLX__LOCAL__PIN
  port             5                         platform.yaml:7:17
  region           \"eu\"                      environment variable STORE_REGION
  token            \"${{env:TOKEN}}[redacted]\"  platform.yaml:10:14
"
    );
    assert_eq!(text, expected);
    let json = config.to_json();
    let labels = json["plugins"][0]["settings"].as_array().unwrap().iter().find(|s| s["path"] == "labels.a").unwrap();
    assert_eq!((&labels["origin"]["kind"], &labels["origin"]["profile"]), (&json!("profile"), &json!("prod")));
    assert_eq!(labels["origin"]["location"]["line"], 12);
    assert!(!json.to_string().contains("hunter2"));

    // Without secrets that are looked up at the start, the values are those that the plugin gets.
    let plan = resolve(&composition.with_override("local.token", "hunter2").with_override("local.pin", 1));
    let config = plan.effective_config();
    let expected = (json!("[redacted]"), "override of local.token".to_owned());
    assert_eq!(value_and_origin(&config, "local", "token"), expected);
    assert_eq!(value_and_origin(&config, "local", "port").0, json!(5));
    assert_eq!(value_and_origin(&config, "local", "limits.runs"), (json!(10), "default".to_owned()));
}

#[test]
fn a_composition_made_by_the_program_says_so() {
    let composition = Composition::builder().plugin("store", "local", json!({"port": 1})).build();
    let config = resolve(&composition.with_variables(env(&[]))).effective_config();
    assert_eq!(config.plugin("local").unwrap().setting("port").unwrap().origin, Origin::Program);
    assert_eq!(config.plugin("local").unwrap().setting("path").unwrap().origin, Origin::Default);
}

#[test]
fn a_list_of_plugins_without_entries_is_empty() {
    let text = "
        plugins:
          # - {type: data_source, name: sqlite}
        profiles:
          live:
            plugins:
              # - {id: sqlite, enabled: true}
    ";
    let composition = Composition::from_yaml(text).unwrap().with_profile("live").unwrap();
    assert_eq!(composition.problems(), []);
    assert!(composition.plugins().is_empty());
}
