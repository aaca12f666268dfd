//! Texts of a component file that follow a rule, and remember where they were written.

use super::{path, render};
use mlx_core::{
    JsonValue,
    config::{ConfigValue, Located, Reader},
    diagnostics::{Code, Diagnostic, Location},
    value::Node,
};
use std::{fmt, ops::Deref};

/// What is wrong with a text: a code, what to put after the quoted text, and what to do.
type Fault = (Code, String, String);

fn fault(code: Code, message: impl Into<String>, help: impl Into<String>) -> Result<(), Fault> {
    Err((code, message.into(), help.into()))
}

macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $vis:vis $name:ident = $pattern:literal, $check:expr;)+) => { $(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name(Located<String>);

        impl $name {
            /// The text.
            $vis fn as_str(&self) -> &str {
                &self.0.value
            }

            /// Where it was written.
            #[allow(dead_code, reason = "not every text is asked for its place")]
            $vis fn location(&self) -> Option<&Location> {
                self.0.location.as_ref()
            }

            /// What is wrong with a text.
            pub(super) fn check(text: &str) -> Result<(), Fault> {
                let check: fn(&str) -> Result<(), Fault> = $check;
                check(text)
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ConfigValue for $name {
            fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
                let text = Located::<String>::read(node, cx)?;
                match Self::check(&text.value) {
                    Ok(()) => Some($name(text)),
                    Err((code, message, help)) => {
                        let message = format!("{} {message}", mlx_core::diagnostics::quoted(&text.value.escape_debug().to_string()));
                        cx.report(Diagnostic::error(code, message).at(node.location.as_ref()).help(help));
                        None
                    }
                }
            }
            fn write(&self) -> JsonValue {
                self.as_str().into()
            }
            fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                match $pattern {
                    "" => schemars::json_schema!({"type": "string", "minLength": 1}),
                    pattern => schemars::json_schema!({"type": "string", "pattern": pattern}),
                }
            }
        }
    )+ };
}

fn unsafe_path(found: Result<(), String>) -> Result<(), Fault> {
    let help = "write a path relative to the folder, with `/`: `src/platform/api.rs`";
    found.or_else(|reason| fault(Code::CataloguePath, reason, help))
}

/// Words of small letters and digits, separated by `separator`, beginning with a letter.
fn words(text: &str, separator: char) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 64
        && text
            .split(separator)
            .all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
}

fn line(text: &str) -> Result<(), Fault> {
    if text.trim().is_empty() {
        return fault(Code::WrongLength, "is empty", "say what it is, in one sentence");
    }
    match text.chars().find(|c| c.is_control()) {
        Some(_) => fault(Code::InvalidValue, "has a control character", "write one line of text"),
        None => Ok(()),
    }
}

/// The version requirement in `name@^1`, and the name.
pub(super) fn split_dependency(text: &str) -> (&str, Option<&str>) {
    match text.split_once('@') {
        Some((name, range)) => (name, Some(range)),
        None => (text, None),
    }
}

/// What stands for `{{ … }}` in a target while nothing is rendered.
pub(super) fn without_expressions(target: &str) -> Option<String> {
    let mut path = String::new();
    let mut rest = target;
    while let Some((before, after)) = rest.split_once("{{") {
        let (_, behind) = after.split_once("}}")?;
        path.push_str(before);
        path.push('x');
        rest = behind;
    }
    path.push_str(rest);
    Some(path)
}

texts! {
    /// The name of a component: `api-serving`, or `data-sources/snowflake` for a variant.
    pub ComponentName = "^[a-z][a-z0-9]*(-[a-z0-9]+)*(/[a-z][a-z0-9]*(-[a-z0-9]+)*)?$", |text| {
        match text.split('/').count() <= 2 && text.split('/').all(|part| words(part, '-')) {
            true => Ok(()),
            false => fault(
                Code::InvalidValue,
                "is no name of a component",
                "a name is of small letters, digits and `-`: `api-serving`, or `data-sources/snowflake` for a variant",
            ),
        }
    };

    /// A component and the versions of it that are accepted: `plugin-registry`, `config-management@^1`.
    pub(super) DependencyText = "^[a-z][a-z0-9/-]*(@[^@]+)?$", |text| {
        let (name, range) = split_dependency(text);
        ComponentName::check(name)?;
        match range.map(str::parse::<semver::VersionReq>) {
            Some(Err(error)) => fault(
                Code::InvalidValue,
                format!("has no requirement of a version: {error}"),
                "write `name@^1`, `name@>=1.2, <3` or the name alone",
            ),
            _ => Ok(()),
        }
    };

    /// A semantic version.
    pub(super) VersionText = r"^\d+\.\d+\.\d+", |text| match text.parse::<semver::Version>() {
        Ok(_) => Ok(()),
        Err(error) => fault(
            Code::InvalidValue,
            format!("is no semantic version: {error}"),
            "write three numbers: `1.0.0` (https://semver.org)",
        ),
    };

    /// A requirement of a version, as cargo has it.
    pub RequirementText = "", |text| match text.parse::<semver::VersionReq>() {
        Ok(_) => Ok(()),
        Err(error) => fault(Code::InvalidValue, format!("is no requirement of a version: {error}"), "write `1.2`, `^1` or `>=1, <3`"),
    };

    /// A line of text.
    pub Line = "", line;

    /// A name in snake case: a plugin type, a capability, a region.
    pub SnakeName = "^[a-z][a-z0-9]*(_[a-z0-9]+)*$", |text| match words(text, '_') {
        true => Ok(()),
        false => fault(Code::InvalidValue, "is no name in snake case", "a name is of small letters, digits and `_`: `data_source`"),
    };

    /// A name in kebab case: that of a plugin.
    pub KebabName = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$", |text| match words(text, '-') {
        true => Ok(()),
        false => fault(Code::InvalidValue, "is no name in kebab case", "a name is of small letters, digits and `-`: `rest-api`"),
    };

    /// The name of a template's file below `templates`, or `component:name` for one of another component. `{{ plugin.type }}`
    /// may stand in it.
    pub TemplateName = r"\.template$", |text| {
        let text = &*text.replace(PLUGIN_TYPE, "x");
        let file = match text.split_once(':') {
            Some((component, file)) => {
                ComponentName::check(component)?;
                file
            }
            None => text,
        };
        unsafe_path(path::check(file))?;
        match file.ends_with(".template") {
            true => Ok(()),
            false => fault(Code::InvalidValue, "is no name of a template", "a template's file ends in `.template`"),
        }
    };

    /// A file of a project, relative to its root; `{{ … }}` stands for answers.
    pub Target = "", |text| {
        render::parse_inline(text).or_else(|reason| fault(Code::BadTemplate, reason, TEMPLATE))?;
        match without_expressions(text) {
            Some(path) if !text.contains("{%") && !text.contains("{#") => unsafe_path(path::check_target(&path)),
            _ => fault(Code::BadTemplate, "is no path with `{{ … }}` in it", "leave a file out by `when`"),
        }
    };

    /// A text with `{{ … }}` and `{% … %}`.
    pub Inline = "", |text| render::parse_inline(text).or_else(|reason| fault(Code::BadTemplate, reason, TEMPLATE));

    /// A condition on the answers: `graphql`, `"monitoring" in components`.
    pub Expression = "", |text| {
        render::parse_expression(text)
            .or_else(|reason| fault(Code::BadTemplate, reason, "write a condition without braces: `graphql and port > 1024`"))
    };

    /// The name of a cargo package or feature.
    pub CargoName = r"^[A-Za-z0-9_][A-Za-z0-9_+./?:-]*$", |text| {
        let good = |c: char| c.is_ascii_alphanumeric() || "_-+./?:".contains(c);
        match text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && text.chars().all(good) && text.len() <= 128 {
            true => Ok(()),
            false => fault(Code::InvalidValue, "is no name that cargo knows", "a name begins with a letter or digit: `serde_json`"),
        }
    };

    /// A path in Rust: `mlx_plugins::data_source::snowflake`.
    pub RustPath = "^[A-Za-z_][A-Za-z0-9_]*(::[A-Za-z_][A-Za-z0-9_]*)*$", |text| {
        match text.split("::").all(super::case::is_rust_identifier) {
            true => Ok(()),
            false => fault(Code::InvalidValue, "is no path in Rust", "write `a_crate::module::Name`"),
        }
    };
}

/// What stands in the name of a template for the type of the plugin.
pub(super) const PLUGIN_TYPE: &str = "{{ plugin.type }}";

const TEMPLATE: &str = "`{{ name }}` stands for an answer, `{% if … %}` … `{% endif %}` for a choice";

impl From<Inline> for Located<String> {
    fn from(text: Inline) -> Self {
        text.0
    }
}
