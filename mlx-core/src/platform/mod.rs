//! A running platform.

mod apply;
mod change;
mod difference;
mod executor;
mod health;
mod metrics;
mod running;
#[cfg(all(feature = "signal", any(unix, windows)))]
mod signals;
mod standalone;
mod start;
mod status;
mod step;
mod stop;
mod threads;
mod watch;

pub use apply::Applied;
pub use change::Replacement;
pub use difference::Why;
pub use health::PlatformHealth;
pub use metrics::{Metrics, MetricsExporter};
#[cfg(all(feature = "signal", any(unix, windows)))]
pub use signals::{ShutdownSignal, shutdown_signal};
pub use standalone::Standalone;
pub use status::{PluginState, PluginStatus, StatusChanges, StatusEvent};
pub use watch::{Watch, Watcher};

use crate::{
    composition::{Composition, EffectiveConfig, Plan},
    diagnostics::{Code, Diagnostic, Error, Result},
    handle::Handle,
    pipeline::{Pipeline, PipelineRun},
    plugin::{ComponentResult, Events, ExecutionContext, PluginKind},
    registry::Registry,
};
use running::{PlatformPeers, Running};
use std::{fmt, sync::Arc};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// A running platform: every plugin of a composition, started.
///
/// Call [`shutdown`](Platform::shutdown) at the end: dropping the platform cannot wait for its plugins, and says so on
/// standard error.
pub struct Platform {
    running: Arc<Running>,
}

impl Registry {
    /// Starts a platform: checks the whole composition, then starts its plugins, each after those it requires and
    /// independent ones at the same time. Either all of it runs afterwards, or nothing does: on failure, and when
    /// the returned future is dropped, what was started is stopped again in the reverse order.
    ///
    /// Must be called in a tokio runtime with time enabled.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with everything that is wrong with the composition, before anything
    /// is started; else the kind of the first failure, with what could not be undone after it.
    pub async fn activate(&self, composition: Composition) -> Result<Platform> {
        let plan = self.resolve(&composition)?;
        Platform::start(plan).await
    }
}

impl Registry {
    /// Starts a platform, does some work with it, and stops it again, also when the work fails:
    ///
    /// ```
    /// # use mlx_core::prelude::*;
    /// # fn main() -> Result<()> { mlx_core::block_on(async {
    /// let composition = Composition::from_yaml("plugins: []")?;
    /// let plugins = registry().run(composition, async |platform| Ok(platform.status().len())).await?;
    /// assert_eq!(plugins, 0);
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    /// As [`activate`](Registry::activate); then what the work reported, then what could not be stopped cleanly.
    pub async fn run<T>(&self, composition: Composition, work: impl AsyncFnOnce(&Platform) -> Result<T>) -> Result<T> {
        let platform = self.activate(composition).await?;
        let outcome = work(&platform).await;
        let stopped = platform.shutdown().await;
        let value = outcome?;
        stopped?;
        Ok(value)
    }
}

impl Platform {
    /// Starts a plan that has been resolved before.
    ///
    /// # Errors
    /// As [`Registry::activate`].
    pub async fn start(plan: Plan) -> Result<Platform> {
        Platform::start_cancellable(plan, CancellationToken::new()).await
    }

    /// As [`start`](Platform::start). When it is cancelled, and when the returned future is dropped, it is undone.
    async fn start_cancellable(plan: Plan, cancellation: CancellationToken) -> Result<Platform> {
        step::runtime()?;
        let given_up = cancellation.clone().drop_guard();
        // It goes on when the caller stops waiting, and then leaves nothing behind.
        let (answer, answered) = oneshot::channel();
        step::executor().spawn_trusted(async move {
            let result = start::start(plan, cancellation).await.map(|running| Platform { running });
            if let Err(Ok(unwanted)) = answer.send(result)
                && let Err(error) = unwanted.shutdown().await
            {
                eprintln!("mlx: {error}");
            }
        });
        let result =
            answered.await.unwrap_or_else(|_| Err(Error::internal("the start of the platform was interrupted")));
        given_up.disarm();
        result
    }

    /// The composition's name.
    pub fn name(&self) -> String {
        self.running.snapshot().plan.name().to_owned()
    }

    /// What runs, and in which order it is started. It is what it was when asked for: a change of the platform makes
    /// another one.
    pub fn plan(&self) -> Arc<Plan> {
        self.running.snapshot().plan.clone()
    }

    /// Every setting of every plugin that runs, and where it came from; secrets are redacted.
    pub fn effective_config(&self) -> EffectiveConfig {
        self.plan().effective_config()
    }

    /// A handle to a plugin by id or name: `platform.get::<dyn DataSource>("sqlite")`. It follows hot swaps.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), with what there is.
    pub fn get<C: ?Sized + PluginKind>(&self, name: &str) -> Result<Handle<C>> {
        let snapshot = self.running.snapshot();
        let position = snapshot.position(C::INFO, Some(name))?;
        Handle::new(snapshot.slots[position].clone())
    }

    /// A handle to the type's only plugin, or the one marked `default: true`.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is none, or several and none is marked.
    pub fn get_default<C: ?Sized + PluginKind>(&self) -> Result<Handle<C>> {
        let snapshot = self.running.snapshot();
        let position = snapshot.position(C::INFO, None)?;
        Handle::new(snapshot.slots[position].clone())
    }

    /// Handles to all plugins of a type, in the order of their ids.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if a plugin does not implement its type, which the compiler
    /// rules out.
    pub fn get_all<C: ?Sized + PluginKind>(&self) -> Result<Vec<Handle<C>>> {
        let snapshot = self.running.snapshot();
        let positions = snapshot.positions_of(C::INFO).iter();
        positions.map(|position| Handle::new(snapshot.slots[*position].clone())).collect()
    }

    /// Runs a plugin's own job, in a task of its own: a panic is an error, not the end of the program. It has no
    /// deadline; cancelling the context, or dropping the returned future, ends it, and so does a replacement or a stop of
    /// the plugin that has waited for it in vain. The id may be `type/id` where the id alone is ambiguous.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown id, [`Cancelled`](crate::ErrorKind::Cancelled) when
    /// the context was cancelled, else what the plugin reported.
    pub async fn execute(&self, id: &str, cx: ExecutionContext) -> Result<ComponentResult> {
        self.running.execute(id, cx).await
    }

    /// Runs a pipeline over the plugins of the platform, once it is awaited: see [`PipelineRun`].
    pub fn run(&self, pipeline: &Pipeline) -> PipelineRun {
        PipelineRun::new(pipeline, PlatformPeers::all(&self.running))
    }

    /// Where each plugin stands, in the order of the plan.
    pub fn status(&self) -> Vec<PluginStatus> {
        self.running.statuses()
    }

    /// Where each plugin stands, and then how that changes, until the platform has stopped:
    ///
    /// ```
    /// # use mlx_core::{platform::StatusEvent, prelude::*};
    /// # fn main() -> Result<()> { mlx_core::block_on(async {
    /// # let platform = registry().activate(Composition::from_yaml("plugins: []")?).await?;
    /// let mut changes = platform.status_changes();
    /// # platform.shutdown().await?;
    /// while let Some(event) = changes.next().await {
    ///     match event {
    ///         StatusEvent::Changed(status) => println!("{} is {}", status.label(), status.state),
    ///         StatusEvent::Snapshot { plugins, missed } => println!("{} plugins, {missed} changes missed", plugins.len()),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn status_changes(&self) -> StatusChanges {
        StatusChanges::of(&self.running)
    }

    /// The events that plugins and the program publish to each other, until the platform has stopped.
    pub fn events(&self) -> &Events {
        &self.running.events
    }

    /// Stops everything in the reverse order of the start: lets the calls in flight finish, then shuts each plugin
    /// down, each with its deadline. Goes on after a failure. A second call does nothing. A change that is under way is
    /// undone first, or finished if it has been published.
    ///
    /// # Errors
    /// What could not be stopped cleanly.
    pub async fn shutdown(&self) -> Result<()> {
        step::runtime()?;
        self.running.closing.cancel();
        let running = self.running.clone();
        let stop = async move {
            let _turn = running.changes.lock().await;
            stop::stop_all(&running).await
        };
        standalone::stopped(step::together(stop).await?)
    }

    /// What should be known although it did not stop the platform from starting: warnings of the composition, and
    /// plugins that did not start where the composition allows that.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let snapshot = self.running.snapshot();
        let mut warnings = snapshot.plan.warnings().to_vec();
        for (step, status) in snapshot.plan.steps().iter().zip(snapshot.statuses()) {
            if status.state == PluginState::Failed {
                let cause = status.cause.unwrap_or_default();
                let message = format!("the platform runs without `{}`: {cause}", step.id);
                warnings.push(
                    Diagnostic::warning(Code::StartFailed, message)
                        .at(step.location.as_ref())
                        .in_path(&step.path)
                        .help("mend the cause, or set `enabled: false`"),
                );
            }
        }
        warnings
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        if self.running.has_started() {
            eprintln!(
                "mlx: warning: a platform was dropped without `shutdown().await`; its plugins were not shut down"
            );
        }
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform").field("name", &self.name()).field("status", &self.status()).finish_non_exhaustive()
    }
}
