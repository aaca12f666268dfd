//! What there is: `mlx list`, `mlx search`, `mlx info`.

use super::Session;
use crate::output::Exit;
use mlx_components::catalogue::{Catalogue, Component, Variable};
use mlx_core::{JsonValue, Result, json};

/// The last part of a vendor's name.
fn vendor(component: &Component) -> &str {
    component.name.rsplit('/').next().unwrap_or(&component.name)
}

fn is_vendor(component: &Component) -> bool {
    component.name.contains('/')
}

fn summary(catalogue: &Catalogue, component: &Component) -> JsonValue {
    json!({
        "name": component.name,
        "version": component.version.to_string(),
        "description": component.description,
        "type": component.kind.as_str(),
        "aliases": component.aliases.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "generates_plugin_types": component.generates_plugin_types.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "vendors": catalogue.variants(component).map(vendor).collect::<Vec<_>>(),
    })
}

fn show<'c>(session: &mut Session<'_>, catalogue: &'c Catalogue, found: &[&'c Component]) -> Result<()> {
    let width = found.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
    for component in found {
        session.output.line(format_args!(
            "{:width$}  {:8}  {}",
            component.name,
            component.version.to_string(),
            component.description
        ))?;
        let vendors: Vec<&str> = catalogue.variants(component).map(vendor).collect();
        if !vendors.is_empty() {
            session.output.line(format_args!("{:width$}  {:8}  --plugin-type: {}", "", "", vendors.join(", ")))?;
        }
    }
    Ok(())
}

pub(super) fn list(session: &mut Session<'_>, all: bool) -> Result<Exit> {
    let catalogue = session.catalogue()?;
    // What `mlx init` renders is not there to be added.
    let listed = |c: &&Component| c.kind.as_str() != "project" && (all || !is_vendor(c));
    let found: Vec<&Component> = catalogue.components().filter(listed).collect();
    if session.output.json {
        let components: Vec<_> = found.iter().map(|c| summary(&catalogue, c)).collect();
        session.output.document("list", "done", json!({ "components": components }))?;
    } else {
        show(session, &catalogue, &found)?;
    }
    Ok(Exit::Done)
}

pub(super) fn search(session: &mut Session<'_>, words: &[String]) -> Result<Exit> {
    let catalogue = session.catalogue()?;
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let matches = |component: &&Component| {
        let types = component.generates_plugin_types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let aliases = component.aliases.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let text = format!("{} {aliases} {} {types}", component.name, component.description).to_lowercase();
        component.kind.as_str() != "project" && words.iter().all(|word| text.contains(word.as_str()))
    };
    let found: Vec<&Component> = catalogue.components().filter(matches).collect();
    if session.output.json {
        let components: Vec<_> = found.iter().map(|c| summary(&catalogue, c)).collect();
        session.output.document("search", "done", json!({ "components": components }))?;
    } else if found.is_empty() {
        session.output.say("nothing found; `mlx list --all` has everything");
    } else {
        show(session, &catalogue, &found)?;
    }
    Ok(Exit::Done)
}

/// The type of a variable, its bounds and its default, in a few words.
fn constraints(variable: &Variable) -> String {
    let mut words = vec![variable.kind.as_str().to_owned()];
    if !variable.choices.is_empty() {
        words = vec![variable.choices.join(" | ")];
    }
    match (&variable.minimum, &variable.maximum) {
        (Some(least), Some(most)) => words.push(format!("{least} to {most}")),
        (Some(least), None) => words.push(format!("at least {least}")),
        (None, Some(most)) => words.push(format!("at most {most}")),
        (None, None) => {}
    }
    words.extend(variable.pattern.as_ref().map(|pattern| format!("matches {pattern}")));
    if variable.secret {
        words.push("secret".to_owned());
    } else if let Some(default) = &variable.default {
        words.push(format!("default {default}"));
    } else if variable.required {
        words.push("required".to_owned());
    }
    words.join(", ")
}

fn variable(name: &str, variable: &Variable) -> JsonValue {
    let mut entry = json!({
        "name": name,
        "type": variable.kind.as_str(),
        "description": variable.description,
        "required": variable.required,
        "secret": variable.secret,
    });
    if let Some(entry) = entry.as_object_mut() {
        let mut put = |key: &str, value: Option<JsonValue>| entry.extend(value.map(|value| (key.to_owned(), value)));
        put("default", variable.default.clone());
        put("minimum", variable.minimum.clone().map(JsonValue::from));
        put("maximum", variable.maximum.clone().map(JsonValue::from));
        put("pattern", variable.pattern.clone().map(JsonValue::from));
        put("enum", (!variable.choices.is_empty()).then(|| json!(variable.choices)));
    }
    entry
}

pub(super) fn info(session: &mut Session<'_>, name: &str) -> Result<Exit> {
    let catalogue = session.catalogue()?;
    let component = catalogue.find(name)?;
    let variables: Vec<(&str, &Variable)> = component.variables.iter().collect();
    let settings: Vec<(&str, &Variable)> = component.config_schema.iter().collect();
    let templates = || component.templates.iter().chain(component.plugin.iter().flat_map(|plugin| &plugin.templates));
    let dependencies: Vec<String> = component
        .dependencies
        .iter()
        .map(|needed| match needed.range == semver::VersionReq::STAR {
            true => needed.name.to_string(),
            false => format!("{}@{}", needed.name, needed.range),
        })
        .collect();
    let conflicts: Vec<String> = component.conflicts_with.iter().map(ToString::to_string).collect();
    if session.output.json {
        let mut entry = summary(&catalogue, component);
        let describe = |list: &[(&str, &Variable)]| list.iter().map(|(name, v)| variable(name, v)).collect::<Vec<_>>();
        if let Some(entry) = entry.as_object_mut() {
            let more = json!({
                "sha256": component.sha256(),
                "dependencies": dependencies,
                "conflicts_with": conflicts,
                "enhances": component.enhances.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "variables": describe(&variables),
                "settings": describe(&settings),
                "targets": templates().map(|t| t.target.to_string()).collect::<Vec<_>>(),
                "changes": component.changes.iter().map(|(v, notes)| (v.to_string(), json!(notes))).collect::<serde_json::Map<_, _>>(),
            });
            entry.extend(more.as_object().cloned().unwrap_or_default());
        }
        session.output.document("info", "done", json!({ "component": entry }))?;
        return Ok(Exit::Done);
    }
    session.output.line(format_args!("{} {}: {}", component.name, component.version, component.description))?;
    let mut row = |title: &str, text: String| match text.is_empty() {
        true => Ok(()),
        false => session.output.line(format_args!("  {title:14}{text}")),
    };
    row("also called", component.aliases.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))?;
    row("makes", component.generates_plugin_types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))?;
    row("vendors", catalogue.variants(component).map(vendor).collect::<Vec<_>>().join(", "))?;
    row("needs", dependencies.join(", "))?;
    row("excludes", conflicts.join(", "))?;
    for (title, list) in
        [("Answers of its templates (--set)", &variables), ("Settings (--set, or later in platform.yaml)", &settings)]
    {
        if list.is_empty() {
            continue;
        }
        session.output.line(format_args!("\n{title}"))?;
        let width = list.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, variable) in list {
            session.output.line(format_args!(
                "  {name:width$}  {}  ({})",
                variable.description.trim_end_matches('.'),
                constraints(variable)
            ))?;
        }
    }
    if let Some(readme) = component.file("README.md") {
        // The title says what stands above.
        let text = readme.text().trim();
        let text = if text.starts_with('#') { text.split_once('\n').map_or("", |(_, rest)| rest.trim()) } else { text };
        if !text.is_empty() {
            session.output.line(format_args!("\n{text}"))?;
        }
    }
    if templates().next().is_some() {
        session.output.line("\nFiles")?;
        for template in templates() {
            let when = template.when.as_ref().map_or_else(String::new, |when| format!("  (where {when})"));
            let target = template.target.replace("{{ plugin.module }}", "NAME");
            session.output.line(format_args!("  {target}{when}"))?;
        }
    }
    Ok(Exit::Done)
}
