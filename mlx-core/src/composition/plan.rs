//! A composition that has been checked: what starts, in which order, and why.

use super::{Composition, OnFailure, start::Options};
use crate::{
    config::ConfigValue,
    diagnostics::{Diagnostic, Location},
    plugin::PluginMetadata,
    registry::{Registration, Registry},
    resilience::{Resilience, Retry},
    value::{Node, Reference, Template, Variables},
};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// What a platform is made of, in the order of its start. Made by
/// [`Registry::resolve`](crate::Registry::resolve); nothing has been started yet.
#[derive(Clone)]
pub struct Plan {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
    pub(super) left_out: Vec<LeftOut>,
    pub(crate) warnings: Vec<Diagnostic>,
    pub(crate) variables: Arc<dyn Variables>,
    /// What it was resolved from: a running platform is changed by resolving again.
    pub(crate) composition: Arc<Composition>,
    pub(crate) registry: Registry,
    pub(crate) options: Options,
}

/// One plugin of a [`Plan`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// The id that the plugin runs under, unique among the plugins of its type.
    pub id: String,
    /// The type and the id, as what it becomes is named.
    pub(crate) label: Arc<str>,
    /// The plugin.
    pub registration: &'static Registration,
    /// Its settings, as the user wrote them. They are read again at the start, with the secrets.
    pub config: Node,
    /// All settings, defaults included and secrets redacted; `None` while a secret is still to be looked up.
    pub effective: Option<serde_json::Value>,
    /// Positions in the plan of the plugins that must run before it.
    pub requires: Vec<usize>,
    /// Positions in the plan of the plugins that it uses and could do without. It starts after them, unless they start
    /// after it for a reason of theirs.
    pub optional: Vec<usize>,
    /// Secrets that another plugin of the plan resolves, and the position of that plugin.
    pub secrets: Vec<Deferred>,
    /// Whether it is the one meant when only its type is asked for.
    pub default: bool,
    /// What happens when it does not start.
    pub on_failure: OnFailure,
    /// How long its start may take, all attempts and the pauses between them included.
    pub start_timeout: Duration,
    /// How long its stop may take.
    pub stop_timeout: Duration,
    /// Whether its start is tried again when the failure may pass.
    pub retry: Option<Retry>,
    /// The policies for calls to it.
    pub resilience: Option<Resilience>,
    /// Whether calls to it are measured.
    pub measure: bool,
    /// Where it stands in the composition: `plugins[2]`.
    pub path: String,
    /// Where it was written.
    pub location: Option<Location>,
    /// The policies as the user wrote them.
    pub(super) policies: Option<Node>,
    /// What the variables of the composition in its settings stand for.
    pub(crate) definitions: BTreeMap<String, Option<Template>>,
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

/// An enabled plugin that does not run because `precedence` prefers another one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeftOut {
    /// The id that it would run under.
    pub id: String,
    /// The plugin.
    pub registration: &'static Registration,
    /// The type and the id of the plugin that is preferred.
    pub winner: String,
    /// The plugin type or capability of which the composition says who is preferred.
    pub of: String,
    /// Where the plugin was written.
    pub location: Option<Location>,
}

/// A plugin of the program that is not part of a plan and could not run beside one that is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Excluded {
    /// The plugin that is not part of the plan.
    pub registration: &'static Registration,
    /// The position in the plan of the one that it conflicts with.
    pub by: usize,
}

impl LeftOut {
    /// The type and the id: `data_source/sqlite`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.registration.metadata().kind.name, self.id)
    }
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

    /// The plugins that are enabled and do not run, because `precedence` prefers others.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// What does not stop the platform from starting, but should be known.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The composition that it was resolved from.
    pub fn composition(&self) -> &Composition {
        &self.composition
    }

    /// The plan as JSON, for machines. Durations are texts, as in a composition; plugins are named by type and id;
    /// secrets appear as references to who resolves them.
    pub fn to_json(&self) -> serde_json::Value {
        let resources = self.resources();
        serde_json::json!({
            "name": self.name,
            "steps": self.steps.iter().map(|step| self.step_to_json(step)).collect::<Vec<_>>(),
            "left_out": self.left_out.iter().map(|left_out| serde_json::json!({
                "id": left_out.id,
                "type": left_out.registration.metadata().kind.name,
                "name": left_out.registration.metadata().name,
                "winner": left_out.winner,
                "precedence": left_out.of,
                "location": left_out.location.as_ref().map(Location::to_json),
            })).collect::<Vec<_>>(),
            "excluded": self.excluded().iter().map(|excluded| serde_json::json!({
                "type": excluded.registration.metadata().kind.name,
                "name": excluded.registration.metadata().name,
                "by": self.steps[excluded.by].label(),
            })).collect::<Vec<_>>(),
            "resources": {
                "memory_mib": resources.memory_mib,
                "cpu_cores": resources.cpu_cores,
                "gpus": resources.gpus,
            },
            "warnings": self.warnings.iter().map(Diagnostic::to_json).collect::<Vec<_>>(),
        })
    }

    fn step_to_json(&self, step: &Step) -> serde_json::Value {
        let metadata = step.registration.metadata();
        let labels = |positions: &[usize]| positions.iter().map(|i| self.steps[*i].label()).collect::<Vec<_>>();
        serde_json::json!({
            "id": step.id,
            "type": metadata.kind.name,
            "name": metadata.name,
            "version": metadata.version,
            "config": step.effective,
            "requires": labels(&step.requires),
            "optional": labels(&step.optional),
            "secrets": step.secrets.iter().map(|deferred| serde_json::json!({
                "reference": deferred.reference.to_string(),
                "resolver": self.steps[deferred.resolver].label(),
                "location": deferred.location.as_ref().map(Location::to_json),
            })).collect::<Vec<_>>(),
            "default": step.default,
            "on_failure": step.on_failure.as_str(),
            "start_timeout": step.start_timeout.write(),
            "stop_timeout": step.stop_timeout.write(),
            "retry": step.retry,
            "resilience": step.resilience,
            "repeated": step.repeated(),
            "measure": step.measure,
            "path": step.path,
            "location": step.location.as_ref().map(Location::to_json),
        })
    }
}

impl Step {
    /// The type and the id: `data_source/sqlite`.
    pub fn label(&self) -> String {
        self.label.to_string()
    }

    /// The methods that [`Resilience::retry`] repeats: those that its contracts declare idempotent.
    pub fn repeated(&self) -> Vec<&'static str> {
        let retried = self.resilience.as_ref().is_some_and(|resilience| resilience.retry.is_some());
        let methods = self.registration.metadata().kinds().flat_map(|kind| kind.methods);
        methods.filter(|method| retried && method.idempotent).map(|method| method.name).collect()
    }

    /// Whether a plugin that says this about itself declares that it requires or uses this one.
    pub(crate) fn may_be_reached_by(&self, other: &PluginMetadata) -> bool {
        let declared = other.requires.iter().chain(other.optional);
        declared.into_iter().any(|requirement| requirement.names(self.registration.metadata()))
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("name", &self.name).field("steps", &self.steps).finish_non_exhaustive()
    }
}
