//! Watching a running platform: status, readiness.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::{
    contract,
    platform::{PluginState, StatusChanges, StatusEvent},
    plugin::{HealthStatus, StatusReporter},
    prelude::*,
};

/// Something that says how it is.
#[contract(name = "patient", cardinality = "many")]
#[async_trait]
pub trait Patient {
    /// Reports: `degraded`, `recovered` or `failed`.
    async fn report(&self, what: &str, cause: &str) -> Result<()>;
}

/// How the plugin's `health` answers.
#[derive(PluginConfig, Clone, Copy, Default, PartialEq)]
#[config(rename_all = "snake_case")]
enum Answer {
    #[default]
    Well,
    Unhealthy,
    Hang,
}

#[derive(PluginConfig)]
struct Settings {
    #[config(default)]
    health: Answer,
    /// Reported while it starts.
    degraded: Option<String>,
    #[config(default = false)]
    fail: bool,
}

/// Reports what it is told to.
#[mlx_plugin(type = Patient)]
struct Ward {
    status: StatusReporter,
    health: Answer,
}

#[async_trait]
impl Plugin for Ward {
    type Config = Settings;
    async fn initialize(config: Settings, cx: &InitContext) -> Result<Self> {
        if let Some(cause) = config.degraded {
            cx.status().degraded(cause);
        }
        if config.fail {
            return Err(Error::denied("not today"));
        }
        Ok(Ward { status: cx.status().clone(), health: config.health })
    }
    async fn health(&self) -> Result<Health> {
        match self.health {
            Answer::Well => Ok(Health::healthy()),
            Answer::Unhealthy => Ok(Health::unhealthy("the database is down")),
            Answer::Hang => std::future::pending().await,
        }
    }
    async fn shutdown(&self) -> Result<()> {
        self.status.degraded("this comes too late to count");
        Ok(())
    }
}

#[async_trait]
impl Patient for Ward {
    async fn report(&self, what: &str, cause: &str) -> Result<()> {
        match what {
            "degraded" => self.status.degraded(cause),
            "failed" => self.status.failed(cause),
            _ => self.status.recovered(),
        }
        Ok(())
    }
}

async fn platform(yaml: &str) -> Platform {
    start(yaml).await.unwrap()
}

async fn start(yaml: &str) -> Result<Platform> {
    registry().activate(Composition::from_yaml(yaml)?).await
}

async fn changed(changes: &mut StatusChanges) -> (String, PluginState, Option<String>) {
    match changes.next().await.unwrap() {
        StatusEvent::Changed(status) => (status.label(), status.state, status.cause),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_plugin_reports_itself_as_degraded_and_recovered() {
    let platform = platform("plugins: [{type: patient, name: ward}]").await;
    let ward = platform.get::<dyn Patient>("ward").unwrap();
    let mut changes = platform.status_changes();
    let StatusEvent::Snapshot { plugins, missed: 0 } = changes.next().await.unwrap() else { panic!() };
    assert_eq!((plugins.len(), plugins[0].state), (1, PluginState::Running));

    ward.report("degraded", "one of three replicas").await.unwrap();
    // Said twice, it is one change; another reason is another.
    ward.report("degraded", "one of three replicas").await.unwrap();
    let since = platform.status()[0].since;
    ward.report("degraded", "two of three replicas").await.unwrap();
    let label = "patient/ward".to_owned();
    let degraded = |cause: &str| (label.clone(), PluginState::Degraded, Some(cause.to_owned()));
    assert_eq!(changed(&mut changes).await, degraded("one of three replicas"));
    assert_eq!(changed(&mut changes).await, degraded("two of three replicas"));
    assert_eq!(platform.status()[0].since, since, "it has been degraded since the first time");

    let health = platform.health().await;
    assert_eq!(health.status, HealthStatus::Degraded);
    assert_eq!(health.plugins["patient/ward"].message, "two of three replicas");
    assert!(health.ready() && health.live());

    ward.report("recovered", "").await.unwrap();
    assert_eq!(changed(&mut changes).await, (label.clone(), PluginState::Running, None));
    assert!(platform.health().await.plugins["patient/ward"].is_healthy());

    platform.shutdown().await.unwrap();
    assert_eq!(changed(&mut changes).await.1, PluginState::Stopping);
    assert_eq!(changed(&mut changes).await, (label, PluginState::Stopped, None));
    assert_eq!(changes.next().await, None);
    assert_eq!(changes.next().await, None);
    let mut after = platform.status_changes();
    assert!(matches!(after.next().await, Some(StatusEvent::Snapshot { missed: 0, .. })));
    assert_eq!(after.next().await, None);
}

#[tokio::test]
async fn what_is_reported_during_the_start_counts_from_the_start() {
    let platform = platform("plugins: [{type: patient, name: ward, config: {degraded: no cache}}]").await;
    let status = &platform.status()[0];
    assert_eq!((status.state, status.cause.as_deref()), (PluginState::Degraded, Some("no cache")));
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn failed_is_the_last_word() {
    let platform = platform("plugins: [{type: patient, name: ward}]").await;
    let ward = platform.get::<dyn Patient>("ward").unwrap();
    ward.report("failed", "the licence ended").await.unwrap();
    ward.report("recovered", "").await.unwrap();
    assert_eq!(platform.status()[0].state, PluginState::Failed);
    let health = platform.health().await;
    assert_eq!(health.plugins["patient/ward"].message, "failed: the licence ended");
    assert_eq!((health.not_ready, health.not_live), (vec!["patient/ward".into()], vec!["patient/ward".into()]));
    platform.shutdown().await.unwrap();
    assert_eq!(platform.status()[0].state, PluginState::Stopped);
}

#[tokio::test]
async fn a_slow_watcher_is_told_what_it_missed_and_where_things_stand() {
    let platform = platform("plugins: [{type: patient, name: ward}]").await;
    let ward = platform.get::<dyn Patient>("ward").unwrap();
    let mut changes = platform.status_changes();
    changes.next().await.unwrap();
    ward.report("degraded", "0").await.unwrap();
    assert_eq!(changed(&mut changes).await.2.as_deref(), Some("0"));
    for round in 1..=1000 {
        ward.report("degraded", &round.to_string()).await.unwrap();
    }
    let StatusEvent::Snapshot { plugins, missed } = changes.next().await.unwrap() else { panic!() };
    assert_eq!((plugins[0].cause.as_deref(), missed), (Some("1000"), 1000));
    ward.report("recovered", "").await.unwrap();
    assert_eq!(changed(&mut changes).await.1, PluginState::Running);
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_changes_end_with_a_platform_that_is_dropped() {
    let platform = platform("plugins: [{type: patient, name: ward}]").await;
    let mut changes = platform.status_changes();
    changes.next().await.unwrap();
    drop(platform);
    assert_eq!(changes.next().await, None);
}

#[tokio::test]
async fn readiness_and_liveness_look_at_what_the_platform_needs() {
    let platform = platform(
        "plugins:
          - {type: patient, name: ward}
          - {type: patient, name: ward, id: down, config: {health: unhealthy}}
          - {type: patient, name: ward, id: luxury, on_failure: continue, config: {fail: true}}",
    )
    .await;
    let health = platform.health().await;
    // Waiting may help, a restart will not; and without the luxury it goes on.
    assert_eq!((health.ready(), health.live()), (false, true));
    assert_eq!(health.not_ready, ["patient/down"]);
    assert_eq!(health.status, HealthStatus::Unhealthy);
    platform.shutdown().await.unwrap();
    let health = platform.health().await;
    assert_eq!((health.ready(), health.live()), (false, true), "a platform that stopped is not killed for it");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_does_not_answer_is_not_live() {
    let platform = platform("plugins: [{type: patient, name: ward, config: {health: hang}}]").await;
    let health = platform.health().await;
    assert_eq!((health.ready(), health.live()), (false, false));
    assert!(health.plugins["patient/ward"].message.contains("within 5s"), "{health:?}");
    platform.shutdown().await.unwrap();
}
