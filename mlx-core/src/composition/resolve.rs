//! From a composition to a plan: every check that needs no plugin to run.

use super::{Composition, Plan, PluginEntry, Step, document::is_security, plan::Deferred};
use crate::{
    diagnostics::{Code, Diagnostic, Error, Result, listing, nearest},
    graph::Graph,
    plugin::{Cardinality, PluginMetadata, Requirement},
    registry::{Checked, Registration, Registry},
    value::Node,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

impl Registry {
    /// Checks a composition against the plugins of this program, and puts them in order. Nothing is started.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with everything that is wrong, sorted by position.
    pub fn resolve(&self, composition: &Composition) -> Result<Plan> {
        let mut resolver = Resolver {
            registry: self,
            composition,
            found: self.problems().iter().chain(composition.problems()).cloned().collect(),
            candidates: Vec::new(),
            unresolved: Vec::new(),
        };
        resolver.plugins();
        resolver.cardinality();
        resolver.conflicts();
        let graph = resolver.requirements();
        let secrets = resolver.secrets();
        resolver.plan(graph, secrets)
    }
}

/// An enabled entry whose plugin is known.
struct Candidate<'c> {
    entry: &'c PluginEntry,
    registration: &'static Registration,
    checked: Checked,
}

impl Candidate<'_> {
    fn metadata(&self) -> &'static PluginMetadata {
        self.registration.metadata()
    }

    fn key(&self) -> (&'static str, &str) {
        (self.metadata().kind.name, self.entry.id())
    }
}

struct Resolver<'c> {
    registry: &'c Registry,
    composition: &'c Composition,
    found: Vec<Diagnostic>,
    /// Sorted by type and id.
    candidates: Vec<Candidate<'c>>,
    /// Enabled entries whose plugin is not known: what requires them is not reported again.
    unresolved: Vec<&'c PluginEntry>,
}

/// The positions of the candidates that have a name, or a capability.
type Positions<'n> = HashMap<&'n str, Vec<usize>>;

impl<'c> Resolver<'c> {
    /// Finds the plugins, and checks their settings.
    fn plugins(&mut self) {
        for entry in self.composition.plugins().iter().filter(|entry| entry.enabled) {
            let Some(registration) = self.registry.get(&entry.kind, &entry.name) else {
                let (diagnostic, at, field) = match self.registry.kind(&entry.kind) {
                    Some(_) => (self.registry.unknown_plugin(&entry.kind, &entry.name), &entry.name.location, "name"),
                    None => (self.registry.unknown_kind(&entry.kind), &entry.kind.location, "type"),
                };
                self.found.push(diagnostic.at(at.as_ref()).in_path(format!("{}.{field}", entry.path)));
                self.unresolved.push(entry);
                continue;
            };
            let variables = self.composition.variables.as_ref();
            let mut checked = registration.check(&entry.config, variables, &format!("{}.config", entry.path));
            self.found.append(&mut checked.diagnostics);
            self.candidates.push(Candidate { entry, registration, checked });
        }
        self.candidates.sort_by(|a, b| a.key().cmp(&b.key()));
        let mut twins = Vec::new();
        self.candidates.dedup_by(|second, first| {
            let twin = first.key() == second.key();
            if twin {
                let (kind, id) = first.key();
                let at = second.entry.id.as_ref().unwrap_or(&second.entry.name);
                twins.push(
                    Diagnostic::error(Code::DuplicateId, format!("two plugins of type `{kind}` run as `{id}`"))
                        .at(at.location.as_ref())
                        .in_path(&second.entry.path)
                        .related("the other one is here", first.entry.location.as_ref())
                        .help("give one of them an `id` of its own, or remove it"),
                );
            }
            twin
        });
        self.found.append(&mut twins);
        for candidate in &self.candidates {
            let metadata = candidate.metadata();
            if !metadata.supports_this_platform() {
                let os = std::env::consts::OS;
                self.found.push(
                    Diagnostic::error(
                        Code::UnsupportedPlatform,
                        format!("the plugin `{}` does not run on {os}", metadata.name),
                    )
                    .at(candidate.entry.location.as_ref())
                    .in_path(&candidate.entry.path)
                    .help(format!("it runs on {}", listing(metadata.platforms.iter().copied()))),
                );
            }
        }
    }

    /// No type has more plugins than it accepts.
    fn cardinality(&mut self) {
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
                    members
                        .sort_by(|a, b| a.entry.location.cmp(&b.entry.location).then(a.entry.path.cmp(&b.entry.path)));
                    for extra in &members[1..] {
                        found.push(
                            Diagnostic::error(
                                Code::Cardinality,
                                format!("`{}` is another plugin of type `{}`, which takes one", extra.entry.id(), kind.name),
                            )
                            .at(extra.entry.location.as_ref())
                            .in_path(&extra.entry.path)
                            .related(format!("the first is `{}`", members[0].entry.id()), members[0].entry.location.as_ref())
                            .help("remove one, set `enabled: false`, or mark one `default: true` to keep the others as named extras"),
                        );
                    }
                }
                Cardinality::One => {}
                Cardinality::OnePer(setting) => {
                    let mut seen: HashMap<String, &Candidate<'_>> = HashMap::new();
                    for candidate in group {
                        // Without defaults where a secret is still to be looked up.
                        let written = || candidate.entry.config.as_map()?.get(setting).map(Node::to_json);
                        let value = match &candidate.checked.effective {
                            Some(config) => config.get(setting).cloned(),
                            None => written(),
                        };
                        let Some(value) = value.filter(|value| !value.is_null()).map(|value| value.to_string()) else {
                            continue;
                        };
                        if let Some(first) = seen.get(&value) {
                            found.push(
                                Diagnostic::error(
                                    Code::Cardinality,
                                    format!("two plugins of type `{}` have the {setting} {value}, and it takes one per {setting}", kind.name),
                                )
                                .at(candidate.entry.location.as_ref())
                                .in_path(&candidate.entry.path)
                                .related(format!("the first is `{}`", first.entry.id()), first.entry.location.as_ref())
                                .help(format!("give them different values of `{setting}`, or remove one")),
                            );
                        } else {
                            seen.insert(value, candidate);
                        }
                    }
                }
            }
        }
        self.found.append(&mut found);
    }

    fn positions(&self) -> (Positions<'static>, Positions<'static>) {
        let (mut names, mut capabilities) = (Positions::new(), Positions::new());
        for (position, candidate) in self.candidates.iter().enumerate() {
            names.entry(candidate.metadata().name).or_default().push(position);
            for capability in candidate.metadata().capabilities {
                capabilities.entry(capability).or_default().push(position);
            }
        }
        (names, capabilities)
    }

    /// No two plugins exclude each other, by name or by capability, whoever declares it.
    fn conflicts(&mut self) {
        let (names, capabilities) = self.positions();
        let mut pairs: BTreeMap<(usize, usize), Vec<Diagnostic>> = BTreeMap::new();
        let mut meant: BTreeSet<(&str, Option<usize>)> = BTreeSet::new();
        for (position, candidate) in self.candidates.iter().enumerate() {
            let metadata = candidate.metadata();
            for name in metadata.conflicts_with {
                meant.insert((name, Some(position)));
                let by_name = names.get(name).into_iter().flatten();
                let by_capability = capabilities.get(name).into_iter().flatten();
                for other in by_name.chain(by_capability).copied().filter(|other| *other != position) {
                    // The plugin itself, under another id, is no stranger to itself.
                    if self.candidates[other].registration.metadata().declared == metadata.declared {
                        continue;
                    }
                    let pair = (position.min(other), position.max(other));
                    let (a, b) = (&self.candidates[position], &self.candidates[other]);
                    let reason = Diagnostic::error(Code::Conflict, String::new()).related(
                        match b.metadata().name == *name {
                            true => format!("`{}` declares the conflict, {}", a.metadata().name, a.metadata().declared),
                            false => format!(
                                "`{}` declares a conflict with the capability `{name}`, {}",
                                a.metadata().name,
                                a.metadata().declared
                            ),
                        },
                        None,
                    );
                    pairs.entry(pair).or_default().push(reason);
                }
            }
        }
        for group in &self.composition.conflicts {
            for (index, first) in group.iter().enumerate() {
                meant.insert((first.as_str(), None));
                for second in &group[index + 1..] {
                    for a in self.matching(first, &names, &capabilities) {
                        for b in self.matching(second, &names, &capabilities) {
                            if a == b {
                                continue;
                            }
                            let reason = Diagnostic::error(Code::Conflict, String::new())
                                .related("the composition declares the conflict", first.location.as_ref());
                            pairs.entry((a.min(b), a.max(b))).or_default().push(reason);
                        }
                    }
                }
            }
        }
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
            for related in reasons.into_iter().flat_map(|reason| reason.related) {
                if seen.insert(related.message.clone()) {
                    diagnostic.related.push(related);
                }
            }
            self.found.push(diagnostic);
        }
        self.conflict_typos(&meant);
    }

    fn matching(&self, name: &str, names: &Positions<'static>, capabilities: &Positions<'static>) -> Vec<usize> {
        let by_id =
            self.candidates.iter().enumerate().filter(|(_, c)| c.entry.id() == name).map(|(position, _)| position);
        let named = names.get(name).into_iter().chain(capabilities.get(name)).flatten().copied();
        let found: BTreeSet<usize> = by_id.chain(named).collect();
        found.into_iter().collect()
    }

    /// A conflict with something that is not linked is fine, unless it looks like a slip of the pen.
    fn conflict_typos(&mut self, meant: &BTreeSet<(&str, Option<usize>)>) {
        if meant.is_empty() {
            return;
        }
        let mut known: BTreeSet<&str> = self.candidates.iter().map(|candidate| candidate.entry.id()).collect();
        for metadata in self.registry.iter().map(|registration| registration.metadata()) {
            known.insert(metadata.name);
            known.extend(metadata.capabilities);
        }
        let in_file: HashSet<&str> = self.composition.plugins().iter().map(PluginEntry::id).collect();
        let mut reported = HashSet::new();
        for (name, declared) in meant {
            if known.contains(name) || in_file.contains(name) || !reported.insert(*name) {
                continue;
            }
            let Some(near) = nearest(name, known.iter().copied()) else { continue };
            let mut warning = Diagnostic::warning(
                Code::ConflictTypo,
                format!("a conflict names `{name}`, which no plugin is called"),
            )
            .help(format!("did you mean `{near}`?"));
            warning = match declared {
                Some(position) => {
                    let candidate = &self.candidates[*position];
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
                    .find(|item| item.as_str() == *name)
                    .and_then(|item| item.location.as_ref())),
            };
            self.found.push(warning);
        }
    }

    /// Everything that is required is there, in a version that does.
    fn requirements(&mut self) -> Graph {
        let (names, capabilities) = self.positions();
        let mut kinds: Positions<'static> = Positions::new();
        for (position, candidate) in self.candidates.iter().enumerate() {
            for kind in candidate.metadata().kinds() {
                kinds.entry(kind.name).or_default().push(position);
            }
        }
        let empty = Vec::new();
        let providers = |requirement: &Requirement| match requirement {
            Requirement::Plugin { name, .. } => names.get(name).unwrap_or(&empty),
            Requirement::Type(name) => kinds.get(name).unwrap_or(&empty),
            Requirement::Capability(name) => capabilities.get(name).unwrap_or(&empty),
        };
        let count = self.candidates.len();
        let mut graph = Graph { requires: vec![Vec::new(); count], optional: vec![Vec::new(); count] };
        let mut found = Vec::new();
        for (position, candidate) in self.candidates.iter().enumerate() {
            let metadata = candidate.metadata();
            for (requirement, needed) in
                metadata.requires.iter().map(|r| (r, true)).chain(metadata.optional.iter().map(|r| (r, false)))
            {
                let others: Vec<usize> =
                    providers(requirement).iter().copied().filter(|other| *other != position).collect();
                let fitting: Vec<usize> = others
                    .iter()
                    .copied()
                    .filter(|other| fits(requirement, self.candidates[*other].metadata()))
                    .collect();
                if needed && fitting.is_empty() {
                    let place = |diagnostic: Diagnostic| {
                        diagnostic.at(candidate.entry.location.as_ref()).in_path(&candidate.entry.path).related(
                            format!("`{}` declares the requirement, {}", metadata.name, metadata.declared),
                            None,
                        )
                    };
                    if let Some(other) = others.first().map(|other| self.candidates[*other].metadata()) {
                        found.push(
                            place(Diagnostic::error(
                                Code::VersionMismatch,
                                format!(
                                    "`{}` requires {requirement}, and it is {}",
                                    candidate.entry.id(),
                                    other.version
                                ),
                            ))
                            .help(format!("use a version of `{}` that does", other.name)),
                        );
                    } else if !self.unresolved.iter().any(|entry| may_be(requirement, entry)) {
                        let diagnostic = place(Diagnostic::error(
                            Code::MissingRequirement,
                            format!("`{}` requires {requirement}", candidate.entry.id()),
                        ));
                        found.push(self.advise(diagnostic, requirement));
                    }
                }
                let edges = if needed { &mut graph.requires } else { &mut graph.optional };
                edges[position].extend(fitting);
            }
        }
        self.found.append(&mut found);
        graph
    }

    /// What could be added to meet a requirement.
    fn advise(&self, diagnostic: Diagnostic, requirement: &Requirement) -> Diagnostic {
        let disabled =
            self.composition.plugins().iter().filter(|entry| !entry.enabled).find(|entry| may_be(requirement, entry));
        if let Some(entry) = disabled {
            return diagnostic
                .related(format!("`{}` is disabled here", entry.id()), entry.location.as_ref())
                .help("enable it");
        }
        let would_do = |registration: &&Registration| {
            let metadata = registration.metadata();
            requirement.names(metadata) && fits(requirement, metadata)
        };
        let choices: BTreeSet<String> = self
            .registry
            .iter()
            .filter(would_do)
            .map(|registration| {
                let metadata = registration.metadata();
                format!("{{type: {}, name: {}}}", metadata.kind.name, metadata.name)
            })
            .collect();
        let add = |what: &str| format!("add {what}{}", listing(choices.iter().map(String::as_str)));
        match choices.len() {
            0 => {}
            1 => return diagnostic.help(add("")),
            _ => return diagnostic.help(add("one of ")),
        }
        let metadata = || self.registry.iter().map(|registration| registration.metadata());
        let near = match requirement {
            Requirement::Plugin { name, .. } => nearest(name, metadata().map(|m| m.name)),
            Requirement::Type(name) => nearest(name, self.registry.kinds().map(|kind| kind.name)),
            Requirement::Capability(name) => nearest(name, metadata().flat_map(|m| m.capabilities.iter().copied())),
        };
        let diagnostic = match near {
            Some(near) => diagnostic.help(format!("did its author mean `{near}`?")),
            None => diagnostic,
        };
        diagnostic.help("nothing in this program meets it: link a crate that does with `mlx_core::link!(that_crate);`")
    }

    /// The plugins that resolve secrets for others.
    fn secrets(&mut self) -> Vec<Vec<Deferred>> {
        let mut resolvers: BTreeMap<&str, usize> = BTreeMap::new();
        for (position, candidate) in self.candidates.iter().enumerate() {
            if candidate.metadata().kinds().any(is_security) {
                resolvers.insert(candidate.entry.id(), position);
            }
        }
        let unresolved: HashSet<&str> = self.unresolved.iter().map(|entry| entry.id()).collect();
        let mut found = Vec::new();
        let mut secrets = Vec::with_capacity(self.candidates.len());
        for candidate in &self.candidates {
            let mut deferred = Vec::new();
            for (reference, location) in &candidate.checked.references {
                match resolvers.get(reference.scheme.as_str()) {
                    Some(resolver) => {
                        deferred.push(Deferred {
                            reference: reference.clone(),
                            resolver: *resolver,
                            location: location.clone(),
                        });
                    }
                    None if unresolved.contains(reference.scheme.as_str()) => {}
                    None => {
                        let schemes = || resolvers.keys().copied().chain(["env", "file"]);
                        let mut diagnostic = Diagnostic::error(
                            Code::BadReference,
                            format!(
                                "nothing resolves `{reference}`: no plugin of type `security` runs as `{}`",
                                reference.scheme
                            ),
                        )
                        .at(location.as_ref())
                        .in_path(format!("{}.config", candidate.entry.path));
                        if let Some(near) = nearest(&reference.scheme, schemes()) {
                            diagnostic = diagnostic.help(format!("did you mean `${{{near}:{}}}`?", reference.key));
                        }
                        found.push(diagnostic.help(format!("a reference begins with one of {}", listing(schemes()))));
                    }
                }
            }
            secrets.push(deferred);
        }
        self.found.append(&mut found);
        secrets
    }

    /// Puts everything in order, or reports all that was found.
    fn plan(mut self, mut graph: Graph, secrets: Vec<Vec<Deferred>>) -> Result<Plan> {
        for (position, deferred) in secrets.iter().enumerate() {
            graph.requires[position].extend(deferred.iter().map(|deferred| deferred.resolver));
        }
        for list in graph.requires.iter_mut().chain(&mut graph.optional) {
            list.sort_unstable();
            list.dedup();
        }
        let order = match graph.order() {
            Ok(order) => order,
            Err(circles) => {
                for circle in circles {
                    self.found.push(self.circle(&circle));
                }
                Vec::new()
            }
        };
        if self.found.iter().any(Diagnostic::is_error) {
            let subject = match self.composition.name() {
                "" => "the composition".to_owned(),
                name => format!("the composition \"{name}\""),
            };
            return Err(Error::from_diagnostics(subject, self.found));
        }
        let mut place = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            place[*old] = new;
        }
        let moved = |positions: &[usize]| {
            let mut positions: Vec<usize> = positions.iter().map(|old| place[*old]).collect();
            positions.sort_unstable();
            positions
        };
        let mut deferred: Vec<Option<Vec<Deferred>>> = secrets.into_iter().map(Some).collect();
        let steps = order
            .iter()
            .map(|old| {
                let candidate = &self.candidates[*old];
                let entry = candidate.entry;
                Step {
                    id: entry.id().to_owned(),
                    registration: candidate.registration,
                    config: entry.config.clone(),
                    effective: candidate.checked.effective.clone(),
                    requires: moved(&graph.requires[*old]),
                    secrets: deferred[*old]
                        .take()
                        .into_iter()
                        .flatten()
                        .map(|deferred| Deferred { resolver: place[deferred.resolver], ..deferred })
                        .collect(),
                    default: entry.default,
                    on_failure: entry.on_failure,
                    start_timeout: entry.start_timeout,
                    stop_timeout: entry.stop_timeout,
                    path: entry.path.clone(),
                    location: entry.location.clone(),
                }
            })
            .collect();
        crate::diagnostics::sort(&mut self.found);
        Ok(Plan {
            name: self.composition.name.clone(),
            steps,
            warnings: self.found,
            variables: self.composition.variables.clone(),
            composition: Arc::new(self.composition.clone()),
            registry: self.registry.clone(),
        })
    }

    fn circle(&self, circle: &[usize]) -> Diagnostic {
        let id = |position: &usize| format!("`{}`", self.candidates[*position].entry.id());
        let first = &self.candidates[circle[0]];
        let way: Vec<String> = circle.iter().chain(circle.first()).map(id).collect();
        let mut diagnostic =
            Diagnostic::error(Code::Cycle, format!("the requirements form a circle: {}", way.join(" requires ")))
                .at(first.entry.location.as_ref())
                .in_path(&first.entry.path);
        for position in &circle[1..] {
            let entry = self.candidates[*position].entry;
            diagnostic = diagnostic.related(format!("`{}` is here", entry.id()), entry.location.as_ref());
        }
        diagnostic
            .help("one of the plugins has to do without the other: make the requirement `optional`, or remove a plugin")
    }
}

/// Whether a plugin meets a requirement that names it, its type or a capability of it.
fn fits(requirement: &Requirement, metadata: &PluginMetadata) -> bool {
    match requirement {
        Requirement::Plugin { version, .. } if !version.is_empty() => {
            match (semver::VersionReq::parse(version), semver::Version::parse(metadata.version)) {
                (Ok(wanted), Ok(version)) => wanted.matches(&version),
                _ => false,
            }
        }
        _ => true,
    }
}

/// Whether an entry that is unknown or disabled looks like what is required.
fn may_be(requirement: &Requirement, entry: &PluginEntry) -> bool {
    match requirement {
        Requirement::Plugin { name, .. } => nearest(&entry.name, [*name]).is_some() || entry.name.as_str() == *name,
        Requirement::Type(name) => entry.kind.as_str() == *name || nearest(&entry.kind, [*name]).is_some(),
        Requirement::Capability(_) => false,
    }
}
