//! The plugins of a platform while it runs, shared by the platform and the contexts of its plugins.

use super::{
    start,
    status::{PluginState, PluginStatus},
    step,
};
use crate::{
    composition::Plan,
    diagnostics::{Error, Result, listing, nearest},
    handle::Slot,
    plugin::{ComponentResult, ExecutionContext, KindInfo, LifecycleFuture, Peers},
};
use foldhash::fast::FixedState;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Instant, SystemTime},
};

pub(super) struct Running {
    pub(super) plan: Plan,
    /// By position in the plan.
    pub(super) slots: Vec<Arc<Slot>>,
    /// Positions by type and id, under every type a plugin can be used as.
    by_id: HashMap<(&'static str, String), usize, FixedState>,
    by_kind: HashMap<&'static str, Vec<usize>, FixedState>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    statuses: Vec<PluginStatus>,
    /// Positions in the order in which the plugins got to run; they are stopped in the reverse order.
    started: Vec<usize>,
}

impl Running {
    pub(super) fn new(plan: Plan) -> Self {
        let now = SystemTime::now();
        let mut by_id = HashMap::default();
        let mut by_kind: HashMap<&'static str, Vec<usize>, FixedState> = HashMap::default();
        let mut statuses = Vec::with_capacity(plan.steps.len());
        let mut slots = Vec::with_capacity(plan.steps.len());
        for (position, step) in plan.steps.iter().enumerate() {
            let metadata = step.registration.metadata();
            for kind in metadata.kinds() {
                // Its own type comes first: a further type does not take the id from a plugin of that type.
                by_id.entry((kind.name, step.id.clone())).or_insert(position);
                by_kind.entry(kind.name).or_default().push(position);
            }
            slots.push(Arc::new(Slot::new(step.label())));
            statuses.push(PluginStatus {
                id: step.id.clone(),
                kind: metadata.kind.name,
                name: metadata.name,
                state: PluginState::Pending,
                since: now,
                cause: None,
            });
        }
        for positions in by_kind.values_mut() {
            positions.sort_by(|a, b| plan.steps[*a].id.cmp(&plan.steps[*b].id));
        }
        Running { plan, slots, by_id, by_kind, state: Mutex::new(State { statuses, started: Vec::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave it half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_state(&self, position: usize, state: PluginState, cause: Option<String>) {
        let mut shared = self.state();
        let status = &mut shared.statuses[position];
        (status.state, status.since, status.cause) = (state, SystemTime::now(), cause);
        if state == PluginState::Running {
            shared.started.push(position);
        }
    }

    pub(super) fn statuses(&self) -> Vec<PluginStatus> {
        self.state().statuses.clone()
    }

    /// Takes what runs, the last started first. A second call gets nothing.
    pub(super) fn take_started(&self) -> Vec<usize> {
        let mut started = std::mem::take(&mut self.state().started);
        started.reverse();
        started
    }

    pub(super) fn has_started(&self) -> bool {
        !self.state().started.is_empty()
    }

    /// The position of a plugin by id or name, or the default one of the type.
    pub(super) fn position(&self, kind: &'static KindInfo, name: Option<&str>) -> Result<usize> {
        let empty = Vec::new();
        let of_kind = self.by_kind.get(kind.name).unwrap_or(&empty);
        let steps = &self.plan.steps;
        let ids = || of_kind.iter().map(|position| steps[*position].id.as_str());
        let Some(name) = name else {
            let marked: Vec<usize> = of_kind.iter().copied().filter(|position| steps[*position].default).collect();
            return match (marked.as_slice(), of_kind.as_slice()) {
                ([one], _) | ([], [one]) => Ok(*one),
                (_, []) => Err(Error::not_found(format!("the platform has no plugin of type `{}`", kind.name))),
                _ => Err(Error::not_found(format!(
                    "no plugin of type `{}` is the default: mark one of {} with `default: true`, or ask for it by id",
                    kind.name,
                    listing(ids())
                ))),
            };
        };
        if let Some(position) = self.by_id.get(&(kind.name, name.to_owned())) {
            return Ok(*position);
        }
        let mut named = of_kind.iter().filter(|position| steps[**position].registration.metadata().name == name);
        match (named.next(), named.next()) {
            (Some(one), None) => Ok(*one),
            (Some(_), Some(_)) => Err(Error::not_found(format!(
                "several plugins of type `{}` are named `{name}`: ask for one by its id, {}",
                kind.name,
                listing(ids())
            ))),
            (None, _) => {
                let mut message = format!("the platform has no plugin of type `{}` named `{name}`", kind.name);
                if let Some(near) = nearest(name, ids()) {
                    message.push_str(&format!("; did you mean `{near}`?"));
                } else if let Some(other) = steps.iter().find(|step| step.id == name) {
                    let metadata = other.registration.metadata();
                    message.push_str(&format!(
                        "; `{name}` ({}) is a `{}`, not a `{}`",
                        metadata.declared, metadata.kind.name, kind.name
                    ));
                } else {
                    let known = if of_kind.is_empty() { "none".to_owned() } else { listing(ids()) };
                    message.push_str(&format!("; of that type it has {known}"));
                }
                Err(Error::not_found(message))
            }
        }
    }

    /// The position of a plugin by id, or by type and id: `sqlite`, `data_source/sqlite`.
    pub(super) fn position_of_any(&self, id: &str) -> Result<usize> {
        let steps = &self.plan.steps;
        let mut matching = steps.iter().enumerate().filter(|(_, step)| step.id == id || step.label() == id);
        match (matching.next(), matching.next()) {
            (Some((position, _)), None) => Ok(position),
            (Some((_, first)), Some((_, second))) => {
                Err(Error::not_found(format!("`{id}` is ambiguous: say `{}` or `{}`", first.label(), second.label())))
            }
            (None, _) => {
                let mut message = format!("the platform has no plugin with the id `{id}`");
                match nearest(id, steps.iter().map(|step| step.id.as_str())) {
                    Some(near) => message.push_str(&format!("; did you mean `{near}`?")),
                    None => {
                        let known = listing(steps.iter().map(|step| step.id.as_str()));
                        message.push_str(&format!("; it has {}", if steps.is_empty() { "none" } else { &known }));
                    }
                }
                Err(Error::not_found(message))
            }
        }
    }
}

impl Running {
    /// Runs a plugin's own job, contained.
    pub(super) async fn execute(self: &Arc<Self>, id: &str, cx: ExecutionContext) -> Result<ComponentResult> {
        step::runtime()?;
        let position = self.position_of_any(id)?;
        let lease = self.slots[position].lease()?;
        let plugin = start::lifecycle(&lease)?;
        let cx = cx.with_peers(PlatformPeers::all(self));
        let cancellation = cx.cancellation().clone();
        let began = Instant::now();
        let job = async move {
            let result = plugin.execute(&cx).await;
            drop(lease);
            result
        };
        let result = step::contain(cancellation, job).await;
        let mut result = result.map_err(|error| error.into_error(id, "execute"))?;
        result.duration = began.elapsed();
        Ok(result)
    }
}

/// What contexts hold: weak, because plugins may keep their context, and the platform keeps the plugins.
pub(super) struct PlatformPeers {
    running: Weak<Running>,
    /// The plugin that may reach only what it declares. Anything else would be there or not by chance: its start
    /// does not wait for it.
    declaring: Option<usize>,
}

impl PlatformPeers {
    /// For a plugin's own context.
    pub(super) fn of(running: &Arc<Running>, position: usize) -> Arc<Self> {
        Arc::new(PlatformPeers { running: Arc::downgrade(running), declaring: Some(position) })
    }

    /// For jobs, which run when everything has been started.
    pub(super) fn all(running: &Arc<Running>) -> Arc<Self> {
        Arc::new(PlatformPeers { running: Arc::downgrade(running), declaring: None })
    }

    fn may_reach(&self, running: &Running, other: usize) -> bool {
        let metadata = |position: usize| running.plan.steps[position].registration.metadata();
        let Some(position) = self.declaring else { return true };
        let declared = metadata(position).requires.iter().chain(metadata(position).optional);
        declared.into_iter().any(|requirement| requirement.names(metadata(other)))
    }
}

impl Peers for PlatformPeers {
    fn find(&self, kind: &'static KindInfo, name: Option<&str>) -> Result<Arc<Slot>> {
        let running = self.running.upgrade().ok_or_else(|| Error::stopped("the platform has ended"))?;
        let position = running.position(kind, name)?;
        if !self.may_reach(&running, position) {
            let asking = self.declaring.map_or("the plugin", |position| &running.plan.steps[position].id);
            let other = running.plan.steps[position].registration.metadata().name;
            return Err(Error::denied(format!(
                "`{asking}` reaches for `{other}` without declaring it: add `requires = [\"{other}\"]`, \
                 `\"type:{}\"` or `optional = […]` to its `#[mlx_plugin]`, so that it is started before",
                kind.name
            )));
        }
        Ok(running.slots[position].clone())
    }

    fn find_all(&self, kind: &'static KindInfo) -> Vec<Arc<Slot>> {
        let Some(running) = self.running.upgrade() else { return Vec::new() };
        let reachable = running.positions_of(kind).iter().filter(|position| self.may_reach(&running, **position));
        reachable.map(|position| running.slots[*position].clone()).collect()
    }

    fn labels(&self) -> Vec<String> {
        self.running
            .upgrade()
            .map_or_else(Vec::new, |running| running.plan.steps.iter().map(|step| step.label()).collect())
    }

    fn execute<'a>(&'a self, id: &'a str, cx: ExecutionContext) -> LifecycleFuture<'a, ComponentResult> {
        Box::pin(async move {
            let running = self.running.upgrade().ok_or_else(|| Error::stopped("the platform has ended"))?;
            running.execute(id, cx).await
        })
    }
}

impl Running {
    /// The positions of all plugins of a type, in the order of their ids.
    pub(super) fn positions_of(&self, kind: &'static KindInfo) -> &[usize] {
        self.by_kind.get(kind.name).map(Vec::as_slice).unwrap_or_default()
    }
}
