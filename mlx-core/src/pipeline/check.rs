//! Every check of a pipeline that runs nothing.

use super::{
    Pipeline, Step,
    document::Work,
    reference::{Reference, SECTIONS, Target, references},
};
use crate::{
    config::Located,
    diagnostics::{Code, Diagnostic, Error, Location, Result, listing, nearest},
    graph::Graph,
};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeSet, HashMap};

/// A pipeline whose names all mean something. Steps are positions in the pipeline.
#[derive(Debug)]
pub(super) struct Checked {
    /// The steps so that each follows what it waits for.
    pub(super) order: Vec<usize>,
    /// What each step waits for, sorted.
    pub(super) requires: Vec<Vec<usize>>,
    /// Whose typed data each step takes, in the order of the pipeline.
    pub(super) data: Vec<Vec<usize>>,
    pub(super) by_name: HashMap<String, usize>,
    /// The plugin that each step executes, as `type/id`; `None` for a function.
    pub(super) plugins: Vec<Option<String>>,
}

/// How many steps may run at the same time.
const MOST_PARALLEL: usize = 1024;

/// Checks a pipeline against the plugins there are, `type/id`, and what the run is given.
pub(super) fn check(pipeline: &Pipeline, labels: &[String], input: &Map<String, Json>) -> Result<Checked> {
    let mut checker = Checker { pipeline, labels, input, by_name: HashMap::new(), found: pipeline.problems.clone() };
    checker.names();
    let plugins = pipeline.steps.iter().map(|step| checker.plugin(step)).collect();
    let (requires, data) = (0..pipeline.steps.len()).map(|position| checker.dependencies(position)).unzip();
    if !(1..=MOST_PARALLEL).contains(&pipeline.parallelism.value) {
        let message = format!("`{}` is out of range: expected 1 to {MOST_PARALLEL}", pipeline.parallelism.value);
        let at = pipeline.parallelism.location.as_ref();
        checker.found.push(Diagnostic::error(Code::OutOfRange, message).at(at).in_path("parallelism"));
    }
    let graph = Graph { optional: vec![Vec::new(); pipeline.steps.len()], requires };
    let order = graph.order().unwrap_or_else(|circles| {
        let found: Vec<Diagnostic> = circles.iter().map(|circle| checker.circle(circle)).collect();
        checker.found.extend(found);
        Vec::new()
    });
    if checker.found.iter().any(Diagnostic::is_error) {
        let subject = if pipeline.name.is_empty() {
            "the pipeline".to_owned()
        } else {
            format!("the pipeline `{}`", pipeline.name)
        };
        return Err(Error::from_diagnostics(subject, checker.found));
    }
    Ok(Checked { order, requires: graph.requires, data, by_name: checker.by_name, plugins })
}

struct Checker<'p> {
    pipeline: &'p Pipeline,
    labels: &'p [String],
    input: &'p Map<String, Json>,
    by_name: HashMap<String, usize>,
    found: Vec<Diagnostic>,
}

impl Checker<'_> {
    fn report(&mut self, diagnostic: Diagnostic, location: Option<&Location>, path: String) {
        self.found.push(diagnostic.at(location).in_path(path));
    }

    fn names(&mut self) {
        for (position, step) in self.pipeline.steps.iter().enumerate() {
            let (at, path) = (step.name.location.as_ref(), format!("{}.name", step.path));
            if !is_name(&step.name) {
                let message = format!("`{}` cannot be the name of a step", step.name.value);
                let help = "a name has 1 to 64 letters of ASCII, digits, `-` and `_`";
                self.report(Diagnostic::error(Code::InvalidValue, message).help(help), at, path.clone());
            }
            match self.by_name.get(step.name()) {
                None => drop(self.by_name.insert(step.name().to_owned(), position)),
                Some(first) => {
                    let first = self.pipeline.steps[*first].name.location.clone();
                    let message = format!("two steps are named `{}`", step.name());
                    let diagnostic =
                        Diagnostic::error(Code::DuplicateId, message).related("the first is here", first.as_ref());
                    self.report(diagnostic.help("give one of them another name"), at, path);
                }
            }
        }
    }

    fn plugin(&mut self, step: &Step) -> Option<String> {
        let Work::Plugin(id) = &step.work else { return None };
        let id_of = |label: &str| label.split_once('/').map_or(label, |(_, id)| id).to_owned();
        let matching: Vec<&String> =
            self.labels.iter().filter(|label| **label == id.value || id_of(label) == id.value).collect();
        let diagnostic = match matching.as_slice() {
            [one] => return Some((*one).clone()),
            [] => {
                let message = format!("the platform has no plugin with the id `{}`", id.value);
                let diagnostic = Diagnostic::error(Code::UnknownStepPlugin, message);
                let ids: Vec<String> = self.labels.iter().map(|label| id_of(label)).collect();
                match nearest(id, ids.iter().chain(self.labels).map(String::as_str)) {
                    Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                    None if self.labels.is_empty() => diagnostic.help("the platform has no plugins"),
                    None => diagnostic.help(format!("it has {}", listing(self.labels.iter().map(String::as_str)))),
                }
            }
            several => {
                let message = format!("`{}` is ambiguous: {} plugins run under it", id.value, several.len());
                let labels = listing(several.iter().map(|label| label.as_str()));
                Diagnostic::error(Code::UnknownStepPlugin, message).help(format!("say which: {labels}"))
            }
        };
        self.report(diagnostic, id.location.as_ref(), format!("{}.plugin", step.path));
        None
    }

    /// What a step waits for, and whose data it takes.
    fn dependencies(&mut self, position: usize) -> (Vec<usize>, Vec<usize>) {
        let step = &self.pipeline.steps[position];
        let mut requires = BTreeSet::new();
        let mut named = |checker: &mut Self, key: &str, names: &[Located<String>]| {
            let mut found = Vec::new();
            for (index, name) in names.iter().enumerate() {
                let path = format!("{}.{key}[{index}]", step.path);
                found.extend(checker.step(name, name.location.as_ref(), path));
            }
            requires.extend(found.iter().copied());
            found
        };
        named(self, "after", &step.after);
        let mut data = named(self, "data", &step.data);
        data.sort_unstable();
        data.dedup();
        for (node, below, reference) in references(&step.input) {
            let (at, path) = (node.location.as_ref(), format!("{}.input{below}", step.path));
            match reference {
                Ok(reference) => requires.extend(self.reference(&reference, at, path)),
                Err(why) => {
                    let diagnostic = Diagnostic::error(Code::BadReference, why).help("write `$${` for a literal `${`");
                    self.report(diagnostic, at, path);
                }
            }
        }
        (requires.into_iter().collect(), data)
    }

    fn step(&mut self, name: &str, at: Option<&Location>, path: String) -> Option<usize> {
        if let Some(position) = self.by_name.get(name) {
            return Some(*position);
        }
        let known = || self.pipeline.steps.iter().map(Step::name);
        let diagnostic = Diagnostic::error(Code::UnknownStep, format!("the pipeline has no step `{name}`"));
        let diagnostic = match nearest(name, known()) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic.help(format!("the steps are {}", listing(known()))),
        };
        self.report(diagnostic, at, path);
        None
    }

    /// What a reference makes its step wait for.
    fn reference(&mut self, reference: &Reference, at: Option<&Location>, path: String) -> Option<usize> {
        let name = match &reference.target {
            Target::Step(name) => name,
            Target::Input => {
                if let Some(key) = reference.path.first().filter(|key| !self.input.contains_key(key.as_str())) {
                    let known = || self.input.keys().map(String::as_str);
                    let diagnostic = unknown(Code::UnknownOutput, format!("the run is given no `{key}`"), key, known());
                    let help = "give it when the pipeline is run, or a default under `input` of the pipeline";
                    self.report(diagnostic.help(help), at, path);
                }
                return None;
            }
        };
        let position = self.step(name, at, path.clone())?;
        let Some(section) = reference.path.first() else { return Some(position) };
        if !SECTIONS.contains(&section.as_str()) {
            let message = format!("a step delivers no `{section}`");
            let diagnostic = unknown(Code::UnknownOutput, message, section, SECTIONS.iter().copied());
            self.report(diagnostic, at, path);
        } else if let (Some(key), Some(declared), "outputs") =
            (reference.path.get(1), &self.pipeline.steps[position].outputs, section.as_str())
            && declared.iter().all(|output| output.value != *key)
        {
            let message = format!("the step `{name}` does not declare the output `{key}`");
            let diagnostic = unknown(Code::UnknownOutput, message, key, declared.iter().map(|output| output.as_str()));
            self.report(diagnostic, at, path);
        }
        Some(position)
    }

    fn circle(&self, circle: &[usize]) -> Diagnostic {
        let steps: Vec<&Step> = circle.iter().map(|position| &self.pipeline.steps[*position]).collect();
        let first = steps[0];
        let around: Vec<String> = steps.iter().chain([&first]).map(|step| format!("`{}`", step.name())).collect();
        let message = match steps.as_slice() {
            [only] => format!("the step `{}` waits for itself", only.name()),
            _ => format!("steps wait for each other in a circle: {}", around.join(" waits for ")),
        };
        let mut diagnostic = Diagnostic::error(Code::Cycle, message)
            .at(first.location.as_ref())
            .in_path(&first.path)
            .help("remove one of `after`, `data` or a reference along the circle");
        for step in &steps[1..] {
            diagnostic = diagnostic.related(format!("`{}` is here", step.name()), step.location.as_ref());
        }
        diagnostic
    }
}

/// A finding about a name that is none of those there are.
pub(super) fn unknown<'a>(
    code: Code,
    message: String,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let diagnostic = Diagnostic::error(code, message);
    match nearest(name, known.clone()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None if known.clone().next().is_none() => diagnostic.help("there is none"),
        None => diagnostic.help(format!("there is {}", listing(known))),
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
}
