//! For authors of components: `mlx catalog check`, `mlx catalog test`.

use super::{Session, check::cargo};
use crate::{
    apply as transaction,
    arguments::CatalogCommand,
    generate::{self, Options, Request},
    output::Exit,
};
use mlx_components::catalogue::{Catalogue, Component, Sample};
use mlx_core::{Context, Error, Result, json};
use std::{borrow::Cow, path::Path, process::Stdio};

pub(super) fn run(session: &mut Session<'_>, command: &CatalogCommand) -> Result<Exit> {
    match command {
        CatalogCommand::Check { folder, write } => check(session, folder.as_deref(), *write),
        CatalogCommand::Test { folder, only } => test(session, folder.as_deref(), only),
    }
}

fn open(session: &Session<'_>, folder: Option<&Path>) -> Result<Cow<'static, Catalogue>> {
    match folder {
        Some(folder) => Ok(Cow::Owned(Catalogue::open(&session.folder()?.join(folder))?)),
        None => session.catalogue(),
    }
}

/// Records the samples of the catalogue in a folder, and its `registry.json` if it has one. Returns the files that were
/// written or removed.
fn record(folder: &Path) -> Result<Vec<String>> {
    let mut changed = Catalogue::open_unrecorded(folder)?.record_samples(folder)?;
    let path = folder.join("registry.json");
    if path.symlink_metadata().is_ok_and(|found| found.is_file()) {
        let registry = Catalogue::open_unrecorded(folder)?.registry();
        if std::fs::read(&path).context("reading registry.json")? != registry.as_bytes() {
            std::fs::write(&path, registry).context("writing registry.json")?;
            changed.push("registry.json".to_owned());
        }
    }
    Ok(changed)
}

fn check(session: &mut Session<'_>, folder: Option<&Path>, write: bool) -> Result<Exit> {
    let written = match folder.filter(|_| write) {
        Some(folder) => Some(record(&session.folder()?.join(folder))?),
        None => None,
    };
    for path in written.iter().flatten() {
        session.output.say(format_args!("wrote {path}"));
    }
    let catalogue = open(session, folder)?;
    let found = catalogue.check();
    let errors = found.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let components = catalogue.components().count();
    if session.output.json {
        let list: Vec<_> = found.iter().map(mlx_core::Diagnostic::to_json).collect();
        let status = if errors == 0 { "done" } else { "failed" };
        let mut fields = json!({"components": components, "diagnostics": list});
        if let Some(written) = written {
            fields["written"] = json!(written);
        }
        session.output.document("catalog", status, fields)?;
        return Ok(if errors == 0 { Exit::Done } else { Exit::Failed });
    }
    if errors > 0 {
        return Err(Error::from_diagnostics("the catalogue", found));
    }
    session.output.warn(&found);
    let plural = if components == 1 { "" } else { "s" };
    session.output.say(format_args!("{components} component{plural}, no mistakes"));
    Ok(Exit::Done)
}

fn test(session: &mut Session<'_>, folder: Option<&Path>, only: &[String]) -> Result<Exit> {
    let catalogue = match folder {
        // What a catalogue of one's own depends on may come with the command.
        Some(folder) => Cow::Owned(Catalogue::embedded()?.overlaid(Catalogue::open(&session.folder()?.join(folder))?)),
        None => session.catalogue()?,
    };
    let own = folder.map(|folder| Catalogue::open(&session.folder()?.join(folder))).transpose()?;
    for name in only {
        catalogue.find(name)?;
    }
    let is_wanted = |component: &&Component| {
        let own = own.as_ref().is_none_or(|own| own.find(&component.name).is_ok());
        let named =
            only.is_empty() || only.iter().any(|name| catalogue.find(name).is_ok_and(|c| c.name == component.name));
        own && named && component.kind.as_str() != "project"
    };
    let scratch = tempfile::tempdir().context("a folder for the samples")?;
    let mut results = Vec::new();
    for component in catalogue.components().filter(is_wanted) {
        for (sample, about) in component.samples()? {
            session.output.say(format_args!("{} {sample}", component.name));
            let name = format!("{}-{sample}", component.name.replace('/', "-"));
            let result = prove(session, &catalogue, component, about, &scratch.path().join(name));
            if let Err(error) = &result {
                session.output.say(error.report());
            }
            results.push((component.name.clone(), sample, result));
        }
    }
    let failed = results.iter().filter(|(_, _, result)| result.is_err()).count();
    if session.output.json {
        let entry = |(component, sample, result): &(String, String, Result<()>)| {
            let problem = result.as_ref().err().map(|error| format!("{error:#}"));
            json!({"component": component, "sample": sample, "ok": result.is_ok(), "problem": problem})
        };
        let list: Vec<_> = results.iter().map(entry).collect();
        session.output.document("catalog", if failed == 0 { "done" } else { "failed" }, json!({ "samples": list }))?;
        return Ok(if failed == 0 { Exit::Done } else { Exit::Failed });
    }
    match failed {
        0 => {
            session.output.say(format_args!("{} samples compile without warnings and pass their tests", results.len()))
        }
        _ => return Err(Error::failed(format!("{failed} of {} samples fail", results.len()))),
    }
    Ok(Exit::Done)
}

/// Makes a project with the sample, compiles it without warnings, and runs its tests.
fn prove(session: &Session<'_>, catalogue: &Catalogue, component: &Component, sample: Sample, at: &Path) -> Result<()> {
    let options = Options::default();
    let name = sample.project.as_deref().unwrap_or("sample");
    let (project, plan) = generate::init(catalogue, name, at, &Request::of(generate::PROJECT), &options)?;
    transaction::apply(&project, &plan)?;
    let (section, vendor) = component.name.split_once('/').unwrap_or((&component.name, ""));
    let needs_name = component.plugin.as_ref().is_some_and(|plugin| plugin.name.is_none()) && vendor.is_empty();
    for needed in sample.components.iter().filter(|needed| **needed != component.name && *needed != "project") {
        let (section, vendor) = needed.split_once('/').unwrap_or((needed, ""));
        let plugin_type = Some(vendor.to_owned()).filter(|vendor| !vendor.is_empty());
        let project = crate::project::Project::open(at)?;
        let plan = generate::add(&project, catalogue, &Request { plugin_type, ..Request::of(section) }, &options)?;
        transaction::apply(&project, &plan)?;
    }
    let project = crate::project::Project::open(at)?;
    let vendor = Some(vendor.to_owned()).filter(|vendor| !vendor.is_empty());
    let request = Request {
        plugin_type: vendor.or(sample.plugin_type),
        name: sample.plugin_name.or_else(|| needs_name.then(|| "sample".to_owned())),
        answers: sample.answers,
        ..Request::of(section)
    };
    let plan = generate::add(&project, catalogue, &request, &options)?;
    transaction::apply(&project, &plan)?;
    let output = || if session.output.speaks() { Stdio::inherit() } else { Stdio::null() };
    let mut command = cargo(&project, &["test", "--quiet"]);
    // One folder for all samples: their dependencies are the same.
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        command.env("CARGO_TARGET_DIR", at.with_file_name("target"));
    }
    let status = command.env("RUSTFLAGS", "-D warnings").stdout(output()).stderr(output()).status();
    match status.context("starting cargo")?.success() {
        true => Ok(()),
        false => Err(Error::failed(format!("`cargo test` fails in the sample of {}", component.name))),
    }
}
