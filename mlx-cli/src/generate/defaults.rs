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

/// The composition of a project.
pub(super) const COMPOSITION: &str = "platform.yaml";
/// Where the entries of its plugins are.
pub(super) const PLUGINS: &str = "plugins";

/// Marks who is the default of the type of a plugin that comes to others: the one that was alone in being enabled, which is
/// then found where none is named, as before; or the new one, if the others are off. A type that takes one takes the rest as
/// named extras. Where the composition says something of its own about it, it is left alone.
pub(super) fn mark(tree: &mut Tree<'_>, new: &mut Rendering<'_>) -> Result<()> {
    let Some(Instance { kind, .. }) = &new.subject.instance else { return Ok(()) };
    let path = ProjectPath::new(COMPOSITION)?;
    let Some(text) = tree.read_text(&path)? else { return Ok(()) };
    // What is wrong with it, the program says.
    let Ok(document) = value::yaml::parse(&Source::new(COMPOSITION, text.as_str())) else { return Ok(()) };
    let Some(enabled) = undecided(&document, kind) else { return Ok(()) };
    let mark = Extra { keys: [("default".to_owned(), JsonValue::Bool(true))].into(), ..Extra::default() };
    let is_entry = |edit: &&mut LockedEdit| edit.file == path && edit.region == PLUGINS;
    let id = match enabled[..] {
        [id] => id,
        [] if new.subject.component.plugin.as_ref().is_some_and(|plugin| !plugin.account) => {
            new.edits.iter_mut().filter(is_entry).for_each(|edit| edit.text = mark.laid_over(&edit.text));
            new.subject.extra.keys.extend(mark.keys);
            return Ok(());
        }
        _ => return Ok(()),
    };
    let full_id = format!("{kind}/{id}");
    let Some(mut installed) = tree.lock().instance(&full_id).cloned() else { return Ok(()) };
    let Some(edit) = installed.edits.iter_mut().find(is_entry) else { return Ok(()) };
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

/// The ids of the plugins of a type that are enabled, if it has any plugins and nothing says who the default is.
fn undecided<'n>(document: &'n Node, kind: &str) -> Option<Vec<&'n str>> {
    let map = document.as_map()?;
    if map.get("precedence").and_then(Node::as_map).is_some_and(|precedence| precedence.get(kind).is_some()) {
        return None;
    }
    let Value::List(entries) = &map.get("plugins")?.value else { return None };
    let of_kind = entries.iter().filter_map(Node::as_map);
    let of_kind: Vec<&Map> = of_kind.filter(|entry| entry.get("type").and_then(Node::as_str) == Some(kind)).collect();
    if of_kind.is_empty() || of_kind.iter().any(|entry| entry.get("default").is_some()) {
        return None;
    }
    let is_off = |entry: &Map| entry.get("enabled").is_some_and(|enabled| matches!(enabled.value, Value::Bool(false)));
    let enabled = of_kind.into_iter().filter(|entry| !is_off(entry));
    enabled.map(|entry| entry.get("id").or_else(|| entry.get("name"))?.as_str()).collect()
}
