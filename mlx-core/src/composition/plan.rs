//! A composition that has been checked: what starts, in which order, and why.

use super::{Composition, OnFailure};
use crate::{
    diagnostics::{Diagnostic, Location},
    plugin::PluginMetadata,
    registry::{Registration, Registry},
    value::{Node, Reference, Variables},
};
use std::{fmt, sync::Arc, time::Duration};

/// What a platform is made of, in the order of its start. Made by
/// [`Registry::resolve`](crate::Registry::resolve); nothing has been started yet.
#[derive(Clone)]
pub struct Plan {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) warnings: Vec<Diagnostic>,
    pub(crate) variables: Arc<dyn Variables>,
    /// What it was resolved from: a running platform is changed by resolving again.
    pub(crate) composition: Arc<Composition>,
    pub(crate) registry: Registry,
}

/// One plugin of a [`Plan`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// The id that the plugin runs under, unique among the plugins of its type.
    pub id: String,
    /// The plugin.
    pub registration: &'static Registration,
    /// Its settings, as the user wrote them. They are read again at the start, with the secrets.
    pub config: Node,
    /// All settings, defaults included and secrets redacted; `None` while a secret is still to be looked up.
    pub effective: Option<serde_json::Value>,
    /// Positions in the plan of the plugins that must run before it.
    pub requires: Vec<usize>,
    /// Secrets that another plugin of the plan resolves, and the position of that plugin.
    pub secrets: Vec<Deferred>,
    /// Whether it is the one meant when only its type is asked for.
    pub default: bool,
    /// What happens when it does not start.
    pub on_failure: OnFailure,
    /// How long its start may take.
    pub start_timeout: Duration,
    /// How long its stop may take.
    pub stop_timeout: Duration,
    /// Where it stands in the composition: `plugins[2]`.
    pub path: String,
    /// Where it was written.
    pub location: Option<Location>,
}

/// A secret that a plugin resolves when the plugin that needs it starts.
#[derive(Clone, Debug)]
pub struct Deferred {
    /// What to look up.
    pub reference: Reference,
    /// The position in the plan of the plugin that answers.
    pub resolver: usize,
    /// Where the reference was written.
    pub location: Option<Location>,
}

impl Plan {
    /// The composition's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plugins, each after those it requires.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What does not stop the platform from starting, but should be known.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The composition that it was resolved from.
    pub fn composition(&self) -> &Composition {
        &self.composition
    }

    /// The plan as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name,
            "steps": self.steps.iter().map(|step| serde_json::json!({
                "id": step.id,
                "type": step.registration.metadata().kind.name,
                "name": step.registration.metadata().name,
                "version": step.registration.metadata().version,
                "config": step.effective,
                "requires": step.requires.iter().map(|i| self.steps[*i].label()).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "warnings": self.warnings.iter().map(Diagnostic::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Step {
    /// The type and the id: `data_source/sqlite`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.registration.metadata().kind.name, self.id)
    }

    /// Whether a plugin that says this about itself declares that it requires or uses this one.
    pub(crate) fn may_be_reached_by(&self, other: &PluginMetadata) -> bool {
        let declared = other.requires.iter().chain(other.optional);
        declared.into_iter().any(|requirement| requirement.names(self.registration.metadata()))
    }
}

/// A numbered list in the order of the start.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            let metadata = step.registration.metadata();
            write!(f, "{:>3}. {} ({} {})", number + 1, step.label(), metadata.name, metadata.version)?;
            if !step.requires.is_empty() {
                let after: Vec<String> = step.requires.iter().map(|i| self.steps[*i].label()).collect();
                write!(f, " after {}", after.join(", "))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("name", &self.name).field("steps", &self.steps).finish_non_exhaustive()
    }
}
