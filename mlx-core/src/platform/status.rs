//! Where each plugin of a platform stands.

use std::time::SystemTime;

/// The state of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PluginState {
    /// Waits for what it requires.
    Pending,
    /// Is being started.
    Starting,
    /// Runs.
    Running,
    /// Does not run and will not: its start failed.
    Failed,
    /// Finishes its calls and gives back what it holds.
    Stopping,
    /// Ended.
    Stopped,
}

impl PluginState {
    /// The state in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            PluginState::Pending => "pending",
            PluginState::Starting => "starting",
            PluginState::Running => "running",
            PluginState::Failed => "failed",
            PluginState::Stopping => "stopping",
            PluginState::Stopped => "stopped",
        }
    }
}

/// The state of a plugin, and since when and why.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PluginStatus {
    /// The id it runs under.
    pub id: String,
    /// Its type.
    pub kind: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its state.
    pub state: PluginState,
    /// When it got there.
    pub since: SystemTime,
    /// Why, for a failure.
    pub cause: Option<String>,
}
