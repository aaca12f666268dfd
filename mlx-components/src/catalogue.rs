//! What components there are.

use mlx_core::{Context, Error, JsonValue, Result};

/// The catalogue that this version of the crate ships, as JSON.
const REGISTRY: &str = include_str!("../registry.json");

/// A component of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Component {
    /// Its name: `data-sources/snowflake`.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// What it is, in one sentence.
    pub description: String,
}

/// The components, in the order of their names.
///
/// # Errors
/// [`Invalid`](mlx_core::ErrorKind::Invalid) when the catalogue is malformed, which the tests of this crate rule out.
pub fn components() -> Result<Vec<Component>> {
    let registry: JsonValue = serde_json::from_str(REGISTRY).context("reading registry.json")?;
    let entries =
        registry["components"].as_array().ok_or_else(|| Error::invalid("registry.json has no `components`"))?;
    let mut components = entries.iter().map(component).collect::<Result<Vec<_>>>()?;
    components.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(components)
}

fn component(entry: &JsonValue) -> Result<Component> {
    let text = |key: &str| {
        entry[key]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| Error::invalid(format!("a component in registry.json has no `{key}`")))
    };
    Ok(Component { name: text("name")?, version: text("version")?, description: text("description")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_agrees_with_its_component_file() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let registry: JsonValue = serde_json::from_str(REGISTRY).unwrap();
        assert!(!components().unwrap().is_empty());
        for entry in registry["components"].as_array().unwrap() {
            let path = root.join(entry["path"].as_str().unwrap()).join("component.json");
            let file: JsonValue = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            for key in ["name", "version", "description"] {
                assert_eq!(entry[key], file[key], "{} of {}", key, path.display());
            }
        }
    }
}
