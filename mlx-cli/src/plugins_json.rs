//! `plugins.json`: the plugins that the project has, for `registry().doctor()` and for tools.

use mlx_core::{Context, JsonValue, Result, json, registry::PluginManifest};

/// The file's name.
pub const FILE: &str = "plugins.json";

/// A plugin of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The plugin type.
    pub kind: String,
    /// The plugin's name.
    pub name: String,
    /// The component that made it.
    pub component: String,
    /// The component's version.
    pub component_version: String,
    /// The file that declares it.
    pub path: String,
}

/// The text of a file without plugins.
pub fn empty() -> String {
    text(&json!({"version": 1, "plugins": []}))
}

/// The text with this entry, in the place of one of the same type and name, and what else is there.
///
/// # Errors
/// A text that [`PluginManifest`] does not read.
pub fn put(text_before: &str, entry: &Entry) -> Result<String> {
    edit(text_before, |plugins| {
        let new = json!({
            "type": entry.kind,
            "name": entry.name,
            "component": entry.component,
            "component_version": entry.component_version,
            "path": entry.path,
        });
        match plugins.iter_mut().find(|plugin| is(plugin, &entry.kind, &entry.name)) {
            Some(JsonValue::Object(there)) => {
                let JsonValue::Object(new) = new else { return };
                there.extend(new);
            }
            _ => plugins.push(new),
        }
        let key = |plugin: &JsonValue, key: &str| plugin[key].as_str().unwrap_or_default().to_owned();
        plugins.sort_by_cached_key(|plugin| (key(plugin, "type"), key(plugin, "name")));
    })
}

/// The text without the plugin, which need not be there.
///
/// # Errors
/// A text that [`PluginManifest`] does not read.
pub fn remove(text_before: &str, kind: &str, name: &str) -> Result<String> {
    edit(text_before, |plugins| plugins.retain(|plugin| !is(plugin, kind, name)))
}

fn is(plugin: &JsonValue, kind: &str, name: &str) -> bool {
    plugin["type"] == kind && plugin["name"] == name
}

fn edit(before: &str, change: impl FnOnce(&mut Vec<JsonValue>)) -> Result<String> {
    // The reader of the framework says what is wrong, and where.
    PluginManifest::from_json(FILE, before)?;
    let mut document: JsonValue = serde_json::from_str(before).context("reading plugins.json")?;
    let untouched = document.clone();
    if let Some(plugins) = document["plugins"].as_array_mut() {
        change(plugins);
    }
    match document == untouched {
        true => Ok(before.to_owned()),
        false => Ok(text(&document)),
    }
}

/// Keys in the order in which a person reads them, one plugin after the other.
fn text(document: &JsonValue) -> String {
    let mut text = "{\n".to_owned();
    let keys = ["$schema", "version"];
    for key in keys.iter().filter(|key| document.get(key).is_some()) {
        text.push_str(&format!("  \"{key}\": {},\n", document[*key]));
    }
    text.push_str("  \"plugins\": [");
    let order = ["type", "name", "version", "component", "component_version", "path"];
    let mut separator = "\n";
    for plugin in document["plugins"].as_array().into_iter().flatten() {
        let fields = order.iter().filter_map(|key| Some((*key, plugin.get(key)?)));
        let fields: Vec<_> = fields.map(|(key, value)| format!("      \"{key}\": {value}")).collect();
        text.push_str(&format!("{separator}    {{\n{}\n    }}", fields.join(",\n")));
        separator = ",\n";
    }
    text.push_str(if separator == "\n" { "]\n}\n" } else { "\n  ]\n}\n" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, name: &str) -> Entry {
        Entry {
            kind: kind.to_owned(),
            name: name.to_owned(),
            component: "plugin-registry".to_owned(),
            component_version: "1.0.0".to_owned(),
            path: format!("src/platform/plugins/{name}.rs"),
        }
    }

    #[test]
    fn entries_are_sorted_and_there_once() {
        let text = put(&empty(), &entry("ml_platform", "databricks")).unwrap();
        let text = put(&text, &entry("data_source", "snow\"flake")).unwrap();
        assert_eq!(put(&text, &entry("ml_platform", "databricks")).unwrap(), text);
        assert!(text.starts_with("{\n  \"version\": 1,\n  \"plugins\": [\n    {\n      \"type\": \"data_source\","));
        PluginManifest::from_json("plugins.json", &text).unwrap();
        let newer = Entry { component_version: "1.1.0".to_owned(), ..entry("ml_platform", "databricks") };
        assert!(put(&text, &newer).unwrap().contains("1.1.0"));
        let text = remove(&text, "ml_platform", "databricks").unwrap();
        let text = remove(&text, "data_source", "snow\"flake").unwrap();
        assert_eq!(text, empty());
        assert_eq!(remove(&text, "data_source", "absent").unwrap(), text);
    }

    #[test]
    fn what_the_user_wrote_stays_and_a_mistake_is_an_error() {
        let text = r#"{"$schema":"x","version":1,"plugins":[{"type":"a","name":"b","version":"^1"}]}"#;
        let after = put(text, &entry("a", "b")).unwrap();
        assert!(after.contains("\"version\": \"^1\"") && after.contains("\"$schema\": \"x\""), "{after}");
        assert_eq!(remove(text, "no", "such").unwrap(), text);
        for text in ["", "{}", r#"{"version": 2, "plugins": []}"#, r#"{"version": 1, "plugins": [{"tipe": "a"}]}"#] {
            assert!(put(text, &entry("a", "b")).is_err(), "{text}");
        }
    }
}
