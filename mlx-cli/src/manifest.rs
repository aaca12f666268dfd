//! Edits of `Cargo.toml` that leave every byte outside the edit as it is.
//!
//! The file is read by `toml_edit`, and changed by replacing spans of its text: what a format-preserving writer would
//! normalise (line endings, spaces, the places of comments in lists) is never touched.

use crate::{
    merge,
    position::{location, one_line},
    project::ProjectPath,
};
use mlx_core::{
    Diagnostic, Error, Result,
    diagnostics::{Code, Source, quoted},
};
use semver::{Comparator, Op, Version, VersionReq};
use std::{ops::Range, sync::Arc};
use toml_edit::{Array, Document, Item, Key, Table, TableLike, Value};

/// A table of dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// `[dependencies]`
    Normal,
    /// `[dev-dependencies]`
    Dev,
    /// `[build-dependencies]`
    Build,
}

impl Section {
    /// The table's key.
    pub const fn key(self) -> &'static str {
        match self {
            Section::Normal => "dependencies",
            Section::Dev => "dev-dependencies",
            Section::Build => "build-dependencies",
        }
    }
}

/// A crate that generated code needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The crate's name.
    pub name: String,
    /// The versions that will do; any when `None`.
    pub version: Option<String>,
    /// The features that have to be on.
    pub features: Vec<String>,
    /// Whether the default features have to be on.
    pub default_features: bool,
    /// Where it comes from, if not from the registry.
    pub source: Option<Origin>,
    /// Whether it is declared in `[workspace.dependencies]` where the file has a `[workspace]`.
    pub shared: bool,
}

/// Where a crate comes from, if not from the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A folder.
    Path(String),
    /// A git repository, and perhaps its `branch`, `tag` or `rev`.
    Git(String, Option<(String, String)>),
}

impl Requirement {
    /// A crate of the registry, with its default features.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Requirement {
            name: name.into(),
            version: Some(version.into()),
            features: Vec::new(),
            default_features: true,
            source: None,
            shared: false,
        }
    }

    fn check(&self) -> Result<()> {
        let named = |text: &str, also: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c) || also.contains(c))
        };
        let fault = if !named(&self.name, "") {
            format!("{} is no name of a crate", quoted(&self.name))
        } else if let Some(feature) = self.features.iter().find(|feature| !named(feature, "+./?")) {
            format!("{} is no name of a feature", quoted(feature))
        } else if let Some(version) = self.version.as_deref().filter(|text| VersionReq::parse(text).is_err()) {
            format!("{} is no version requirement", quoted(version))
        } else {
            return Ok(());
        };
        Err(Error::from_diagnostics("a dependency", vec![Diagnostic::error(Code::BadManifest, fault)]))
    }
}

/// What [`require`] made of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required {
    /// The text, which is the same when nothing was missing.
    pub text: String,
    /// Whether the dependency is new; otherwise the user, or another component, has it too.
    pub added: bool,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// The text in which the dependency is met: added in the style of those around it, or what is there given the features and
/// the versions that are missing. Versions are unified: what satisfies both requirements is written, `0.8.4` for `0.8` and
/// `0.8.4`. What the user's own entry says of the source stays.
///
/// # Errors
/// [`Code::BadManifest`], with the position: a file that cargo would not read, versions that exclude each other, an entry of
/// this name that is another crate. `why` names who needs it.
pub fn require(path: &ProjectPath, text: &str, section: Section, needed: &Requirement, why: &str) -> Result<Required> {
    needed.check()?;
    let mut edited = text.to_owned();
    let mut added = false;
    // Each round does one thing, and reads what came of it. A dependency has fewer parts than this.
    for _ in 0..needed.features.len() + 8 {
        let source = Source::new(path.as_str(), Arc::from(edited.as_str()));
        let document = parse(path, &source)?;
        let file = File { path, source: &source, text: &edited, root: document.as_table() };
        let Some(edit) = file.next(section, needed, why)? else {
            let notes = file.notes(section, needed);
            return Ok(Required { text: edited, added, notes });
        };
        added |= edit.adds;
        edited.replace_range(edit.at, &edit.with);
    }
    Err(Error::internal(format!("the dependency on `{}` could not be written into {path}", needed.name)))
}

/// Where a dependency comes from that the file declares, in `[workspace.dependencies]` or for the package: `Ok(Some(None))` is
/// the registry.
///
/// # Errors
/// [`Code::BadManifest`]: a file that cargo would not read.
pub fn origin(path: &ProjectPath, text: &str, name: &str) -> Result<Option<Option<Origin>>> {
    let source = Source::new(path.as_str(), Arc::from(text));
    let document = parse(path, &source)?;
    let root = document.as_table();
    let shared = root.get("workspace").and_then(|table| table.get("dependencies")).and_then(|table| table.get(name));
    let own =
        || root.get("dependencies").and_then(|table| table.get(name)).filter(|item| item.get("workspace").is_none());
    Ok(shared.or_else(own).map(|item| {
        let text = |key: &str| item.get(key).and_then(Item::as_str).map(str::to_owned);
        let reference = ["branch", "tag", "rev"].iter().find_map(|key| Some(((*key).to_owned(), text(key)?)));
        text("path").map(Origin::Path).or_else(|| text("git").map(|url| Origin::Git(url, reference)))
    }))
}

/// The text without the dependency, `None` when it is not there. The entry in `[workspace.dependencies]` stays: other
/// packages may inherit it.
///
/// # Errors
/// [`Code::BadManifest`]: a file that cargo would not read.
pub fn release(path: &ProjectPath, text: &str, section: Section, name: &str) -> Result<Option<String>> {
    release_from(path, text, &[section.key()], name)
}

/// The text without the entry of the crate in `[workspace.dependencies]`, `None` when it is not there.
///
/// # Errors
/// [`Code::BadManifest`]: a file that cargo would not read.
pub(crate) fn release_declaration(path: &ProjectPath, text: &str, name: &str) -> Result<Option<String>> {
    release_from(path, text, SHARED, name)
}

fn release_from(path: &ProjectPath, text: &str, keys: &[&str], name: &str) -> Result<Option<String>> {
    let source = Source::new(path.as_str(), Arc::from(text));
    let document = parse(path, &source)?;
    let file = File { path, source: &source, text, root: document.as_table() };
    let Some(table) = find(document.as_table(), keys) else { return Ok(None) };
    let Some((key, item)) = table.as_table_like().and_then(|table| table.get_key_value(name)) else { return Ok(None) };
    let mut edited = text.to_owned();
    if table.is_inline_table() {
        edited.replace_range(inline_entry(text, extent(key, item)), "");
        return Ok(Some(edited));
    }
    let mut lines = leaf_lines(&file, key, item);
    if let Some(header) = item.as_table().filter(|table| !table.is_dotted()).and_then(Table::span) {
        lines.push(file.line(header.start).start..file.line(header.end).end);
        // Of the empty lines around it, those before go.
        let line = file.line(header.start).start;
        lines.push(file.gap_above(line)..line);
    }
    lines.sort_by_key(|line| line.start);
    lines.dedup();
    for line in lines.into_iter().rev() {
        edited.replace_range(line, "");
    }
    Ok(Some(edited))
}

/// The line that declares a crate in `[workspace.dependencies]`, without the space around it; `None` where there is none, or more
/// than one.
///
/// # Errors
/// [`Code::BadManifest`]: a file that cargo would not read.
pub(crate) fn declaration(path: &ProjectPath, text: &str, name: &str) -> Result<Option<String>> {
    let source = Source::new(path.as_str(), Arc::from(text));
    let document = parse(path, &source)?;
    let file = File { path, source: &source, text, root: document.as_table() };
    let table = find(document.as_table(), SHARED).and_then(Item::as_table_like);
    let Some((key, item)) = table.and_then(|table| table.get_key_value(name)) else { return Ok(None) };
    let at = extent(key, item);
    let line = file.line(at.start);
    Ok((item.is_value() && at.end <= line.end).then(|| text[line].trim().to_owned()))
}

/// Whether the workspace has packages outside its folder, whose manifests are not the project's.
///
/// # Errors
/// [`Code::BadManifest`]: a file that cargo would not read.
pub(crate) fn has_members_outside(path: &ProjectPath, text: &str) -> Result<bool> {
    let document = parse(path, &Source::new(path.as_str(), Arc::from(text)))?;
    let members = find(document.as_table(), &["workspace", "members"]).and_then(Item::as_array);
    let is_outside = |member: &str| member.starts_with(['/', '\\']) || member.contains(':') || member.contains("..");
    Ok(members.into_iter().flat_map(Array::iter).any(|member| member.as_str().is_none_or(is_outside)))
}

/// The text in which a dependency does not ask for a feature any more, `None` when it does not ask for it itself: what
/// `[workspace.dependencies]` says is for other packages too. A list with nothing left in it goes.
///
/// # Errors
/// [`Code::BadManifest`]: a file that cargo would not read.
pub fn release_feature(
    path: &ProjectPath,
    text: &str,
    section: Section,
    name: &str,
    feature: &str,
) -> Result<Option<String>> {
    let source = Source::new(path.as_str(), Arc::from(text));
    let document = parse(path, &source)?;
    let file = File { path, source: &source, text, root: document.as_table() };
    let Some(entry) = document.get(section.key()).and_then(|table| table.get(name)) else { return Ok(None) };
    let Some(list) = entry.get("features").and_then(Item::as_array) else { return Ok(None) };
    let Some(place) = list.iter().position(|value| value.as_str() == Some(feature)) else { return Ok(None) };
    let mut edited = text.to_owned();
    let whole = entry.as_table_like().and_then(|table| table.get_key_value("features")).map(|(key, item)| match entry
        .is_inline_table()
    {
        true => vec![inline_entry(text, extent(key, item))],
        false => leaf_lines(&file, key, item),
    });
    let is_bare = |lines: &Vec<Range<usize>>| lines.iter().all(|line| !text[line.clone()].contains('#'));
    let mut gone = match whole.filter(|whole| list.len() == 1 && is_bare(whole)) {
        Some(whole) => whole,
        None => file.item_of_list(list, place),
    };
    gone.sort_by_key(|range| range.start);
    for range in gone.into_iter().rev() {
        edited.replace_range(range, "");
    }
    Ok(Some(edited))
}

/// The features that a dependency asks for itself; `None` where it is not there.
///
/// # Errors
/// [`Code::BadManifest`]: a file that cargo would not read.
pub(crate) fn features(path: &ProjectPath, text: &str, section: Section, name: &str) -> Result<Option<Vec<String>>> {
    let document = parse(path, &Source::new(path.as_str(), Arc::from(text)))?;
    let entry = document.get(section.key()).and_then(|table| table.get(name));
    Ok(entry.map(|entry| {
        let list = entry.get("features").and_then(Item::as_array);
        list.into_iter().flat_map(Array::iter).filter_map(|value| value.as_str().map(str::to_owned)).collect()
    }))
}

/// An entry of a table in braces, with the comma that goes with it.
fn inline_entry(text: &str, at: Range<usize>) -> Range<usize> {
    let after = text[at.end..].len() - text[at.end..].trim_start().len() + at.end;
    match text[after..].starts_with(',') {
        true => at.start..after + 1 + (text[after + 1..].len() - text[after + 1..].trim_start().len()),
        false => {
            let before = text[..at.start].trim_end();
            before.strip_suffix(',').unwrap_or(before).len()..at.end
        }
    }
}

/// The text without the tables of dependencies that have nothing in them and that `base` does not have.
///
/// # Errors
/// [`Code::BadManifest`]: a file that cargo would not read.
pub(crate) fn without_empty_tables(path: &ProjectPath, mut text: String, base: &str) -> Result<String> {
    let had = parse(path, &Source::new(path.as_str(), Arc::from(base)))?;
    let sections = [Section::Normal, Section::Dev, Section::Build].map(Section::key);
    for keys in sections.iter().map(std::slice::from_ref).chain([SHARED]) {
        let source = Source::new(path.as_str(), Arc::from(text.as_str()));
        let document = parse(path, &source)?;
        let empty = find(document.as_table(), keys).and_then(Item::as_table).filter(|table| table.is_empty());
        let is_new = find(had.as_table(), keys).is_none();
        let Some(header) = empty.and_then(Table::span).filter(|_| is_new) else { continue };
        let file = File { path, source: &source, text: &text, root: document.as_table() };
        let gap = file.gap_above(file.line(header.start).start)
            ..file.line(header.end.saturating_sub(1).max(header.start)).end;
        text.replace_range(gap, "");
    }
    Ok(text)
}

/// Where crates are declared for all packages.
const SHARED: &[&str] = &["workspace", "dependencies"];

/// What these keys lead to.
fn find<'t>(root: &'t Table, keys: &[&str]) -> Option<&'t Item> {
    let (first, rest) = keys.split_first()?;
    rest.iter().try_fold(root.get(first)?, |item, key| item.get(*key))
}

/// The lines of an entry, however many keys it has.
fn leaf_lines(file: &File<'_>, key: &Key, item: &Item) -> Vec<Range<usize>> {
    match item.as_table() {
        Some(table) => {
            let pairs = table.iter().filter_map(|(name, item)| Some((table.key(name)?, item)));
            pairs.flat_map(|(key, item)| leaf_lines(file, key, item)).collect()
        }
        None => {
            let at = extent(key, item);
            let last = file.line(at.end.saturating_sub(1).max(at.start));
            std::iter::once(file.line(at.start).start..last.end).collect()
        }
    }
}

pub(crate) fn parse(path: &ProjectPath, source: &Arc<Source>) -> Result<Document<String>> {
    Document::parse(source.text().to_owned()).map_err(|e| {
        if let Some(found) = merge::conflict_of_git(path.as_str(), source.text().as_bytes()) {
            return Error::from_diagnostics(path, vec![found]);
        }
        let place = e.span().map(|span| location(source, span));
        let found = Diagnostic::error(Code::BadManifest, one_line(e.message())).at(place.as_ref());
        Error::from_diagnostics(path, vec![found])
    })
}

/// One change of the text.
struct Edit {
    at: Range<usize>,
    with: String,
    /// Whether it adds the dependency.
    adds: bool,
}

fn edit(at: Range<usize>, with: String) -> Edit {
    Edit { at, with, adds: false }
}

struct File<'f> {
    path: &'f ProjectPath,
    source: &'f Arc<Source>,
    text: &'f str,
    root: &'f Table,
}

impl File<'_> {
    /// The next change that brings the dependency closer.
    fn next(&self, section: Section, needed: &Requirement, why: &str) -> Result<Option<Edit>> {
        let own = self.table(&[section.key()])?;
        let shared = self.table(&["workspace", "dependencies"])?;
        let entry = own.and_then(|table| table.get(&needed.name));
        let workspace = shared.and_then(|table| table.get(&needed.name));
        let inherits = match entry {
            Some(entry) => entry.get("workspace").and_then(Item::as_bool) == Some(true),
            None => workspace.is_some() || (needed.shared && self.root.contains_key("workspace")),
        };
        if inherits && self.root.contains_key("workspace") {
            let Some(workspace) = workspace else {
                let declared = Requirement { features: Vec::new(), ..needed.clone() };
                return self.insert(&["workspace", "dependencies"], &needed.name, &spec(&declared)).map(Some);
            };
            if let Some(edit) = self.unify(workspace, needed, why)? {
                return Ok(Some(edit));
            }
        }
        let mut features = needed.features.clone();
        let without_default = |item: &Item| {
            ["default-features", "default_features"]
                .iter()
                .any(|key| item.get(key).and_then(Item::as_bool) == Some(false))
        };
        let off = entry.is_some_and(without_default) || (inherits && workspace.is_some_and(without_default));
        if needed.default_features && off {
            features.insert(0, "default".to_owned());
        }
        match entry {
            Some(entry) => {
                if !inherits && let Some(edit) = self.unify(entry, needed, why)? {
                    return Ok(Some(edit));
                }
                self.add_features(own.and_then(|table| table.key(&needed.name)), entry, &features)
            }
            None if inherits => {
                let inherited = inherited(&features);
                let dotted = features.is_empty() && own.is_some_and(prefers_dots);
                let (key, value) = match dotted {
                    true => (format!("{}.workspace", needed.name), "true".to_owned()),
                    false => (needed.name.clone(), inherited),
                };
                let edit = self.insert(&[section.key()], &key, &value)?;
                Ok(Some(Edit { adds: true, ..edit }))
            }
            None => {
                let edit = self.insert(&[section.key()], &needed.name, &spec(needed))?;
                Ok(Some(Edit { adds: true, ..edit }))
            }
        }
    }

    fn notes(&self, section: Section, needed: &Requirement) -> Vec<String> {
        let entry = self.root.get(section.key()).and_then(|table| table.get(&needed.name));
        let optional = entry.and_then(|entry| entry.get("optional")).and_then(Item::as_bool) == Some(true);
        let note = format!("`{}` is optional in {}: generated code needs it to be on", needed.name, self.path);
        if optional { vec![note] } else { Vec::new() }
    }

    fn table(&self, keys: &[&str]) -> Result<Option<&dyn TableLike>> {
        let mut table: &dyn TableLike = self.root;
        for key in keys {
            let Some(item) = table.get(key) else { return Ok(None) };
            table = item.as_table_like().ok_or_else(|| self.fault(item.span(), format!("`{key}` is not a table")))?;
        }
        Ok(Some(table))
    }

    fn fault(&self, at: Option<Range<usize>>, message: String) -> Error {
        let place = at.map(|at| location(self.source, at));
        Error::from_diagnostics(self.path, vec![Diagnostic::error(Code::BadManifest, message).at(place.as_ref())])
    }

    /// Brings the version of an entry together with the one that is needed.
    fn unify(&self, entry: &Item, needed: &Requirement, why: &str) -> Result<Option<Edit>> {
        let name = &needed.name;
        if let Some(package) = entry.get("package").and_then(Item::as_str).filter(|package| package != name) {
            let message = format!("`{name}` is the crate `{package}` here, and {why} needs `{name}` itself");
            return Err(self.fault(entry.get("package").and_then(Item::span), message));
        }
        let item = if entry.is_str() { Some(entry) } else { entry.get("version") };
        let (Some(item), Some(wanted)) = (item, &needed.version) else { return Ok(None) };
        let Some((there, at)) = item.as_str().zip(item.span()) else {
            return Err(
                self.fault(item.span().or(entry.span()), format!("the entry of `{name}` has no form that cargo reads"))
            );
        };
        let malformed = || self.fault(Some(at.clone()), format!("{} is no version requirement", quoted(there)));
        let have = VersionReq::parse(there).map_err(|_| malformed())?;
        let want = VersionReq::parse(wanted).map_err(Error::wrap)?;
        match unified(&have, &want) {
            None => {
                let found = Diagnostic::error(
                    Code::BadManifest,
                    format!("`{name}` is `{there}` here, and {why} needs `{wanted}`: no version is both"),
                )
                .at(&location(self.source, at))
                .help(format!("change it to `{wanted}` if your code goes with that, or leave {why} out"));
                Err(Error::from_diagnostics(self.path, vec![found]))
            }
            Some(both) if both == have => Ok(None),
            Some(both) => {
                let text = if both == want { wanted.clone() } else { both.to_string() };
                Ok(Some(edit(at, quote(text.trim_start_matches('^')))))
            }
        }
    }

    /// Adds the first of the features that an entry does not have.
    fn add_features(&self, key: Option<&Key>, entry: &Item, features: &[String]) -> Result<Option<Edit>> {
        let there = entry.get("features");
        if let Some(there) = there {
            let list =
                there.as_array().ok_or_else(|| self.fault(there.span(), "`features` is not a list".to_owned()))?;
            let has = |feature: &str| list.iter().any(|value| value.as_str() == Some(feature));
            let missing = features.iter().find(|feature| !has(feature));
            return Ok(missing.and_then(|feature| self.push(list, feature)));
        }
        if features.is_empty() {
            return Ok(None);
        }
        let list = list(features);
        if let (Some(at), true) = (entry.span(), entry.is_str()) {
            return Ok(Some(edit(at.clone(), format!("{{ version = {}, features = {list} }}", &self.text[at]))));
        }
        if let Some(table) = entry.as_inline_table() {
            let last = table.iter().filter_map(|(_, value)| value.span()).map(|span| span.end).max();
            return Ok(last.map(|at| edit(at..at, format!(", features = {list}"))));
        }
        let Some(table) = entry.as_table() else {
            return Err(self.fault(entry.span(), "the entry has no form that cargo reads".to_owned()));
        };
        let leaves = table.iter().filter_map(|(name, item)| Some((table.key(name)?, item)));
        let last = leaves.max_by_key(|(key, item)| extent(key, item).end);
        let (at, prefix) = match (last, table.span()) {
            (Some((leaf, item)), _) => {
                let at = extent(leaf, item);
                (self.line(at.end.saturating_sub(1)).end, self.text[self.line(at.start).start..at.start].to_owned())
            }
            (None, Some(header)) => (self.line(header.end).end, String::new()),
            (None, None) => return Err(self.fault(key.and_then(Key::span), "the entry is empty".to_owned())),
        };
        Ok(Some(edit(at..at, self.as_line(at, &format!("{prefix}features = {list}")))))
    }

    /// Adds to a list, in its order if it has one, as its neighbours are written.
    fn push(&self, list: &Array, value: &str) -> Option<Edit> {
        let (text, value) = (self.text, quote(value));
        let span = list.span()?;
        let items: Vec<(Range<usize>, &str)> = list.iter().filter_map(|v| Some((v.span()?, v.as_str()?))).collect();
        let sorted = items.windows(2).all(|pair| pair[0].1 <= pair[1].1);
        let place = items.iter().position(|item| item.1 > value.trim_matches('"'));
        let place = place.filter(|_| sorted).unwrap_or(items.len());
        // What stands between an item and the one before it.
        let separator = |item: &Range<usize>| {
            let line = self.line(item.start);
            let before = &text[line.start.max(span.start)..item.start];
            let own_line = line.start > span.start && before.trim().is_empty();
            (own_line, if own_line { format!("{}{before}", self.newline()) } else { " ".to_owned() })
        };
        let Some((previous, _)) = place.checked_sub(1).and_then(|before| items.get(before)) else {
            return Some(match items.first() {
                Some((first, _)) => edit(first.start..first.start, format!("{value},{}", separator(first).1)),
                None => edit(span.start + 1..span.start + 1, value),
            });
        };
        let (own_line, separator) = separator(previous);
        let comma = self.comma_after(previous.end);
        let from = comma.map_or(previous.end, |comma| comma + 1);
        // A comment at the end of the line belongs to the item before it.
        let line_end = text[from..].find('\n').map_or(text.len(), |at| from + at);
        let rest = text[from..line_end].trim_end_matches('\r');
        let to =
            if own_line && (rest.trim().is_empty() || rest.trim().starts_with('#')) { from + rest.len() } else { from };
        let new = match comma {
            Some(_) => format!("{}{separator}{value},", &text[from..to]),
            None => format!(",{}{separator}{value}", &text[from..to]),
        };
        Some(edit(from..to, new))
    }

    /// What goes with an item of a list: its comma, and its line if nothing else is there. Comments stay.
    fn item_of_list(&self, list: &Array, place: usize) -> Vec<Range<usize>> {
        let text = self.text;
        let spans: Vec<Range<usize>> = list.iter().filter_map(Value::span).collect();
        let Some(at) = spans.get(place).cloned() else { return Vec::new() };
        let comma = self.comma_after(at.end);
        if let Some(comma) = comma.filter(|&comma| text[at.end..comma].contains('#')) {
            return vec![at, comma..comma + 1];
        }
        let end = comma.map_or(at.end, |comma| comma + 1);
        let line = self.line(at.start).start..self.line(end.saturating_sub(1).max(at.start)).end;
        if text[line.start..at.start].trim().is_empty() && text[end..line.end].trim().is_empty() {
            return vec![line];
        }
        let space = |at: usize| text[at..].len() - text[at..].trim_start_matches([' ', '\t']).len();
        // Of the last one, the comma before it, unless that ends a line.
        let before = place.checked_sub(1).and_then(|before| self.comma_after(spans[before].end));
        let alone = match comma {
            Some(_) => at.start..end + space(end),
            None => before.filter(|&before| before >= line.start).unwrap_or(at.start)..at.end,
        };
        vec![alone]
    }

    /// The comma that follows an item of a list, with nothing but space and comments between.
    fn comma_after(&self, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            let rest = self.text.get(at..)?;
            match rest.chars().next()? {
                ',' => return Some(at),
                '#' => at += rest.find('\n')?,
                c if c.is_whitespace() => at += c.len_utf8(),
                _ => return None,
            }
        }
    }

    /// Adds an entry to a table, in its order if it has one; the table too, if it is missing.
    fn insert(&self, keys: &[&str], key: &str, value: &str) -> Result<Edit> {
        let header = keys.join(".");
        let line = format!("{key} = {value}");
        let mut item: Option<&Item> = None;
        for part in keys {
            item = match item {
                None => self.root.get(part),
                Some(item) => item.get(part),
            };
            if item.is_none() {
                break;
            }
        }
        if let Some(Value::InlineTable(table)) = item.and_then(Item::as_value) {
            let last = table.iter().filter_map(|(_, value)| value.span()).map(|span| span.end).max();
            let open = table.span().map(|span| span.start + 1);
            return match (last, open) {
                (Some(at), _) => Ok(edit(at..at, format!(", {line}"))),
                (None, Some(at)) => Ok(edit(at..at, format!(" {line} "))),
                (None, None) => Err(self.fault(None, format!("`{header}` cannot be edited"))),
            };
        }
        let table = item.and_then(Item::as_table);
        // `[dependencies.x]` alone makes a table that has no header.
        let own_header = table.filter(|table| !table.is_implicit()).and_then(Table::span);
        let mut entries: Vec<(String, Range<usize>)> = Vec::new();
        for (name, item) in table.into_iter().flat_map(Table::iter) {
            let (Some(key), false) = (table.and_then(|table| table.key(name)), is_header(item)) else { continue };
            entries.push((name.to_owned(), extent(key, item)));
        }
        entries.sort_by_key(|(_, at)| at.start);
        let name = key.split('.').next().unwrap_or(key);
        let sorted = entries.windows(2).all(|pair| pair[0].0 <= pair[1].0);
        let next = entries.iter().position(|(there, _)| there.as_str() > name).filter(|_| sorted);
        // Dotted keys say the way to the table on each line.
        let prefix = entries.first().map(|(_, at)| self.text[self.line(at.start).start..at.start].to_owned());
        let prefix = prefix.unwrap_or_default();
        let top = own_header.as_ref().map_or(0, |header| self.line(header.end).end);
        let at = match (next, entries.last()) {
            (Some(next), _) => self.above(self.line(entries[next].1.start).start, top),
            (None, Some((_, last))) => self.line(last.end.saturating_sub(1).max(last.start)).end,
            (None, None) if own_header.is_some() => top,
            (None, None) => {
                let end = self.text.len();
                let newline = self.newline();
                let gap = match self.text {
                    "" => "",
                    text if text.ends_with('\n') => newline,
                    _ => &newline.repeat(2),
                };
                return Ok(edit(end..end, format!("{gap}[{header}]{newline}{line}{newline}")));
            }
        };
        Ok(edit(at..at, self.as_line(at, &format!("{prefix}{line}"))))
    }

    /// Where the comments above a line begin, not before `top`.
    fn above(&self, line: usize, top: usize) -> usize {
        let mut at = line;
        while at > top {
            let previous = self.line(at - 1).start;
            if previous < top || !self.text[previous..at].trim_start().starts_with('#') {
                break;
            }
            at = previous;
        }
        at
    }

    /// Where the empty lines above a line begin.
    fn gap_above(&self, line: usize) -> usize {
        match self.text[..line].trim_end_matches(['\n', '\r']).len() {
            0 => 0,
            end => self.line(end - 1).end,
        }
    }

    /// The line of a position, its ending included.
    fn line(&self, at: usize) -> Range<usize> {
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        start..self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// A line of its own to be put where a line begins, or at the end of the file.
    fn as_line(&self, at: usize, line: &str) -> String {
        let newline = self.newline();
        match at == 0 || self.text[..at].ends_with('\n') {
            true => format!("{line}{newline}"),
            false => format!("{newline}{line}{newline}"),
        }
    }

    fn newline(&self) -> &'static str {
        match self.text.find('\n') {
            Some(at) if self.text[..at].ends_with('\r') => "\r\n",
            _ => "\n",
        }
    }
}

fn is_header(item: &Item) -> bool {
    item.is_array_of_tables() || item.as_table().is_some_and(|table| !table.is_dotted())
}

/// From the key to the end of the last value.
fn extent(key: &Key, item: &Item) -> Range<usize> {
    let start = key.span().map_or(0, |span| span.start);
    let end = match item.as_table() {
        Some(table) => {
            let pairs = table.iter().filter_map(|(name, item)| Some((table.key(name)?, item)));
            pairs.map(|(key, item)| extent(key, item).end).max()
        }
        None => item.span().map(|span| span.end),
    };
    start..end.unwrap_or(start)
}

fn prefers_dots(table: &dyn TableLike) -> bool {
    let inherited: Vec<&Item> =
        table.iter().map(|(_, item)| item).filter(|item| item.get("workspace").is_some()).collect();
    let dotted = inherited.iter().filter(|item| item.is_table()).count();
    dotted * 2 > inherited.len()
}

fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

fn list(features: &[String]) -> String {
    format!("[{}]", features.iter().map(|feature| quote(feature)).collect::<Vec<_>>().join(", "))
}

fn inherited(features: &[String]) -> String {
    match features {
        [] => "{ workspace = true }".to_owned(),
        _ => format!("{{ workspace = true, features = {} }}", list(features)),
    }
}

fn spec(needed: &Requirement) -> String {
    let mut parts = Vec::new();
    match &needed.source {
        Some(Origin::Path(path)) => parts.push(format!("path = {}", quote(path))),
        Some(Origin::Git(url, reference)) => {
            parts.push(format!("git = {}", quote(url)));
            parts.extend(reference.iter().map(|(key, value)| format!("{key} = {}", quote(value))));
        }
        None => parts.push(format!("version = {}", quote(needed.version.as_deref().unwrap_or("*")))),
    }
    if !needed.default_features {
        parts.push("default-features = false".to_owned());
    }
    if !needed.features.is_empty() {
        parts.push(format!("features = {}", list(&needed.features)));
    }
    match &parts[..] {
        [only] if needed.source.is_none() => only.trim_start_matches("version = ").to_owned(),
        _ => format!("{{ {} }}", parts.join(", ")),
    }
}

/// What satisfies both requirements, `None` if nothing does. Either of the two is given back as it is where it is the stricter
/// one.
fn unified(have: &VersionReq, want: &VersionReq) -> Option<VersionReq> {
    let (a, b) = (bounds(have), bounds(want));
    let low = (&a.0).max(&b.0).clone();
    let high = match (&a.1, &b.1) {
        (Some(a), Some(b)) => Some(a.min(b).clone()),
        (a, b) => a.clone().or_else(|| b.clone()),
    };
    if high.as_ref().is_some_and(|high| low >= *high) {
        return None;
    }
    let both = (low, high);
    if both == a {
        return Some(have.clone());
    }
    if both == b {
        return Some(want.clone());
    }
    let caret = VersionReq::parse(&format!("^{}", both.0)).ok();
    if let Some(caret) = caret.filter(|caret| bounds(caret) == both) {
        return Some(caret);
    }
    let high = both.1.map(|high| format!(", <{high}")).unwrap_or_default();
    VersionReq::parse(&format!(">={}{high}", both.0)).ok()
}

/// The versions from the first, included, to the second, not included.
type Bounds = (Version, Option<Version>);

fn bounds(requirement: &VersionReq) -> Bounds {
    let mut all: Bounds = (Version::new(0, 0, 0), None);
    for comparator in &requirement.comparators {
        let (low, high) = comparator_bounds(comparator);
        all.0 = all.0.max(low);
        all.1 = match (all.1, high) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    all
}

fn comparator_bounds(c: &Comparator) -> Bounds {
    let (minor, patch) = (c.minor.unwrap_or(0), c.patch.unwrap_or(0));
    let low = Version { pre: c.pre.clone(), ..Version::new(c.major, minor, patch) };
    // The next version that differs in the last part that is given.
    let after = match (c.minor, c.patch) {
        (None, _) => Version::new(c.major.saturating_add(1), 0, 0),
        (Some(minor), None) => Version::new(c.major, minor.saturating_add(1), 0),
        (Some(minor), Some(patch)) => Version::new(c.major, minor, patch.saturating_add(1)),
    };
    let zero = Version::new(0, 0, 0);
    match c.op {
        Op::Exact | Op::Wildcard => (low, Some(after)),
        Op::Greater => (after, None),
        Op::GreaterEq => (low, None),
        Op::Less => (zero, Some(low)),
        Op::LessEq => (zero, Some(after)),
        Op::Tilde => match c.minor {
            None => (low, Some(after)),
            Some(minor) => (low, Some(Version::new(c.major, minor.saturating_add(1), 0))),
        },
        // The next version that differs in the first part that is not 0.
        _ => match (c.major, c.minor, c.patch) {
            (0, Some(0), Some(_)) | (0, Some(0), None) | (0, None, _) => (low, Some(after)),
            (0, Some(minor), _) => (low, Some(Version::new(0, minor.saturating_add(1), 0))),
            (major, ..) => (low, Some(Version::new(major.saturating_add(1), 0, 0))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml_edit::DocumentMut;

    fn path() -> ProjectPath {
        ProjectPath::new("Cargo.toml").unwrap()
    }

    fn add(text: &str, needed: &Requirement) -> Result<Required> {
        require(&path(), text, Section::Normal, needed, "api-serving")
    }

    fn axum() -> Requirement {
        Requirement::new("axum", "0.8")
    }

    fn with_features(needed: Requirement, features: &[&str]) -> Requirement {
        Requirement { features: features.iter().map(|f| (*f).to_owned()).collect(), ..needed }
    }

    fn core() -> Requirement {
        Requirement {
            version: None,
            source: Some(Origin::Path("../mlx/mlx-core".to_owned())),
            shared: true,
            ..with_features(Requirement::new("mlx-core", "0.1"), &["signal"])
        }
    }

    #[test]
    fn a_dependency_is_written_like_its_neighbours() {
        for (before, needed, after) in [
            ("[dependencies]\n", axum(), "[dependencies]\naxum = \"0.8\"\n"),
            ("", axum(), "[dependencies]\naxum = \"0.8\"\n"),
            ("[package]\nname = \"x\"", axum(), "[package]\nname = \"x\"\n\n[dependencies]\naxum = \"0.8\"\n"),
            ("[dependencies] # all of them", axum(), "[dependencies] # all of them\naxum = \"0.8\"\n"),
            // Sorted, with the comments of the one below.
            (
                "[dependencies]\na = \"1\" # a\n# b\n# is b\nb = \"1\"\n\n[features]\n",
                Requirement::new("aa", "1"),
                "[dependencies]\na = \"1\" # a\naa = \"1\"\n# b\n# is b\nb = \"1\"\n\n[features]\n",
            ),
            // Not sorted.
            (
                "[dependencies]\nz = \"1\"\nb = \"1\"\n\n[features]\n",
                axum(),
                "[dependencies]\nz = \"1\"\nb = \"1\"\naxum = \"0.8\"\n\n[features]\n",
            ),
            // Before tables of their own, and over several lines.
            (
                "[dependencies]\nb = { version = \"1\", features = [\n  \"x\",\n] }\n[dependencies.c]\nversion = \"1\"\n",
                Requirement::new("d", "1"),
                "[dependencies]\nb = { version = \"1\", features = [\n  \"x\",\n] }\nd = \"1\"\n[dependencies.c]\nversion = \"1\"\n",
            ),
            (
                "[dependencies.c]\nversion = \"1\"\n",
                axum(),
                "[dependencies.c]\nversion = \"1\"\n\n[dependencies]\naxum = \"0.8\"\n",
            ),
            ("[dependencies]\r\nb = \"1\"\r\n", axum(), "[dependencies]\r\naxum = \"0.8\"\r\nb = \"1\"\r\n"),
            ("  [dependencies]\n  b = \"1\"\n", axum(), "  [dependencies]\n  axum = \"0.8\"\n  b = \"1\"\n"),
            ("dependencies = { b = \"1\" }\n", axum(), "dependencies = { b = \"1\", axum = \"0.8\" }\n"),
            ("dependencies = {}\n", axum(), "dependencies = { axum = \"0.8\" }\n"),
            (
                "dependencies.b = \"1\"\n[package]\n",
                axum(),
                "dependencies.axum = \"0.8\"\ndependencies.b = \"1\"\n[package]\n",
            ),
            (
                "[dependencies]\n",
                Requirement { default_features: false, ..with_features(axum(), &["http1", "json"]) },
                "[dependencies]\naxum = { version = \"0.8\", default-features = false, features = [\"http1\", \"json\"] }\n",
            ),
        ] {
            let edited = add(before, &needed).unwrap();
            assert_eq!(edited.text, after);
            assert!(edited.added);
            assert_eq!(add(after, &needed).unwrap().text, after, "once is enough");
            assert!(!add(after, &needed).unwrap().added);
        }
    }

    #[test]
    fn what_a_workspace_declares_is_inherited() {
        for (before, needed, after) in [
            (
                "[workspace]\n\n[workspace.dependencies]\naxum = \"0.8\"\n\n[dependencies]\n",
                axum(),
                "[workspace]\n\n[workspace.dependencies]\naxum = \"0.8\"\n\n[dependencies]\naxum = { workspace = true }\n",
            ),
            (
                "[workspace.dependencies]\naxum = \"0.8\"\n[dependencies]\nserde.workspace = true\n",
                axum(),
                "[workspace.dependencies]\naxum = \"0.8\"\n[dependencies]\naxum.workspace = true\nserde.workspace = true\n",
            ),
            (
                "[workspace.dependencies]\naxum = \"0.8\"\n[dependencies]\naxum.workspace = true\n",
                with_features(Requirement::new("axum", "0.8.4"), &["json"]),
                "[workspace.dependencies]\naxum = \"0.8.4\"\n[dependencies]\naxum.workspace = true\naxum.features = [\"json\"]\n",
            ),
            (
                "[workspace.dependencies]\naxum = { version = \"0.8\", default-features = false }\n[dependencies]\n",
                with_features(axum(), &["json"]),
                "[workspace.dependencies]\naxum = { version = \"0.8\", default-features = false }\n[dependencies]\naxum = { workspace = true, features = [\"default\", \"json\"] }\n",
            ),
            (
                "[workspace]\n[workspace.dependencies]\n[dependencies]\n",
                core(),
                "[workspace]\n[workspace.dependencies]\nmlx-core = { path = \"../mlx/mlx-core\" }\n[dependencies]\nmlx-core = { workspace = true, features = [\"signal\"] }\n",
            ),
            (
                "[dependencies]\n",
                core(),
                "[dependencies]\nmlx-core = { path = \"../mlx/mlx-core\", features = [\"signal\"] }\n",
            ),
            // A member: what its workspace says is in another file.
            (
                "[dependencies]\naxum = { workspace = true }\n",
                with_features(axum(), &["json"]),
                "[dependencies]\naxum = { workspace = true, features = [\"json\"] }\n",
            ),
        ] {
            let edited = add(before, &needed).unwrap();
            assert_eq!(edited.text, after);
            assert_eq!(add(after, &needed).unwrap().text, after);
        }
    }

    #[test]
    fn features_are_united_in_the_style_of_the_list() {
        let needed = with_features(axum(), &["json", "ws"]);
        for (before, after) in [
            ("axum = \"0.8\" # web", "axum = { version = \"0.8\", features = [\"json\", \"ws\"] } # web"),
            ("axum = '0.8'", "axum = { version = '0.8', features = [\"json\", \"ws\"] }"),
            ("axum = { version = \"0.8\" }", "axum = { version = \"0.8\", features = [\"json\", \"ws\"] }"),
            (
                "axum = { features = [\"http1\", \"macros\"], version = \"0.8\" }",
                "axum = { features = [\"http1\", \"json\", \"macros\", \"ws\"], version = \"0.8\" }",
            ),
            (
                "axum = { version = \"0.8\", features = [] }",
                "axum = { version = \"0.8\", features = [\"json\", \"ws\"] }",
            ),
            (
                "axum = { version = \"0.8\", features = [\"z\", \"a\"] }",
                "axum = { version = \"0.8\", features = [\"z\", \"a\", \"json\", \"ws\"] }",
            ),
            (
                "axum = { version = \"0.8\", features = [\n    \"http1\", # one\n    \"tokio\", # last\n] }",
                "axum = { version = \"0.8\", features = [\n    \"http1\", # one\n    \"json\",\n    \"tokio\", # last\n    \"ws\",\n] }",
            ),
            (
                "axum = { version = \"0.8\", features = [\n  \"tokio\" # last\n] }",
                "axum = { version = \"0.8\", features = [\n  \"json\",\n  \"tokio\", # last\n  \"ws\"\n] }",
            ),
            (
                "axum = { version = \"0.8\", default-features = false }",
                "axum = { version = \"0.8\", default-features = false, features = [\"default\", \"json\", \"ws\"] }",
            ),
            ("axum.version = \"0.8\" # w", "axum.version = \"0.8\" # w\naxum.features = [\"json\", \"ws\"]"),
            (
                "[dependencies.axum]\nversion = \"0.8\"",
                "[dependencies.axum]\nversion = \"0.8\"\nfeatures = [\"json\", \"ws\"]",
            ),
            ("axum = { path = \"../axum\" }", "axum = { path = \"../axum\", features = [\"json\", \"ws\"] }"),
        ] {
            let before = format!("[dependencies]\n{before}\n\n# end\n[features]\n");
            let after = format!("[dependencies]\n{after}\n\n# end\n[features]\n");
            assert_eq!(add(&before, &needed).unwrap().text, after);
            assert_eq!(add(&after, &needed).unwrap(), Required { text: after, added: false, notes: Vec::new() });
        }
    }

    #[test]
    fn versions_are_unified() {
        for (have, want, both) in [
            ("0.8", "0.8.4", Some("0.8.4")),
            ("0.8.4", "0.8", Some("0.8.4")),
            ("^0.8", "0.8", Some("^0.8")),
            ("1", "1.2", Some("1.2")),
            (">=1, <3", "1.2", Some("1.2")),
            (">=1.5, <3", "1.2", Some("1.5.0")),
            (">=1.5, <1.9", "1.2", Some(">=1.5, <1.9")),
            (">=1, <1.9", "1.2", Some(">=1.2.0, <1.9.0")),
            ("*", "0.8", Some("0.8")),
            ("=0.8.3", "0.8", Some("=0.8.3")),
            ("~1.2", "1.2.5", Some(">=1.2.5, <1.3.0")),
            ("1.*", "1.2", Some("1.2")),
            ("0.0.3", "0.0.4", None),
            ("0.7", "0.8", None),
            ("1", "2", None),
            ("=0.8.3", "0.8.4", None),
            ("<0.8", "0.8", None),
            ("<=0.8", "0.8", Some("<=0.8")),
        ] {
            let before = format!("[dependencies]\naxum = \"{have}\" # mine\n");
            let edited = add(&before, &Requirement::new("axum", want));
            match both {
                // `<=0.8` allows 0.8 and everything before it.
                Some("<=0.8") => assert_eq!(edited.unwrap().text, "[dependencies]\naxum = \"0.8\" # mine\n"),
                Some(both) => assert_eq!(
                    edited.unwrap().text,
                    format!("[dependencies]\naxum = \"{both}\" # mine\n"),
                    "{have} {want}"
                ),
                None => {
                    let error = edited.unwrap_err();
                    let found = &error.diagnostics()[0];
                    assert_eq!((found.code, found.location.as_ref().unwrap().line), (Code::BadManifest, 2));
                    assert!(found.message.contains("api-serving needs"), "{error:?}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_edited_is_an_error_with_its_position() {
        for (text, line) in [
            ("[dependencies\n", 1),
            ("dependencies = 1\n", 1),
            ("[dependencies]\naxum = 1\n", 2),
            ("[dependencies]\naxum = \"new\"\n", 2),
            ("[dependencies]\naxum = { version = \"0.8\", package = \"other\" }\n", 2),
            ("[dependencies]\naxum = { version = \"0.8\", features = \"json\" }\n", 2),
            ("[dependencies]\naxum = [\"0.8\"]\n", 2),
            ("[workspace]\ndependencies = 1\n", 2),
        ] {
            let error = add(text, &with_features(axum(), &["json"])).expect_err(text);
            let found = &error.diagnostics()[0];
            assert_eq!(
                (found.code, found.location.as_ref().map(|l| l.line)),
                (Code::BadManifest, Some(line)),
                "{error:?}"
            );
        }
        for name in ["", "--config=x", "a b", "a\"b", "-Zfoo", "a/b", "ä"] {
            assert!(add("", &Requirement::new(name, "1")).is_err(), "{name}");
        }
        assert!(add("", &Requirement::new("a", "--x")).is_err());
        assert!(add("", &with_features(axum(), &["a\"]"])).is_err());
    }

    #[test]
    fn an_optional_dependency_is_noted() {
        let edited = add("[dependencies]\naxum = { version = \"0.8\", optional = true }\n", &axum()).unwrap();
        assert!(edited.notes[0].contains("optional"));
    }

    #[test]
    fn a_dependency_is_released() {
        for (before, after) in [
            ("[dependencies]\na = \"1\"\naxum = \"0.8\" # web\nb = \"1\"\n", "[dependencies]\na = \"1\"\nb = \"1\"\n"),
            (
                "[dependencies]\naxum.workspace = true\naxum.features = [\"x\"]\nb = \"1\"\n",
                "[dependencies]\nb = \"1\"\n",
            ),
            (
                "[dependencies]\naxum.workspace = true\nb = \"1\"\naxum.features = [\"x\"]",
                "[dependencies]\nb = \"1\"\n",
            ),
            ("[dependencies]\naxum = { version = \"1\", features = [\n\"x\",\n] }\n[x]\n", "[dependencies]\n[x]\n"),
            (
                "[dependencies]\n\n[dependencies.axum] # h\nversion = \"1\"\n# end\n\n[x]\n",
                "[dependencies]\n# end\n\n[x]\n",
            ),
            ("[dependencies.axum]\nversion = \"1\"\n[x]\n", "[x]\n"),
            ("dependencies = { axum = \"1\", b = \"1\" }", "dependencies = { b = \"1\" }"),
            ("dependencies = { b = \"1\", axum = \"1\" }", "dependencies = { b = \"1\" }"),
            ("dependencies = { axum = \"1\" }", "dependencies = { }"),
        ] {
            let released = release(&path(), before, Section::Normal, "axum").unwrap();
            assert_eq!(released.as_deref(), Some(after));
            assert_eq!(release(&path(), after, Section::Normal, "axum").unwrap(), None);
        }
    }

    #[test]
    fn a_declaration_for_all_packages_is_found_and_released() {
        for (before, line, after) in [
            (
                "[workspace]\n[workspace.dependencies]\na = \"1\"\n  axum = { path = \"x\" } # web\r\n",
                Some("axum = { path = \"x\" } # web"),
                Some("[workspace]\n[workspace.dependencies]\na = \"1\"\n"),
            ),
            (
                "[workspace]\ndependencies.axum = \"0.8\"\n[x]\n",
                Some("dependencies.axum = \"0.8\""),
                Some("[workspace]\n[x]\n"),
            ),
            (
                "[workspace.dependencies]\naxum = { version = \"1\", features = [\n\"x\",\n] }\n",
                None,
                Some("[workspace.dependencies]\n"),
            ),
            ("[workspace.dependencies.axum]\nversion = \"1\"\n", None, Some("")),
            ("[dependencies]\naxum = \"0.8\"\n", None, None),
            ("workspace = 1\n", None, None),
        ] {
            assert_eq!(declaration(&path(), before, "axum").unwrap().as_deref(), line, "{before}");
            assert_eq!(release_declaration(&path(), before, "axum").unwrap().as_deref(), after, "{before}");
        }
        let bare = "[workspace]\n\n[dependencies]\n";
        let with = "[workspace]\n\n[dependencies]\n\n[workspace.dependencies]\n".to_owned();
        assert_eq!(without_empty_tables(&path(), with.clone(), bare).unwrap(), bare);
        assert_eq!(without_empty_tables(&path(), with.clone(), &with).unwrap(), with);
        assert_eq!(without_empty_tables(&path(), "[dependencies]\n[x]\n".to_owned(), "").unwrap(), "[x]\n");
        for (members, outside) in
            [("", false), ("\"crates/*\", \"a\"", false), ("\"../b\"", true), ("\"/b\"", true), ("\"C:/b\"", true)]
        {
            let text = format!("[workspace]\nmembers = [{members}]\n");
            assert_eq!(has_members_outside(&path(), &text).unwrap(), outside, "{members}");
        }
    }

    #[test]
    fn a_feature_is_released_and_comments_stay() {
        let released = |text: &str| release_feature(&path(), text, Section::Normal, "axum", "ws").unwrap();
        for (before, after) in [
            (r#"axum = { version = "0.8", features = ["ws"] } # web"#, r#"axum = { version = "0.8" } # web"#),
            (r#"axum = { features = ["ws"], version = "0.8" }"#, r#"axum = { version = "0.8" }"#),
            (
                r#"axum = { version = "0.8", features = [ "ws", "json" ] }"#,
                r#"axum = { version = "0.8", features = [ "json" ] }"#,
            ),
            (
                r#"axum = { version = "0.8", features = ["json", "ws"] }"#,
                r#"axum = { version = "0.8", features = ["json"] }"#,
            ),
            (
                r#"axum = { version = "0.8", features = ["json", "ws", "z"] }"#,
                r#"axum = { version = "0.8", features = ["json", "z"] }"#,
            ),
            ("axum.version = \"0.8\"\naxum.features = [\"ws\"]", "axum.version = \"0.8\""),
            ("axum.version = \"0.8\"\naxum.features = [\"ws\"] # f", "axum.version = \"0.8\"\naxum.features = [] # f"),
            ("[dependencies.axum]\nversion = \"0.8\"\nfeatures = [\"ws\"]", "[dependencies.axum]\nversion = \"0.8\""),
            (
                "axum = { version = \"0.8\", features = [\n    \"json\", # one\n    \"ws\", # two\n    # three\n    \"z\", # four\n] }",
                "axum = { version = \"0.8\", features = [\n    \"json\", # one\n    # two\n    # three\n    \"z\", # four\n] }",
            ),
            (
                "axum = { version = \"0.8\", features = [\n  \"json\",\n  \"ws\",\n  \"z\"\n] }",
                "axum = { version = \"0.8\", features = [\n  \"json\",\n  \"z\"\n] }",
            ),
            (
                "axum = { version = \"0.8\", features = [\n  \"json\", # a, b,\n  \"ws\"\n] }",
                "axum = { version = \"0.8\", features = [\n  \"json\", # a, b,\n] }",
            ),
            (
                "axum = { version = \"0.8\", features = [\n  \"json\" # a,\n  , \"ws\"] }",
                "axum = { version = \"0.8\", features = [\n  \"json\" # a,\n  ] }",
            ),
            (
                "axum = { version = \"0.8\", features = [\n  \"ws\" # a\n  , \"json\"] }",
                "axum = { version = \"0.8\", features = [\n   # a\n   \"json\"] }",
            ),
            (
                "axum = { version = \"0.8\", features = [\n  \"ws\", # only\n] }",
                "axum = { version = \"0.8\", features = [\n  # only\n] }",
            ),
        ] {
            for newline in ["\n", "\r\n"] {
                let whole =
                    |text: &str| format!("# top\n[dependencies]\n{text}\n\n# end\n[features]\n").replace('\n', newline);
                let edited = released(&whole(before));
                assert_eq!(edited.as_deref(), Some(whole(after).as_str()));
                assert_eq!(released(&whole(after)), None);
            }
        }
        // What is said for all packages of a workspace is not the component's.
        let shared = "[workspace.dependencies]\naxum = { version = \"0.8\", features = [\"ws\"] }\n[dependencies]\naxum.workspace = true\n";
        assert_eq!(released(shared), None);
        for text in CORPUS {
            let needed = with_features(axum(), &["ws-of-a-test"]);
            let with = require(&path(), text, Section::Normal, &needed, "a test").unwrap().text;
            let without = release_feature(&path(), &with, Section::Normal, "axum", "ws-of-a-test").unwrap().unwrap();
            assert!(!without.contains("ws-of-a-test"), "{without}");
            without.parse::<DocumentMut>().unwrap_or_else(|e| panic!("{e}\n{without}"));
            let comments = |text: &str| text.lines().filter(|line| line.contains('#')).count();
            assert_eq!(comments(&without), comments(&with), "{without}");
        }
    }

    /// Odd files that cargo reads.
    const CORPUS: &[&str] = &[
        "",
        "# nothing but a comment",
        "[package]\nname='x'\nversion   =   \"0.1.0\"   # aligned\n\n\n\n[dependencies]\n\n\n# far away\nserde   = { version=\"1\",features=[\"derive\"] }\n",
        "[dependencies]\nz = \"1\"\n\n# group\nb = \"1\"\n\n[dev-dependencies]\na = \"1\"\n[package]\nname = \"x\"\n",
        "[workspace]\nmembers = [\n  \"a\",\n]\n[workspace.dependencies]\n# shared\nmlx-core = { path = \"x\" } # here\naxum = { version = \"0.8\", features = [\n  # first\n  \"json\", # j\n] }\n\n[dependencies]\nmlx-core.workspace = true\n",
        "[dependencies.axum]\n# about\nversion = \"0.8\"\nfeatures = [ \"ws\" ]\n\n[dependencies.serde]\nversion = \"1\"\n# the end",
        "[target.'cfg(unix)'.dependencies]\naxum = \"0.7\"\n[profile.dev]\ndebug = 0\n",
        "\u{feff}[package]\nname = \"x\"\n[dependencies]\n\"axum\" = \"0.8\"\n",
        "[package]\r\nname = \"x\"\r\n\r\n[dependencies] # d\r\naxum = \"0.8\"\r\n# c\r\nserde = \"1\"\r\n\r\n[[bin]]\r\nname = \"x\"\r\n",
        "dependencies.axum.version = \"0.8\"\ndependencies.serde = \"1\"\n[package]\nname = \"x\"\n",
        "[dependencies]\naxum = { version = \"0.8\", optional = true, default-features = false } # ü\n\n[features]\ndefault = [\"dep:axum\"]\n",
        "[package]\nname = \"x\"\n[dependencies]\nmixed = \"1\"\r\nendings = \"1\"\n",
        "[dependencies]\naxum = { version = \"0.8\"\n , features = [ \"json\"\n , \"ws\"\n ] # odd commas\n }\n",
        "  [dependencies]\n\taxum.version = \"0.8\"\n\tserde.version = \"1\"\n",
    ];

    #[test]
    fn everything_outside_the_edit_stays_to_the_byte() {
        let wanted = [
            axum(),
            with_features(Requirement::new("axum", "0.8.1"), &["json", "macros", "ws"]),
            with_features(Requirement::new("serde", "1.0.100"), &["derive", "rc"]),
            core(),
            Requirement::new("aaa", "1"),
            Requirement::new("zzz", "1"),
        ];
        for text in CORPUS {
            for section in [Section::Normal, Section::Dev] {
                for needed in &wanted {
                    let edited = require(&path(), text, section, needed, "a test")
                        .unwrap_or_else(|e| panic!("{text}\n{e:?}"))
                        .text;
                    assert_eq!(require(&path(), &edited, section, needed, "a test").unwrap().text, edited, "{edited}");
                    // Every line that is new or gone is about the dependency.
                    let diff = similar::TextDiff::from_lines(*text, &edited);
                    let mut listed = needed.features.clone();
                    listed.push("default".to_owned());
                    for change in diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal) {
                        let line = change.value();
                        let about = line.contains(&needed.name)
                            || listed.iter().any(|feature| line.contains(&format!("\"{feature}\"")))
                            || ["[workspace.dependencies]", &format!("[{}]", section.key()), "", "features", "version"]
                                .iter()
                                .any(|known| line.trim() == *known || (line.trim().starts_with(known) && line.contains(" = ") && text.contains("[dependencies.")))
                            // A last line gets its ending.
                            || text.ends_with(line.trim_end());
                        assert!(about, "{line:?} changed in\n{text}\nto\n{edited}");
                    }
                    let crlf = text.matches("\r\n").count();
                    assert!(
                        edited.matches("\r\n").count() >= crlf
                            && (crlf == 0 || text.contains("mixed") || !edited.replace("\r\n", "").contains('\n'))
                    );
                    // All else means the same.
                    let bare = |text: &str| {
                        let mut document: DocumentMut = text.parse().unwrap();
                        for key in ["dependencies", "dev-dependencies"] {
                            if let Some(table) = document.get_mut(key).and_then(Item::as_table_like_mut) {
                                table.remove(&needed.name);
                            }
                        }
                        if let Some(table) = document
                            .get_mut("workspace")
                            .and_then(|w| w.get_mut("dependencies"))
                            .and_then(Item::as_table_like_mut)
                        {
                            table.remove(&needed.name);
                        }
                        let mut value: mlx_core::JsonValue = toml_edit::de::from_document(document).unwrap();
                        let root = value.as_object_mut().unwrap();
                        for key in ["dependencies", "dev-dependencies"] {
                            if root.get(key).is_some_and(|table| table.as_object().unwrap().is_empty()) {
                                root.remove(key);
                            }
                        }
                        value
                    };
                    assert_eq!(bare(text), bare(&edited), "{edited}");
                    let table = edited.parse::<DocumentMut>().unwrap();
                    let entry = &table[section.key()][&needed.name];
                    let inherited = entry.get("workspace").is_some();
                    for feature in &needed.features {
                        let list = entry.get("features").or_else(|| {
                            table["workspace"]["dependencies"][&needed.name].get("features").filter(|_| inherited)
                        });
                        assert!(
                            list.unwrap().as_array().unwrap().iter().any(|value| value.as_str() == Some(feature)),
                            "{edited}"
                        );
                    }
                    // What was added goes without a trace, but for an empty table.
                    if !text.contains(&needed.name)
                        && text.contains(&format!("[{}]", section.key()))
                        && text.ends_with('\n')
                        && !needed.shared
                    {
                        assert_eq!(release(&path(), &edited, section, &needed.name).unwrap().as_deref(), Some(*text));
                    }
                }
            }
        }
    }
}
