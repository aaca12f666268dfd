//! Removing a component, or a plugin made of one.

mod features;

pub use features::release_features;

use crate::{
    generate, manifest, plugins_json,
    project::{Installed, LockedEdit, ProjectPath, Tree},
    region,
    status::{Located, follow, locate},
    update,
};
use mlx_core::{
    Diagnostic, Error, ErrorKind, JsonValue, Result,
    diagnostics::{Code, listing, nearest},
    json,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a removal does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// What goes: `data-sources/snowflake`, or `plugin-registry (ml_platform/databricks)`.
    pub id: String,
    /// Files that go.
    pub deleted: Vec<ProjectPath>,
    /// Files that the user changed or moved: from where to where they are put aside.
    pub kept: Vec<(ProjectPath, ProjectPath)>,
    /// Crates in `Cargo.toml` that nothing else needs.
    pub dependencies: Vec<String>,
    /// Components that were added for this one, and that nothing needs any more.
    pub unneeded: Vec<String>,
}

impl Removed {
    /// The removal as JSON.
    pub fn to_json(&self) -> JsonValue {
        let kept: Vec<_> = self.kept.iter().map(|(from, to)| json!({"from": from, "to": to})).collect();
        json!({
            "removed": self.id, "deleted": self.deleted, "kept": kept,
            "dependencies": self.dependencies, "unneeded": self.unneeded,
        })
    }
}

/// Removes a component (`api-serving`) or a plugin (`ml_platform/databricks`) in the tree.
///
/// Files that are as they were generated are deleted. A file that was changed by hand is not: it is renamed to end in `.kept`, where
/// no compiler looks at it. Entries in regions go if they are as they were, and crates if no other component has added them, also
/// from `[workspace.dependencies]` if nothing else names them there.
/// With a component go its plugins that were not asked for, and those that `came_with` it. `needs` names the components that an
/// entry of the lock depends on.
///
/// # Errors
/// [`Code::NotInstalled`], with the nearest name; [`Code::StillNeeded`], with each that needs it, in an order in which they can be
/// removed; [`Code::UpdatePending`]; as of [`Tree::read`].
pub fn remove(
    tree: &mut Tree<'_>,
    name: &str,
    needs: impl Fn(&Installed) -> Vec<String>,
    came_with: impl Fn(&Installed) -> bool,
) -> Result<Removed> {
    update::check_settled(tree.project())?;
    let located = locate(tree)?;
    let mut located = follow(tree, located);
    let gone = find(tree, name)?;
    let comes_along = |other: &Installed, component: &Installed| {
        component.instance.is_none()
            && other.instance.is_some()
            && other.component == component.component
            && (!other.requested || came_with(other))
    };
    let (mut all, rest): (Vec<Installed>, Vec<Installed>) = (tree.lock().components.iter().cloned())
        .partition(|installed| installed.id() == gone.id() || comes_along(installed, &gone));
    check_unneeded(&gone, &rest, &needs, &comes_along)?;
    if gone.component == generate::PROJECT {
        let found = Diagnostic::error(Code::StillNeeded, format!("the project itself is made of `{}`", gone.id()))
            .help("to be rid of all of it, delete its folder");
        return Err(Error::from_diagnostics(format!("`{}`", gone.id()), vec![found]));
    }

    let mut removed = Removed { id: gone.id(), ..Removed::default() };
    all.sort_by_key(|one| one.id() != gone.id());
    for one in &all {
        if one.id() != gone.id() {
            tree.note(format!("`{}`, which came with it, goes too", one.id()));
        }
        take_out(tree, one, &rest, &mut located, &mut removed)?;
    }
    crates(tree, &all, &rest, &located, &mut removed)?;
    for one in &all {
        mentions(tree, one)?;
    }
    tree.lock_mut().components.retain(|installed| !all.iter().any(|one| one.id() == installed.id()));
    removed.unneeded = unneeded(&gone, &rest, &needs);
    for name in &removed.unneeded {
        tree.note(format!("nothing needs `{name}` any more: `mlx remove {name}`"));
    }
    Ok(removed)
}

/// Takes out the files and entries of one entry of the lock.
fn take_out(
    tree: &mut Tree<'_>,
    gone: &Installed,
    rest: &[Installed],
    located: &mut BTreeMap<ProjectPath, Located>,
    removed: &mut Removed,
) -> Result<()> {
    let why = format!("remove {}", gone.id());
    for found in gone.files.iter().filter_map(|file| located.remove(&file.path)) {
        if found.content.is_none() {
            continue;
        }
        let path = found.path().clone();
        if found.is_pristine() && !found.was_moved() {
            tree.remove(path.clone(), why.clone());
            removed.deleted.push(path);
        } else {
            let aside = update::free(tree, &format!("{path}.kept"))?;
            tree.rename(&path, aside.clone(), why.clone())?;
            tree.note(format!("`{path}` was changed by hand, and is kept as `{aside}`"));
            removed.kept.push((path, aside));
        }
    }
    // What others have put there too is there once.
    let shared = |edit: &LockedEdit| rest.iter().any(|other| other.edits.contains(edit));
    for edit in gone.edits.iter().filter(|edit| !shared(edit)) {
        let file = tree.lock().place(&edit.file);
        let Some(text) = tree.read_text(&file)? else { continue };
        match region::remove(&file, &text, &edit.region, &edit.text)? {
            Some(without) => tree.write(file, without, why.clone()),
            None => tree.warn(
                Diagnostic::warning(
                    Code::EntryChanged,
                    format!("`{file}`, region `{}`: what was put there was changed, and stays", edit.region),
                )
                .help(format!("remove by hand what is left of:\n{}", edit.text)),
            ),
        }
    }
    unlist_plugins(tree, gone, &why)
}

/// Takes out the crates that nothing else needs, and the tables of `Cargo.toml` that were made for them.
fn crates(
    tree: &mut Tree<'_>,
    gone: &[Installed],
    rest: &[Installed],
    located: &BTreeMap<ProjectPath, Located>,
    removed: &mut Removed,
) -> Result<()> {
    let needed: BTreeSet<&String> = rest.iter().flat_map(|other| &other.dependencies).collect();
    let had: BTreeSet<&String> = gone.iter().flat_map(|one| &one.dependencies).collect();
    let released: Vec<String> = had.difference(&needed).map(|name| (*name).clone()).collect();
    let manifest = ProjectPath::new(update::MANIFEST)?;
    let Some(text) = tree.read_text(&manifest)? else { return Ok(()) };
    let mut edited = update::release(tree, &manifest, text.clone(), released.iter())?;
    if edited == text {
        return Ok(());
    }
    let base = located.get(&manifest).and_then(|found| found.base.as_deref());
    if let Some(base) = base.and_then(|base| std::str::from_utf8(base).ok()) {
        edited = manifest::without_empty_tables(&manifest, edited, base)?;
    }
    let ids: Vec<String> = gone.iter().map(Installed::id).collect();
    tree.write(manifest, edited, format!("remove {}", ids.join(", ")));
    removed.dependencies = released;
    Ok(())
}

fn find(tree: &Tree<'_>, name: &str) -> Result<Installed> {
    let lock = tree.lock();
    if let Some(found) = lock.instance(name).or_else(|| lock.find(name, None)) {
        return Ok(found.clone());
    }
    let mut with_name = lock.components.iter().filter(|installed| installed.component == name);
    if let (Some(only), None) = (with_name.next(), with_name.next()) {
        return Ok(only.clone());
    }
    let known: Vec<&str> =
        lock.components.iter().map(|installed| installed.instance.as_deref().unwrap_or(&installed.component)).collect();
    let found = Diagnostic::error(Code::NotInstalled, format!("the project has no `{}`", name.escape_debug()));
    let found = match nearest(name, known.iter().copied()) {
        Some(near) => found.help(format!("did you mean `{near}`?")),
        None => found,
    };
    let found = found.help(format!("it has {}", listing(known)));
    Err(Error::from_diagnostics("the project", vec![found]).with_kind(ErrorKind::NotFound))
}

fn check_unneeded(
    gone: &Installed,
    rest: &[Installed],
    needs: &impl Fn(&Installed) -> Vec<String>,
    comes_along: &impl Fn(&Installed, &Installed) -> bool,
) -> Result<()> {
    // Another entry of the same component still gives what is needed.
    if gone.instance.is_some() && rest.iter().any(|other| other.component == gone.component) {
        return Ok(());
    }
    let dependent = |other: &Installed, on: &Installed| {
        (on.instance.is_none() && other.instance.is_some() && other.component == on.component)
            || (other.component != on.component && needs(other).contains(&on.component))
    };
    // Each with what it needs, and what needs that in turn.
    let mut found: Vec<(&Installed, &Installed)> = Vec::new();
    let mut at = 0;
    let mut on = gone;
    loop {
        for other in rest.iter().filter(|other| dependent(other, on)) {
            if !found.iter().any(|(known, _)| known.id() == other.id()) {
                found.push((other, on));
            }
        }
        match found.get(at) {
            Some((next, _)) => on = next,
            None => break,
        }
        at += 1;
    }
    // What goes with another one of the list is not to be removed for itself.
    let listed: Vec<&Installed> = found.iter().map(|(other, _)| *other).collect();
    found.retain(|(other, _)| !listed.iter().any(|component| comes_along(other, component)));
    let mut diagnostics = Vec::new();
    while !found.is_empty() {
        let free = |(other, _): &(&Installed, &Installed)| {
            !found.iter().any(|(later, _)| later.id() != other.id() && dependent(later, other))
        };
        // The catalogue has no circles; if it had, any order would do.
        let next = found.iter().position(free).unwrap_or(0);
        let (other, on) = found.remove(next);
        let name = other.instance.as_deref().unwrap_or(&other.component);
        diagnostics.push(
            Diagnostic::error(Code::StillNeeded, format!("`{}` needs `{}`", other.id(), on.component))
                .help(format!("remove it first: `mlx remove {name}`")),
        );
    }
    match diagnostics.is_empty() {
        true => Ok(()),
        false => Err(Error::from_diagnostics(format!("`{}`", gone.id()), diagnostics)),
    }
}

/// What was added only because of `gone`.
fn unneeded(gone: &Installed, rest: &[Installed], needs: &impl Fn(&Installed) -> Vec<String>) -> Vec<String> {
    let needed: BTreeSet<String> = rest.iter().flat_map(needs).collect();
    let wanted = needs(gone);
    let orphan = |other: &&Installed| {
        other.instance.is_none()
            && !other.requested
            && wanted.contains(&other.component)
            && !needed.contains(&other.component)
            && !rest.iter().any(|plugin| plugin.instance.is_some() && plugin.component == other.component)
    };
    rest.iter().filter(orphan).map(|other| other.component.clone()).collect()
}

fn unlist_plugins(tree: &mut Tree<'_>, gone: &Installed, why: &str) -> Result<()> {
    let path = ProjectPath::new(plugins_json::FILE)?;
    let Some(text) = tree.read_text(&path)? else { return Ok(()) };
    let mut new = text.clone();
    for plugin in &gone.plugins {
        if let Some((kind, name)) = plugin.split_once('/') {
            new = plugins_json::remove(&new, kind, name)?;
        }
    }
    if new != text {
        tree.write(path, new, why);
    }
    Ok(())
}

/// Warns of Rust code that goes on mentioning a module of the component.
fn mentions(tree: &mut Tree<'_>, gone: &Installed) -> Result<()> {
    let modules: BTreeSet<String> = gone.edits.iter().flat_map(|edit| edit.text.lines()).filter_map(module).collect();
    if modules.is_empty() {
        return Ok(());
    }
    let mut warnings = Vec::new();
    for file in tree.project().files()? {
        if !file.path.as_str().ends_with(".rs") {
            continue;
        }
        let Some(content) = tree.read(&file.path)? else { continue };
        let text = String::from_utf8_lossy(&content);
        for module in &modules {
            let uses = |line: &str| mentions_module(line, module);
            if let Some(line) = text.lines().position(uses) {
                let message = format!("`{}`, line {}, mentions the module `{module}`", file.path, line + 1);
                warnings
                    .push(Diagnostic::warning(Code::StillMentioned, message).help("change it: the module is removed"));
            }
        }
    }
    warnings.into_iter().for_each(|warning| tree.warn(warning));
    Ok(())
}

/// The module that a line declares.
fn module(line: &str) -> Option<String> {
    let line = line.trim().strip_suffix(';')?;
    let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub ")).unwrap_or(line);
    Some(line.strip_prefix("mod ")?.trim().to_owned())
}

/// Whether the line has `module::` or `::module`, as a word.
fn mentions_module(line: &str, module: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let code = line.split("//").next().unwrap_or(line);
    code.match_indices(module).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + module.len()..]);
        let alone = !before.ends_with(word) && !after.starts_with(word);
        alone && (after.starts_with("::") || before.ends_with("::"))
    })
}
