//! Who runs when plugins cannot run together and the composition says who is preferred.

use super::{
    PluginEntry,
    document::Preference,
    exclusion::{declared_conflict, distinction},
    plan::LeftOut,
    resolve::Resolver,
};
use crate::{
    config::Located,
    diagnostics::{Code, Diagnostic, listing, nearest},
    plugin::{Cardinality, KindInfo, PLANNED_TYPES, PluginMetadata},
    registry::Registration,
};
use std::{
    any::TypeId,
    collections::{BTreeSet, HashMap},
};

/// Which plugins a preference is about. Types are decided before capabilities.
#[derive(Clone, Copy)]
enum Scope<'p> {
    Type(&'static KindInfo),
    Capability(&'p str),
}

impl Scope<'_> {
    fn covers(&self, metadata: &PluginMetadata) -> bool {
        match self {
            Scope::Type(kind) => metadata.kind.id == kind.id,
            Scope::Capability(name) => metadata.capabilities.contains(name),
        }
    }
}

/// How preferred a plugin is, the least the most. An id comes before the name that others share with it, and what is
/// not listed after everything that is.
type Rank = (usize, bool);

const UNLISTED: Rank = (usize::MAX, true);

/// Somebody who runs, and how preferred they are.
type Kept = (Rank, usize);

impl<'c> Resolver<'c> {
    /// Leaves out who cannot run beside somebody who is preferred, as if they were disabled.
    pub(super) fn precedence(&mut self) {
        let mut preferences: Vec<(&'c Preference, Scope<'c>)> = Vec::new();
        for preference in &self.composition.precedence {
            preferences.extend(self.scope(&preference.of).map(|scope| (preference, scope)));
        }
        // The order in the file means nothing.
        preferences.sort_by_key(|(preference, scope)| (matches!(scope, Scope::Capability(_)), preference.of.as_str()));
        for (preference, scope) in preferences {
            self.preferred_names(preference, scope);
            self.prefer(preference, scope);
        }
    }

    /// What a preference is about; reports a word that means nothing.
    fn scope(&mut self, of: &'c Located<String>) -> Option<Scope<'c>> {
        if let Some(kind) = self.registry.kind(of) {
            return Some(Scope::Type(kind));
        }
        let metadata = || self.registry.iter().map(Registration::metadata);
        let capabilities = || {
            let of_types = self.registry.kinds().flat_map(|kind| kind.capabilities);
            metadata().flat_map(|metadata| metadata.capabilities).chain(of_types).copied()
        };
        if capabilities().any(|capability| capability == of.as_str()) {
            return Some(Scope::Capability(of));
        }
        let kinds = || self.registry.kinds().map(|kind| kind.name);
        let mut diagnostic = Diagnostic::error(
            Code::UnknownPreference,
            match PLANNED_TYPES.contains(&of.as_str()) {
                true => format!("the plugin type `{}` is planned and not in this version", **of),
                false => format!("`{}` is neither a plugin type nor a capability of a plugin of this program", **of),
            },
        )
        .at(of.location.as_ref())
        .in_path(format!("precedence.{}", **of));
        if let Some(near) = nearest(of, kinds().chain(capabilities())) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        self.found.push(diagnostic.help(format!("the plugin types are {}", listing(kinds()))));
        None
    }

    /// Every name in a preference is somebody it can be about.
    fn preferred_names(&mut self, preference: &Preference, scope: Scope<'_>) {
        let linked = self.registry.iter().map(Registration::metadata).filter(|metadata| scope.covers(metadata));
        let mut known: BTreeSet<&str> = linked.map(|metadata| metadata.name).collect();
        for entry in self.composition.plugins() {
            let is_meant = match (self.registry.get(&entry.kind, &entry.name), scope) {
                (Some(registration), _) => scope.covers(registration.metadata()),
                (None, Scope::Type(kind)) => entry.kind.as_str() == kind.name,
                (None, Scope::Capability(_)) => true,
            };
            if is_meant {
                known.extend([entry.id(), entry.name.as_str()]);
            }
        }
        for (nth, name) in preference.order.iter().enumerate().filter(|(_, name)| !known.contains(name.as_str())) {
            let what = match scope {
                Scope::Type(kind) => format!("of type `{}`", kind.name),
                Scope::Capability(capability) => format!("with the capability `{capability}`"),
            };
            let mut diagnostic =
                Diagnostic::error(Code::UnknownPreference, format!("no plugin {what} is called `{}`", **name))
                    .at(name.location.as_ref())
                    .in_path(format!("precedence.{}[{nth}]", *preference.of));
            if let Some(near) = nearest(name, known.iter().copied()) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            }
            self.found.push(match known.is_empty() {
                true => diagnostic.help(format!("this program has no plugin {what}")),
                false => diagnostic.help(format!("the plugins {what} are {}", listing(known.iter().copied()))),
            });
        }
    }

    fn prefer(&mut self, preference: &'c Preference, scope: Scope<'_>) {
        let mut ranks: HashMap<&str, usize> = HashMap::new();
        for (rank, name) in preference.order.iter().enumerate() {
            ranks.entry(name).or_insert(rank);
        }
        let rank = |entry: &PluginEntry| -> Rank {
            let by_id = ranks.get(entry.id()).map(|rank| (*rank, false));
            let by_name = ranks.get(entry.name.as_str()).map(|rank| (*rank, true));
            by_id.into_iter().chain(by_name).min().unwrap_or(UNLISTED)
        };
        let mut covered: Vec<Kept> = (self.candidates.iter().enumerate())
            .filter(|(_, candidate)| scope.covers(candidate.metadata()))
            .map(|(position, candidate)| (rank(candidate.entry), position))
            .collect();
        covered.sort_unstable();
        let mut winners: Vec<Option<usize>> = vec![None; self.candidates.len()];
        let mut running = Running::new(self);
        for (rank, position) in covered {
            match running.rival(self, position).filter(|(better, _)| *better < rank) {
                Some((_, winner)) => winners[position] = Some(winner),
                None => running.keep(self, (rank, position)),
            }
        }
        self.leave_out(preference, &winners);
    }

    fn leave_out(&mut self, preference: &'c Preference, winners: &[Option<usize>]) {
        let mut defaults = Vec::new();
        for (loser, winner) in winners.iter().enumerate().filter_map(|(loser, winner)| Some((loser, (*winner)?))) {
            let (candidate, winner) = (&self.candidates[loser], &self.candidates[winner]);
            let kind = candidate.metadata().kind;
            if kind.id == winner.metadata().kind.id && kind.cardinality == Cardinality::One {
                defaults.push(winners[loser].unwrap_or(loser));
            }
            let is_winner =
                |name: &&Located<String>| [winner.entry.id(), winner.entry.name.as_str()].contains(&name.as_str());
            let said = preference.order.iter().find(is_winner).and_then(|name| name.location.clone());
            let of = preference.of.as_str();
            self.found.push(
                Diagnostic::note(
                    Code::LeftOut,
                    format!("`{}` is left out: `{}` is preferred", candidate.entry.id(), winner.entry.id()),
                )
                .at(candidate.entry.location.as_ref())
                .in_path(&candidate.entry.path)
                .related(format!("`precedence.{of}` says so"), said.as_ref())
                .help(format!(
                    "to run `{}` instead, put it before `{}`",
                    candidate.entry.id(),
                    winner.entry.id()
                )),
            );
            self.left_out.push(LeftOut {
                id: candidate.entry.id().to_owned(),
                registration: candidate.registration,
                winner: winner.label(),
                of: of.to_owned(),
                location: candidate.entry.location.clone(),
            });
        }
        for winner in defaults {
            self.candidates[winner].default = true;
        }
        let mut position = 0;
        self.candidates.retain(|_| {
            position += 1;
            winners[position - 1].is_none()
        });
        self.look_up();
    }
}

/// Who has been kept so far, by what they exclude others with. Only the most preferred of each matters.
struct Running {
    /// The types that take one, and whose plugins are not named extras beside a default.
    single: HashMap<TypeId, Option<Kept>>,
    values: HashMap<(TypeId, String), Kept>,
    plugins: Vec<(&'static Registration, Kept)>,
    /// For each candidate, the groups of conflicts it is in, and the names that mean it there.
    memberships: HashMap<usize, Vec<(usize, usize)>>,
    groups: HashMap<usize, Vec<(usize, Kept)>>,
}

impl Running {
    fn new(resolver: &Resolver<'_>) -> Self {
        let mut single = HashMap::new();
        for candidate in &resolver.candidates {
            if candidate.metadata().kind.cardinality == Cardinality::One {
                single.entry(candidate.metadata().kind.id).or_insert(None);
            }
        }
        for candidate in resolver.candidates.iter().filter(|candidate| candidate.entry.default) {
            single.remove(&candidate.metadata().kind.id);
        }
        let mut memberships: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
        for (group, names) in resolver.conflict_groups().iter().enumerate() {
            for (name, meant) in names.iter().enumerate() {
                for position in meant {
                    memberships.entry(*position).or_default().push((group, name));
                }
            }
        }
        Running { single, values: HashMap::new(), plugins: Vec::new(), memberships, groups: HashMap::new() }
    }

    /// The most preferred of those that a candidate cannot run beside.
    fn rival(&self, resolver: &Resolver<'_>, position: usize) -> Option<Kept> {
        let candidate = &resolver.candidates[position];
        let (kind, registration) = (candidate.metadata().kind, candidate.registration);
        let of_type = self.single.get(&kind.id).copied().flatten();
        let of_value = value(resolver, position).and_then(|value| self.values.get(&(kind.id, value)).copied());
        let declared = self.plugins.iter().filter(|(other, _)| {
            declared_conflict(registration, other).or_else(|| declared_conflict(other, registration)).is_some()
        });
        let memberships = self.memberships.get(&position).into_iter().flatten();
        let composed = memberships.flat_map(|(group, name)| {
            let others = self.groups.get(group).into_iter().flatten();
            others.filter(move |(other, _)| other != name).map(|(_, kept)| *kept)
        });
        of_type.into_iter().chain(of_value).chain(declared.map(|(_, kept)| *kept)).chain(composed).min()
    }

    fn keep(&mut self, resolver: &Resolver<'_>, kept: Kept) {
        let candidate = &resolver.candidates[kept.1];
        let kind = candidate.metadata().kind;
        if let Some(first) = self.single.get_mut(&kind.id) {
            first.get_or_insert(kept);
        }
        if let Some(value) = value(resolver, kept.1) {
            self.values.entry((kind.id, value)).or_insert(kept);
        }
        if !self.plugins.iter().any(|(known, _)| std::ptr::eq(*known, candidate.registration)) {
            self.plugins.push((candidate.registration, kept));
        }
        for (group, name) in self.memberships.get(&kept.1).into_iter().flatten() {
            let names = self.groups.entry(*group).or_default();
            if !names.iter().any(|(known, _)| known == name) {
                names.push((*name, kept));
            }
        }
    }
}

fn value(resolver: &Resolver<'_>, position: usize) -> Option<String> {
    let candidate = &resolver.candidates[position];
    match candidate.metadata().kind.cardinality {
        Cardinality::OnePer(setting) => distinction(candidate, setting).map(|(value, _)| value),
        _ => None,
    }
}
