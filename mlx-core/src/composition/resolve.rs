//! From a composition to a plan: every check that needs no plugin to run.

use super::{
    Composition, Plan, PluginEntry, Step,
    document::is_security,
    exclusion::Index,
    machine::Machine,
    plan::{Deferred, LeftOut},
    variables,
};
use crate::{
    config::{Awaited, ConfigValue, Outline, Reader},
    diagnostics::{Code, Diagnostic, Error, Result, Severity, listing, nearest},
    graph::Graph,
    plugin::{PluginMetadata, Requirement, Resources},
    registry::{Checked, Registration, Registry},
    resilience::Resilience,
    value::Variables,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

impl Registry {
    /// Checks a composition against the plugins of this program, and puts them in order. Nothing is started. Where the
    /// plugins say that they need more than [this machine](Machine::current) has, the plan says so in a warning.
    ///
    /// Entries that are disabled are checked as well: what is wrong with them, other than that something is missing, is
    /// among the plan's warnings.
    ///
    /// Over the settings of the composition are laid, in this order, those of environment variables
    /// (`MLX__PLUGIN__FIELD`) and those of [`Composition::with_override`].
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with everything that is wrong, sorted by position.
    pub fn resolve(&self, composition: &Composition) -> Result<Plan> {
        self.resolve_with(composition, Machine::current)
    }

    /// As [`resolve`](Registry::resolve), with the resources of another machine.
    ///
    /// # Errors
    /// As for [`resolve`](Registry::resolve).
    pub fn resolve_on(&self, composition: &Composition, machine: Machine) -> Result<Plan> {
        self.resolve_with(composition, || machine)
    }

    fn resolve_with(&self, composition: &Composition, machine: impl FnOnce() -> Machine) -> Result<Plan> {
        let layered = composition.layered(self);
        let mut resolver = Resolver::new(self, &layered);
        let misplaced = resolver.misplaced();
        resolver.plugins();
        resolver.precedence();
        resolver.settings(&misplaced);
        resolver.disabled();
        resolver.cardinality();
        resolver.conflicts();
        let graph = resolver.requirements();
        let secrets = resolver.secrets();
        let mut plan = resolver.plan(graph, secrets, composition)?;
        if plan.resources() != Resources::default() {
            let shortages = plan.shortages(&machine());
            plan.warnings.extend(shortages);
        }
        Ok(plan)
    }
}

/// An enabled entry whose plugin is known.
pub(super) struct Candidate<'c> {
    pub(super) entry: &'c PluginEntry,
    pub(super) registration: &'static Registration,
    pub(super) checked: Checked,
    /// The policies for calls to it.
    pub(super) resilience: Option<Resilience>,
    /// Whether it is the one meant when only its type is asked for.
    pub(super) default: bool,
}

impl Candidate<'_> {
    pub(super) fn metadata(&self) -> &'static PluginMetadata {
        self.registration.metadata()
    }

    pub(super) fn key(&self) -> (&'static str, &str) {
        (self.metadata().kind.name, self.entry.id())
    }

    pub(super) fn label(&self) -> String {
        let (kind, id) = self.key();
        format!("{kind}/{id}")
    }
}

pub(super) struct Resolver<'c> {
    pub(super) registry: &'c Registry,
    pub(super) composition: &'c Composition,
    pub(super) found: Vec<Diagnostic>,
    /// Sorted by type and id.
    pub(super) candidates: Vec<Candidate<'c>>,
    /// Enabled entries whose plugin is not known: what requires them is not reported again.
    pub(super) unresolved: Vec<&'c PluginEntry>,
    /// Enabled entries that run less than others do.
    pub(super) left_out: Vec<LeftOut>,
    pub(super) index: Index<'c>,
}

/// The positions of the candidates that have a name, or a capability.
pub(super) type Positions<'n> = HashMap<&'n str, Vec<usize>>;

impl<'c> Resolver<'c> {
    pub(super) fn new(registry: &'c Registry, composition: &'c Composition) -> Self {
        Resolver {
            registry,
            composition,
            found: registry.problems().iter().chain(composition.problems()).cloned().collect(),
            candidates: Vec::new(),
            unresolved: Vec::new(),
            left_out: Vec::new(),
            index: Index::default(),
        }
    }

    /// Says of settings that stand beside `config` where they belong: reading an entry, it was not known which there are.
    /// Returns the paths that they would have.
    fn misplaced(&mut self) -> HashSet<String> {
        let mut paths = HashSet::new();
        for finding in self.found.iter_mut().filter(|finding| finding.code == Code::UnknownField) {
            let (Some((of, key)), Some(at)) =
                (finding.path.as_deref().and_then(|p| p.rsplit_once('.')), &finding.location)
            else {
                continue;
            };
            let is_of = |entry: &&PluginEntry| {
                entry.path == of && entry.location.as_ref().is_some_and(|entry| entry.source.name() == at.source.name())
            };
            let Some(entry) = self.composition.plugins().iter().find(is_of) else { continue };
            let schema = self.registry.schema(&entry.kind, &entry.name);
            if schema.is_some_and(|schema| Outline::of(schema).properties().contains(&key)) {
                let line = at.source.line(at.line).unwrap_or_default().trim_start();
                let block = line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
                let what = if block { "indent it below `config:`" } else { "move it into `config`" };
                finding.help = vec![format!("`{key}` is a setting of `{}`: {what}", entry.name.as_str())];
                paths.insert(format!("{of}.config.{key}"));
            }
        }
        paths
    }

    /// Finds the plugins, and reads their settings.
    pub(super) fn plugins(&mut self) {
        for entry in self.composition.plugins().iter().filter(|entry| entry.enabled) {
            let Some(registration) = self.registry.get(&entry.kind, &entry.name) else {
                self.found.extend(unknown(self.registry, entry));
                self.unresolved.push(entry);
                continue;
            };
            let variables = self.composition.variables.as_ref();
            let mut checked = registration.check(&entry.config, variables, &entry.path);
            let resilience = policies(entry, variables, registration.metadata(), &mut checked.diagnostics);
            self.candidates.push(Candidate { entry, registration, checked, resilience, default: entry.default });
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
                twins.append(&mut second.checked.diagnostics);
            }
            twin
        });
        self.found.append(&mut twins);
        self.look_up();
    }

    /// Reports what is wrong with the settings and the machine of those that are to run. What is only `misplaced` is not
    /// reported as missing too.
    fn settings(&mut self, misplaced: &HashSet<String>) {
        let elsewhere = |finding: &Diagnostic| {
            finding.code == Code::MissingField && finding.path.as_ref().is_some_and(|path| misplaced.contains(path))
        };
        for candidate in &mut self.candidates {
            self.found.extend(candidate.checked.diagnostics.drain(..).filter(|finding| !elsewhere(finding)));
        }
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

    /// Checks what the entries that are disabled say, so that a mistake there is not first seen when one is enabled. It
    /// keeps nothing from starting. Such an entry may be unfinished, and its plugin need not be linked: what is missing is
    /// no mistake yet.
    fn disabled(&mut self) {
        let variables = variables::Unset(self.composition.variables.as_ref());
        for entry in self.composition.plugins().iter().filter(|entry| !entry.enabled) {
            let mut found = Vec::new();
            if let Some(registration) = self.registry.get(&entry.kind, &entry.name) {
                found = registration.check(&entry.config, &variables, &entry.path).diagnostics;
                policies(entry, &variables, registration.metadata(), &mut found);
                found.retain(|diagnostic| !is_missing(diagnostic, entry));
            } else if self.registry.kind(&entry.kind).is_none()
                || self.registry.similar(&entry.kind, &entry.name).is_some()
            {
                found.extend(unknown(self.registry, entry));
            }
            let profiles: Vec<&str> = self.composition.enabled_by(entry).collect();
            for mut diagnostic in found {
                let then = match &profiles[..] {
                    [] if diagnostic.is_error() => ": once it is enabled, this is an error".to_owned(),
                    [] => String::new(),
                    [profile] => format!("; the profile `{profile}` enables it"),
                    several => format!("; the profiles {} enable it", listing(several.iter().copied())),
                };
                diagnostic.severity = Severity::Warning;
                self.found.push(diagnostic.help(format!("`{}` is disabled{then}", entry.id())));
            }
        }
    }

    /// Everything that is required is there, in a version that does.
    fn requirements(&mut self) -> Graph {
        let Index { names, capabilities, .. } = &self.index;
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
        let left_out = self.left_out.iter().find(|left_out| {
            let metadata = left_out.registration.metadata();
            requirement.names(metadata) && fits(requirement, metadata)
        });
        if let Some(left_out) = left_out {
            return diagnostic
                .related(format!("`{}` is left out for `{}`", left_out.id, left_out.winner), left_out.location.as_ref())
                .help(format!(
                    "put `{}` first in `precedence.{}`, or remove what requires it",
                    left_out.id, left_out.of
                ));
        }
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
        let diagnostic = match (near, requirement) {
            (Some(near), Requirement::Plugin { name, .. }) if near == *name => {
                let versions: BTreeSet<&str> =
                    self.registry.named(name).map(|plugin| plugin.metadata().version).collect();
                diagnostic.help(format!("the `{name}` in this program has the version {}", listing(versions)))
            }
            (Some(near), _) => diagnostic.help(format!("did its author mean `{near}`?")),
            (None, _) => diagnostic,
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
            for Awaited { reference, path, location, .. } in &candidate.checked.references {
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
                        .in_path(path);
                        if let Some(left_out) = self.left_out.iter().find(|it| it.id == reference.scheme) {
                            diagnostic = diagnostic.related(
                                format!("`{}` is left out for `{}`", left_out.id, left_out.winner),
                                left_out.location.as_ref(),
                            );
                        } else if let Some(entry) = self
                            .composition
                            .plugins()
                            .iter()
                            .find(|entry| !entry.enabled && entry.id() == reference.scheme)
                        {
                            diagnostic = diagnostic
                                .related(format!("`{}` is disabled here", entry.id()), entry.location.as_ref());
                        } else {
                            if let Some(near) = nearest(&reference.scheme, schemes()) {
                                diagnostic = diagnostic.help(format!("did you mean `${{{near}:{}}}`?", reference.key));
                            }
                            let help = format!("add a plugin of type `security` that runs as `{}`", reference.scheme);
                            diagnostic = diagnostic.help(help);
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
    fn plan(mut self, mut graph: Graph, secrets: Vec<Vec<Deferred>>, composition: &Composition) -> Result<Plan> {
        for (position, deferred) in secrets.iter().enumerate() {
            graph.requires[position].extend(deferred.iter().map(|deferred| deferred.resolver));
        }
        for list in graph.requires.iter_mut().chain(&mut graph.optional) {
            list.sort_unstable();
            list.dedup();
        }
        for (wishes, needs) in graph.optional.iter_mut().zip(&graph.requires) {
            wishes.retain(|other| needs.binary_search(other).is_err());
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
                    label: [candidate.registration.metadata().kind.name, "/", entry.id()].concat().into(),
                    registration: candidate.registration,
                    config: entry.config.clone(),
                    effective: candidate.checked.effective.clone(),
                    requires: moved(&graph.requires[*old]),
                    optional: moved(&graph.optional[*old]),
                    secrets: deferred[*old]
                        .take()
                        .into_iter()
                        .flatten()
                        .map(|deferred| Deferred { resolver: place[deferred.resolver], ..deferred })
                        .collect(),
                    default: candidate.default,
                    on_failure: entry.on_failure,
                    start_timeout: entry.start_timeout,
                    stop_timeout: entry.stop_timeout,
                    retry: entry.retry,
                    resilience: candidate.resilience.clone(),
                    measure: entry.measure.or(self.composition.options.measure).unwrap_or(false),
                    path: entry.path.clone(),
                    location: entry.location.clone(),
                    policies: entry.resilience.clone(),
                    definitions: variables::used(&entry.config, self.composition.variables.as_ref()),
                }
            })
            .collect();
        crate::diagnostics::sort(&mut self.found);
        Ok(Plan {
            name: self.composition.name.clone(),
            steps,
            left_out: self.left_out,
            warnings: self.found,
            variables: self.composition.variables.clone(),
            // The layers are laid over it anew when it is resolved again.
            composition: Arc::new(composition.clone()),
            registry: self.registry.clone(),
            options: self.composition.options,
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
        diagnostic.help(match circle {
            [_] => "a plugin cannot resolve a secret of its own: take it from `${env:…}` or `${file:…}`",
            _ => "one of the plugins has to do without the other: make the requirement `optional`, or remove a plugin",
        })
    }
}

/// A finding that the plugin of an entry is not known, or nothing where it has no name, which has been said.
fn unknown(registry: &Registry, entry: &PluginEntry) -> Option<Diagnostic> {
    let (diagnostic, at, field) = match registry.kind(&entry.kind) {
        Some(_) => (registry.unknown_plugin(&entry.kind, &entry.name), &entry.name.location, "name"),
        None => (registry.unknown_kind(&entry.kind), &entry.kind.location, "type"),
    };
    let diagnostic = diagnostic.at(at.as_ref()).in_path(format!("{}.{field}", entry.path));
    (!entry.name.trim().is_empty()).then_some(diagnostic)
}

/// Whether a finding about an entry's settings is that something is not there, or may come from that: what is wrong with
/// the settings as a whole.
fn is_missing(diagnostic: &Diagnostic, entry: &PluginEntry) -> bool {
    match diagnostic.code {
        Code::MissingField | Code::MissingVariable | Code::MissingFile | Code::UnknownVariable => true,
        Code::InvalidValue => {
            diagnostic.path.as_ref().is_none_or(|path| path.strip_prefix(&entry.path) == Some(".config"))
        }
        _ => false,
    }
}

/// Reads the policies for calls to a plugin, and warns of those that its contracts give nothing to do.
fn policies(
    entry: &PluginEntry,
    variables: &dyn Variables,
    metadata: &PluginMetadata,
    found: &mut Vec<Diagnostic>,
) -> Option<Resilience> {
    let node = entry.resilience.as_ref()?;
    let path = format!("{}.resilience", entry.path);
    let mut cx = Reader::plan(variables).within(&path);
    let resilience = Resilience::read(node, &mut cx);
    found.extend(cx.into_parts().0);
    let resilience = resilience?;
    let mut warn = |policy: &str, why: &str, help: &str| {
        let kinds = listing(metadata.kinds().map(|kind| kind.name));
        let message = format!("`{policy}` does nothing for `{}`: no method of {kinds} is {why}", entry.id());
        let place = node.as_map().and_then(|map| map.entry(policy)).and_then(|entry| entry.key_location.as_ref());
        let diagnostic = Diagnostic::warning(Code::IneffectivePolicy, message).at(place.or(node.location.as_ref()));
        found.push(diagnostic.in_path(format!("{path}.{policy}")).help(help));
    };
    let methods = || metadata.kinds().flat_map(|kind| kind.methods);
    let timed = [("deadline", resilience.deadline.is_some()), ("timeout", resilience.timeout.is_some())];
    for (policy, _) in timed.into_iter().filter(|(_, set)| *set && !methods().any(|method| method.is_async)) {
        warn(policy, "async", "remove it: only a call that waits can be given up");
    }
    if resilience.retry.is_some() && !methods().any(|method| method.idempotent) {
        warn("retry", "idempotent", "remove it, or have the contract say `#[idempotent]` where a call may be repeated");
    }
    Some(resilience)
}

/// Whether a plugin meets a requirement that names it, its type or a capability of it.
pub(super) fn fits(requirement: &Requirement, metadata: &PluginMetadata) -> bool {
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
