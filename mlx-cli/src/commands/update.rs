//! What changes components that are there: `mlx update`, `mlx remove`.

use super::{Session, catalogues::Catalogues, here, inspect::named};
use crate::{
    arguments::Writing,
    generate::{self, Options},
    output::Exit,
    project::{Installed, Lock, ProjectPath},
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

/// The features that an entry of the lock asks of crates.
fn asked<'c>(catalogue: &'c Catalogue, entry: &Installed) -> BTreeSet<(&'c str, &'c str)> {
    let Ok(component) = catalogue.find(&entry.component) else { return BTreeSet::new() };
    let own = component.cargo.dependencies.iter();
    let plugin = component.plugin.iter().filter(|_| entry.instance.is_some()).flat_map(|p| p.cargo.dependencies.iter());
    own.chain(plugin)
        .flat_map(|(name, needed)| needed.features.iter().map(move |feature| (name, feature.as_str())))
        .collect()
}

/// The features of crates that nothing of the project asks for without the component, or plugin, of this name.
fn features<'c>(lock: &Lock, catalogue: &'c Catalogue, name: &str) -> BTreeSet<(&'c str, &'c str)> {
    let goes = |entry: &&Installed| entry.instance.as_deref() == Some(name) || entry.component == name;
    let asks = |entry| asked(catalogue, entry);
    let needed: BTreeSet<_> = lock.components.iter().filter(|entry| !goes(entry)).flat_map(asks).collect();
    let gone: BTreeSet<_> = lock.components.iter().filter(goes).flat_map(asks).collect();
    gone.difference(&needed).copied().collect()
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
    let features = features(project.lock(), &catalogue, name);
    removal::remove(&mut tree, name, |entry| needs(&catalogue, entry), |entry| is_default(&catalogue, entry))?;
    // Code of the user's own may use them.
    let manifest = tree.read_text(&ProjectPath::new(merging::MANIFEST)?)?.unwrap_or_default();
    for (name, feature) in features {
        if manifest.contains(&format!("\"{feature}\"")) {
            tree.note(format!(
                "the feature `{feature}` of `{name}` stays in `Cargo.toml`; take it out if nothing of yours uses it"
            ));
        }
    }
    let plan = tree.into_plan("remove")?;
    session.carry_out(&project, &plan, writing, &[])
}
