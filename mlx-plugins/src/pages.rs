//! The page of each plugin in `docs/plugins`: the documentation of its module, and what is known of it as data. The
//! test says when a page is not what would be written now; with `MLX_WRITE_PAGES=1` in the environment it writes them.

use mlx_core::{
    Composition, JsonValue,
    diagnostics::Code,
    plugin::{PluginMetadata, SwapKind},
    prelude::*,
    registry::Registration,
};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The plugins of this crate, without those of its tests.
fn plugins() -> impl Iterator<Item = &'static Registration> {
    registry().iter().filter(|registration| {
        let module = registration.metadata().declared.module;
        module.starts_with("mlx_plugins::") && !module.contains("tests")
    })
}

#[test]
fn every_plugin_has_its_page() {
    let mut stale = Vec::new();
    for plugin in plugins() {
        let metadata = plugin.metadata();
        let path = root().join(format!("docs/plugins/{}/{}.md", metadata.kind.name, metadata.name));
        let page = page(metadata);
        if std::fs::read_to_string(&path).ok().as_deref() == Some(&page) {
            continue;
        }
        if std::env::var_os("MLX_WRITE_PAGES").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, page).unwrap();
        } else {
            stale.push(path.display().to_string());
        }
    }
    assert!(
        stale.is_empty(),
        "out of date, write them with `MLX_WRITE_PAGES=1 cargo test -p mlx-plugins --features remote pages`:\n{}",
        stale.join("\n")
    );
}

/// A composition on a page can be copied: it is whole, but for what the reader has to set up beside it.
#[test]
fn every_page_has_a_composition_that_works() {
    for plugin in plugins() {
        let metadata = plugin.metadata();
        let doc = module_doc(metadata);
        let start = doc.find("```yaml\n").unwrap_or_else(|| panic!("{} has no composition", metadata.name));
        let text = doc[start + 8..].split("```").next().unwrap();
        let composition = Composition::from_yaml(text).unwrap();
        assert!(composition.plugins().iter().any(|entry| *entry.name == metadata.name), "{}", metadata.name);
        let Err(error) = registry().resolve(&composition) else { continue };
        for finding in error.diagnostics().iter().filter(|finding| finding.is_error()) {
            let beside = [Code::MissingVariable, Code::MissingFile, Code::BadReference, Code::MissingRequirement];
            assert!(beside.contains(&finding.code), "{}: {finding}", metadata.name);
        }
    }
}

fn source(metadata: &PluginMetadata) -> PathBuf {
    let folder = metadata.declared.module.trim_start_matches("mlx_plugins::").replace("::", "/");
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder).join("mod.rs")
}

fn module_doc(metadata: &PluginMetadata) -> String {
    let path = source(metadata);
    let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect()
}

fn page(metadata: &PluginMetadata) -> String {
    let (kind, name) = (metadata.kind.name, metadata.name);
    let mut page = format!("# `{name}`, a plugin of type `{kind}`\n\n");
    let mut code = false;
    for line in module_doc(metadata).lines() {
        code ^= line.starts_with("```");
        match line {
            // Sections of a module are below the title of a page.
            heading if heading.starts_with('#') && !code => page.push('#'),
            _ => {}
        }
        page.push_str(&without_links(line));
        page.push('\n');
    }
    page.push_str("\n## At a glance\n\n| | |\n|---|---|\n");
    let feature = format!("{kind}-{name}").replace('_', "-");
    let words = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let requirements =
        |list: &[mlx_core::plugin::Requirement]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let swap = match metadata.swap {
        SwapKind::Overlap => "new and old run side by side; no call is lost",
        SwapKind::Handover => "the old one hands over what exists once; no call is lost",
        SwapKind::Restart => "the old one stops before the new one starts; calls in between fail",
    };
    let rows = [
        ("feature of `mlx-plugins`", format!("`{feature}`")),
        ("stability", format!("{:?}", metadata.stability).to_lowercase()),
        ("capabilities", words(metadata.capabilities)),
        ("data formats", words(metadata.data_formats)),
        ("conflicts with", words(metadata.conflicts_with)),
        ("requires", requirements(metadata.requires)),
        ("uses when there", requirements(metadata.optional)),
        ("hot swap", swap.to_owned()),
    ];
    for (what, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(page, "| {what} | {value} |");
    }
    page.push_str("\n## Settings\n\n");
    let schema = registry().schema(kind, name).map(|schema| JsonValue::from(schema.clone())).unwrap_or_default();
    let mut rows = String::new();
    settings(&schema, &schema, "", &mut rows);
    if rows.is_empty() {
        page.push_str("None.\n");
    } else {
        page.push_str("| setting | value | without it | |\n|---|---|---|---|\n");
        page.push_str(&rows);
    }
    page
}

/// `[text](Item::path)` is a link in the documentation of the crate only.
fn without_links(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("](") {
        let Some((target, behind)) = after.split_once(')') else { break };
        let Some((text, link)) = before.rsplit_once('[') else { break };
        match target.contains("://") {
            true => {
                let _ = write!(out, "{text}[{link}]({target})");
            }
            false => {
                let _ = write!(out, "{text}{link}");
            }
        }
        rest = behind;
    }
    out + rest
}

/// Writes a row for each setting below `schema`.
fn settings(root: &JsonValue, schema: &JsonValue, prefix: &str, rows: &mut String) {
    let schema = resolved(root, schema);
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name));
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        let inner = resolved(root, field);
        let default = match (field.get("default").or(inner.get("default")), required(name)) {
            (_, true) => "required".to_owned(),
            (Some(JsonValue::Null) | None, false) => String::new(),
            (Some(value), false) => format!("`{value}`"),
        };
        let description = field["description"].as_str().or(inner["description"].as_str()).unwrap_or_default();
        let description = description.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let _ = writeln!(rows, "| `{path}` | {} | {default} | {description} |", value(root, field));
        nested(root, field, &path, rows);
    }
}

fn nested(root: &JsonValue, field: &JsonValue, path: &str, rows: &mut String) {
    let inner = resolved(root, field);
    if inner["properties"].is_object() {
        settings(root, inner, &format!("{path}."), rows);
    } else if inner["items"].is_object() {
        nested(root, &inner["items"], &format!("{path}[]"), rows);
    } else if inner["additionalProperties"].is_object() {
        nested(root, &inner["additionalProperties"], &format!("{path}.*"), rows);
    }
}

/// Follows a reference, and looks through "or nothing".
fn resolved<'a>(root: &'a JsonValue, schema: &'a JsonValue) -> &'a JsonValue {
    if let Some(pointer) = schema["$ref"].as_str().and_then(|text| text.strip_prefix('#')) {
        return root.pointer(pointer).map_or(schema, |schema| resolved(root, schema));
    }
    match schema["anyOf"].as_array() {
        Some(choices) => match choices.iter().filter(|choice| choice["type"] != "null").collect::<Vec<_>>()[..] {
            [one] => resolved(root, one),
            _ => schema,
        },
        None => schema,
    }
}

/// What a setting takes, in a few words.
fn value(root: &JsonValue, field: &JsonValue) -> String {
    let schema = resolved(root, field);
    if let Some(words) = schema["enum"].as_array() {
        return words
            .iter()
            .map(|word| format!("`{}`", word.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(choices) = schema["oneOf"].as_array()
        && let Some(words) = choices.iter().map(|choice| choice["const"].as_str()).collect::<Option<Vec<_>>>()
    {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    if schema["x-mlx-secret"] == true || field["x-mlx-secret"] == true {
        return "secret".to_owned();
    }
    let kind = match &schema["type"] {
        JsonValue::String(kind) => kind.as_str(),
        JsonValue::Array(kinds) => {
            kinds.iter().filter_map(|kind| kind.as_str()).find(|kind| *kind != "null").unwrap_or("")
        }
        _ => "",
    };
    let mut text = match (kind, schema["format"].as_str()) {
        ("array", _) => format!("list of {}", value(root, &schema["items"])),
        ("object", _) if schema["additionalProperties"].is_object() => {
            format!("map to {}", value(root, &schema["additionalProperties"]))
        }
        ("object", _) => "settings".to_owned(),
        ("string", Some("uri")) => "address".to_owned(),
        ("string", Some(format)) => format.to_owned(),
        ("", _) => "one of several forms".to_owned(),
        (kind, _) => kind.to_owned(),
    };
    let bound =
        |key: &str| schema.get(key).or(field.get(key)).filter(|bound| bound.is_number()).map(ToString::to_string);
    // The largest number that fits says nothing.
    let most = bound("maximum").filter(|most| most.len() < 15);
    match (bound("minimum"), most) {
        (Some(least), Some(most)) => text.push_str(&format!(", {least} to {most}")),
        (Some(least), None) if least == "0" => text.push_str(", not negative"),
        (Some(least), None) => text.push_str(&format!(", {least} or more")),
        (None, Some(most)) => text.push_str(&format!(", up to {most}")),
        (None, None) => {}
    }
    text
}
