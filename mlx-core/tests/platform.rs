//! From a composition to a running platform and back: what is refused, in which order things start and stop, and
//! what a failure leaves behind.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::{
    composition::OnFailure,
    contract,
    diagnostics::Code,
    platform::PluginState,
    prelude::*,
    registry::{Registration, Registry},
    value::Variables,
};
use std::{
    collections::HashMap,
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

/// Something that can be called.
#[contract(name = "probe", cardinality = "many", capabilities = ["fast", "loud", "quiet"])]
#[async_trait]
pub trait Probe {
    /// The plugin's id, after a while.
    async fn call(&self, wait: Duration) -> Result<String>;
}

/// The one and only.
#[contract(name = "single", cardinality = "one")]
#[async_trait]
pub trait Single {
    /// The plugin's id.
    async fn who(&self) -> Result<String>;
}

/// One for each region.
#[contract(name = "regional", cardinality = "one per region")]
#[async_trait]
pub trait Regional {
    /// The plugin's id.
    async fn who(&self) -> Result<String>;
}

/// How a step of the life cycle goes.
#[derive(PluginConfig, Clone, Copy, Default, PartialEq)]
#[config(rename_all = "snake_case")]
enum Behaviour {
    #[default]
    Well,
    Fail,
    Panic,
    /// Blocks its thread.
    Block,
    /// Never ends.
    Hang,
}

impl Behaviour {
    async fn act(self, doing: &str) -> Result<()> {
        match self {
            Behaviour::Well => Ok(()),
            Behaviour::Fail => Err(Error::unavailable(format!("no {doing} today"))),
            Behaviour::Panic => panic!("{doing} panicked"),
            Behaviour::Block => {
                std::thread::sleep(Duration::from_secs(2));
                Ok(())
            }
            Behaviour::Hang => std::future::pending().await,
        }
    }
}

#[derive(PluginConfig)]
struct Settings {
    /// The test's log.
    #[config(default = "unread")]
    log: String,
    #[config(default)]
    start: Behaviour,
    #[config(default)]
    stop: Behaviour,
    #[config(default)]
    health: Behaviour,
    #[config(default = Duration::ZERO)]
    takes: Duration,
    #[config(default = 1, range(1..=10))]
    size: u32,
    #[config(range(1..=10))]
    dial: Option<Secret<u32>>,
    token: Option<Secret<String>>,
    region: Option<String>,
}

/// A configuration with required settings.
#[derive(PluginConfig)]
struct Strict {
    #[allow(dead_code)]
    host: String,
    #[allow(dead_code)]
    password: Secret<String>,
}

static LOGS: LazyLock<Mutex<HashMap<String, Vec<String>>>> = LazyLock::new(Mutex::default);

fn log(test: &str, line: String) {
    LOGS.lock().unwrap().entry(test.to_owned()).or_default().push(line);
}

fn logged(test: &str) -> Vec<String> {
    LOGS.lock().unwrap().get(test).cloned().unwrap_or_default()
}

struct Actor {
    id: String,
    settings: Settings,
}

impl Actor {
    async fn start(settings: Settings, cx: &InitContext) -> Result<Self> {
        tokio::time::sleep(settings.takes).await;
        settings.start.act("start").await?;
        if let Some(peer) = &settings.region {
            cx.get::<dyn Probe>(peer)?;
        }
        let token = settings.token.as_ref().map_or(String::new(), |token| format!(" with {}", token.expose().len()));
        log(&settings.log, format!("start {}{token}", cx.id()));
        Ok(Actor { id: cx.id().to_owned(), settings })
    }
    async fn stop(&self) -> Result<()> {
        self.settings.stop.act("stop").await?;
        log(&self.settings.log, format!("stop {}", self.id));
        Ok(())
    }
}

macro_rules! actor {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        pub(crate) struct $name(Actor);

        #[async_trait]
        impl Plugin for $name {
            type Config = Settings;
            async fn initialize(config: Settings, cx: &InitContext) -> Result<Self> {
                Actor::start(config, cx).await.map($name)
            }
            async fn execute(&self, cx: &ExecutionContext) -> Result<ComponentResult> {
                self.0.settings.start.act("job").await?;
                match cx.input().as_str() {
                    Some("panic") => panic!("the job panicked"),
                    Some("hang") => std::future::pending().await,
                    Some("call") => {
                        let peer = cx.get::<dyn Probe>("base")?;
                        Ok(ComponentResult::success().output("peer", peer.call(Duration::ZERO).await?))
                    }
                    _ => Ok(ComponentResult::success().metric("size", f64::from(self.0.settings.size))),
                }
            }
            async fn health(&self) -> Result<Health> {
                self.0.settings.health.act("health").await?;
                Ok(Health::healthy())
            }
            async fn shutdown(&self) -> Result<()> {
                self.0.stop().await
            }
        }
    };
    ($(#[$meta:meta])* $name:ident: Probe) => {
        actor!($(#[$meta])* $name);
        #[async_trait]
        impl Probe for $name {
            async fn call(&self, wait: Duration) -> Result<String> {
                tokio::time::sleep(wait).await;
                Ok(self.0.id.clone())
            }
        }
    };
    ($(#[$meta:meta])* $name:ident: Single) => {
        actor!($(#[$meta])* $name);
        #[async_trait]
        impl Single for $name {
            async fn who(&self) -> Result<String> {
                Ok(self.0.id.clone())
            }
        }
    };
}

actor!(#[mlx_plugin(type = Probe, version = "1.4.0", capabilities = ["quiet"])] Base: Probe);
actor!(#[mlx_plugin(type = Probe, requires = ["base@^1.2"])] Middle: Probe);
actor!(#[mlx_plugin(type = Probe, requires = ["middle"])] Top: Probe);
actor!(#[mlx_plugin(type = Probe, requires = ["base@^2"])] Modern: Probe);
actor!(#[mlx_plugin(type = Probe, requires = ["type:single"], optional = ["top"])] NeedsSingle: Probe);
actor!(#[mlx_plugin(type = Probe, requires = ["chicken"])] Egg: Probe);
actor!(#[mlx_plugin(type = Probe, requires = ["egg"])] Chicken: Probe);
actor!(#[mlx_plugin(type = Probe, capabilities = ["loud"], conflicts_with = ["quiet", "databrics"])] Loud: Probe);
actor!(#[mlx_plugin(type = Probe, platforms = ["windows"])] Foreign: Probe);
actor!(#[mlx_plugin(type = Probe, requires = ["bass"])] Misspelt: Probe);
actor!(#[mlx_plugin(type = Single)] Databricks: Single);
actor!(#[mlx_plugin(type = Single)] Outerbounds: Single);

actor!(
    #[mlx_plugin(type = Regional)]
    Site
);
#[async_trait]
impl Regional for Site {
    async fn who(&self) -> Result<String> {
        Ok(self.0.id.clone())
    }
}

/// Needs a host and a password.
#[mlx_plugin(type = Probe)]
struct Guarded;

#[async_trait]
impl Plugin for Guarded {
    type Config = Strict;
    async fn initialize(_: Strict, _: &InitContext) -> Result<Self> {
        Ok(Guarded)
    }
}

#[async_trait]
impl Probe for Guarded {
    async fn call(&self, _: Duration) -> Result<String> {
        Ok("guarded".to_owned())
    }
}

actor!(
    #[mlx_plugin(type = "security", capabilities = ["secrets"])]
    Vault
);

#[async_trait]
impl Security for Vault {
    async fn authenticate(&self, _: Credential) -> Result<Principal> {
        Err(Error::denied("nobody is known"))
    }
    async fn authorize(&self, _: Principal, _: &str, _: &str) -> Result<bool> {
        Ok(false)
    }
    async fn secret(&self, key: &str) -> Result<Secret<String>> {
        match key {
            "known" => Ok("hunter2".into()),
            "dial" => Ok("99".into()),
            _ => Err(Error::not_found(format!("the vault has no `{key}`"))),
        }
    }
}

fn plugins() -> Registry {
    static ALL: [Registration; 15] = [
        Registration::new::<Misspelt>(),
        Registration::new::<Base>(),
        Registration::new::<Middle>(),
        Registration::new::<Top>(),
        Registration::new::<Modern>(),
        Registration::new::<NeedsSingle>(),
        Registration::new::<Egg>(),
        Registration::new::<Chicken>(),
        Registration::new::<Loud>(),
        Registration::new::<Foreign>(),
        Registration::new::<Databricks>(),
        Registration::new::<Outerbounds>(),
        Registration::new::<Guarded>(),
        Registration::new::<Vault>(),
        Registration::new::<Site>(),
    ];
    Registry::from_registrations(&ALL)
}

fn yaml(text: &str) -> Composition {
    Composition::from_yaml(text).unwrap().with_variables(HashMap::from([
        ("PRESENT".to_owned(), "hunter2".to_owned()),
        ("DIAL".to_owned(), "99".to_owned()),
    ]))
}

/// The code, line and column of every finding.
fn places(error: &Error) -> Vec<(Code, u32, u32)> {
    error
        .diagnostics()
        .iter()
        .map(|d| d.location.as_ref().map_or((d.code, 0, 0), |l| (d.code, l.line, l.column)))
        .collect()
}

fn refused(text: &str) -> Vec<(Code, u32, u32)> {
    places(&plugins().resolve(&yaml(text)).unwrap_err())
}

// ------------------------------------------------------------------------------------------------ what is refused

#[tokio::test]
async fn one_report_has_everything_that_is_wrong() {
    let text = "\
name: Everything wrong
plugins:
  - type: single
    name: databrick
  - {type: single, name: databricks}
  - {type: single, name: outerbounds}
  - type: probe
    name: base
    config:
      regoin: eu
      takes: soon
      size: 11
  - {type: probe, name: loud}
  - {type: probe, name: modern}
  - {type: probe, name: top}
  - {type: probe, name: egg}
  - {type: probe, name: chicken}
  - type: probe
    name: guarded
    config:
      host: example.org
  - {type: prob, name: base}
  - {type: compute_backend, name: ray}
  - {type: probe, name: base, enabld: true}
  - type: probe
    name: guarded
    id: second
    config: {host: 5, password: \"${env:ABSENT}\"}
conflicts:
  - [top, egg]
";
    let error = plugins().activate(yaml(text)).await.unwrap_err();
    assert_eq!(
        places(&error),
        [
            (Code::UnknownPlugin, 4, 11),
            (Code::Cardinality, 6, 26),
            (Code::UnknownField, 10, 7),
            (Code::WrongType, 11, 14),
            (Code::OutOfRange, 12, 13),
            (Code::Conflict, 13, 25),
            (Code::ConflictTypo, 13, 25),
            (Code::VersionMismatch, 14, 25),
            (Code::MissingRequirement, 15, 25),
            (Code::Conflict, 16, 25),
            (Code::Cycle, 17, 25),
            (Code::MissingField, 20, 5),
            (Code::UnknownPluginType, 22, 12),
            (Code::PlannedPluginType, 23, 12),
            (Code::DuplicateId, 24, 25),
            (Code::UnknownField, 24, 31),
            (Code::WrongType, 28, 20),
            (Code::MissingVariable, 28, 33),
        ],
        "{error:?}"
    );
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let report = format!("{error:?}");
    for advice in [
        "did you mean `databricks`?",
        "mlx_core::link!",
        "did you mean `region`?",
        "add `{type: probe, name: middle}`",
        "did you mean `probe`?",
        "`chicken` requires `egg` requires `chicken`",
        "mark one `default: true`",
    ] {
        assert!(report.contains(advice), "`{advice}` is not in\n{report}");
    }
}

#[test]
fn each_mistake_is_refused_where_it_stands() {
    for (text, expected) in [
        ("plugins: 3", (Code::WrongType, 1, 10)),
        ("plugins: [{type: probe}]", (Code::MissingField, 1, 11)),
        ("plugin: []", (Code::UnknownField, 1, 1)),
        ("plugins: [{type: probe, name: bse}]", (Code::UnknownPlugin, 1, 31)),
        ("plugins: [{type: probe, name: databricks}]", (Code::UnknownPlugin, 1, 31)),
        ("plugins: [{type: probe, name: foreign}]", (Code::UnsupportedPlatform, 1, 31)),
        ("plugins: [{type: probe, name: base, on_failure: ignore}]", (Code::UnknownVariant, 1, 49)),
        ("plugins: [{type: probe, name: base, start_timeout: 5}]", (Code::WrongType, 1, 52)),
        ("plugins: [{type: probe, name: base, config: {log: \"${env:\"}}]", (Code::BadReference, 1, 51)),
        ("plugins: [{type: probe, name: base, config: {log: \"${vault:x}\"}}]", (Code::BadReference, 1, 51)),
        ("plugins: [{type: probe, name: base, config: {token: \"${vualt:x}\"}}]", (Code::BadReference, 1, 53)),
        ("plugins: [{type: probe, name: base, config: {token: \"[redacted]\"}}]", (Code::RedactedSecret, 1, 53)),
        ("plugins: [{type: probe, name: middle}]", (Code::MissingRequirement, 1, 31)),
        (
            "plugins: [{type: probe, name: base, enabled: false}, {type: probe, name: middle}]",
            (Code::MissingRequirement, 1, 74),
        ),
    ] {
        assert_eq!(refused(text), [expected], "{text}");
    }
}

#[test]
fn a_duplicate_default_and_a_duplicate_key_of_a_type_are_refused() {
    let two =
        "plugins: [{type: single, name: databricks, default: true}, {type: single, name: outerbounds, default: true}]";
    assert_eq!(refused(two), [(Code::DuplicateDefault, 1, 81)]);
    let same_region = "plugins: [{type: regional, name: site, id: a, config: {region: eu}}, {type: regional, name: site, id: b, config: {region: eu}}]";
    assert_eq!(refused(same_region), [(Code::Cardinality, 1, 93)]);
    let regions = "plugins: [{type: regional, name: site, id: a, config: {region: eu}}, {type: regional, name: site, id: b, config: {region: us}}]";
    assert_eq!(plugins().resolve(&yaml(regions)).unwrap().steps().len(), 2);
}

#[test]
fn conflicts_hold_in_both_directions_and_by_capability() {
    for text in [
        "plugins: [{type: probe, name: base}, {type: probe, name: loud}]",
        "plugins: [{type: probe, name: loud}, {type: probe, name: base}]",
    ] {
        let error = plugins().resolve(&yaml(text)).unwrap_err();
        let conflict = error.diagnostics().iter().find(|d| d.code == Code::Conflict).unwrap();
        assert_eq!(conflict.location.as_ref().unwrap().column, 58, "the later one is marked");
        let related = conflict.related.iter().map(|r| r.message.as_str()).collect::<String>();
        assert!(related.contains("`loud` declares a conflict with the capability `quiet`"), "{related}");
        assert!(related.contains("platform.rs"), "it says where: {related}");
    }
    let declared = "plugins: [{type: probe, name: egg, enabled: false}, {type: probe, name: base}, {type: single, name: databricks}]\nconflicts: [[base, databricks, mlflow]]";
    assert_eq!(refused(declared), [(Code::Conflict, 1, 101)]);
}

#[test]
fn a_conflict_with_what_is_not_linked_is_silent_unless_it_is_a_typo() {
    let plan = plugins().resolve(&yaml("plugins: [{type: probe, name: loud}]\nconflicts: [[mlflow, wandb]]")).unwrap();
    let warnings: Vec<_> = plan.warnings().iter().map(|w| (w.code, w.help.clone())).collect();
    assert_eq!(warnings, [(Code::ConflictTypo, vec!["did you mean `databricks`?".to_owned()])]);
}

#[test]
fn what_a_disabled_plugin_lacks_is_no_mistake_yet() {
    for entry in [
        // No settings, no requirements, and no plugin.
        "{type: regional, name: site, enabled: false}",
        "{type: probe, name: top, enabled: false}",
        "{type: probe, name: snowflake, enabled: false}",
        "{type: probe, name: base, enabled: false, config: {log: \"${env:ABSENT}\", token: \"${file:/absent}\"}}",
        "{type: probe, name: base, enabled: false, config: {size: \"${env:DIAL}\", log: \"${of-a-profile}\"}}",
        "{type: probe, name: base, enabled: false, config: {token: \"${vault:of-a-profile}\"}}",
    ] {
        let plan = plugins().resolve(&yaml(&format!("plugins: [{entry}]"))).unwrap();
        assert_eq!((plan.steps().len(), plan.warnings()), (0, &[][..]), "{entry}");
    }
}

#[test]
fn named_extras_beside_a_default_are_accepted() {
    let text = "plugins: [{type: single, name: databricks}, {type: single, name: outerbounds, default: true}]";
    assert_eq!(plugins().resolve(&yaml(text)).unwrap().steps().len(), 2);
}

#[test]
fn the_result_does_not_depend_on_the_order_of_the_file() {
    let entries = [
        "{type: probe, name: top}",
        "{type: probe, name: base}",
        "{type: single, name: databricks}",
        "{type: probe, name: middle}",
        "{type: probe, name: needs-single}",
    ];
    let order = |entries: &[&str]| {
        let plan = plugins().resolve(&yaml(&format!("plugins: [{}]", entries.join(", ")))).unwrap();
        plan.steps().iter().map(|step| step.label()).collect::<Vec<_>>()
    };
    let expected = ["probe/base", "probe/middle", "probe/top", "single/databricks", "probe/needs-single"];
    let mut turned = entries;
    for _ in 0..entries.len() {
        turned.rotate_left(1);
        assert_eq!(order(&turned), expected);
    }
    turned.reverse();
    assert_eq!(order(&turned), expected);
}

// ------------------------------------------------------------------------------------------- at which stage is it said

#[derive(Debug, PartialEq)]
enum Stage {
    Parse,
    Resolve,
    Start,
    Never,
}

/// When a mistake is reported, and as what.
async fn stage(text: &str, profile: Option<&str>) -> (Stage, Option<Code>) {
    let first = |error: Error| error.diagnostics().first().map(|d| d.code);
    let composition = match Composition::from_yaml(text).and_then(|c| match profile {
        Some(name) => c.with_profile(name),
        None => Ok(c),
    }) {
        Ok(composition) => composition.with_variables(HashMap::from([("DIAL".to_owned(), "99".to_owned())])),
        Err(error) => return (Stage::Parse, first(error)),
    };
    let plan = match plugins().resolve(&composition) {
        Ok(plan) => plan,
        Err(error) => return (Stage::Resolve, first(error)),
    };
    match Platform::start(plan).await {
        Ok(platform) => {
            platform.shutdown().await.unwrap();
            (Stage::Never, None)
        }
        Err(error) => (Stage::Start, first(error)),
    }
}

/// The table of the documentation, `docs/configuration.md`.
#[tokio::test]
async fn every_mistake_has_its_stage() {
    let base = |config: &str| format!("plugins: [{{type: probe, name: base, config: {config}}}]");
    let vault = |config: &str, vault: &str| {
        format!(
            "plugins: [{{type: security, name: vault, config: {vault}}}, {{type: probe, name: base, config: {config}}}]"
        )
    };
    let profile = |config: &str| {
        format!(
            "plugins: [{{type: probe, name: base}}]\nprofiles: {{prod: {{plugins: [{{name: base, config: {config}}}]}}}}"
        )
    };
    use Stage::*;
    for (text, profile, expected) in [
        ("plugins: [".to_owned(), None, (Parse, Some(Code::Syntax))),
        ("include: [/absent.yaml]".to_owned(), None, (Parse, Some(Code::Unreadable))),
        ("extends: /absent.xml".to_owned(), None, (Parse, Some(Code::UnknownFormat))),
        (profile("{}"), Some("prd"), (Parse, Some(Code::UnknownProfile))),
        (base("{log: \"${absent}\"}"), None, (Resolve, Some(Code::UnknownVariable))),
        ("variables: {a: \"${a}\"}".to_owned(), None, (Resolve, Some(Code::CircularVariable))),
        (base("{log: \"${env:ABSENT}\"}"), None, (Resolve, Some(Code::MissingVariable))),
        (base("{token: \"${env:ABSENT}\"}"), None, (Resolve, Some(Code::MissingVariable))),
        (base("{log: \"${file:/absent}\"}"), None, (Resolve, Some(Code::MissingFile))),
        (base("{token: \"${file:/absent}\"}"), None, (Resolve, Some(Code::MissingFile))),
        (base("{token: \"${vault:known}\"}"), None, (Resolve, Some(Code::BadReference))),
        (vault("{token: \"${vault:known}\"}", "{}"), None, (Never, None)),
        (vault("{token: \"${vault:unknown}\"}", "{}"), None, (Start, Some(Code::SecretUnavailable))),
        (vault("{token: \"${vault:unknown:-fallback}\"}", "{}"), None, (Never, None)),
        (vault("{token: \"${vault:known}\"}", "{start: fail}"), None, (Start, Some(Code::StartFailed))),
        (base("{dial: 99}"), None, (Resolve, Some(Code::OutOfRange))),
        (base("{dial: \"${env:DIAL}\"}"), None, (Start, Some(Code::OutOfRange))),
        (vault("{dial: \"${vault:dial}\"}", "{}"), None, (Start, Some(Code::OutOfRange))),
        (base("{size: \"${env:DIAL}\"}"), None, (Resolve, Some(Code::OutOfRange))),
        (profile("{size: 99}"), Some("prod"), (Resolve, Some(Code::OutOfRange))),
        (profile("{size: 9}"), Some("prod"), (Never, None)),
        ("precedence: {single: [databrix]}".to_owned(), None, (Resolve, Some(Code::UnknownPreference))),
        (base("{start: fail}"), None, (Start, Some(Code::StartFailed))),
    ] {
        assert_eq!(stage(&text, profile).await, expected, "{text}");
    }
}

#[tokio::test]
async fn a_profile_error_points_into_the_profile() {
    let text = "plugins: [{type: probe, name: base, config: {size: 2}}]\nprofiles:\n  prod:\n    plugins:\n      - name: base\n        config: {size: 99}\n";
    let composition = yaml(text).with_profile("prod").unwrap();
    assert_eq!(places(&plugins().resolve(&composition).unwrap_err()), [(Code::OutOfRange, 6, 24)]);
    let unknown = yaml(&text.replace("- name: base", "- name: bass")).with_profile("prod").unwrap_err();
    assert_eq!(places(&unknown), [(Code::UnknownProfile, 5, 15)]);
}

#[tokio::test]
async fn no_secret_is_in_any_output() {
    const CANARY: &str = "canary-4711";
    struct Canary;
    impl Variables for Canary {
        fn env(&self, _: &str) -> Option<String> {
            Some(CANARY.to_owned())
        }
        fn file(&self, _: &std::path::Path) -> std::io::Result<String> {
            Ok(CANARY.to_owned())
        }
    }
    let mut outputs = Vec::new();
    for config in [
        format!("{{token: {CANARY}, sise: 1}}"),
        format!("{{tokn: {CANARY}}}"),
        format!("{{token: [{CANARY}]}}"),
        format!("{{dial: {CANARY}}}"),
        "{dial: \"${env:X}\"}".to_owned(),
        "{dial: \"${file:x}\", token: \"${env:X}\"}".to_owned(),
        format!("{{token: {CANARY}, start: panic}}"),
        format!("{{token: {CANARY}, start: fail}}"),
        format!("{{token: {CANARY}}}"),
    ] {
        let text = format!("plugins:\n  - {{type: probe, name: base, config: {config}}}");
        let composition = Composition::from_yaml(&text).unwrap().with_variables(Canary);
        outputs.push(format!("{composition:?}"));
        let error = match plugins().resolve(&composition) {
            Ok(plan) => {
                outputs.push(format!("{plan} {plan:?} {}", plan.to_json()));
                match Platform::start(plan).await {
                    Ok(platform) => {
                        outputs.push(format!("{platform:?} {:?} {:?}", platform.health().await, platform.warnings()));
                        platform.shutdown().await.unwrap();
                        continue;
                    }
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        outputs.push(format!("{error} {error:?} {:#?}", error.diagnostics()));
        outputs.extend(error.diagnostics().iter().map(|d| d.to_json().to_string()));
    }
    for output in outputs {
        assert!(!output.contains(CANARY), "{output}");
    }
}

// ------------------------------------------------------------------------------------------------- start and stop

fn stack(log: &str, extra: &str) -> String {
    format!(
        "plugins:\n  - {{type: probe, name: top, config: {{log: {log}}}}}\n  - {{type: probe, name: middle, config: {{log: {log}}}}}\n  - {{type: probe, name: base, config: {{log: {log}}}}}\n{extra}"
    )
}

#[tokio::test]
async fn plugins_start_in_order_and_stop_in_reverse() {
    let platform = plugins().activate(yaml(&stack("order", ""))).await.unwrap();
    assert!(platform.status().iter().all(|status| status.state == PluginState::Running));
    assert!(platform.health().await.status == HealthStatus::Healthy);
    platform.shutdown().await.unwrap();
    platform.shutdown().await.unwrap();
    assert_eq!(logged("order"), ["start base", "start middle", "start top", "stop top", "stop middle", "stop base"]);
    assert!(platform.status().iter().all(|status| status.state == PluginState::Stopped));
}

#[tokio::test]
async fn a_plugin_starts_after_those_it_uses_and_without_those_that_do_not_start() {
    let composition = |log: &str, base: &str| {
        yaml(&format!(
            "plugins:
  - {{type: probe, name: base, on_failure: continue, config: {{log: {log}, {base}}}}}
  - {{type: probe, name: middle, on_failure: continue, config: {{log: {log}}}}}
  - {{type: probe, name: top, on_failure: continue, config: {{log: {log}}}}}
  - {{type: single, name: databricks, config: {{log: {log}}}}}
  - {{type: probe, name: needs-single, config: {{log: {log}}}}}
"
        ))
    };
    let platform = plugins().activate(composition("used", "takes: 200ms")).await.unwrap();
    platform.shutdown().await.unwrap();
    let expected = ["databricks", "base", "middle", "top", "needs-single"];
    let (starts, stops) = (expected.map(|id| format!("start {id}")), expected.map(|id| format!("stop {id}")));
    assert_eq!(logged("used"), [starts.as_slice(), stops.into_iter().rev().collect::<Vec<_>>().as_slice()].concat());

    // `top` is given up with what it requires.
    let platform = plugins().activate(composition("unused", "start: fail")).await.unwrap();
    platform.shutdown().await.unwrap();
    assert_eq!(logged("unused"), ["start databricks", "start needs-single", "stop needs-single", "stop databricks"]);
}

#[tokio::test]
async fn independent_plugins_start_at_the_same_time() {
    let mut text = String::from("plugins:\n");
    for id in 0..8 {
        text.push_str(&format!("  - {{type: probe, name: base, id: b{id}, config: {{takes: 200ms}}}}\n"));
    }
    let began = Instant::now();
    let platform = plugins().activate(yaml(&text)).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(800), "one after another they take 1.6 s");
    platform.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_undoes_everything_in_reverse() {
    for (behaviour, code, kind) in [
        ("fail", Code::StartFailed, ErrorKind::Unavailable),
        ("panic", Code::Panicked, ErrorKind::Internal),
        ("hang", Code::DeadlineExceeded, ErrorKind::Timeout),
        ("block", Code::DeadlineExceeded, ErrorKind::Timeout),
    ] {
        let log = format!("undo-{behaviour}");
        // Printing a panic with its backtrace can take a while.
        let deadline = if code == Code::DeadlineExceeded { "100ms" } else { "30s" };
        let text = format!(
            "plugins:\n  - {{type: probe, name: base, config: {{log: {log}}}}}\n  - {{type: probe, name: middle, config: {{log: {log}}}}}\n  - type: probe\n    name: top\n    start_timeout: {deadline}\n    config: {{log: {log}, start: {behaviour}}}\n"
        );
        let began = Instant::now();
        let error = plugins().activate(yaml(&text)).await.unwrap_err();
        if code == Code::DeadlineExceeded {
            assert!(began.elapsed() < Duration::from_millis(1500), "{behaviour}: the deadline holds");
        }
        assert_eq!(places(&error), [(code, 5, 11)], "{behaviour}: {error:?}");
        assert_eq!(error.kind(), kind, "{behaviour}");
        assert!(error.to_string().contains("`top`"), "{error}");
        assert_eq!(logged(&log), ["start base", "start middle", "stop middle", "stop base"], "{behaviour}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_gets_ready_too_late_is_stopped() {
    let text = "plugins: [{type: probe, name: base, start_timeout: 100ms, config: {log: late, start: block}}]";
    plugins().activate(yaml(text)).await.unwrap_err();
    wait_for("late", 2).await;
    assert_eq!(logged("late"), ["start base", "stop base"]);
}

/// Waits until the log has so many lines, or for five seconds.
async fn wait_for(log: &str, lines: usize) {
    let patience = Instant::now();
    while logged(log).len() < lines && patience.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_start_that_blocks_does_not_block_the_only_thread() {
    let text = "plugins: [{type: probe, name: base, start_timeout: 100ms, config: {log: only-thread, start: block}}]";
    let began = Instant::now();
    let error = plugins().activate(yaml(text)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_millis(1500));
    assert_eq!(places(&error), [(Code::DeadlineExceeded, 1, 31)]);
    wait_for("only-thread", 2).await;
}

#[tokio::test]
async fn a_failed_undo_does_not_hide_the_first_cause() {
    let text = "plugins:\n  - {type: probe, name: base, config: {log: masked, stop: fail}}\n  - {type: probe, name: middle, config: {log: masked, start: fail}}\n";
    let error = plugins().activate(yaml(text)).await.unwrap_err();
    let codes: Vec<Code> = error.diagnostics().iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::StartFailed, Code::StopFailed]);
    assert!(error.to_string().contains("no start today"), "{error}");
}

#[tokio::test]
async fn a_platform_can_do_without_a_plugin_that_may_fail() {
    let text = "plugins:\n  - {type: probe, name: base, on_failure: continue, config: {log: without, start: fail}}\n  - {type: probe, name: middle, on_failure: continue, config: {log: without}}\n  - {type: single, name: databricks, config: {log: without}}\n";
    let platform = plugins().activate(yaml(text)).await.unwrap();
    let states: Vec<_> = platform.status().into_iter().map(|status| (status.id, status.state)).collect();
    assert_eq!(
        states,
        [
            ("base".to_owned(), PluginState::Failed),
            ("middle".to_owned(), PluginState::Failed),
            ("databricks".to_owned(), PluginState::Running)
        ]
    );
    assert_eq!(platform.warnings().len(), 2);
    assert_eq!(platform.health().await.status, HealthStatus::Unhealthy);
    let call = platform.get::<dyn Probe>("base").unwrap().call(Duration::ZERO).await;
    assert_eq!(call.unwrap_err().kind(), ErrorKind::Stopped);
    platform.shutdown().await.unwrap();
    assert_eq!(logged("without"), ["start databricks", "stop databricks"]);
}

#[tokio::test]
async fn a_needed_plugin_does_not_start_without_what_it_requires() {
    let text = "plugins:\n  - {type: probe, name: base, on_failure: continue, config: {start: fail}}\n  - {type: probe, name: middle}\n";
    let error = plugins().activate(yaml(text)).await.unwrap_err();
    let codes: Vec<Code> = error.diagnostics().iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::StartFailed, Code::DependencyFailed]);
}

#[tokio::test]
async fn a_caller_who_stops_waiting_leaves_nothing_running() {
    let text = "plugins:\n  - {type: probe, name: base, config: {log: dropped}}\n  - {type: probe, name: middle, config: {log: dropped, start: hang}}\n";
    let registry = plugins();
    let start = registry.activate(yaml(text));
    assert!(tokio::time::timeout(Duration::from_millis(150), start).await.is_err());
    wait_for("dropped", 2).await;
    assert_eq!(logged("dropped"), ["start base", "stop base"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stop_is_tried_and_has_a_deadline() {
    for behaviour in ["fail", "panic", "hang", "block"] {
        let log = format!("stop-{behaviour}");
        let text = format!(
            "plugins:\n  - {{type: probe, name: base, config: {{log: {log}}}}}\n  - {{type: probe, name: middle, stop_timeout: 100ms, config: {{log: {log}, stop: {behaviour}}}}}\n"
        );
        let platform = plugins().activate(yaml(&text)).await.unwrap();
        let error = platform.shutdown().await.unwrap_err();
        assert!(error.to_string().contains("`middle`"), "{error}");
        assert!(logged(&log).contains(&"stop base".to_owned()), "{behaviour}: the others are stopped all the same");
    }
}

#[tokio::test]
async fn a_stop_lets_calls_finish_and_cancels_them_at_the_deadline() {
    let text = "plugins: [{type: probe, name: base, stop_timeout: 300ms, config: {log: calls}}]";
    let platform = plugins().activate(yaml(text)).await.unwrap();
    let probe = platform.get::<dyn Probe>("base").unwrap();
    let call = |wait| {
        let probe = probe.clone();
        tokio::spawn(async move { probe.call(Duration::from_millis(wait)).await })
    };
    let (short, long) = (call(100), call(60_000));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let error = platform.shutdown().await.unwrap_err();
    assert_eq!(short.await.unwrap().unwrap(), "base");
    assert_eq!(long.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(error.to_string().contains("1 were cancelled"), "{error}");
    assert_eq!(probe.call(Duration::ZERO).await.unwrap_err().kind(), ErrorKind::Stopped);
    assert_eq!(logged("calls"), ["start base", "stop base"]);
}

#[tokio::test]
async fn a_hundred_calls_in_flight_survive_a_stop() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let platform =
        plugins().activate(yaml("plugins: [{type: probe, name: base, config: {log: hundred}}]")).await.unwrap();
    let probe = platform.get::<dyn Probe>("base").unwrap();
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let probe = probe.clone();
            tokio::spawn(async move {
                CALLS.fetch_add(1, Ordering::SeqCst);
                probe.call(Duration::from_millis(100)).await
            })
        })
        .collect();
    while CALLS.load(Ordering::SeqCst) < 100 {
        tokio::task::yield_now().await;
    }
    platform.shutdown().await.unwrap();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "base");
    }
}

// ----------------------------------------------------------------------------------------------- using a platform

#[tokio::test]
async fn handles_are_found_by_id_by_name_and_as_the_default() {
    let text = "plugins:\n  - {type: probe, name: base, id: first}\n  - {type: probe, name: base, id: second, default: true}\n  - {type: single, name: databricks, id: main}\n";
    let platform = plugins().activate(yaml(text)).await.unwrap();
    assert_eq!(platform.get::<dyn Probe>("first").unwrap().call(Duration::ZERO).await.unwrap(), "first");
    assert_eq!(platform.get_default::<dyn Probe>().unwrap().call(Duration::ZERO).await.unwrap(), "second");
    assert_eq!(platform.get::<dyn Single>("databricks").unwrap().who().await.unwrap(), "main");
    assert_eq!(platform.get_all::<dyn Probe>().unwrap().len(), 2);
    for (error, says) in [
        (platform.get::<dyn Probe>("base").unwrap_err(), "ask for one by its id"),
        (platform.get::<dyn Probe>("frist").unwrap_err(), "did you mean `first`?"),
        (platform.get::<dyn Probe>("main").unwrap_err(), "is a `single`, not a `probe`"),
        (platform.get_default::<dyn Regional>().unwrap_err(), "no plugin of type `regional`"),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains(says), "{error}");
    }
    assert!(Handle::health(&platform.get::<dyn Probe>("first").unwrap()).await.unwrap().is_healthy());
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn jobs_run_contained() {
    let platform = plugins().activate(yaml(&stack("jobs", ""))).await.unwrap();
    let run = |input: &str| platform.execute("top", ExecutionContext::new().with_input(input));
    let done = run("").await.unwrap();
    assert_eq!((done.status, done.metrics["size"]), (ComponentStatus::Success, 1.0));
    assert_eq!(run("call").await.unwrap().outputs["peer"], "base");
    assert_eq!(run("panic").await.unwrap_err().kind(), ErrorKind::Internal);
    let cx = ExecutionContext::new().with_input("hang");
    let token = cx.cancellation().clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        token.cancel();
    });
    assert_eq!(platform.execute("probe/top", cx).await.unwrap_err().kind(), ErrorKind::Cancelled);
    let unknown = platform.execute("tpo", ExecutionContext::new()).await.unwrap_err();
    assert!(unknown.to_string().contains("did you mean `top`?"), "{unknown}");
    platform.shutdown().await.unwrap();
    assert_eq!(run("").await.unwrap_err().kind(), ErrorKind::Stopped);
}

#[tokio::test]
async fn health_is_asked_at_once_and_contained() {
    let text = "plugins:\n  - {type: probe, name: base, id: a, config: {health: fail}}\n  - {type: probe, name: base, id: b, config: {health: panic}}\n  - {type: probe, name: base, id: c}\n";
    let platform = plugins().activate(yaml(text)).await.unwrap();
    let health = platform.health().await;
    let of = |id: &str| health.plugins[&format!("probe/{id}")].status;
    assert_eq!((of("a"), of("b"), of("c")), (HealthStatus::Unhealthy, HealthStatus::Unhealthy, HealthStatus::Healthy));
    assert_eq!(health.status, HealthStatus::Unhealthy);
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_plugin_reaches_only_what_it_declares() {
    let text = |asking: &str, id: &str| {
        format!(
            "plugins: [{{type: probe, name: base}}, {{type: probe, name: middle}}, {{type: probe, name: {asking}, id: asking, config: {{region: {id}}}}}]"
        )
    };
    plugins().run(yaml(&text("middle", "base")), async |_| Ok(())).await.unwrap();
    let error = plugins().run(yaml(&text("top", "base")), async |_| Ok(())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("add `requires = [\"base\"]`"), "{error}");
}

#[tokio::test]
async fn a_platform_is_stopped_also_when_the_work_fails() {
    let registry = plugins();
    let text = "plugins: [{type: probe, name: base, config: {log: work}}]";
    let error = registry.run(yaml(text), async |_| Err::<(), _>(Error::denied("not today"))).await.unwrap_err();
    assert_eq!(error.to_string(), "not today");
    let id =
        registry.run(yaml(text), async |platform| platform.get::<dyn Probe>("base")?.call(Duration::ZERO).await).await;
    assert_eq!(id.unwrap(), "base");
    assert_eq!(logged("work"), ["start base", "stop base", "start base", "stop base"]);
}

#[test]
fn a_misspelt_requirement_is_not_blamed_on_linking_alone() {
    let error = plugins().resolve(&yaml("plugins: [{type: probe, name: misspelt}]")).unwrap_err();
    assert_eq!(error.diagnostics()[0].help[0], "did its author mean `base`?");
}

#[tokio::test]
async fn a_resolver_starts_before_what_needs_its_secrets() {
    let text = "plugins:\n  - {type: probe, name: base, config: {log: vault, token: \"${safe:known}\"}}\n  - {type: security, name: vault, id: safe, config: {log: vault}}\n";
    let platform = plugins().activate(yaml(text)).await.unwrap();
    platform.shutdown().await.unwrap();
    assert_eq!(logged("vault"), ["start safe", "start base with 7", "stop base", "stop safe"]);
}

#[tokio::test]
async fn a_composition_can_be_built_in_code() {
    let composition = Composition::builder()
        .name("built")
        .plugin_type::<Base>(json!({"log": "built"}))
        .plugin_with("probe", "base", json!({"log": "built", "start": "fail"}), |entry| {
            entry.with_id("other").on_failure(OnFailure::Continue)
        })
        .build();
    let platform = plugins().activate(composition).await.unwrap();
    assert_eq!(platform.name(), "built");
    platform.shutdown().await.unwrap();
    assert_eq!(logged("built"), ["start base", "stop base"]);
}

// --------------------------------------------------------------------------------------------------- one plugin alone

#[tokio::test]
async fn one_plugin_can_be_used_without_a_composition() {
    let registry = plugins();
    let probe = registry.create::<dyn Probe>("base", json!({"log": "alone"})).await.unwrap();
    assert_eq!(probe.call(Duration::ZERO).await.unwrap(), "base");
    let handle = probe.handle();
    probe.shutdown().await.unwrap();
    assert_eq!(handle.call(Duration::ZERO).await.unwrap_err().kind(), ErrorKind::Stopped);
    assert_eq!(logged("alone"), ["start base", "stop base"]);
    let config = mlx_core::config::from_json::<Settings>(json!({})).unwrap();
    let typed = registry.create_with::<Base>(config).await.unwrap();
    assert_eq!(typed.call(Duration::ZERO).await.unwrap(), "base");
    typed.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_cannot_run_alone_is_refused() {
    let registry = plugins();
    let error = registry.create::<dyn Probe>("base", json!({"size": 0})).await.unwrap_err();
    assert_eq!(error.diagnostics()[0].path.as_deref(), Some("size"));
    for (error, says) in [
        (
            registry.create::<dyn Probe>("bass", json!({})).await.unwrap_err(),
            "no plugin of type `probe` is named `bass`",
        ),
        (
            registry.create::<dyn Probe>("middle", json!({})).await.unwrap_err(),
            "requires the plugin base in version ^1.2",
        ),
        (registry.create::<dyn Probe>("base", json!({"size": 0})).await.unwrap_err(), "out of range"),
        (
            registry.create::<dyn Probe>("base", json!({"token": "${vault:x}"})).await.unwrap_err(),
            "needs a security plugin",
        ),
        (registry.create::<dyn Probe>("base", json!({"start": "fail"})).await.unwrap_err(), "no start today"),
        (registry.create::<dyn Probe>("base", json!({"start": "panic"})).await.unwrap_err(), "start panicked"),
    ] {
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    fn now<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(future).poll(&mut cx) {
            std::task::Poll::Ready(result) => result,
            std::task::Poll::Pending => Err(Error::internal("it waits")),
        }
    }
    let registry = plugins();
    for error in [
        now(registry.activate(yaml("plugins: []"))).unwrap_err(),
        now(registry.create::<dyn Probe>("base", json!({}))).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("mlx_core::block_on"), "{error}");
    }
}

// -------------------------------------------------------------------------------------------------------- the registry

#[test]
fn a_registry_is_sorted_and_reports_duplicates() {
    static TWICE: [Registration; 2] = [Registration::new::<Base>(), Registration::new::<Base>()];
    assert_eq!(Registry::from_registrations(&TWICE).len(), 1, "an exact twin is the same plugin");
    mod other {
        use super::*;
        actor!(#[mlx_plugin(type = Probe)] Base: Probe);
    }
    static CLASH: [Registration; 2] = [Registration::new::<Base>(), Registration::new::<other::Base>()];
    let registry = Registry::from_registrations(&CLASH);
    let problem = &registry.problems()[0];
    assert_eq!(problem.code, Code::DuplicatePlugin);
    assert!(problem.related.iter().all(|place| place.message.contains("platform.rs:")), "{problem:?}");
    assert_eq!(registry.resolve(&yaml("plugins: []")).unwrap_err().diagnostics()[0].code, Code::DuplicatePlugin);
    let registry = plugins();
    let names: Vec<_> = registry.iter().map(|r| (r.metadata().kind.name, r.metadata().name)).collect();
    assert!(names.is_sorted());
    assert_eq!(registry.get("probe", "base").unwrap().metadata().version, "1.4.0");
    assert!(registry.get("probe", "databricks").is_none());
}

#[test]
fn a_schema_is_the_documentation_of_the_settings() {
    let registry = plugins();
    let schema = registry.schema("probe", "guarded").unwrap();
    assert_eq!(schema.get("required").unwrap(), &json!(["host", "password"]));
    assert_eq!(schema.get("additionalProperties").unwrap(), &json!(false));
    assert_eq!(schema.pointer("/properties/password/writeOnly").unwrap(), &json!(true));
    assert!(registry.schema("probe", "nothing").is_none());
}
