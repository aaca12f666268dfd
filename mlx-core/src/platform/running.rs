//! The plugins of a platform while it runs, shared by the platform and the contexts of its plugins.

use super::{
    status::{Changes, PluginState, PluginStatus, Standing},
    step,
};
use crate::{
    composition::{Plan, Step},
    diagnostics::{Error, Result, listing, nearest},
    handle::{Handle, Instance, Lease, Slot},
    metrics::Meter,
    plugin::{
        ComponentResult, Events, ExecutionContext, KindInfo, Lifecycle, LifecycleFuture, Peers, PluginMetadata,
        StatusReporter,
    },
    resilience::{Counters, Guard, Resilience, ResilienceMetrics},
};
use foldhash::fast::FixedState;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak},
    time::{Instant, SystemTime},
};
use tokio_util::sync::CancellationToken;

/// A platform for as long as it exists, whatever it is made of at the moment.
pub(super) struct Running {
    /// Exchanged as a whole; the lock is held only to take or to set it.
    current: RwLock<Arc<Snapshot>>,
    /// What runs, in the order in which it got to run; it is stopped in the reverse order.
    started: Mutex<Vec<Arc<Member>>>,
    /// Held by the one who changes the platform: starts, replaces or stops plugins. Readers never wait for it.
    pub(super) changes: Arc<tokio::sync::Mutex<()>>,
    /// Cancelled when the platform is shut down.
    pub(super) closing: CancellationToken,
    pub(super) changes_of_status: Arc<Changes>,
    pub(super) events: Events,
    /// Where plugins were that are no longer there, by type and id, as long as somebody holds a handle.
    vacant: Mutex<HashMap<String, Weak<Slot>, FixedState>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Plugins, and what they started, may keep the events.
        self.events.close();
    }
}

/// The plugins of a platform at one moment. Nothing in it changes but where each of them stands.
pub(super) struct Snapshot {
    pub(super) plan: Arc<Plan>,
    /// By position in the plan.
    pub(super) members: Vec<Arc<Member>>,
    /// Where the plugins are found, by position in the plan: each member's own slot, except in the view of plugins
    /// that are being started to take part in a change, which find the successors of what is replaced with them.
    pub(super) slots: Vec<Arc<Slot>>,
    // Both are made when they are first asked for.
    index: Arc<OnceLock<Index>>,
    /// By the addresses of the members.
    positions: OnceLock<HashMap<usize, usize, FixedState>>,
}

/// The place of one plugin in a platform. It stays the same when the plugin in it is replaced.
pub(super) struct Member {
    pub(super) slot: Arc<Slot>,
    standing: Arc<Standing>,
    /// Counts for all instances that have had this place.
    pub(super) meter: Arc<Meter>,
    /// What policies have done, for all of them as well, once there are any.
    counters: OnceLock<Arc<Counters>>,
}

/// The positions of the plugins of each type, sorted by id. The first of several with the same one is found by it.
type Index = HashMap<&'static str, Vec<usize>, FixedState>;

/// Nothing that holds one of these locks can leave it half-changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Member {
    pub(super) fn new(step: &Step, since: SystemTime) -> Self {
        Member::at(step, Arc::new(Slot::new(step.label.clone())), since)
    }

    /// In a slot that has been there before.
    pub(super) fn at(step: &Step, slot: Arc<Slot>, since: SystemTime) -> Self {
        let metadata = step.registration.metadata();
        let meter = Arc::new(Meter::new(slot.shared_name()));
        let standing = Standing::new(PluginStatus::pending(step.id.clone(), metadata.kind.name, metadata.name, since));
        Member { slot, standing: Arc::new(standing), meter, counters: OnceLock::new() }
    }

    /// Puts the policies of a plan between callers and an instance that has this place or is to take it.
    pub(super) fn guard(&self, step: &Step, instance: &Instance) {
        if step.resilience.as_ref().is_none_or(Resilience::is_empty) && !instance.is_guarded() {
            return;
        }
        let (before, reporter) = (self.slot.lease().ok(), StatusReporter::of(instance));
        let same = before.as_ref().is_some_and(|before| std::ptr::eq(&**before, instance));
        let before = before.and_then(|before| Guard::of(&before));
        let report = move |why| {
            if let Some(reporter) = &reporter {
                reporter.circuit(why);
            }
        };
        let counters = self.counters.get_or_init(Arc::default).clone();
        let guard = Guard::new(self.label(), step.resilience.as_ref(), counters, before, same, report);
        instance.set_guard(guard.map(|guard| guard as _));
    }

    /// What policies have done, if there are any.
    pub(super) fn resilience(&self) -> Option<ResilienceMetrics> {
        let guard = self.slot.lease().ok().and_then(|lease| Guard::of(&lease));
        let metrics = self.counters.get()?.snapshot(guard.as_deref());
        (guard.is_some() || metrics != ResilienceMetrics::default()).then_some(metrics)
    }

    pub(super) fn status(&self) -> PluginStatus {
        self.standing.status()
    }

    /// The type and the id: `data_source/sqlite`.
    pub(super) fn label(&self) -> &str {
        self.slot.name()
    }
}

impl Running {
    pub(super) fn new(plan: Plan) -> Self {
        let now = SystemTime::now();
        let members = plan.steps.iter().map(|step| Arc::new(Member::new(step, now))).collect();
        Running {
            current: RwLock::new(Arc::new(Snapshot::new(plan, members))),
            started: Mutex::default(),
            changes: Arc::default(),
            closing: CancellationToken::new(),
            changes_of_status: Arc::new(Changes::new()),
            events: Events::new(),
            vacant: Mutex::default(),
        }
    }

    /// What the platform is made of now.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs `publish` and makes the platform be what `next` is, so that nobody sees one without the other.
    pub(super) fn exchange(&self, next: Snapshot, publish: impl FnOnce()) {
        let next = Arc::new(next);
        let before = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            publish();
            std::mem::replace(&mut *current, next.clone())
        };
        for member in next.members.iter().filter(|member| before.position_of(member).is_none()) {
            self.changes_of_status.announce(&member.standing);
        }
    }

    /// Notes where a plugin stands.
    pub(super) fn set_state(&self, member: &Member, state: PluginState, cause: Option<String>) {
        match state {
            PluginState::Running => self.set_serving(member, None),
            state => self.changes_of_status.set(&member.standing, state, cause),
        }
    }

    /// Notes that a plugin runs in the place of another one.
    pub(super) fn set_replaced(&self, member: &Member, by: &Step) {
        self.set_serving(member, Some(by.registration.metadata().name));
    }

    fn set_serving(&self, member: &Member, name: Option<&'static str>) {
        let instance = member.slot.peek();
        let reporter = instance.as_deref().and_then(StatusReporter::of);
        self.changes_of_status.serve(&member.standing, name, reporter.as_ref());
    }

    /// Has a plugin that runs on keep to what a new plan says of it.
    pub(super) fn adjust(&self, member: &Member, step: &Step) {
        let Ok(instance) = member.slot.lease() else { return };
        instance.set_measured(step.measure);
        member.guard(step, &instance);
    }

    /// Notes that a plugin got to run, after those that did before.
    pub(super) fn add_started(&self, member: &Arc<Member>) {
        locked(&self.started).push(member.clone());
    }

    pub(super) fn set_started(&self, members: Vec<Arc<Member>>) {
        *locked(&self.started) = members;
    }

    /// What runs, in the order in which it got to run.
    pub(super) fn started(&self) -> Vec<Arc<Member>> {
        locked(&self.started).clone()
    }

    /// Keeps in mind where a plugin was that is no longer there: handles to it find the next one under its id.
    pub(super) fn vacate(&self, member: &Member) {
        let mut vacant = locked(&self.vacant);
        vacant.retain(|_, slot| slot.strong_count() > 0);
        vacant.insert(member.label().to_owned(), Arc::downgrade(&member.slot));
    }

    /// Where the last plugin with this type and id was, if somebody still has a handle to it.
    pub(super) fn vacant(&self, label: &str) -> Option<Arc<Slot>> {
        locked(&self.vacant).get(label)?.upgrade()
    }

    pub(super) fn statuses(&self) -> Vec<PluginStatus> {
        self.snapshot().statuses()
    }

    /// Takes what runs, the last started first. A second call gets nothing.
    pub(super) fn take_started(&self) -> Vec<Arc<Member>> {
        let mut started = std::mem::take(&mut *locked(&self.started));
        started.reverse();
        started
    }

    pub(super) fn has_started(&self) -> bool {
        !locked(&self.started).is_empty()
    }
}

impl Snapshot {
    /// The plugins of a plan, each in its own place.
    pub(super) fn new(plan: Plan, members: Vec<Arc<Member>>) -> Self {
        let slots = members.iter().map(|member| member.slot.clone()).collect();
        Snapshot { plan: Arc::new(plan), members, slots, index: Arc::default(), positions: OnceLock::new() }
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let steps = &self.plan.steps;
            let mut index = Index::default();
            for (position, step) in steps.iter().enumerate() {
                for kind in step.registration.metadata().kinds() {
                    index.entry(kind.name).or_default().push(position);
                }
            }
            for positions in index.values_mut() {
                positions.sort_by(|a, b| steps[*a].id.cmp(&steps[*b].id));
            }
            index
        })
    }

    /// The position of the plugin that has this id under a type.
    fn position_by_id(&self, kind: &str, id: &str) -> Option<usize> {
        let of_kind = self.index().get(kind)?;
        let id_at = |position: usize| self.plan.steps[position].id.as_str();
        let first = of_kind.partition_point(|position| id_at(*position) < id);
        of_kind.get(first).copied().filter(|position| id_at(*position) == id)
    }

    /// The same plugins, found in other slots.
    pub(super) fn with_slots(&self, slots: Vec<Arc<Slot>>) -> Self {
        let (plan, members, index) = (self.plan.clone(), self.members.clone(), self.index.clone());
        Snapshot { plan, members, slots, index, positions: OnceLock::new() }
    }

    /// Takes the settings that plugins really have from another snapshot, where they have a position there.
    pub(super) fn keep_effective(&mut self, other: &Snapshot, there: impl Fn(usize) -> Option<usize>) {
        for (position, step) in Arc::make_mut(&mut self.plan).steps.iter_mut().enumerate() {
            if let Some(there) = there(position) {
                step.effective.clone_from(&other.plan.steps[there].effective);
            }
        }
    }

    /// The position of the plugin that has this place.
    pub(super) fn position_of(&self, member: &Member) -> Option<usize> {
        let address = |member: &Member| std::ptr::from_ref(member).addr();
        let numbered = || self.members.iter().enumerate();
        let positions = self.positions.get_or_init(|| numbered().map(|(at, member)| (address(member), at)).collect());
        positions.get(&address(member)).copied()
    }

    /// The position of a plugin by its own type and its id.
    pub(super) fn position_by_key(&self, kind: &'static KindInfo, id: &str) -> Option<usize> {
        let position = self.position_by_id(kind.name, id)?;
        (self.plan.steps[position].registration.metadata().kind.id == kind.id).then_some(position)
    }

    pub(super) fn statuses(&self) -> Vec<PluginStatus> {
        self.members.iter().map(|member| member.status()).collect()
    }

    /// The positions of all plugins of a type, in the order of their ids.
    pub(super) fn positions_of(&self, kind: &'static KindInfo) -> &[usize] {
        self.index().get(kind.name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The position of a plugin by id or name, or the default one of the type.
    pub(super) fn position(&self, kind: &'static KindInfo, name: Option<&str>) -> Result<usize> {
        let of_kind = self.positions_of(kind);
        let steps = &self.plan.steps;
        let ids = || of_kind.iter().map(|position| steps[*position].id.as_str());
        let Some(name) = name else {
            let marked: Vec<usize> = of_kind.iter().copied().filter(|position| steps[*position].default).collect();
            return match (marked.as_slice(), of_kind) {
                ([one], _) | ([], [one]) => Ok(*one),
                (_, []) => Err(Error::not_found(format!("the platform has no plugin of type `{}`", kind.name))),
                _ => Err(Error::not_found(format!(
                    "no plugin of type `{}` is the default: mark one of {} with `default: true`, or ask for it by id",
                    kind.name,
                    listing(ids())
                ))),
            };
        };
        if let Some(position) = self.position_by_id(kind.name, name) {
            return Ok(position);
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
        let mut matching = steps.iter().enumerate().filter(|(_, step)| step.id == id || *step.label == *id);
        match (matching.next(), matching.next()) {
            (Some((position, _)), None) => Ok(position),
            (Some((_, first)), Some((_, second))) => {
                Err(Error::not_found(format!("`{id}` is ambiguous: say `{}` or `{}`", first.label, second.label)))
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
        let snapshot = self.snapshot();
        let position = snapshot.position_of_any(id)?;
        let slot = snapshot.slots[position].clone();
        let plugin = Handle::pin(&Handle::<dyn Lifecycle>::new(slot)?)?;
        let cx = cx.with_peers(PlatformPeers::all(self));
        let cancellation = cx.cancellation().clone();
        let began = Instant::now();
        let job = async move { Lease::run(&plugin, plugin.execute(&cx)).await };
        let mut timer = snapshot.members[position].meter.start("execute");
        let result = step::contain(cancellation, timer.around(job)).await;
        timer.stop(result.is_ok());
        let mut result = result.map_err(|error| error.into_error(id, "execute"))?;
        result.duration = began.elapsed();
        Ok(result)
    }
}

/// What contexts hold: weak, because plugins may keep their context, and the platform keeps the plugins.
pub(super) struct PlatformPeers {
    running: Weak<Running>,
    /// What the plugin finds while the change that started it is under way.
    stage: Weak<Snapshot>,
    /// The plugin that may reach only what it declares. Anything else would be there or not by chance: its start
    /// does not wait for it.
    declaring: Option<Declaring>,
}

struct Declaring {
    id: Arc<str>,
    metadata: &'static PluginMetadata,
}

impl PlatformPeers {
    /// For the context of a plugin. As long as `stage` exists, it finds what is there.
    pub(super) fn of(running: &Arc<Running>, stage: Weak<Snapshot>, step: &Step, id: Arc<str>) -> Arc<Self> {
        let declaring = Declaring { id, metadata: step.registration.metadata() };
        Arc::new(PlatformPeers { running: Arc::downgrade(running), stage, declaring: Some(declaring) })
    }

    /// For jobs, which run when everything has been started.
    pub(super) fn all(running: &Arc<Running>) -> Arc<Self> {
        Arc::new(PlatformPeers { running: Arc::downgrade(running), stage: Weak::new(), declaring: None })
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.stage.upgrade().or_else(|| self.running.upgrade().map(|running| running.snapshot()))
    }

    fn may_reach(&self, other: &Step) -> bool {
        self.declaring.as_ref().is_none_or(|declaring| other.may_be_reached_by(declaring.metadata))
    }
}

impl Peers for PlatformPeers {
    fn find(&self, kind: &'static KindInfo, name: Option<&str>) -> Result<Arc<Slot>> {
        let snapshot = self.snapshot().ok_or_else(|| Error::stopped("the platform has ended"))?;
        let position = snapshot.position(kind, name)?;
        let other = &snapshot.plan.steps[position];
        if !self.may_reach(other) {
            let asking = self.declaring.as_ref().map_or("the plugin", |declaring| &*declaring.id);
            let other = other.registration.metadata().name;
            return Err(Error::denied(format!(
                "`{asking}` reaches for `{other}` without declaring it: add `requires = [\"{other}\"]`, \
                 `\"type:{}\"` or `optional = […]` to its `#[mlx_plugin]`, so that it is started before",
                kind.name
            )));
        }
        Ok(snapshot.slots[position].clone())
    }

    fn events(&self) -> Events {
        self.running.upgrade().map_or_else(Events::ended, |running| running.events.clone())
    }

    fn find_all(&self, kind: &'static KindInfo) -> Vec<Arc<Slot>> {
        let Some(snapshot) = self.snapshot() else { return Vec::new() };
        let positions = snapshot.positions_of(kind).iter().copied();
        let reachable = positions.filter(|position| self.may_reach(&snapshot.plan.steps[*position]));
        reachable.map(|position| snapshot.slots[position].clone()).collect()
    }

    fn statuses(&self) -> Vec<PluginStatus> {
        self.snapshot().map_or_else(Vec::new, |snapshot| snapshot.statuses())
    }

    fn available(&self) -> Vec<&'static PluginMetadata> {
        let Some(snapshot) = self.snapshot() else { return Vec::new() };
        snapshot.plan.registry.iter().map(|registration| registration.metadata()).collect()
    }

    fn schema(&self, kind: &str, name: &str) -> Option<serde_json::Value> {
        self.snapshot()?.plan.registry.schema(kind, name).map(|schema| schema.clone().into())
    }

    fn execute<'a>(&'a self, id: &'a str, cx: ExecutionContext) -> LifecycleFuture<'a, ComponentResult> {
        Box::pin(async move {
            let running = self.running.upgrade().ok_or_else(|| Error::stopped("the platform has ended"))?;
            running.execute(id, cx).await
        })
    }
}
