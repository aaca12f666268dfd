//! What a composition says of a plugin beyond what its component asks for.

use mlx_core::JsonValue;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Lines of a plugin's entry in `platform.yaml` that no template makes: settings of the plugin's own, references to the
/// environment, and what there is beside settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extra {
    /// Keys of the entry, such as `on_failure`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, JsonValue>,
    /// Settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, JsonValue>,
}

impl Extra {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.settings.is_empty()
    }

    /// The entry with these keys and settings, in the place of those that it has.
    pub(super) fn laid_over(&self, entry: &str) -> String {
        let mut lines: Vec<String> = entry.lines().map(str::to_owned).collect();
        for (key, value) in &self.keys {
            let line = format!("  {key}: {}", yaml(value));
            let place = lines.iter().position(|line| begins(line, 2, key));
            match (place, lines.iter().position(|line| begins(line, 2, "config"))) {
                (Some(place), _) => lines[place] = line,
                (None, Some(config)) => lines.insert(config, line),
                (None, None) => lines.push(line),
            }
        }
        for (key, value) in &self.settings {
            let line = format!("    {}: {}", plain(key), yaml(value));
            let Some(config) = lines.iter().position(|line| begins(line, 2, "config")) else {
                lines.extend(["  config:".to_owned(), line]);
                continue;
            };
            let settings = lines[config + 1..].iter().take_while(|line| line.starts_with("    ")).count();
            let end = config + 1 + settings;
            match lines[config + 1..end].iter().position(|line| begins(line, 4, key)) {
                Some(place) => lines[config + 1 + place] = line,
                None => lines.insert(end, line),
            }
        }
        lines.join("\n") + "\n"
    }
}

fn begins(line: &str, indentation: usize, key: &str) -> bool {
    let rest = line.trim_start_matches(' ');
    line.len() - rest.len() == indentation && rest.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'))
}

/// JSON is YAML; a key without anything special needs no quotes.
fn plain(key: &str) -> String {
    match key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !key.is_empty() {
        true => key.to_owned(),
        false => yaml(&key.into()),
    }
}

fn yaml(value: &JsonValue) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlx_core::{Composition, json};

    #[test]
    fn settings_replace_those_of_the_template_and_others_follow() {
        let extra = Extra {
            keys: BTreeMap::from([("default".to_owned(), json!(true)), ("enabled".to_owned(), json!(true))]),
            settings: BTreeMap::from([
                ("password".to_owned(), json!("${env:PW}")),
                ("pool size".to_owned(), json!({"a": [1, "x: y"]})),
            ]),
        };
        let entry = "- type: data_source\n  name: shop-snowflake\n  enabled: false # account\n  config:\n    account: \"x\"\n    password: \"y\"\n";
        let laid = extra.laid_over(entry);
        assert_eq!(
            laid,
            "- type: data_source\n  name: shop-snowflake\n  enabled: true\n  default: true\n  config:\n    account: \"x\"\n    password: \"${env:PW}\"\n    \"pool size\": {\"a\":[1,\"x: y\"]}\n"
        );
        Composition::from_yaml(&format!("plugins:\n{laid}")).unwrap();
        let bare = extra.laid_over("- type: a\n  name: b\n");
        assert!(bare.ends_with("  default: true\n  enabled: true\n  config:\n    password: \"${env:PW}\"\n    \"pool size\": {\"a\":[1,\"x: y\"]}\n"), "{bare}");
        assert_eq!(Extra::default().laid_over(entry), entry);
    }
}
