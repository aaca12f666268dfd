//! From requests to what is to be rendered, in order: dependencies first, conflicts refused, nothing twice.

use super::{
    Request,
    extra::Extra,
    names,
    render::{self, Instance, Subject},
};
use crate::project::{Installed, Lock};
use mlx_components::catalogue::{Catalogue, Component, case};
use mlx_core::{
    Diagnostic, Error, JsonValue, Result,
    diagnostics::{Code, Location, listing, nearest, quoted},
    registry::SHIPPED,
    value::{Reference, Template},
};
use semver::{Version, VersionReq};
use std::collections::{BTreeMap, BTreeSet};

/// The files of an entry that an answer went into.
fn places<'l>(component: &Component, entry: &'l Installed, key: &str) -> Vec<&'l str> {
    let edits = entry.edits.iter().filter(|edit| edit.text.contains(key)).map(|edit| edit.file.as_str());
    let templates = component.templates.iter().chain(component.plugin.iter().flat_map(|plugin| &plugin.templates));
    let asking: BTreeSet<String> = templates
        .filter(|template| template.variables.iter().any(|variable| variable == key))
        .map(|template| template.name.to_string())
        .collect();
    let files = entry.files.iter().filter(|file| asking.contains(&file.template)).map(|file| file.path.as_str());
    let places: Vec<&str> = edits.chain(files).collect();
    match places.is_empty() {
        true => entry.files.iter().map(|file| file.path.as_str()).collect(),
        false => places,
    }
}

/// What is to be added.
pub(super) struct Resolved<'c> {
    pub(super) items: Vec<Item<'c>>,
    /// What is there already, and is now asked for itself: component and instance.
    pub(super) promoted: Vec<(String, Option<String>)>,
    pub(super) notes: Vec<String>,
}

pub(super) struct Item<'c> {
    pub(super) subject: Subject<'c>,
    pub(super) requested: bool,
}

pub(super) struct Resolver<'c, 'l> {
    catalogue: &'c Catalogue,
    lock: &'l Lock,
    items: Vec<Item<'c>>,
    promoted: Vec<(String, Option<String>)>,
    /// The components that were asked for, also where something is wrong with the rest of the request, and where.
    asked: BTreeMap<&'c str, Option<Location>>,
    found: Vec<Diagnostic>,
    notes: Vec<String>,
}

impl<'c, 'l> Resolver<'c, 'l> {
    pub(super) fn new(catalogue: &'c Catalogue, lock: &'l Lock) -> Self {
        Resolver {
            catalogue,
            lock,
            items: Vec::new(),
            promoted: Vec::new(),
            asked: BTreeMap::new(),
            found: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Everything that the requests come to, or everything that is wrong with them.
    pub(super) fn resolve(mut self, requests: &[Request]) -> Result<Resolved<'c>> {
        for request in requests {
            let before = self.found.len();
            self.request(request);
            for finding in &mut self.found[before..] {
                if finding.location.is_none() {
                    finding.location.clone_from(&request.location);
                }
            }
        }
        self.conflicts(&BTreeSet::new());
        self.end("the request")
    }

    /// What new versions need that is not there, with a lock that has the new versions already.
    pub(super) fn upgrade(mut self, updated: &BTreeSet<&str>) -> Result<Resolved<'c>> {
        let mut seen = BTreeSet::new();
        for entry in self.lock.components.iter().filter(|entry| seen.insert(&entry.component)) {
            let Ok(component) = self.catalogue.find(&entry.component) else { continue };
            // What another version needs is not known.
            if component.version != entry.version {
                continue;
            }
            if updated.contains(component.name.as_str()) {
                self.compatible(component);
            }
            for dependency in &component.dependencies {
                self.dependency(component, &dependency.name, &dependency.range, &mut vec![&component.name]);
            }
        }
        self.conflicts(updated);
        self.end("the update")
    }

    fn end(self, what: &str) -> Result<Resolved<'c>> {
        match self.found.is_empty() {
            true => Ok(Resolved { items: self.items, promoted: self.promoted, notes: self.notes }),
            false => Err(Error::from_diagnostics(what, self.found)),
        }
    }

    fn report(&mut self, code: Code, message: String, help: Vec<String>) {
        let found = help.into_iter().fold(Diagnostic::error(code, message), Diagnostic::help);
        if !self.found.contains(&found) {
            self.found.push(found);
        }
    }

    fn look_up(&mut self, name: &str) -> Option<&'c Component> {
        match self.catalogue.find(name) {
            Ok(component) => Some(component),
            Err(error) => {
                self.found.extend(error.diagnostics().iter().cloned());
                None
            }
        }
    }

    fn request(&mut self, request: &Request) {
        let Some(asked) = self.look_up(&request.component) else { return };
        let Some((component, kind)) = self.choose(asked, request) else { return };
        self.asked.entry(&component.name).or_insert_with(|| request.location.clone());
        if let Some(wanted) = &request.version
            && !wanted.matches(&component.version)
        {
            let message =
                format!("`{}` is asked for in `{wanted}`, the catalogue has {}", component.name, component.version);
            self.report(
                Code::UnmetComponent,
                message,
                vec!["another catalogue is given with `--catalog DIR`".to_owned()],
            );
            return;
        }
        let name = self.name_of(component, kind.as_deref(), request);
        let Ok(name) = name else { return };
        let id = request.id.clone().or_else(|| name.clone());
        let Some((answers, extra)) = self.answers(component, id.as_deref(), request) else { return };
        let instance = kind.zip(id);
        let there = match &instance {
            Some((kind, id)) => self.lock.instance(&format!("{kind}/{id}")).is_some(),
            None => self.has_itself(component),
        };
        if there {
            let what = instance.as_ref().map_or_else(|| component.name.clone(), |(kind, id)| format!("{kind}/{id}"));
            let entry = match &instance {
                Some((kind, id)) => self.lock.instance(&format!("{kind}/{id}")),
                None => self.lock.components.iter().find(|entry| entry.component == component.name),
            };
            // Answers of a composition are what it says, whoever has changed the files since.
            let other: Vec<&str> = answers
                .iter()
                .filter(|(key, value)| entry.is_some_and(|entry| entry.answers.get(*key) != Some(*value)))
                .map(|(key, _)| key.as_str())
                .collect();
            if let (None, Some(entry), false) = (&request.location, entry, other.is_empty()) {
                let places = other.iter().flat_map(|key| places(component, entry, key));
                let places = listing(places.collect::<BTreeSet<_>>());
                let keys = listing(other.iter().copied());
                self.report(
                    Code::BadAnswer,
                    format!("`{what}` is there already, so answering {keys} has no effect"),
                    vec![format!("change {places}")],
                );
                return;
            }
            let has = |of: &BTreeMap<_, _>, given: &BTreeMap<String, JsonValue>| {
                given.iter().all(|(key, value)| of.get(key) == Some(value))
            };
            let is_new = |entry: &Installed| {
                !has(&entry.extra.keys, &extra.keys) || !has(&entry.extra.settings, &extra.settings)
            };
            let unused = match (!other.is_empty() || entry.is_some_and(is_new), &request.location) {
                (false, _) => "",
                (true, None) => "; what was answered has no effect: change the files",
                (true, Some(_)) => "; what else the composition says of it now has no effect: change the files",
            };
            self.notes.push(format!("`{what}` is there already{unused}"));
            let owner = instance.map(|(kind, id)| format!("{kind}/{id}"));
            let name = owner.as_deref().and_then(|id| self.lock.instance(id)).map_or(&component.name, |i| &i.component);
            self.promoted.push((name.clone(), owner));
            return;
        }
        self.component(component, &answers, true, &mut Vec::new());
        if let Some((kind, id)) = instance {
            let instance = self.named(component, kind, id, name);
            self.instance(component, instance, answers, extra, true);
        }
    }

    /// Which component is meant, and of what type its plugin is to be.
    fn choose(&mut self, asked: &'c Component, request: &Request) -> Option<(&'c Component, Option<String>)> {
        let Some(given) = request.plugin_type.as_deref() else {
            let kind = self.only_type(asked);
            let name = request.name.as_deref();
            if let (Some(kind), Some(name)) = (&kind, name)
                && let Some(variant) = self.variant_of(kind, name)
            {
                return Some((variant, Some(kind.clone())));
            }
            if kind.is_none() && name.is_some() {
                let types = listing(asked.generates_plugin_types.iter().map(|kind| kind.as_str()));
                let (message, help) = match asked.generates_plugin_types.is_empty() {
                    true => (
                        format!("`{}` makes no plugins, so it takes no `--name`", asked.name),
                        "leave it out".to_owned(),
                    ),
                    false => {
                        let message = format!("`{}` makes plugins of several types", asked.name);
                        (message, format!("choose one with `--plugin-type`: {types}"))
                    }
                };
                self.report(Code::BadAnswer, message, vec![help]);
                return None;
            }
            if kind.is_none() && asked.links().is_some() {
                let types = listing(asked.generates_plugin_types.iter().map(|kind| kind.as_str()));
                let message = format!("`{}` has plugins of several types", asked.name);
                let help = format!("choose one with `--plugin-type` and `--name`; the types are {types}");
                self.report(Code::MissingAnswer, message, vec![help]);
                return None;
            }
            return Some((asked, kind));
        };
        let snake = case::snake(given);
        if asked.plugin.is_some() && asked.generates_plugin_types.iter().any(|kind| kind.as_str() == snake) {
            let fixed = asked.plugin.as_ref().and_then(|plugin| plugin.kind.as_ref());
            if let Some(fixed) = fixed.filter(|fixed| fixed.as_str() != snake) {
                let message = format!("plugins of `{}` are of type `{fixed}`", asked.name);
                self.report(Code::BadAnswer, message, Vec::new());
                return None;
            }
            let name = request.name.as_deref().filter(|_| asked.links().is_none());
            let variant = name.and_then(|name| self.variant_of(&snake, name));
            return Some((variant.unwrap_or(asked), Some(snake)));
        }
        if let Some(variant) =
            self.catalogue.variant(asked, given).or_else(|| self.catalogue.variant(asked, &case::kebab(given)))
        {
            let kind = self.only_type(variant);
            return Some((variant, kind));
        }
        let variants: Vec<&str> =
            self.catalogue.variants(asked).filter_map(|variant| Some(variant.name.split_once('/')?.1)).collect();
        let types: Vec<&str> = match asked.plugin {
            Some(_) => asked.generates_plugin_types.iter().map(|kind| kind.as_str()).collect(),
            None => Vec::new(),
        };
        let shown = quoted(&given.escape_debug().to_string());
        let message = format!("{shown} is neither a plugin type nor a variant of `{}`", asked.name);
        let mut help = Vec::new();
        help.extend(
            nearest(given, variants.iter().chain(&types).copied()).map(|near| format!("did you mean `{near}`?")),
        );
        for (what, known) in [("plugin types", types), ("variants", variants)] {
            if !known.is_empty() {
                help.push(format!("its {what} are {}", listing(known)));
            }
        }
        if help.is_empty() {
            help.push("leave `--plugin-type` out".to_owned());
        }
        self.report(Code::BadAnswer, message, help);
        None
    }

    /// The type of a component's plugins where there is no choice.
    fn only_type(&self, component: &Component) -> Option<String> {
        let plugin = component.plugin.as_ref()?;
        match (&plugin.kind, &component.generates_plugin_types[..]) {
            (Some(kind), _) => Some(kind.to_string()),
            (None, [kind]) => Some(kind.to_string()),
            (None, _) => None,
        }
    }

    /// The variant of that name that makes plugins of this type, in whatever section.
    pub(super) fn variant_of(&self, kind: &str, name: &str) -> Option<&'c Component> {
        let catalogue = self.catalogue;
        catalogue.components().find(|component| {
            component.name.split_once('/').is_some_and(|(_, last)| last == name)
                && component.plugin.is_some()
                && component.generates_plugin_types.iter().any(|known| known.as_str() == kind)
        })
    }

    /// The id of the plugin; `Ok(None)` where none is made, and `Err` where that was reported.
    fn name_of(
        &mut self,
        component: &'c Component,
        kind: Option<&str>,
        request: &Request,
    ) -> Result<Option<String>, ()> {
        let Some(kind) = kind else { return Ok(None) };
        let default = component.plugin.as_ref().and_then(|plugin| plugin.name.as_ref());
        let Some(name) = request.name.clone().or_else(|| default.map(ToString::to_string)) else {
            let makes =
                |variant: &&Component| variant.generates_plugin_types.iter().any(|makes| makes.as_str() == kind);
            let last = |variant: &'c Component| Some(variant.name.split_once('/')?.1);
            let variants: Vec<&str> = self.catalogue.variants(component).filter(makes).filter_map(last).collect();
            let known: Vec<&str> = self.catalogue.components().filter(makes).filter_map(last).collect();
            let mut help = vec!["give it one with `--name NAME`".to_owned()];
            if component.links().is_some() {
                help = vec![format!("choose one with `--name`: {}", listing(shipped(kind)))];
            } else if !variants.is_empty() {
                help.push(format!("or take a variant with `--plugin-type`: {}", listing(variants)));
            } else if !known.is_empty() {
                help.push(format!("the catalogue has some: `--name` with {}", listing(known)));
            }
            self.report(Code::MissingAnswer, format!("a plugin of type `{kind}` needs a name"), help);
            return Err(());
        };
        if component.links() == Some(MLX_PLUGINS) && !is_shipped(kind, &name) {
            let known: Vec<&str> = shipped(kind).collect();
            let message =
                format!("`{MLX_PLUGINS}` has no {} of type `{kind}`", quoted(&name.escape_debug().to_string()));
            let near = nearest(&name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            let help = near.into_iter().chain([format!("it has {}", listing(known.iter().copied()))]).collect();
            self.report(Code::BadAnswer, message, help);
            return Err(());
        }
        let types = names::types(self.catalogue);
        let wrong = [Some(&name), request.id.as_ref()].into_iter().flatten().find_map(|id| names::plugin(id, &types));
        match wrong {
            None => Ok(Some(name)),
            Some(found) => {
                self.found.push(found);
                Err(())
            }
        }
    }

    /// The answers, checked, and what goes into the composition as it is.
    fn answers(
        &mut self,
        component: &Component,
        id: Option<&str>,
        request: &Request,
    ) -> Option<(BTreeMap<String, JsonValue>, Extra)> {
        let before = self.found.len();
        let mut answers = BTreeMap::new();
        let mut extra = request.extra.clone();
        let is_secret = |name: &str| component.variable(name).is_some_and(|variable| variable.secret);
        let texts = request.set.iter().map(|(name, text)| (name, JsonValue::from(text.as_str()), true));
        let values = request.answers.iter().filter(|(name, _)| !request.set.contains_key(*name));
        for (name, value, is_text) in texts.chain(values.map(|(name, value)| (name, value.clone(), false))) {
            let place = request.places.get(name).filter(|_| !is_text).cloned();
            let place = if is_secret(name) { place.map(Location::without_text) } else { place };
            if is_secret(name)
                && is_reference(&value)
                && let Some(found) = value.as_str().and_then(|text| default_of_secret(name, &component.name, text))
            {
                self.found.push(found.at(place.as_ref()));
                continue;
            }
            if is_secret(name) && !is_reference(&value) {
                let variable = format!("{}_{}", case::snake(id.unwrap_or(&component.name)), name).to_uppercase();
                let message = format!("`{name}` of `{}` is a secret, which is not given here", component.name);
                let found = Diagnostic::error(Code::SecretAnswer, message).at(place.as_ref());
                self.found.push(match &request.location {
                    None => {
                        found.help(format!("the program reads it from the environment: set `{variable}` where it runs"))
                    }
                    Some(_) => found.help(format!(
                        "write `${{env:{variable}}}` in its place, and set `{variable}` where the program runs"
                    )),
                });
                continue;
            }
            // What is looked up when the program starts can stand for a setting of any type.
            if component.config_schema.get(name).is_some() && is_reference(&value) && id.is_some() {
                extra.settings.insert(name.clone(), value);
                continue;
            }
            let read = match (component.variable(name), value.as_str()) {
                (Some(variable), Some(text)) if is_text => variable.parse(name, text),
                (Some(variable), _) => variable.check(name, &value).map(|()| value),
                // What `answers` says below.
                (None, _) => Ok(value),
            };
            match read {
                Ok(value) => drop(answers.insert(name.clone(), value)),
                Err(error) => {
                    self.found.extend(error.diagnostics().iter().cloned().map(|found| found.at(place.as_ref())))
                }
            }
        }
        let missing = component.variables.iter().filter(|(name, variable)| {
            variable.required && !variable.secret && !answers.contains_key(*name) && !request.set.contains_key(*name)
        });
        let missing: Vec<_> = missing.map(|(name, variable)| (name.to_owned(), variable.description.clone())).collect();
        for (name, description) in &missing {
            let message = format!("`{}` needs `{name}`: {}", component.name, description.trim_end_matches('.'));
            self.report(Code::MissingAnswer, message, vec![format!("give it with `--set {name}=…`")]);
        }
        if missing.is_empty()
            && let Err(error) = component.answers(&answers)
        {
            let plugin = component.plugin.as_ref().filter(|_| id.is_some());
            let is_around = plugin.is_some_and(|plugin| plugin.shipped.is_some() || plugin.links.is_some());
            for found in error.diagnostics() {
                // Under a name that nobody knows there may be a secret.
                let place = found.path.as_ref().and_then(|name| request.places.get(name));
                let found = found.clone().at(place.cloned().map(Location::without_text).as_ref());
                self.found.push(match found.code {
                    Code::UnknownField if is_around => found.help(
                        "a setting that only the plugin inside has is written by hand, under `config:` of its entry in \
                         `platform.yaml`",
                    ),
                    _ => found,
                });
            }
        }
        (self.found.len() == before).then_some((answers, extra))
    }

    /// Whether the project has the component itself, apart from plugins made of it.
    fn has_itself(&self, component: &Component) -> bool {
        self.lock.find(&component.name, None).is_some() || (!is_of_its_own(component) && self.has(&component.name))
    }

    fn has(&self, name: &str) -> bool {
        self.lock.components.iter().any(|installed| installed.component == name)
    }

    /// Adds a component with what it needs, unless it is there.
    fn component(
        &mut self,
        component: &'c Component,
        answers: &BTreeMap<String, JsonValue>,
        requested: bool,
        way: &mut Vec<&'c str>,
    ) {
        if way.contains(&component.name.as_str()) {
            let circle =
                way.iter().chain([&component.name.as_str()]).map(|name| format!("`{name}`")).collect::<Vec<_>>();
            self.report(
                Code::UnmetComponent,
                format!("components need each other in a circle: {}", circle.join(" → ")),
                Vec::new(),
            );
            return;
        }
        let same =
            |item: &&mut Item<'c>| item.subject.component.name == component.name && item.subject.instance.is_none();
        if let Some(item) = self.items.iter_mut().find(same) {
            item.requested |= requested;
            if requested {
                item.subject.answers.extend(answers.clone());
            }
            return;
        }
        if self.has_itself(component) {
            return;
        }
        self.compatible(component);
        way.push(&component.name);
        for dependency in &component.dependencies {
            self.dependency(component, &dependency.name, &dependency.range, way);
        }
        way.pop();
        if is_of_its_own(component) {
            let subject = Subject { component, instance: None, answers: answers.clone(), extra: Extra::default() };
            self.items.push(Item { subject, requested });
        }
    }

    fn compatible(&mut self, component: &Component) {
        let version = env!("CARGO_PKG_VERSION").parse().unwrap_or(Version::new(0, 0, 0));
        for (name, range) in component.compatibility.iter().filter(|(_, range)| !range.matches(&version)) {
            let message =
                format!("`{}` {} works with {name} `{range}`, this is {version}", component.name, component.version);
            self.report(Code::UnmetComponent, message, Vec::new());
        }
    }

    fn dependency(&mut self, of: &'c Component, name: &str, range: &VersionReq, way: &mut Vec<&'c str>) {
        let Ok(needed) = self.catalogue.find(name) else {
            let message = format!("`{}` needs `{name}`, which the catalogue does not have", of.name);
            self.report(Code::UnmetComponent, message, Vec::new());
            return;
        };
        let installed = self.lock.components.iter().find(|installed| installed.component == needed.name);
        let version = installed.map_or(&needed.version, |installed| &installed.version);
        if !range.matches(version) {
            let (where_, help) = match installed {
                Some(_) if range.matches(&needed.version) => {
                    ("the project has", vec![format!("bring it up to date with `mlx update {}`", needed.name)])
                }
                Some(_) => ("the project has", Vec::new()),
                None => ("the catalogue has", Vec::new()),
            };
            let message = format!("`{}` needs `{}` in `{range}`, {where_} {version}", of.name, needed.name);
            self.report(Code::UnmetComponent, message, help);
            return;
        }
        if !self.has(&needed.name) && !self.items.iter().any(|item| item.subject.component.name == needed.name) {
            for (name, _) in needed.variables.iter().filter(|(_, variable)| variable.required && !variable.secret) {
                let message = format!("`{}` needs `{}`, which needs `{name}`", of.name, needed.name);
                let help = format!("add it first: `mlx add {} --set {name}=…`", needed.name);
                self.report(Code::MissingAnswer, message, vec![help]);
            }
        }
        self.component(needed, &BTreeMap::new(), false, way);
        let default = needed.plugin.as_ref().and_then(|plugin| plugin.name.as_ref()).map(ToString::to_string);
        if let (Some(kind), Some(id)) = (self.only_type(needed), default)
            && !self.has(&needed.name)
        {
            let instance = self.named(needed, kind, id, None);
            self.instance(needed, instance, BTreeMap::new(), Extra::default(), false);
        }
    }

    /// The plugin that runs under an id, with the name that it is registered with. One that is linked as it is has its own `name`
    /// there, and no module here.
    fn named(&self, component: &Component, kind: String, id: String, name: Option<String>) -> Instance {
        if component.links().is_some() {
            return Instance { name: name.unwrap_or_else(|| id.clone()), kind, id, module: None };
        }
        // Two plugins of different types may have one id, and then the second has its type in its module's name.
        let module = case::snake(&id);
        let there = self.lock.components.iter().filter_map(|installed| installed.module.as_deref());
        let new = self.items.iter().filter_map(|item| item.subject.instance.as_ref()?.module.as_deref());
        let module = match there.chain(new).any(|other| other == module) {
            true => format!("{module}_{kind}"),
            false => module,
        };
        let shipped = component.plugin.as_ref().is_some_and(|plugin| plugin.shipped.is_some());
        let name = if shipped { format!("{}-{id}", self.lock.project.name) } else { id.clone() };
        Instance { kind, id, name, module: Some(module) }
    }

    fn instance(
        &mut self,
        component: &'c Component,
        instance: Instance,
        answers: BTreeMap<String, JsonValue>,
        extra: Extra,
        requested: bool,
    ) {
        let is_same = |item: &&mut Item<'c>| {
            item.subject.instance.as_ref().is_some_and(|other| other.kind == instance.kind && other.id == instance.id)
        };
        if let Some(item) = self.items.iter_mut().find(is_same) {
            let Item { subject, requested: asked } = item;
            *asked |= requested;
            if subject.component.name == component.name {
                subject.answers.extend(answers);
                subject.extra.keys.extend(extra.keys);
                subject.extra.settings.extend(extra.settings);
            } else if !answers.is_empty() || !extra.is_empty() {
                let (plugin, of) = (instance.full_id(), &subject.component.name);
                self.notes.push(format!("`{plugin}` is made by `{of}`; what was answered for it has no effect"));
            }
            return;
        }
        let instance = Some(instance);
        self.items.push(Item { subject: Subject { component, instance, answers, extra }, requested });
    }

    /// Components that exclude each other, each pair once, if one of the two is new or `updated`.
    fn conflicts(&mut self, updated: &BTreeSet<&str>) {
        let items = self.items.iter().map(|item| item.subject.component.name.as_str());
        let installed: BTreeSet<&str> =
            self.lock.components.iter().map(|installed| installed.component.as_str()).collect();
        let asked = self.asked.keys().copied().filter(|name| !installed.contains(name));
        let new: BTreeSet<&str> = items.chain(updated.iter().copied()).chain(asked).collect();
        let catalogue = self.catalogue;
        let mut pairs = BTreeSet::new();
        for name in new.union(&installed) {
            let Ok(component) = catalogue.find(name) else { continue };
            for other in &component.conflicts_with {
                let other = catalogue.find(other).map_or(other.as_str(), |other| other.name.as_str());
                let both = new.contains(other) || installed.contains(other);
                if both && (new.contains(name) || new.contains(other)) {
                    pairs.insert(if *name < other { (*name, other) } else { (other, *name) });
                }
            }
        }
        let found: Vec<_> = pairs
            .into_iter()
            .map(|(a, b)| {
                let there = [a, b].into_iter().find(|name| installed.contains(name));
                let help = match there {
                    Some(there) => {
                        format!("take the other one out with `mlx remove {there}`, or leave the new one out")
                    }
                    None => "leave one of the two out".to_owned(),
                };
                let at = |name: &str| self.asked.get(name).and_then(Option::as_ref);
                let found =
                    Diagnostic::error(Code::ComponentConflict, format!("`{a}` and `{b}` cannot be in one project"));
                match (at(a), at(b)) {
                    (Some(first), Some(second)) => found.at(first.max(second)).related("the other", first.min(second)),
                    (only, other) => found.at(only.or(other)),
                }
                .help(help)
            })
            .collect();
        self.found.extend(found);
    }
}

/// The package of [`SHIPPED`].
pub(super) const MLX_PLUGINS: &str = "mlx-plugins";

/// Whether the package `mlx-plugins` has a plugin of this type and name.
pub(super) fn is_shipped(kind: &str, name: &str) -> bool {
    SHIPPED.contains(&render::feature_of(kind, name).as_str())
}

/// The names of the plugins of a type that `mlx-plugins` has.
pub(super) fn shipped(kind: &str) -> impl Iterator<Item = &'static str> {
    let prefix = render::feature_of(kind, "");
    SHIPPED.iter().filter_map(move |feature| feature.strip_prefix(&prefix))
}

/// Whether a component puts something into a project by itself, apart from plugins.
fn is_of_its_own(component: &Component) -> bool {
    let cargo = &component.cargo;
    component.plugin.is_none()
        || !component.templates.is_empty()
        || !component.edits.is_empty()
        || !cargo.dependencies.is_empty()
        || !cargo.dev_dependencies.is_empty()
}

/// What is wrong with references in the place of a secret: a default that is written out is the secret, or as good as it.
pub(super) fn default_of_secret(setting: &str, of: &str, text: &str) -> Option<Diagnostic> {
    let template = Template::parse(text).ok()??;
    let written = |reference: &&Reference| reference.default.as_ref().is_some_and(|default| !default.is_empty());
    let reference = template.references().find(written)?;
    let message = format!("`{setting}` of `{of}` is a secret, which may not have a default in a file");
    let help = format!("drop `:-…`, and write `{}`", reference.to_string().escape_debug());
    Some(Diagnostic::error(Code::SecretAnswer, message).help(help))
}

/// Whether the value is looked up when the program starts: `${env:TOKEN}`.
pub(super) fn is_reference(value: &JsonValue) -> bool {
    value.as_str().is_some_and(|text| text.starts_with("${") && text.ends_with('}') && text.len() > 3)
}
