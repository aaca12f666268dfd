//! From a request to a [`Plan`]: `mlx init`, `mlx add` and `mlx compose`.
//!
//! What is asked for is resolved first, and everything that is wrong with it reported at once. Then components and plugins are
//! rendered, formatted with one call of rustfmt, and placed in a [`Tree`]. Nothing is written.

mod compose;
mod defaults;
mod extra;
mod format;
mod names;
mod place;
mod refresh;
mod render;
mod resolve;

pub use extra::Extra;
pub(crate) use render::feature_of;
pub use render::{Instance, MlxOrigin, RenderedFile, Rendering, Subject, Surroundings, render};

use crate::{
    manifest::{self, Origin},
    plan::Plan,
    project::{Installed, LOCK_FILE, Lock, MlxSource, Project, ProjectPath, Sha256, Tree},
    update,
};
use mlx_components::catalogue::{Catalogue, Component};
use mlx_core::{
    Diagnostic, Error, JsonValue, Result,
    diagnostics::{Code, Location},
};
use resolve::{Resolved, Resolver};
use semver::VersionReq;
use similar::TextDiff;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

/// The component that a project itself is made of.
pub const PROJECT: &str = "project";

/// A component, or a plugin, that is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The component's name or alias.
    pub component: String,
    /// A plugin type that the component makes, or one of its variants: `ml_platform`, `snowflake`.
    pub plugin_type: Option<String>,
    /// The plugin's name.
    pub name: Option<String>,
    /// The id that it runs under, where that is not its name: of a plugin that is linked as it is.
    pub id: Option<String>,
    /// The versions of the component that will do.
    pub version: Option<VersionReq>,
    /// Answers as texts: `--set port=8080`. They go before `answers`.
    pub set: BTreeMap<String, String>,
    /// Answers as values, of a file.
    pub answers: BTreeMap<String, JsonValue>,
    /// What the plugin's entry in the composition has beside its template's.
    pub extra: Extra,
    /// Where it was asked for, if in a file.
    pub location: Option<Location>,
    /// Where the values of `answers` were given, if in a file.
    pub places: BTreeMap<String, Location>,
}

impl Request {
    /// A component, with nothing said about it.
    pub fn of(component: impl Into<String>) -> Self {
        Request { component: component.into(), ..Request::default() }
    }
}

/// How code is generated.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether Rust files are formatted, if there is a rustfmt.
    pub format: bool,
    /// Where the mlx crates of a new project come from.
    pub origin: Option<MlxOrigin>,
    /// The folder of each component that is not built in, as the lock is to record it.
    pub folders: BTreeMap<String, String>,
}

impl Default for Options {
    fn default() -> Self {
        Options { format: true, origin: None, folders: BTreeMap::new() }
    }
}

impl MlxOrigin {
    /// Reads `path`, `path:FOLDER`, `git:URL` or `registry`. `path` alone is the checkout that this program was built from.
    ///
    /// # Errors
    /// [`Code::BadAnswer`] for anything else, and when that checkout is gone.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |message: String, help: &str| {
            let found = Diagnostic::error(Code::BadAnswer, message).help(help);
            Error::from_diagnostics("--mlx-source", vec![found])
        };
        match text
            .split_once(':')
            .map_or((text, None), |(kind, rest)| (kind, Some(rest).filter(|rest| !rest.is_empty())))
        {
            ("registry", None) => Ok(MlxOrigin::Registry),
            ("git", Some(url)) => Ok(MlxOrigin::Git(url.to_owned(), None)),
            ("git", None) => Err(refused("no repository is given".to_owned(), "write `git:URL`")),
            ("path", Some(folder)) => MlxOrigin::checkout(Path::new(folder)).ok_or_else(|| {
                let message = format!("{} is no checkout of mlx", mlx_core::diagnostics::quoted(folder));
                refused(message, "the folder has `mlx-core/Cargo.toml`")
            }),
            ("path", None) => MlxOrigin::built_from().ok_or_else(|| {
                let message = "the checkout that this program was built from is gone".to_owned();
                refused(message, "write `path:FOLDER`, `git:URL` or `registry`")
            }),
            _ => {
                let message = format!("{} is no source of the mlx crates", mlx_core::diagnostics::quoted(text));
                Err(refused(message, "write `path`, `path:FOLDER`, `git:URL` or `registry`"))
            }
        }
    }

    /// The checkout that this program was built from, if it is there.
    pub fn built_from() -> Option<Self> {
        MlxOrigin::checkout(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
    }

    fn checkout(folder: &Path) -> Option<Self> {
        let folder = folder.canonicalize().ok().filter(|folder| folder.join("mlx-core/Cargo.toml").is_file())?;
        Some(MlxOrigin::Path(folder.to_str()?.trim_start_matches(r"\\?\").replace('\\', "/")))
    }

    /// As the lock says it.
    pub fn source(&self) -> MlxSource {
        match self {
            MlxOrigin::Path(_) => MlxSource::Path,
            MlxOrigin::Git(..) => MlxSource::Git,
            MlxOrigin::Registry => MlxSource::Registry,
        }
    }
}

/// Where the mlx crates of a project come from: what its `Cargo.toml` says, else what the options say.
///
/// # Errors
/// A `Cargo.toml` that cargo would not read; no checkout where one is needed.
pub fn origin(tree: &Tree<'_>, options: &Options) -> Result<MlxOrigin> {
    let path = ProjectPath::new("Cargo.toml")?;
    let declared = match tree.read_text(&path)? {
        // What is in the folder of a project that is to be made is none of its own.
        _ if !tree.exists(&ProjectPath::new(LOCK_FILE)?)? => None,
        Some(text) => manifest::origin(&path, &text, "mlx-core")?,
        None => None,
    };
    match declared {
        Some(Some(Origin::Path(folder))) => {
            let parent = folder.trim_end_matches('/').rsplit_once('/').map_or(".", |(parent, _)| parent);
            Ok(MlxOrigin::Path(parent.to_owned()))
        }
        Some(Some(Origin::Git(url, reference))) => Ok(MlxOrigin::Git(url, reference)),
        Some(None) => Ok(MlxOrigin::Registry),
        None => match &options.origin {
            Some(origin) => Ok(origin.clone()),
            None => MlxOrigin::parse("path"),
        },
    }
}

/// A new project in the folder `at`, which need not exist, and the plan that makes it.
///
/// # Errors
/// A name that would not compile; a folder that is a project already, and files in the way; answers that are wrong.
pub fn init(
    catalogue: &Catalogue,
    name: &str,
    at: &Path,
    answers: &Request,
    options: &Options,
) -> Result<(Project, Plan)> {
    if let Some(found) = names::project(name, catalogue) {
        return Err(Error::from_diagnostics("the project", vec![found]));
    }
    let origin = match &options.origin {
        Some(origin) => origin.clone(),
        None => MlxOrigin::parse("path")?,
    };
    let project = Project::create(at, Lock::new(name, origin.source()))?;
    let request = Request { component: PROJECT.to_owned(), ..answers.clone() };
    let options = Options { origin: Some(origin), ..options.clone() };
    let plan = generate(&project, catalogue, &[request], &options, "init")?;
    Ok((project, plan))
}

/// The plan that adds a component, or a plugin, to a project. What is there already is no work, and gives an empty plan.
///
/// # Errors
/// Everything that is wrong with the request, at once: unknown names, answers, conflicts, versions, files in the way, regions
/// that are missing.
pub fn add(project: &Project, catalogue: &Catalogue, request: &Request, options: &Options) -> Result<Plan> {
    generate(project, catalogue, std::slice::from_ref(request), options, "add")
}

/// Where a composition is read from.
#[derive(Clone, Copy, Debug)]
pub enum CompositionSource<'s> {
    /// A file, with those that it includes.
    File(&'s Path),
    /// A text in YAML, such as one of [`mlx_components::compositions`], and what messages call it.
    Text {
        /// Its name.
        name: &'s str,
        /// The text.
        yaml: &'s str,
    },
}

impl fmt::Display for CompositionSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompositionSource::File(path) => path.display().fmt(f),
            CompositionSource::Text { name, .. } => f.write_str(name),
        }
    }
}

/// The plan that adds all components and plugins of a composition to a project.
///
/// # Errors
/// As of [`add`], with the places in the file; plugins that exclude each other; a file that is no composition. What the file
/// says and what the catalogue makes of it is reported at once.
pub fn compose(
    project: &Project,
    catalogue: &Catalogue,
    source: CompositionSource<'_>,
    options: &Options,
) -> Result<Plan> {
    let compose::Asked { requests, notes, mut found } = compose::requests(catalogue, source, project.lock())?;
    let resolved = Resolver::new(catalogue, project.lock()).resolve(&requests);
    found.extend(resolved.as_ref().err().into_iter().flat_map(Error::diagnostics).cloned());
    let resolved = match resolved {
        Ok(resolved) if !found.iter().any(Diagnostic::is_error) => resolved,
        _ => return Err(Error::from_diagnostics(source, found)),
    };
    let mut plan = make(project, catalogue, &requests, resolved, options, "compose")?;
    plan.notes.extend(notes);
    plan.warnings.extend(found);
    Ok(plan)
}

fn generate(
    project: &Project,
    catalogue: &Catalogue,
    requests: &[Request],
    options: &Options,
    command: &str,
) -> Result<Plan> {
    let resolved = Resolver::new(catalogue, project.lock()).resolve(requests)?;
    make(project, catalogue, requests, resolved, options, command)
}

/// The plan that makes what requests were resolved to.
fn make(
    project: &Project,
    catalogue: &Catalogue,
    requests: &[Request],
    resolved: Resolved<'_>,
    options: &Options,
    command: &str,
) -> Result<Plan> {
    let mut tree = project.tree();
    let Resolved { items, promoted, notes } = resolved;
    notes.into_iter().for_each(|note| tree.note(note));
    for (component, instance) in promoted {
        let entries = &mut tree.lock_mut().components;
        let entry = entries.iter_mut().find(|i| i.component == component && i.instance == instance);
        entry.into_iter().for_each(|entry| entry.requested = true);
    }
    if items.is_empty() {
        return tree.into_plan(command);
    }
    let mut components = project.lock().component_names();
    components.extend(items.iter().map(|item| item.subject.component.name.clone()));
    components.sort();
    components.dedup();
    let around =
        Surroundings { project: project.lock().project.name.clone(), components, origin: origin(&tree, options)? };
    let mut found = Vec::new();
    let mut renderings = Vec::new();
    for item in items {
        let rendered = render::collect(render(catalogue, item.subject, &around), &mut found)?;
        renderings.extend(rendered.map(|rendering| (rendering, item.requested)));
    }
    if !found.is_empty() {
        return Err(Error::from_diagnostics("the catalogue", found));
    }
    match command {
        "add" => renderings.iter_mut().try_for_each(|(rendering, _)| defaults::mark(&mut tree, rendering))?,
        _ => defaults::mark_all(&mut tree, &mut renderings, |rendering| {
            let named = rendering.subject.instance.as_ref().map(|instance| &instance.id);
            requests.iter().any(|asked| {
                asked.component == rendering.subject.component.name
                    && asked.id.as_ref().or(asked.name.as_ref()) == named
            })
        })?,
    }
    let stale = refresh::stale(&mut tree, catalogue, &around, &[]);
    let mut refreshed = Vec::new();
    for entry in &stale {
        let subject = refresh::subject(catalogue.find(&entry.component)?, entry);
        refreshed.push(render(catalogue, subject, &around)?);
    }
    let new = renderings.iter_mut().map(|(rendering, _)| rendering);
    format_all(&mut tree, new.chain(refreshed.iter_mut()), options)?;
    for (rendering, requested) in renderings {
        let installed = Installed { requested, ..new_entry(&rendering.subject, options) };
        place::place(&mut tree, &rendering, installed, &around, &mut found)?;
    }
    if !found.is_empty() {
        return Err(Error::from_diagnostics("the project", found));
    }
    if !stale.is_empty() {
        let generated = stale.iter().zip(&refreshed).map(|(entry, new)| refresh::generated(entry, new, &around));
        update::update(&mut tree, generated.collect())?;
    }
    update::into_plan(tree, command)
}

/// What entries of the lock come to with the templates of now, formatted, and what their new versions need besides: what
/// [`update`](update::update) merges into the project.
///
/// # Errors
/// A component that the catalogue does not have any more; answers that its new version does not take; a version that another
/// component does not work with, conflicts; as of [`render`].
pub fn regenerate(
    tree: &mut Tree<'_>,
    catalogue: &Catalogue,
    entries: &[Installed],
    options: &Options,
) -> Result<Vec<update::Generated>> {
    let mut found = Vec::new();
    let mut updated = BTreeSet::new();
    let mut lock = tree.lock().clone();
    for entry in entries {
        let Some(component) = render::collect(catalogue.find(&entry.component), &mut found)? else { continue };
        updated.insert(component.name.as_str());
        lock.put(Installed { version: component.version.clone(), ..entry.clone() });
    }
    if !found.is_empty() {
        return Err(Error::from_diagnostics("the catalogue", found));
    }
    let Resolved { items, notes, .. } = Resolver::new(catalogue, &lock).upgrade(&updated)?;
    notes.into_iter().for_each(|note| tree.note(note));
    let mut components = lock.component_names();
    components.extend(items.iter().map(|item| item.subject.component.name.clone()));
    components.sort();
    components.dedup();
    let around = Surroundings { project: lock.project.name.clone(), components, origin: origin(tree, options)? };

    let mut entries = entries.to_vec();
    if !items.is_empty() {
        entries.extend(refresh::stale(tree, catalogue, &around, &entries));
    }
    let mut subjects = Vec::new();
    for entry in &entries {
        subjects.push(refresh::subject(catalogue.find(&entry.component)?, entry));
    }
    entries.extend(items.iter().map(|item| new_entry(&item.subject, options)));
    subjects.extend(items.into_iter().map(|item| item.subject));
    let mut renderings = Vec::new();
    for subject in subjects {
        renderings.extend(render::collect(render(catalogue, subject, &around), &mut found)?);
    }
    if !found.is_empty() {
        return Err(Error::from_diagnostics("the catalogue", found));
    }
    format_all(tree, renderings.iter_mut(), options)?;
    Ok(entries.iter().zip(&renderings).map(|(entry, new)| refresh::generated(entry, new, &around)).collect())
}

/// The entry of the lock of what is not in the project yet.
fn new_entry(subject: &Subject<'_>, options: &Options) -> Installed {
    Installed {
        requested: false,
        instance: subject.instance.as_ref().map(Instance::full_id),
        module: subject.instance.as_ref().and_then(|instance| instance.module.clone()),
        answers: subject.answers.clone(),
        extra: subject.extra.clone(),
        catalogue: options.folders.get(&subject.component.name).cloned(),
        ..Installed::new(subject.component.name.clone(), subject.component.version.clone())
    }
}

/// A line of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateLine {
    /// The file of the template in the catalogue: `api-serving/templates/app.rs.template`.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
}

/// Which line of which template made a line of a file, counted from 1. `None` where the line is not as it was made, or the
/// catalogue no longer has the component as it was.
///
/// # Errors
/// As of [`Project::read`].
pub fn template_line(
    project: &Project,
    catalogue: &Catalogue,
    path: &ProjectPath,
    line: usize,
) -> Result<Option<TemplateLine>> {
    let Some((entry, file)) = project.lock().owner(path) else { return Ok(None) };
    let same = |component: &&Component| component.version == file.version && component.sha256() == entry.sha256;
    let Some(component) = catalogue.find(&entry.component).ok().filter(same) else { return Ok(None) };
    let Some(now) = project.read(path)?.and_then(|content| String::from_utf8(content).ok()) else { return Ok(None) };
    let around = Surroundings {
        project: project.lock().project.name.clone(),
        components: entry.components.clone(),
        origin: origin(&project.tree(), &Options::default())?,
    };
    let subject = refresh::subject(component, entry);
    // What cannot be rendered any more has no lines.
    let rendered = render::render_file(catalogue, &subject, &around, &file.template, file.target());
    let Ok(Some((source, rendered))) = rendered else { return Ok(None) };
    if Sha256::of(&rendered.text) != file.rendered {
        return Ok(None);
    }
    let base = project.read(&ProjectPath::base(&file.base))?.and_then(|content| String::from_utf8(content).ok());
    let base = base.as_deref().unwrap_or(&now);
    // What was changed by hand comes from no template; what was formatted does.
    let made = line_before(base, &now, line, false)
        .and_then(|line| line_before(&rendered.text, base, line, true))
        .and_then(|line| rendered.template_line(line));
    Ok(made.map(|line| TemplateLine { file: source.name().to_owned(), line }))
}

/// The line of `old` that is a line of `new`, or, of what was only laid out anew, has become it. Lines count from 1.
fn line_before(old: &str, new: &str, line: usize, laid_out: bool) -> Option<usize> {
    let index = line.checked_sub(1)?;
    let diff = TextDiff::from_lines(old, new);
    let part = diff.ops().iter().find(|part| part.new_range().contains(&index))?;
    let (from, to) = (part.old_range(), part.new_range());
    match part.tag() {
        similar::DiffTag::Equal => Some(from.start + (index - to.start) + 1),
        _ if laid_out && !from.is_empty() => Some(from.start + (index - to.start).min(from.len() - 1) + 1),
        _ => None,
    }
}

/// What is wrong with the name of a plugin.
///
/// # Errors
/// [`Code::BadAnswer`] for a name that would not compile.
pub fn check_plugin_name(catalogue: &Catalogue, name: &str) -> Result<()> {
    match names::plugin(name, &names::types(catalogue)) {
        None => Ok(()),
        Some(found) => Err(Error::from_diagnostics("the plugin", vec![found])),
    }
}

/// Formats the Rust files of all renderings with one call of rustfmt, as the project's `rustfmt.toml` says.
///
/// # Errors
/// A failure of the file system.
pub fn format_all<'r, 'c: 'r>(
    tree: &mut Tree<'_>,
    renderings: impl Iterator<Item = &'r mut Rendering<'c>>,
    options: &Options,
) -> Result<()> {
    if !options.format {
        return Ok(());
    }
    let mut config = None;
    for name in ["rustfmt.toml", ".rustfmt.toml"] {
        config = match config {
            None => tree.read(&ProjectPath::new(name)?)?,
            found => found,
        };
    }
    let files = renderings.flat_map(|rendering| &mut rendering.files);
    if let Some(said) = format::format(files, config.as_deref())? {
        tree.note(format!("the files are not formatted: rustfmt says {said}"));
    }
    Ok(())
}
