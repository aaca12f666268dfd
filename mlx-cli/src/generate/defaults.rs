//! Who is meant by a plugin type, once a project has several plugins of it.

use super::{
    extra::Extra,
    render::{Instance, Rendering},
};
use crate::{
    project::{LockedEdit, ProjectPath, Tree},
    region,
};
use mlx_core::{
    JsonValue, Result,
    diagnostics::Source,
    value::{self, Map, Node, Value},
};
use std::collections::BTreeSet;

/// The composition of a project.
pub(super) const COMPOSITION: &str = "platform.yaml";
/// Where the entries of its plugins are.
pub(super) const PLUGINS: &str = "plugins";

/// Marks who is the default of the type of a plugin that comes to others: the one that was alone in being enabled, which is
/// then found where none is named, as before; or the new one, if the others are off. A type that takes one takes the rest as
/// named extras. Where the composition says something of its own about it, it is left alone.
pub(super) fn mark(tree: &mut Tree<'_>, new: &mut Rendering<'_>) -> Result<()> {
    let Some(Instance { kind, .. }) = &new.subject.instance else { return Ok(()) };
    let Some(there) = undecided(tree, kind)? else { return Ok(()) };
    if there.is_empty() {
        return Ok(());
    }
    match enabled(&there)[..] {
        [] if new.subject.component.plugin.as_ref().is_some_and(|plugin| !plugin.account) => mark_new(new),
        [id] => return mark_there(tree, kind, id),
        _ => {}
    }
    Ok(())
}

/// Marks who is the default of each type that several plugins come to at once, with those that are there. Of new ones, it is the one
/// that was asked for by its name, while others came with components. A composition that names several says itself who it is.
pub(super) fn mark_all(
    tree: &mut Tree<'_>,
    new: &mut [(Rendering<'_>, bool)],
    is_named: impl Fn(&Rendering<'_>) -> bool,
) -> Result<()> {
    let kinds: BTreeSet<String> =
        new.iter().filter_map(|(rendering, _)| Some(rendering.subject.instance.as_ref()?.kind.clone())).collect();
    for kind in kinds {
        let Some(there) = undecided(tree, &kind)? else { continue };
        let mut coming = Vec::new();
        for (index, (rendering, _)) in new.iter().enumerate() {
            let text =
                rendering.edits.iter().filter(|edit| is_entry(edit)).map(|edit| edit.text.as_str()).collect::<String>();
            let made = entries(&format!("plugins:\n{text}"), &kind).unwrap_or_default();
            coming.extend(made.into_iter().map(|entry| (index, entry)));
        }
        let decided = new.iter().any(|(rendering, _)| {
            rendering.subject.instance.as_ref().is_some_and(|i| i.kind == kind)
                && rendering.subject.extra.keys.contains_key("default")
        });
        if decided || there.len() + coming.len() < 2 {
            continue;
        }
        let on: Vec<usize> = coming.iter().filter(|(_, entry)| entry.enabled).map(|(index, _)| *index).collect();
        let named: Vec<usize> = on.iter().copied().filter(|&index| is_named(&new[index].0)).collect();
        match (&enabled(&there)[..], &named[..], &on[..]) {
            ([id], _, _) => mark_there(tree, &kind, id)?,
            ([], [index], _) | ([], [], [index]) => mark_new(&mut new[*index].0),
            _ => {}
        }
    }
    Ok(())
}

fn decision() -> Extra {
    Extra { keys: [("default".to_owned(), JsonValue::Bool(true))].into(), ..Extra::default() }
}

fn is_entry(edit: &LockedEdit) -> bool {
    edit.file.as_str() == COMPOSITION && edit.region == PLUGINS
}

/// Marks a plugin that is new.
fn mark_new(new: &mut Rendering<'_>) {
    let mark = decision();
    for edit in new.edits.iter_mut().filter(|edit| is_entry(edit)) {
        edit.text = mark.laid_over(&edit.text);
    }
    new.subject.extra.keys.extend(mark.keys);
}

/// Marks a plugin that the project has.
fn mark_there(tree: &mut Tree<'_>, kind: &str, id: &str) -> Result<()> {
    let path = ProjectPath::new(COMPOSITION)?;
    let mark = decision();
    let full_id = format!("{kind}/{id}");
    let Some(mut installed) = tree.lock().instance(&full_id).cloned() else { return Ok(()) };
    let Some(edit) = installed.edits.iter_mut().find(|edit| is_entry(edit)) else { return Ok(()) };
    let Some(text) = tree.read_text(&path)? else { return Ok(()) };
    let marked = mark.laid_over(&edit.text);
    match region::replace(&path, &text, PLUGINS, &edit.text, &marked)? {
        Some(text) => {
            tree.write(path.clone(), text, format!("{full_id} is the default"));
            edit.text = marked;
            installed.extra.keys.extend(mark.keys);
            tree.lock_mut().put(installed);
        }
        None => tree.note(format!(
            "there are several plugins of type `{kind}` now: mark one in `{path}` with `default: true`; the entry of `{id}` \
             was changed by hand"
        )),
    }
    Ok(())
}

/// A plugin of a composition.
struct Entry {
    id: String,
    enabled: bool,
}

fn enabled(entries: &[Entry]) -> Vec<&str> {
    entries.iter().filter(|entry| entry.enabled).map(|entry| entry.id.as_str()).collect()
}

/// The plugins of a type that the project's composition has, `None` if it says who the default is, or cannot be read.
fn undecided(tree: &Tree<'_>, kind: &str) -> Result<Option<Vec<Entry>>> {
    let text = tree.read_text(&ProjectPath::new(COMPOSITION)?)?;
    Ok(text.and_then(|text| entries(&text, kind)))
}

/// The plugins of a type, `None` if the text says who the default is. What is wrong with it, the program says.
fn entries(text: &str, kind: &str) -> Option<Vec<Entry>> {
    let document = value::yaml::parse(&Source::new(COMPOSITION, text)).ok()?;
    let map = document.as_map()?;
    if map.get("precedence").and_then(Node::as_map).is_some_and(|precedence| precedence.get(kind).is_some()) {
        return None;
    }
    let listed = match map.get("plugins").map(|plugins| &plugins.value) {
        Some(Value::List(entries)) => entries.iter().filter_map(Node::as_map).collect(),
        _ => Vec::new(),
    };
    let of_kind: Vec<&Map> =
        listed.into_iter().filter(|entry| entry.get("type").and_then(Node::as_str) == Some(kind)).collect();
    if of_kind.iter().any(|entry| entry.get("default").is_some()) {
        return None;
    }
    let is_off = |entry: &Map| entry.get("enabled").is_some_and(|enabled| matches!(enabled.value, Value::Bool(false)));
    let read = |entry: &Map| {
        let id = entry.get("id").or_else(|| entry.get("name"))?.as_str()?.to_owned();
        Some(Entry { id, enabled: !is_off(entry) })
    };
    of_kind.into_iter().map(read).collect()
}
