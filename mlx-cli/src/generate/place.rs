//! What was rendered, in a project.

use super::render::{Rendering, Surroundings, collect};
use crate::{
    manifest, plugins_json,
    project::{Installed, LockedEdit, LockedFile, ProjectPath, Tree},
    region, update,
};
use mlx_core::{Diagnostic, Error, Result, diagnostics::Code};

/// Puts a component or a plugin that the project does not have into it, with an entry of the lock. What is in the way is added
/// to `found`.
pub(super) fn place(
    tree: &mut Tree<'_>,
    rendering: &Rendering<'_>,
    mut installed: Installed,
    around: &Surroundings,
    found: &mut Vec<Diagnostic>,
) -> Result<()> {
    let subject = &rendering.subject;
    installed.sha256 = subject.component.sha256().to_owned();
    installed.components = around.components.clone();
    let before = found.len();
    for file in &rendering.files {
        let owner = tree.lock().owner(&file.path).map(|(owner, _)| owner.id());
        let there = tree.read(&file.path)?;
        let fault = match (owner, &there) {
            (Some(owner), _) => {
                Some(format!("`{}` belongs to `{owner}`, and `{}` would write it", file.path, installed.id()))
            }
            // Somebody has put it there by hand.
            (None, Some(there)) if there != file.content.as_bytes() => {
                Some(format!("`{}` is there already, and `{}` would create it", file.path, installed.id()))
            }
            _ => None,
        };
        if let Some(fault) = fault {
            found.push(Diagnostic::error(Code::Occupied, fault).help("move the file, or choose another name"));
            continue;
        }
        let base = tree.keep_base(file.content.as_str());
        tree.write(file.path.clone(), file.content.as_str(), format!("{}: {}", subject.component.name, file.template));
        installed.files.push(LockedFile {
            path: file.path.clone(),
            target: None,
            template: file.template.clone(),
            version: subject.component.version.clone(),
            rendered: file.rendered,
            base,
        });
    }
    if found.len() > before {
        // What comes next would be about files that are not the component's.
        return Ok(());
    }
    // The lock has it before the edits, which may be of its own files.
    tree.lock_mut().put(installed.clone());
    for edit in &rendering.edits {
        if collect(enter(tree, edit, &subject.component.name), found)?.is_some() {
            installed.edits.push(edit.clone());
        }
    }
    installed.dependencies = collect(require(tree, rendering), found)?.unwrap_or_default();
    if let Some(entry) = &rendering.listed {
        collect(list(tree, entry), found)?;
    }
    installed.plugins = rendering.plugin().into_iter().collect();
    tree.lock_mut().put(installed);
    Ok(())
}

/// Makes an entry in a region of a file.
pub(super) fn enter(tree: &mut Tree<'_>, edit: &LockedEdit, why: &str) -> Result<()> {
    let Some(text) = tree.read_text(&edit.file)? else {
        let message = format!("there is no `{}` for the region `{}`", edit.file, edit.region);
        return Err(Error::from_diagnostics("the project", vec![Diagnostic::error(Code::NoRegion, message)]));
    };
    if let Some(text) = region::insert(&edit.file, &text, &edit.region, &edit.text)? {
        tree.write(edit.file.clone(), text, format!("{why}: region {}", edit.region));
    }
    Ok(())
}

/// Adds the crates to `Cargo.toml`, and says which of them are there for components only.
pub(super) fn require(tree: &mut Tree<'_>, rendering: &Rendering<'_>) -> Result<Vec<String>> {
    let path = ProjectPath::new("Cargo.toml")?;
    let name = &rendering.subject.component.name;
    let mut added = Vec::new();
    if rendering.crates.is_empty() {
        return Ok(added);
    }
    let Some(before) = tree.read_text(&path)? else {
        let message = format!("there is no `Cargo.toml`, and `{name}` needs crates");
        return Err(Error::from_diagnostics("the project", vec![Diagnostic::error(Code::BadManifest, message)]));
    };
    let mut text = before.clone();
    let mut found = Vec::new();
    for (section, needed) in &rendering.crates {
        if let Some(required) = collect(manifest::require(&path, &text, *section, needed, name), &mut found)? {
            update::declare(tree, &path, &needed.name, &text, &required.text)?;
            text = required.text;
            // What another component added belongs to both.
            let shared = tree.lock().components.iter().any(|installed| installed.dependencies.contains(&needed.name));
            if required.added || shared {
                added.push(needed.name.clone());
            }
            required.notes.into_iter().for_each(|note| tree.note(note));
        }
    }
    if !found.is_empty() {
        return Err(Error::from_diagnostics(path, found));
    }
    if text != before {
        tree.write(path, text, format!("{name}: dependencies"));
    }
    Ok(added)
}

fn list(tree: &mut Tree<'_>, entry: &plugins_json::Entry) -> Result<()> {
    let path = ProjectPath::new(plugins_json::FILE)?;
    let text = tree.read_text(&path)?.unwrap_or_else(plugins_json::empty);
    let listed = plugins_json::put(&text, entry)?;
    tree.write(path, listed, format!("{}: the plugin {}/{}", entry.component, entry.kind, entry.name));
    Ok(())
}
