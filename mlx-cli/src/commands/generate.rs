//! What makes code: `mlx init`, `mlx add`, `mlx compose`.

use super::{Session, catalogues::Catalogues, from_here, here};
use crate::{
    arguments::{Answers, Writing},
    generate::{self, CompositionSource, MlxOrigin, Options, Request},
    output::Exit,
    plan::Plan,
    project::{LOCK_FILE, Lock, MlxSource, Project},
    prompt,
};
use mlx_components::{
    catalogue::{Catalogue, Component},
    compositions,
};
use mlx_core::{
    Context as _, Diagnostic, Error, ErrorKind, Result,
    diagnostics::{Code, listing, nearest, quoted},
    json,
    value::{Entry, Value},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The largest file of answers, in bytes.
const LARGEST: u64 = 1 << 20;

/// What `mlx add` was told.
pub(super) struct Wish<'a> {
    pub(super) component: &'a str,
    pub(super) plugin_type: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) version: Option<&'a str>,
}

fn options(folders: BTreeMap<String, String>, writing: &Writing) -> Options {
    Options { format: !writing.no_fmt, folders, ..Options::default() }
}

/// `--set key=value`, each once.
fn pairs(set: &[String]) -> Result<BTreeMap<String, String>> {
    let mut pairs = BTreeMap::new();
    let mut found = Vec::new();
    for (index, pair) in set.iter().enumerate() {
        // What is there instead could be a secret.
        let Some((key, value)) = pair.split_once('=') else {
            let which = if set.len() == 1 { "`--set`".to_owned() } else { format!("`--set` number {}", index + 1) };
            found.push(
                Diagnostic::error(Code::BadAnswer, format!("{which} has no `=`")).help("write `--set KEY=VALUE`"),
            );
            continue;
        };
        if pairs.insert(key.trim().to_owned(), value.to_owned()).is_some() {
            found.push(Diagnostic::error(Code::BadAnswer, format!("`{}` is set twice", key.trim().escape_debug())));
        }
    }
    if found.is_empty() { Ok(pairs) } else { Err(Error::from_diagnostics("the request", found)) }
}

/// A file of answers: a mapping, in whichever of the formats its ending names.
fn file(path: &Path, request: &mut Request) -> Result<()> {
    let subject = format!("the file of answers {}", path.display());
    if std::fs::metadata(path).with_context(|| format!("reading {subject}"))?.len() > LARGEST {
        return Err(Error::invalid(format!("{} has more than {LARGEST} bytes", path.display())));
    }
    let node = mlx_core::value::read_file(path).map_err(|found| Error::from_diagnostics(subject, found))?;
    let answers = match &node.value {
        Value::Map(answers) => answers,
        Value::Null => return Ok(()),
        _ => return Err(Error::invalid(format!("{} has no mapping of answers", path.display()))),
    };
    for Entry { key, value, .. } in answers {
        request.answers.insert(key.clone(), value.to_json());
        request.places.extend(value.location.clone().map(|at| (key.clone(), at)));
    }
    Ok(())
}

fn request(session: &Session<'_>, component: &str, answers: &Answers) -> Result<Request> {
    let mut request = Request::of(component);
    request.set = pairs(&answers.set)?;
    if let Some(path) = &answers.answers {
        file(&session.file(path), &mut request)?;
    }
    Ok(request)
}

pub(super) fn init(
    session: &mut Session<'_>,
    name: &str,
    mlx_source: Option<&str>,
    answers: &Answers,
    writing: &Writing,
) -> Result<Exit> {
    let folder = session.folder()?;
    // The name of a project is one folder, whatever else is wrong with it.
    let at = folder.join(Path::new(name).file_name().map_or_else(|| PathBuf::from("project"), PathBuf::from));
    let next = [
        format!("cd {}", super::quoted(&super::catalogues::relative(&current(&folder), &at))),
        "mlx list".to_owned(),
        "mlx add api-serving".to_owned(),
        "cargo run".to_owned(),
    ];
    if let Some(change) = session.recover(&at)?.filter(|change| change.finished && change.command == "init") {
        // It is there now, as it was asked for then.
        if session.output.json {
            let recovered = super::apply::recovery(&change, &folder);
            session.output.document("init", "done", json!({"recovered": recovered, "next": next}))?;
        }
        next.iter().for_each(|line| session.output.say(format_args!("next: {line}")));
        return Ok(Exit::Done);
    }
    if let Some(outer) = folder.ancestors().find(|folder| folder.join(LOCK_FILE).symlink_metadata().is_ok()) {
        let message =
            format!("{} is a project, and no project is made inside another", quoted(&outer.display().to_string()));
        let found = Diagnostic::error(Code::Occupied, message)
            .help("add components to it with `mlx add`, or change to a folder outside of it");
        return Err(Error::from_diagnostics("the new project", vec![found]));
    }
    let request = request(session, generate::PROJECT, answers)?;
    let origin = mlx_source.map(MlxOrigin::parse).transpose()?;
    let none = Lock::new(name, MlxSource::default());
    let Catalogues { catalogue, folders, .. } = Catalogues::of(&at, &none, session.named_catalogues()?)?;
    let options = Options { origin, ..options(folders, writing) };
    let (project, plan) = generate::init(&catalogue, name, &at, &request, &options)?;
    session.carry_out(&project, &plan, writing, &next)
}

/// Where the user stands.
fn current(folder: &Path) -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| folder.to_owned())
}

pub(super) fn add(session: &mut Session<'_>, wish: &Wish<'_>, answers: &Answers, writing: &Writing) -> Result<Exit> {
    let project = session.project()?;
    let catalogues = session.catalogues(&project)?;
    session.output.warn(&catalogues.warnings());
    let Catalogues { catalogue, folders, .. } = catalogues;
    let mut request = request(session, wish.component, answers)?;
    request.plugin_type = wish.plugin_type.map(str::to_owned);
    request.name = wish.name.map(str::to_owned);
    request.version = wish.version.map(version).transpose()?;
    if prompt::is_possible() && !session.global.no_input && !session.global.json {
        ask(&catalogue, &mut request)?;
    }
    let plan = generate::add(&project, &catalogue, &request, &options(folders, writing))?;
    let next = next_steps(session, &project, &plan);
    session.carry_out(&project, &plan, writing, &next)
}

/// `1.2.0` is that version alone; everything else is a range as cargo has it.
fn version(text: &str) -> Result<semver::VersionReq> {
    let range = match semver::Version::parse(text) {
        Ok(exact) => format!("={exact}"),
        Err(_) => text.to_owned(),
    };
    semver::VersionReq::parse(&range).map_err(|error| {
        let found = Diagnostic::error(Code::BadAnswer, format!("`{}` is no version: {error}", text.escape_debug()))
            .help("write 1.2.0, or a range such as ^1");
        Error::from_diagnostics("--version", vec![found])
    })
}

/// Asks for what a request lacks: which plugin, and the answers that have no default.
fn ask(catalogue: &Catalogue, request: &mut Request) -> Result<()> {
    let Ok(component) = catalogue.find(&request.component) else { return Ok(()) };
    let types: Vec<String> = component.generates_plugin_types.iter().map(ToString::to_string).collect();
    if request.plugin_type.is_none() && request.name.is_some() && types.len() > 1 {
        request.plugin_type = Some(prompt::choice("Of which type is the plugin?", &types)?);
    }
    if request.plugin_type.is_none() && request.name.is_none() && chooses(catalogue, component) {
        let own = "one of my own";
        let vendors = catalogue.variants(component).map(|v| v.name.rsplit('/').next().unwrap_or(&v.name).to_owned());
        let choices: Vec<String> = vendors.chain([own.to_owned()]).collect();
        match prompt::choice(&format!("Which of {}?", component.name), &choices)? {
            chosen if chosen == own => {
                let check = |name: &str| generate::check_plugin_name(catalogue, name);
                request.name = Some(prompt::name("The name of the plugin:", check)?);
            }
            chosen => request.plugin_type = Some(chosen),
        }
    }
    let variant = request.plugin_type.as_deref().and_then(|vendor| catalogue.variant(component, vendor));
    for (name, variable) in variant.unwrap_or(component).variables.iter() {
        let given = request.set.contains_key(name) || request.answers.contains_key(name);
        if variable.required && !variable.secret && !given {
            request.answers.insert(name.to_owned(), prompt::variable(name, variable)?);
        }
    }
    Ok(())
}

/// Whether nothing is made of a component before somebody says of which vendor, or with what name.
fn chooses(catalogue: &Catalogue, component: &Component) -> bool {
    catalogue.variants(component).next().is_some()
        && component.plugin.as_ref().is_some_and(|plugin| plugin.name.is_none())
}

fn next_steps(session: &Session<'_>, project: &Project, plan: &Plan) -> Vec<String> {
    if !plan.conflicts.is_empty() {
        return vec![here("mlx update --continue  # once the conflicts are resolved", session.global)];
    }
    let made = plan.visible().any(|operation| operation.path.as_str().ends_with(".rs"));
    if made { vec![from_here(project.root(), "cargo run")] } else { Vec::new() }
}

pub(super) fn compose(session: &mut Session<'_>, composition: &str, writing: &Writing) -> Result<Exit> {
    let project = session.project()?;
    let catalogues = session.catalogues(&project)?;
    session.output.warn(&catalogues.warnings());
    let Catalogues { catalogue, folders, .. } = catalogues;
    let path = session.file(composition);
    let source = match compositions::get(composition) {
        _ if path.exists() => CompositionSource::File(&path),
        Some(yaml) => CompositionSource::Text { name: composition, yaml },
        None => return Err(no_composition(composition)),
    };
    let plan = generate::compose(&project, &catalogue, source, &options(folders, writing))?;
    let next = next_steps(session, &project, &plan);
    session.carry_out(&project, &plan, writing, &next)
}

fn no_composition(name: &str) -> Error {
    let names = compositions::ALL.iter().map(|(name, _)| *name);
    let message =
        format!("there is no file {} here, and no composition of that name", quoted(&name.escape_debug().to_string()));
    let found = Diagnostic::error(Code::Unreadable, message);
    let found = match nearest(name, names.clone()) {
        Some(near) => found.help(format!("did you mean `{near}`?")),
        None => found,
    };
    let found = found.help(format!("the compositions that come with mlx are {}", listing(names)));
    Error::from_diagnostics("the composition", vec![found]).with_kind(ErrorKind::NotFound)
}
