//! The ways to change a running platform; all of them are one: another composition is applied.

use super::{
    Platform,
    apply::{self, Applied, Request, Target},
    difference::Wishes,
    running::Running,
    step,
};
use crate::{
    composition::{Composition, Plan, PluginEntry},
    config::Located,
    diagnostics::{Error, Result},
    value::Node,
};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// What takes the place of a plugin in [`Platform::swap`]: other settings, another plugin of the same type, or both.
///
/// ```
/// # use mlx_core::{json, platform::Replacement};
/// let other_settings = Replacement::settings(json!({"path": "new.db"}));
/// let one_setting = Replacement::merge(json!({"connections": 8}));
/// let other_plugin = Replacement::plugin("postgres").with_settings(json!({"host": "db1"}));
/// let itself_anew = Replacement::same();
/// ```
#[derive(Debug)]
pub struct Replacement {
    plugin: Option<String>,
    settings: Settings,
}

#[derive(Debug)]
enum Settings {
    Kept,
    Merged(Result<Node>),
    Replaced(Result<Node>),
}

impl Replacement {
    /// The same plugin with the same settings, started anew: references such as `${env:…}` are looked up again.
    pub fn same() -> Self {
        Replacement { plugin: None, settings: Settings::Kept }
    }

    /// The same plugin with these settings instead of its own: anything that serialises to JSON. A settings type of a
    /// plugin serialises its secrets as a redaction, which is refused as a value: write those as references.
    pub fn settings(settings: impl Serialize) -> Self {
        Replacement::same().with_settings(settings)
    }

    /// The same plugin with these settings laid over its own, key by key.
    pub fn merge(settings: impl Serialize) -> Self {
        Replacement { plugin: None, settings: Settings::Merged(node(settings)) }
    }

    /// Another plugin of the same type. It has no settings unless it is [given some](Replacement::with_settings): those of
    /// the plugin before it are not its settings.
    pub fn plugin(name: impl Into<String>) -> Self {
        Replacement { plugin: Some(name.into()), settings: Settings::Kept }
    }

    /// Sets all settings.
    #[must_use]
    pub fn with_settings(mut self, settings: impl Serialize) -> Self {
        self.settings = Settings::Replaced(node(settings));
        self
    }

    fn put_into(self, entry: &mut PluginEntry) -> Result<()> {
        if self.plugin.is_none() && matches!(self.settings, Settings::Kept) {
            return Ok(());
        }
        // What is said about it is said about the replacement.
        entry.path = format!("swap({})", entry.id());
        if let Some(name) = self.plugin.filter(|name| *name != *entry.name.value) {
            // The handles to it go by its id.
            entry.id.get_or_insert_with(|| entry.name.clone());
            entry.name = Located::from(name);
            entry.config = Node::empty_map();
        }
        match self.settings {
            Settings::Kept => {}
            Settings::Merged(over) => entry.config.merge(over?),
            Settings::Replaced(node) => entry.config = node?,
        }
        Ok(())
    }
}

fn node(settings: impl Serialize) -> Result<Node> {
    let json = serde_json::to_value(settings)
        .map_err(|error| Error::invalid(format!("the settings cannot be written as JSON: {error}")))?;
    Ok(Node::from(json))
}

impl Platform {
    /// Changes the running platform into what a composition says: all of it, or, if anything of it fails, none of it.
    ///
    /// 1. The composition is resolved; every mistake in it is reported, and nothing has been touched.
    /// 2. It is compared with what runs, by type and id. Touched is what is new, has another plugin or other settings
    ///    under its id, or did not run; what can find other plugins than before through its `requires` and
    ///    `optional`; and what has a secret from a plugin that is replaced. **A plugin that merely holds a handle to
    ///    one that is replaced is not touched: handles follow.** Settings are compared as the plugin would read them;
    ///    a reference such as `${env:NAME}` is the same as long as its text is the same, see
    ///    [`apply_anew`](Platform::apply_anew).
    /// 3. What is new starts beside what runs, each after those it requires, with deadlines, and finds the new
    ///    instances of others that are touched. Each is asked for its health, and an unhealthy one has failed.
    ///    Plugins that say `swap = "handover"` give their successors what exists once. Last, plugins that say `swap =
    ///    "restart"` are stopped and their successors started; calls to these fail in between.
    /// 4. Everything that is new is published at once. Handles and look-ups find it from there on.
    /// 5. What was replaced or removed is drained, then stopped, the last started first. What does not finish within
    ///    its `stop_timeout` is cancelled and counted. A failure here does not undo the change: it is among the
    ///    [`warnings`](Applied::warnings).
    ///
    /// On a failure up to the publication, what was new is stopped again in the reverse order, and what runs has not
    /// noticed anything, except for plugins that had to stop for their successors: these are started again with their
    /// old settings. `on_failure: continue` holds for what is added; a replacement that fails always undoes the
    /// change.
    ///
    /// Changes wait for each other; nothing else waits for them. When the returned future is dropped before the
    /// publication, the change is undone in the background.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with everything that is wrong with the composition;
    /// [`Stopped`](crate::ErrorKind::Stopped) when the platform is or is being shut down; else the kind of the first
    /// failure, with what could not be undone after it.
    pub async fn apply(&self, composition: &Composition) -> Result<Applied> {
        self.apply_composition(composition, Wishes::default()).await
    }

    /// As [`apply`](Platform::apply), and looks references up again: a plugin with a `${…}` in its settings is
    /// replaced when what it stands for has changed, and also where that cannot be known because it is secret. For
    /// rotated secrets and changed variables.
    ///
    /// # Errors
    /// As [`apply`](Platform::apply).
    pub async fn apply_anew(&self, composition: &Composition) -> Result<Applied> {
        self.apply_composition(composition, Wishes { reread: true, ..Wishes::default() }).await
    }

    async fn apply_composition(&self, composition: &Composition, wishes: Wishes) -> Result<Applied> {
        let composition = composition.clone();
        let request = move |_: &Plan| Ok(Target { composition, wishes, removing: None });
        change(&self.running, Box::new(request)).await
    }

    /// Replaces one plugin, in the way of [`apply`](Platform::apply): by itself with other settings, by another
    /// plugin of the same type, or by itself anew. It keeps its id, and handles to it follow. The id may be `type/id`
    /// where the id alone is ambiguous.
    ///
    /// ```no_run
    /// # use mlx_core::{json, Platform, Result, platform::Replacement};
    /// # async fn example(platform: &Platform) -> Result<()> {
    /// let applied = platform.swap("warehouse", Replacement::merge(json!({"connections": 8}))).await?;
    /// assert_eq!(applied.swapped, ["data_source/warehouse"]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`apply`](Platform::apply); [`NotFound`](crate::ErrorKind::NotFound) for an unknown id. A plugin that is
    /// not of the type, or lacks what others require of the one that runs, is refused.
    pub async fn swap(&self, id: &str, replacement: Replacement) -> Result<Applied> {
        let (id, running) = (id.to_owned(), self.running.clone());
        let request = move |plan: &Plan| {
            let (position, mut composition) = (running.snapshot().position_of_any(&id)?, plan.composition().clone());
            let key = replacement.put_into_entry(plan, position, &mut composition)?;
            Ok(Target { composition, wishes: Wishes { replace: Some(key), reread: false }, removing: None })
        };
        change(&self.running, Box::new(request)).await
    }

    /// Starts one more plugin, in the way of [`apply`](Platform::apply): `PluginEntry::of("data_source", "sqlite",
    /// json!({…}))`.
    ///
    /// # Errors
    /// As [`apply`](Platform::apply).
    pub async fn activate(&self, entry: PluginEntry) -> Result<Applied> {
        let request = move |plan: &Plan| {
            let mut composition = plan.composition().clone();
            let path = format!("plugins[{}]", composition.plugins().len());
            composition.plugins_mut().push(PluginEntry { path, ..entry });
            Ok(Target { composition, wishes: Wishes::default(), removing: None })
        };
        change(&self.running, Box::new(request)).await
    }

    /// Stops one plugin and takes it out of the platform, in the way of [`apply`](Platform::apply). Handles to it
    /// answer [`Stopped`](crate::ErrorKind::Stopped). The id may be `type/id` where the id alone is ambiguous.
    ///
    /// # Errors
    /// As [`apply`](Platform::apply); [`NotFound`](crate::ErrorKind::NotFound) for an unknown id, and
    /// [`Invalid`](crate::ErrorKind::Invalid) while others require the plugin, naming them.
    pub async fn deactivate(&self, id: &str) -> Result<Applied> {
        let (id, running) = (id.to_owned(), self.running.clone());
        let request = move |plan: &Plan| {
            let (position, mut composition) = (running.snapshot().position_of_any(&id)?, plan.composition().clone());
            let step = &plan.steps[position];
            let kind = step.registration.metadata().kind.name;
            composition.plugins_mut().retain(|entry| !(entry.enabled && *entry.kind == kind && entry.id() == step.id));
            Ok(Target { composition, wishes: Wishes::default(), removing: Some(position) })
        };
        change(&self.running, Box::new(request)).await
    }
}

impl Replacement {
    /// Changes the plugin's entry, and returns its type and id.
    fn put_into_entry(self, plan: &Plan, position: usize, composition: &mut Composition) -> Result<(String, String)> {
        let step = &plan.steps[position];
        let kind = step.registration.metadata().kind.name;
        let mut entries = composition.plugins_mut().iter_mut();
        let entry = entries.find(|entry| entry.enabled && *entry.kind == kind && entry.id() == step.id);
        let entry =
            entry.ok_or_else(|| Error::internal(format!("`{}` runs and is not in the composition", step.id)))?;
        self.put_into(entry)?;
        Ok((kind.to_owned(), step.id.clone()))
    }
}

/// Changes a platform apart from the caller, so that a caller who stops waiting does not leave a change half done.
pub(super) async fn change(running: &Arc<Running>, request: Request) -> Result<Applied> {
    step::runtime()?;
    let cancellation: CancellationToken = running.closing.child_token();
    let given_up = cancellation.clone().drop_guard();
    let (answer, answered) = oneshot::channel();
    let running = running.clone();
    step::executor().spawn_trusted(async move {
        let result = apply::apply(&running, request, cancellation).await;
        if let Err(Err(error)) = answer.send(result)
            && error.kind() != crate::ErrorKind::Cancelled
        {
            eprintln!("mlx: {error}");
        }
    });
    let result = answered.await.unwrap_or_else(|_| Err(Error::internal("the change was interrupted by a panic")));
    given_up.disarm();
    result
}
