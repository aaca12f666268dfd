//! What has to hold for a plugin. One function a rule; all mistakes are reported together.

use proc_macro2::{Ident, Span};
use syn::{Attribute, Data, DeriveInput, Generics, LitStr, Path, ext::IdentExt};

use super::{attr::Arguments, item::Item};
use crate::{
    arguments::Named,
    casing,
    conditions::conditions,
    errors::{Errors, unknown},
    listing::{joined, quoted},
    plugin_types,
};

/// The words of `std::env::consts::OS`.
const PLATFORMS: &[&str] = &[
    "aix",
    "android",
    "dragonfly",
    "emscripten",
    "espidf",
    "freebsd",
    "fuchsia",
    "haiku",
    "hermit",
    "horizon",
    "hurd",
    "illumos",
    "ios",
    "linux",
    "macos",
    "netbsd",
    "nto",
    "openbsd",
    "redox",
    "solaris",
    "tvos",
    "uefi",
    "visionos",
    "vxworks",
    "wasi",
    "watchos",
    "windows",
];

const OWN_TYPE: &str = "for your own plugin type give the path of its trait: `type = my_crate::MyContract`";

/// A plugin without mistakes, but for its type.
pub(super) struct Plugin {
    pub(super) ident: Ident,
    /// Its `#[cfg(…)]`s.
    pub(super) conditions: Vec<Attribute>,
    pub(super) also: Vec<Contract>,
    pub(super) name: String,
    pub(super) requires: Vec<Requirement>,
    pub(super) optional: Vec<Requirement>,
    pub(super) swap: &'static str,
    pub(super) stability: &'static str,
    pub(super) backend: Backend,
}

/// A plugin type.
pub(super) enum Contract {
    /// The trait at the root of the core, to be reported at the literal that named it.
    BuiltIn(&'static str, Span),
    Foreign(Path),
}

pub(super) enum Requirement {
    Plugin { name: String, version: String },
    Type(String),
    Capability(String),
}

/// How the plugin gets into the registry.
#[derive(Clone, Copy)]
pub(super) enum Backend {
    Inventory,
    Linkme,
}

/// Checks everything. `None` when there is no struct to make a plugin of; what else is wrong is in `errors`.
pub(super) fn check(arguments: &Arguments, item: &Item, errors: &Errors) -> Option<Plugin> {
    let also = also(arguments, errors);
    let swap = choice("swap", &["overlap", "handover", "restart"], arguments.swap.as_ref(), errors);
    let stability = ["experimental", "beta", "stable", "deprecated"];
    let stability = choice("stability", &stability, arguments.stability.as_ref(), errors);
    let backend = backend(arguments, errors);
    let requires = requirements(&arguments.requires, errors);
    let optional = requirements(&arguments.optional, errors);
    version(arguments, errors);
    platforms(arguments, errors);
    integration_points(arguments, errors);
    words(&arguments.conflicts_with, "conflicts_with", errors);
    words(&arguments.capabilities, "capabilities", errors);
    conflicts_required(arguments, errors);
    required_and_optional(arguments, errors);

    let item = structure(item, errors)?;
    concrete(item, errors);
    let name = name(arguments, item, errors);
    itself(arguments, &name, errors);
    Some(Plugin {
        ident: item.ident.clone(),
        conditions: conditions(&item.attrs),
        also,
        name,
        requires,
        optional,
        swap,
        stability,
        backend,
    })
}

/// A struct and nothing else.
fn structure<'a>(item: &'a Item, errors: &Errors) -> Option<&'a DeriveInput> {
    let (span, what) = match item {
        Item::Type(item) => match &item.data {
            Data::Struct(_) => return Some(item),
            Data::Enum(data) => {
                let help = format!("an enum\nhelp: wrap the enum: `struct {0}Plugin {{ inner: {0} }}`", item.ident);
                (data.enum_token.span, help)
            }
            Data::Union(data) => (data.union_token.span, "a union".to_owned()),
        },
        Item::Other { span, what } => (*span, (*what).to_owned()),
    };
    errors.at(span, format!("#[mlx_plugin] belongs on a struct, not on {what}"));
    None
}

/// One registration stands for one type.
fn concrete(item: &DeriveInput, errors: &Errors) {
    let Generics { params, .. } = &item.generics;
    if params.is_empty() {
        return;
    }
    let ident = &item.ident;
    let message = if item.generics.lifetimes().count() == params.len() {
        format!(
            "a plugin lives on its own, so `{ident}` cannot borrow\n\
             help: own what it refers to, as a `String` or behind an `Arc`"
        )
    } else {
        format!(
            "a plugin is registered once, as one type, so `{ident}` cannot be generic\n\
             help: keep what varies behind a `Box<dyn Trait>`, or put #[mlx_plugin] on a struct around one case: \
             `struct My{ident}({ident}<…>);`"
        )
    };
    errors.on(params, message);
}

pub(super) fn kind(arguments: &Arguments, errors: &Errors) -> Option<Contract> {
    match &arguments.kind {
        Some(named) => contract(named, errors),
        None => {
            if !arguments.has_kind {
                let names = quoted(&plugin_types::built_in());
                let message = format!("missing mlx_plugin key `type`\nexpected one of: {names}\n{OWN_TYPE}");
                errors.at(Span::call_site(), message);
            }
            None
        }
    }
}

fn also(arguments: &Arguments, errors: &Errors) -> Vec<Contract> {
    let text = |named: &Named| match named {
        Named::Text(text) => text.value(),
        Named::Path(path) => {
            let mut parts = Vec::new();
            for part in &path.segments {
                parts.push(part.ident.to_string());
            }
            joined(&parts, "::")
        }
    };
    let mut taken = Vec::new();
    if let Some(kind) = &arguments.kind {
        taken.push(text(kind));
    }
    let mut contracts = Vec::new();
    for named in &arguments.also {
        let name = text(named);
        if taken.contains(&name) {
            let message = format!("`{name}` is twice among the types of this plugin");
            match named {
                Named::Text(text) => errors.at(text.span(), message),
                Named::Path(path) => errors.on(path, message),
            }
            continue;
        }
        taken.push(name);
        contracts.extend(contract(named, errors));
    }
    contracts
}

fn contract(named: &Named, errors: &Errors) -> Option<Contract> {
    let text = match named {
        Named::Path(path) => return Some(Contract::Foreign(path.clone())),
        Named::Text(text) => text,
    };
    let name = text.value();
    if let Some(contract) = plugin_types::contract(&name) {
        return Some(Contract::BuiltIn(contract, text.span()));
    }
    let message =
        plugin_types::planned(&name).unwrap_or_else(|| unknown("plugin type", &name, &plugin_types::built_in()));
    errors.at(text.span(), format!("{message}\n{OWN_TYPE}"));
    None
}

/// The text that is one of a few; the first of them by default.
fn choice(key: &str, known: &[&'static str], given: Option<&LitStr>, errors: &Errors) -> &'static str {
    let Some(given) = given else { return known[0] };
    let value = given.value();
    match known.iter().find(|known| **known == value) {
        Some(known) => known,
        None => {
            errors.at(given.span(), unknown(key, &value, known));
            known[0]
        }
    }
}

fn backend(arguments: &Arguments, errors: &Errors) -> Backend {
    let registration = arguments.registration.as_ref();
    match (choice("registration", &["inventory", "linkme"], registration, errors), registration) {
        ("linkme", Some(_)) if cfg!(feature = "linkme") => Backend::Linkme,
        ("linkme", Some(text)) => {
            errors.at(text.span(), "`registration = \"linkme\"` needs the feature `linkme` of mlx-core");
            Backend::Linkme
        }
        _ => Backend::Inventory,
    }
}

fn name(arguments: &Arguments, item: &DeriveInput, errors: &Errors) -> String {
    const FORM: &str = "small letters and digits in words joined by single hyphens, beginning with a letter";
    match &arguments.name {
        Some(text) => {
            let name = text.value();
            if !plugin_types::is_kebab(&name) {
                let near = casing::kebab(&name);
                let near = match plugin_types::is_kebab(&near) {
                    true => format!("; did you mean `{near}`?"),
                    false => String::new(),
                };
                errors.at(text.span(), format!("`{name}` is not a plugin name{near}\nexpected {FORM}"));
            }
            name
        }
        None => {
            let ident = item.ident.unraw().to_string();
            let name = casing::kebab(&ident);
            if !plugin_types::is_kebab(&name) {
                errors.at(
                    item.ident.span(),
                    format!(
                        "`{ident}` gives `{name}`, which is not a plugin name; add `name = \"…\"`\nexpected {FORM}"
                    ),
                );
            }
            name
        }
    }
}

fn version(arguments: &Arguments, errors: &Errors) {
    let Some(text) = &arguments.version else {
        return;
    };
    if let Err(error) = semver::Version::parse(&text.value()) {
        errors.at(
            text.span(),
            format!(
                "`{}` is not a semantic version: {error}\nexpected MAJOR.MINOR.PATCH, as in \"1.0.0\"",
                text.value()
            ),
        );
    }
}

fn platforms(arguments: &Arguments, errors: &Errors) {
    for text in &arguments.platforms {
        let value = text.value();
        if !value.is_empty() && !PLATFORMS.contains(&&*value) {
            errors.at(text.span(), unknown("platform", &value, PLATFORMS));
        }
    }
}

fn integration_points(arguments: &Arguments, errors: &Errors) {
    for text in &arguments.integration_points {
        let value = text.value();
        if !value.is_empty() && !plugin_types::is_snake(&value) {
            errors.at(
                text.span(),
                format!("`{value}` is not the name of a plugin type\nexpected one as in \"data_source\""),
            );
        }
    }
}

/// Names of plugins and capabilities.
fn words(texts: &[LitStr], key: &str, errors: &Errors) {
    for text in texts {
        let value = text.value();
        if !value.is_empty() && !is_word(&value) {
            errors.at(
                text.span(),
                format!("`{value}` does not belong in `{key}`\nexpected small letters, digits, `-` and `_`"),
            );
        }
    }
}

fn is_word(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
}

fn requirements(texts: &[LitStr], errors: &Errors) -> Vec<Requirement> {
    let mut requirements = Vec::new();
    for text in texts {
        // An empty one was reported as such.
        if text.value().is_empty() {
            continue;
        }
        match requirement(&text.value()) {
            Ok(requirement) => requirements.push(requirement),
            Err(message) => errors.at(text.span(), message),
        }
    }
    requirements
}

fn requirement(text: &str) -> Result<Requirement, String> {
    const FORMS: &str =
        "expected a requirement as in \"sqlite\", \"sqlite@^1.2\", \"type:data_source\" or \"capability:sql\"";
    if let Some((what, name)) = text.split_once(':') {
        return match what {
            "type" if plugin_types::is_snake(name) => match plugin_types::planned(name) {
                Some(planned) => Err(planned),
                None => Ok(Requirement::Type(name.to_owned())),
            },
            "type" => Err(format!("`{name}` is not the name of a plugin type\n{FORMS}")),
            "capability" if is_word(name) => Ok(Requirement::Capability(name.to_owned())),
            "capability" => Err(format!("`{name}` is not a capability\n{FORMS}")),
            _ => Err(format!("{}\n{FORMS}", unknown("requirement", what, &["capability", "type"]))),
        };
    }
    let (name, version) = text.split_once('@').unwrap_or((text, ""));
    if !plugin_types::is_kebab(name) {
        return Err(format!("`{name}` is not a plugin name\n{FORMS}"));
    }
    if text.contains('@') {
        semver::VersionReq::parse(version)
            .map_err(|error| format!("`{version}` is not a version requirement: {error}\n{FORMS}"))?;
    }
    Ok(Requirement::Plugin { name: name.to_owned(), version: version.to_owned() })
}

/// What a requirement or conflict is about, without version.
fn about(text: &LitStr) -> String {
    let text = text.value();
    let text = text.split_once('@').map_or(&*text, |(name, _)| name);
    text.strip_prefix("capability:").unwrap_or(text).to_owned()
}

/// A plugin neither conflicts with itself nor needs itself.
fn itself(arguments: &Arguments, name: &str, errors: &Errors) {
    for text in &arguments.conflicts_with {
        if text.value() == name {
            errors.at(text.span(), format!("`{name}` cannot conflict with itself"));
        }
    }
    for list in &[&arguments.requires, &arguments.optional] {
        for text in *list {
            let value = text.value();
            if value.split('@').next() == Some(name) {
                errors.at(text.span(), format!("`{name}` cannot require itself"));
            }
        }
    }
}

fn conflicts_required(arguments: &Arguments, errors: &Errors) {
    for text in &arguments.conflicts_with {
        let value = text.value();
        for (key, list) in &[("requires", &arguments.requires), ("optional", &arguments.optional)] {
            if !value.is_empty() && list.iter().any(|other| about(other) == value) {
                errors.at(text.span(), format!("`{value}` is in `conflicts_with` and in `{key}`"));
            }
        }
    }
}

fn required_and_optional(arguments: &Arguments, errors: &Errors) {
    for text in &arguments.optional {
        let value = text.value();
        if !value.is_empty() && arguments.requires.iter().any(|other| about(other) == about(text)) {
            errors.at(text.span(), format!("`{value}` is in `optional` and in `requires`"));
        }
    }
}
