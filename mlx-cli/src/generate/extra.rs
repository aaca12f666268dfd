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
            let line = format!("  {}: {}", plain(key), yaml(value));
            let place = lines.iter().position(|line| begins(line, 2, key));
            match (place, lines.iter().position(|line| begins(line, 2, "config"))) {
                (Some(place), _) => drop(lines.splice(place..end(&lines, place, 2), [line])),
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
            let after = end(&lines, config, 2);
            match (config + 1..after).find(|&place| begins(&lines[place], 4, key)) {
                Some(place) => drop(lines.splice(place..end(&lines, place, 4), [line])),
                None => lines.insert(after, line),
            }
        }
        lines.join("\n") + "\n"
    }
}

fn begins(line: &str, indentation: usize, key: &str) -> bool {
    let rest = line.trim_start_matches(' ');
    line.len() - rest.len() == indentation && rest.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'))
}

/// The line after the value of the key at `place`: what is indented deeper belongs to it, as do the items of a list and the end
/// of braces below the key.
fn end(lines: &[String], place: usize, indentation: usize) -> usize {
    let mut end = place + 1;
    for (index, line) in lines.iter().enumerate().skip(place + 1) {
        let rest = line.trim_start_matches(' ');
        match line.len() - rest.len() {
            _ if rest.is_empty() => continue,
            deeper if deeper > indentation => {}
            same if same == indentation && (rest.starts_with("- ") || rest.starts_with(['}', ']'])) => {}
            _ => break,
        }
        end = index + 1;
    }
    end
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
    #[test]
    fn a_value_of_several_lines_is_replaced_as_a_whole() {
        let entry = "- type: data_source\n  name: files\n  retry:\n    attempts: 3\n  config:\n    # Tables.\n    tables:\n      example: {path: a.csv}\n\n      other:\n        path: b.csv\n    list:\n    - a\n    - b\n    note: |\n      one\n      two\n    last: {\n      a: 1\n    }\n";
        let extra = Extra {
            keys: BTreeMap::from([("retry".to_owned(), json!({"attempts": 5}))]),
            settings: BTreeMap::from([
                ("last".to_owned(), json!(1)),
                ("list".to_owned(), json!(["c"])),
                ("more".to_owned(), json!(true)),
                ("note".to_owned(), json!("three\nfour")),
                ("tables".to_owned(), json!({"d": {"path": "x.csv"}})),
            ]),
        };
        assert_eq!(
            extra.laid_over(entry),
            "- type: data_source\n  name: files\n  retry: {\"attempts\":5}\n  config:\n    # Tables.\n    tables: {\"d\":{\"path\":\"x.csv\"}}\n    list: [\"c\"]\n    note: \"three\\nfour\"\n    last: 1\n    more: true\n"
        );
    }
}
