//! What a new plan changes about a running platform.

use super::running::Snapshot;
use crate::{composition::Step, config::REDACTED, plugin::KindInfo};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Why a plugin was started, replaced or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// The composition has it, and did not have it before.
    Added,
    /// It was part of the platform and did not run.
    NotRunning,
    /// Its settings are others.
    Settings,
    /// It had another id, and is the same otherwise.
    Renamed,
    /// Another plugin takes its id.
    Plugin,
    /// The plugins that it requires or uses are others than before, or another one of them is the default.
    Peers,
    /// It has a secret from a plugin that is replaced.
    Secrets,
    /// Its replacement was asked for.
    Requested,
    /// The composition no longer has it.
    Removed,
}

impl Why {
    /// The reason in a few words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Added => "it is new",
            Why::NotRunning => "it did not run",
            Why::Settings => "its settings changed",
            Why::Renamed => "its id changed",
            Why::Plugin => "another plugin takes its id",
            Why::Peers => "what it requires or uses changed",
            Why::Secrets => "what resolves its secrets is replaced",
            Why::Requested => "it was asked for",
            Why::Removed => "it was removed",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is done to get from what runs to a new plan.
pub(super) struct Difference {
    /// By position in the new plan: what is started, in its own place or in that of the one that runs.
    pub(super) touched: BTreeMap<usize, Why>,
    /// Positions in the new plan of what runs on with other options of the platform, such as its deadlines.
    pub(super) adjusted: Vec<usize>,
    /// Positions in the old plan.
    pub(super) removed: BTreeSet<usize>,
    /// Positions in the old plan of what is added under another id, by position in the new one.
    pub(super) renamed: BTreeMap<usize, usize>,
}

/// What is asked for beyond what the plans say.
#[derive(Default)]
pub(super) struct Wishes {
    /// A plugin that is replaced whether or not it changed, by type and id.
    pub(super) replace: Option<(String, String)>,
    /// Whether references are looked up again.
    pub(super) reread: bool,
}

impl Difference {
    /// `before` gives the old position of each new plugin, `runs` says whether that one runs.
    pub(super) fn between(
        old: &Snapshot,
        new: &Snapshot,
        before: &[Option<usize>],
        runs: impl Fn(usize) -> bool,
        wishes: &Wishes,
    ) -> Self {
        let kept: BTreeSet<usize> = before.iter().copied().flatten().collect();
        let removed: BTreeSet<usize> = (0..old.plan.steps.len()).filter(|position| !kept.contains(position)).collect();
        let mut touched = BTreeMap::new();
        let mut adjusted = Vec::new();
        // Whether anybody can find others than before.
        let mut moved = !removed.is_empty();
        for (position, step) in new.plan.steps.iter().enumerate() {
            let wanted =
                |(kind, id): &(String, String)| *kind == step.registration.metadata().kind.name && *id == step.id;
            let why = match before[position] {
                None => Some(Why::Added),
                Some(before) => {
                    let was = &old.plan.steps[before];
                    if !runs(before) {
                        Some(Why::NotRunning)
                    } else if !std::ptr::eq(was.registration, step.registration) {
                        Some(Why::Plugin)
                    } else if !same_settings(was, step, wishes.reread) {
                        Some(Why::Settings)
                    } else if wishes.replace.as_ref().is_some_and(wanted) {
                        Some(Why::Requested)
                    } else {
                        if was.default != step.default {
                            moved = true;
                        }
                        if options(was) != options(step) {
                            adjusted.push(position);
                        }
                        None
                    }
                }
            };
            moved |= matches!(why, Some(Why::Added | Why::Plugin | Why::NotRunning));
            if let Some(why) = why {
                touched.insert(position, why);
            }
        }
        // In the order of the plan, in which the one who resolves a secret comes before those who need it.
        for (position, step) in new.plan.steps.iter().enumerate() {
            let (false, Some(before)) = (touched.contains_key(&position), before[position]) else { continue };
            if step.secrets.iter().any(|secret| touched.contains_key(&secret.resolver)) {
                touched.insert(position, Why::Secrets);
            } else if moved && peers(old, before) != peers(new, position) {
                touched.insert(position, Why::Peers);
            }
        }
        adjusted.retain(|position| !touched.contains_key(position));
        let mut renamed = BTreeMap::new();
        let mut left = removed.clone();
        for (position, step) in new.plan.steps.iter().enumerate().filter(|(at, _)| before[*at].is_none()) {
            let same = |was: &Step| {
                std::ptr::eq(was.registration, step.registration) && same_settings(was, step, wishes.reread)
            };
            let found = left.iter().copied().find(|was| runs(*was) && same(&old.plan.steps[*was]));
            if let Some(was) = found {
                left.remove(&was);
                renamed.insert(position, was);
                touched.insert(position, Why::Renamed);
            }
        }
        Difference { touched, adjusted, removed, renamed }
    }
}

/// What the platform does with a plugin, and the plugin does not know of.
fn options(step: &Step) -> impl PartialEq {
    let timeouts = (step.start_timeout, step.stop_timeout);
    (step.default, step.on_failure, timeouts, step.retry, step.resilience.clone(), step.measure)
}

/// Whether a plugin would read the same from both. References whose text is the same count as the same, unless they
/// are to be read again; what they stand for may be a secret, so then a doubt counts as a difference.
fn same_settings(old: &Step, new: &Step, reread: bool) -> bool {
    let read_the_same = || match (&old.effective, &new.effective) {
        (Some(old), Some(new)) => old == new && !hides_something(new),
        _ => false,
    };
    match old.config.same_data(&new.config) && old.definitions == new.definitions {
        true if reread && new.config.has_references() => read_the_same(),
        true => true,
        false => read_the_same(),
    }
}

fn hides_something(config: &Value) -> bool {
    match config {
        Value::String(text) => text.contains(REDACTED),
        Value::Array(items) => items.iter().any(hides_something),
        Value::Object(fields) => fields.values().any(hides_something),
        _ => false,
    }
}

/// What a plugin can find of the others: which there are, as what they can be used, and which is the default of each
/// of their types.
#[derive(PartialEq)]
struct Peers {
    found: BTreeMap<String, Vec<&'static str>>,
    defaults: BTreeMap<&'static str, Option<String>>,
}

fn peers(snapshot: &Snapshot, position: usize) -> Peers {
    let mut peers = Peers { found: BTreeMap::new(), defaults: BTreeMap::new() };
    let steps = &snapshot.plan.steps;
    let metadata = steps[position].registration.metadata();
    if metadata.requires.is_empty() && metadata.optional.is_empty() {
        return peers;
    }
    for (_, other) in steps.iter().enumerate().filter(|(other, _)| *other != position) {
        if !other.may_be_reached_by(metadata) {
            continue;
        }
        let kinds: Vec<&'static KindInfo> = other.registration.metadata().kinds().collect();
        for kind in &kinds {
            peers.defaults.entry(kind.name).or_insert_with(|| {
                let default = snapshot.position(kind, None).ok()?;
                Some(steps[default].label())
            });
        }
        peers.found.insert(other.label(), kinds.iter().map(|kind| kind.name).collect());
    }
    peers
}
