//! Variables of a composition: texts with a name that settings refer to as `${name}`.

use crate::{
    config::{Fields, Reader},
    diagnostics::{Code, Diagnostic, Location, listing, nearest},
    value::{Definition, Map, Node, Template, TemplateError, Value, Variables},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
    sync::Arc,
};

/// A variable may come to this many bytes once others are put in. Keeps variables that double each other from filling
/// the memory.
const MAX_SIZE: usize = 1 << 16;

/// Reads the section `variables`: scalars by their names.
pub(super) fn read(fields: &mut Fields<'_>, cx: &mut Reader<'_>) -> Map {
    let mut read = Map::default();
    let Some(node) = cx.field::<Option<Node>>(fields, "variables", None).flatten() else { return read };
    cx.nested("variables", |cx| {
        if cx.fields(&node).is_none() {
            return;
        }
        for entry in node.as_map().into_iter().flatten() {
            cx.nested(entry.key.clone(), |cx| {
                if !Template::is_variable_name(&entry.key) {
                    let diagnostic = Diagnostic::error(
                        Code::InvalidValue,
                        format!("`{}` cannot be the name of a variable", entry.key),
                    )
                    .at(entry.key_location.as_ref())
                    .help("a name begins with a letter or `_`, and goes on with letters, digits, `_`, `-` and `.`");
                    return cx.report(diagnostic);
                }
                match &entry.value.value {
                    Value::Null | Value::List(_) | Value::Map(_) => {
                        cx.expected("a text, a number or a truth value", &entry.value)
                    }
                    _ => read.push(entry.clone()),
                }
            });
        }
    });
    read
}

/// The environment, and the variables of a composition.
pub(super) struct Scope {
    environment: Arc<dyn Variables>,
    definitions: BTreeMap<String, Definition>,
}

impl Variables for Scope {
    fn env(&self, name: &str) -> Option<String> {
        self.environment.env(name)
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        self.environment.file(path)
    }

    fn names(&self) -> Vec<String> {
        self.environment.names()
    }

    fn definition(&self, name: &str) -> Option<&Definition> {
        self.definitions.get(name)
    }

    fn defined(&self) -> Vec<&str> {
        self.definitions.keys().map(String::as_str).collect()
    }
}

/// The variables of a composition without environment and files: what is said of a text does not depend on the machine.
pub(super) struct Unset<'v>(pub(super) &'v dyn Variables);

impl Variables for Unset<'_> {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn definition(&self, name: &str) -> Option<&Definition> {
        self.0.definition(name)
    }

    fn defined(&self) -> Vec<&str> {
        self.0.defined()
    }
}

/// A variable whose text is not complete yet.
struct Open<'m> {
    name: &'m str,
    location: Option<&'m Location>,
    template: Template,
    /// How many of the variables in it are not complete.
    waits: usize,
}

/// Puts variables into each other, and reports those for which that cannot be done.
pub(super) fn scope(map: &Map, environment: Arc<dyn Variables>, found: &mut Vec<Diagnostic>) -> Arc<dyn Variables> {
    if map.is_empty() {
        return environment;
    }
    let mut scope = Scope { environment, definitions: BTreeMap::new() };
    let wrong = |location: Option<&Location>| Definition { template: None, location: location.cloned() };
    let names: HashSet<&str> = map.iter().map(|entry| entry.key.as_str()).collect();
    let mut open: Vec<Open<'_>> = Vec::new();
    for entry in map {
        let (name, location) = (entry.key.as_str(), entry.value.location.as_ref());
        let refused = |code: Code, message: String| {
            Diagnostic::error(code, message).at(location).in_path(format!("variables.{name}"))
        };
        let text = match &entry.value.value {
            Value::String(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            Value::Uint(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Null | Value::List(_) | Value::Map(_) => continue,
        };
        let template = match Template::parse(&text) {
            Ok(template) => template.unwrap_or_else(|| Template::literal(text)),
            Err(error) => {
                let why = if let TemplateError::Malformed(why) = error { why } else { "it is malformed" };
                found.push(refused(Code::BadReference, why.to_owned()).help("write `$${` for a literal `${`"));
                scope.definitions.insert(name.to_owned(), wrong(location));
                continue;
            }
        };
        if let Some(unknown) = template.variables().find(|other| !names.contains(other)) {
            let known = || names.iter().copied().filter(|known| *known != name);
            let mut diagnostic = refused(Code::UnknownVariable, format!("the composition has no variable `{unknown}`"));
            if let Some(near) = nearest(unknown, known()) {
                diagnostic = diagnostic.help(format!("did you mean `${{{near}}}`?"));
            }
            found.push(
                diagnostic
                    .help(format!("the variables are {}", listing(names.iter().copied())))
                    .help(format!("an environment variable is written `${{env:{unknown}}}`")),
            );
            scope.definitions.insert(name.to_owned(), wrong(location));
            continue;
        }
        open.push(Open { name, location, template, waits: 0 });
    }
    // Each is complete when those that it refers to are.
    let position: HashMap<&str, usize> = open.iter().enumerate().map(|(at, open)| (open.name, at)).collect();
    let mut followers = vec![Vec::new(); open.len()];
    for (at, open) in open.iter_mut().enumerate() {
        for before in open.template.variables().filter_map(|name| position.get(name)) {
            followers[*before].push(at);
            open.waits += 1;
        }
    }
    let mut ready: Vec<usize> = (0..open.len()).filter(|at| open[*at].waits == 0).collect();
    while let Some(at) = ready.pop() {
        let Open { name, location, template, .. } = &open[at];
        // What is wrong in another one has been reported.
        let template = template.clone().expand(&scope).ok();
        let too_large = template.as_ref().is_some_and(|template| template.size() > MAX_SIZE);
        if too_large {
            let message = format!("the variable comes to more than {} KiB", MAX_SIZE >> 10);
            found.push(Diagnostic::error(Code::TooLarge, message).at(*location).in_path(format!("variables.{name}")));
        }
        let template = template.filter(|_| !too_large);
        scope.definitions.insert((*name).to_owned(), Definition { template, location: location.cloned() });
        for follower in std::mem::take(&mut followers[at]) {
            open[follower].waits -= 1;
            if open[follower].waits == 0 {
                ready.push(follower);
            }
        }
    }
    open.retain(|open| open.waits > 0);
    circles(&open, found);
    for Open { name, location, .. } in open {
        scope.definitions.insert(name.to_owned(), wrong(location));
    }
    Arc::new(scope)
}

/// What the variables in settings stand for.
pub(super) fn used(config: &Node, variables: &dyn Variables) -> BTreeMap<String, Option<Template>> {
    fn collect(node: &Node, variables: &dyn Variables, found: &mut BTreeMap<String, Option<Template>>) {
        match &node.value {
            Value::String(text) => {
                let Ok(Some(template)) = Template::parse(text) else { return };
                for name in template.variables() {
                    let define = || variables.definition(name).and_then(|definition| definition.template.clone());
                    found.entry(name.to_owned()).or_insert_with(define);
                }
            }
            Value::List(items) => items.iter().for_each(|item| collect(item, variables, found)),
            Value::Map(map) => map.iter().for_each(|entry| collect(&entry.value, variables, found)),
            _ => {}
        }
    }
    let mut found = BTreeMap::new();
    if !variables.defined().is_empty() {
        collect(config, variables, &mut found);
    }
    found
}

/// Reports every circle once. What only leads to one has no mistake of its own.
fn circles(waiting: &[Open<'_>], found: &mut Vec<Diagnostic>) {
    let position: HashMap<&str, usize> = waiting.iter().enumerate().map(|(at, open)| (open.name, at)).collect();
    // Each of them refers to another of them: going on from any leads into a circle.
    let mut visited = vec![0; waiting.len()];
    for start in 0..waiting.len() {
        let mut way = Vec::new();
        let mut at = start;
        while visited[at] == 0 {
            visited[at] = start + 1;
            way.push(at);
            match waiting[at].template.variables().find_map(|name| position.get(name)) {
                Some(next) => at = *next,
                None => break,
            }
        }
        let Some(begin) = way.iter().position(|member| *member == at).filter(|_| visited[at] == start + 1) else {
            continue;
        };
        let circle = &way[begin..];
        let names: Vec<String> =
            circle.iter().chain(&circle[..1]).map(|at| format!("`{}`", waiting[*at].name)).collect();
        let Open { name, location, .. } = &waiting[circle[0]];
        let message = match circle {
            [_] => format!("the variable {} stands for itself", names[0]),
            _ => format!("variables stand for each other in a circle: {}", names.join(" refers to ")),
        };
        let mut diagnostic =
            Diagnostic::error(Code::CircularVariable, message).at(*location).in_path(format!("variables.{name}"));
        for other in &circle[1..] {
            diagnostic =
                diagnostic.related(format!("`{}` is defined here", waiting[*other].name), waiting[*other].location);
        }
        found.push(diagnostic.help("give one of them a value without the others"));
    }
}
