//! Which plugins cannot run together: a type takes fewer of them, or somebody declares a conflict.

use super::{
    Excluded, Plan, PluginEntry, Step,
    resolve::{Candidate, Positions, Resolver},
};
use crate::{
    config::REDACTED,
    diagnostics::{Code, Diagnostic, Related, nearest},
    plugin::{Cardinality, PluginMetadata},
    registry::Registration,
    value::Node,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// As many conflicts are reported: beyond that, the list helps nobody.
const REPORTED: usize = 1_000;

/// As many pairs of names are compared to find slips of the pen in conflicts: names that are not linked are usual there,
/// and the courtesy must not cost more than the rest.
const COMPARED: usize = 20_000;

/// The positions of plugins by what they can be meant by.
#[derive(Default)]
pub(super) struct Index<'c> {
    pub(super) names: Positions<'static>,
    pub(super) capabilities: Positions<'static>,
    pub(super) ids: Positions<'c>,
}

impl<'c> Index<'c> {
    fn of(plugins: impl Iterator<Item = (&'c str, &'static PluginMetadata)>) -> Self {
        let mut index = Index::default();
        for (position, (id, metadata)) in plugins.enumerate() {
            index.ids.entry(id).or_default().push(position);
            index.names.entry(metadata.name).or_default().push(position);
            for capability in metadata.capabilities {
                index.capabilities.entry(capability).or_default().push(position);
            }
        }
        index
    }

    /// The positions, sorted, of what a name in `conflicts` means: an id, a name or a capability.
    pub(super) fn matching(&self, name: &str) -> Vec<usize> {
        let lists = [self.ids.get(name), self.names.get(name), self.capabilities.get(name)];
        let mut found: Vec<usize> = lists.into_iter().flatten().flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// What one plugin declares that another one is: its name, or a capability of it. Two of the same plugin are no
/// strangers to each other.
pub(super) fn declared_conflict(a: &'static Registration, b: &'static Registration) -> Option<&'static str> {
    let other = b.metadata();
    let is_meant = |name: &&'static str| other.name == *name || other.capabilities.contains(name);
    a.metadata().conflicts_with.iter().copied().find(is_meant).filter(|_| !std::ptr::eq(a, b))
}

/// The value that makes a plugin one of a kind, for a type that takes one for each, and whether it can be shown.
pub(super) fn distinction(candidate: &Candidate<'_>, setting: &str) -> Option<(String, bool)> {
    let (value, shown) = match &candidate.checked.effective {
        Some(config) => (config.get(setting).cloned(), true),
        // Without defaults where a secret is still to be looked up, and perhaps the secret itself.
        None => (candidate.entry.config.as_map().and_then(|map| map.get(setting)).map(Node::to_json), false),
    };
    // Two secrets look alike and need not be.
    value.filter(|value| !value.is_null() && value != REDACTED).map(|value| (value.to_string(), shown))
}

impl<'c> Resolver<'c> {
    /// Looks the candidates up anew.
    pub(super) fn look_up(&mut self) {
        self.index = Index::of(self.candidates.iter().map(|candidate| (candidate.entry.id(), candidate.metadata())));
    }

    /// No type has more plugins than it accepts.
    pub(super) fn cardinality(&mut self) {
        let mut found = Vec::new();
        for group in self.candidates.chunk_by(|a, b| a.metadata().kind.id == b.metadata().kind.id) {
            let kind = group[0].metadata().kind;
            let defaults: Vec<&Candidate<'_>> = group.iter().filter(|candidate| candidate.entry.default).collect();
            for second in defaults.iter().skip(1) {
                found.push(
                    Diagnostic::error(
                        Code::DuplicateDefault,
                        format!("a second plugin of type `{}` is marked `default: true`", kind.name),
                    )
                    .at(second.entry.location.as_ref())
                    .in_path(&second.entry.path)
                    .related(
                        format!("`{}` is marked already", defaults[0].entry.id()),
                        defaults[0].entry.location.as_ref(),
                    )
                    .help("remove `default: true` from one of them"),
                );
            }
            match kind.cardinality {
                Cardinality::Many => {}
                Cardinality::One if group.len() > 1 && defaults.is_empty() => {
                    let mut members: Vec<&Candidate<'_>> = group.iter().collect();
                    members.sort_by(|a, b| a.entry.location.cmp(&b.entry.location));
                    for extra in &members[1..] {
                        let mut diagnostic = Diagnostic::error(
                                Code::Cardinality,
                                format!("`{}` is another plugin of type `{}`, which takes one", extra.entry.id(), kind.name),
                            )
                            .at(extra.entry.location.as_ref())
                            .in_path(&extra.entry.path)
                            .related(format!("the first is `{}`", members[0].entry.id()), members[0].entry.location.as_ref())
                            .help("remove one, set `enabled: false`, or mark one `default: true` to keep the others as named extras")
                            .help(format!("to say once who runs, add `precedence: {{{}: [{}]}}`", kind.name, members[0].entry.id()));
                        // What a profile changes keeps the type that the composition gave it.
                        let declared = extra.entry.kind.location.as_ref();
                        if let Some(profile) = declared.and_then(|at| at.source.profile()) {
                            diagnostic = diagnostic.help(format!(
                                "the entry of the profile `{profile}` fits none above by type and id, and was added: \
                                 to change `{first}`, give it `id: {first}`",
                                first = members[0].entry.id(),
                            ));
                        }
                        found.push(diagnostic);
                    }
                }
                Cardinality::One => {}
                Cardinality::OnePer(setting) => {
                    let mut seen: HashMap<String, &Candidate<'_>> = HashMap::new();
                    for candidate in group {
                        let Some((value, shown)) = distinction(candidate, setting) else { continue };
                        let Some(first) = seen.get(&value) else {
                            seen.insert(value, candidate);
                            continue;
                        };
                        let which =
                            if shown { format!("the {setting} {value}") } else { format!("the same {setting}") };
                        found.push(
                            Diagnostic::error(
                                Code::Cardinality,
                                format!(
                                    "two plugins of type `{}` have {which}, and it takes one per {setting}",
                                    kind.name
                                ),
                            )
                            .at(candidate.entry.location.as_ref())
                            .in_path(&candidate.entry.path)
                            .related(format!("the first is `{}`", first.entry.id()), first.entry.location.as_ref())
                            .help(format!("give them different values of `{setting}`, or remove one")),
                        );
                    }
                }
            }
        }
        self.found.append(&mut found);
    }

    /// No two plugins exclude each other, by name or by capability, whoever declares it.
    pub(super) fn conflicts(&mut self) {
        let mut pairs: BTreeMap<(usize, usize), Vec<Related>> = BTreeMap::new();
        self.declared_conflicts(&mut pairs);
        self.composed_conflicts(&mut pairs);
        for ((a, b), reasons) in pairs {
            let (mut a, mut b) = (&self.candidates[a], &self.candidates[b]);
            if b.entry.location < a.entry.location {
                (a, b) = (b, a);
            }
            let mut diagnostic = Diagnostic::error(
                Code::Conflict,
                format!("`{}` and `{}` cannot run together", a.entry.id(), b.entry.id()),
            )
            .at(b.entry.location.as_ref())
            .in_path(&b.entry.path)
            .related(format!("`{}` is here", a.entry.id()), a.entry.location.as_ref())
            .help("remove one of them, or set `enabled: false`");
            let mut seen = HashSet::new();
            diagnostic.related.extend(reasons.into_iter().filter(|reason| seen.insert(reason.message.clone())));
            self.found.push(diagnostic);
        }
        self.conflict_typos();
    }

    /// The conflicts that plugins declare.
    fn declared_conflicts(&self, pairs: &mut BTreeMap<(usize, usize), Vec<Related>>) {
        for (position, candidate) in self.candidates.iter().enumerate() {
            let metadata = candidate.metadata();
            for name in metadata.conflicts_with {
                let by_name = self.index.names.get(name).into_iter().flatten();
                let by_capability = self.index.capabilities.get(name).into_iter().flatten();
                for other in by_name.chain(by_capability).copied() {
                    let registration = self.candidates[other].registration;
                    // The plugin itself, under another id, is no stranger to itself.
                    if std::ptr::eq(registration, candidate.registration) {
                        continue;
                    }
                    if pairs.len() == REPORTED {
                        return;
                    }
                    let message = match registration.metadata().name == *name {
                        true => format!("`{}` declares the conflict, {}", metadata.name, metadata.declared),
                        false => format!(
                            "`{}` declares a conflict with the capability `{name}`, {}",
                            metadata.name, metadata.declared
                        ),
                    };
                    let pair = (position.min(other), position.max(other));
                    pairs.entry(pair).or_default().push(Related { message, location: None });
                }
            }
        }
    }

    /// For each group of conflicts of the composition, and each name in it, who is meant.
    pub(super) fn conflict_groups(&self) -> Vec<Vec<Vec<usize>>> {
        let groups = self.composition.conflicts.iter();
        groups.map(|group| group.iter().map(|name| self.index.matching(name)).collect()).collect()
    }

    /// The conflicts that the composition declares.
    fn composed_conflicts(&self, pairs: &mut BTreeMap<(usize, usize), Vec<Related>>) {
        for (group, terms) in self.composition.conflicts.iter().zip(self.conflict_groups()) {
            // Most names of a long list mean nobody here.
            let terms: Vec<(usize, Vec<usize>)> =
                terms.into_iter().enumerate().filter(|(_, meant)| !meant.is_empty()).collect();
            for (nth, (term, first)) in terms.iter().enumerate() {
                for (a, b) in
                    terms[nth + 1..].iter().flat_map(|(_, b)| b).flat_map(|b| first.iter().map(move |a| (a, b)))
                {
                    if a == b {
                        continue;
                    }
                    if pairs.len() == REPORTED {
                        return;
                    }
                    pairs.entry((*a.min(b), *a.max(b))).or_default().push(Related {
                        message: "the composition declares the conflict".to_owned(),
                        location: group[*term].location.clone(),
                    });
                }
            }
        }
    }

    /// A conflict with something that is not linked is fine, unless it looks like a slip of the pen.
    fn conflict_typos(&mut self) {
        let declared = self.candidates.iter().enumerate().flat_map(|(position, candidate)| {
            candidate.metadata().conflicts_with.iter().map(move |name| (*name, Some(position)))
        });
        let written = self.composition.conflicts.iter().flatten().map(|name| (name.as_str(), None));
        let meant: BTreeSet<(&str, Option<usize>)> = declared.chain(written).collect();
        if meant.is_empty() {
            return;
        }
        let mut known: BTreeSet<&str> = self.candidates.iter().map(|candidate| candidate.entry.id()).collect();
        for metadata in self.registry.iter().map(|registration| registration.metadata()) {
            known.insert(metadata.name);
            known.extend(metadata.capabilities);
        }
        let in_file: HashSet<&str> = self.composition.plugins().iter().map(PluginEntry::id).collect();
        let mut looked_for = HashSet::new();
        for (name, declared) in meant {
            if known.contains(name) || in_file.contains(name) || !looked_for.insert(name) {
                continue;
            }
            if looked_for.len() * known.len() > COMPARED {
                break;
            }
            let Some(near) = nearest(name, known.iter().copied()) else { continue };
            let mut warning = Diagnostic::warning(
                Code::ConflictTypo,
                format!("a conflict names `{name}`, which no plugin is called"),
            )
            .help(format!("did you mean `{near}`?"));
            warning = match declared {
                Some(position) => {
                    let candidate = &self.candidates[position];
                    warning.at(candidate.entry.location.as_ref()).related(
                        format!("`{}` declares it, {}", candidate.metadata().name, candidate.metadata().declared),
                        None,
                    )
                }
                None => warning.at(self
                    .composition
                    .conflicts
                    .iter()
                    .flatten()
                    .find(|item| item.as_str() == name)
                    .and_then(|item| item.location.as_ref())),
            };
            self.found.push(warning);
        }
    }
}

impl Plan {
    /// The plugins of the program that are not part of the plan and that a conflict with one that is keeps out: at most
    /// 1,000, sorted by the position of the latter, and by type and name.
    pub fn excluded(&self) -> Vec<Excluded> {
        let known = self.steps.iter().map(|step| step.registration);
        let known: HashSet<*const Registration> =
            known.chain(self.left_out.iter().map(|left_out| left_out.registration)).map(std::ptr::from_ref).collect();
        let metadata = |step: &Step| step.registration.metadata();
        let index = Index::of(self.steps.iter().map(|step| (step.id.as_str(), metadata(step))));
        // Names that are given in a conflict: most plugins have none of them.
        let declared: HashSet<&str> =
            self.steps.iter().flat_map(|step| metadata(step).conflicts_with).copied().collect();
        let groups = &self.composition.conflicts;
        let written: HashSet<&str> = groups.iter().flatten().map(|name| name.as_str()).collect();
        let mut found = Vec::new();
        for registration in self.registry.iter().filter(|it| !known.contains(&std::ptr::from_ref(*it))) {
            let metadata = registration.metadata();
            let is_named = |names: &HashSet<&str>| {
                names.contains(metadata.name) || metadata.capabilities.iter().any(|name| names.contains(name))
            };
            let mut others: Vec<usize> = match is_named(&declared) {
                true => (0..self.steps.len()).collect(),
                false => metadata.conflicts_with.iter().flat_map(|name| index.matching(name)).collect(),
            };
            others.retain(|other| {
                let other = self.steps[*other].registration;
                declared_conflict(registration, other).or_else(|| declared_conflict(other, registration)).is_some()
            });
            for group in groups.iter().filter(|_| is_named(&written)) {
                let is_meant = |name: &str| metadata.name == name || metadata.capabilities.contains(&name);
                for (nth, _) in group.iter().enumerate().filter(|(_, name)| is_meant(name)) {
                    let rest = group.iter().enumerate().filter(|(other, _)| *other != nth);
                    others.extend(rest.flat_map(|(_, name)| index.matching(name)));
                }
            }
            others.sort_unstable();
            others.dedup();
            found.extend(others.into_iter().map(|by| Excluded { registration, by }));
            if found.len() >= REPORTED {
                break;
            }
        }
        found.truncate(REPORTED);
        // The registry is sorted by type and name.
        found.sort_by_key(|excluded| excluded.by);
        found
    }
}
