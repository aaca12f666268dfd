//! What a composition would run: who is preferred, how a plan is shown, whether the machine is large enough, and what
//! could be added.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::{
    Diagnostic, Plan, PluginMetadata,
    composition::{Machine, OnFailure, Reason},
    contract,
    diagnostics::{Code, Severity},
    plugin::{Declared, PluginKind, Requirement, Resources},
    prelude::*,
    registry::{Registration, Registry},
};
use std::time::Duration;

/// Keeps runs.
#[contract(name = "tracker", cardinality = "one")]
#[async_trait]
pub trait Tracker {}

/// Holds data.
#[contract(name = "store", cardinality = "many")]
#[async_trait]
pub trait Store {}

#[derive(PluginConfig)]
struct Settings {
    #[config(default = 1, range(1..=10))]
    #[allow(dead_code, reason = "nothing is started")]
    size: u32,
    #[allow(dead_code, reason = "nothing is started")]
    token: Option<Secret<String>>,
}

macro_rules! plugins {
    ($($(#[$meta:meta])* $name:ident: $kind:ident;)+) => { $(
        $(#[$meta])*
        struct $name;

        #[async_trait]
        impl Plugin for $name {
            type Config = Settings;
            async fn initialize(_: Settings, _: &InitContext) -> Result<Self> {
                Ok($name)
            }
        }

        impl $kind for $name {}
    )+ };
}

plugins! {
    #[mlx_plugin(type = Tracker, capabilities = ["charts"], integration_points = ["store"])] Mlflow: Tracker;
    #[mlx_plugin(type = Tracker, capabilities = ["alerts"], conflicts_with = ["columnar"])] Wandb: Tracker;
    #[mlx_plugin(type = Tracker)] Comet: Tracker;
    #[mlx_plugin(type = Store, capabilities = ["rows"])] Postgres: Store;
    #[mlx_plugin(type = Store, capabilities = ["columnar"], conflicts_with = ["rows"])] Parquet: Store;
    #[mlx_plugin(type = Store, requires = ["comet"])] Report: Store;
    #[mlx_plugin(type = Store, requires = ["type:tracker"], optional = ["capability:rows"])] Feed: Store;
    #[mlx_plugin(type = Store, requires = ["feed", "type:tracker"], platforms = ["haiku"])] Elsewhere: Store;
    #[mlx_plugin(type = Store, requires = ["feed", "type:tracker"])] Page: Store;
    #[mlx_plugin(type = Store, resources(memory_mib = 2048, cpu_cores = 2, gpus = 1))] Large: Store;
    #[mlx_plugin(type = Store, resources(memory_mib = 512))] Small: Store;
}

#[mlx_plugin(type = "security", capabilities = ["secrets"])]
struct Vault;

#[async_trait]
impl Plugin for Vault {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, _: &InitContext) -> Result<Self> {
        Ok(Vault)
    }
}

#[async_trait]
impl Security for Vault {
    async fn authenticate(&self, _: Credential) -> Result<Principal> {
        Err(Error::denied("nobody is known"))
    }
    async fn authorize(&self, _: Principal, _: &str, _: &str) -> Result<bool> {
        Ok(false)
    }
}

fn registry() -> Registry {
    static ALL: [Registration; 12] = [
        Registration::new::<Mlflow>(),
        Registration::new::<Wandb>(),
        Registration::new::<Comet>(),
        Registration::new::<Postgres>(),
        Registration::new::<Parquet>(),
        Registration::new::<Report>(),
        Registration::new::<Feed>(),
        Registration::new::<Elsewhere>(),
        Registration::new::<Page>(),
        Registration::new::<Large>(),
        Registration::new::<Small>(),
        Registration::new::<Vault>(),
    ];
    Registry::from_registrations(&ALL)
}

fn yaml(text: &str) -> Composition {
    Composition::from_yaml(text).unwrap()
}

fn plan(text: &str) -> Plan {
    registry().resolve_on(&yaml(text), Machine::default()).unwrap()
}

fn labels(plan: &Plan) -> Vec<String> {
    plan.steps().iter().map(|step| step.label()).collect()
}

/// Code, line, column and path of every finding.
fn refused(text: &str) -> Vec<(Code, u32, u32, String)> {
    let error = registry().resolve_on(&yaml(text), Machine::default()).unwrap_err();
    let place = |d: &Diagnostic| d.location.as_ref().map_or((0, 0), |l| (l.line, l.column));
    error
        .diagnostics()
        .iter()
        .filter(|d| d.is_error())
        .map(|d| (d.code, place(d).0, place(d).1, d.path.clone().unwrap_or_default()))
        .collect()
}

const TRACKERS: &str = "plugins:
  - {type: tracker, name: comet}
  - {type: tracker, name: mlflow}
  - {type: tracker, name: wandb}
";

// ------------------------------------------------------------------------------------------------ who is preferred

#[test]
fn the_preferred_plugin_of_a_type_runs_as_the_default() {
    let plan = plan(&format!("{TRACKERS}precedence:\n  tracker: [wandb, mlflow]\n"));
    assert_eq!(labels(&plan), ["tracker/wandb"]);
    assert!(plan.steps()[0].default);
    let left_out: Vec<_> = plan.left_out().iter().map(|l| (l.label(), l.winner.as_str(), l.of.as_str())).collect();
    assert_eq!(
        left_out,
        [
            ("tracker/comet".to_owned(), "tracker/wandb", "tracker"),
            ("tracker/mlflow".to_owned(), "tracker/wandb", "tracker")
        ]
    );
    let note = &plan.warnings()[0];
    assert_eq!((note.code, note.severity), (Code::LeftOut, Severity::Note));
    assert_eq!(note.to_string(), "<yaml>:2:27: note[MLX0063]: `comet` is left out: `wandb` is preferred");
    let said = &note.related[0];
    assert_eq!(said.message, "`precedence.tracker` says so");
    assert_eq!(said.location.as_ref().map(|l| (l.line, l.column)), Some((6, 13)), "where it was said");
}

#[test]
fn an_id_is_preferred_to_the_name_that_others_share() {
    let text = |order: &str| {
        format!(
            "plugins: [{{type: tracker, name: mlflow}}, {{type: tracker, name: mlflow, id: second}}]\nprecedence: {{tracker: [{order}]}}"
        )
    };
    assert_eq!(labels(&plan(&text("second"))), ["tracker/second"]);
    assert_eq!(labels(&plan(&text("mlflow"))), ["tracker/mlflow"], "its own id comes before the name of the other");
    let tie = text("comet");
    assert_eq!(refused(&tie)[0].0, Code::Cardinality, "nothing is said about either");
}

#[test]
fn precedence_decides_only_what_cannot_run_together() {
    let extras = "plugins: [{type: tracker, name: mlflow}, {type: tracker, name: comet, default: true}]\nprecedence: {tracker: [mlflow]}";
    assert_eq!(labels(&plan(extras)), ["tracker/comet", "tracker/mlflow"], "named extras beside a default");
    let stores = "plugins: [{type: store, name: small}, {type: store, name: postgres}, {type: store, name: parquet}]\nprecedence: {store: [parquet, small]}";
    assert_eq!(labels(&plan(stores)), ["store/parquet", "store/small"], "one conflicts with the first");
    let composed = "plugins: [{type: store, name: small}, {type: store, name: large}]\nconflicts: [[small, large]]\nprecedence: {store: [large]}";
    assert_eq!(labels(&plan(composed)), ["store/large"]);
    let unlisted = format!("{TRACKERS}precedence: {{tracker: []}}");
    assert_eq!(refused(&unlisted).len(), 2, "nobody is preferred");
}

#[test]
fn a_capability_can_have_a_precedence() {
    let text = "plugins:
  - {type: store, name: parquet}
  - {type: tracker, name: wandb}
conflicts: [[columnar, alerts]]
precedence: {alerts: [wandb], columnar: [parquet]}
";
    assert_eq!(refused(text).iter().map(|r| r.0).collect::<Vec<_>>(), [Code::Conflict], "each is alone in its list");
    let shared = "plugins: [{type: store, name: parquet, id: a}, {type: store, name: parquet, id: b}]\nconflicts: [[a, b]]\nprecedence: {columnar: [b, a]}";
    assert_eq!(labels(&plan(shared)), ["store/b"]);
}

#[test]
fn what_requires_somebody_left_out_is_told_so() {
    let text = format!("{TRACKERS}  - {{type: store, name: report}}\nprecedence: {{tracker: [mlflow]}}");
    let error = registry().resolve_on(&yaml(&text), Machine::default()).unwrap_err();
    let missing = error.diagnostics().iter().find(|d| d.is_error()).unwrap();
    assert_eq!(missing.code, Code::MissingRequirement);
    assert_eq!(missing.related[1].message, "`comet` is left out for `tracker/mlflow`");
    assert!(missing.help[0].contains("put `comet` first in `precedence.tracker`"), "{missing:?}");
    // Who wins meets what is required of the type.
    let text = format!("{TRACKERS}  - {{type: store, name: feed}}\nprecedence: {{tracker: [mlflow]}}");
    let plan = plan(&text);
    assert_eq!(labels(&plan), ["tracker/mlflow", "store/feed"]);
    assert_eq!(plan.steps()[1].requires, [0]);
}

#[test]
fn the_settings_of_somebody_left_out_do_not_matter() {
    let text = "plugins: [{type: tracker, name: mlflow}, {type: tracker, name: comet, config: {size: 99, token: \"${vault:x}\"}}]\n";
    assert_eq!(labels(&plan(&format!("{text}precedence: {{tracker: [mlflow]}}"))), ["tracker/mlflow"]);
    assert_eq!(refused(&format!("{text}precedence: {{tracker: [comet]}}")).len(), 2);
}

#[test]
fn unknown_names_in_a_precedence_are_refused_where_they_stand() {
    let of = |precedence: &str| refused(&format!("{TRACKERS}precedence: {precedence}"));
    let twice = Code::Cardinality;
    let without = |found: Vec<(Code, u32, u32, String)>| found.into_iter().filter(|f| f.0 != twice).collect::<Vec<_>>();
    assert_eq!(without(of("{traker: [mlflow]}")), [(Code::UnknownPreference, 5, 14, "precedence.traker".to_owned())]);
    assert_eq!(
        without(of("{tracker: [mlflow, cmet]}")),
        [(Code::UnknownPreference, 5, 32, "precedence.tracker[1]".to_owned())]
    );
    assert_eq!(without(of("{tracker: [mlflow, postgres]}")).len(), 1, "it is of another type");
    assert_eq!(without(of("{compute_backend: [x]}"))[0].0, Code::UnknownPreference);
    assert_eq!(without(of("3"))[0].0, Code::WrongType);
    assert_eq!(without(of("{tracker: mlflow}"))[0].0, Code::WrongType);
    assert_eq!(without(of("{tracker: [3]}"))[0].3, "precedence.tracker[0]");
    let error = registry().resolve(&yaml(&format!("{TRACKERS}precedence: {{tracker: [cmet]}}"))).unwrap_err();
    let unknown = error.diagnostics().iter().find(|d| d.code == Code::UnknownPreference).unwrap();
    assert_eq!(unknown.help, ["did you mean `comet`?", "the plugins of type `tracker` are `comet`, `mlflow`, `wandb`"]);
}

// ------------------------------------------------------------------------------------------------ how it is shown

const STACK: &str = "name: shop
plugins:
  - {type: store, name: page, on_failure: continue, start_timeout: 90s}
  - {type: store, name: feed, config: {token: \"${vault:feed:-none}\"}}
  - {type: store, name: postgres, id: orders}
  - {type: tracker, name: mlflow}
  - {type: tracker, name: wandb}
  - {type: security, name: vault}
precedence: {tracker: [mlflow]}
";

#[test]
fn a_plan_is_a_list() {
    let version = env!("CARGO_PKG_VERSION");
    let expected = "  1. security/vault (vault V)
  2. store/orders (postgres V)
  3. tracker/mlflow (mlflow V)
  4. store/feed (feed V) after security/vault, tracker/mlflow with store/orders
  5. store/page (page V) after tracker/mlflow, store/feed
     tracker/wandb is left out: tracker/mlflow is preferred
";
    assert_eq!(plan(STACK).to_string(), expected.replace(" V", &format!(" {version}")));
}

#[test]
fn a_plan_is_a_tree() {
    let version = env!("CARGO_PKG_VERSION");
    let expected = "store/orders (postgres V)
store/page (page V)
├── tracker/mlflow (mlflow V)
└── store/feed (feed V)
    ├── security/vault (vault V)
    ├── tracker/mlflow (mlflow V) (*)
    └── store/orders (postgres V) (optional)
";
    assert_eq!(plan(STACK).to_tree(), expected.replace(" V", &format!(" {version}")));
}

#[test]
fn a_plan_is_a_diagram() {
    let version = env!("CARGO_PKG_VERSION");
    let expected = "graph TD
  p0[\"security/vault<br/>vault V\"]
  p1[\"store/orders<br/>postgres V\"]
  p2[\"tracker/mlflow<br/>mlflow V\"]
  p3[\"store/feed<br/>feed V\"]
  p4[\"store/page<br/>page V\"]
  p3 --> p0
  p3 --> p2
  p3 -.-> p1
  p4 --> p2
  p4 --> p3
  x0[\"tracker/wandb<br/>left out\"]:::absent
  p2 x--x x0
  x1[\"store/parquet<br/>not in the plan\"]:::absent
  p1 x--x x1
  classDef absent stroke-dasharray:4
";
    assert_eq!(plan(STACK).to_mermaid(), expected.replace(" V", &format!(" {version}")));
}

#[test]
fn no_name_breaks_a_diagram_or_a_line() {
    let id = "\"]; x --> y %% `a` <b>&#35;\n\u{1b}[31m end:::c | {}()[] direction LR — żółw 🦀";
    let composition =
        Composition::builder().plugin_with("store", "small", json!({}), |entry| entry.with_id(id)).build();
    let plan = registry().resolve(&composition).unwrap();
    let diagram = plan.to_mermaid();
    let label = diagram.lines().nth(1).unwrap().strip_prefix("  p0[\"").unwrap().split_once("<br/>").unwrap().0;
    assert_eq!(diagram.lines().count(), 2, "{diagram}");
    assert!(
        label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '/' | '#' | ';'))
            && label.contains("żółw"),
        "{label}"
    );
    for text in [plan.to_string(), plan.to_tree()] {
        assert!(text.lines().count() == 1 && !text.trim_end().contains(char::is_control), "{text:?}");
    }
}

#[test]
fn the_json_of_a_plan_is_complete() {
    let plan = plan(STACK);
    let json = plan.to_json();
    let feed = &json["steps"][3];
    assert_eq!(feed["requires"], json!(["security/vault", "tracker/mlflow"]));
    assert_eq!(feed["optional"], json!(["store/orders"]));
    assert_eq!(
        feed["secrets"],
        json!([{"reference": "${vault:feed}", "resolver": "security/vault", "location": {"file": "<yaml>", "line": 4, "column": 47, "length": 0}}])
    );
    let page = &json["steps"][4];
    assert_eq!((page["on_failure"].as_str(), page["start_timeout"].as_str()), (Some("continue"), Some("90s")));
    assert_eq!((page["stop_timeout"].as_str(), page["path"].as_str()), (Some("30s"), Some("plugins[0]")));
    assert_eq!(page["location"]["line"], 3);
    assert_eq!(page["default"], false);
    assert_eq!(page["config"], json!({"size": 1, "token": null}));
    assert_eq!(json["left_out"][0]["winner"], "tracker/mlflow");
    assert_eq!(json["excluded"], json!([{"type": "store", "name": "parquet", "by": "store/orders"}]));
    assert_eq!(json["resources"], json!({"memory_mib": 0, "cpu_cores": 0, "gpus": 0}));
    assert_eq!(json["warnings"][0]["severity"], "note");
}

#[test]
fn a_plan_made_in_code_has_no_positions() {
    let composition = Composition::builder()
        .plugin_type::<Mlflow>(json!({}))
        .plugin_with("tracker", "comet", json!({}), |entry| {
            entry.on_failure(OnFailure::Continue).timeouts(Duration::from_secs(1), Duration::from_millis(1500))
        })
        .precedence("tracker", ["comet", "mlflow"])
        .build();
    let json = registry().resolve(&composition).unwrap().to_json();
    assert_eq!(json["steps"][0]["stop_timeout"], "1500ms");
    assert_eq!(json["steps"][0]["location"], json!(null));
    assert_eq!(json["left_out"][0]["name"], "mlflow");
}

/// Plugins as the documentation has them, which differ in what they say about themselves.
fn documented() -> Registry {
    let plugin = |kind, name, version, change: fn(&mut PluginMetadata)| {
        let mut metadata = *Small::METADATA;
        (metadata.kind, metadata.name, metadata.version) = (kind, name, version);
        change(&mut metadata);
        let metadata: &PluginMetadata = Box::leak(Box::new(metadata));
        &*Box::leak(Box::new(Registration::new::<Small>().with_metadata(metadata)))
    };
    let tracker = <dyn ExperimentTracker as PluginKind>::INFO;
    Registry::from_registrations([
        plugin(tracker, "mlflow", "1.2.0", |_| {}),
        plugin(tracker, "wandb", "1.0.0", |_| {}),
        plugin(tracker, "comet", "1.0.0", |metadata| metadata.conflicts_with = &["mlflow"]),
        plugin(<dyn Monitoring as PluginKind>::INFO, "prometheus", "1.0.0", |metadata| {
            metadata.capabilities = &["metrics"]
        }),
        plugin(<dyn Security as PluginKind>::INFO, "vault", "2.1.0", |_| {}),
        plugin(<dyn DataSource as PluginKind>::INFO, "postgres", "1.4.2", |_| {}),
        plugin(<dyn MlTrainer as PluginKind>::INFO, "forest", "0.3.0", |metadata| {
            metadata.requires = &[Requirement::Type("data_source")];
            metadata.optional = &[Requirement::Type("experiment_tracker"), Requirement::Capability("metrics")];
        }),
    ])
}

#[test]
fn the_documentation_shows_what_is_printed() {
    let page = include_str!("../../docs/configuration.md");
    let section = page.split_once("## What will run").unwrap().1.split_once("\n## ").unwrap().0;
    let blocks: Vec<&str> = section.split("```").skip(1).step_by(2).collect();
    let block = |nth: usize| blocks[nth].split_once('\n').unwrap().1;
    let plan = documented().resolve_on(&yaml(block(0)), Machine::default()).unwrap();
    assert_eq!(plan.to_string(), block(1));
    assert_eq!(plan.to_tree(), block(2));
    assert_eq!(plan.to_mermaid(), block(3));
}

// ------------------------------------------------------------------------------------------------ the machine

#[test]
fn a_machine_that_is_too_small_is_a_warning() {
    let text =
        "plugins: [{type: store, name: large}, {type: store, name: large, id: again}, {type: store, name: small}]";
    let on = |memory, cores, gpus| {
        let machine = Machine { memory_mib: memory, cpu_cores: cores, gpus };
        let plan = registry().resolve_on(&yaml(text), machine).unwrap();
        assert_eq!(plan.resources(), Resources { memory_mib: 4608, cpu_cores: 4, gpus: 2 });
        assert!(plan.warnings().iter().all(|w| w.code == Code::NotEnoughResources && w.severity == Severity::Warning));
        plan.warnings().to_vec()
    };
    assert_eq!(on(None, None, None), []);
    assert_eq!(on(Some(4608), Some(4), Some(2)), []);
    let found = on(Some(4607), Some(1), Some(0));
    assert_eq!(found[0].message, "the plugins need 4608 MiB of memory together, and there are 4607");
    assert_eq!(found[1].message, "the plugins need 4 processor cores together, and there are 1");
    assert_eq!(found[2].message, "the plugins need 2 graphics processors together, and there are 0");
    let needs: Vec<_> = found[0].related.iter().map(|related| related.message.as_str()).collect();
    assert_eq!(needs, ["`again` needs 2048", "`large` needs 2048", "`small` needs 512"]);
}

// ------------------------------------------------------------------------------------------------ what could be added

fn recommended(text: &str) -> Vec<(&'static str, Vec<String>)> {
    let found = registry().recommend(&yaml(text));
    found.iter().map(|r| (r.registration.metadata().name, r.reasons.iter().map(Reason::to_string).collect())).collect()
}

#[test]
fn related_plugins_are_recommended_the_strongest_reasons_first() {
    let found = recommended("plugins: [{type: store, name: feed}]");
    let requirement = "meets a requirement of store/feed: a plugin of type `tracker`".to_owned();
    let optional = "meets an optional requirement of store/feed: a plugin with the capability `rows`".to_owned();
    assert_eq!(
        found,
        [
            (
                "mlflow",
                vec![
                    requirement.clone(),
                    "works together with store/feed".into(),
                    "provides the capability `charts`".into()
                ]
            ),
            ("wandb", vec![requirement.clone(), "provides the capability `alerts`".into()]),
            ("comet", vec![requirement]),
            ("postgres", vec![optional, "provides the capability `rows`".into()]),
        ]
    );
    let registry = registry();
    let found = registry.recommend(&yaml("plugins: [{type: store, name: feed}]"));
    let text = found[3].to_string();
    assert!(text.starts_with("store/postgres ") && text.lines().count() == 3, "{text}");
}

#[test]
fn what_could_not_be_added_is_not_recommended() {
    // A tracker runs already, and what is disabled was decided.
    let text = "plugins: [{type: store, name: feed}, {type: tracker, name: comet}, {type: store, name: postgres, enabled: false}]";
    assert_eq!(recommended(text), []);
    // Beside a default there is room for named extras, if they are related.
    let text = "plugins: [{type: store, name: feed}, {type: tracker, name: comet, default: true}]";
    let names: Vec<_> = recommended(text).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["postgres", "mlflow"]);
    let conflict = "plugins: [{type: store, name: feed}, {type: tracker, name: comet, default: true}]\nconflicts: [[postgres, feed]]";
    let names: Vec<_> = recommended(conflict).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["mlflow"]);
}

#[test]
fn a_recommendation_says_what_it_requires_in_turn() {
    static LINKED: [Registration; 2] = [Registration::new::<Mlflow>(), Registration::new::<Page>()];
    static SHARING: std::sync::LazyLock<Registration> = std::sync::LazyLock::new(|| {
        let mut metadata = *Page::METADATA;
        metadata.name = "sharing";
        metadata.integration_points = &["store"];
        Registration::new::<Page>().with_metadata(Box::leak(Box::new(metadata)))
    });
    let registry = Registry::from_registrations(LINKED.iter().chain([&*SHARING]));
    let found = registry.recommend(&yaml("plugins: [{type: tracker, name: mlflow}]"));
    let sharing = found.iter().find(|r| r.registration.metadata().name == "sharing").unwrap();
    assert_eq!(sharing.missing, [Requirement::Plugin { name: "feed", version: "" }]);
    let shared = Reason::SharesIntegrationPoint { point: "store", with: "tracker/mlflow".to_owned() };
    assert!(sharing.reasons.contains(&shared), "{sharing:?}");
    assert!(sharing.to_string().contains("requires the plugin `feed` in turn"), "{sharing}");
}
