//! The template language: [minijinja](https://docs.rs/minijinja), without anything that reads files or runs code.
//!
//! A block (`{% … %}`) that has its line for itself leaves no line behind. An undefined name is an error, a template may do a bounded amount of work, and these filters put a text where it can mean
//! nothing else:
//!
//! | filter | gives |
//! |---|---|
//! | `rust_str` | a string literal of Rust, with its quotes |
//! | `rust_ident` | the text, if it is an identifier of Rust; else an error |
//! | `snake_case`, `kebab_case`, `upper_camel_case` | the name in that case |
//! | `toml_str`, `yaml_str`, `json_str` | a quoted text of TOML, YAML or JSON |
//! | `json` | any value as JSON |
//! | `doc` | one line that can stand in a comment |

use super::{
    case, language, path,
    text::{Expression, Inline, Target},
};
use minijinja::{
    Environment, ErrorKind as Fault, UndefinedBehavior,
    syntax::SyntaxConfig,
    value::{Serde, ValueKind},
};
use mlx_core::{
    Diagnostic, Error, JsonValue, Result,
    diagnostics::{Code, Location, Source, nearest},
};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    ops::Range,
    sync::{Arc, LazyLock},
};

/// How much work rendering one template may be: instructions, and 64 bytes of what is made count as one.
pub const FUEL: u64 = 250_000;

/// A rendered file may have this many bytes.
pub const MAX_RENDERED: usize = 1 << 20;

/// What a template became.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// For each part of the text, in order: its bytes, and the line of the template that it comes from.
    spans: Vec<(Range<usize>, usize)>,
}

impl Rendered {
    /// The line of the template, counted from 1, that made a line of the text.
    pub fn template_line(&self, line: usize) -> Option<usize> {
        let start = match line.checked_sub(1)? {
            0 => 0,
            before => self.text.match_indices('\n').nth(before - 1)?.0 + 1,
        };
        let (bytes, first) = self.spans.iter().find(|(bytes, _)| bytes.contains(&start))?;
        Some(first + self.text.get(bytes.start..start)?.matches('\n').count())
    }
}

/// Filters that make more of little, or write lists out without anybody counting.
const FILTERS_REMOVED: &[&str] =
    &["batch", "chain", "e", "escape", "format", "groupby", "pprint", "safe", "slice", "string", "zip"];

/// Functions that make lists and mappings, or show what a template is given.
const FUNCTIONS_REMOVED: &[&str] = &["cycler", "debug", "dict", "joiner", "namespace"];

/// The text, number or truth in front of a filter.
fn scalar(value: &minijinja::Value) -> Result<String, minijinja::Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Number | ValueKind::Bool => Ok(value.to_string()),
        ValueKind::Undefined | ValueKind::None => Err(minijinja::Error::from(Fault::UndefinedError)),
        _ => Err(minijinja::Error::new(Fault::InvalidOperation, "the filter is for a text, not for a list or mapping")),
    }
}

fn rust_identifier(text: String) -> Result<String, minijinja::Error> {
    match case::is_rust_identifier(&text) {
        true => Ok(text),
        false => Err(minijinja::Error::new(Fault::InvalidOperation, "the text is no identifier of Rust")),
    }
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    let (filters, functions) = (FILTERS_REMOVED, FUNCTIONS_REMOVED);
    filters.iter().for_each(|name| environment.remove_filter(name));
    functions.iter().for_each(|name| environment.remove_global(name));
    environment.set_formatter(|out, state, value| match value.kind() {
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable | ValueKind::Plain => {
            let message = "a list or mapping is no text: write its items in a `for`, or use `json`";
            Err(minijinja::Error::new(Fault::InvalidOperation, message))
        }
        // It would be the word `none`.
        ValueKind::None => Err(minijinja::Error::from(Fault::UndefinedError)),
        _ => minijinja::escape_formatter(out, state, value),
    });
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_debug(true);
    // The delimiters are the usual ones, which are valid.
    if let Ok(syntax) =
        SyntaxConfig::builder().keep_trailing_newline(true).trim_blocks(true).lstrip_blocks(true).build()
    {
        environment.set_syntax(syntax);
    }
    let mut filter = |name: &'static str, make: fn(String) -> Result<String, minijinja::Error>| {
        environment.add_filter(name, move |value: minijinja::Value| scalar(&value).and_then(make));
    };
    filter("rust_str", |text| Ok(format!("{text:?}")));
    filter("rust_ident", rust_identifier);
    filter("snake_case", |text| Ok(case::snake(&text)));
    filter("kebab_case", |text| Ok(case::kebab(&text)));
    filter("upper_camel_case", |text| Ok(case::upper_camel(&text)));
    filter("toml_str", |text| Ok(quoted(&text)));
    filter("yaml_str", |text| Ok(quoted(&text)));
    filter("json_str", |text| Ok(quoted(&text)));
    filter("doc", |text| Ok(one_line(&text)));
    environment.add_filter("json", |value: minijinja::Value| {
        serde_json::to_string(&value).map_err(|error| minijinja::Error::new(Fault::BadSerialization, error.to_string()))
    });
    environment
});

/// A quoted text that TOML, YAML and JSON read alike.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // What YAML does not print, and the line breaks that only some readers know.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// One line of a comment, in which nothing begins a block of code.
fn one_line(text: &str) -> String {
    let printable: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = printable.split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "* /").replace("/*", "/ *");
    line.trim_start_matches("```").trim_start_matches("~~~").trim_start().to_owned()
}

/// Renders a template.
///
/// # Errors
/// [`Invalid`](mlx_core::ErrorKind::Invalid), with the place in the template: it is malformed, uses a name that `context` does
/// not have, or does more work or makes more text than a template may.
pub fn render(template: &Arc<Source>, context: &JsonValue) -> Result<Rendered> {
    language::check(template).map_err(|found| refuse(template, *found))?;
    let rendered = ENVIRONMENT
        .template_from_named_str(template.name(), template.text())
        .and_then(|template| template.render_with_spans(minijinja::Value::from(Serde(context))));
    match rendered {
        Ok((text, spans)) => {
            check_size(&text).map_err(|message| refuse(template, Diagnostic::error(Code::BadTemplate, message)))?;
            let spans = spans.iter().map(|span| (span.output_range(), span.line())).collect();
            Ok(Rendered { text, spans })
        }
        Err(error) => Err(refuse(template, diagnostic(&error, template, context))),
    }
}

fn check_size(text: &str) -> Result<(), String> {
    match text.len() > MAX_RENDERED {
        true => Err(format!("the template makes more than {} KiB of text", MAX_RENDERED >> 10)),
        false => Ok(()),
    }
}

fn refuse(template: &Arc<Source>, diagnostic: Diagnostic) -> Error {
    Error::from_diagnostics(format_args!("template {}", template.name()), vec![diagnostic])
}

/// Renders a text of a component file, such as the text of an edit.
///
/// # Errors
/// As [`render`]; the place is that of the text.
pub fn inline(text: &Inline, context: &JsonValue) -> Result<String> {
    inline_at(text, text.location(), context)
}

/// Renders the path of a file, and checks that it is one a component may write.
///
/// # Errors
/// As [`inline`]; and where the answers make it a path that leaves the project or is not the same file on every system.
pub fn target(target: &Target, context: &JsonValue) -> Result<String> {
    let rendered = inline_at(target, target.location(), context)?;
    path::check_target(&rendered).map_err(|reason| {
        let message = format!("the target `{}` {reason}", rendered.escape_debug());
        let diagnostic = Diagnostic::error(Code::CataloguePath, message)
            .at(target.location())
            .help("change the answers that it is made of");
        Error::from_diagnostics(format_args!("the target `{target}`"), vec![diagnostic])
    })?;
    Ok(rendered)
}

fn inline_at(text: &str, location: Option<&Location>, context: &JsonValue) -> Result<String> {
    let source = Source::new("text", text);
    let failed = |found: Diagnostic| Error::from_diagnostics("a text of the component", vec![found.at(location)]);
    let rendered = ENVIRONMENT
        .template_from_named_str(source.name(), source.text())
        .and_then(|template| template.render(minijinja::Value::from(Serde(context))))
        .map_err(|error| failed(diagnostic(&error, &source, context)))?;
    check_size(&rendered).map_err(|message| failed(Diagnostic::error(Code::BadTemplate, message)))?;
    Ok(rendered)
}

/// Whether a condition holds.
///
/// # Errors
/// As [`inline`].
pub fn evaluate(expression: &Expression, context: &JsonValue) -> Result<bool> {
    let value = ENVIRONMENT
        .compile_expression(expression)
        .and_then(|compiled| compiled.eval(minijinja::Value::from(Serde(context))))
        .map_err(|error| {
            let source = Source::new("condition", expression.as_str());
            let found = diagnostic(&error, &source, context).at(expression.location());
            Error::from_diagnostics(format_args!("the condition `{expression}`"), vec![found])
        })?;
    if value.is_undefined() {
        let message = format!("the condition `{expression}` is about something that there is not");
        let found = Diagnostic::error(Code::BadTemplate, message).at(expression.location());
        return Err(Error::from_diagnostics(format_args!("the condition `{expression}`"), vec![found]));
    }
    Ok(value.is_true())
}

/// The names that a template needs from outside: `project` where it says `project.name`.
///
/// # Errors
/// Where the template is malformed.
pub fn undeclared(template: &Arc<Source>) -> Result<BTreeSet<String>> {
    language::check(template).map_err(|found| refuse(template, *found))?;
    let parsed = ENVIRONMENT
        .template_from_named_str(template.name(), template.text())
        .map_err(|error| refuse(template, diagnostic(&error, template, &JsonValue::Null)))?;
    Ok(parsed.undeclared_variables(false).into_iter().filter(|name| !is_global(name)).collect())
}

/// The names that a condition needs from outside.
pub(super) fn undeclared_in_expression(expression: &str) -> BTreeSet<String> {
    match ENVIRONMENT.compile_expression(expression) {
        Ok(compiled) => compiled.undeclared_variables(false).into_iter().filter(|name| !is_global(name)).collect(),
        Err(_) => BTreeSet::new(),
    }
}

/// Where a template first says a name between braces.
pub(super) fn first_use(template: &Arc<Source>, name: &str) -> Option<Location> {
    let text = template.text();
    let found = language::parts(text).into_iter().find_map(|part| match part {
        language::Part::Text(_) => None,
        language::Part::Output(tokens, _) | language::Part::Statement(tokens) => first_among(text, tokens, name),
    })?;
    Some(template.span(found))
}

fn first_among(text: &str, tokens: Vec<language::Token>, name: &str) -> Option<Range<usize>> {
    let mut before = None;
    let mut bytes = tokens.into_iter().map(|token| token.bytes);
    bytes.find(|bytes| {
        let after_dot = before.replace(bytes.end).is_some_and(|end| text[..end].ends_with('.'));
        text[bytes.clone()] == *name && !after_dot
    })
}

/// Whether a template says a name between braces, and not only in its text.
///
/// ```
/// use mlx_components::catalogue::render;
/// use mlx_core::diagnostics::Source;
///
/// let template = Source::new("t", "All components: {{ names }}, {{ project.components }}");
/// assert!(render::uses(&template, "names"));
/// assert!(!render::uses(&template, "components"));
/// assert!(render::uses_in_expression("\"monitoring\" in components", "components"));
/// ```
pub fn uses(template: &Arc<Source>, name: &str) -> bool {
    template.text().contains(name) && first_use(template, name).is_some()
}

/// Whether a condition says a name.
pub fn uses_in_expression(expression: &str, name: &str) -> bool {
    expression.contains(name) && first_among(expression, language::expression(expression), name).is_some()
}

fn is_global(name: &str) -> bool {
    ENVIRONMENT.globals().any(|(global, _)| global == name)
}

pub(super) fn parse_inline(text: &str) -> Result<(), String> {
    language::check(&Source::new("text", text)).map_err(|found| format!("cannot be rendered: {}", found.message))?;
    ENVIRONMENT.template_from_named_str("text", text).map(drop).map_err(|error| malformed(&error))
}

pub(super) fn parse_expression(text: &str) -> Result<(), String> {
    language::check_expression(text).map_err(|message| format!("is no condition: {message}"))?;
    ENVIRONMENT.compile_expression(text).map(drop).map_err(|error| malformed(&error))
}

fn malformed(error: &minijinja::Error) -> String {
    format!("is malformed: {}", error.detail().map_or_else(|| error.kind().to_string(), str::to_owned))
}

/// What the engine says, in the words of who wrote the template.
fn diagnostic(error: &minijinja::Error, template: &Arc<Source>, context: &JsonValue) -> Diagnostic {
    let place = error.range().map(|range| template.span(range)).or_else(|| {
        let line = u32::try_from(error.line()?).ok()?;
        Some(Location { source: template.clone(), line, column: 1, length: 1 })
    });
    let written = place.as_ref().and_then(Location::marked).unwrap_or_default();
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let found = match error.kind() {
        Fault::UndefinedError => {
            let given: BTreeSet<&str> =
                context.as_object().into_iter().flat_map(|map| map.keys().map(String::as_str)).collect();
            let root = written.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            let found = Diagnostic::error(Code::BadTemplate, format!("`{written}` has no value here"));
            match nearest(root, given.iter().copied()) {
                Some(name) if name != root => found.help(format!("did you mean `{name}`?")),
                _ => {
                    found.help("declare it in `variables` of the component, or test it first: `{% if x is defined %}`")
                }
            }
        }
        Fault::OutOfFuel => Diagnostic::error(
            Code::BadTemplate,
            "the template does more work than a template may: is there a loop without end?",
        )
        .help("repeat less, or split the file"),
        Fault::SyntaxError => Diagnostic::error(Code::BadTemplate, format!("malformed template: {detail}"))
            .help("write `{% raw %}` … `{% endraw %}` around braces that are meant as they stand"),
        Fault::UnknownFilter | Fault::UnknownFunction | Fault::UnknownTest | Fault::UnknownMethod => {
            Diagnostic::error(Code::BadTemplate, format!("{}: {detail}", error.kind()))
                .help("`mlx_components::catalogue::render` lists the filters that there are beside those of minijinja")
        }
        _ => Diagnostic::error(Code::BadTemplate, format!("the template cannot be rendered: {detail}")),
    };
    found.at(place.as_ref())
}
