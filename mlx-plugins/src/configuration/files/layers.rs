//! The files and variables, and how they are laid over each other.

use mlx_core::{
    config::{ConfigValue, Reader},
    diagnostics::{Code, Diagnostic, Location, Source, listing, nearest},
    prelude::*,
    value::{self, Definition, Map, Node, Reference, Template, Value, Variables, yaml},
};
use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::Path,
    sync::Arc,
};

const EXTENSIONS: [&str; 4] = ["yaml", "yml", "toml", "json"];

/// What separates the parts of a variable's name.
const SEPARATOR: &str = "__";

/// Where the settings are.
#[derive(Clone)]
pub(super) struct Layers {
    pub(super) directory: PathBuf,
    pub(super) environment: Option<String>,
    pub(super) env_prefix: Option<String>,
    pub(super) variables: Arc<dyn Variables>,
}

/// The settings as they were read at one time.
pub(super) struct State {
    pub(super) root: Node,
    /// What the references in them stand for.
    pub(super) looked_up: Arc<LookedUp>,
    /// The files that were read.
    pub(super) files: Vec<PathBuf>,
}

/// The files, and what each holds or why it cannot be read.
pub(super) type Contents = BTreeMap<PathBuf, Result<Vec<u8>, io::ErrorKind>>;

/// The values of references, kept so that what is in effect is of one time.
pub(super) struct LookedUp {
    env: HashMap<String, String>,
    /// Or why it cannot be read.
    files: HashMap<PathBuf, Result<String, String>>,
    /// What stands for the variables of a composition, which there are none of. Each has been reported.
    refused: Definition,
}

impl Variables for LookedUp {
    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        match self.files.get(path) {
            Some(Ok(text)) => Ok(text.clone()),
            Some(Err(why)) => Err(io::Error::other(why.clone())),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn definition(&self, _: &str) -> Option<&Definition> {
        Some(&self.refused)
    }
}

impl State {
    pub(super) fn same_settings(&self, other: &State) -> bool {
        let (ours, theirs) = (&self.looked_up, &other.looked_up);
        same(&self.root, &other.root) && ours.env == theirs.env && ours.files == theirs.files
    }
}

/// Whether both are the same data, wherever it was written.
fn same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().all(|entry| b.get(&entry.key).is_some_and(|other| same(&entry.value, other)))
        }
        (a, b) => a == b,
    }
}

impl Layers {
    /// Reads everything.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) with all that is wrong.
    pub(super) fn read(&self) -> Result<State> {
        let mut found = Vec::new();
        let mut root = Node::empty_map();
        let mut files = Vec::new();
        for (layer, required) in self.names() {
            match self.file(layer, required, &mut found) {
                Some((path, node)) => {
                    root.merge(node);
                    files.push(path);
                }
                None => continue,
            }
        }
        // Which setting a variable stands for depends on what the files say.
        if found.is_empty() {
            self.lay_variables(&mut root, &mut found);
        }
        let looked_up = self.look_up(&root, &mut found);
        let errors: Vec<Diagnostic> = found.into_iter().filter(Diagnostic::is_error).collect();
        match errors.is_empty() {
            true => Ok(State { root, looked_up: Arc::new(looked_up), files }),
            false => Err(Error::from_diagnostics("the configuration", errors)),
        }
    }

    /// What the files of the layers, and those that a state refers to, hold now.
    pub(super) fn look(&self, state: &State) -> Contents {
        let layers = self.names().flat_map(|(layer, _)| self.candidates(layer));
        let paths = layers.chain(state.looked_up.files.keys().cloned());
        // Opening a device or a pipe could block for ever.
        let read = |path: &Path| match std::fs::metadata(path)?.is_file() {
            true => std::fs::read(path),
            false => Err(io::ErrorKind::InvalidInput.into()),
        };
        paths.map(|path| (path.clone(), read(&path).map_err(|error| error.kind()))).collect()
    }

    /// The names of the layers that are files, and whether they have to be there.
    fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        let environment = self.environment.as_deref().map(|environment| (environment, true));
        [Some(("base", true)), environment, Some(("local", false))].into_iter().flatten()
    }

    fn candidates(&self, layer: &str) -> impl Iterator<Item = PathBuf> {
        EXTENSIONS.map(|extension| self.directory.join(format!("{layer}.{extension}"))).into_iter()
    }

    /// The file of a layer, and what it says.
    fn file(&self, layer: &str, required: bool, found: &mut Vec<Diagnostic>) -> Option<(PathBuf, Node)> {
        // A link to nowhere is there: that it cannot be read is said when it is.
        let there = |path: &PathBuf| path.symlink_metadata().is_ok();
        let files: Vec<PathBuf> = self.candidates(layer).filter(there).collect();
        let path = match &files[..] {
            [path] => path,
            [] => {
                if required {
                    found.push(self.missing(layer));
                }
                return None;
            }
            several => {
                let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
                let names = listing(names.iter().map(String::as_str));
                let message = format!("the layer `{layer}` has several files: {names}");
                found.push(Diagnostic::error(Code::DuplicateKey, message).help("keep one of them"));
                return None;
            }
        };
        match value::read_file(path) {
            // A file with nothing but comments.
            Ok(Node { value: Value::Null, .. }) => Some((path.clone(), Node::empty_map())),
            Ok(node) if node.as_map().is_some() => Some((path.clone(), node)),
            Ok(node) => {
                let message = format!("expected a mapping of settings, found {}", node.value.kind());
                found.push(Diagnostic::error(Code::WrongType, message).at(node.location.as_ref()));
                None
            }
            Err(mut mistakes) => {
                found.append(&mut mistakes);
                None
            }
        }
    }

    fn missing(&self, layer: &str) -> Diagnostic {
        let directory = self.directory.display();
        let message = format!("there is no file `{layer}.yaml` in `{directory}`, nor one in TOML or JSON");
        let diagnostic = Diagnostic::error(Code::Unreadable, message);
        let others: Vec<String> = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries.flatten().filter_map(|entry| layer_of(&entry.path())).collect(),
            Err(error) => return diagnostic.help(format!("cannot read the directory `{directory}`: {error}")),
        };
        let diagnostic = match nearest(layer, others.iter().map(String::as_str)) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic,
        };
        match others.is_empty() {
            true => diagnostic.help("check `directory`: it has no file of settings"),
            false => diagnostic.help(format!("it has {}", listing(others.iter().map(String::as_str)))),
        }
    }

    /// Lays the environment variables over the settings.
    fn lay_variables(&self, root: &mut Node, found: &mut Vec<Diagnostic>) {
        let Some(prefix) = &self.env_prefix else { return };
        let prefix = format!("{prefix}{SEPARATOR}");
        let mut names = self.variables.names();
        names.retain(|name| name.starts_with(&prefix));
        names.sort_unstable();
        let mut set: HashMap<Vec<String>, String> = HashMap::new();
        for name in names {
            let location = Location::whole(Source::environment(name.clone()));
            let parts = &name[prefix.len()..];
            if !parts.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
                || parts.split(SEPARATOR).any(str::is_empty)
            {
                let message = format!("{name:?} names no setting");
                found.push(
                    Diagnostic::error(Code::UnknownOverride, message)
                        .at(&location)
                        .help(format!("a setting is named `{prefix}SERVER{SEPARATOR}PORT`")),
                );
                continue;
            }
            let mut keys = Vec::new();
            if let Err((first, second)) = locate(Some(root), &folded(parts), &mut keys) {
                let message = format!("`{name}` could mean the setting `{first}` or `{second}`");
                found.push(
                    Diagnostic::error(Code::UnknownOverride, message)
                        .at(&location)
                        .help("write the setting in a file instead"),
                );
                continue;
            }
            if let Some(other) = set.insert(keys.clone(), name.clone()) {
                let message = format!("two environment variables set `{}`", keys.join("."));
                found.push(
                    Diagnostic::error(Code::DuplicateKey, message)
                        .at(&location)
                        .related(format!("the other one is `{other}`"), None)
                        .help("unset one of the two"),
                );
                continue;
            }
            let at = |value: Value| Node { value, location: Some(location.clone()) };
            let over = keys.into_iter().rev().fold(self.value(&name, &location), |value, key| {
                let mut map = Map::default();
                map.insert(key, value);
                at(Value::Map(map))
            });
            root.merge(over);
        }
    }

    /// The value of a variable: a reference to it, so that it is read as the type that is asked for.
    fn value(&self, name: &str, location: &Location) -> Node {
        let text = self.variables.env(name).unwrap_or_default();
        if text.trim_start().starts_with(['[', '{'])
            && let Ok(node) = yaml::parse(&Source::new(name, text))
        {
            return placed(&node, location);
        }
        Node { value: Value::String(format!("${{env:{name}}}")), location: Some(location.clone()) }
    }

    /// Looks up every reference once, and reports those that have no value.
    fn look_up(&self, root: &Node, found: &mut Vec<Diagnostic>) -> LookedUp {
        let refused = Definition { template: None, location: None };
        let mut looked_up = LookedUp { env: HashMap::new(), files: HashMap::new(), refused };
        self.collect(root, &mut looked_up, found);
        let mut reader = Reader::plan(&looked_up);
        // What is read is dropped; what is wrong is what matters.
        JsonValue::read(root, &mut reader);
        found.append(&mut reader.into_parts().0);
        looked_up
    }

    /// Takes the values of all references there are.
    fn collect(&self, node: &Node, looked_up: &mut LookedUp, found: &mut Vec<Diagnostic>) {
        match &node.value {
            Value::List(items) => items.iter().for_each(|item| self.collect(item, looked_up, found)),
            Value::Map(map) => map.iter().for_each(|entry| self.collect(&entry.value, looked_up, found)),
            Value::String(text) => {
                let Ok(Some(template)) = Template::parse(text) else { return };
                if let Some(name) = template.variables().next() {
                    let message = format!("`${{{name}}}` is a variable of a composition, and this is none");
                    found.push(
                        Diagnostic::error(Code::BadReference, message)
                            .at(node.location.as_ref())
                            .help(format!("an environment variable is written `${{env:{name}}}`"))
                            .help("write `$${` for a literal `${`"),
                    );
                }
                for Reference { scheme, key, .. } in template.references() {
                    match scheme.as_str() {
                        "env" => looked_up.env.extend(self.variables.env(key).map(|value| (key.clone(), value))),
                        "file" => {
                            let read = self.variables.file(Path::new(key)).map_err(|error| error.to_string());
                            looked_up.files.insert(key.into(), read);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// The name of the layer that a file is, if it can be one.
fn layer_of(path: &Path) -> Option<String> {
    let extension = path.extension()?.to_str()?;
    EXTENSIONS.contains(&extension).then(|| path.file_stem()?.to_str().map(str::to_owned))?
}

/// A name as it is spelt in a variable.
fn folded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// What follows a part of a variable's name; nothing where it ends there.
fn after<'n>(name: &'n str, part: &str) -> Option<&'n str> {
    let rest = name.strip_prefix(part)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix(SEPARATOR).filter(|rest| !rest.is_empty()) }
}

/// Finds the setting that a variable's name stands for: one that is there, as far as there is one.
///
/// # Errors
/// Two that are spelt alike.
fn locate(node: Option<&Node>, name: &str, keys: &mut Vec<String>) -> Result<(), (String, String)> {
    let given = node.and_then(Node::as_map).into_iter().flatten();
    let mut fits: Vec<(&str, &str)> =
        given.filter_map(|entry| Some((entry.key.as_str(), after(name, &folded(&entry.key))?))).collect();
    // The longest name leaves the least.
    fits.sort_by_key(|(_, rest)| rest.len());
    let (key, rest) = match fits[..] {
        [(first, a), (second, b), ..] if a.len() == b.len() => return Err((first.to_owned(), second.to_owned())),
        [(key, rest), ..] => (key.to_owned(), rest),
        [] => {
            let (part, rest) = name.split_once(SEPARATOR).unwrap_or((name, ""));
            (part.to_ascii_lowercase(), rest)
        }
    };
    let below = node.and_then(Node::as_map).and_then(|map| map.get(&key));
    keys.push(key);
    if rest.is_empty() { Ok(()) } else { locate(below, rest, keys) }
}

/// A value as it stands, said to be written at `location`: `${…}` in it is not looked up.
fn placed(node: &Node, location: &Location) -> Node {
    let value = match &node.value {
        Value::String(text) => Value::String(text.replace("${", "$${")),
        Value::List(items) => Value::List(items.iter().map(|item| placed(item, location)).collect()),
        Value::Map(map) => {
            let mut over = Map::default();
            map.iter().for_each(|entry| over.insert(entry.key.clone(), placed(&entry.value, location)));
            Value::Map(over)
        }
        scalar => scalar.clone(),
    };
    Node { value, location: Some(location.clone()) }
}
