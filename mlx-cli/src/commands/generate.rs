//! What makes code: `mlx init`, `mlx add`, `mlx compose`.

use super::{Session, shown};
use crate::{
    arguments::{Answers, Writing},
    generate::{self, MlxOrigin, Options, Request},
    output::Exit,
    project::Project,
    prompt,
};
use mlx_components::{
    catalogue::{Catalogue, Component},
    compositions,
};
use mlx_core::{Context as _, Diagnostic, Error, JsonValue, Result, diagnostics::Code};
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

fn options(session: &Session<'_>, writing: &Writing) -> Options {
    let overlay = session.global.catalogs.last().map(|folder| folder.display().to_string());
    Options { format: !writing.no_fmt, overlay, ..Options::default() }
}

/// `--set key=value`, each once.
fn pairs(set: &[String]) -> Result<BTreeMap<String, String>> {
    let mut pairs = BTreeMap::new();
    let mut found = Vec::new();
    for pair in set {
        let Some((key, value)) = pair.split_once('=') else {
            let shown = pair.escape_debug();
            found.push(
                Diagnostic::error(Code::BadAnswer, format!("`--set {shown}` has no `=`")).help("write --set KEY=VALUE"),
            );
            continue;
        };
        if pairs.insert(key.trim().to_owned(), value.to_owned()).is_some() {
            found.push(Diagnostic::error(Code::BadAnswer, format!("`{}` is set twice", key.trim().escape_debug())));
        }
    }
    if found.is_empty() { Ok(pairs) } else { Err(Error::from_diagnostics("the answers", found)) }
}

/// A file of answers: a mapping, in whichever of the formats its ending names.
fn file(path: &Path) -> Result<BTreeMap<String, JsonValue>> {
    let subject = format!("the answers of {}", path.display());
    if std::fs::metadata(path).with_context(|| format!("reading {subject}"))?.len() > LARGEST {
        return Err(Error::invalid(format!("{} has more than {LARGEST} bytes", path.display())));
    }
    let node = mlx_core::value::read_file(path).map_err(|found| Error::from_diagnostics(subject, found))?;
    match node.to_json() {
        JsonValue::Object(answers) => Ok(answers.into_iter().collect()),
        JsonValue::Null => Ok(BTreeMap::new()),
        _ => Err(Error::invalid(format!("{} has no mapping of answers", path.display()))),
    }
}

fn request(session: &Session<'_>, component: &str, answers: &Answers) -> Result<Request> {
    let mut request = Request::of(component);
    request.set = pairs(&answers.set)?;
    if let Some(path) = &answers.answers {
        request.answers = file(&session.folder()?.join(path))?;
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
    let catalogue = session.catalogue()?;
    let folder = session.folder()?;
    // The name of a project is one folder, whatever else is wrong with it.
    let at = folder.join(Path::new(name).file_name().map_or_else(|| PathBuf::from("project"), PathBuf::from));
    let request = request(session, "project", answers)?;
    let origin = mlx_source.map(MlxOrigin::parse).transpose()?;
    let options = Options { origin, ..options(session, writing) };
    session.recover(&at)?;
    let (project, plan) = generate::init(&catalogue, name, &at, &request, &options)?;
    let next = [
        format!("cd {}", shown(&at, &folder)),
        "mlx add COMPONENT; mlx list has them".to_owned(),
        "cargo run".to_owned(),
    ];
    session.carry_out(&project, &plan, writing, &next)
}

pub(super) fn add(session: &mut Session<'_>, wish: &Wish<'_>, answers: &Answers, writing: &Writing) -> Result<Exit> {
    let catalogue = session.catalogue()?;
    let project = session.project()?;
    let mut request = request(session, wish.component, answers)?;
    request.plugin_type = wish.plugin_type.map(str::to_owned);
    request.name = wish.name.map(str::to_owned);
    request.version = wish.version.map(version).transpose()?;
    if prompt::is_possible() && !session.global.no_input && !session.global.json {
        ask(&catalogue, &mut request)?;
    }
    let plan = generate::add(&project, &catalogue, &request, &options(session, writing))?;
    let next = next_steps(&project, &plan);
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
    if request.plugin_type.is_none() && request.name.is_none() && chooses(catalogue, component) {
        let own = "one of my own";
        let vendors = catalogue.variants(component).map(|v| v.name.rsplit('/').next().unwrap_or(&v.name).to_owned());
        let choices: Vec<String> = vendors.chain([own.to_owned()]).collect();
        match prompt::choice(&format!("Which of {}?", component.name), &choices)? {
            chosen if chosen == own => request.name = Some(prompt::name("The name of the plugin")?),
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

fn next_steps(project: &Project, plan: &crate::plan::Plan) -> Vec<String> {
    let made = plan.visible().any(|operation| operation.path.as_str().ends_with(".rs"));
    let root = project.root().display();
    if made { vec![format!("cargo run --manifest-path {root}/Cargo.toml")] } else { Vec::new() }
}

pub(super) fn compose(session: &mut Session<'_>, composition: &str, writing: &Writing) -> Result<Exit> {
    let catalogue = session.catalogue()?;
    let project = session.project()?;
    let path = session.folder()?.join(composition);
    let options = options(session, writing);
    let plan = match compositions::get(composition).filter(|_| !path.exists()) {
        Some(text) => {
            // A composition of the catalogue is read like any other file, so that mistakes have places.
            let folder = std::env::temp_dir().join(format!("mlx-compose-{}", std::process::id()));
            std::fs::create_dir_all(&folder).context("keeping the composition")?;
            let file = folder.join(format!("{composition}.yaml"));
            let made = std::fs::write(&file, text)
                .context("keeping the composition")
                .and_then(|()| generate::compose(&project, &catalogue, &file, &options));
            let _ = std::fs::remove_dir_all(&folder);
            made?
        }
        None if !path.exists() && !composition.contains(['.', '/']) => {
            let names = compositions::ALL.iter().map(|(name, _)| *name);
            let near = mlx_core::diagnostics::nearest(composition, names.clone());
            let known = mlx_core::diagnostics::listing(names);
            let found = Diagnostic::error(
                Code::Unreadable,
                format!("there is no file and no composition `{}`", composition.escape_debug()),
            );
            let found = match near {
                Some(near) => found.help(format!("did you mean `{near}`?")),
                None => found.help(format!("the compositions of the catalogue are {known}")),
            };
            return Err(Error::from_diagnostics("the composition", vec![found]));
        }
        None => generate::compose(&project, &catalogue, &path, &options)?,
    };
    let next = next_steps(&project, &plan);
    session.carry_out(&project, &plan, writing, &next)
}
