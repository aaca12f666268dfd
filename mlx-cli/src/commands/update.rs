//! What changes components that are there: `mlx update`, `mlx remove`.

use super::{Session, catalogues::Catalogues, here, inspect::named};
use crate::{
    arguments::Writing,
    generate::{self, Options},
    output::Exit,
    project::Installed,
    remove as removal, status, update as merging,
};
use mlx_components::catalogue::Catalogue;
use mlx_core::{Diagnostic, Error, Result, diagnostics::Code};
use std::collections::BTreeSet;

pub(super) fn update(session: &mut Session<'_>, names: &[String], writing: &Writing) -> Result<Exit> {
    let project = session.project()?;
    let Catalogues { catalogue, folders, gone } = session.catalogues(&project)?;
    let mut tree = project.tree();
    let mut entries = Vec::new();
    let mut found = Vec::new();
    // What was generated is rendered again where it is lost.
    let mut lost = BTreeSet::new();
    for entry in &project.lock().components {
        for file in &entry.files {
            if !status::has_base(&project, &file.base)? {
                lost.insert(entry.id());
            }
        }
    }
    let full = |name: &String| catalogue.find(name).map_or_else(|_| name.clone(), |component| component.name.clone());
    for entry in named(&project, &names.iter().map(full).collect::<Vec<_>>())? {
        let Ok(component) = catalogue.find(&entry.component) else {
            match gone.get(&entry.component) {
                Some(why) if !found.contains(why) => found.push(why.clone()),
                Some(_) => {}
                None => tree.warn(
                    Diagnostic::warning(
                        Code::UnknownComponent,
                        format!("`{}` is in no catalogue any more", entry.component),
                    )
                    .help("it stays as it is; name the folder that it is in with `--catalog DIR`"),
                ),
            }
            continue;
        };
        let folder = folders.get(&component.name).cloned();
        if folder != entry.catalogue {
            let place =
                folder.as_deref().map_or_else(|| "what comes with mlx".to_owned(), |folder| format!("`{folder}`"));
            tree.note(format!("`{}` is of the catalogue in {place} from now on", entry.id()));
        }
        let entry = Installed { catalogue: folder, ..entry.clone() };
        if component.version < entry.version {
            let (id, is, has) = (entry.id(), &entry.version, &component.version);
            tree.note(format!("{id} is of version {is}, and the catalogue has {has}: it stays as it is"));
        } else if component.version != entry.version || component.sha256() != entry.sha256 || lost.contains(&entry.id())
        {
            entries.push(entry);
        } else {
            tree.lock_mut().put(entry);
        }
    }
    if !found.is_empty() {
        return Err(Error::from_diagnostics("the catalogue", found));
    }
    let options = Options { format: !writing.no_fmt, folders, ..Options::default() };
    let generated = generate::regenerate(&mut tree, &catalogue, &entries, &options)?;
    merging::update(&mut tree, generated)?;
    let plan = merging::into_plan(tree, session.command)?;
    let next = match plan.conflicts.is_empty() {
        true => Vec::new(),
        false => vec![
            here("mlx update --continue  # once the conflicts are resolved", session.global),
            here("mlx update --abort  # puts everything back", session.global),
        ],
    };
    session.carry_out(&project, &plan, writing, &next)
}

pub(super) fn resume(session: &mut Session<'_>, writing: &Writing) -> Result<Exit> {
    let project = session.project()?;
    let mut plan = merging::resume(&project)?;
    plan.notes.push("the update is finished".to_owned());
    session.carry_out(&project, &plan, writing, &[])
}

pub(super) fn abort(session: &mut Session<'_>, writing: &Writing) -> Result<Exit> {
    let project = session.project()?;
    let mut plan = merging::abort(&project)?;
    plan.notes.push("the update is given up".to_owned());
    session.carry_out(&project, &plan, writing, &[])
}

/// The components that an entry of the lock depends on.
fn needs(catalogue: &Catalogue, entry: &Installed) -> Vec<String> {
    let component = catalogue.find(&entry.component);
    component.map(|found| found.dependencies.iter().map(|d| d.name.clone()).collect()).unwrap_or_default()
}

/// Whether the plugin is the one that is made when a component is added without a word more.
fn is_default(catalogue: &Catalogue, entry: &Installed) -> bool {
    let plugin = catalogue.find(&entry.component).ok().and_then(|component| component.plugin.as_ref());
    let name = plugin.and_then(|plugin| plugin.name.as_ref()).map(|name| name.as_str());
    name.is_some() && name == entry.instance.as_deref().and_then(|instance| Some(instance.split_once('/')?.1))
}

/// The features that an entry of the lock asks of crates, as `(crate, feature)`.
fn asked(catalogue: &Catalogue, entry: &Installed) -> BTreeSet<(String, String)> {
    let Ok(component) = catalogue.find(&entry.component) else { return BTreeSet::new() };
    let own = component.cargo.dependencies.iter();
    let plugin = component.plugin.iter().filter(|_| entry.instance.is_some()).flat_map(|p| p.cargo.dependencies.iter());
    let listed = own
        .chain(plugin)
        .flat_map(|(name, needed)| needed.features.iter().map(|feature| (name.to_owned(), feature.to_string())));
    let linked = entry.plugins.iter().filter_map(|plugin| {
        let (kind, name) = plugin.split_once('/')?;
        Some((component.links()?.to_owned(), generate::feature_of(kind, name)))
    });
    listed.chain(linked).collect()
}

/// Why it is not known which features the entries ask for, if it is not: those of another version are another's decision.
fn doubt(catalogue: &Catalogue, entries: &[Installed]) -> Option<String> {
    let is_known =
        |entry: &&Installed| catalogue.find(&entry.component).is_ok_and(|component| component.sha256() == entry.sha256);
    let unknown = entries.iter().find(|entry| !is_known(entry))?;
    Some(format!("`{}` is not as the catalogue has it, and may need it", unknown.id()))
}

pub(super) fn remove(session: &mut Session<'_>, name: &str, writing: &Writing) -> Result<Exit> {
    let project = session.project()?;
    let catalogue = session.catalogues(&project)?.catalogue;
    let mut tree = project.tree();
    // Aliases, and vendors without their section, are for people; the lock has names.
    let name = match named(&project, &[name.to_owned()]).as_deref() {
        Ok([only]) => only.instance.as_ref().unwrap_or(&only.component),
        _ => catalogue.find(name).map_or(name, |component| &component.name),
    };
    removal::remove(&mut tree, name, |entry| needs(&catalogue, entry), |entry| is_default(&catalogue, entry))?;
    let rest = tree.lock().components.clone();
    let asked_by = |entries: &[Installed]| entries.iter().flat_map(|entry| asked(&catalogue, entry)).collect();
    let before: BTreeSet<_> = asked_by(&project.lock().components);
    let unasked = before.difference(&asked_by(&rest)).cloned().collect();
    let doubt = doubt(&catalogue, &rest);
    removal::release_features(&mut tree, &unasked, doubt.as_deref(), &format!("remove {name}"))?;
    let plan = tree.into_plan("remove")?;
    session.carry_out(&project, &plan, writing, &[])
}
