//! What the project has: `mlx status`, `mlx diff`, `mlx verify`.

use super::{Session, colored};
use crate::{
    output::Exit,
    project::{Installed, Project},
    status::{self, FileState},
};
use mlx_core::{
    Diagnostic, Error, ErrorKind, Result,
    diagnostics::{Code, listing, nearest, quoted},
    json,
};
use std::{collections::BTreeSet, io};

pub(super) fn status(session: &mut Session<'_>, check: bool) -> Result<Exit> {
    let project = session.project()?;
    let catalogues = session.catalogues(&project)?;
    session.output.warn(&catalogues.warnings());
    let catalogue = catalogues.catalogue;
    let available = |installed: &Installed| Some(catalogue.find(&installed.component).ok()?.version.clone());
    let mut status = status::status(&project, available)?;
    for (component, installed) in status.components.iter_mut().zip(&project.lock().components) {
        let found = catalogue.find(&installed.component).ok();
        component.changed = component.available.is_none() && found.is_some_and(|f| f.sha256() != installed.sha256);
    }
    session.output.warn(&status::lost(&project)?.into_iter().collect::<Vec<_>>());
    let exit = if check && !status.is_current() { Exit::OutOfDate } else { Exit::Done };
    if session.output.json {
        let word = if status.is_current() { "done" } else { "outdated" };
        session.output.document("status", word, json!({ "project": status.to_json() }))?;
        return Ok(exit);
    }
    for component in &status.components {
        let newer = component
            .available
            .as_ref()
            .map_or_else(String::new, |version| format!(", {version} is there: mlx update"));
        let newer = if component.changed { ", with other templates in the catalogue: mlx update" } else { &newer };
        session.output.line(format_args!("{} {}{newer}", component.id, component.version))?;
        for file in &component.files {
            let note = match &file.state {
                FileState::Pristine if !file.behind => continue,
                FileState::Moved { to, .. } => format!("{} to {to}", file.state.as_str()),
                state => state.as_str().to_owned(),
            };
            let behind = if file.behind { format!(", still of {}", file.version) } else { String::new() };
            session.output.line(format_args!("  {}  {note}{behind}", file.path))?;
        }
    }
    for path in &status.conflicts {
        session.output.line(format_args!("conflict {path}: resolve it, then mlx update --continue"))?;
    }
    if !status.foreign.is_empty() {
        let files = status.foreign.len();
        session.output.line(format_args!("{files} {} of your own", if files == 1 { "file" } else { "files" }))?;
    }
    Ok(exit)
}

/// The entries of the lock that a user names: all of a component, or one plugin.
pub(super) fn named<'p>(project: &'p Project, names: &[String]) -> Result<Vec<&'p Installed>> {
    let entries = &project.lock().components;
    let is = |entry: &Installed, name: &str| {
        let (section, vendor) = entry.component.split_once('/').unzip();
        [Some(entry.component.as_str()), entry.instance.as_deref(), section, vendor].contains(&Some(name))
            || entry.id() == name
    };
    let mut found = Vec::new();
    for name in names.iter().filter(|name| !entries.iter().any(|entry| is(entry, name))) {
        let known: BTreeSet<&str> = entries
            .iter()
            .flat_map(|entry| [Some(entry.component.as_str()), entry.instance.as_deref()])
            .flatten()
            .collect();
        let shown = quoted(&name.escape_debug().to_string());
        let missing = Diagnostic::error(Code::NotInstalled, format!("the project has no {shown}"));
        let missing = match nearest(name, known.iter().copied()) {
            Some(near) => missing.help(format!("did you mean `{near}`?")),
            None => missing,
        };
        found.push(missing.help(format!("it has {}", listing(known))));
    }
    if !found.is_empty() {
        return Err(Error::from_diagnostics("the project", found).with_kind(ErrorKind::NotFound));
    }
    Ok(entries.iter().filter(|entry| names.is_empty() || names.iter().any(|name| is(entry, name))).collect())
}

pub(super) fn diff(session: &mut Session<'_>, names: &[String]) -> Result<Exit> {
    let project = session.project()?;
    let wanted: BTreeSet<String> = named(&project, names)?.into_iter().map(Installed::id).collect();
    let text = status::diff(&project, |entry| wanted.contains(&entry.id()))?;
    if session.output.json {
        let word = if text.is_empty() { "nothing" } else { "done" };
        session.output.document("diff", word, json!({ "diff": text }))?;
        return Ok(Exit::Done);
    }
    if text.is_empty() {
        session.output.say("nothing was changed by hand");
    }
    let text = if session.output.colors(&io::stdout()) { colored(&text) } else { text };
    session.output.text(&text)?;
    Ok(Exit::Done)
}

pub(super) fn verify(session: &mut Session<'_>) -> Result<Exit> {
    let project = session.project()?;
    let found = status::verify(&project)?;
    let exit = if found.is_empty() { Exit::Done } else { Exit::OutOfDate };
    if session.output.json {
        let problems: Vec<_> = found.iter().map(mlx_core::Diagnostic::to_json).collect();
        session.output.document(
            "verify",
            if found.is_empty() { "done" } else { "outdated" },
            json!({ "problems": problems }),
        )?;
    } else if found.is_empty() {
        session.output.say("every hash of mlx.lock is right");
    } else {
        session.output.warn(&found);
    }
    Ok(exit)
}
